// SPDX-License-Identifier: MIT
/** Reading VMSAv9-128 descriptors: what kind they are, where they point, how much they map (DDI 0487 D8.3.2). */
import { BusStatus } from "../../memory/system-bus.ts";
import { type GranuleBits } from "./address-size.ts";
import { levelShift128, strideOf128 } from "./address-size128.ts";
import type { SmmuConfig } from "../config/config.ts";
import { DescriptorKind, runOrEntry, swapBytes } from "./descriptor.ts";
import type { SmmuAccessKind, SmmuHost } from "../ports.ts";

/** What a table descriptor says of the table below, in the walk cache beside TableLimit.notAssured. */
export const NO_CONTIGUOUS = 32;
const SKIP_SHIFT = 6;

/** How many levels lie between a descriptor that the walk cache has and the table that it leads to. */
export function skipOf(limits: number): number {
  return limits >>> SKIP_SHIFT;
}

/** One descriptor, with its words in ascending order whatever the endianness in memory. */
export class Descriptor128 {
  /** Bits [31:0], [63:32], [95:64], [127:96]. */
  lo = 0;
  hi = 0;
  lo2 = 0;
  hi2 = 0;
  readonly #words = new Uint32Array(4);

  /** One access, as 16 bytes are read at once (§3.21.3). @returns false on an external abort */
  fetch(host: SmmuHost, kind: SmmuAccessKind, address: number, level: number, bigEndian: boolean): boolean {
    const words = this.#words;
    if (host.load(kind, address, words, 4, level) !== BusStatus.ok) return false;
    this.lo = bigEndian ? swapBytes(words[3]!) : words[0]!;
    this.hi = bigEndian ? swapBytes(words[2]!) : words[1]!;
    this.lo2 = bigEndian ? swapBytes(words[1]!) : words[2]!;
    this.hi2 = bigEndian ? swapBytes(words[0]!) : words[3]!;
    return true;
  }

  /** SKL (bits [110:109]): in a table descriptor levels that are skipped, in a leaf those that are left out. */
  get skip(): number {
    return (this.hi2 >>> 13) & 3;
  }

  /** Level and SKL together tell the kind; tables and blocks of 64 GiB are for 4 KiB granules alone. */
  kind(granule: GranuleBits, level: number): DescriptorKind {
    const { skip } = this;
    const last = level + skip;
    if ((this.lo & 1) === 0 || last > 3 || (skip === 3 && granule !== 12)) return DescriptorKind.invalid;
    return last === 3 ? DescriptorKind.leaf : DescriptorKind.table;
  }

  /** log2 of the size of the table that a table descriptor leads to. */
  tableSize(granule: GranuleBits): number {
    return granule + this.skip * strideOf128(granule);
  }

  /** The address field (bits [55:12]) above bit `shift`. */
  address(shift: number): number {
    const lo = shift >= 32 ? 0 : (this.lo & -(1 << shift)) >>> 0;
    const hi = shift > 32 ? this.hi & 0xff_ffff & -(1 << (shift - 32)) : this.hi & 0xff_ffff;
    return hi * 0x1_0000_0000 + lo;
  }

  /** What it says of the table below, as the walk cache keeps it. */
  get limits(): number {
    return ((this.hi2 & 0x1_0000) === 0 ? 0 : NO_CONTIGUOUS) | (this.skip << SKIP_SHIFT);
  }

  /** Contiguous (bit 111). */
  get contiguous(): boolean {
    return (this.hi2 & 0x8000) !== 0;
  }

  /** Protected of stage 1, AssuredOnly of stage 2 (bit 114). */
  get hardened(): boolean {
    return (this.hi2 & 0x4_0000) !== 0;
  }

  /** nT (bit 6, where SKL is not 0) under BBML 1: it must not be cached in a way that could conflict, so it is not cached at all. */
  cacheable(config: SmmuConfig): boolean {
    return config.bbml !== 1 || this.skip === 0 || (this.lo & 0x40) === 0;
  }

  /** AttrIndx[2:0] of stage 1, with AIE AttrIndx[3:0]. */
  attrIndx(wide: boolean): number {
    return (this.lo >>> 2) & (wide ? 15 : 7);
  }

  /** nDirty of stage 1, Dirty of stage 2 (bit 7). */
  get bit7(): boolean {
    return (this.lo & 0x80) !== 0;
  }

  /** PIIndex (bits [118:115]). */
  get piIndex(): number {
    return (this.hi2 >>> 19) & 15;
  }

  /** POIndex of stage 2 (bits [124:121]). */
  get poIndex(): number {
    return (this.hi2 >>> 25) & 15;
  }

  /** Access flag (bit 10). */
  get accessFlag(): boolean {
    return (this.lo & 0x400) !== 0;
  }
}

/** log2 of the entries that Contiguous joins, by level from 0 on; 0: it is RES0 (DDI 0487 D8.7.1). */
const CONTIGUOUS: Readonly<Record<GranuleBits, readonly number[]>> = { 12: [0, 2, 4, 4], 14: [0, 2, 4, 6], 16: [0, 0, 6, 4] };

/** log2 of the memory that a leaf maps for a TLB entry. @param contiguous its Contiguous bit, unless the table above disables it */
export function mappedSize128(
  contiguous: boolean,
  granule: GranuleBits,
  level: number,
  inputBits: number,
  outputBits: number,
  output: number,
  hi: number,
  lo: number,
): number {
  const size = Math.min(levelShift128(granule, level), outputBits);
  return contiguous ? runOrEntry(size, size + CONTIGUOUS[granule][level]!, inputBits, outputBits, output, hi, lo) : size;
}
