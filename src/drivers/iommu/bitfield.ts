// SPDX-License-Identifier: GPL-2.0-only
/**
 * Masks and fields of registers and descriptors, after Linux 7.1 include/linux/bits.h and include/linux/bitfield.h: plain names
 * work on unsigned 32-bit numbers, names ending in `_ULL` on 64-bit bigints. Left out: all but what the drivers use.
 */

/** Bits `high` … `low` set. @param high 0 … 31, at least `low` */
export function GENMASK(high: number, low: number): number {
  return (2 ** (high + 1) - 2 ** low) >>> 0;
}

/** Bit `n` set, 0 … 31. */
export function BIT(n: number): number {
  return (1 << n) >>> 0;
}

/** Puts `value` into the field `mask`; bits that do not fit are dropped. */
export function FIELD_PREP(mask: number, value: number): number {
  return (Math.imul(value, mask & -mask) & mask) >>> 0;
}

/** Takes the field `mask` out of `word`. */
export function FIELD_GET(mask: number, word: number): number {
  return ((word & mask) >>> 0) / ((mask & -mask) >>> 0);
}

/** Bits `high` … `low` set. @param high 0 … 63, at least `low` */
export function GENMASK_ULL(high: number, low: number): bigint {
  return (1n << BigInt(high + 1)) - (1n << BigInt(low));
}

/** Bit `n` set, 0 … 63. */
export function BIT_ULL(n: number): bigint {
  return 1n << BigInt(n);
}

/** Puts `value` into the field `mask`; bits that do not fit are dropped. */
export function FIELD_PREP_ULL(mask: bigint, value: bigint | number): bigint {
  return (BigInt(value) * (mask & -mask)) & mask;
}

/** Takes the field `mask` out of `word`; fields of at most 53 bits. */
export function FIELD_GET_ULL(mask: bigint, word: bigint): number {
  return Number((word & mask) / (mask & -mask));
}

/** The number of the highest set bit of a power of two or other positive integer below 2^53. */
export function ilog2(value: number): number {
  return value < 2 ** 32 ? 31 - Math.clz32(value) : 63 - Math.clz32(Math.floor(value / 2 ** 32));
}

/** The number of the lowest set bit of a positive integer below 2^53. */
export function __ffs(value: number): number {
  const low = value >>> 0;
  return low !== 0 ? ilog2((low & -low) >>> 0) : 32 + __ffs(Math.floor(value / 2 ** 32));
}
