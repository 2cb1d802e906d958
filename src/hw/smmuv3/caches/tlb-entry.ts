// SPDX-License-Identifier: MIT
/** A translation on its way into the TLB or out of it. */
import type { GranuleBits } from "../translation/address-size.ts";
import { StreamWorld } from "../ports.ts";

/** Kinds of entry: a StreamWorld for VA entries, or stage 2 alone. */
export const IPA_ENTRY = 3;
export type TlbKind = StreamWorld | typeof IPA_ENTRY;

/** Stages that are writable-clean: a write has to make them dirty first, by hardware or by software. */
export const Clean = { stage1: 1, stage2: 2 } as const;

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
  /** The leaf is a 128-bit descriptor. */
  d128 = false;
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
  /** {@link Clean} bits: the stages at which the leaf is writable-clean. Writes need more than a permission there. */
  clean = 0;
  /** Which entry of STE.S2POI limits `stage2`; the limit itself is not cached. */
  poIndex = 0;
  /** False: the leaf asks not to be cached (nT under BBML 1); the TLB then keeps nothing. */
  cacheable = true;
}
