// SPDX-License-Identifier: MIT
/**
 * The translation side of the SMMU: from a transaction to its outcome.
 *
 * Comments number the steps in the order that IHI 0070 §3.3, §7.3.22 and §15 fix, here and in the files that do the work:
 *   1 arrival; 2 global enable (GBPA); 3 STE: range, level 1, fetch, validity, Config 0b0xx; 4 what the STE decides: overrides,
 *   SubstreamID, S1DSS; 5 CD: level 1, fetch, validity; 6 stage 1: size, TLB, range, walk, leaf, permission; 7 stage 2: TLB,
 *   range, walk, Access flag, permission; 8 output attributes.
 * Each step either goes on or fills the fault, which `#fail` turns into an event and an outcome.
 */
import type { TraceSink } from "../../../sim/index.ts";
import { join64 } from "../../bits/hex.ts";
import { HostMisuseError, type NotModelledLog } from "../../errors.ts";
import {
  combineInputHints,
  combineShareability,
  combineStage2Type,
  outputShareability,
  overriddenShareability,
  overriddenType,
  type TypeOverrides,
} from "./attributes.ts";
import { exceeds, withOffset } from "./address-size.ts";
import type { Cd } from "../config/cd.ts";
import { defaultTranslationChoices, type TranslationChoices } from "../choices.ts";
import type { SmmuConfig } from "../config/config.ts";
import { ConfigCache, type SteEntry } from "../config/config-cache.ts";
import { ContextTable, NO_CONTEXT, NO_STAGE1, selectContext } from "../config/context.ts";
import { FastMiss, spread } from "../caches/fast-miss.ts";
import { type Access, Fault, FaultReporter, type FaultModel } from "../queues/faults.ts";
import { rightsOf, signatureOf } from "../caches/front-rights.ts";
import { FrontTier } from "../caches/front-tier.ts";
import { GBPA_ABORT, GlobalBypass } from "../config/global-bypass.ts";
import { allowedByStage1, needOfStage1, needOfStage2, Perm2, WRITES1 } from "./permissions.ts";
import type { EventSink, RegisterView, SmmuEvents, SmmuHost } from "../ports.ts";
import { answerOf, Outcome, overridden, type Transaction, Via } from "../transaction.ts";
import { EventNumber, FaultClass } from "../spec/events.ts";
import { TransactionKind } from "../spec/transactions.ts";
import { Origin, Stage2 } from "./stage2.ts";
import { StaleDetector } from "../caches/stale-detector.ts";
import { Stalls } from "../queues/stall.ts";
import type { Ste } from "../config/ste.ts";
import { StreamTable } from "../config/stream-table.ts";
import type { TagContext } from "../caches/tagged-cache.ts";
import { Clean, Tlb, TlbEntry } from "../caches/tlb.ts";
import { canonicalHi } from "../caches/tlb-range.ts";
import { TlbMaintenance } from "../caches/tlb-maintenance.ts";
import { type AccessRules, Fate, NO_EFFECT, PLAIN_READ, PLAIN_WRITE, TransactionKinds } from "./transaction-kinds.ts";
import { Stage1Walker } from "./walk.ts";
import { WalkCache } from "../caches/walk-cache.ts";

/** What the translation side needs of its surroundings. */
export interface TranslatorDeps {
  readonly config: SmmuConfig;
  readonly registers: RegisterView;
  readonly events: EventSink;
  readonly host: SmmuHost;
  readonly trace: TraceSink<SmmuEvents>;
  readonly notModelled: NotModelledLog;
  /** True: every cache hit is compared with memory and "smmu.stale-use" is traced. */
  readonly detector: boolean;
  /** False: every access goes through the caches proper. Default: true. */
  readonly front?: boolean;
  /** What the architecture leaves open; see choices.ts. */
  readonly choices?: Partial<TranslationChoices>;
}

/** A constant of this module is a constant to the compiler of the host; one of another module is a load. */
const FORWARD: Outcome = Outcome.forward;
/** CR2.RECINVSID. */
const RECINVSID = 2;

const ABORT_AND_RECORD: FaultModel = { abort: true, record: true, stall: false };
const ABORT_SILENTLY: FaultModel = { abort: true, record: false, stall: false };
const STALL: FaultModel = { abort: true, record: true, stall: true };

