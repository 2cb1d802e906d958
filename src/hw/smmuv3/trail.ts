// SPDX-License-Identifier: MIT
/** Which descriptors a translation came from, for the stale-use detector. Nobody else needs it. */

/** More than any nested walk reads: four stage-1 levels, each through four of stage 2, and the last stage 2. */
const LONGEST = 64;

/** Kind of a descriptor on a trail. */
export const Step = { leaf: 1, stage2: 2, bigEndian: 4 } as const;

/** The descriptors of the walk in progress. */
export class Trail {
  readonly address: Float64Array = new Float64Array(LONGEST);
  /** Contents as they were read, after correction of endianness. */
  readonly hi: Uint32Array = new Uint32Array(LONGEST);
  readonly lo: Uint32Array = new Uint32Array(LONGEST);
  /** {@link Step} bits. */
  readonly step: Uint8Array = new Uint8Array(LONGEST);
  length = 0;

  add(address: number, hi: number, lo: number, step: number): void {
    const i = this.length++;
    this.address[i] = address;
    this.hi[i] = hi;
    this.lo[i] = lo;
    this.step[i] = step;
  }

  /** Appends what a cached stage-2 translation came from. */
  append(origin: Origin): void {
    for (let i = 0; i < origin.address.length; i++) this.add(origin.address[i]!, origin.hi[i]!, origin.lo[i]!, origin.step[i]!);
  }

  /** The descriptors from `mark` on. */
  since(mark: number): Origin {
    return {
      address: this.address.slice(mark, this.length),
      hi: this.hi.slice(mark, this.length),
      lo: this.lo.slice(mark, this.length),
      step: this.step.slice(mark, this.length),
    };
  }
}

/** The descriptors that one TLB entry came from. */
export interface Origin {
  readonly address: Float64Array;
  readonly hi: Uint32Array;
  readonly lo: Uint32Array;
  readonly step: Uint8Array;
}
