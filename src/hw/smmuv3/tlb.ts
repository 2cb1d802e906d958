// SPDX-License-Identifier: MIT
/**
 * The TLB: translations with the tags of the architecture, kept until maintenance or replacement drops them (IHI 0070 §3.17).
 *
 * Two kinds of entry share one store. VA entries are tagged by StreamWorld, VMID and ASID (or, if global, by ASET); those of
 * nested streams hold both stages combined, at the smaller of the two sizes. IPA entries hold stage 2 alone, tagged by VMID.
 * There is no walk cache: table descriptors are read on every miss.
 *
 * Entries are slots of typed arrays, found by a hash over tags and page number, one probe for each size in use. When all slots
 * are taken, the slot at a hand that goes round is reused: replacement does not depend on hits.
 */
import { type GranuleBits, levelShift } from "./address-size.ts";
import { type TlbInvalidation, type TlbiAddress, StreamWorld } from "./ports.ts";
import { TlbiRange } from "./tlb-range.ts";

/** Kinds of entry: a StreamWorld for VA entries, or stage 2 alone. */
export const IPA_ENTRY = 3;
export type TlbKind = StreamWorld | typeof IPA_ENTRY;

/** A translation on its way into the TLB or out of it. */
export class TlbEntry {
  kind: TlbKind = StreamWorld.nsEl1;
  /** A VA entry that includes stage 2. Entries of stage-1-only streams never serve nested ones. */
  nested = false;
  vmid = 0;
  asid = 0;
  aset = 0;
  global = false;
  /** log2 of the bytes mapped, 12 … 43. */
  size = 12;
  granule: GranuleBits = 12;
  /** Level of the leaf (of stage 1, in a VA entry). */
  level = 3;
  /** Input address. */
  hi = 0;
  lo = 0;
  /** Where the input address goes; the low `size` bits do not count. */
  pa = 0;
  /** Nested entries: the intermediate address, likewise. */
  ipa = 0;
  /** Perm1 bits; 0 in an IPA entry. */
  stage1 = 0;
  /** Perm2 bits; 0 in a stage-1-only entry. */
  stage2 = 0;
  /** Memory type and shareability of stage 1. */
  type = 0;
  shareability = 0;
  /** MemAttr, shareability and S2FWB of stage 2. */
  memAttr = 0;
  shareability2 = 0;
  forcedWriteBack = false;
  /** False: the leaf asks not to be cached (nT under BBML 1); {@link Tlb.insert} then keeps nothing. */
  cacheable = true;
}

const VALID = 1;
const KIND_SHIFT = 1;
const NESTED = 1 << 3;
const GLOBAL = 1 << 4;
const ASET = 1 << 5;
const SIZE_SHIFT = 8;
const GRANULE_SHIFT = 14;
const LEVEL_SHIFT = 16;
const MATCH_MASK = (1 << GRANULE_SHIFT) - 1;

const GRANULE_CODE: Readonly<Record<GranuleBits, number>> = { 12: 1, 14: 2, 16: 3 };
const GRANULE_OF: readonly GranuleBits[] = [12, 12, 14, 16];

const SMALLEST = 12;

/** What a maintenance operation reaches. -1 stands for any. */
interface Scope {
  /** Bit set of kinds. */
  readonly kinds: number;
  readonly vmid: number;
  readonly asid: number;
  /** False: ASID operations spare global entries. */
  readonly globals: boolean;
  readonly range: TlbiRange | undefined;
}

const NS_EL1 = 1 << StreamWorld.nsEl1;
const ANY_EL2 = (1 << StreamWorld.nsEl2) | (1 << StreamWorld.nsEl2E2h);
const IPA = 1 << IPA_ENTRY;

function maskLo(lo: number, size: number): number {
  return size >= 32 ? 0 : lo & -(1 << size);
}

function maskHi(hi: number, size: number): number {
  return size > 32 ? hi & -(1 << (size - 32)) : hi;
}

