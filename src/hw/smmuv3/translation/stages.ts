// SPDX-License-Identifier: MIT
/** An access through stage 1, and stage 2 if it is on: TLB, walks, permissions, and what is kept (translation steps 6 and 7). */
import { withOffset } from "./address-size.ts";
import type { Cd, Stage1Half } from "../config/cd.ts";
import type { Ste } from "../config/ste.ts";
import type { Fault } from "../queues/faults.ts";
import { allowedByStage1, WRITES1 } from "./permissions.ts";
import { EventNumber, FaultClass } from "../spec/events.ts";
import type { Stage2 } from "./stage2.ts";
import type { StaleDetector } from "../caches/stale-detector.ts";
import { Clean, type Tlb, TlbEntry } from "../caches/tlb.ts";
import { canonicalHi } from "../caches/tlb-range.ts";
import type { Stage1Walker } from "./walk.ts";

export interface StagesDeps {
  readonly tlb: Tlb;
  readonly stage2: Stage2;
  readonly walker: Stage1Walker;
  readonly fault: Fault;
  readonly detector: StaleDetector | undefined;
}

/** What an access asks of the stages. */
export interface Wanted {
  readonly write: boolean;
  readonly privileged: boolean;
  /** Perm1 and Perm2 bits. */
  readonly need1: number;
  readonly need2: number;
}

export class Stages {
  /** The mapping that the last successful {@link translate} used; `pa` and `ipa` are where the address goes. */
  readonly entry: TlbEntry = new TlbEntry();
  /** The half of the address space that the last {@link translate} was in. */
  half!: Stage1Half;
  /** The TLB slot that has the mapping, or -1. */
  slot = -1;
  readonly #deps: StagesDeps;

  constructor(deps: StagesDeps) {
    this.#deps = deps;
  }

  /**
   * @param grants asked when stage 1 is known: false ends the translation there, as an F_PERMISSION
   * @returns false if the translation failed, see `fault`
   */
  translate(cd: Cd, addressHi: number, addressLo: number, wanted: Wanted, grants?: (entry: TlbEntry) => boolean): boolean {
    const { tlb, stage2, walker, fault, detector } = this.#deps;
    const { ste } = cd;
    const { entry } = this;
    const { write, privileged, need1, need2 } = wanted;
    // VA[55] chooses the table; worlds with one table have TTB0 only.
    const upper = cd.twoPrivileges && (addressHi & 0x0080_0000) !== 0;
    const half = upper ? cd.ttb1 : cd.ttb0;
    const hi = half.topByteIgnored ? canonicalHi(addressHi) : addressHi;
    this.half = half;
    // E0PD acts whether or not the TLB has a translation.
    if (half.noUnprivileged && !privileged) return !fault.raise(EventNumber.F_TRANSLATION);
    // 6.1
    let slot = tlb.lookupVa(cd.lookup, hi, addressLo);
    if (slot >= 0) {
      tlb.read(slot, entry);
      if (write && entry.clean !== 0 && this.#becomesDirty(ste, cd, need1, need2)) {
        tlb.forget(slot);
        slot = -1;
      }
    }
    if (slot >= 0) {
      entry.pa = withOffset(entry.pa, entry.size, hi, addressLo);
      entry.ipa = withOffset(entry.ipa, entry.size, hi, addressLo);
      detector?.vaHit(slot, entry, ste, cd, half.enabled ? half.table : -1);
      // 6.6, 7.7
      if (!allowedByStage1(cd, entry, need1, fault)) return false;
      if (grants !== undefined && !grants(entry)) return !fault.raise(EventNumber.F_PERMISSION);
      if (ste.stage2 !== undefined && !stage2.allowed(ste.stage2, entry, entry.ipa, FaultClass.in, need2)) return false;
    } else {
      if (!walker.walk(cd, half, upper, hi, addressLo, need1, entry)) return false;
      if (grants !== undefined && !grants(entry)) return !fault.raise(EventNumber.F_PERMISSION);
      // 7
      if (!this.#addStage2(ste, need2)) return false;
      slot = this.#keep(ste, cd, hi, addressLo, half.table);
    }
    this.slot = slot;
    return true;
  }

  /** Whether a write has hardware mark memory dirty that an entry has as writable-clean: then descriptors are to be read again. */
  #becomesDirty(ste: Ste, cd: Cd, need1: number, need2: number): boolean {
    const { entry } = this;
    if ((entry.stage1 & need1) === 0) return false;
    if ((entry.clean & Clean.stage1) !== 0 && cd.hardwareDirty && (need1 & WRITES1) !== 0) return true;
    return ste.stage2 !== undefined && this.#deps.stage2.becomesDirty(ste.stage2, entry, need2);
  }

  /** Takes the output of stage 1 through stage 2; the mapping is then as large as the smaller of the two. */
  #addStage2(ste: Ste, need: number): boolean {
    const { stage2, walker } = this.#deps;
    const { entry } = this;
    entry.ipa = entry.pa;
    if (ste.stage2 === undefined) {
      entry.stage2 = 0;
      entry.poIndex = 0;
      entry.memAttr = 0;
      entry.shareability2 = 0;
      entry.forcedWriteBack = false;
      return true;
    }
    if (!stage2.translate(ste.stage2, entry.ipa, FaultClass.in, need, walker.origin)) return false;
    const second = stage2.entry;
    entry.pa = stage2.physical;
    entry.size = Math.min(entry.size, second.size);
    entry.cacheable &&= second.cacheable;
    entry.stage2 = second.stage2;
    entry.clean |= second.clean;
    entry.poIndex = second.poIndex;
    entry.memAttr = second.memAttr;
    entry.shareability2 = second.shareability2;
    entry.forcedWriteBack = second.forcedWriteBack;
    return true;
  }

  #keep(ste: Ste, cd: Cd, hi: number, lo: number, table1: number): number {
    const { tlb, detector } = this.#deps;
    const { entry } = this;
    entry.kind = ste.world;
    entry.nested = ste.stage2 !== undefined;
    entry.vmid = ste.vmid;
    entry.asid = cd.asid;
    entry.aset = cd.aset;
    entry.hi = hi;
    entry.lo = lo;
    const slot = tlb.insert(entry, cd.lookup.context(entry.global));
    if (slot >= 0) detector?.keep(slot, 0, ste.stage2?.table ?? -1, table1);
    return slot;
  }
}
