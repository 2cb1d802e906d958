// SPDX-License-Identifier: MIT
/** A command taken apart by the table: which one it is, and its operands by name. */
import { type Field, fieldMask32 } from "../../bits/fields.ts";
import { type SmmuCommand, smmuCommands } from "../spec/commands.ts";

/** The 16 bytes of a command: four 32-bit words, lowest first. */
export type CommandWords = Uint32Array | readonly number[];

const OPCODES = 0x100;
const byOpcode: readonly (SmmuCommand | undefined)[] = Array.from({ length: OPCODES }, (_, opcode) =>
  smmuCommands.find((command) => command.opcode === opcode),
);

/** The table's row for the opcode of a command; undefined if it is reserved. */
export function commandOf(words: CommandWords): SmmuCommand | undefined {
  return byOpcode[(words[0] ?? 0) & (OPCODES - 1)];
}

/** Where an operand lies: all but addresses lie within one word. */
interface Place {
  readonly name: string;
  readonly word: number;
  readonly shift: number;
  /** Of the bits in their place. */
  readonly mask: number;
}

const places: readonly (readonly Place[])[] = byOpcode.map((command) =>
  (command?.fields ?? [])
    .filter((field) => field.address !== true)
    .map((field) => ({ name: field.name, word: field.lo >>> 5, shift: field.lo & 31, mask: fieldMask32(field) })),
);

/** The value of an address field, whose bits stand in their natural place in the second doubleword. */
export function addressIn(field: Field, words: CommandWords): { readonly hi: number; readonly lo: number } {
  const above = field.hi - 96 < 31 ? -2 << (field.hi - 96) : 0;
  return { hi: ((words[3] ?? 0) & ~above) >>> 0, lo: ((words[2] ?? 0) & (-1 << (field.lo - 64))) >>> 0 };
}

/** The only address of a command that has one. */
const addresses: readonly (Field | undefined)[] = byOpcode.map((command) => command?.fields.find(({ address }) => address === true));

export class Operands {
  readonly command: SmmuCommand;
  readonly #words: CommandWords;

  constructor(command: SmmuCommand, words: CommandWords) {
    this.command = command;
    this.#words = words;
  }

  /** @throws RangeError if the command has no such operand, or for an address */
  get(name: string): number {
    for (const { name: own, word, shift, mask } of places[this.command.opcode]!)
      if (own === name) return ((this.#words[word] ?? 0) & mask) >>> shift;
    throw new RangeError(`no operand of ${this.command.name} is called ${name}`);
  }

  /** @throws RangeError if the command has no such operand */
  address(name: string): { readonly hi: number; readonly lo: number } {
    const field = addresses[this.command.opcode];
    if (field?.name !== name) throw new RangeError(`no address of ${this.command.name} is called ${name}`);
    return addressIn(field, this.#words);
  }
}
