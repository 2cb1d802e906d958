// SPDX-License-Identifier: MIT
/** Numbers as the specification writes them. */

/** `0x` and at least `digits` hexadecimal digits. @param value 0 … 2^53 - 1 */
export function hex(value: number, digits: number = 1): string {
  return `0x${value.toString(16).padStart(digits, "0")}`;
}

/** A 64-bit value given as two unsigned 32-bit halves, as `0x` and 16 digits. */
export function hex64(hi: number, lo: number): string {
  return `0x${(hi >>> 0).toString(16).padStart(8, "0")}${(lo >>> 0).toString(16).padStart(8, "0")}`;
}

/** Joins two unsigned 32-bit halves to a number. Exact below 2^53: physical addresses always, other values by knowledge. */
export function join64(hi: number, lo: number): number {
  return (hi >>> 0) * 0x1_0000_0000 + (lo >>> 0);
}

/** The upper 32 bits of a number below 2^53. */
export function high32(value: number): number {
  return Math.floor(value / 0x1_0000_0000) >>> 0;
}

/** The lower 32 bits of a number below 2^53. */
export function low32(value: number): number {
  return value >>> 0;
}

/** 2^n for n of 0 … 63: faster than the operator, which is a general power. */
export const POW2: Float64Array = Float64Array.from({ length: 64 }, (_, n) => 2 ** n);
