// SPDX-License-Identifier: MIT
/** Reading VMSAv8-64 descriptors: what kind they are, where they point, how much they map (DDI 0487 D8.3). */
import { POW2 } from "../../bits/hex.ts";
import { BusStatus } from "../../memory/system-bus.ts";
import { type GranuleBits, levelShift } from "./address-size.ts";
import type { SmmuConfig } from "../config/config.ts";
import type { SmmuAccessKind, SmmuHost } from "../ports.ts";

/** Kinds of descriptor. */
export const DescriptorKind = { invalid: 0, table: 1, leaf: 2 } as const;
export type DescriptorKind = (typeof DescriptorKind)[keyof typeof DescriptorKind];

/** One descriptor, with the halves as numbers whatever the endianness in memory. */
export class Descriptor {
  hi = 0;
  lo = 0;
  readonly #words = new Uint32Array(2);
  /** How the next fetch ends, which was made already; -1: it was not. */
  #ahead = -1;

  /** Has the next fetch give what was fetched already. */
  fetched(status: BusStatus, hi: number, lo: number): void {
    this.hi = hi >>> 0;
    this.lo = lo >>> 0;
    this.#ahead = status;
  }

  /** @returns false on an external abort */
  fetch(host: SmmuHost, kind: SmmuAccessKind, address: number, level: number, bigEndian: boolean): boolean {
    if (this.#ahead >= 0) {
      const status = this.#ahead;
      this.#ahead = -1;
      return status === BusStatus.ok;
    }
    const words = this.#words;
    if (host.load(kind, address, words, 2, level) !== BusStatus.ok) return false;
    this.hi = bigEndian ? swapBytes(words[0]!) : words[1]!;
    this.lo = bigEndian ? swapBytes(words[1]!) : words[0]!;
    return true;
  }

  /** @param wide see `wideDescriptors`: with 52-bit addresses there are blocks of one more level */
  kind(granule: GranuleBits, level: number, wide: boolean): DescriptorKind {
    if ((this.lo & 1) === 0) return DescriptorKind.invalid;
    if (this.lo & 2) return level === 3 ? DescriptorKind.leaf : DescriptorKind.table;
    return blockAllowed(granule, level, wide) ? DescriptorKind.leaf : DescriptorKind.invalid;
  }

  /** The address field above bit `shift`. */
  address(shift: number, granule: GranuleBits, wide: boolean): number {
    const lo = shift >= 32 ? 0 : (this.lo & -(1 << shift)) >>> 0;
    const hi = shift > 32 ? this.hi & 0xffff & -(1 << (shift - 32)) : this.hi & 0xffff;
    return ((wide ? this.#high4(granule) << 16 : 0) | hi) * 0x1_0000_0000 + lo;
  }

  /** Address bits [51:48]: descriptor bits [15:12] with 64 KiB granules, else [9:8] and [49:48]. */
  #high4(granule: GranuleBits): number {
    return granule === 16 ? (this.lo >>> 12) & 15 : ((this.lo >>> 6) & 12) | ((this.hi >>> 16) & 3);
  }

  /** Contiguous (bit 52). */
  get contiguous(): boolean {
    return (this.hi & 0x10_0000) !== 0;
  }

  /** Protected (bit 52), where CD.PnCH is 1. */
  get protected(): boolean {
    return this.contiguous;
  }

  /** AssuredOnly (bit 58) of stage 2. */
  get assuredOnly(): boolean {
    return (this.hi & 0x0400_0000) !== 0;
  }

  /** nT (bit 16) of a block under BBML 1: it must not be cached in a way that could conflict, so it is not cached at all. */
  cacheable(level: number, config: SmmuConfig): boolean {
    return config.bbml !== 1 || level === 3 || (this.lo & 0x1_0000) === 0;
  }

  /** AttrIndx[2:0] of stage 1, with AIE AttrIndx[3:0]. */
  attrIndx(wide: boolean): number {
    return ((this.lo >>> 2) & 7) | (wide ? (this.hi >>> 24) & 8 : 0);
  }

  /** Dirty bit modifier (bit 51). */
  get dirtyBitModifier(): boolean {
    return (this.hi & 0x8_0000) !== 0;
  }

  /** AP[2] or nDirty of stage 1, S2AP[1] or Dirty of stage 2 (bit 7). */
  get bit7(): boolean {
    return (this.lo & 0x80) !== 0;
  }

  /** PIIndex of indirect permissions (bits 54, 53, 51 and 6). */
  get piIndex(): number {
    return (((this.hi >>> 21) & 3) << 2) | (((this.hi >>> 19) & 1) << 1) | ((this.lo >>> 6) & 1);
  }

  /** POIndex of stage 2 (bits [62:59]). */
  get poIndex(): number {
    return (this.hi >>> 27) & 15;
  }

  /** Access flag (bit 10). */
  get accessFlag(): boolean {
    return (this.lo & 0x400) !== 0;
  }
}

/** Reverses the bytes of a word. */
export function swapBytes(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}

function blockAllowed(granule: GranuleBits, level: number, wide: boolean): boolean {
  if (level === 2) return true;
  if (level === 1) return granule === 12 || wide;
  return level === 0 && granule === 12 && wide;
}

/** log2 of the entries that Contiguous joins at a level; in the blocks that 52-bit addresses bring it is RES0 (DDI 0487 D8.7.1). */
function contiguousBits(granule: GranuleBits, level: number): number {
  if (granule === 12) return level === 0 ? 0 : 4;
  if (level === 1) return 0;
  return granule === 14 && level === 3 ? 7 : 5;
}

/**
 * log2 of the memory that a leaf maps for a TLB entry.
 *
 * Contiguous is a hint: it is taken only where the run fits the input range and the output size and this entry's address has its
 * place in it. No entry reaches beyond the output size, where accesses have to fault (DDI 0487 D8.7.1.2).
 */
export function mappedSize(
  descriptor: Descriptor,
  granule: GranuleBits,
  level: number,
  inputBits: number,
  outputBits: number,
  output: number,
  hi: number,
  lo: number,
): number {
  const size = Math.min(levelShift(granule, level), outputBits);
  if (!descriptor.contiguous) return size;
  return runOrEntry(size, size + contiguousBits(granule, level), inputBits, outputBits, output, hi, lo);
}

/** `run` where a run of 2^run bytes fits the sizes and the entry has its place in it, else the `size` of the entry. */
export function runOrEntry(
  size: number,
  run: number,
  inputBits: number,
  outputBits: number,
  output: number,
  hi: number,
  lo: number,
): number {
  const scale = POW2[run]!;
  const offset = (hi % POW2[Math.max(0, run - 32)]!) * 0x1_0000_0000 + lo;
  const inRun = Math.floor((offset % scale) / POW2[size]!);
  const place = Math.floor((output % scale) / POW2[size]!);
  return run <= Math.min(inputBits, outputBits) && inRun === place ? run : size;
}
