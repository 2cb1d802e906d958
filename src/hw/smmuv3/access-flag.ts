// SPDX-License-Identifier: MIT
/**
 * Hardware update of translation descriptors: Access flag and dirty state (IHI 0070 §3.13; DDI 0487 D8.5).
 *
 * A walk notes what it has to set and goes on; only when its stage has granted the access are the notes written, from the
 * first table down, each as one atomic compare-and-update. Where a descriptor is not what the walk had read, the walk is
 * done again.
 */
import { BusStatus } from "../memory/system-bus.ts";
import { type Descriptor, swapBytes } from "./descriptor.ts";
import type { SmmuHost } from "./ports.ts";
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

/** Levels -1 to 3. */
const LEVELS = 5;

/** What one walk has to update. */
export class DescriptorUpdates {
  length = 0;
  /** Where each descriptor is, as the walk sees it: an intermediate address for a nested stage 1. */
  readonly address: Float64Array = new Float64Array(LEVELS);
  readonly #hi: Uint32Array = new Uint32Array(LEVELS);
  readonly #lo: Uint32Array = new Uint32Array(LEVELS);
  readonly #wanted: Uint32Array = new Uint32Array(LEVELS);
  readonly #place: Int32Array = new Int32Array(LEVELS);
  readonly #words = new Uint32Array(2);

  /** A table descriptor, or the leaf: its Access flag is to be 1. @param place of a leaf, its index on the trail; else -1 */
  access(address: number, descriptor: Descriptor, place: number): void {
    const i = this.length++;
    this.address[i] = address;
    this.#hi[i] = descriptor.hi;
    this.#lo[i] = descriptor.lo;
    this.#wanted[i] = descriptor.lo | AF;
    this.#place[i] = place;
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
    if (host.load("httu", physical, words, 2) !== BusStatus.ok) return Update.aborted;
    if (words[0] !== (bigEndian ? swapBytes(hi) : lo) || words[1] !== (bigEndian ? swapBytes(lo) : hi)) return Update.changed;
    if (bigEndian) words[1] = swapBytes(wanted);
    else words[0] = wanted;
    if (host.store("httu", physical, words, 2) !== BusStatus.ok) return Update.aborted;
    const place = this.#place[i]!;
    if (trail !== undefined && place >= 0) {
      const cleaned = ((wanted ^ lo) & BIT7) !== 0;
      trail.update(place, wanted, cleaned ? trail.step[place]! & ~Step.clean : trail.step[place]!);
    }
    return Update.done;
  }
}
