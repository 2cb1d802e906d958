// SPDX-License-Identifier: MIT
/** Stage-1 walks (IHI 0070 §3.4; DDI 0487 D8.2; translation steps 6.2 to 6.5). */
import type { TraceSink } from "../../../sim/index.ts";
import { DescriptorUpdates, MOST_WALKS, Update } from "./access-flag.ts";
import { entryOffset, exceedsOutput, inRange, levelShift, withOffset } from "./address-size.ts";
import type { BusStatus } from "../../memory/system-bus.ts";
import type { Cd, Stage1Half } from "../config/cd.ts";
import type { SmmuConfig } from "../config/config.ts";
import { Descriptor, DescriptorKind, mappedSize } from "./descriptor.ts";
import type { Fault } from "../queues/faults.ts";
import { allowedByStage1, Perm2, stage1Permissions, TableLimit, WRITES1 } from "./permissions.ts";
import { type SmmuEvents, type SmmuHost, StreamWorld } from "../ports.ts";
import { EventNumber, FaultClass } from "../spec/events.ts";
import { Origin, type Stage2 } from "./stage2.ts";
import type { StaleDetector } from "../caches/stale-detector.ts";
import { TableLint } from "./table-lint.ts";
import { Clean, type TlbEntry } from "../caches/tlb.ts";
import { Step } from "./trail.ts";
import { Stage1Reader128 } from "./walk128.ts";
import type { WalkCache } from "../caches/walk-cache.ts";

export interface Stage1WalkerDeps {
  readonly config: SmmuConfig;
  readonly host: SmmuHost;
  readonly stage2: Stage2;
  readonly walks: WalkCache;
  readonly fault: Fault;
  readonly detector: StaleDetector | undefined;
  readonly trace: TraceSink<SmmuEvents>;
}

/** Answers of the update that are no address. */
const UPDATED = -1;
const REFUSED = -2;

export class Stage1Walker {
  readonly #deps: Stage1WalkerDeps;
  readonly #descriptor = new Descriptor();
  readonly #reader128: Stage1Reader128;
  readonly #updates = new DescriptorUpdates();
  readonly #tables: TableLint;
  #limits = 0;
  /** Where the next fetch goes, which was made already; -1: it was not. */
  #ahead = -1;
  /** The last walk is an assured translation as far as it has come (§3.27.2). */
  #assured = false;

  constructor(deps: Stage1WalkerDeps) {
    this.#deps = deps;
    this.#reader128 = new Stage1Reader128(deps);
    this.#tables = new TableLint(deps.trace);
  }

  /** What stage 2 is told of the output of the last walk. */
  get origin(): number {
    return this.#assured ? 0 : Origin.notAssured;
  }

  /** Has the next fetch give a descriptor that was fetched already. */
  fetched(physical: number, status: BusStatus, hi: number, lo: number): void {
    this.#ahead = physical;
    this.#descriptor.fetched(status, hi, lo);
  }

