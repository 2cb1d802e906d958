// SPDX-License-Identifier: MIT
/** Stage 2: intermediate to physical addresses (IHI 0070 §3.4, §13; translation steps 7.1 to 7.10). */
import { high32, low32, POW2 } from "../bits/hex.ts";
import { entryOffset, exceedsOutput, levelShift, withOffset } from "./address-size.ts";
import { isStage2Device } from "./attributes.ts";
import type { SmmuConfig } from "./config.ts";
import { Descriptor, DescriptorKind, mappedSize } from "./descriptor.ts";
import type { Fault } from "./faults.ts";
import { stage2Permissions } from "./permissions.ts";
import type { SmmuHost } from "./ports.ts";
import { EventNumber, FaultClass } from "./spec/events.ts";
import type { Stage2Config } from "./stage2-config.ts";
import type { StaleDetector } from "./stale-detector.ts";
import { IPA_ENTRY, type Tlb, TlbEntry } from "./tlb.ts";
import type { WalkCache } from "./walk-cache.ts";
import { Step } from "./trail.ts";

export interface Stage2Deps {
  readonly config: SmmuConfig;
  readonly host: SmmuHost;
  readonly tlb: Tlb;
  readonly walks: WalkCache;
  readonly fault: Fault;
  readonly detector: StaleDetector | undefined;
}

export class Stage2 {
  /** The mapping that the last successful {@link translate} used. */
  readonly entry: TlbEntry = new TlbEntry();
  /** Where the address of the last successful {@link translate} went. */
  physical = 0;
  /** The TLB slot that has it, or -1. */
  slot = -1;
  readonly #deps: Stage2Deps;
  readonly #descriptor = new Descriptor();

  constructor(deps: Stage2Deps) {
    this.#deps = deps;
    this.entry.kind = IPA_ENTRY;
  }

  /**
   * @param purpose what the address is needed for: events carry it as CLASS
   * @param need the Perm2 bit of the access
   * @returns false if the translation failed, see `fault`
   */
  translate(stage2: Stage2Config, ipa: number, purpose: FaultClass, need: number): boolean {
    const { tlb, fault, detector } = this.#deps;
    const { entry } = this;
    const hi = high32(ipa);
    const lo = low32(ipa);
    const mark = detector === undefined ? 0 : detector.trail.length;
    // 7.2
    const slot = tlb.lookupIpa(stage2.lookup, hi, lo);
    if (slot >= 0) {
      tlb.read(slot, entry);
      detector?.ipaHit(slot, stage2, ipa);
    } else if (!this.#walk(stage2, ipa, purpose)) {
      return false;
    }
    // 7.7
    if ((entry.stage2 & need) === 0) return !fault.raiseStage2(EventNumber.F_PERMISSION, purpose, ipa);
    if (stage2.protectWalks && purpose !== FaultClass.in && isStage2Device(entry.memAttr, entry.forcedWriteBack)) {
      return !fault.raiseStage2(EventNumber.F_PERMISSION, purpose, ipa);
    }
    this.slot = slot;
    if (slot < 0) {
      this.slot = tlb.insert(entry);
      if (this.slot >= 0) detector?.keep(this.slot, mark, stage2.table, -1);
    }
    // 7.10
    this.physical = withOffset(entry.pa, entry.size, hi, lo);
    return true;
  }

  #walk(stage2: Stage2Config, ipa: number, purpose: FaultClass): boolean {
    const { host, fault, walks, detector } = this.#deps;
    const { granule, inputBits, wide } = stage2;
    const descriptor = this.#descriptor;
    const hi = high32(ipa);
    const lo = low32(ipa);
    // 7.3
    if (ipa >= POW2[inputBits]!) return !fault.raiseStage2(EventNumber.F_TRANSLATION, purpose, ipa);
    // 7.4, 7.5
    const context = walks.ipaContext(stage2.lookup);
    let table = stage2.table;
    let level = walks.deepest(context, granule, stage2.startLevel, hi, lo) + 1;
    if (level > stage2.startLevel) {
      table = walks.table(walks.slot);
      detector?.stage2WalkHit(walks.slot, stage2, ipa);
    }
    for (const mark = detector?.trail.length ?? 0; ; level++) {
      const address = table + entryOffset(granule, level, inputBits, level === stage2.startLevel, hi, lo);
      if (!descriptor.fetch(host, "tt-s2", address, level, stage2.bigEndian)) return !fault.raiseWalkAbort(true, purpose, address);
      const kind = descriptor.kind(granule, level, wide);
      if (kind === DescriptorKind.invalid) return !fault.raiseStage2(EventNumber.F_TRANSLATION, purpose, ipa);
      const isLeaf = kind === DescriptorKind.leaf;
      const shift = isLeaf ? levelShift(granule, level) : granule;
      const output = descriptor.address(shift, granule, wide);
      if (exceedsOutput(output, shift, stage2.outputBits, hi, lo)) return !fault.raiseStage2(EventNumber.F_ADDR_SIZE, purpose, ipa);
      detector?.trail.add(
        address,
        descriptor.hi,
        descriptor.lo,
        Step.stage2 | (isLeaf ? Step.leaf : 0) | (stage2.bigEndian ? Step.bigEndian : 0) | (wide && granule !== 16 ? Step.lpa2 : 0),
      );
      if (isLeaf) return this.#leaf(stage2, ipa, purpose, level, output);
      table = output;
      const kept = walks.keep(context, granule, level, hi, lo, table, 0);
      if (kept >= 0) detector?.keepWalk(kept, mark, stage2.table, -1);
    }
  }

  #leaf(stage2: Stage2Config, ipa: number, purpose: FaultClass, level: number, output: number): boolean {
    const { config, fault } = this.#deps;
    const { entry } = this;
    const descriptor = this.#descriptor;
    // 7.6
    if (!descriptor.accessFlag && !stage2.ignoreAccessFlag) return !fault.raiseStage2(EventNumber.F_ACCESS, purpose, ipa);
    entry.vmid = stage2.vmid;
    entry.hi = high32(ipa);
    entry.lo = low32(ipa);
    entry.granule = stage2.granule;
    entry.level = level;
    entry.size = mappedSize(descriptor, stage2.granule, level, stage2.inputBits, stage2.outputBits, output, entry.hi, entry.lo);
    entry.cacheable = descriptor.cacheable(level, config);
    entry.pa = output - (output % POW2[entry.size]!);
    entry.stage2 = stage2Permissions((descriptor.lo >>> 6) & 3, (descriptor.hi >>> 21) & 3, config.xnx);
    entry.memAttr = (descriptor.lo >>> 2) & 15;
    entry.shareability2 = stage2.shareability < 0 ? (descriptor.lo >>> 8) & 3 : stage2.shareability;
    entry.forcedWriteBack = stage2.forcedWriteBack;
    return true;
  }
}
