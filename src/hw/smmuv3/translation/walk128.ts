// SPDX-License-Identifier: MIT
/**
 * Stage-1 walks through VMSAv9-128 tables (DDI 0487 D8.2.11, D8.3.2; translation steps 6.2 to 6.5).
 *
 * What differs from walks through 64-bit descriptors: tables may skip levels, each descriptor names the level of what it leads
 * to, and a table descriptor says nothing about permissions.
 */
import { POW2 } from "../../bits/hex.ts";
import type { DescriptorUpdates } from "./access-flag.ts";
import { exceedsOutput, inRange, withOffset } from "./address-size.ts";
import { entryOffset128, levelShift128, strideOf128 } from "./address-size128.ts";
import type { Cd, Stage1Half } from "../config/cd.ts";
import { DescriptorKind } from "./descriptor.ts";
import { Descriptor128, mappedSize128, NO_CONTIGUOUS, skipOf } from "./descriptor128.ts";
import { Perm2, TableLimit, WRITES1 } from "./permissions.ts";
import { EventNumber, FaultClass } from "../spec/events.ts";
import { Origin } from "./stage2.ts";
import { Clean, type TlbEntry } from "../caches/tlb.ts";
import { Step } from "./trail.ts";
import type { Stage1WalkerDeps } from "./walk.ts";

export class Stage1Reader128 {
  /** The last walk is an assured translation as far as it has come (§3.27.2). */
  assured = false;
  readonly #deps: Stage1WalkerDeps;
  readonly #descriptor = new Descriptor128();

  constructor(deps: Stage1WalkerDeps) {
    this.#deps = deps;
  }

  /** Reads descriptors to the leaf. @returns false with the reason in `fault`; permissions are not yet checked */
  read(cd: Cd, half: Stage1Half, upper: boolean, hi: number, lo: number, entry: TlbEntry, updates: DescriptorUpdates): boolean {
    const { fault, walks, detector, config, stage2 } = this.#deps;
    const { granule, inputBits, outputBits, startLevel } = half;
    const descriptor = this.#descriptor;
    const stride = strideOf128(granule);
    // 6.2
    if (!half.enabled || !inRange(inputBits, upper, hi, lo)) return !fault.raise(EventNumber.F_TRANSLATION);
    // 6.3, 6.4
    updates.length = 0;
    if (detector !== undefined) detector.trail.length = 0;
    const second = cd.ste.stage2;
    this.assured = second !== undefined && (upper ? second.topLevel1 : second.topLevel0) && cd.assured;
    const context = walks.vaContext(cd.lookup);
    let table = half.table;
    let level = startLevel;
    let width = inputBits - levelShift128(granule, level);
    let limits = half.noContiguous ? NO_CONTIGUOUS : 0;
    const known = walks.deepest(context, granule, startLevel, hi, lo, stride);
    if (known >= startLevel) {
      table = walks.table(walks.slot);
      limits = walks.limits(walks.slot);
      width = (skipOf(limits) + 1) * stride;
      level = known + skipOf(limits) + 1;
      this.assured = (limits & TableLimit.notAssured) === 0;
      detector?.stage1WalkHit(walks.slot, cd, half.table);
    }
    for (let settled = true; ;) {
      const shift = levelShift128(granule, level);
      const address = table + entryOffset128(shift, width, hi, lo);
      // A table may be larger than all that may be output (DDI 0487 D8.2.11.1, D8.2.11.2).
      if (address >= POW2[outputBits]!) return !fault.raise(EventNumber.F_ADDR_SIZE);
      const first = level === startLevel;
      const origin = first ? (upper ? Origin.table1 : Origin.table0) : this.assured ? 0 : Origin.notAssured;
      const physical = this.#fetch(cd, level, address, origin);
      if (physical < 0) return false;
      if (!first) this.assured &&= cd.protectedBit && descriptor.hardened && stage2.mostlyReadOnly;
      const kind = descriptor.kind(granule, level);
      if (kind === DescriptorKind.invalid) return !fault.raise(EventNumber.F_TRANSLATION);
      const isLeaf = kind === DescriptorKind.leaf;
      const output = descriptor.address(isLeaf ? shift : descriptor.tableSize(granule));
      if (exceedsOutput(output, isLeaf ? shift : granule, outputBits, hi, lo)) return !fault.raise(EventNumber.F_ADDR_SIZE);
      const step = (isLeaf ? Step.leaf : 0) | (cd.bigEndian ? Step.bigEndian : 0) | (cd.protectedBit ? Step.hardened : 0);
      detector?.trail.add128(physical, descriptor, step);
      if (isLeaf) return this.#leaf(cd, half, level, (limits & NO_CONTIGUOUS) === 0, output, hi, lo, address, entry, updates);
      if (cd.tableAccess) updates.access128(address, descriptor, -1);
      table = output;
      limits = descriptor.limits | (this.assured ? 0 : TableLimit.notAssured);
      // A table descriptor whose Access flag is still to be set is not to be cached (§3.13.6), nor what it leads to; one with nT
      // is not either (§3.21.1.1).
      settled &&= !cd.tableAccess || descriptor.accessFlag;
      if (settled && descriptor.cacheable(config)) {
        const kept = walks.keepSized(context, granule, shift, hi, lo, table, limits);
        if (kept >= 0) detector?.keepWalk(kept, 0, second?.table ?? -1, half.table);
      }
      width = (descriptor.skip + 1) * stride;
      level += descriptor.skip + 1;
    }
  }

