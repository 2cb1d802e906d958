// SPDX-License-Identifier: MIT
/** Which bits of a command are RES0 here: those outside its fields, and fields of what is not implemented (IHI 0070 §4.1.5). */
import type { Field } from "../../bits/fields.ts";
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
const GRANULE: ReadonlySet<string> = new Set(["TG"]);
const LEVEL: ReadonlySet<string> = new Set(["TTL"]);
const FORMAT: ReadonlySet<string> = new Set(["TTL128"]);

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

/** The bits of some fields of a command. */
function bitsOf(command: SmmuCommand, names: ReadonlySet<string>): Uint32Array {
  const masks = new Uint32Array(WORDS);
  for (const field of command.fields) if (names.has(field.name)) addBits(masks, field.hi, field.lo);
  return masks;
}

function anyOf(words: Uint32Array, masks: Uint32Array): boolean {
  return ((words[0]! & masks[0]!) | (words[1]! & masks[1]!) | (words[2]! & masks[2]!) | (words[3]! & masks[3]!)) !== 0;
}

/** Of one command: the bits that are RES0, and the fields that may be so by what others hold. */
class Reserved {
  readonly always: Uint32Array;
  readonly isRange: boolean;
  readonly range: Uint32Array;
  readonly granule: Uint32Array;
  readonly level: Uint32Array;
  readonly format: Uint32Array;

  constructor(command: SmmuCommand, config: SmmuConfig) {
    const defined = new Uint32Array(WORDS);
    for (const field of [OPCODE, ...command.fields]) addBits(defined, topOf(field, config), field.lo);
    this.always = defined.map((bits) => ~bits);
    this.isRange = command.checks.includes("range");
    this.range = bitsOf(command, RANGE);
    this.granule = bitsOf(command, GRANULE);
    this.level = bitsOf(command, LEVEL);
    this.format = bitsOf(command, FORMAT);
  }
}

export class ReservedCommandBits {
  /** By opcode. */
  readonly #reserved: (Reserved | undefined)[] = [];

  constructor(config: SmmuConfig) {
    for (const command of smmuCommands) this.#reserved[command.opcode] = new Reserved(command, config);
  }

  /** True if a command sets a bit that is RES0. */
  areSet(command: SmmuCommand, words: Uint32Array): boolean {
    const reserved = this.#reserved[command.opcode]!;
    if (anyOf(words, reserved.always)) return true;
    if (!reserved.isRange) return false;
    // Without a granule there is neither range nor hint, without a hint no kind of descriptor.
    if (!anyOf(words, reserved.granule)) return anyOf(words, reserved.range);
    return !anyOf(words, reserved.level) && anyOf(words, reserved.format);
  }
}
