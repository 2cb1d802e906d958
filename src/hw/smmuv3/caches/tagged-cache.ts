// SPDX-License-Identifier: MIT
/**
 * The store behind the TLB and the walk caches: entries that lie in contexts, found by context, size and address.
 *
 * A context stands for one set of tags (StreamWorld, VMID, ASID, …). Each of its entries carries the context's number, and a
 * context whose entries all go at once just takes another number and hands the list of its slots to the free list: what that
 * costs does not grow with the number of entries. Slots are found by a hash, one probe for each size that the context has in
 * use. When all slots are taken, the next victim is chosen without looking at hits.
 */

import { POW2 } from "../../bits/hex.ts";
import { ContextTable } from "./context-table.ts";
import type { FrontClass, FrontTier } from "./front-tier.ts";
import type { TlbiRange } from "./tlb-range.ts";
import { memberOfKey } from "./tlb-tags.ts";

/** Smallest entry, log2 of bytes. */
const SMALLEST = 12;
/** Largest: a 128-bit table descriptor at level -1 with 16 KiB granules. */
const LARGEST = 54;

/** A slot is a row of words: what the cache proper has, then what its subclass has. A row is one line of a host's cache. */
const SHIFT = 4;
// Word 0 is the number of the context, or 0.
const HI = 1;
const LO = 2;
/** log2 of bytes, and {@link SPLINTER}. */
const SIZE = 3;
/** Next slot of the same bucket. Slots that a context has handed over stay in their buckets until they are used again. */
const CHAIN = 4;
/** Neighbours in the context's list; AFTER links free slots, too. */
const BEFORE = 5;
const AFTER = 6;
/** Index of the context. */
const OWNER = 7;
/** Its bucket. */
const BUCKET = 15;
const SPLINTER = 0x100;
/** Of every row: log2 of its words, and the word with its size in the low byte. Words 8 to 14 are a subclass's. */
export const ROW = { shift: 4, size: 3 } as const;

/** Which entry makes room when all slots are taken. Neither way looks at hits. */
export type Replacement = "round-robin" | "random";

/** The entries that have all tags in common. Belongs to one cache; its counts are the cache's to change. */
export class TagContext {
  // What maintenance needs comes first: it lies together then.
  readonly group: number;
  /** What tells it apart from others of its group. */
  readonly member: number;
  /** What its entries carry; never 0. Another one when all of them were dropped. */
  tag: number;
  count = 0;
  /** Its slots, as a list. */
  first = -1;
  last = -1;
  /** Sizes that its entries may have: bit n is 2^(12 + n) bytes. */
  sizes = 0;
  /** Entries that are smaller than the leaf they came from. */
  splinters = 0;
  /** The first class of the front tier that looks here first, and the first that looks here behind a context of its own. */
  front: FrontClass | undefined = undefined;
  frontBehind: FrontClass | undefined = undefined;
  /** The cache has let go of it: ask for the context again. */
  retired = false;
  /** Its place among the contexts of the cache. */
  readonly index: number;
  readonly key: number;
  /** ASETs of the global contexts with which the front tier combines this one: a bit for each. */
  asets = 0;

  constructor(key: number, group: number, index: number, tag: number) {
    this.group = group;
    this.member = memberOfKey(key);
    this.tag = tag;
    this.index = index;
    this.key = key;
  }
}

export abstract class TaggedCache {
  /** Slots. 0: nothing is cached. */
  readonly capacity: number;
  /** Identities of the entries, for the stale-use detector: 0 where none was given. */
  readonly entryId: Uint32Array;
  /** Called for each entry that maintenance drops, before it goes. */
  readonly #onDrop: ((slot: number) => void) | undefined;
  /** Is told what goes. */
  front: FrontTier | undefined;
  /** The rows, one behind the other. Their words are this module's and its subclasses', and what those say of them. */
  readonly words: Int32Array;
  readonly #heads: Int32Array;
  /** Of a hash, the upper bits are its bucket. */
  readonly #hashShift: number;
  #freeFirst = -1;
  #freeLast = -1;
  #live = 0;
  #hand = 0;
  #random = 1;
  #lastTag = 0;
  readonly #atRandom: boolean;
  /** Contexts by their index. */
  readonly #owners: (TagContext | undefined)[] = [];
  readonly #freeIndices: number[] = [];
  readonly #contexts = new ContextTable();
  readonly #groups = new Map<number, Set<TagContext>>();

