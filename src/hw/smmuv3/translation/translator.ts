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
import { AccessView } from "./access.ts";
import type { TranslationCompletion, TranslationRequest } from "../../memory/ats.ts";
import { TranslatedTransactions } from "../ats/translated.ts";
import { TranslationRequests } from "../ats/translation-request.ts";
import { ResponsePasids } from "../ats/response-pasid.ts";
import { join64 } from "../../bits/hex.ts";
import { HostMisuseError, type NotModelledLog } from "../../errors.ts";
import {
  combineInputHints,
  combineShareability,
  combineStage2Type,
  overriddenShareability,
  overriddenType,
  type TypeOverrides,
} from "./attributes.ts";
import { exceeds } from "./address-size.ts";
import type { Cd } from "../config/cd.ts";
import { defaultTranslationChoices, type TranslationChoices } from "../choices.ts";
import type { SmmuConfig } from "../config/config.ts";
import { ConfigCache, type SteEntry } from "../config/config-cache.ts";
import { ContextTable, NO_CONTEXT, NO_STAGE1, selectContext } from "../config/context.ts";
import { FastMiss, spread } from "../caches/fast-miss.ts";
import { Fault, FaultReporter } from "../queues/faults.ts";
import { rightsOf, signatureOf } from "../caches/front-rights.ts";
import { FrontTier } from "../caches/front-tier.ts";
import { GBPA_ABORT, GlobalBypass } from "../config/global-bypass.ts";
import { needOfStage1, needOfStage2 } from "./permissions.ts";
import { ABORT_AND_RECORD, Failures } from "./failures.ts";
import type { EventSink, RegisterView, SmmuEvents, SmmuHost } from "../ports.ts";
import { Stages } from "./stages.ts";
import { Outcome, type Transaction, Via } from "../transaction.ts";
import { EventNumber, FaultClass } from "../spec/events.ts";
import { Origin, Stage2 } from "./stage2.ts";
import { StaleDetector } from "../caches/stale-detector.ts";
import { Stalls } from "../queues/stall.ts";
import type { Ste } from "../config/ste.ts";
import { StreamTable } from "../config/stream-table.ts";
import type { TagContext } from "../caches/tagged-cache.ts";
import { Tlb, type TlbEntry } from "../caches/tlb.ts";
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
/** Flags that are none of a plain read or write. */
const NOT_PLAIN = ~7;

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

