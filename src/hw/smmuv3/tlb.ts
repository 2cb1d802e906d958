// SPDX-License-Identifier: MIT
/**
 * The TLB: translations with the tags of the architecture, kept until maintenance or replacement drops them (IHI 0070 §3.17).
 *
 * Two kinds of entry share one store. VA entries are tagged by StreamWorld, VMID and ASID (or, if global, by ASET); those of
 * nested streams hold both stages combined, at the smaller of the two sizes. IPA entries hold stage 2 alone, tagged by VMID.
 */
import { POW2 } from "../bits/hex.ts";
import { type GranuleBits, levelShift } from "./address-size.ts";
import { levelShift128 } from "./address-size128.ts";
import { maskHi, maskLo, type Replacement, type TagContext, TaggedCache } from "./tagged-cache.ts";
import { Clean, IPA_ENTRY, TlbEntry, type TlbKind } from "./tlb-entry.ts";
import type { TlbiRange } from "./tlb-range.ts";
import { contextGroup, contextKey, type IpaLookup, type Tags, tagsOfKey, type VaLookup } from "./tlb-tags.ts";

export { Clean, IPA_ENTRY, TlbEntry, type TlbKind };

const GRANULE_CODE: Readonly<Record<GranuleBits, number>> = { 12: 1, 14: 2, 16: 3 };
const GRANULE_OF: readonly GranuleBits[] = [12, 12, 14, 16];
const LEVEL_SHIFT = 2;
const GLOBAL = 1 << 5;
const ASET = 1 << 6;
const D128 = 1 << 7;

/** log2 of what the leaf of an entry maps. */
function leafShift(granule: GranuleBits, level: number, d128: boolean): number {
  return d128 ? levelShift128(granule, level) : levelShift(granule, level);
}

export class Tlb extends TaggedCache {
  readonly #shape: Uint8Array;
  readonly #pa: Float64Array;
  readonly #ipa: Float64Array;
  readonly #perm: Uint16Array;
  readonly #attr: Uint32Array;

  /**
   * @param capacity entries, 0: nothing is cached
   * @param onDrop called for each entry that maintenance drops, before it goes
   */
  constructor(capacity: number, replacement: Replacement = "round-robin", onDrop?: (slot: number) => void) {
    super(capacity, replacement, onDrop);
    this.#shape = new Uint8Array(capacity);
    this.#pa = new Float64Array(capacity);
    this.#ipa = new Float64Array(capacity);
    this.#perm = new Uint16Array(capacity);
    this.#attr = new Uint32Array(capacity);
  }

  #context(tags: Tags): TagContext {
    return this.context(contextKey(tags), contextGroup(tags.kind, tags.vmid));
  }

  /** Finds the entry for a VA: one of the ASID's own, or a global one of the same ASET. @returns its slot, or -1 */
  lookupVa(lookup: VaLookup, hi: number, lo: number): number {
    let { own, global } = lookup;
    if (own === undefined || own.retired) own = lookup.own = this.#context(lookup.tags(false));
    const slot = this.lookup(own, hi, lo);
    if (slot >= 0) return slot;
    if (global === undefined || global.retired) global = lookup.global = this.#context(lookup.tags(true));
    return this.lookup(global, hi, lo);
  }

  /** Finds the stage-2 entry for an IPA. @returns its slot, or -1 */
  lookupIpa(lookup: IpaLookup, hi: number, lo: number): number {
    let { entries } = lookup;
    if (entries === undefined || entries.retired) entries = lookup.entries = this.#context(lookup.tags());
    return this.lookup(entries, hi, lo);
  }

  /** Copies a slot's contents; the tags that a lookup already knows (kind, nested, VMID, ASID, ASET, input address) are left alone, and `d128`. */
  read(slot: number, into: TlbEntry): void {
    const shape = this.#shape[slot]!;
    into.size = this.size[slot]!;
    into.granule = GRANULE_OF[shape & 3]!;
    into.level = (shape >> LEVEL_SHIFT) & 3;
    into.global = (shape & GLOBAL) !== 0;
    into.pa = this.#pa[slot]!;
    into.ipa = this.#ipa[slot]!;
    const perm = this.#perm[slot]!;
    into.stage1 = perm & 63;
    into.stage2 = (perm >> 6) & 255;
    into.clean = perm >> 14;
    const attr = this.#attr[slot]!;
    into.type = attr & 0xff;
    into.shareability = (attr >> 8) & 3;
    into.memAttr = (attr >> 10) & 15;
    into.shareability2 = (attr >> 14) & 3;
    into.forcedWriteBack = (attr & 0x1_0000) !== 0;
    into.poIndex = (attr >>> 20) & 15;
  }

  /** All entries with their tags, in the order of their slots. */
  *entries(): Generator<TlbEntry> {
    for (const { slot, context } of this.slots()) {
      const entry = new TlbEntry();
      this.read(slot, entry);
      Object.assign(entry, tagsOfKey(context.key));
      entry.aset = (this.#shape[slot]! & ASET) !== 0 ? 1 : 0;
      entry.d128 = (this.#shape[slot]! & D128) !== 0;
      entry.hi = this.hi[slot]! >>> 0;
      entry.lo = this.lo[slot]! >>> 0;
      yield entry;
    }
  }

  /**
   * Keeps a translation.
   * @param known the context of its tags, if it is at hand
   * @returns its slot, or -1 if it is not kept
   */
  insert(entry: TlbEntry, known?: TagContext): number {
    if (this.capacity === 0 || !entry.cacheable) return -1;
    const { size, granule, level, d128 } = entry;
    const context = known === undefined || known.retired ? this.#context(entry) : known;
    const slot = this.take(context, size, entry.hi, entry.lo, size < leafShift(granule, level, d128));
    if (context.front.length > 0 && !entry.global) this.front?.entryCame(context, entry.aset, size, entry.hi, entry.lo);
    const scale = POW2[size]!;
    const flags = (entry.global ? GLOBAL : 0) | (entry.aset === 1 ? ASET : 0) | (d128 ? D128 : 0);
    this.#shape[slot] = GRANULE_CODE[granule] | (level << LEVEL_SHIFT) | flags;
    this.#pa[slot] = Math.floor(entry.pa / scale) * scale;
    this.#ipa[slot] = Math.floor(entry.ipa / scale) * scale;
    this.#perm[slot] = entry.stage1 | (entry.stage2 << 6) | (entry.clean << 14);
    this.#attr[slot] =
      (entry.poIndex << 20) |
      entry.type |
      (entry.shareability << 8) |
      (entry.memAttr << 10) |
      (entry.shareability2 << 14) |
      (entry.forcedWriteBack ? 0x1_0000 : 0);
    return slot;
  }

  protected override covers(range: TlbiRange, slot: number): boolean {
    const shape = this.#shape[slot]!;
    if (range.sparesPrivate && (shape & ASET) !== 0) return false;
    const granule = GRANULE_OF[shape & 3]!;
    const level = (shape >> LEVEL_SHIFT) & 3;
    if (range.granule !== 0 && granule !== range.granule) return false;
    const d128 = (shape & D128) !== 0;
    if (range.level !== 0 && (level !== range.level || (range.d128 !== undefined && range.d128 !== d128))) return false;
    // A leaf goes as a whole, even where smaller leaves of stage 2 have cut it to pieces (DDI 0487 D8.17).
    const size = Math.max(this.size[slot]!, leafShift(granule, level, d128));
    return range.overlaps(maskHi(this.hi[slot]!, size) >>> 0, maskLo(this.lo[slot]!, size) >>> 0, size);
  }
}
