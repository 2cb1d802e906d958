// SPDX-License-Identifier: MIT
/**
 * The TLB: translations with the tags of the architecture, kept until maintenance or replacement drops them (IHI 0070 §3.17).
 *
 * Two kinds of entry share one store. VA entries are tagged by StreamWorld, VMID and ASID (or, if global, by ASET); those of
 * nested streams hold both stages combined, at the smaller of the two sizes. IPA entries hold stage 2 alone, tagged by VMID.
 */
import { type GranuleBits, levelShift } from "../translation/address-size.ts";
import { levelShift128 } from "../translation/address-size128.ts";
import { maskHi, maskLo, ROW, type TagContext, TaggedCache } from "./tagged-cache.ts";
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

/** Words of an entry. Perm1 bits with Perm2 bits from bit 6 and Clean bits from bit 14; attributes; where it goes; by way of which IPA. */
export const TLB_ROW = { shape: 8, permissions: 9, attributes: 10, paLo: 11, paHi: 12, ipaLo: 13, ipaHi: 14 } as const;

/** A constant of this module is a constant to the compiler of the host; one of another module is a load. */
const SHIFT = ROW.shift;
const { shape: SHAPE, permissions: PERM, attributes: ATTR, paLo: PA_LO, paHi: PA_HI, ipaLo: IPA_LO, ipaHi: IPA_HI } = TLB_ROW;

export class Tlb extends TaggedCache {
  #context(tags: Tags): TagContext {
    return this.context(contextKey(tags), contextGroup(tags.kind, tags.vmid));
  }

  /** Finds the entry for a VA: one of the ASID's own, or a global one of the same ASET. @returns its slot, or -1 */
  lookupVa(lookup: VaLookup, hi: number, lo: number): number {
    let { own, global } = lookup;
    if (own === undefined || own.retired) own = lookup.own = this.#context(lookup.tags(false));
    const slot = this.lookup(own, hi | 0, lo | 0);
    if (slot >= 0) return slot;
    if (global === undefined || global.retired) global = lookup.global = this.#context(lookup.tags(true));
    return this.lookup(global, hi | 0, lo | 0);
  }

  /** Finds the stage-2 entry for an IPA. @returns its slot, or -1 */
  lookupIpa(lookup: IpaLookup, hi: number, lo: number): number {
    let { entries } = lookup;
    if (entries === undefined || entries.retired) entries = lookup.entries = this.#context(lookup.tags());
    return this.lookup(entries, hi | 0, lo | 0);
  }

  /** Copies a slot's contents; the tags that a lookup already knows (kind, nested, VMID, ASID, ASET, input address) are left alone, and `d128`. */
  read(slot: number, into: TlbEntry): void {
    const { words } = this;
    const at = slot << SHIFT;
    const shape = words[at | SHAPE]!;
    // What is kept was to be kept.
    into.cacheable = true;
    into.size = this.size(slot);
    into.granule = GRANULE_OF[shape & 3]!;
    into.level = (shape >> LEVEL_SHIFT) & 3;
    into.global = (shape & GLOBAL) !== 0;
    into.pa = words[at | PA_HI]! * 0x1_0000_0000 + (words[at | PA_LO]! >>> 0);
    into.ipa = words[at | IPA_HI]! * 0x1_0000_0000 + (words[at | IPA_LO]! >>> 0);
    const perm = words[at | PERM]!;
    into.stage1 = perm & 63;
    into.stage2 = (perm >> 6) & 255;
    into.clean = perm >> 14;
    const attr = words[at | ATTR]!;
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
      const shape = this.words[(slot << SHIFT) | SHAPE]!;
      entry.aset = (shape & ASET) !== 0 ? 1 : 0;
      entry.d128 = (shape & D128) !== 0;
      entry.hi = this.hi(slot) >>> 0;
      entry.lo = this.lo(slot) >>> 0;
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
    const { hi, lo, aset, pa, ipa, stage1, stage2, clean } = entry;
    const slot = this.take(context, size, hi | 0, lo | 0, size < leafShift(granule, level, d128));
    if (!entry.global) this.came(context, aset, size, hi | 0, lo | 0);
    const { words } = this;
    const at = slot << SHIFT;
    words[at | SHAPE] = shapeOf(granule, level, entry.global, aset, d128);
    words[at | PERM] = stage1 | (stage2 << 6) | (clean << 14);
    words[at | ATTR] =
      (entry.poIndex << 20) |
      entry.type |
      (entry.shareability << 8) |
      (entry.memAttr << 10) |
      (entry.shareability2 << 14) |
      (entry.forcedWriteBack ? 0x1_0000 : 0);
    words[at | PA_LO] = maskLo(pa | 0, size);
    words[at | PA_HI] = maskHi(upper(pa), size);
    words[at | IPA_LO] = maskLo(ipa | 0, size);
    words[at | IPA_HI] = maskHi(upper(ipa), size);
    return slot;
  }

  /** Tells the front tier of an entry that is not global. */
  came(context: TagContext, aset: number, size: number, hi: number, lo: number): void {
    // A page of the only ASET there is comes where nothing was.
    const others = size > 12 ? context.asets : context.asets & ~(1 << aset);
    if (others !== 0) this.front?.entryCame(context, aset, size, hi, lo);
  }

  protected override covers(range: TlbiRange, slot: number): boolean {
    const shape = this.words[(slot << SHIFT) | SHAPE]!;
    if (range.sparesPrivate && (shape & ASET) !== 0) return false;
    const granule = GRANULE_OF[shape & 3]!;
    const level = (shape >> LEVEL_SHIFT) & 3;
    if (range.granule !== 0 && granule !== range.granule) return false;
    const d128 = (shape & D128) !== 0;
    if (range.level !== 0 && (level !== range.level || (range.d128 !== undefined && range.d128 !== d128))) return false;
    // A leaf goes as a whole, even where smaller leaves of stage 2 have cut it to pieces (DDI 0487 D8.17).
    const size = Math.max(this.size(slot), leafShift(granule, level, d128));
    return range.overlaps(maskHi(this.hi(slot), size) >>> 0, maskLo(this.lo(slot), size) >>> 0, size);
  }
}

/** What {@link shapeOf} has for a global entry. */
export const GLOBAL_SHAPE: number = GLOBAL;

/** Granule, level, nG, ASET and format of an entry. */
export function shapeOf(granule: GranuleBits, level: number, global: boolean, aset: number, d128: boolean): number {
  const flags = (global ? GLOBAL : 0) | (aset === 1 ? ASET : 0) | (d128 ? D128 : 0);
  return GRANULE_CODE[granule] | (level << LEVEL_SHIFT) | flags;
}

/** The upper half of a physical address. */
function upper(address: number): number {
  return (address * (1 / 0x1_0000_0000)) | 0;
}
