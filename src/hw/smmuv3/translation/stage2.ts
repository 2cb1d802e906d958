// SPDX-License-Identifier: MIT
/** Stage 2: intermediate to physical addresses (IHI 0070 §3.4, §13; translation steps 7.1 to 7.10). */
import type { TraceSink } from "../../../sim/index.ts";
import { high32, low32, POW2 } from "../../bits/hex.ts";
import type { BusStatus } from "../../memory/system-bus.ts";
import { DescriptorUpdates, MOST_WALKS, Update } from "./access-flag.ts";
import { entryOffset, exceedsOutput, levelShift, withOffset } from "./address-size.ts";
import { isStage2Device, stage2MemAttr } from "./attributes.ts";
import type { SmmuConfig } from "../config/config.ts";
import { Descriptor, DescriptorKind, mappedSize } from "./descriptor.ts";
import type { Fault } from "../queues/faults.ts";
import { Perm2, stage2Permissions, WRITES2 } from "./permissions.ts";
import { STAGE2_CODES } from "./indirection.ts";
import type { RegisterView, SmmuEvents, SmmuHost } from "../ports.ts";
import { EventNumber, FaultClass } from "../spec/events.ts";
import { Stage2Reader128 } from "./stage2-walk128.ts";
import type { Stage2Config } from "../config/stage2-config.ts";
import type { StaleDetector } from "../caches/stale-detector.ts";
import { TableLint } from "./table-lint.ts";
import { Clean, IPA_ENTRY, type Tlb, TlbEntry } from "../caches/tlb.ts";
import type { WalkCache } from "../caches/walk-cache.ts";
import { Step } from "./trail.ts";

export interface Stage2Deps {
  readonly config: SmmuConfig;
  readonly registers: RegisterView;
  readonly host: SmmuHost;
  readonly tlb: Tlb;
  readonly walks: WalkCache;
  readonly fault: Fault;
  readonly detector: StaleDetector | undefined;
  readonly trace: TraceSink<SmmuEvents>;
}

/** What stage 1 says of an address that it hands to stage 2, for translation hardening. */
export const Origin = {
  /** It is the first table of the TTB0 half, or of the TTB1 half. */
  table0: 1,
  table1: 2,
  /** It comes from a translation that is not assured, or from none. */
  notAssured: 4,
} as const;

/** Answers of the update that are no address. */
const UPDATED = -1;
const REFUSED = -2;

export class Stage2 {
  /** The mapping that the last successful {@link translate} used. */
  readonly entry: TlbEntry = new TlbEntry();
  /** The last successful {@link translate} found mostly read-only memory. */
  mostlyReadOnly = false;
  /** Where the address of the last successful {@link translate} went. */
  physical = 0;
  /** The TLB slot that has it, or -1. */
  slot = -1;
  readonly #deps: Stage2Deps;
  readonly #descriptor = new Descriptor();
  readonly #reader128: Stage2Reader128;
  readonly #updates = new DescriptorUpdates();
  readonly #tables: TableLint;

  constructor(deps: Stage2Deps) {
    this.#deps = deps;
    this.#reader128 = new Stage2Reader128(deps);
    this.#tables = new TableLint(deps.trace);
    this.entry.kind = IPA_ENTRY;
  }

  /** Has the next walk's first fetch give a descriptor that was fetched already. */
  fetched(status: BusStatus, hi: number, lo: number): void {
    this.#descriptor.fetched(status, hi, lo);
  }

