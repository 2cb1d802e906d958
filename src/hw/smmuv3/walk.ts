// SPDX-License-Identifier: MIT
/** Stage-1 walks (IHI 0070 §3.4; DDI 0487 D8.2; translation steps 6.2 to 6.5). */
import { entryOffset, exceedsOutput, levelShift, withOffset } from "./address-size.ts";
import type { Cd, Stage1Half } from "./cd.ts";
import type { SmmuConfig } from "./config.ts";
import { Descriptor, DescriptorKind, mappedSize } from "./descriptor.ts";
import type { Fault } from "./faults.ts";
import { Perm2, stage1Permissions, TableLimit } from "./permissions.ts";
import { type SmmuHost, StreamWorld } from "./ports.ts";
import { EventNumber, FaultClass } from "./spec/events.ts";
import type { Stage2 } from "./stage2.ts";
import type { StaleDetector } from "./stale-detector.ts";
import type { TlbEntry } from "./tlb.ts";
import { Step } from "./trail.ts";
import type { WalkCache } from "./walk-cache.ts";

export interface Stage1WalkerDeps {
  readonly config: SmmuConfig;
  readonly host: SmmuHost;
  readonly stage2: Stage2;
  readonly walks: WalkCache;
  readonly fault: Fault;
  readonly detector: StaleDetector | undefined;
}

/** True if the bits from `inputBits` up are what the half demands: all zero for TTB0, all ones for TTB1. */
export function inRange(inputBits: number, upper: boolean, hi: number, lo: number): boolean {
  const sign = upper ? -1 : 0;
  if (inputBits >= 32) return (hi | 0) >> (inputBits - 32) === sign;
  return (hi | 0) === sign && (lo | 0) >> inputBits === sign;
}

export class Stage1Walker {
  readonly #deps: Stage1WalkerDeps;
  readonly #descriptor = new Descriptor();
  #limits = 0;

  constructor(deps: Stage1WalkerDeps) {
    this.#deps = deps;
  }

  /**
   * Walks one half of the address space.
   * @param upper the TTB1 half
   * @param hi upper word of the address, bits [63:56] already replaced if they are ignored
   * @param entry gets size, level, output address (in `pa`), permissions and attributes of stage 1
   * @returns false if the walk failed, see `fault`
   */
  walk(cd: Cd, half: Stage1Half, upper: boolean, hi: number, lo: number, entry: TlbEntry): boolean {
    const { fault, walks, detector } = this.#deps;
    const { granule, inputBits, wide } = half;
    const descriptor = this.#descriptor;
    // 6.2
    if (!half.enabled || !inRange(inputBits, upper, hi, lo)) return !fault.raise(EventNumber.F_TRANSLATION);
    // 6.3, 6.4
    let table = half.table;
    this.#limits = 0;
    if (detector !== undefined) detector.trail.length = 0;
    const context = walks.vaContext(cd.lookup);
    let level = walks.deepest(context, granule, half.startLevel, hi, lo) + 1;
    if (level > half.startLevel) {
      table = walks.table(walks.slot);
      this.#limits = walks.limits(walks.slot);
      detector?.stage1WalkHit(walks.slot, cd, half.table);
    }
    for (; ; level++) {
      const address = table + entryOffset(granule, level, inputBits, level === half.startLevel, hi, lo);
      const physical = this.#fetch(cd, level, address);
      if (physical < 0) return false;
      const kind = descriptor.kind(granule, level, wide);
      if (kind === DescriptorKind.invalid) return !fault.raise(EventNumber.F_TRANSLATION);
      const isLeaf = kind === DescriptorKind.leaf;
      const shift = isLeaf ? levelShift(granule, level) : granule;
      const output = descriptor.address(shift, granule, wide);
      if (exceedsOutput(output, shift, half.outputBits, hi, lo)) return !fault.raise(EventNumber.F_ADDR_SIZE);
      detector?.trail.add(
        physical,
        descriptor.hi,
        descriptor.lo,
        (isLeaf ? Step.leaf : 0) | (cd.bigEndian ? Step.bigEndian : 0) | (wide && granule !== 16 ? Step.lpa2 : 0),
      );
      if (isLeaf) return this.#leaf(cd, half, level, output, hi, lo, entry);
      if (!half.noTableAttributes) this.#limits |= tableLimits(descriptor.hi);
      table = output;
      const kept = walks.keep(context, granule, level, hi, lo, table, this.#limits);
      if (kept >= 0) detector?.keepWalk(kept, 0, cd.ste.stage2?.table ?? -1, half.table);
    }
  }

  /** 6.4 a, b. @returns the physical address of the descriptor, or -1 */
  #fetch(cd: Cd, level: number, address: number): number {
    const { host, fault, stage2 } = this.#deps;
    let physical = address;
    if (cd.ste.stage2 !== undefined) {
      if (!stage2.translate(cd.ste.stage2, address, FaultClass.tt, Perm2.read)) return -1;
      physical = stage2.physical;
    }
    if (this.#descriptor.fetch(host, "tt-s1", physical, level, cd.bigEndian)) return physical;
    fault.raiseWalkAbort(false, FaultClass.tt, physical);
    return -1;
  }

  /** 6.5 */
  #leaf(cd: Cd, half: Stage1Half, level: number, output: number, hi: number, lo: number, entry: TlbEntry): boolean {
    const descriptor = this.#descriptor;
    const low = descriptor.lo;
    if (!descriptor.accessFlag && !cd.ignoreAccessFlag) return !this.#deps.fault.raise(EventNumber.F_ACCESS);
    entry.granule = half.granule;
    entry.level = level;
    entry.size = mappedSize(descriptor, half.granule, level, half.inputBits, half.outputBits, output, hi, lo);
    entry.cacheable = descriptor.cacheable(level, this.#deps.config);
    entry.pa = withOffset(output, levelShift(half.granule, level), hi, lo);
    // Entries of EL2 have no ASID: they match like global ones.
    entry.global = cd.ste.world === StreamWorld.nsEl2 || (low & 0x800) === 0;
    entry.stage1 = stage1Permissions(
      (low >>> 6) & 3,
      (descriptor.hi & 0x20_0000) !== 0,
      (descriptor.hi & 0x40_0000) !== 0,
      this.#limits,
      cd,
    );
    entry.type = cd.memoryTypes[(low >>> 2) & 7]!;
    entry.shareability = half.shareability < 0 ? (low >>> 8) & 3 : half.shareability;
    return true;
  }
}

/** Attributes of a table descriptor that limit everything below it. */
function tableLimits(hi: number): number {
  return (
    (hi & 0x2000_0000 ? TableLimit.noUser : 0) |
    (hi & 0x4000_0000 ? TableLimit.noWrite : 0) |
    (hi & 0x1000_0000 ? TableLimit.noUserExecute : 0) |
    (hi & 0x0800_0000 ? TableLimit.noPrivExecute : 0)
  );
}
