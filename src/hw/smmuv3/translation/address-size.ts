// SPDX-License-Identifier: MIT
/** Granules, address size codes and the arithmetic of table levels (IHI 0070 §3.4; DDI 0487 D8.2). */
import { POW2 } from "../../bits/hex.ts";
import type { SmmuConfig } from "../config/config.ts";

/** log2 of a translation granule. */
export type GranuleBits = 12 | 14 | 16;

const CODE_BITS: readonly number[] = [32, 36, 40, 42, 44, 48, 52, 52];

/** Bits of an address size code (CD.IPS, STE.S2PS), capped to the output address size. */
export function effectiveSize(code: number, config: SmmuConfig): number {
  const bits = code === 6 && config.version === 0 ? 48 : CODE_BITS[code & 7]!;
  return Math.min(bits, config.oas);
}

/**
 * True if descriptors hold addresses of 52 bits: those of 64 KiB granules where such addresses are output, those of the others
 * under LPA2.
 * @param ds CD.DS or STE.S2DS, which are RES0 where IDR5.DS is 0
 */
export function wideDescriptors(granule: GranuleBits, ds: number, config: SmmuConfig): boolean {
  return granule === 16 ? config.oas === 52 : config.ds && ds === 1;
}

/** The size of addresses in descriptors and TTB fields: {@link effectiveSize}, at most 48 bits in descriptors that hold no more. */
export function descriptorSize(wide: boolean, effective: number): number {
  return wide ? effective : Math.min(effective, 48);
}

/** The largest TxSZ and S2T0SZ (§5.2, §5.4). */
export function largestTxsz(granule: GranuleBits | undefined, config: SmmuConfig): number {
  if (!config.stt) return 39;
  return granule === 16 ? 47 : 48;
}

/** The smallest TxSZ and S2T0SZ as far as granule and DS decide it. */
export function smallestTxsz(granule: GranuleBits | undefined, ds: number, config: SmmuConfig): number {
  return granule === 16 || (config.ds && ds === 1) ? 12 : 16;
}

/** True if IDR5 names the granule. */
export function granuleImplemented(granule: GranuleBits, config: SmmuConfig): boolean {
  return granule === 12 ? config.gran4k : granule === 14 ? config.gran16k : config.gran64k;
}

/** Index bits of a full table. */
export function strideOf(granule: GranuleBits): number {
  return granule - 3;
}

/** log2 of the memory that one entry at `level` maps. */
export function levelShift(granule: GranuleBits, level: number): number {
  return granule + (3 - level) * strideOf(granule);
}

/** The first level of a stage-1 walk of `inputBits`: -1 for 49 to 52 bits with 4 KiB granules. */
export function stage1StartLevel(granule: GranuleBits, inputBits: number): number {
  return 4 - Math.ceil((inputBits - granule) / strideOf(granule));
}

/**
 * Aligns a table base down to the size of its first table.
 * @param effective effective IPS or S2PS: where it is 52 bits, tables are aligned to at least 64 bytes, whatever their
 *   granule and DS (§5.4 CD.TTB0, §5.2 S2TTB)
 */
export function alignTable(base: number, granule: GranuleBits, startLevel: number, inputBits: number, effective: number): number {
  const entries = inputBits - levelShift(granule, startLevel);
  const size = 2 ** Math.max(entries + 3, effective === 52 ? 6 : 0);
  return base - (base % size);
}

/**
 * Offset of the entry that translates an address in a table at `level`.
 * @param first the first table of the walk takes all remaining bits of the address, concatenated tables included
 */
export function entryOffset(granule: GranuleBits, level: number, inputBits: number, first: boolean, hi: number, lo: number): number {
  const shift = levelShift(granule, level);
  return 8 * field64(hi, lo, shift, first ? inputBits - shift : strideOf(granule));
}

/** `width` (at most 30) bits from bit `shift` on of a 64-bit value. */
function field64(hi: number, lo: number, shift: number, width: number): number {
  const value = shift >= 32 ? hi >>> (shift - 32) : shift === 0 ? lo : (lo >>> shift) | (hi << (32 - shift));
  return value & ((1 << width) - 1);
}

/** True if a 64-bit value is 2^bits or more. @param bits 32 … 63 */
export function exceeds(hi: number, bits: number): boolean {
  return hi >>> (bits - 32) !== 0;
}

/** The base of a mapping with the low `size` (12 … 63) bits of an address. */
export function withOffset(base: number, size: number, hi: number, lo: number): number {
  const low = size >= 32 ? lo : lo & ((1 << size) - 1);
  const high = size > 32 ? hi & ((1 << (size - 32)) - 1) : 0;
  return base + (high >>> 0) * 0x1_0000_0000 + (low >>> 0);
}

/**
 * True if an address that a descriptor gives is 2^bits or more. A block may be larger than all that may be output: then the
 * offset counts too (§3.4).
 * @param shift log2 of the bytes that the descriptor maps, or of the granule for a table
 * @param hi,lo the address that is translated
 */
export function exceedsOutput(base: number, shift: number, bits: number, hi: number, lo: number): boolean {
  return base >= POW2[bits]! || (shift > bits && withOffset(base, shift, hi, lo) >= POW2[bits]!);
}

/** True if the bits from `inputBits` up are what the half demands: all zero for TTB0, all ones for TTB1. */
export function inRange(inputBits: number, upper: boolean, hi: number, lo: number): boolean {
  const sign = upper ? -1 : 0;
  if (inputBits >= 32) return (hi | 0) >> (inputBits - 32) === sign;
  return (hi | 0) === sign && (lo | 0) >> inputBits === sign;
}
