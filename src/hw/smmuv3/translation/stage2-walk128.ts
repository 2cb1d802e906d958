// SPDX-License-Identifier: MIT
/** Stage-2 walks through VMSAv9-128 tables (DDI 0487 D8.2.11, D8.3.2; translation steps 7.3 to 7.6). */
import { high32, low32, POW2 } from "../../bits/hex.ts";
import type { DescriptorUpdates } from "./access-flag.ts";
import { exceedsOutput } from "./address-size.ts";
import { entryOffset128, levelShift128, strideOf128 } from "./address-size128.ts";
import { stage2MemAttr } from "./attributes.ts";
import { DescriptorKind } from "./descriptor.ts";
import { Descriptor128, mappedSize128, skipOf } from "./descriptor128.ts";
import { STAGE2_CODES } from "./indirection.ts";
import { Perm2, WRITES2 } from "./permissions.ts";
import { EventNumber, type FaultClass } from "../spec/events.ts";
import type { Stage2Deps } from "./stage2.ts";
import type { Stage2Config } from "../config/stage2-config.ts";
import { Clean, type TlbEntry } from "../caches/tlb.ts";
import { Step } from "./trail.ts";

export class Stage2Reader128 {
  readonly #deps: Stage2Deps;
  readonly #descriptor = new Descriptor128();

  constructor(deps: Stage2Deps) {
    this.#deps = deps;
  }

  /** Reads descriptors to the leaf. @returns false with the reason in `fault`; permissions are not yet checked */
  read(stage2: Stage2Config, ipa: number, purpose: FaultClass, entry: TlbEntry, updates: DescriptorUpdates): boolean {
    const { config, host, fault, walks, detector } = this.#deps;
    const { granule, inputBits, outputBits, startLevel } = stage2;
    const descriptor = this.#descriptor;
    const stride = strideOf128(granule);
    const hi = high32(ipa);
    const lo = low32(ipa);
    // 7.3
    if (ipa >= POW2[inputBits]!) return !fault.raiseStage2(EventNumber.F_TRANSLATION, purpose, ipa);
    // 7.4, 7.5
    const context = walks.ipaContext(stage2.lookup);
    updates.length = 0;
    let { table } = stage2;
    let level = startLevel;
    let width = inputBits - levelShift128(granule, level);
    const known = walks.deepest(context, granule, startLevel, hi, lo, stride);
    if (known >= startLevel) {
      const skip = skipOf(walks.limits(walks.slot));
      table = walks.table(walks.slot);
      width = (skip + 1) * stride;
      level = known + skip + 1;
      detector?.stage2WalkHit(walks.slot, stage2, ipa);
    }
    const mark = detector?.trail.length ?? 0;
    for (let settled = true; ;) {
      const shift = levelShift128(granule, level);
      const address = table + entryOffset128(shift, width, hi, lo);
      // A table may be larger than all that may be output (DDI 0487 D8.2.11.1, D8.2.11.2).
      if (address >= POW2[outputBits]!) return !fault.raiseStage2(EventNumber.F_ADDR_SIZE, purpose, ipa);
      if (!descriptor.fetch(host, "tt-s2", address, level, stage2.bigEndian)) return !fault.raiseWalkAbort(true, purpose, address);
      const kind = descriptor.kind(granule, level);
      if (kind === DescriptorKind.invalid) return !fault.raiseStage2(EventNumber.F_TRANSLATION, purpose, ipa);
      const isLeaf = kind === DescriptorKind.leaf;
      const output = descriptor.address(isLeaf ? shift : descriptor.tableSize(granule));
      if (exceedsOutput(output, isLeaf ? shift : granule, outputBits, hi, lo))
        return !fault.raiseStage2(EventNumber.F_ADDR_SIZE, purpose, ipa);
      detector?.trail.add128(address, descriptor, Step.stage2 | (isLeaf ? Step.leaf : 0) | (stage2.bigEndian ? Step.bigEndian : 0));
      if (isLeaf) return this.#leaf(stage2, ipa, purpose, level, output, address, entry, updates);
      if (stage2.tableAccess) updates.access128(address, descriptor, -1);
      table = output;
      // A table descriptor whose Access flag is still to be set is not to be cached (§3.13.6), nor what it leads to; one with nT
      // is not either (§3.21.1.1).
      settled &&= !stage2.tableAccess || descriptor.accessFlag;
      if (settled && descriptor.cacheable(config)) {
        const kept = walks.keepSized(context, granule, shift, hi, lo, table, descriptor.limits);
        if (kept >= 0) detector?.keepWalk(kept, mark, stage2.table, -1);
      }
      width = (descriptor.skip + 1) * stride;
      level += descriptor.skip + 1;
    }
  }

  /** 7.6. @param address of the descriptor */
  #leaf(
    stage2: Stage2Config,
    ipa: number,
    purpose: FaultClass,
    level: number,
    output: number,
    address: number,
    entry: TlbEntry,
    updates: DescriptorUpdates,
  ): boolean {
    const { config, registers, fault, detector } = this.#deps;
    const { granule, inputBits, outputBits, hardwareDirty } = stage2;
    const descriptor = this.#descriptor;
    if (stage2.hardwareAccess) updates.access128(address, descriptor, (detector?.trail.length ?? 0) - 1);
    else if (!descriptor.accessFlag && !stage2.ignoreAccessFlag) return !fault.raiseStage2(EventNumber.F_ACCESS, purpose, ipa);
    entry.vmid = stage2.vmid;
    entry.hi = high32(ipa);
    entry.lo = low32(ipa);
    entry.granule = granule;
    entry.level = level;
    entry.d128 = true;
    entry.size = mappedSize128(descriptor.contiguous, granule, level, inputBits, outputBits, output, entry.hi, entry.lo);
    entry.cacheable = descriptor.cacheable(config);
    entry.pa = output - (output % POW2[entry.size]!);
    // Permissions are always indirect (DDI 0487 D8.4.2).
    entry.stage2 = STAGE2_CODES[registers.s2pii(descriptor.piIndex)]!;
    entry.clean = !descriptor.bit7 && (entry.stage2 & WRITES2) !== 0 ? Clean.stage2 : 0;
    entry.poIndex = descriptor.poIndex;
    if (stage2.assuredOnly && descriptor.hardened) entry.stage2 |= Perm2.assuredOnly;
    entry.memAttr = stage2MemAttr((descriptor.lo >>> 2) & 15, stage2.forcedWriteBack, config.mteperm);
    entry.shareability2 = (descriptor.lo >>> 8) & 3;
    entry.forcedWriteBack = stage2.forcedWriteBack;
    detector?.trail.mark(
      (entry.clean !== 0 && hardwareDirty ? Step.clean : 0) |
        (stage2.assuredOnly ? Step.hardened : 0) |
        (stage2.overlay === undefined ? 0 : Step.upper),
    );
    return true;
  }
}
