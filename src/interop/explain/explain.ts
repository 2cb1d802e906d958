// SPDX-License-Identifier: MIT
/**
 * Explains one translation of a recording. The recording is replayed up to it; then the SMMU translates while its fetches
 * are noted, first with its caches as they are, then from memory alone.
 */
import { EVENTS, Outcome, type Smmu, type StaleUse, type Transaction, Via, hex, hex64, join64 } from "../../hw/index.ts";
import { attributesText } from "../decode/memory-types.ts";
import { decodeEventRecord } from "../decode/messages.ts";
import { eventStory } from "../decode/event-story.ts";
import { type RecordingHeader, type TraceRecord, physicalText } from "../replay/recording.ts";
import { Replayer } from "../replay/replayer.ts";
import type { Finding } from "../replay/report.ts";
import { type Fetch, type WalkContext, stepsOf } from "./steps.ts";
import type { Explanation, ExplainResult, Walkthrough } from "./types.ts";

type Request = Extract<TraceRecord, { t: "x" }>;

/** The record that was asked for is not a translation request. */
export class ExplainError extends Error {
  readonly code = "EXPLAIN";

  constructor(message: string) {
    super(message);
    this.name = "ExplainError";
  }
}

const CR0ACK = 0x24;
const CR2 = 0x2c;
const GBPA = 0x44;
const STRTAB_BASE = 0x80;
const STRTAB_BASE_CFG = 0x88;

const VIA: Readonly<Record<Via, string>> = {
  [Via.none]: "not translated",
  [Via.globalBypass]: "global bypass (SMMUEN is 0)",
  [Via.steBypass]: "bypass by the STE",
  [Via.stage1]: "stage 1",
  [Via.stage2]: "stage 2",
  [Via.nested]: "stage 1 and stage 2",
};

const OUTCOMES: Readonly<Record<Outcome, ExplainResult["outcome"]>> = {
  [Outcome.forward]: "forward",
  [Outcome.abort]: "abort",
  [Outcome.razWi]: "RAZ/WI",
  [Outcome.stalled]: "stalled",
};

/** Kinds of structure that a translation needs; those that it did not fetch came from a cache. */
const NEEDS = [
  { kind: "ste", name: "the STE (configuration cache)" },
  { kind: "cd", name: "the CD (configuration cache)" },
  { kind: "tt-s1", name: "the translation (TLB)" },
] as const;

/** Takes the records of one recording in order, up to the one to explain. */
export class Explainer {
  readonly #header: RecordingHeader;
  readonly #target: number;
  readonly #replayer: Replayer;
  #fetches: Fetch[] = [];
  #records: (readonly number[])[] = [];
  #stale: StaleUse[] = [];
  #differences: Finding[] = [];
  #lastRequest: number | undefined;
  #explanation: Explanation | undefined;
  #watching = false;

  /** @param target number of the record to explain, from 0 */
  constructor(header: RecordingHeader, target: number) {
    this.#header = header;
    this.#target = target;
    this.#replayer = new Replayer(header, {
      load: (kind, address, words, status) => {
        if (this.#watching && kind !== "cmdq") this.#fetches.push({ kind, address, words: words.slice(), status });
      },
      event: (words) => this.#records.push([...words]),
      stale: (use) => this.#stale.push(use),
      finding: (finding) => this.#differences.push(finding),
    });
  }

  /**
   * Carries one record out.
   * @returns true if it was the one to explain
   * @throws ExplainError if that is not a translation request
   */
  apply(record: TraceRecord): boolean {
    this.#fetches = [];
    this.#records = [];
    this.#stale = [];
    this.#differences = [];
    if (record.n !== this.#target) {
      this.#replayer.apply(record);
      if (record.t === "x") this.#lastRequest = record.n;
      return false;
    }
    if (record.t !== "x")
      throw new ExplainError(`record ${record.n} is ${describeRecord(record)}, not a translation request${this.#nearest()}`);
    this.#explain(record);
    return true;
  }

  /** @throws ExplainError if the record was not there */
  get explanation(): Explanation {
    if (this.#explanation === undefined) throw new ExplainError(`the recording ends before record ${this.#target}${this.#nearest()}`);
    return this.#explanation;
  }

  #nearest(): string {
    return this.#lastRequest === undefined ? "" : `; the last request before it is record ${this.#lastRequest}`;
  }

  #explain(record: Request): void {
    const replayer = this.#replayer;
    const before = registersOf(replayer.smmu, record.sid);
    this.#watching = true;
    replayer.apply(record);
    const withCaches = this.#walkthrough(record);
    const [stale, differences] = [this.#stale, this.#differences];

    this.#fetches = [];
    this.#records = [];
    replayer.again(record);
    const fromMemory = this.#walkthrough(record);
    this.#watching = false;
    const cached: string[] = NEEDS.filter(({ kind }) => count(fromMemory, kind) > 0 && count(withCaches, kind) === 0).map(
      ({ name }) => name,
    );
    if (cached.length === 0 && withCaches.fetches.length < fromMemory.fetches.length) cached.push("a part of the structures");
    const differs = describe(withCaches.result) !== describe(fromMemory.result);
    this.#explanation = {
      record: record.n,
      scenario: this.#header.scenario,
      request: {
        streamId: hex(record.sid),
        address: hex64(record.addressHi, record.addressLo),
        access: record.write ? "write" : "read",
        injected: record.injected,
      },
      registers: before,
      withCaches: { ...bare(withCaches), cached },
      fromMemory: cached.length > 0 || differs ? bare(fromMemory) : undefined,
      differs,
      stale,
      recorded: { answer: record.answer, architecture: record.architecture },
      differences,
    };
  }

  /** The configuration cache, as it is just after the translation, gives the STE and CD of walks that did not fetch them. */
  #context(record: Request): WalkContext {
    const { smmu } = this.#replayer;
    const cfg = smmu.read(STRTAB_BASE_CFG, 4);
    const entry = smmu.translation.configCache.findSte(record.sid);
    return {
      config: smmu.config,
      streamId: record.sid,
      index: 0,
      addressHi: record.addressHi,
      addressLo: record.addressLo,
      split: ((cfg >>> 16) & 3) === 1 && smmu.config.twoLevelStreamTable ? splitOf(cfg) : undefined,
      e2h: smmu.config.hyp && (smmu.read(CR2, 4) & 1) !== 0,
      ste: entry?.ste.words,
      cd: entry?.cds.get(0)?.cd.words,
    };
  }

  /** What the translation just done has fetched, and how it ended. */
  #walkthrough(record: Request): Walkthrough & { readonly fetches: readonly Fetch[] } {
    const fetches = this.#fetches;
    return { steps: stepsOf(fetches, this.#context(record)), result: this.#result(record), cached: [], fetches };
  }

  #result(record: Request): ExplainResult {
    const { transaction: tx, outcome } = this.#replayer;
    const words = this.#records.at(-1);
    const event = EVENTS.find(({ number }) => number === tx.event);
    const common = {
      outcome: OUTCOMES[outcome],
      via: VIA[tx.via],
      event: event?.name,
      record: words && decodeEventRecord(Uint32Array.from(words)),
    };
    if (outcome === Outcome.forward) {
      const physical = physicalText(Math.floor(tx.physical / 2 ** 32), tx.physical >>> 0);
      const says = `${VIA[tx.via]}: ${hex64(record.addressHi, record.addressLo)} goes to ${physical}`;
      return {
        ...common,
        physical,
        attributes: attributesText(tx.attributes, tx.shareability),
        says,
        section: tx.via === Via.globalBypass ? "6.3.14" : "3.3.3",
      };
    }
    return { ...common, physical: undefined, attributes: undefined, ...this.#refusal(tx, event?.section) };
  }

  /** Why a transaction was not forwarded. */
  #refusal(tx: Transaction, section: string | undefined): { readonly says: string; readonly section: string } {
    const { smmu } = this.#replayer;
    const words = this.#records.at(-1);
    if (words) return { says: eventStory(Uint32Array.from(words)).join("; "), section: section ?? "7.3" };
    if (tx.event !== 0)
      return { says: "the event is not recorded: CD.R or STE.S2R is 0 for this stage, or CR2.RECINVSID is 0", section: "5.5, 6.3.12" };
    if ((smmu.read(CR0ACK, 4) & 1) === 0)
      return {
        says: "SMMUEN is 0 and GBPA.ABORT is 1, or the address is beyond the output size: abort without an event",
        section: "6.3.14",
      };
    return { says: "STE.Config is 0b0xx: abort without an event", section: "5.2" };
  }
}