  /**
   * Walks one half of the address space, checks the permission of stage 1, and updates descriptors.
   * @param upper the TTB1 half
   * @param hi upper word of the address, bits [63:56] already replaced if they are ignored
   * @param need the Perm1 bit of the access
   * @param entry gets size, level, output address (in `pa`), permissions and attributes of stage 1
   * @returns false if the walk failed or refused the access, see `fault`
   */
  walk(cd: Cd, half: Stage1Half, upper: boolean, hi: number, lo: number, need: number, entry: TlbEntry): boolean {
    const { fault } = this.#deps;
    for (let walks = 1; ; walks++) {
      if (!(cd.d128 ? this.#read128(cd, half, upper, hi, lo, entry) : this.#read(cd, half, upper, hi, lo, entry))) return false;
      // 6.6
      if (!allowedByStage1(cd, entry, need, fault)) return false;
      // 6.7
      if ((need & WRITES1) !== 0 && (entry.clean & Clean.stage1) !== 0) {
        this.#updates.dirty();
        entry.clean = 0;
      }
      const physical = this.#update(cd);
      if (physical === UPDATED) return true;
      if (physical === REFUSED) return false;
      if (walks === MOST_WALKS) return !fault.raiseWalkAbort(false, FaultClass.tt, physical);
    }
  }

  /** 6.7. @returns {@link UPDATED}, {@link REFUSED} with the reason in `fault`, or where a descriptor has changed meanwhile */
  #update(cd: Cd): number {
    const { host, fault, stage2, detector } = this.#deps;
    const updates = this.#updates;
    for (let i = 0; i < updates.length; i++) {
      if (!updates.needed(i)) continue;
      let physical = updates.address[i]!;
      if (cd.ste.stage2 !== undefined) {
        if (!stage2.translate(cd.ste.stage2, physical, FaultClass.tt, Perm2.walkWrite)) return REFUSED;
        physical = stage2.physical;
      }
      const result = updates.write(i, host, physical, cd.bigEndian, detector?.trail);
      if (result === Update.changed) return physical;
      if (result === Update.aborted) {
        fault.raiseWalkAbort(false, FaultClass.tt, physical);
        return REFUSED;
      }
    }
    return UPDATED;
  }

  #read128(cd: Cd, half: Stage1Half, upper: boolean, hi: number, lo: number, entry: TlbEntry): boolean {
    const found = this.#reader128.read(cd, half, upper, hi, lo, entry, this.#updates);
    this.#assured = this.#reader128.assured;
    return found;
  }