/** A stream and substream with what the configuration cache has for them, as long as nothing changes in it. */
class Resolved {
  streamId = -1;
  substreamId = -1;
  generation = -1;
  stream: SteEntry | undefined;
  cd: Cd | undefined;
}

/** Streams whose configuration is at hand; a power of two. */
const RESOLVED = 256;

function misaddressed({ streamId, substreamId }: Transaction): HostMisuseError {
  return new HostMisuseError(
    "TRANSACTION",
    `a transaction of StreamID ${streamId}, SubstreamID ${substreamId}: they are whole numbers below 2^32 and below 2^20, or -1 for no SubstreamID`,
  );
}

class AccessView implements Access {
  rules: AccessRules = PLAIN_READ;
  privileged = false;
  instruction = false;

  get write(): boolean {
    return this.rules.write;
  }

  /** What stage 1 has to grant. It grants no write without a read. */
  get need1(): number {
    return this.rules.anyPermission ? 0 : needOfStage1(this.rules.write, this.instruction, this.privileged);
  }

  /** What stage 2 has to grant. */
  get need2(): number {
    if (this.rules.anyPermission) return 0;
    return needOfStage2(this.rules.write, this.instruction, this.privileged) | (this.rules.alsoReads ? Perm2.read : 0);
  }
}

export class Translator {
  readonly configCache: ConfigCache;
  readonly tlb: Tlb;
  readonly walks: WalkCache;
  /** What TLBI commands act on. */
  readonly tlbMaintenance: TlbMaintenance;
  readonly stalls: Stalls;
  readonly #config: SmmuConfig;
  readonly #fixedOutput: boolean;
  #failed = false;
  readonly #registers: RegisterView;
  readonly #detector: StaleDetector | undefined;
  readonly #fault = new Fault();
  readonly #reporter: FaultReporter;
  readonly #streams: StreamTable;
  readonly #contexts: ContextTable;
  readonly #stage2: Stage2;
  readonly #walker: Stage1Walker;
  readonly #entry = new TlbEntry();
  readonly #access = new AccessView();
  readonly #bypass: GlobalBypass;
  readonly #kinds: TransactionKinds;
  /** Of the transaction in progress, once it is known. */
  #ste: Ste | undefined;
  /** Undefined where every use of a cache is to be seen: by the stale-use detector, or because nothing is cached. */
  readonly #front: FrontTier | undefined;
  readonly #fastMiss: FastMiss | undefined;
  readonly #resolved: readonly Resolved[] = Array.from({ length: RESOLVED }, () => new Resolved());

