// SPDX-License-Identifier: MIT
/**
 * Bit fields of registers and of structures in memory, described by tables.
 *
 * A structure is an array of unsigned 32-bit words, little-endian, lowest first; a field is a range of absolute bit
 * numbers in it. No BigInt: fields of up to 53 bits are numbers, wider ones are read in halves.
 */

import { POW2 } from "./hex.ts";

/** A field: bits `hi` … `lo` of the structure, both counted from bit 0 of word 0. */
export interface Field {
  readonly name: string;
  readonly hi: number;
  readonly lo: number;
}

type Words = Uint32Array | readonly number[];

function wordBits(words: Words, word: number, lo: number, width: number): number {
  const value = (words[word] ?? 0) >>> lo;
  return width === 32 ? value : (value & ((1 << width) - 1)) >>> 0;
}

/**
 * Reads a field.
 * @throws RangeError for a field of more than 53 bits
 */
export function getField(words: Words, field: Field): number {
  const width = field.hi - field.lo + 1;
  if (width > 53) throw new RangeError(`field ${field.name} has ${width} bits; read it in parts`);
  let value = 0;
  let scale = 1;
  for (let lo = field.lo; lo <= field.hi;) {
    const word = lo >>> 5;
    const bits = Math.min(field.hi - lo + 1, 32 - (lo & 31));
    value += wordBits(words, word, lo & 31, bits) * scale;
    scale *= POW2[bits]!;
    lo += bits;
  }
  return value;
}

/**
 * Writes a field; bits of `value` beyond the field are an error.
 * @throws RangeError if the value does not fit or is not a whole number of at least 0
 */
export function setField(words: Uint32Array | number[], field: Field, value: number): void {
  const width = field.hi - field.lo + 1;
  if (!Number.isSafeInteger(value) || value < 0 || value >= POW2[width]!) {
    throw new RangeError(`value ${value} does not fit field ${field.name} of ${width} bits`);
  }
  let rest = value;
  for (let lo = field.lo; lo <= field.hi;) {
    const word = lo >>> 5;
    const shift = lo & 31;
    const bits = Math.min(field.hi - lo + 1, 32 - shift);
    const mask = bits === 32 ? -1 : ((1 << bits) - 1) << shift;
    words[word] = (((words[word] ?? 0) & ~mask) | ((rest << shift) & mask)) >>> 0;
    rest = Math.floor(rest / POW2[bits]!);
    lo += bits;
  }
}

/** The mask of a field that lies within one 32-bit word, for code that tests registers. */
export function fieldMask32(field: Field): number {
  const width = field.hi - field.lo + 1;
  return (width === 32 ? 0xffff_ffff : ((1 << width) - 1) << (field.lo & 31)) >>> 0;
}

/** Finds a field by name. @throws RangeError if the table has none of that name */
export function fieldNamed<T extends Field>(fields: readonly T[], name: string): T {
  const field = fields.find((candidate) => candidate.name === name);
  if (!field) throw new RangeError(`no field is called ${name}`);
  return field;
}
