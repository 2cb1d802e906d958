// SPDX-License-Identifier: MIT
/**
 * One translation of an SMMU, watched: its own fetches are noted and put into words, first with its caches as they are, then
 * from memory alone.
 */
import {
  EVENTS,
  type BusStatus,
  Outcome,
  type Smmu,
  type SmmuAccessKind,
  type StaleUse,
  type Transaction,
  Via,
  hex,
  hex64,
  join64,
} from "../../hw/index.ts";
import { attributesText } from "../decode/memory-types.ts";
import { decodeEventRecord } from "../decode/messages.ts";
import { eventStory } from "../decode/event-story.ts";
import { physicalText } from "../replay/recording.ts";
import { type Fetch, type WalkContext, stepsOf } from "./steps.ts";
import type { Explanation, ExplainResult, Walkthrough } from "./types.ts";

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
  [Via.ats]: "translated by its device",
};

const OUTCOMES: Readonly<Record<Outcome, ExplainResult["outcome"]>> = {
  [Outcome.forward]: "forward",
  [Outcome.abort]: "abort",
  [Outcome.razWi]: "RAZ/WI",
  [Outcome.stalled]: "stalled",
};

/** Kinds of structure that a translation needs; those that it did not fetch came from a cache. */
const NEEDS = [
  { kind: "ste", name: "the STE (configuration cache)", by: [Via.steBypass, Via.stage1, Via.stage2, Via.nested] },
  { kind: "cd", name: "the CD (configuration cache)", by: [Via.stage1, Via.nested] },
  { kind: "tt-s1", name: "the translation (TLB)", by: [Via.stage1, Via.nested] },
  { kind: "tt-s2", name: "stage 2 (TLB)", by: [Via.stage2, Via.nested] },
] as const;

/** What the SMMU does, noted from {@link Watch.begin} on. Its owner reports to it. */
export class Watch {
  fetches: Fetch[] = [];
  records: (readonly number[])[] = [];
  stale: StaleUse[] = [];
  #on = false;

  begin(): void {
    this.fetches = [];
    this.records = [];
    this.stale = [];
    this.#on = true;
  }

  end(): void {
    this.#on = false;
  }

  load(kind: SmmuAccessKind, address: number, words: Uint32Array, status: BusStatus, level: number | undefined): void {
    if (this.#on && kind !== "cmdq") this.fetches.push({ kind, address, words: words.slice(), status, level });
  }

  event(words: readonly number[]): void {
    if (this.#on) this.records.push([...words]);
  }

  staleUse(use: StaleUse): void {
    if (this.#on) this.stale.push(use);
  }
}

/** A transaction whose translation is to be explained. */
export interface Watched {
  readonly smmu: Smmu;
  readonly tx: Transaction;
  readonly watch: Watch;
  /** Translates with the caches as they are. */
  readonly withCaches: () => Outcome;
  /** Translates once more, after the caches were dropped. */
  readonly fromMemory: () => Outcome;
}

/** The part of an explanation that comes from the SMMU itself. */
export type WalkExplanation = Pick<Explanation, "registers" | "withCaches" | "fromMemory" | "differs" | "stale">;

/** Carries both translations out and tells them. The caches are empty afterwards but for what the second one fetched. */
export function explainWalk({ smmu, tx, watch, withCaches, fromMemory }: Watched): WalkExplanation {
  const registers = registersOf(smmu, tx.streamId);
  watch.begin();
  const first = walkthrough(smmu, tx, watch, withCaches());
  const { via } = tx;
  const { stale } = watch;
  watch.begin();
  const second = walkthrough(smmu, tx, watch, fromMemory());
  watch.end();
  const cached = cachedIn(first, second, via);
  if (cached.length === 0 && first.fetches.length < second.fetches.length) cached.push("a part of the structures");
  const differs = describe(first.result) !== describe(second.result);
  return {
    registers,
    withCaches: { ...bare(first), cached },
    fromMemory: cached.length > 0 || differs ? bare(second) : undefined,
    differs,
    stale,
  };
}

/** The configuration cache, as it is just after the translation, gives the STE and CD of walks that did not fetch them. */
function contextOf(smmu: Smmu, tx: Transaction): WalkContext {
  const cfg = smmu.read(STRTAB_BASE_CFG, 4);
  const entry = smmu.translation.configCache.findSte(tx.streamId);
  const index = Math.max(0, tx.substreamId);
  return {
    config: smmu.config,
    streamId: tx.streamId,
    index,
    addressHi: tx.addressHi,
    addressLo: tx.addressLo,
    split: ((cfg >>> 16) & 3) === 1 && smmu.config.twoLevelStreamTable ? splitOf(cfg) : undefined,
    e2h: smmu.config.hyp && (smmu.read(CR2, 4) & 1) !== 0,
    ste: entry?.ste.words,
    cd: entry?.cds.get(index)?.cd.words,
  };
}

type Walk = Walkthrough & { readonly fetches: readonly Fetch[] };

/** What the translation just done has fetched, and how it ended. */
function walkthrough(smmu: Smmu, tx: Transaction, { fetches, records }: Watch, outcome: Outcome): Walk {
  return { steps: stepsOf(fetches, contextOf(smmu, tx)), result: resultOf(smmu, tx, outcome, records.at(-1)), cached: [], fetches };
}

function resultOf(smmu: Smmu, tx: Transaction, outcome: Outcome, words: readonly number[] | undefined): ExplainResult {
  const event = EVENTS.find(({ number }) => number === tx.event);
  const common = {
    outcome: OUTCOMES[outcome],
    via: VIA[tx.via],
    event: event?.name,
    record: words && decodeEventRecord(Uint32Array.from(words)),
  };
  if (outcome !== Outcome.forward)
    return { ...common, physical: undefined, attributes: undefined, ...refusal(smmu, tx, event?.section, words) };
  const physical = physicalText(Math.floor(tx.physical / 2 ** 32), tx.physical >>> 0);
  return {
    ...common,
    physical,
    attributes: attributesText(tx.attributes, tx.shareability),
    says: `${VIA[tx.via]}: ${hex64(tx.addressHi, tx.addressLo)} goes to ${physical}`,
    section: tx.via === Via.globalBypass ? "6.3.14" : "3.3.3",
  };
}

/** Why a transaction was not forwarded. */
function refusal(
  smmu: Smmu,
  tx: Transaction,
  section: string | undefined,
  words: readonly number[] | undefined,
): { readonly says: string; readonly section: string } {
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

/** What the first walk needed, by how it ended or by what the second one fetched, and did not fetch itself. */
function cachedIn(first: Walk, second: Walk, via: Via): string[] {
  return NEEDS.filter(({ kind, by }) => count(first, kind) === 0 && (by.some((way) => way === via) || count(second, kind) > 0)).map(
    ({ name }) => name,
  );
}

function count({ fetches }: Walk, kind: string): number {
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
