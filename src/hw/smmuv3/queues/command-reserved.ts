// SPDX-License-Identifier: MIT
/** Which bits of a command are RES0 here: those outside its fields, and fields of what is not implemented (IHI 0070 §4.1.5). */
import { type Field, fieldNamed, getField } from "../../bits/fields.ts";
import type { SmmuConfig } from "../config/config.ts";
import { type CommandField, type SmmuCommand, smmuCommands } from "../spec/commands.ts";

const WORDS = 4;
const OPCODE: Field = { name: "Opcode", hi: 7, lo: 0 };
/** Bits of an IPA or PA operand by minor version (§4.1.6). Their place is the second doubleword. */
const ADDRESS_BITS = [48, 52, 52, 52, 56] as const;
const DOUBLEWORD = 64;
/** The highest bit of an address field that is not a VA. */
const PHYSICAL_TOP = 119;
/** Fields of range invalidation and level hints (§4.4.1.1). */
const RANGE: ReadonlySet<string> = new Set(["NUM", "SCALE", "TTL128", "TTL", "TG"]);

/** Bits of an IPA or PA operand that exist in the configuration's version. */
export function operandAddressBits(config: SmmuConfig): number {
  return ADDRESS_BITS[config.version];
}

function addBits(masks: Uint32Array, hi: number, lo: number): void {
  for (let bit = lo; bit <= hi; bit++) masks[bit >>> 5]! |= 2 ** (bit & 31);
}

/** The highest bit of a field that exists in this configuration, below its lowest one if none does. */
function topOf(field: CommandField, config: SmmuConfig): number {
  if (field.address && field.hi === PHYSICAL_TOP) return DOUBLEWORD + operandAddressBits(config) - 1;
  if (RANGE.has(field.name) && !config.ril) return field.lo - 1;
  if (field.name === "SCALE" && !config.ds) return field.hi - 1;
  // The stride came with v3.1; NS is for Secure streams (§4.2.2).
  if (field.name === "NS" || (field.name === "Stride" && config.version === 0)) return field.lo - 1;
  return field.hi;
}

export class ReservedCommandBits {
  readonly #defined: ReadonlyMap<SmmuCommand, Uint32Array>;

  constructor(config: SmmuConfig) {
    this.#defined = new Map(
      smmuCommands.map((command) => {
        const masks = new Uint32Array(WORDS);
        for (const field of [OPCODE, ...command.fields]) addBits(masks, topOf(field, config), field.lo);
        return [command, masks];
      }),
    );
  }

  /** True if a command sets a bit that is RES0. */
  areSet(command: SmmuCommand, words: Uint32Array): boolean {
    const defined = this.#defined.get(command)!;
    for (let word = 0; word < WORDS; word++) if ((words[word]! & ~defined[word]!) !== 0) return true;
    if (!command.checks.includes("range")) return false;
    const value = (name: string): number => getField(words, fieldNamed(command.fields, name));
    // Without a granule there is neither range nor hint, without a hint no kind of descriptor.
    if (value("TG") === 0) return [...RANGE].some((name) => value(name) !== 0);
    return value("TTL") === 0 && value("TTL128") !== 0;
  }
}