  /**
   * @param purpose what the address is needed for: events carry it as CLASS
   * @param need the Perm2 bits of the access; one of a write makes the memory dirty
   * @param origin where stage 1 has the address from: {@link Origin} bits
   * @returns false if the translation failed, see `fault`
   */
  translate(stage2: Stage2Config, ipa: number, purpose: FaultClass, need: number, origin: number = 0): boolean {
    const { tlb, detector } = this.#deps;
    const { entry } = this;
    const hi = high32(ipa);
    const lo = low32(ipa);
    const mark = detector === undefined ? 0 : detector.trail.length;
    // 7.2
    let slot = tlb.lookupIpa(stage2.lookup, hi, lo);
    if (slot >= 0) {
      tlb.read(slot, entry);
      if (this.becomesDirty(stage2, entry, need)) {
        tlb.forget(slot);
        slot = -1;
      }
    }
    if (slot >= 0) {
      detector?.ipaHit(slot, stage2, ipa);
      if (!this.#allowed(stage2, ipa, purpose, need, origin)) return false;
      this.slot = slot;
    } else {
      if (!this.#walkAndUpdate(stage2, ipa, purpose, need, origin, mark)) return false;
      this.slot = tlb.insert(entry);
      if (this.slot >= 0) detector?.keep(this.slot, mark, stage2.table, -1);
    }
    this.mostlyReadOnly = mostlyReadOnly(granted(stage2, entry));
    // 7.10
    this.physical = withOffset(entry.pa, entry.size, hi, lo);
    return true;
  }

  /** Whether an access has hardware mark memory dirty that an entry has as writable-clean: then descriptors are to be read again. */
  becomesDirty(stage2: Stage2Config, entry: TlbEntry, need: number): boolean {
    return (entry.clean & Clean.stage2) !== 0 && stage2.hardwareDirty && (granted(stage2, entry) & need & WRITES2) !== 0;
  }

  /**
   * 7.7, in the order of §3.26.2, for the leaf just read or a TLB entry of either kind.
   * @returns false with F_PERMISSION in `fault`
   */
  allowed(stage2: Stage2Config, entry: TlbEntry, ipa: number, purpose: FaultClass, need: number): boolean {
    const { fault } = this.#deps;
    const missing = need & ~granted(stage2, entry);
    if (missing !== 0) {
      this.#refuse(ipa, purpose, need);
      // An atomic needs two: write permission is asked for first (§13.1.1).
      const first = missing & Perm2.write || missing;
      fault.readRefused = first !== need && first !== Perm2.write;
      fault.overlay = stage2.overlay !== undefined && (stage2.overlay[entry.poIndex]! & first) === 0;
      return false;
    }
    if (stage2.protectWalks && purpose !== FaultClass.in && isStage2Device(entry.memAttr, entry.forcedWriteBack)) {
      return !this.#refuse(ipa, purpose, need);
    }
    // The dirty state of indirect permissions is software's where S2HD is 0 (§3.13.3.2).
    if ((need & WRITES2) === 0 || (entry.clean & Clean.stage2) === 0 || stage2.hardwareDirty) return true;
    this.#refuse(ipa, purpose, need);
    fault.dirtyBit = true;
    return false;
  }

  /** The same after the checks of translation hardening, which come first (§3.27.2; DDI 0487 D8.15.5.1). */
  #allowed(stage2: Stage2Config, ipa: number, purpose: FaultClass, need: number, origin: number): boolean {
    const { entry } = this;
    if (origin !== 0) {
      const { topLevel0, topLevel1 } = stage2;
      const found = topLevelOf(stage2, entry);
      if ((origin & Origin.table0) !== 0 && wrongTopLevel(topLevel0, topLevel1, found & Perm2.topLevel0, found & Perm2.topLevel1))
        return !this.#refuse(ipa, purpose, need);
      if ((origin & Origin.table1) !== 0 && wrongTopLevel(topLevel1, topLevel0, found & Perm2.topLevel1, found & Perm2.topLevel0))
        return !this.#refuse(ipa, purpose, need);
      if ((origin & Origin.notAssured) !== 0 && (entry.stage2 & Perm2.assuredOnly) !== 0) {
        this.#refuse(ipa, purpose, need);
        this.#deps.fault.assuredOnly = true;
        return false;
      }
    }
    return this.allowed(stage2, entry, ipa, purpose, need);
  }

  #refuse(ipa: number, purpose: FaultClass, need: number): true {
    const { fault } = this.#deps;
    fault.raiseStage2(EventNumber.F_PERMISSION, purpose, ipa);
    fault.walkWrite = need === Perm2.walkWrite;
    return true;
  }

  /** 7.3 to 7.8 */
  #walkAndUpdate(stage2: Stage2Config, ipa: number, purpose: FaultClass, need: number, origin: number, mark: number): boolean {
    const { fault, detector } = this.#deps;
    const { entry } = this;
    for (let walks = 1; ; walks++) {
      const found = stage2.d128 ? this.#reader128.read(stage2, ipa, purpose, entry, this.#updates) : this.#walk(stage2, ipa, purpose);
      if (!found || !this.#allowed(stage2, ipa, purpose, need, origin)) return false;
      // 7.8
      if (this.becomesDirty(stage2, entry, need)) {
        this.#updates.dirty();
        entry.clean = 0;
      }
      const changed = this.#update(stage2, purpose);
      if (changed === UPDATED) return true;
      if (changed === REFUSED) return false;
      if (walks === MOST_WALKS) return !fault.raiseWalkAbort(true, purpose, changed);
      if (detector !== undefined) detector.trail.length = mark;
    }
  }