  constructor(deps: TranslatorDeps) {
    const { config, registers, host, trace } = deps;
    this.#config = config;
    this.#fixedOutput = config.version >= 4;
    this.#registers = registers;
    this.#bypass = new GlobalBypass(config);
    const detector = deps.detector ? new StaleDetector(host, trace, () => this) : undefined;
    this.#detector = detector;
    this.configCache = new ConfigCache(config.caches, detector && ((entry) => detector.configDropped(entry)));
    const { tlb, walk, replacement } = config.caches;
    this.tlb = new Tlb(tlb, replacement, detector && ((slot) => detector.dropped(this.tlb, slot)));
    this.walks = new WalkCache(walk, replacement, detector && ((slot) => detector.dropped(this.walks, slot)));
    const { ste: stes } = config.caches;
    this.#front = detector === undefined && stes > 0 && tlb > 0 && deps.front !== false ? new FrontTier(tlb, this.#fixedOutput) : undefined;
    this.tlb.front = this.#front;
    this.configCache.front = this.#front;
    this.tlbMaintenance = new TlbMaintenance([this.tlb, this.walks], config.stage2, () => registers.vmidWildcard());
    const choices = { ...defaultTranslationChoices, ...deps.choices };
    this.#kinds = new TransactionKinds(config, choices);
    const common = { ...deps, choices, fault: this.#fault, detector, cache: this.configCache, tlb: this.tlb, walks: this.walks };
    const { events } = deps;
    this.stalls = new Stalls({ config, events, enabled: () => registers.smmuEnabled(), translate: (tx) => this.translate(tx) });
    this.#reporter = new FaultReporter(events, trace, config.oas, this.stalls);
    this.#stage2 = new Stage2(common);
    this.#streams = new StreamTable(common);
    this.#contexts = new ContextTable({ ...common, stage2: this.#stage2 });
    this.#walker = new Stage1Walker({ ...common, stage2: this.#stage2 });
    this.#fastMiss = this.#front && new FastMiss({ ...common, front: this.#front, stage2: this.#stage2, walker: this.#walker });
  }

  /** Hardware reset: caches are empty; stalled transactions end with an abort, so that no client waits for ever. */
  reset(): void {
    this.configCache.reset();
    this.tlb.reset();
    this.walks.reset();
    this.#failed = false;
    this.stalls.terminateAll();
  }

  /** Service Failure Mode: from now on everything is refused, until a reset. */
  failService(): void {
    this.#failed = true;
    this.registersChanged();
  }

  /**
   * Registers that the short ways do not ask for are others: SMMUEN, for they know of nothing while it is 0; and the Stream table,
   * out of whose range StreamIDs may be that were in it before.
   */
  registersChanged(): void {
    this.configCache.generation++;
    this.#front?.clear();
  }

  /**
   * The mapping through which the last forwarded transaction went; its tags may be those of an earlier one. For translators
   * without a front tier, which answers without looking at mappings: those with a detector, or without caches.
   * @param via as that transaction says: a stage, or both
   */
  mapping(via: Via): TlbEntry {
    return via === Via.stage2 ? this.#stage2.entry : this.#entry;
  }

  /** True if its permissions, dirty state apart, also allow data accesses of this kind with the privilege that was seen. */
  allows(via: Via, write: boolean): boolean {
    const { stage1, stage2 } = this.mapping(via);
    const { privileged } = this.#access;
    const byStage1 = via === Via.stage2 || (stage1 & needOfStage1(write, false, privileged)) !== 0;
    return byStage1 && (via === Via.stage1 || (stage2 & needOfStage2(write, false, privileged)) !== 0);
  }

  /**
   * Takes a transaction of a client device and sets the outputs of `tx`.
   * @throws HostMisuseError for a StreamID or SubstreamID out of range
   */
  translate(tx: Transaction): Outcome {
    const front = this.#front;
    if (front !== undefined && (front.answer(tx) || this.#fastMiss!.answer(tx))) return FORWARD;
    return this.#translate(tx);
  }

  /** Brings the STE and the CD of a transaction into the configuration cache, as far as there are valid ones. */
  prefetchConfiguration(streamId: number, substreamId: number): void {
    const stream = this.#streams.find(streamId);
    if (stream === undefined || stream.ste.broken !== undefined || stream.ste.aborts) return;
    const index = selectContext(stream.ste, substreamId, this.#fault);
    if (index >= 0) this.#contexts.find(stream, index);
  }

  /** Sets the outputs of a transaction that aborts. */
  #refuse(tx: Transaction): void {
    tx.physicalLo = 0;
    tx.physicalHi = 0;
    tx.answer = 0;
    tx.stall = null;
    tx.leaving = tx.kind;
  }

  /** 1.2 and 8.2: all that is neither a plain read nor a plain write. */
  #translateKind(tx: Transaction): Outcome {
    const access = this.#access;
    const rules = this.#kinds.rules(tx);
    access.rules = rules;
    this.#ste = undefined;
    if (rules.fate === Fate.terminated || (this.#failed && !rules.hint)) return Outcome.abort;
    if (rules.fate === Fate.unsupported) return this.#unsupported(tx);
    const outcome = this.#translate(tx, rules);
    if (outcome === Outcome.forward) {
      tx.leaving = this.#kinds.leavesAs(rules, tx.via, this.#ste, this.mapping(tx.via), access.privileged);
      if (tx.leaving !== NO_EFFECT) return outcome;
    } else if (!rules.hint) {
      return outcome;
    }
    this.#refuse(tx);
    return Outcome.razWi;
  }

  /** F_UUT has the attributes as they came in (§7.3.2). */
  #unsupported(tx: Transaction): Outcome {
    const access = this.#access;
    access.privileged = tx.privileged;
    access.instruction = !access.rules.data && tx.instruction;
    this.#fault.raise(EventNumber.F_UUT);
    return this.#failConfiguration(tx);
  }

  /** @param known of kinds that have been looked at already */
  #translate(tx: Transaction, known?: AccessRules): Outcome {
    this.#refuse(tx);
    if ((tx.substreamId !== -1 && (tx.substreamId & 0xf_ffff) !== tx.substreamId) || tx.streamId >>> 0 !== tx.streamId)
      throw misaddressed(tx);
    if (known === undefined && tx.kind !== TransactionKind.ordinary) return this.#translateKind(tx);
    this.#access.rules = known ?? (tx.write ? PLAIN_WRITE : PLAIN_READ);
    if (this.#failed) return Outcome.abort;
    this.#detector?.begin(tx);
    // 2.1
    if (!this.#registers.smmuEnabled()) return this.#globalBypass(tx);
    const resolved = this.#resolved[spread(tx.streamId, tx.substreamId) & (RESOLVED - 1)]!;
    if (
      resolved.generation === this.configCache.generation &&
      resolved.streamId === tx.streamId &&
      resolved.substreamId === tx.substreamId
    ) {
      const { stream } = resolved;
      const cd = resolved.cd!;
      this.#fastMiss!.plan(tx, cd);
      this.#ste = stream!.ste;
      this.#fault.mayMerge = stream!.ste.fields.MEV === 1;
      this.#override(tx, stream!.ste.privCfg, stream!.ste.instCfg);
      return this.#withStage1(tx, stream!, cd);
    }
    // 3.1 to 3.5
    const stream = this.#streams.find(tx.streamId);
    if (stream === undefined) return this.#failConfiguration(tx);
    const { ste } = stream;
    this.#ste = ste;
    this.#fault.mayMerge = ste.fields.MEV === 1;
    // 3.6
    if (ste.broken !== undefined) {
      this.#fault.raise(EventNumber.C_BAD_STE);
      return this.#failConfiguration(tx);
    }
    // 3.8
    if (ste.aborts) return Outcome.abort;
    // 1.3 and 4.2
    this.#override(tx, ste.privCfg, ste.instCfg);
    // 4.3, 4.4
    const index = selectContext(ste, tx.substreamId, this.#fault);
    if (index === NO_STAGE1) return this.#withoutStage1(tx, stream);
    if (index === NO_CONTEXT) return this.#failConfiguration(tx);
    // 5
    const cd = this.#contexts.find(stream, index);
    if (cd === undefined) return this.#fail(tx, ste, ABORT_AND_RECORD);
    if (cd.broken !== undefined) {
      this.#fault.raise(EventNumber.C_BAD_CD);
      return this.#failConfiguration(tx);
    }
    // Where each use of a cache is to be seen, it is looked up each time.
    if (this.#front !== undefined && stream.cds.get(index)?.cd === cd && this.configCache.findSte(tx.streamId) === stream) {
      resolved.generation = this.configCache.generation;
      resolved.streamId = tx.streamId;
      resolved.substreamId = tx.substreamId;
      resolved.stream = stream;
      resolved.cd = cd;
    }
    return this.#withStage1(tx, stream, cd);
  }

  /** 2.1: SMMUEN is 0. */
  #globalBypass(tx: Transaction): Outcome {
    const gbpa = this.#registers.gbpa();
    if ((gbpa & GBPA_ABORT) !== 0 || exceeds(tx.addressHi, this.#config.oas)) return Outcome.abort;
    const permissions = this.#config.attrPermsOvr ? gbpa >>> 16 : 0;
    this.#override(tx, permissions & 3, (permissions >>> 2) & 3);
    return this.#passUnchanged(tx, this.#bypass.overrides(gbpa), Via.globalBypass);
  }

  #passUnchanged(tx: Transaction, overrides: TypeOverrides, via: Via): Outcome {
    const type = overriddenType(overrides);
    tx.physicalHi = tx.addressHi;
    tx.physicalLo = tx.addressLo | 0;
    return this.#forward(tx, via, type, overriddenShareability(overrides));
  }

  /** 8.3, 8.5 */
  #forward(tx: Transaction, via: Via, type: number, shareability: number): Outcome {
    const fixed = this.#fixedOutput;
    const { privileged, instruction } = this.#access;
    // From v3.4 on all client transactions leave as privileged data.
    tx.answer = answerOf(type | (outputShareability(type, shareability) << 8), via, !fixed && instruction, fixed || privileged);
    return Outcome.forward;
  }

  /** PRIVCFG of STE or GBPA applies to all, INSTCFG to what is not always Data. */
  #override(tx: Transaction, privCfg: number, instCfg: number): void {
    const access = this.#access;
    access.privileged = overridden(privCfg, tx.privileged);
    access.instruction = !access.rules.data && overridden(instCfg, tx.instruction);
  }

  /** 6.0, and stage 2 if it is on. */
  #withoutStage1(tx: Transaction, stream: SteEntry): Outcome {
    const { ste } = stream;
    // IAS is OAS where tables are VMSAv8-64, so one limit serves stage 2 and bypass.
    if (exceeds(tx.addressHi, this.#config.oas)) {
      this.#fault.raise(EventNumber.F_ADDR_SIZE);
      this.#fault.forced = true;
      return this.#failConfiguration(tx);
    }
    if (ste.stage2 === undefined) return this.#passUnchanged(tx, ste.overrides, Via.steBypass);
    const need = this.#access.need2;
    const stage2 = this.#stage2;
    if (!stage2.translate(ste.stage2, join64(tx.addressHi, tx.addressLo), FaultClass.in, need, Origin.notAssured))
      return this.#fail(tx, ste, ABORT_AND_RECORD);
    const { memAttr, forcedWriteBack, shareability2 } = stage2.entry;
    tx.physical = stage2.physical;
    const type = combineStage2Type(ste.incomingType, memAttr, forcedWriteBack);
    const outcome = this.#forward(tx, Via.stage2, type, combineShareability(ste.incomingShareability, shareability2));
    if (stage2.slot >= 0 && this.configCache.findSte(tx.streamId) === stream) {
      const { entries } = ste.stage2.lookup;
      if (entries !== undefined) this.#remember(tx, ste, undefined, stage2.entry, true, entries, entries);
    }
    return outcome;
  }

  /** 6 */
  #withStage1(tx: Transaction, stream: SteEntry, cd: Cd): Outcome {
    const { ste } = stream;
    const entry = this.#entry;
    const { write, privileged, need1, need2 } = this.#access;
    const nested = ste.stage2 !== undefined;
    // VA[55] chooses the table; worlds with one table have TTB0 only.
    const upper = cd.twoPrivileges && (tx.addressHi & 0x0080_0000) !== 0;
    const half = upper ? cd.ttb1 : cd.ttb0;
    const hi = half.topByteIgnored ? canonicalHi(tx.addressHi) : tx.addressHi;
    // E0PD acts whether or not the TLB has a translation.
    if (half.noUnprivileged && !privileged) return this.#failStage1(tx, ste, cd, EventNumber.F_TRANSLATION);
    // 6.1
    let slot = this.tlb.lookupVa(cd.lookup, hi, tx.addressLo);
    if (slot >= 0) {
      this.tlb.read(slot, entry);
      if (write && entry.clean !== 0 && this.#becomesDirty(ste, cd, entry, need1, need2)) {
        this.tlb.forget(slot);
        slot = -1;
      }
    }
    if (slot >= 0) {
      entry.pa = withOffset(entry.pa, entry.size, hi, tx.addressLo);
      entry.ipa = withOffset(entry.ipa, entry.size, hi, tx.addressLo);
      this.#detector?.vaHit(slot, entry, ste, cd, half.enabled ? half.table : -1);
      // 6.6, 7.7
      if (!allowedByStage1(cd, entry, need1, this.#fault)) return this.#fail(tx, ste, cd);
      if (ste.stage2 !== undefined && !this.#stage2.allowed(ste.stage2, entry, entry.ipa, FaultClass.in, need2))
        return this.#fail(tx, ste, cd);
    } else {
      if (!this.#walker.walk(cd, half, upper, hi, tx.addressLo, need1, entry)) return this.#fail(tx, ste, cd);
      // 7
      if (!this.#addStage2(ste, entry, need2)) return this.#fail(tx, ste, cd);
      slot = this.#keep(ste, cd, entry, hi, tx.addressLo, half.table);
    }
    // 6.8, 8
    tx.physical = entry.pa;
    let type = combineInputHints(entry.type, ste.incomingType);
    let shareability = entry.shareability;
    if (nested) {
      type = combineStage2Type(type, entry.memAttr, entry.forcedWriteBack);
      shareability = combineShareability(shareability, entry.shareability2);
    }
    const outcome = this.#forward(tx, nested ? Via.nested : Via.stage1, type, shareability);
    const { own, global } = cd.lookup;
    if (slot >= 0 && own !== undefined && global !== undefined && this.#isResolved(tx, cd))
      this.#remember(tx, ste, cd, entry, !half.noUnprivileged, own, global);
    return outcome;
  }

  /** Whether the configuration of a transaction came from the cache and is still in it. */
  #isResolved(tx: Transaction, cd: Cd): boolean {
    const resolved = this.#resolved[spread(tx.streamId, tx.substreamId) & (RESOLVED - 1)]!;
    return resolved.cd === cd && resolved.generation === this.configCache.generation;
  }

  /** Tells the front tier what the TLB would answer for this page, to each kind of access. */
  #remember(
    tx: Transaction,
    ste: Ste,
    cd: Cd | undefined,
    entry: TlbEntry,
    unprivileged: boolean,
    own: TagContext,
    global: TagContext,
  ): void {
    const front = this.#front;
    // What STE.S2POI takes away is asked for each access: nothing that is kept can tell.
    if (front === undefined || ste.stage2?.overlay !== undefined) return;
    const rights = rightsOf(ste, entry.stage1, entry.stage2, entry.clean, tx.via, unprivileged);
    front.keep(
      tx.streamId,
      tx.substreamId,
      own,
      global,
      signatureOf(ste, cd),
      tx.addressHi,
      tx.addressLo,
      rights,
      tx.physicalLo,
      tx.physicalHi,
      tx.answer,
    );
  }

  /** Whether a write has hardware mark memory dirty that an entry has as writable-clean: then descriptors are to be read again. */
  #becomesDirty(ste: Ste, cd: Cd, entry: TlbEntry, need1: number, need2: number): boolean {
    if ((entry.stage1 & need1) === 0) return false;
    if ((entry.clean & Clean.stage1) !== 0 && cd.hardwareDirty && (need1 & WRITES1) !== 0) return true;
    return ste.stage2 !== undefined && this.#stage2.becomesDirty(ste.stage2, entry, need2);
  }

  /** Takes the output of stage 1 through stage 2; the mapping is then as large as the smaller of the two. */
  #addStage2(ste: Ste, entry: TlbEntry, need: number): boolean {
    entry.ipa = entry.pa;
    if (ste.stage2 === undefined) {
      entry.stage2 = 0;
      entry.poIndex = 0;
      entry.memAttr = 0;
      entry.shareability2 = 0;
      entry.forcedWriteBack = false;
      return true;
    }
    const stage2 = this.#stage2;
    if (!stage2.translate(ste.stage2, entry.ipa, FaultClass.in, need, this.#walker.origin)) return false;
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

  #keep(ste: Ste, cd: Cd, entry: TlbEntry, hi: number, lo: number, table1: number): number {
    entry.kind = ste.world;
    entry.nested = ste.stage2 !== undefined;
    entry.vmid = ste.vmid;
    entry.asid = cd.asid;
    entry.aset = cd.aset;
    entry.hi = hi;
    entry.lo = lo;
    const slot = this.tlb.insert(entry, cd.lookup.context(entry.global));
    if (slot >= 0) this.#detector?.keep(slot, 0, ste.stage2?.table ?? -1, table1);
    return slot;
  }

  // How transactions fail.

  #failStage1(tx: Transaction, ste: Ste, cd: Cd, event: EventNumber): Outcome {
    this.#fault.raise(event);
    return this.#fail(tx, ste, cd);
  }

  /** @param stage1 CD.A, CD.R and CD.S; a fault of stage 2 obeys STE.S2R and STE.S2S instead, and aborts if it does not stall */
  #fail(tx: Transaction, ste: Ste, stage1: FaultModel): Outcome {
    const { S2S, S2R } = ste.fields;
    const stage2 = S2S === 1 ? STALL : S2R === 1 ? ABORT_AND_RECORD : ABORT_SILENTLY;
    return this.#end(tx, this.#fault.stage2 ? stage2 : stage1);
  }

  /** Configuration errors abort and are recorded, C_BAD_STREAMID only with CR2.RECINVSID. */
  #failConfiguration(tx: Transaction): Outcome {
    const recordable = this.#fault.event !== EventNumber.C_BAD_STREAMID || (this.#registers.cr2() & RECINVSID) !== 0;
    return this.#end(tx, ABORT_AND_RECORD, recordable);
  }

  #end(tx: Transaction, model: FaultModel, recordable: boolean = true): Outcome {
    return this.#access.rules.quiet ? Outcome.abort : this.#reporter.end(tx, this.#fault, this.#access, model, recordable);
  }
}
