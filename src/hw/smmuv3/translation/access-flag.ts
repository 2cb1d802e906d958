// SPDX-License-Identifier: MIT
/**
 * Hardware update of translation descriptors: Access flag and dirty state (IHI 0070 §3.13; DDI 0487 D8.5).
 *
 * A walk notes what it has to set and goes on; only when its stage has granted the access are the notes written, from the
 * first table down, each as one atomic compare-and-update. Where a descriptor is not what the walk had read, the walk is
 * done again.
 */
import { BusStatus } from "../../memory/system-bus.ts";
import { type Descriptor, swapBytes } from "./descriptor.ts";
import type { Descriptor128 } from "./descriptor128.ts";
import type { SmmuHost } from "../ports.ts";
import { Step, type Trail } from "./trail.ts";

/** How an update ended. */
export const Update = { done: 0, changed: 1, aborted: 2 } as const;
export type Update = (typeof Update)[keyof typeof Update];

/**
 * Walks for one translation, if the descriptor is another one each time. Updates only ever set bits, so that a walk disturbed
 * by its own updates comes to an end; memory that gives a new value for each read would not.
 */
export const MOST_WALKS = 8;

const AF = 0x400;
const BIT7 = 0x80;

/** Levels -2 to 3. */
const LEVELS = 6;

/** What one walk has to update. */
export class DescriptorUpdates {
  length = 0;
  /** Where each descriptor is, as the walk sees it: an intermediate address for a nested stage 1. */
  readonly address: Float64Array = new Float64Array(LEVELS);
  readonly #hi: Uint32Array = new Uint32Array(LEVELS);
  readonly #lo: Uint32Array = new Uint32Array(LEVELS);
  readonly #wanted: Uint32Array = new Uint32Array(LEVELS);
  readonly #place: Int32Array = new Int32Array(LEVELS);
  /** The upper half of each 128-bit descriptor, two words; those of 64 bits have none. */
  readonly #upper: Uint32Array = new Uint32Array(2 * LEVELS);
  readonly #count: Uint8Array = new Uint8Array(LEVELS);
  readonly #words = new Uint32Array(4);

  /** A table descriptor, or the leaf: its Access flag is to be 1. @param place of a leaf, its index on the trail; else -1 */
  access(address: number, descriptor: Descriptor, place: number): void {
    const i = this.length++;
    this.address[i] = address;
    this.#hi[i] = descriptor.hi;
    this.#lo[i] = descriptor.lo;
    this.#wanted[i] = descriptor.lo | AF;
    this.#place[i] = place;
    this.#count[i] = 2;
  }

  /** The same of a 128-bit descriptor. */
  access128(address: number, descriptor: Descriptor128, place: number): void {
    const i = this.length++;
    this.address[i] = address;
    this.#hi[i] = descriptor.hi;
    this.#lo[i] = descriptor.lo;
    this.#wanted[i] = descriptor.lo | AF;
    this.#place[i] = place;
    this.#upper[2 * i] = descriptor.lo2;
    this.#upper[2 * i + 1] = descriptor.hi2;
    this.#count[i] = 4;
  }

  /** The leaf noted last goes from writable-clean to writable-dirty: AP[2] or nDirty to 0, S2AP[1] or Dirty to 1. */
  dirty(): void {
    this.#wanted[this.length - 1]! ^= BIT7;
  }

  /** Whether a note asks for a change at all. */
  needed(i: number): boolean {
    return this.#wanted[i] !== this.#lo[i];
  }

  /** Carries out one note. No time passes between the comparison and the write. @param physical where the descriptor is */
  write(i: number, host: SmmuHost, physical: number, bigEndian: boolean, trail: Trail | undefined): Update {
    const words = this.#words;
    const hi = this.#hi[i]!;
    const lo = this.#lo[i]!;
    const wanted = this.#wanted[i]!;
    const count = this.#count[i]!;
    if (host.load("httu", physical, words, count) !== BusStatus.ok) return Update.aborted;
    // The lower half stands last in a big-endian descriptor.
    const low = bigEndian ? count - 1 : 0;
    const next = bigEndian ? low - 1 : 1;
    if (words[low] !== (bigEndian ? swapBytes(lo) : lo) || words[next] !== (bigEndian ? swapBytes(hi) : hi)) return Update.changed;
    if (count === 4 && !this.#sameUpper(i, bigEndian)) return Update.changed;
    words[low] = bigEndian ? swapBytes(wanted) : wanted;
    if (host.store("httu", physical, words, count) !== BusStatus.ok) return Update.aborted;
    const place = this.#place[i]!;
    if (trail !== undefined && place >= 0) {
      const cleaned = ((wanted ^ lo) & BIT7) !== 0;
      trail.update(place, wanted, cleaned ? trail.step[place]! & ~Step.clean : trail.step[place]!);
    }
    return Update.done;
  }

  #sameUpper(i: number, bigEndian: boolean): boolean {
    const words = this.#words;
    const lo = this.#upper[2 * i]!;
    const hi = this.#upper[2 * i + 1]!;
    return bigEndian ? words[1] === swapBytes(lo) && words[0] === swapBytes(hi) : words[2] === lo && words[3] === hi;
  }
}
