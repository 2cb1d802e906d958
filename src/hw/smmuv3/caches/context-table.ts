// SPDX-License-Identifier: MIT
/**
 * The contexts of a cache by their group and what tells them apart in it. A hash over one array, because maintenance asks for
 * contexts that have long left the host's caches: a place and the context itself is all that it then waits for.
 */
import type { TagContext } from "./tagged-cache.ts";

const FEWEST = 64;

export class ContextTable {
  /** A power of two of places, at most a quarter of them taken; a context lies at the first free one from its own on. */
  #places: (TagContext | undefined)[] = emptyPlaces(FEWEST);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  find(group: number, member: number): TagContext | undefined {
    const places = this.#places;
    const mask = places.length - 1;
    for (let at = hash(group, member) & mask; ; at = (at + 1) & mask) {
      const context = places[at];
      if (context === undefined || (context.member === member && context.group === group)) return context;
    }
  }

  add(context: TagContext): void {
    if (4 * ++this.#count > this.#places.length) this.#resize(2 * this.#places.length);
    this.#put(context);
  }

  /** Takes contexts out. */
  removeAll(which: (context: TagContext) => boolean): void {
    const kept = this.#places.filter((context) => context !== undefined && !which(context));
    this.clear();
    for (const context of kept) this.add(context!);
  }

  clear(): void {
    this.#places = emptyPlaces(FEWEST);
    this.#count = 0;
  }

  #resize(size: number): void {
    const old = this.#places;
    this.#places = emptyPlaces(size);
    for (const context of old) if (context !== undefined) this.#put(context);
  }

  #put(context: TagContext): void {
    const mask = this.#places.length - 1;
    let at = hash(context.group, context.member) & mask;
    while (this.#places[at] !== undefined) at = (at + 1) & mask;
    this.#places[at] = context;
  }
}

function emptyPlaces(size: number): (TagContext | undefined)[] {
  return Array.from({ length: size }, () => undefined);
}

function hash(group: number, member: number): number {
  const mixed = Math.imul(group, 0x9e37_79b1) ^ Math.imul(member, 0x85eb_ca6b);
  return mixed ^ (mixed >>> 15);
}