export class Tlb implements TlbInvalidation {
  readonly capacity: number;
  /** Identities of the entries, for the stale-use detector: 0 where none was given. */
  readonly entryId: Uint32Array;
  readonly #tag: Int32Array;
  readonly #id: Int32Array;
  readonly #hi: Int32Array;
  readonly #lo: Int32Array;
  readonly #pa: Float64Array;
  readonly #ipa: Float64Array;
  readonly #perm: Uint16Array;
  readonly #attr: Uint32Array;
  readonly #next: Int32Array;
  readonly #heads: Int32Array;
  readonly #free: Int32Array;
  #freeCount: number;
  #hand = 0;
  /** Entries by size, for kinds of lookup: 0 by ASID, 1 global, 2 IPA; and the bit sets of sizes in use. */
  readonly #count: Int32Array = new Int32Array(3 * 32);
  readonly #sizes: Int32Array = new Int32Array(3);
  readonly #range = new TlbiRange();
  readonly #vmids: boolean;
  readonly #onDrop: (slot: number) => void;

  /**
   * @param capacity entries, 0: nothing is cached
   * @param vmids false if stage 2 is not implemented: entries then have no VMID and commands' VMIDs do not count
   * @param onDrop called for each entry that maintenance drops, before it goes
   */
  constructor(capacity: number, vmids: boolean, onDrop: (slot: number) => void = () => {}) {
    this.capacity = capacity;
    this.#vmids = vmids;
    this.#onDrop = onDrop;
    this.entryId = new Uint32Array(capacity);
    this.#tag = new Int32Array(capacity);
    this.#id = new Int32Array(capacity);
    this.#hi = new Int32Array(capacity);
    this.#lo = new Int32Array(capacity);
    this.#pa = new Float64Array(capacity);
    this.#ipa = new Float64Array(capacity);
    this.#perm = new Uint16Array(capacity);
    this.#attr = new Uint32Array(capacity);
    this.#next = new Int32Array(capacity);
    this.#heads = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(2, capacity)))).fill(-1);
    this.#free = new Int32Array(capacity);
    this.#freeCount = 0;
    this.reset();
  }

  /** Entries in use. */
  get size(): number {
    return this.capacity - this.#freeCount;
  }

  /** Forgets everything without telling anybody: hardware reset. */
  reset(): void {
    this.#tag.fill(0);
    this.#heads.fill(-1);
    this.#count.fill(0);
    this.#sizes.fill(0);
    this.#hand = 0;
    for (let slot = 0; slot < this.capacity; slot++) this.#free[slot] = this.capacity - 1 - slot;
    this.#freeCount = this.capacity;
  }

  #bucket(tag: number, id: number, hi: number, lo: number): number {
    let hash = Math.imul(lo >>> 12, 0x9e37_79b1) ^ Math.imul(hi, 0x85eb_ca6b) ^ Math.imul(id, 0xc2b2_ae35) ^ tag;
    hash ^= hash >>> 15;
    return hash & (this.#heads.length - 1);
  }