  /** 7.8. @returns {@link UPDATED}, {@link REFUSED} with the reason in `fault`, or where a descriptor has changed meanwhile */
  #update(stage2: Stage2Config, purpose: FaultClass): number {
    const { host, fault, detector } = this.#deps;
    const updates = this.#updates;
    for (let i = 0; i < updates.length; i++) {
      if (!updates.needed(i)) continue;
      const address = updates.address[i]!;
      const result = updates.write(i, host, address, stage2.bigEndian, detector?.trail);
      if (result === Update.changed) return address;
      if (result === Update.aborted) {
        fault.raiseWalkAbort(true, purpose, address);
        return REFUSED;
      }
    }
    return UPDATED;
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
    this.#updates.length = 0;
    let level = walks.deepest(context, granule, stage2.startLevel, hi, lo) + 1;
    if (level > stage2.startLevel) {
      table = walks.table(walks.slot);
      detector?.stage2WalkHit(walks.slot, stage2, ipa);
    }
    const mark = detector?.trail.length ?? 0;
    for (let settled = true; ; level++) {
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
      if (isLeaf) return this.#leaf(stage2, ipa, purpose, level, output, address);
      if (stage2.tableAccess) this.#updates.access(address, descriptor, -1);
      this.#tables.check(descriptor, 2, granule, wide, stage2.indirect, address);
      table = output;
      // A table descriptor whose Access flag is still to be set is not to be cached (§3.13.6), nor what it leads to.
      settled &&= !stage2.tableAccess || descriptor.accessFlag;
      if (!settled) continue;
      const kept = walks.keep(context, granule, level, hi, lo, table, 0);
      if (kept >= 0) detector?.keepWalk(kept, mark, stage2.table, -1);
    }
  }

  /** @param address of the descriptor */
  #leaf(stage2: Stage2Config, ipa: number, purpose: FaultClass, level: number, output: number, address: number): boolean {
    const { config, fault, detector } = this.#deps;
    const { entry } = this;
    const descriptor = this.#descriptor;
    // 7.6
    if (stage2.hardwareAccess) this.#updates.access(address, descriptor, (detector?.trail.length ?? 0) - 1);
    else if (!descriptor.accessFlag && !stage2.ignoreAccessFlag) return !fault.raiseStage2(EventNumber.F_ACCESS, purpose, ipa);
    entry.vmid = stage2.vmid;
    entry.hi = high32(ipa);
    entry.lo = low32(ipa);
    entry.granule = stage2.granule;
    entry.level = level;
    entry.d128 = false;
    entry.size = mappedSize(descriptor, stage2.granule, level, stage2.inputBits, stage2.outputBits, output, entry.hi, entry.lo);
    entry.cacheable = descriptor.cacheable(level, config);
    entry.pa = output - (output % POW2[entry.size]!);
    this.#permissions(stage2);
    entry.memAttr = stage2MemAttr((descriptor.lo >>> 2) & 15, stage2.forcedWriteBack, config.mteperm);
    entry.shareability2 = stage2.shareability < 0 ? (descriptor.lo >>> 8) & 3 : stage2.shareability;
    entry.forcedWriteBack = stage2.forcedWriteBack;
    return true;
  }
  /** Permissions and dirty state of the leaf. */
  #permissions(stage2: Stage2Config): void {
    const { config, registers, detector } = this.#deps;
    const { entry } = this;
    const descriptor = this.#descriptor;
    const { hi, lo, bit7 } = descriptor;
    let clean = false;
    if (stage2.indirect) {
      entry.stage2 = STAGE2_CODES[registers.s2pii(descriptor.piIndex)]!;
      clean = !bit7 && (entry.stage2 & WRITES2) !== 0;
    } else {
      clean = stage2.hardwareDirty && descriptor.dirtyBitModifier && !bit7;
      entry.stage2 = stage2Permissions(((lo >>> 6) & 3) | (clean ? 2 : 0), (hi >>> 21) & 3, config.xnx);
    }
    if (stage2.assuredOnly && descriptor.assuredOnly) entry.stage2 |= Perm2.assuredOnly;
    entry.clean = clean ? Clean.stage2 : 0;
    entry.poIndex = stage2.indirect ? descriptor.poIndex : 0;
    if (detector === undefined) return;
    if (stage2.hardwareDirty || stage2.indirect) detector.trail.mark(Step.bit51 | (clean && stage2.hardwareDirty ? Step.clean : 0));
    if (stage2.assuredOnly) detector.trail.mark(Step.hardened);
    if (stage2.overlay !== undefined) detector.trail.mark(Step.upper);
  }
}

function mostlyReadOnly(permissions: number): boolean {
  return (permissions & (Perm2.read | WRITES2)) === (Perm2.read | Perm2.walkWrite);
}

/** TopLevel attributes: base and overlay give theirs where the result is mostly read-only (DDI 0487 D8.4.2.2.4). */
function topLevelOf(stage2: Stage2Config, entry: TlbEntry): number {
  if (!mostlyReadOnly(granted(stage2, entry))) return 0;
  return (entry.stage2 | (stage2.overlay?.[entry.poIndex] ?? 0)) & (Perm2.topLevel0 | Perm2.topLevel1);
}

/** A first table is not where it may be, or is where that of the other half belongs (DDI 0487 D8.2.7.4). */
function wrongTopLevel(own: boolean, other: boolean, ownFound: number, otherFound: number): boolean {
  return ownFound === 0 && (own || (other && otherFound !== 0));
}

/** What base permissions and overlay grant together. */
export function granted(stage2: Stage2Config, entry: TlbEntry): number {
  return stage2.overlay === undefined ? entry.stage2 : entry.stage2 & stage2.overlay[entry.poIndex]!;
}
