// SPDX-License-Identifier: MIT
/** Which descriptors a translation came from, for the stale-use detector. Nobody else needs it. */
import type { Descriptor128 } from "./descriptor128.ts";

/** More than any nested walk reads: each level of stage 1 through all of stage 2, once more for its update, and the last stage 2. */
const LONGEST = 128;

/** Kind of a descriptor on a trail; lpa2: a 4 or 16 KiB granule with 52-bit addresses. */
export const Step = {
  leaf: 1,
  stage2: 2,
  bigEndian: 4,
  lpa2: 8,
  /** Translation hardening: bit 52 of stage 1 is Protected, bit 58 of stage 2 AssuredOnly. */
  hardened: 16,
  /** Writable-clean: hardware may change bit 7, and that makes nothing stale. */
  clean: 32,
  /** Bit 51 has a meaning. */
  bit51: 64,
  /** So have AttrIndx[3] of stage 1, POIndex of stage 2. */
  upper: 128,
  /** A descriptor of 128 bits. */
  d128: 256,
} as const;

const NONE = new Uint32Array(0);

/** The descriptors of the walk in progress. */
export class Trail {
  readonly address: Float64Array = new Float64Array(LONGEST);
  /** Contents as they were read, after correction of endianness. */
  readonly hi: Uint32Array = new Uint32Array(LONGEST);
  readonly lo: Uint32Array = new Uint32Array(LONGEST);
  /** {@link Step} bits. */
  readonly step: Uint16Array = new Uint16Array(LONGEST);
  /** The upper half of each descriptor of 128 bits, two words. */
  readonly upper: Uint32Array = new Uint32Array(2 * LONGEST);
  length = 0;

  add(address: number, hi: number, lo: number, step: number): void {
    const i = this.length++;
    this.address[i] = address;
    this.hi[i] = hi;
    this.lo[i] = lo;
    this.step[i] = step;
  }

  /** A descriptor of 128 bits. */
  add128(address: number, { lo, hi, lo2, hi2 }: Descriptor128, step: number): void {
    this.upper[2 * this.length] = lo2;
    this.upper[2 * this.length + 1] = hi2;
    this.add(address, hi, lo, step | Step.d128);
  }

  /** Says more about the descriptor noted last. */
  mark(step: number): void {
    this.step[this.length - 1]! |= step;
  }

  /** A descriptor of the walk in progress was updated. */
  update(index: number, lo: number, step: number): void {
    this.lo[index] = lo;
    this.step[index] = step;
  }

  /** Appends what a cached stage-2 translation came from. */
  append(origin: Origin): void {
    for (let i = 0; i < origin.length; i++) {
      this.upper[2 * this.length] = origin.upper[2 * i] ?? 0;
      this.upper[2 * this.length + 1] = origin.upper[2 * i + 1] ?? 0;
      this.add(origin.address[i]!, origin.hi[i]!, origin.lo[i]!, origin.step[i]!);
    }
  }
}

/** The descriptors that one TLB entry came from. Reused from entry to entry of a slot, so that keeping one allocates nothing. */
export class Origin {
  address: Float64Array = new Float64Array(4);
  hi: Uint32Array = new Uint32Array(4);
  lo: Uint32Array = new Uint32Array(4);
  step: Uint16Array = new Uint16Array(4);
  /** As in a trail; empty while there was no descriptor of 128 bits. */
  upper: Uint32Array = NONE;
  length = 0;
  /** The tables that the walk started from; -1: none of that stage. */
  table2 = -1;
  table1 = -1;

  /** Takes over the descriptors of a trail from `mark` on. */
  take(trail: Trail, mark: number, table2: number, table1: number): void {
    const length = trail.length - mark;
    if (length > this.address.length) {
      this.address = new Float64Array(length);
      this.hi = new Uint32Array(length);
      this.lo = new Uint32Array(length);
      this.step = new Uint16Array(length);
    }
    let wide = 0;
    for (let i = 0; i < length; i++) {
      this.address[i] = trail.address[mark + i]!;
      this.hi[i] = trail.hi[mark + i]!;
      this.lo[i] = trail.lo[mark + i]!;
      this.step[i] = trail.step[mark + i]!;
      wide |= this.step[i]! & Step.d128;
    }
    if (wide !== 0) {
      if (2 * length > this.upper.length) this.upper = new Uint32Array(2 * length);
      for (let i = 0; i < 2 * length; i++) this.upper[i] = trail.upper[2 * mark + i]!;
    }
    this.length = length;
    this.table2 = table2;
    this.table1 = table1;
  }
}