  constructor(capacity: number, replacement: Replacement = "round-robin", onDrop?: (slot: number) => void) {
    this.capacity = capacity;
    this.#atRandom = replacement === "random";
    this.#onDrop = onDrop;
    this.entryId = new Uint32Array(capacity);
    this.words = new Int32Array(capacity << SHIFT);
    // Four buckets for each slot: most have one entry or none, and then the way through them is foreseen.
    const log2 = 2 + Math.ceil(Math.log2(Math.max(2, capacity)));
    this.#heads = new Int32Array(2 ** log2).fill(-1);
    this.#hashShift = 32 - log2;
    this.reset();
  }

  /** Entries in use. */
  get entriesInUse(): number {
    return this.#live;
  }

  /** Forgets everything without telling anybody: hardware reset. */
  reset(): void {
    this.front?.clear();
    for (const context of this.#owners) if (context !== undefined) context.retired = true;
    this.#contexts.clear();
    this.#groups.clear();
    this.#owners.length = 0;
    this.#freeIndices.length = 0;
    this.words.fill(0);
    this.#heads.fill(-1);
    this.#hand = 0;
    this.#random = 1;
    this.#live = 0;
    for (let slot = 0; slot < this.capacity; slot++) this.words[(slot << SHIFT) | AFTER] = slot + 1 === this.capacity ? -1 : slot + 1;
    this.#freeFirst = this.capacity > 0 ? 0 : -1;
    this.#freeLast = this.capacity - 1;
  }

  // Contexts.

  /** The context of these tags, made if there is none. @param group contexts that maintenance may reach together */
  protected context(key: number, group: number): TagContext {
    const known = this.#contexts.find(group, memberOfKey(key));
    if (known !== undefined) return known;
    if (this.#contexts.count > 2 * this.capacity + 64) this.#retireEmpty();
    const tag = this.#nextTag();
    const context = new TagContext(key, group, this.#freeIndices.pop() ?? this.#owners.length, tag);
    this.#owners[context.index] = context;
    const members = this.#groups.get(group);
    if (members === undefined) this.#groups.set(group, new Set([context]));
    else members.add(context);
    this.#contexts.add(context);
    return context;
  }

  #nextTag(): number {
    if (this.#lastTag === 0x7fff_ffff) {
      // All numbers were used once: begin anew, with nothing that could carry an old one.
      this.reset();
      this.#lastTag = 0;
    }
    return ++this.#lastTag;
  }

  #retireEmpty(): void {
    for (const context of this.#owners) {
      if (context === undefined || context.count > 0) continue;
      // Lines that are global entries behind it: whatever comes to its tags now comes to another context.
      this.front?.contextGone(context);
      context.retired = true;
      this.#owners[context.index] = undefined;
      this.#freeIndices.push(context.index);
      const members = this.#groups.get(context.group)!;
      members.delete(context);
      if (members.size === 0) this.#groups.delete(context.group);
    }
    this.#contexts.removeAll(({ retired }) => retired);
  }

  // Entries.

  #bucket(tag: number, size: number, hi: number, lo: number): number {
    const key = (lo >>> 12) ^ (hi << 20) ^ (hi >>> 12) ^ Math.imul(tag, 0xc2b2_ae35) ^ size;
    return Math.imul(key, 0x9e37_79b1) >>> this.#hashShift;
  }

  // Halves of addresses are signed here: unsigned ones would be doubles to the host.

