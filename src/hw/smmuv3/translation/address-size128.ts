// SPDX-License-Identifier: MIT
/** The arithmetic of table levels with 128-bit descriptors (DDI 0487 D8.2.11). */
import type { GranuleBits } from "./address-size.ts";

/** Index bits of a table that no level was skipped for. */
export function strideOf128(granule: GranuleBits): number {
  return granule - 4;
}

/** log2 of the memory that one entry at `level` (-2 … 3) maps. */
export function levelShift128(granule: GranuleBits, level: number): number {
  return granule + (3 - level) * strideOf128(granule);
}

/** The first level of a walk of `inputBits` of which SKL skips `skip` levels; beyond 3 there is no walk. */
export function startLevel128(granule: GranuleBits, inputBits: number, skip: number): number {
  return 3 - Math.floor((inputBits - 1 - granule) / strideOf128(granule)) + skip;
}

/** Aligns a table base down to the size of its first table, at least 32 bytes (§5.4 CD.TTB0, §5.2 S2TTB). */
export function alignTable128(base: number, granule: GranuleBits, startLevel: number, inputBits: number): number {
  const size = 2 ** Math.max(inputBits - levelShift128(granule, startLevel) + 4, 5);
  return base - (base % size);
}

/**
 * Offset of the entry that translates an address in a table.
 * @param shift log2 of the memory that one entry maps
 * @param width log2 of the table's entries: up to 40 where levels are skipped
 */
export function entryOffset128(shift: number, width: number, hi: number, lo: number): number {
  const top = shift + width;
  const high = top > 32 ? hi & ((1 << (top - 32)) - 1) : 0;
  const low = (top >= 32 ? lo : lo & ((1 << top) - 1)) >>> 0;
  return 16 * (shift >= 32 ? high >>> (shift - 32) : high * 2 ** (32 - shift) + (low >>> shift));
}
