// SPDX-License-Identifier: MIT
/** A command taken apart by the table: which one it is, and its operands by name. */
import { type Field, fieldNamed, getField } from "../../bits/fields.ts";
import { POW2 } from "../../bits/hex.ts";
import { type SmmuCommand, smmuCommands } from "../spec/commands.ts";

/** The 16 bytes of a command: four 32-bit words, lowest first. */
export type CommandWords = Uint32Array | readonly number[];

const byOpcode: ReadonlyMap<number, SmmuCommand> = new Map(smmuCommands.map((command) => [command.opcode, command]));

/** The table's row for the opcode of a command; undefined if it is reserved. */
export function commandOf(words: CommandWords): SmmuCommand | undefined {
  return byOpcode.get((words[0] ?? 0) & 0xff);
}

/** The value of an address field, whose bits stand in their natural place in the second doubleword. */
export function addressIn(field: Field, words: CommandWords): { readonly hi: number; readonly lo: number } {
  const lo = words[2] ?? 0;
  return { hi: (words[3] ?? 0) % POW2[field.hi - 95]!, lo: lo - (lo % POW2[field.lo - 64]!) };
}

export class Operands {
  readonly command: SmmuCommand;
  readonly #words: CommandWords;

  constructor(command: SmmuCommand, words: CommandWords) {
    this.command = command;
    this.#words = words;
  }

  /** @throws RangeError if the command has no such operand */
  get(name: string): number {
    return getField(this.#words, fieldNamed(this.command.fields, name));
  }

  /** @throws RangeError if the command has no such operand */
  address(name: string): { readonly hi: number; readonly lo: number } {
    return addressIn(fieldNamed(this.command.fields, name), this.#words);
  }
}