  /** The entry of exactly this size that holds an address. @returns its slot, or -1 */
  find(context: TagContext, size: number, hi: number, lo: number): number {
    const pageHi = maskHi(hi, size);
    const pageLo = maskLo(lo, size);
    const { tag } = context;
    const { words } = this;
    for (let slot = this.#heads[this.#bucket(tag, size, pageHi, pageLo)]!; slot >= 0;) {
      const at = slot << SHIFT;
      if (words[at] === tag && words[at | LO] === pageLo && words[at | HI] === pageHi && (words[at | SIZE]! & 0xff) === size) return slot;
      slot = words[at | CHAIN]!;
    }
    return -1;
  }

  /** {@link lookup} where `hint` is likely to be the slot that it finds. */
  lookupNear(context: TagContext, hi: number, lo: number, hint: number): number {
    const { words } = this;
    const at = hint << SHIFT;
    const size = words[at | SIZE]! & 0xff;
    const smallest = size >= SMALLEST && size < 43 && (context.sizes & ((1 << (size - SMALLEST)) - 1)) === 0;
    const same = words[at] === context.tag && words[at | LO] === maskLo(lo, size) && words[at | HI] === maskHi(hi, size);
    return smallest && same ? hint : this.lookup(context, hi, lo);
  }

  /** Whether a slot has the entry of exactly this size and page. */
  protected has(slot: number, tag: number, size: number, pageHi: number, pageLo: number): boolean {
    const { words } = this;
    const at = slot << SHIFT;
    return words[at] === tag && words[at | LO] === pageLo && words[at | HI] === pageHi && (words[at | SIZE]! & 0xff) === size;
  }

  /** The smallest entry of at most 2^43 bytes that holds an address. @returns its slot, or -1 */
  lookup(context: TagContext, hi: number, lo: number): number {
    for (let { sizes } = context; sizes !== 0; sizes &= sizes - 1) {
      const slot = this.find(context, SMALLEST + 31 - Math.clz32(sizes & -sizes), hi, lo);
      if (slot >= 0) return slot;
    }
    return -1;
  }

  /**
   * Makes room for an entry and puts its tags in.
   * @param size log2 of bytes, 12 … 54
   * @param hi,lo signed
   * @param splinter it is smaller than the leaf that it came from
   * @returns its slot, or -1 if nothing is cached
   */
  take(context: TagContext, size: number, hi: number, lo: number, splinter: boolean): number {
    if (this.capacity === 0) return -1;
    const { words } = this;
    const heads = this.#heads;
    const slot = this.#freeFirst < 0 ? this.#evictNext() : this.#takeFree();
    const pageHi = maskHi(hi, size);
    const pageLo = maskLo(lo, size);
    const bucket = this.#bucket(context.tag, size, pageHi, pageLo);
    const { last } = context;
    const at = slot << SHIFT;
    words[at] = context.tag;
    words[at | HI] = pageHi;
    words[at | LO] = pageLo;
    words[at | SIZE] = splinter ? size | SPLINTER : size;
    words[at | CHAIN] = heads[bucket]!;
    words[at | BEFORE] = last;
    words[at | AFTER] = -1;
    words[at | OWNER] = context.index;
    words[at | BUCKET] = bucket;
    heads[bucket] = slot;
    if (this.#onDrop !== undefined) this.entryId[slot] = 0;
    if (last >= 0) words[(last << SHIFT) | AFTER] = slot;
    else context.first = slot;
    context.last = slot;
    context.count++;
    if (splinter) context.splinters++;
    context.sizes |= sizeBit(size);
    this.#live++;
    return slot;
  }

  #takeFree(): number {
    const { words } = this;
    const slot = this.#freeFirst;
    this.#freeFirst = words[(slot << SHIFT) | AFTER]!;
    if (this.#freeFirst < 0) this.#freeLast = -1;
    if (words[slot << SHIFT] !== 0) this.#unchain(slot);
    return slot;
  }

  #evictNext(): number {
    let slot = this.#hand;
    if (this.#atRandom) slot = this.#anyVictim();
    else this.#hand = slot + 1 === this.capacity ? 0 : slot + 1;
    this.#evict(slot);
    return slot;
  }

  #anyVictim(): number {
    // Xorshift: the same program meets the same victims.
    this.#random ^= this.#random << 13;
    this.#random ^= this.#random >>> 17;
    this.#random ^= this.#random << 5;
    return (this.#random >>> 0) % this.capacity;
  }

  #unchain(slot: number): void {
    const { words } = this;
    const at = slot << SHIFT;
    const bucket = words[at | BUCKET]!;
    const heads = this.#heads;
    const before = heads[bucket]!;
    const next = words[at | CHAIN]!;
    words[at] = 0;
    if (before === slot) heads[bucket] = next;
    else this.#unchainAfter(before, slot, next);
  }