  /**
   * Finds the entry for a VA: non-global ones match the ASID, global ones the ASET.
   * @returns its slot, or -1
   */
  lookupVa(world: StreamWorld, nested: boolean, vmid: number, asid: number, aset: number, hi: number, lo: number): number {
    const tag = VALID | (world << KIND_SHIFT) | (nested ? NESTED : 0);
    const own = this.#probe(0, tag, vmid | (asid << 16), hi, lo);
    if (own >= 0 || this.#sizes[1] === 0) return own;
    return this.#probe(1, tag | GLOBAL | (aset ? ASET : 0), vmid, hi, lo);
  }

  /** Finds the stage-2 entry for an IPA. */
  lookupIpa(vmid: number, hi: number, lo: number): number {
    return this.#probe(2, VALID | (IPA_ENTRY << KIND_SHIFT), vmid, hi, lo);
  }

  #probe(group: number, tag: number, id: number, hi: number, lo: number): number {
    for (let sizes = this.#sizes[group]!; sizes !== 0; sizes &= sizes - 1) {
      const size = SMALLEST + 31 - Math.clz32(sizes & -sizes);
      const pageHi = maskHi(hi, size) | 0;
      const pageLo = maskLo(lo, size) | 0;
      const wanted = tag | (size << SIZE_SHIFT);
      for (let slot = this.#heads[this.#bucket(wanted, id, pageHi, pageLo)]!; slot >= 0; slot = this.#next[slot]!) {
        if ((this.#tag[slot]! & MATCH_MASK) === wanted && this.#id[slot] === id && this.#lo[slot] === pageLo && this.#hi[slot] === pageHi) {
          return slot;
        }
      }
    }
    return -1;
  }

  /** Copies a slot's contents; the tags that a lookup already knows (kind, nested, VMID, ASID, ASET, input address) are left alone. */
  read(slot: number, into: TlbEntry): void {
    const tag = this.#tag[slot]!;
    into.size = (tag >> SIZE_SHIFT) & 63;
    into.granule = GRANULE_OF[(tag >> GRANULE_SHIFT) & 3]!;
    into.level = (tag >> LEVEL_SHIFT) & 3;
    into.global = (tag & GLOBAL) !== 0;
    into.pa = this.#pa[slot]!;
    into.ipa = this.#ipa[slot]!;
    const perm = this.#perm[slot]!;
    into.stage1 = perm & 63;
    into.stage2 = perm >> 6;
    const attr = this.#attr[slot]!;
    into.type = attr & 0xff;
    into.shareability = (attr >> 8) & 3;
    into.memAttr = (attr >> 10) & 15;
    into.shareability2 = (attr >> 14) & 3;
    into.forcedWriteBack = (attr & 0x1_0000) !== 0;
  }

  /** All entries with their tags, in the order of their slots. */
  *entries(): Generator<TlbEntry> {
    for (let slot = 0; slot < this.capacity; slot++) {
      const tag = this.#tag[slot]!;
      if (tag === 0) continue;
      const entry = new TlbEntry();
      this.read(slot, entry);
      entry.kind = ((tag >> KIND_SHIFT) & 3) as TlbKind;
      entry.nested = (tag & NESTED) !== 0;
      entry.aset = (tag & ASET) === 0 ? 0 : 1;
      entry.vmid = this.#id[slot]! & 0xffff;
      entry.asid = this.#id[slot]! >>> 16;
      entry.hi = this.#hi[slot]! >>> 0;
      entry.lo = this.#lo[slot]! >>> 0;
      yield entry;
    }
  }

  /** Keeps a translation. @returns its slot, or -1 if it is not kept */
  insert(entry: TlbEntry): number {
    if (this.capacity === 0 || !entry.cacheable) return -1;
    const slot = this.#take();
    const group = entry.kind === IPA_ENTRY ? 2 : entry.global ? 1 : 0;
    const flags = (entry.nested ? NESTED : 0) | (group === 1 ? GLOBAL | (entry.aset ? ASET : 0) : 0);
    const match = VALID | (entry.kind << KIND_SHIFT) | flags | (entry.size << SIZE_SHIFT);
    const id = entry.vmid | (group === 0 ? entry.asid << 16 : 0);
    const hi = maskHi(entry.hi, entry.size) | 0;
    const lo = maskLo(entry.lo, entry.size) | 0;
    const scale = 2 ** entry.size;
    this.#tag[slot] = match | (GRANULE_CODE[entry.granule] << GRANULE_SHIFT) | (entry.level << LEVEL_SHIFT);
    this.#id[slot] = id;
    this.#hi[slot] = hi;
    this.#lo[slot] = lo;
    this.#pa[slot] = Math.floor(entry.pa / scale) * scale;
    this.#ipa[slot] = Math.floor(entry.ipa / scale) * scale;
    this.#perm[slot] = entry.stage1 | (entry.stage2 << 6);
    this.#attr[slot] =
      entry.type | (entry.shareability << 8) | (entry.memAttr << 10) | (entry.shareability2 << 14) | (entry.forcedWriteBack ? 0x1_0000 : 0);
    this.entryId[slot] = 0;
    const bucket = this.#bucket(match, id, hi, lo);
    this.#next[slot] = this.#heads[bucket]!;
    this.#heads[bucket] = slot;
    const counter = group * 32 + entry.size - SMALLEST;
    this.#count[counter]!++;
    this.#sizes[group]! |= 1 << (entry.size - SMALLEST);
    return slot;
  }

  #take(): number {
    if (this.#freeCount === 0) {
      const victim = this.#hand;
      this.#hand = victim + 1 === this.capacity ? 0 : victim + 1;
      this.#remove(victim);
    }
    return this.#free[--this.#freeCount]!;
  }