export class Translator {
  readonly configCache: ConfigCache;
  readonly tlb: Tlb;
  readonly walks: WalkCache;
  /** What TLBI commands act on. */
  readonly tlbMaintenance: TlbMaintenance;
  readonly stalls: Stalls;
  readonly #config: SmmuConfig;
  #failed = false;
  readonly #registers: RegisterView;
  readonly #detector: StaleDetector | undefined;
  readonly #fault = new Fault();
  readonly #failures: Failures;
  readonly #streams: StreamTable;
  readonly #contexts: ContextTable;
  readonly #stage2: Stage2;
  readonly #stages: Stages;
  readonly #access: AccessView;
  readonly #requests: TranslationRequests;
  readonly #translated: TranslatedTransactions;
  readonly #responsePasids: ResponsePasids;
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
    const fixedOutput = config.version >= 4;
    const access = new AccessView(fixedOutput);
    this.#access = access;
    this.#registers = registers;
    this.#bypass = new GlobalBypass(config);
    const detector = deps.detector ? new StaleDetector(host, trace, () => this) : undefined;
    this.#detector = detector;
    this.configCache = new ConfigCache(config.caches, detector && ((entry) => detector.configDropped(entry)));
    const { tlb, walk, replacement } = config.caches;
    this.tlb = new Tlb(tlb, replacement, detector && ((slot) => detector.dropped(this.tlb, slot)));
    this.walks = new WalkCache(walk, replacement, detector && ((slot) => detector.dropped(this.walks, slot)));
    const { ste: stes } = config.caches;
    this.#front = detector === undefined && stes > 0 && tlb > 0 && deps.front !== false ? new FrontTier(tlb, fixedOutput) : undefined;
    this.tlb.front = this.#front;
    this.configCache.front = this.#front;
    this.tlbMaintenance = new TlbMaintenance([this.tlb, this.walks], config.stage2, () => registers.vmidWildcard());
    const choices = { ...defaultTranslationChoices, ...deps.choices };
    this.#kinds = new TransactionKinds(config, choices);
    const common = { ...deps, choices, fault: this.#fault, detector, cache: this.configCache, tlb: this.tlb, walks: this.walks };
    const { events } = deps;
    this.stalls = new Stalls({ config, events, enabled: () => registers.smmuEnabled(), translate: (tx) => this.translate(tx) });
    const reporter = new FaultReporter(events, trace, config.oas, this.stalls);
    const failures = new Failures({ registers, fault: this.#fault, reporter, access });
    this.#failures = failures;
    const stage2 = new Stage2(common);
    this.#stage2 = stage2;
    const streams = new StreamTable(common);
    this.#streams = streams;
    const contexts = new ContextTable({ ...common, stage2 });
    this.#contexts = contexts;
    const walker = new Stage1Walker({ ...common, stage2 });
    const stages = new Stages({ ...common, stage2, walker });
    this.#stages = stages;
    this.#fastMiss = this.#front && new FastMiss({ ...common, front: this.#front, stage2, walker });
    const steps = { ...common, streams, contexts, stages, stage2, access, failures };
    this.#requests = new TranslationRequests(steps);
    this.#translated = new TranslatedTransactions(steps);
    this.#responsePasids = new ResponsePasids(steps);
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
    return via === Via.stage2 ? this.#stage2.entry : this.#stages.entry;
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

  /**
   * Answers an ATS Translation Request of a client device.
   * @throws HostMisuseError for a StreamID, SubstreamID or address that cannot be
   */
  requestTranslation(streamId: number, request: TranslationRequest): TranslationCompletion {
    return this.#requests.answer(streamId, request, this.#failed);
  }

  /**
   * STE.PPAR of a stream, for the automatic response to a page request with this SubstreamID.
   * @returns undefined without a valid STE
   */
  responsePasid(streamId: number, substreamId: number): boolean | undefined {
    return this.#responsePasids.find(streamId, substreamId);
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

  /** 1.2 and 8.2: all that is neither a plain read nor a plain write, or comes Translated. */
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

  /** F_UUT has the attributes as they came in (§7.3.2). A Translated transaction makes no event (§3.9.1.3). */
  #unsupported(tx: Transaction): Outcome {
    if (tx.translated) return Outcome.abort;
    const access = this.#access;
    access.privileged = tx.privileged;
    access.instruction = !access.rules.data && tx.instruction;
    this.#fault.raise(EventNumber.F_UUT);
    return this.#failures.configuration(tx);
  }

  /** @param known of kinds that have been looked at already */
  #translate(tx: Transaction, known?: AccessRules): Outcome {
    this.#refuse(tx);
    if ((tx.substreamId !== -1 && (tx.substreamId & 0xf_ffff) !== tx.substreamId) || tx.streamId >>> 0 !== tx.streamId)
      throw misaddressed(tx);
    if (known === undefined && (tx.flags & NOT_PLAIN) !== 0) return this.#translateKind(tx);
    this.#access.rules = known ?? (tx.write ? PLAIN_WRITE : PLAIN_READ);
    if (this.#failed) return Outcome.abort;
    this.#detector?.begin(tx);
    if (known !== undefined && tx.translated) {
      const outcome = this.#translated.pass(tx);
      this.#ste = this.#translated.ste;
      return outcome;
    }
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
      this.#access.override(tx.privileged, tx.instruction, stream!.ste.privCfg, stream!.ste.instCfg);
      return this.#withStage1(tx, stream!, cd);
    }
    // 3.1 to 3.5
    const stream = this.#streams.find(tx.streamId);
    if (stream === undefined) return this.#failures.configuration(tx);
    const { ste } = stream;
    this.#ste = ste;
    this.#fault.mayMerge = ste.fields.MEV === 1;
    // 3.6
    if (ste.broken !== undefined) {
      this.#fault.raise(EventNumber.C_BAD_STE);
      return this.#failures.configuration(tx);
    }
    // 3.8
    if (ste.aborts) return Outcome.abort;
    // 1.3 and 4.2
    this.#access.override(tx.privileged, tx.instruction, ste.privCfg, ste.instCfg);
    // 4.3, 4.4
    const index = selectContext(ste, tx.substreamId, this.#fault);
    if (index === NO_STAGE1) return this.#withoutStage1(tx, stream);
    if (index === NO_CONTEXT) return this.#failures.configuration(tx);
    // 5
    const cd = this.#contexts.find(stream, index);
    if (cd === undefined) return this.#failures.translation(tx, ste, ABORT_AND_RECORD);
    if (cd.broken !== undefined) {
      this.#fault.raise(EventNumber.C_BAD_CD);
      return this.#failures.configuration(tx);
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
    this.#access.override(tx.privileged, tx.instruction, permissions & 3, (permissions >>> 2) & 3);
    return this.#passUnchanged(tx, this.#bypass.overrides(gbpa), Via.globalBypass);
  }

  #passUnchanged(tx: Transaction, overrides: TypeOverrides, via: Via): Outcome {
    const type = overriddenType(overrides);
    tx.physicalHi = tx.addressHi;
    tx.physicalLo = tx.addressLo | 0;
    return this.#access.leave(tx, via, type, overriddenShareability(overrides));
  }

  /** 6.0, and stage 2 if it is on. */
  #withoutStage1(tx: Transaction, stream: SteEntry): Outcome {
    const { ste } = stream;
    // IAS is OAS where tables are VMSAv8-64, so one limit serves stage 2 and bypass.
    if (exceeds(tx.addressHi, this.#config.oas)) {
      this.#fault.raise(EventNumber.F_ADDR_SIZE);
      this.#fault.forced = true;
      return this.#failures.configuration(tx);
    }
    if (ste.stage2 === undefined) return this.#passUnchanged(tx, ste.overrides, Via.steBypass);
    const need = this.#access.need2;
    const stage2 = this.#stage2;
    if (!stage2.translate(ste.stage2, join64(tx.addressHi, tx.addressLo), FaultClass.in, need, Origin.notAssured))
      return this.#failures.translation(tx, ste, ABORT_AND_RECORD);
    const { memAttr, forcedWriteBack, shareability2 } = stage2.entry;
    tx.physical = stage2.physical;
    const type = combineStage2Type(ste.incomingType, memAttr, forcedWriteBack);
    const outcome = this.#access.leave(tx, Via.stage2, type, combineShareability(ste.incomingShareability, shareability2));
    if (stage2.slot >= 0 && this.configCache.findSte(tx.streamId) === stream) {
      const { entries } = ste.stage2.lookup;
      if (entries !== undefined) this.#remember(tx, ste, undefined, stage2.entry, true, entries, entries);
    }
    return outcome;
  }

  /** 6 */
  #withStage1(tx: Transaction, stream: SteEntry, cd: Cd): Outcome {
    const { ste } = stream;
    const stages = this.#stages;
    const nested = ste.stage2 !== undefined;
    if (!stages.translate(cd, tx.addressHi, tx.addressLo, this.#access)) return this.#failures.translation(tx, ste, cd);
    const { entry, slot, half } = stages;
    // 6.8, 8
    tx.physical = entry.pa;
    let type = combineInputHints(entry.type, ste.incomingType);
    let shareability = entry.shareability;
    if (nested) {
      type = combineStage2Type(type, entry.memAttr, entry.forcedWriteBack);
      shareability = combineShareability(shareability, entry.shareability2);
    }
    const outcome = this.#access.leave(tx, nested ? Via.nested : Via.stage1, type, shareability);
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
}
