// SPDX-License-Identifier: MIT
/** From an STE and a SubstreamID to a CD (IHI 0070 §5.2 S1DSS, §5.3, §5.5; translation steps 4.3, 4.4 and 5). */
import type { TraceSink } from "../../../sim/index.ts";
import { hex, join64, POW2 } from "../../bits/hex.ts";
import type { NotModelledLog } from "../../errors.ts";
import { BusStatus } from "../../memory/system-bus.ts";
import { type Cd, decodeCd } from "./cd.ts";
import type { TranslationChoices } from "../choices.ts";
import type { SmmuConfig } from "./config.ts";
import type { CdEntry, ConfigCache, Level1Entry, SteEntry } from "./config-cache.ts";
import type { Fault } from "../queues/faults.ts";
import { Perm2 } from "../translation/permissions.ts";
import type { SmmuEvents, SmmuHost } from "../ports.ts";
import { CD } from "../spec/cd.ts";
import { EventNumber, FaultClass } from "../spec/events.ts";
import type { Stage2 } from "../translation/stage2.ts";
import type { StaleDetector } from "../caches/stale-detector.ts";
import { cdTableAlignment, noteAbsentFeatures, type Ste } from "./ste.ts";

/** Answers of {@link selectContext} that are no index. */
export const NO_STAGE1 = -1;
export const NO_CONTEXT = -2;

/** S1DSS. */
const DSS_BYPASS = 1;
const DSS_CD0 = 2;

/**
 * Steps 4.3 and 4.4: which CD a transaction uses.
 * @param substreamId -1: the transaction has none
 * @returns an index, {@link NO_STAGE1}, or {@link NO_CONTEXT} with the reason in `fault`
 */
export function selectContext(ste: Ste, substreamId: number, fault: Fault): number {
  if (substreamId >= 0 && (!ste.stage1 || ste.cdMax === 0 || substreamId >= POW2[ste.cdMax]!)) {
    fault.raise(EventNumber.C_BAD_SUBSTREAMID);
    fault.substreamId = substreamId;
    return NO_CONTEXT;
  }
  if (!ste.stage1) return NO_STAGE1;
  if (ste.cdMax === 0) return 0;
  const dss = ste.fields.S1DSS;
  if (substreamId > 0 || (substreamId === 0 && dss !== DSS_CD0)) return substreamId;
  if (substreamId < 0 && dss === DSS_BYPASS) return NO_STAGE1;
  if (substreamId < 0 && dss === DSS_CD0) return 0;
  fault.raise(EventNumber.F_STREAM_DISABLED);
  return NO_CONTEXT;
}

export interface ContextTableDeps {
  readonly config: SmmuConfig;
  readonly host: SmmuHost;
  readonly cache: ConfigCache;
  readonly stage2: Stage2;
  readonly fault: Fault;
  readonly detector: StaleDetector | undefined;
  readonly trace: TraceSink<SmmuEvents>;
  readonly notModelled: NotModelledLog;
  readonly choices: TranslationChoices;
}

/** Base of a CD table: the bits below its size count as zero. */
function tableBase(ste: Ste): number {
  const pointer = ste.fields.S1ContextPtr;
  return pointer - (pointer % cdTableAlignment(ste));
}

export class ContextTable {
  /** The last fetch was from memory that stage 2 marks AssuredOnly. */
  #assured = false;
  readonly #deps: ContextTableDeps;

  constructor(deps: ContextTableDeps) {
    this.#deps = deps;
  }

  /**
   * The CD at an index of the table of an STE, valid or not.
   * @returns undefined if there is none, see `fault`
   */
  find(owner: SteEntry, index: number): Cd | undefined {
    const { detector } = this.#deps;
    // 5.1
    const cached = owner.cds.get(index);
    if (cached !== undefined) {
      detector?.cdHit(cached);
      return cached.cd;
    }
    const base = tableBase(owner.ste);
    if (owner.ste.cdLeafBits === 0) return this.#cd(owner, index, base + index * 64, undefined);
    const level1 = this.#level1(owner, index, base);
    return level1 === undefined ? undefined : this.#second(owner, index, level1);
  }

  /** 5.2 */
  #level1(owner: SteEntry, index: number, base: number): Level1Entry | undefined {
    const { cache, detector, choices } = this.#deps;
    const leafBits = owner.ste.cdLeafBits;
    const slot = index >>> leafBits;
    const cached = owner.level1Cds.get(slot);
    if (cached !== undefined) {
      detector?.level1Hit(cached, "cd", owner.streamId, index);
      return cached;
    }
    const words = new Uint32Array(2);
    const address = this.#fetch(owner.ste, "l1cd", base + slot * 8, words);
    if (address < 0) return undefined;
    const entry: Level1Entry = { id: 0, index: slot, leafBits, address, words, assured: this.#assured };
    if (choices.cacheInvalidLevel1 || (words[0]! & 1) !== 0) cache.keepLevel1Cd(owner, entry);
    return entry;
  }

  /** 5.2, 5.3 */
  #second(owner: SteEntry, index: number, level1: Level1Entry): Cd | undefined {
    const { fault, config } = this.#deps;
    const pointer = join64(level1.words[1]! & 0x00ff_ffff, level1.words[0]! & ~0xfff);
    if ((level1.words[0]! & 1) === 0 || pointer >= 2 ** config.oas) {
      fault.raise(EventNumber.C_BAD_SUBSTREAMID);
      fault.substreamId = index;
      return undefined;
    }
    const bytes = 64 * 2 ** level1.leafBits;
    return this.#cd(owner, index, pointer - (pointer % bytes) + (index % 2 ** level1.leafBits) * 64, level1);
  }

  /** 5.4 */
  #cd(owner: SteEntry, index: number, at: number, level1: Level1Entry | undefined): Cd | undefined {
    const { cache, config, notModelled } = this.#deps;
    const words = new Uint32Array(16);
    const address = this.#fetch(owner.ste, "cd", at, words);
    if (address < 0) return undefined;
    const cd = decodeCd(words, address, owner.ste, config, this.#assured && (level1?.assured ?? true));
    if (cd.broken === undefined) noteAbsentFeatures(CD, words, notModelled, cd.d128);
    const entry: CdEntry = { id: 0, owner, index, cd, level1 };
    cache.keepCd(entry);
    this.#lint(entry);
    return cd;
  }

  /** 5.6. @returns the physical address, or -1 with the reason in `fault` */
  #fetch(ste: Ste, kind: "cd" | "l1cd", at: number, words: Uint32Array): number {
    const { host, stage2, fault } = this.#deps;
    let address = at;
    this.#assured = false;
    if (ste.stage2 !== undefined) {
      if (!stage2.translate(ste.stage2, at, FaultClass.cd, Perm2.read)) return -1;
      address = stage2.physical;
      this.#assured = (stage2.entry.stage2 & Perm2.assuredOnly) !== 0;
    }
    if (host.load(kind, address, words, words.length) === BusStatus.ok) return address;
    fault.raiseFetch(EventNumber.F_CD_FETCH, address);
    return -1;
  }

  #lint(entry: CdEntry): void {
    const { trace } = this.#deps;
    const { broken } = entry.cd;
    if (broken === undefined || !trace.wants("smmu.lint")) return;
    const detail = `CD of StreamID ${hex(entry.owner.streamId)} SubstreamID ${hex(entry.index)}: ${broken.text}`;
    trace.emit("smmu.lint", { rule: `cd-${broken.id}`, detail, section: "§5.4.2" });
  }
}