  /** 6.2 to 6.5 */
  #read(cd: Cd, half: Stage1Half, upper: boolean, hi: number, lo: number, entry: TlbEntry): boolean {
    const { fault, walks, detector } = this.#deps;
    const { granule, inputBits, wide } = half;
    const descriptor = this.#descriptor;
    // 6.2
    if (!half.enabled || !inRange(inputBits, upper, hi, lo)) return !fault.raise(EventNumber.F_TRANSLATION);
    // 6.3, 6.4
    let table = half.table;
    this.#limits = 0;
    this.#updates.length = 0;
    if (detector !== undefined) detector.trail.length = 0;
    const { stage2 } = cd.ste;
    this.#assured = stage2 !== undefined && (upper ? stage2.topLevel1 : stage2.topLevel0) && cd.assured;
    const context = walks.vaContext(cd.lookup);
    let level = walks.deepest(context, granule, half.startLevel, hi, lo) + 1;
    if (level > half.startLevel) {
      table = walks.table(walks.slot);
      this.#limits = walks.limits(walks.slot);
      this.#assured = (this.#limits & TableLimit.notAssured) === 0;
      detector?.stage1WalkHit(walks.slot, cd, half.table);
    }
    for (let settled = true; ; level++) {
      const address = table + entryOffset(granule, level, inputBits, level === half.startLevel, hi, lo);
      const first = level === half.startLevel;
      const physical = this.#fetch(cd, level, address, first ? (upper ? Origin.table1 : Origin.table0) : this.origin);
      if (physical < 0) return false;
      if (!first) this.#assured &&= cd.protectedBit && descriptor.protected && this.#deps.stage2.mostlyReadOnly;
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
      if (isLeaf) return this.#leaf(cd, half, level, output, hi, lo, address, entry);
      if (!this.#assured) this.#limits |= TableLimit.notAssured;
      if (cd.protectedBit) detector?.trail.mark(Step.hardened);
      if (cd.tableAccess) this.#updates.access(address, descriptor, -1);
      if (!half.noTableAttributes) this.#limits |= tableLimits(descriptor.hi);
      this.#tables.check(descriptor, 1, granule, wide, true, physical);
      table = output;
      // A table descriptor whose Access flag is still to be set is not to be cached (§3.13.6), nor what it leads to: a walk that
      // begins below would never set it.
      settled &&= !cd.tableAccess || descriptor.accessFlag;
      if (!settled) continue;
      const kept = walks.keep(context, granule, level, hi, lo, table, this.#limits);
      if (kept >= 0) detector?.keepWalk(kept, 0, cd.ste.stage2?.table ?? -1, half.table);
    }
  }

  /** 6.4 a, b. @returns the physical address of the descriptor, or -1 */
  #fetch(cd: Cd, level: number, address: number, origin: number): number {
    const { host, fault, stage2 } = this.#deps;
    let physical = address;
    if (this.#ahead >= 0) {
      physical = this.#ahead;
      this.#ahead = -1;
    } else if (cd.ste.stage2 !== undefined) {
      if (!stage2.translate(cd.ste.stage2, address, FaultClass.tt, Perm2.read, origin)) return -1;
      physical = stage2.physical;
    }
    if (this.#descriptor.fetch(host, "tt-s1", physical, level, cd.bigEndian)) return physical;
    fault.raiseWalkAbort(false, FaultClass.tt, physical);
    return -1;
  }

  /** 6.5. @param address of the descriptor */
  #leaf(cd: Cd, half: Stage1Half, level: number, output: number, hi: number, lo: number, address: number, entry: TlbEntry): boolean {
    const { config, fault, detector } = this.#deps;
    const descriptor = this.#descriptor;
    const low = descriptor.lo;
    if (cd.hardwareAccess) this.#updates.access(address, descriptor, (detector?.trail.length ?? 0) - 1);
    else if (!descriptor.accessFlag && !cd.ignoreAccessFlag) return !fault.raise(EventNumber.F_ACCESS);
    entry.granule = half.granule;
    entry.level = level;
    entry.d128 = false;
    entry.size = cd.protectedBit
      ? levelShift(half.granule, level)
      : mappedSize(descriptor, half.granule, level, half.inputBits, half.outputBits, output, hi, lo);
    if (cd.protectedBit) detector?.trail.mark(Step.hardened);
    entry.cacheable = descriptor.cacheable(level, config);
    entry.pa = withOffset(output, levelShift(half.granule, level), hi, lo);
    // Entries of EL2 have no ASID: they match like global ones.
    entry.global = cd.ste.world === StreamWorld.nsEl2 || (low & 0x800) === 0;
    this.#permissions(cd, entry);
    entry.type = cd.memoryTypes[descriptor.attrIndx(cd.wideAttrIndx)]!;
    if (cd.wideAttrIndx) detector?.trail.mark(Step.upper);
    entry.shareability = half.shareability < 0 ? (low >>> 8) & 3 : half.shareability;
    return true;
  }

  /** Permissions and dirty state of the leaf. */
  #permissions(cd: Cd, entry: TlbEntry): void {
    const descriptor = this.#descriptor;
    const { hi, lo, bit7 } = descriptor;
    let clean = false;
    if (cd.indirect !== undefined) {
      // Tables above have no say (DDI 0487 D8.4.1.3).
      entry.stage1 = cd.indirect[descriptor.piIndex]!;
      clean = bit7 && (entry.stage1 & WRITES1) !== 0;
    } else {
      // Where tables above forbid writing, nothing is granted that could make it dirty (§3.13.3.1).
      clean = cd.hardwareDirty && descriptor.dirtyBitModifier && bit7;
      const ap = (lo >>> 6) & (clean ? 1 : 3);
      entry.stage1 = stage1Permissions(ap, (hi & 0x20_0000) !== 0, (hi & 0x40_0000) !== 0, this.#limits, cd);
    }
    entry.clean = clean ? Clean.stage1 : 0;
    const mayChange = clean && cd.hardwareDirty;
    if (cd.hardwareDirty || cd.indirect !== undefined) this.#deps.detector?.trail.mark(Step.bit51 | (mayChange ? Step.clean : 0));
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
