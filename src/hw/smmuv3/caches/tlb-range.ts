// SPDX-License-Identifier: MIT
/** Which addresses a TLBI by address covers (IHI 0070 §4.4.1.1). */
import { POW2 } from "../../bits/hex.ts";
import type { GranuleBits } from "../translation/address-size.ts";
import type { TlbiAddress } from "../ports.ts";

/** log2 of what a TLBI without a range covers. */
const SMALLEST = 12;

/** TG of a TLBI command to granule; 0 is any. */
function tlbiGranule(tg: number): GranuleBits | 0 {
  return ([0, 12, 14, 16] as const)[tg & 3]!;
}

/** An inclusive range of 64-bit addresses, with the hints that narrow it. */
export class TlbiRange {
  startHi = 0;
  startLo = 0;
  endHi = 0;
  endLo = 0;
  /** Granule of the entries meant, 0: any. */
  granule: GranuleBits | 0 = 0;
  /** Level of the entries meant, 0: any. */
  level = 0;
  /** The level is one of 128-bit descriptors, or of 64-bit ones; undefined: of any. */
  d128: boolean | undefined = undefined;
  /** Leaf: table descriptors are not meant. */
  leaf = false;
  /** Entries with ASET 1 are not meant. */
  sparesPrivate = false;

  /**
   * @param virtual VAs are compared with bits [63:56] as copies of bit 55, as entries under TBI are kept
   */
  set(address: TlbiAddress, virtual: boolean): this {
    this.leaf = address.leaf;
    this.sparesPrivate = false;
    this.granule = tlbiGranule(address.tg);
    this.level = this.granule === 0 ? 0 : address.ttl;
    this.d128 = this.level === 0 ? undefined : address.ttl128;
    this.startHi = virtual ? canonicalHi(address.hi) : address.hi >>> 0;
    this.startLo = (address.lo & ~0xfff) >>> 0;
    // The last byte, in halves: with IDR5.DS a range has up to 2^60 bytes.
    const granules = this.granule === 0 ? 1 : (address.num + 1) * POW2[address.scale]!;
    const granule = this.granule || SMALLEST;
    const perWord = POW2[32 - granule]!;
    const words = Math.floor(granules / perWord);
    const lo = this.startLo + (granules - words * perWord) * POW2[granule]! - 1;
    const hi = this.startHi + words + Math.floor(lo / 0x1_0000_0000);
    // A range that runs beyond the top of the address space does not wrap.
    this.endHi = Math.min(hi, 0xffff_ffff);
    this.endLo = hi > 0xffff_ffff ? 0xffff_ffff : lo >>> 0;
    return this;
  }

  /** All addresses, with no hints. */
  setAll(): this {
    this.leaf = false;
    this.granule = 0;
    this.level = 0;
    this.startHi = 0;
    this.startLo = 0;
    this.endHi = 0xffff_ffff;
    this.endLo = 0xffff_ffff;
    this.sparesPrivate = false;
    return this;
  }

  /** Number of the first piece of 2^size bytes that the range touches, counted from address 0. @param size 12 or more */
  firstPage(size: number): number {
    return Math.floor((this.startHi * 0x10_0000 + (this.startLo >>> 12)) / POW2[size - 12]!);
  }

  /** The last one, likewise. */
  lastPage(size: number): number {
    return Math.floor((this.endHi * 0x10_0000 + (this.endLo >>> 12)) / POW2[size - 12]!);
  }

  /** True if the range and the `2^size` bytes from (hi, lo) on overlap. */
  overlaps(hi: number, lo: number, size: number): boolean {
    const lastHi = (size > 32 ? hi | (POW2[size - 32]! - 1) : hi) >>> 0;
    const lastLo = (size >= 32 ? 0xffff_ffff : lo | ((1 << size) - 1)) >>> 0;
    return !below(lastHi, lastLo, this.startHi, this.startLo) && !below(this.endHi, this.endLo, hi >>> 0, lo >>> 0);
  }
}

function below(aHi: number, aLo: number, bHi: number, bLo: number): boolean {
  return aHi < bHi || (aHi === bHi && aLo < bLo);
}

/** The high half of a VA with bits [63:56] replaced by copies of bit 55. */
export function canonicalHi(hi: number): number {
  return ((hi << 8) >> 8) >>> 0;
}