function count({ fetches }: { readonly fetches: readonly Fetch[] }, kind: string): number {
  return fetches.filter((fetch) => fetch.kind === kind).length;
}

function bare({ steps, result, cached }: Walkthrough): Walkthrough {
  return { steps, result, cached };
}

function describe({ outcome, physical, event, record }: ExplainResult): string {
  return JSON.stringify([outcome, physical, event, record?.words]);
}

function splitOf(cfg: number): number {
  const split = (cfg >>> 6) & 31;
  return split === 8 || split === 10 ? split : 6;
}

function describeRecord(record: Exclude<TraceRecord, { t: "x" }>): string {
  switch (record.t) {
    case "r":
      return `a read of register ${hex(record.offset)}`;
    case "w":
      return `a write to register ${hex(record.offset)}`;
    case "reset":
      return "a reset";
    case "inv":
      return "a drop of all caches";
  }
}

/** What the registers decide before any structure is fetched. */
function registersOf(smmu: Smmu, streamId: number): Explanation["registers"] {
  const enabled = (smmu.read(CR0ACK, 4) & 1) !== 0;
  const cr0 = {
    name: "CR0ACK",
    value: hex(smmu.read(CR0ACK, 4)),
    says: enabled ? "SMMUEN is 1: the Stream table decides" : "SMMUEN is 0: GBPA decides",
  };
  if (!enabled) {
    const gbpa = smmu.read(GBPA, 4);
    return [
      cr0,
      {
        name: "GBPA",
        value: hex(gbpa),
        says: (gbpa & 0x10_0000) !== 0 ? "ABORT is 1: transactions abort without an event" : "ABORT is 0: transactions bypass",
      },
    ];
  }
  const cfg = smmu.read(STRTAB_BASE_CFG, 4);
  const base = new Uint32Array(2);
  smmu.read64(STRTAB_BASE, base);
  const size = Math.min(cfg & 63, smmu.config.sidSize);
  const format = ((cfg >>> 16) & 3) === 1 ? `two levels, split at StreamID bit ${splitOf(cfg)}` : "linear";
  const cr2 = smmu.read(CR2, 4);
  return [
    cr0,
    {
      name: "STRTAB_BASE",
      value: hex64(base[1]!, base[0]!),
      says: `Stream table at ${hex(join64(base[1]! & 0x00ff_ffff, base[0]! & ~0x3f))}`,
    },
    {
      name: "STRTAB_BASE_CFG",
      value: hex(cfg),
      says: `${format}, ${size} bits of StreamID: ${hex(streamId)} is ${streamId < 2 ** size ? "in range" : "out of range, C_BAD_STREAMID"}`,
    },
    {
      name: "CR2",
      value: hex(cr2),
      says: (cr2 & 2) !== 0 ? "RECINVSID is 1: C_BAD_STREAMID is recorded" : "RECINVSID is 0: C_BAD_STREAMID is not recorded",
    },
  ];
}