  /** @param before a slot before it in its bucket */
  #unchainAfter(before: number, slot: number, next: number): void {
    const { words } = this;
    while (words[(before << SHIFT) | CHAIN] !== slot) before = words[(before << SHIFT) | CHAIN]!;
    words[(before << SHIFT) | CHAIN] = next;
  }

  /** Takes out one entry that a new walk is about to replace. */
  forget(slot: number): void {
    this.#remove(slot);
  }

  /** Takes one entry out. */
  #remove(slot: number): void {
    this.#evict(slot);
    this.#free(slot, slot);
  }

  /** Takes one entry out of everything but its slot. */
  #evict(slot: number): void {
    const { words } = this;
    const at = slot << SHIFT;
    const size = words[at | SIZE]!;
    const context = this.#owners[words[at | OWNER]!]!;
    if (context.front !== undefined || context.frontBehind !== undefined)
      this.front!.entryGone(context, size & 0xff, words[at | HI]!, words[at | LO]!);
    this.#unchain(slot);
    const before = words[at | BEFORE]!;
    const after = words[at | AFTER]!;
    if (before >= 0) words[(before << SHIFT) | AFTER] = after;
    else context.first = after;
    if (after >= 0) words[(after << SHIFT) | BEFORE] = before;
    else context.last = before;
    if (size >= SPLINTER) context.splinters--;
    if (--context.count === 0) context.sizes = 0;
    this.#live--;
  }

  /** Appends a list of slots to the free list. */
  #free(first: number, last: number): void {
    if (this.#freeLast >= 0) this.words[(this.#freeLast << SHIFT) + AFTER] = first;
    else this.#freeFirst = first;
    this.words[(last << SHIFT) | AFTER] = -1;
    this.#freeLast = last;
  }

  // Maintenance.

  /** True if maintenance of a range reaches an entry of a context that it reaches. */
  protected abstract covers(range: TlbiRange, slot: number): boolean;

  /** Drops the entries of some contexts of a group, or those of a range. */
  dropMembers(group: number, members: readonly number[], range?: TlbiRange): void {
    for (let i = 0; i < members.length; i++) {
      const context = this.#contexts.find(group, members[i]!);
      if (context !== undefined) this.#dropIn(context, range);
    }
  }

  /** Drops the entries of all contexts of a group, or those of a range. */
  dropGroup(group: number, range?: TlbiRange): void {
    const members = this.#groups.get(group);
    if (members !== undefined) for (const context of members) this.#dropIn(context, range);
  }

  /** Drops the entries of all groups for which `which` is true. */
  dropGroups(which: (group: number) => boolean): void {
    for (const group of this.#groups.keys()) if (which(group)) this.dropGroup(group);
  }

  /** True if maintenance of a range reaches no entry of this cache. */
  protected spares(_range: TlbiRange): boolean {
    return false;
  }

  #dropIn(context: TagContext, range: TlbiRange | undefined): void {
    if (context.count === 0 || (range !== undefined && this.spares(range))) return;
    if (range === undefined) this.#dropAll(context);
    else if (context.splinters > 0 || this.#probes(context, range) > context.count) this.#dropScanning(context, range);
    else this.#dropProbing(context, range);
  }

  /** Hands all slots over at once, under a new number. */
  #dropAll(context: TagContext): void {
    this.front?.contextGone(context);
    if (this.#onDrop) for (let slot = context.first; slot >= 0; slot = this.#after(slot)) this.#onDrop(slot);
    this.#live -= context.count;
    this.#free(context.first, context.last);
    context.first = -1;
    context.last = -1;
    context.count = 0;
    context.sizes = 0;
    context.splinters = 0;
    context.tag = this.#nextTag();
  }

  #dropSlot(slot: number): void {
    this.#onDrop?.(slot);
    this.#remove(slot);
  }

  #dropScanning(context: TagContext, range: TlbiRange): void {
    for (let slot = context.first; slot >= 0;) {
      const next = this.#after(slot);
      if (this.covers(range, slot)) this.#dropSlot(slot);
      slot = next;
    }
  }

  /** How many lookups would find all entries of a range. */
  #probes(context: TagContext, range: TlbiRange): number {
    let probes = 0;
    for (let size = SMALLEST; mayHaveFrom(context, size); size++)
      if (mayHave(context, size)) probes += range.lastPage(size) - range.firstPage(size) + 1;
    return probes;
  }

  #dropProbing(context: TagContext, range: TlbiRange): void {
    for (let size = SMALLEST; mayHaveFrom(context, size); size++) {
      if (!mayHave(context, size)) continue;
      const last = range.lastPage(size);
      for (let page = range.firstPage(size); page <= last; page++) {
        // In pages of 4 KiB: bits [19:0] lie in the low word.
        const small = page * POW2[size - SMALLEST]!;
        const slot = this.find(context, size, Math.floor(small / 0x10_0000) | 0, small << SMALLEST);
        if (slot >= 0 && this.covers(range, slot)) this.#dropSlot(slot);
      }
    }
  }

  /** Slots in use, in order. */
  protected *slots(): Generator<{ readonly slot: number; readonly context: TagContext }> {
    for (let slot = 0; slot < this.capacity; slot++) {
      const tag = this.words[slot << SHIFT]!;
      const context = tag === 0 ? undefined : this.#owners[this.words[(slot << SHIFT) | OWNER]!];
      if (context?.tag === tag) yield { slot, context };
    }
  }

  // Of an entry: log2 of its bytes, and the halves of its input address.

  size(slot: number): number {
    return this.words[(slot << SHIFT) | SIZE]! & 0xff;
  }

  protected hi(slot: number): number {
    return this.words[(slot << SHIFT) | HI]!;
  }

  protected lo(slot: number): number {
    return this.words[(slot << SHIFT) | LO]!;
  }

  #after(slot: number): number {
    return this.words[(slot << SHIFT) | AFTER]!;
  }
}

/** The low word of an address with the bits inside an entry of 2^size bytes cleared. */
export function maskLo(lo: number, size: number): number {
  return size >= 32 ? 0 : lo & -(1 << size);
}

/** The high word, likewise. */
export function maskHi(hi: number, size: number): number {
  return size > 32 ? hi & -(1 << (size - 32)) : hi | 0;
}

/** The bit of a size in a context's set; the last one stands for all from there on. */
function sizeBit(size: number): number {
  return 1 << Math.min(size - SMALLEST, 31);
}

/** Whether there may be entries of this size or larger. */
function mayHaveFrom(context: TagContext, size: number): boolean {
  return size <= LARGEST && context.sizes >>> Math.min(size - SMALLEST, 31) !== 0;
}

function mayHave(context: TagContext, size: number): boolean {
  return (context.sizes & sizeBit(size)) !== 0;
}