  #remove(slot: number): void {
    const tag = this.#tag[slot]!;
    const bucket = this.#bucket(tag & MATCH_MASK, this.#id[slot]!, this.#hi[slot]!, this.#lo[slot]!);
    if (this.#heads[bucket] === slot) {
      this.#heads[bucket] = this.#next[slot]!;
    } else {
      let before = this.#heads[bucket]!;
      while (this.#next[before] !== slot) before = this.#next[before]!;
      this.#next[before] = this.#next[slot]!;
    }
    const group = ((tag >> KIND_SHIFT) & 3) === IPA_ENTRY ? 2 : (tag & GLOBAL) !== 0 ? 1 : 0;
    const sizeIndex = ((tag >> SIZE_SHIFT) & 63) - SMALLEST;
    if (--this.#count[group * 32 + sizeIndex]! === 0) this.#sizes[group]! &= ~(1 << sizeIndex);
    this.#tag[slot] = 0;
    this.#free[this.#freeCount++] = slot;
  }

  #drop(scope: Scope): void {
    const vmid = this.#vmids ? scope.vmid : -1;
    for (let slot = 0; slot < this.capacity; slot++) {
      const tag = this.#tag[slot]!;
      if (tag === 0 || (scope.kinds & (1 << ((tag >> KIND_SHIFT) & 3))) === 0) continue;
      const id = this.#id[slot]!;
      if (vmid >= 0 && (id & 0xffff) !== vmid) continue;
      if (scope.asid >= 0 && ((tag & GLOBAL) !== 0 ? !scope.globals : id >>> 16 !== scope.asid)) continue;
      if (scope.range !== undefined && !this.#inRange(scope.range, slot, tag)) continue;
      this.#onDrop(slot);
      this.#remove(slot);
    }
  }

  #inRange(range: TlbiRange, slot: number, tag: number): boolean {
    const granule = GRANULE_OF[(tag >> GRANULE_SHIFT) & 3]!;
    const level = (tag >> LEVEL_SHIFT) & 3;
    if (range.granule !== 0 && granule !== range.granule) return false;
    if (range.level !== 0 && level !== range.level) return false;
    // A leaf goes as a whole, even where smaller leaves of stage 2 have cut it to pieces (DDI 0487 D8.17).
    const size = Math.max((tag >> SIZE_SHIFT) & 63, levelShift(granule, level));
    return range.overlaps(maskHi(this.#hi[slot]!, size) >>> 0, maskLo(this.#lo[slot]!, size) >>> 0, size);
  }

  nsnhAll(): void {
    this.#drop({ kinds: NS_EL1 | IPA, vmid: -1, asid: -1, globals: true, range: undefined });
  }

  everything(): void {
    this.#drop({ kinds: NS_EL1 | ANY_EL2 | IPA, vmid: -1, asid: -1, globals: true, range: undefined });
  }

  nhAll(vmid: number): void {
    this.#drop({ kinds: NS_EL1, vmid, asid: -1, globals: true, range: undefined });
  }

  nhAsid(vmid: number, asid: number): void {
    this.#drop({ kinds: NS_EL1, vmid, asid, globals: false, range: undefined });
  }

  nhVa(vmid: number, asid: number | undefined, address: TlbiAddress): void {
    this.#drop({ kinds: NS_EL1, vmid, asid: asid ?? -1, globals: true, range: this.#range.set(address, true) });
  }

  el2All(): void {
    this.#drop({ kinds: ANY_EL2, vmid: -1, asid: -1, globals: true, range: undefined });
  }

  el2Asid(asid: number): void {
    this.#drop({ kinds: ANY_EL2, vmid: -1, asid, globals: false, range: undefined });
  }

  /** Entries of EL2, which have no ASID, count as global: they go whatever the ASID. */
  el2Va(asid: number | undefined, address: TlbiAddress): void {
    this.#drop({ kinds: ANY_EL2, vmid: -1, asid: asid ?? -1, globals: true, range: this.#range.set(address, true) });
  }

  s12Vmall(vmid: number): void {
    this.#drop({ kinds: NS_EL1 | IPA, vmid, asid: -1, globals: true, range: undefined });
  }

  /** Spares combined entries: they go with NH_ALL, NH_VAA and the like. */
  s2Ipa(vmid: number, address: TlbiAddress): void {
    this.#drop({ kinds: IPA, vmid, asid: -1, globals: true, range: this.#range.set(address, false) });
  }
}
