// SPDX-License-Identifier: MIT
/**
 * The walk cache: table descriptors that walks have followed, so that the next walk begins further down (IHI 0070 §3.17;
 * DDI 0487 D8.16). Stage-1 tables are kept by their intermediate address where stage 2 is on: it is asked each time.
 *
 * An entry covers what its descriptor covers. TLBIs with Leaf 1 spare it; ASID and VMID are those of the walk.
 */
import { type GranuleBits, levelShift, strideOf } from "../translation/address-size.ts";
import { ROW, type TagContext, TaggedCache } from "./tagged-cache.ts";
import type { TlbiRange } from "./tlb-range.ts";
import { contextGroup, contextKey, type IpaLookup, type Tags, tagsOfKey, type VaLookup } from "./tlb-tags.ts";

/** An entry with its tags. */
export interface WalkEntry extends Tags {
  readonly granule: GranuleBits;
  /** log2 of the bytes that its descriptor covers. */
  readonly size: number;
  readonly hi: number;
  readonly lo: number;
  /** Address of the table. */
  readonly table: number;
  /** TableLimit bits of the descriptors above; of a 128-bit descriptor what it says itself. */
  readonly limits: number;
}

/** Words of an entry: the table's address, its limits, its granule. */
export const WALK_ROW = { tableLo: 8, tableHi: 9, limits: 10, granule: 11 } as const;

/** A constant of this module is a constant to the compiler of the host; one of another module is a load. */
const SHIFT = ROW.shift;
const { tableLo: TABLE_LO, tableHi: TABLE_HI, limits: LIMITS, granule: GRANULE } = WALK_ROW;

/** Level of the last table descriptor. */
const LAST_TABLE = 2;

export class WalkCache extends TaggedCache {
  #context(tags: Tags): TagContext {
    return this.context(contextKey(tags), contextGroup(tags.kind, tags.vmid));
  }

  /** The context of stage-1 walks. */
  vaContext(lookup: VaLookup): TagContext {
    let { walks } = lookup;
    if (walks === undefined || walks.retired) walks = lookup.walks = this.#context(lookup.tags(false));
    return walks;
  }

  /** The context of stage-2 walks. */
  ipaContext(lookup: IpaLookup): TagContext {
    let { walks } = lookup;
    if (walks === undefined || walks.retired) walks = lookup.walks = this.#context(lookup.tags());
    return walks;
  }

  /**
   * The table nearest to the leaf that is known for an address.
   * @param stride index bits of a table: what an entry covers tells descriptors of 64 and of 128 bits apart
   * @returns the level of the descriptor that leads to it, with the slot in `slot`; below `startLevel` if there is none
   */
  deepest(
    context: TagContext,
    granule: GranuleBits,
    startLevel: number,
    hi: number,
    lo: number,
    stride: number = strideOf(granule),
  ): number {
    this.slot = -1;
    if (context.count === 0) return startLevel - 1;
    for (let level = LAST_TABLE; level >= startLevel; level--) {
      const slot = this.find(context, granule + (3 - level) * stride, hi | 0, lo | 0);
      if (slot < 0 || this.#granule(slot) !== granule) continue;
      this.slot = slot;
      return level;
    }
    return startLevel - 1;
  }

  /** Set by {@link deepest}. */
  slot = -1;

  /** Address of the table of an entry. */
  table(slot: number): number {
    const at = slot << SHIFT;
    return this.words[at | TABLE_HI]! * 0x1_0000_0000 + (this.words[at | TABLE_LO]! >>> 0);
  }

  /**
   * The last table for an address.
   * @param size log2 of what it covers, less than 32: no table of another granule or of 128-bit descriptors covers as much
   * @param hints where it was found before, by the low bits of its number
   * @returns its slot, or -1
   */
  last(context: TagContext, size: number, hi: number, lo: number, hints: Int32Array): number {
    const place = (lo >>> size) & (hints.length - 1);
    const hint = hints[place]!;
    if (this.has(hint, context.tag, size, hi, lo & -(1 << size))) return hint;
    const slot = this.find(context, size, hi, lo);
    if (slot >= 0) hints[place] = slot;
    return slot;
  }

  /** Restrictions that the tables above have put on it. */
  limits(slot: number): number {
    return this.words[(slot << SHIFT) | LIMITS]!;
  }

  #granule(slot: number): GranuleBits {
    return this.words[(slot << SHIFT) | GRANULE]! as GranuleBits;
  }

  /** Keeps the table that a descriptor at `level` leads to. @returns its slot, or -1 */
  keep(context: TagContext, granule: GranuleBits, level: number, hi: number, lo: number, table: number, limits: number): number {
    return this.keepSized(context, granule, levelShift(granule, level), hi, lo, table, limits);
  }

  /** The same for one that covers 2^size bytes. */
  keepSized(context: TagContext, granule: GranuleBits, size: number, hi: number, lo: number, table: number, limits: number): number {
    const slot = this.take(context, size, hi | 0, lo | 0, false);
    if (slot < 0) return slot;
    const { words } = this;
    const at = slot << SHIFT;
    words[at | TABLE_LO] = table;
    words[at | TABLE_HI] = Math.floor(table / 0x1_0000_0000);
    words[at | LIMITS] = limits;
    words[at | GRANULE] = granule;
    return slot;
  }

  /** All entries with their tags, in the order of their slots. */
  *entries(): Generator<WalkEntry> {
    for (const { slot, context } of this.slots()) {
      yield {
        ...tagsOfKey(context.key),
        granule: this.#granule(slot),
        size: this.size(slot),
        hi: this.hi(slot) >>> 0,
        lo: this.lo(slot) >>> 0,
        table: this.table(slot),
        limits: this.limits(slot),
      };
    }
  }

  /** Keeps an entry that {@link entries} gave, of this cache or another one. */
  restore(entry: WalkEntry): void {
    const { granule, size, hi, lo, table, limits } = entry;
    this.keepSized(this.#context(entry), granule, size, hi, lo, table, limits);
  }

  protected override spares(range: TlbiRange): boolean {
    return range.leaf;
  }

  protected override covers(range: TlbiRange, slot: number): boolean {
    if (range.leaf || (range.granule !== 0 && range.granule !== this.#granule(slot))) return false;
    return range.overlaps(this.hi(slot) >>> 0, this.lo(slot) >>> 0, this.size(slot));
  }
}