  /** 6.4 a, b. @returns the physical address of the descriptor, or -1 */
  #fetch(cd: Cd, level: number, address: number, origin: number): number {
    const { host, fault, stage2 } = this.#deps;
    let physical = address;
    if (cd.ste.stage2 !== undefined) {
      if (!stage2.translate(cd.ste.stage2, address, FaultClass.tt, Perm2.read, origin)) return -1;
      physical = stage2.physical;
    }
    if (this.#descriptor.fetch(host, "tt-s1", physical, level, cd.bigEndian)) return physical;
    fault.raiseWalkAbort(false, FaultClass.tt, physical);
    return -1;
  }

  /** 6.5. @param address of the descriptor */
  #leaf(
    cd: Cd,
    half: Stage1Half,
    level: number,
    runs: boolean,
    output: number,
    hi: number,
    lo: number,
    address: number,
    entry: TlbEntry,
    updates: DescriptorUpdates,
  ): boolean {
    const { config, fault, detector } = this.#deps;
    const { granule, inputBits, outputBits } = half;
    const descriptor = this.#descriptor;
    if (cd.hardwareAccess) updates.access128(address, descriptor, (detector?.trail.length ?? 0) - 1);
    else if (!descriptor.accessFlag && !cd.ignoreAccessFlag) return !fault.raise(EventNumber.F_ACCESS);
    entry.granule = granule;
    entry.level = level;
    entry.d128 = true;
    entry.size = mappedSize128(runs && descriptor.contiguous, granule, level, inputBits, outputBits, output, hi, lo);
    entry.cacheable = descriptor.cacheable(config);
    entry.pa = withOffset(output, levelShift128(granule, level), hi, lo);
    entry.global = (descriptor.lo & 0x800) === 0;
    // Permissions are always indirect (DDI 0487 D8.4.1).
    entry.stage1 = cd.indirect![descriptor.piIndex]!;
    entry.clean = descriptor.bit7 && (entry.stage1 & WRITES1) !== 0 ? Clean.stage1 : 0;
    entry.type = cd.memoryTypes[descriptor.attrIndx(cd.wideAttrIndx)]!;
    entry.shareability = (descriptor.lo >>> 8) & 3;
    detector?.trail.mark((cd.wideAttrIndx ? Step.upper : 0) | (entry.clean !== 0 && cd.hardwareDirty ? Step.clean : 0));
    return true;
  }
}
