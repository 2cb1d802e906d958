// SPDX-License-Identifier: MIT
/** What differences by hand are made of. */
import { type SmmuConfig, profiles } from "../../../src/hw/index.ts";
import type { Difference, DifferenceContext, TraceRecord, TranslationAnswer } from "../../../src/interop/index.ts";

type Request = Extract<TraceRecord, { t: "x" }>;
type Supposition = Parameters<DifferenceContext["suppose"]>[0];

export interface DeviationCase {
  readonly id: string;
  readonly what: string;
  readonly difference: Difference;
  readonly context: DifferenceContext;
  /** Near misses: another difference, or another context. */
  readonly not: Readonly<Record<string, { readonly d?: Difference; readonly c?: DifferenceContext }>>;
}

export const SID = 8;
export const PAGE = 0x8000_1000;
/** QEMU 10 with both stages. */
export const config: SmmuConfig = profiles.qemu;
export const HIT = { config: true, tlb: true };
export const MISS = { config: true, tlb: false };

export const ok = (physical: string, mask: number = 0xfff, perm: TranslationAnswer["perm"] = "rw"): TranslationAnswer => ({
  status: "ok",
  physical,
  mask,
  ...(perm === undefined ? {} : { perm }),
});
/** As programs of the differential test see an answer. */
export const seen = (physical: string): TranslationAnswer => ({ status: "ok", physical });
export const fault = (event: number): TranslationAnswer => ({ status: "fault", event });
export const SILENT = fault(0);

export function request(changes: Partial<Request> = {}): Request {
  return {
    t: "x",
    n: 0,
    memory: [],
    effects: [],
    state: undefined,
    sid: SID,
    addressHi: 0,
    addressLo: 0x5000,
    write: false,
    answer: SILENT,
    uncached: undefined,
    hits: MISS,
    architecture: undefined,
    deviation: undefined,
    injected: "",
    stages: 1,
    ...changes,
  };
}

/** @param suppose what the model would say; default: as it does */
export function contextOf(
  record: TraceRecord,
  answer: TranslationAnswer | undefined,
  more: Partial<DifferenceContext> = {},
  suppose: (supposed: Supposition) => TranslationAnswer = () => answer ?? SILENT,
): DifferenceContext {
  return {
    record,
    qemu: 10,
    config,
    idr: undefined,
    answer,
    eventPending: false,
    eventqFull: false,
    visible: () => true,
    suppose,
    lastDescriptor: () => undefined,
    ...more,
  };
}

/** The difference of two answers; theirs is that of the record. */
export const answers = (ours: TranslationAnswer, theirs: TranslationAnswer): Difference => ({ what: "translation", ours, theirs });
/** A record of 8 words. */
export const event = (...words: readonly number[]): Uint32Array => Uint32Array.from({ length: 8 }, (_, index) => words[index] ?? 0);
export const events = (ours: Uint32Array | undefined, theirs: Uint32Array | undefined): Difference => ({ what: "event", ours, theirs });
export const read = (offset: number, ours: number, theirs: number): Difference => ({
  what: "read",
  offset,
  ours: `0x${ours.toString(16)}`,
  theirs: `0x${theirs.toString(16)}`,
});
export const reset: TraceRecord = { t: "reset", n: 0, idr: [0, 0, 0, 0, 0, 0], iidr: 0, aidr: 1 };
export const write: TraceRecord = { t: "w", n: 0, offset: 0x98, size: 4, lo: 1, hi: 0, memory: [], effects: [], state: undefined };

/** The same request with theirs, as answers and as records where they are: what a deviation of answers has to look at. */
export interface Ending {
  readonly id: string;
  readonly what: string;
  readonly ours: TranslationAnswer;
  readonly theirs: TranslationAnswer;
  readonly record: Partial<Request>;
  readonly more?: Partial<DifferenceContext>;
  readonly suppose?: (supposed: Supposition) => TranslationAnswer;
  /** Other requests of which this would not be so. */
  readonly otherwise: Readonly<Record<string, Partial<Request>>>;
  /** Other contexts. */
  readonly elsewhere?: Readonly<Record<string, Partial<DifferenceContext>>>;
  /** Answers that QEMU would not give. */
  readonly never: readonly TranslationAnswer[];
}

export function ending({ id, what, ours, theirs, record, more, suppose, otherwise, elsewhere = {}, never }: Ending): DeviationCase {
  const base = request({ ...record, answer: theirs });
  const at = (changes: Partial<Request>, others: Partial<DifferenceContext> = {}): DifferenceContext =>
    contextOf({ ...base, ...changes }, ours, { ...more, ...others }, suppose);
  const not: Record<string, { d?: Difference; c: DifferenceContext }> = {};
  for (const [name, changes] of Object.entries(otherwise)) not[name] = { c: at(changes) };
  for (const [name, changes] of Object.entries(elsewhere)) not[name] = { c: at({}, changes) };
  for (const answer of never) not[`theirs ${JSON.stringify(answer)}`] = { d: answers(ours, answer), c: at({ answer }) };
  if (ours.event !== undefined && ours.event >= 0x10) {
    // A record of ours that is about something else is no deviation of theirs, whatever theirs is.
    const { sid, addressHi, addressLo, write: writes } = base;
    const theirRecord = (theirs.event ?? 0) === 0 ? undefined : recordOf(theirs.event!, sid, addressLo, addressHi, writes);
    const stray = (words: Uint32Array): { d: Difference; c: DifferenceContext } => ({ d: events(words, theirRecord), c: at({}) });
    not["our record of another stream"] = stray(recordOf(ours.event, 0x999, addressLo, addressHi, writes));
    not["our record of another address"] = stray(recordOf(ours.event, sid, 0xdead, addressHi, writes));
    not["our record of another access"] = stray(recordOf(ours.event, sid, addressLo, addressHi, !writes));
  }
  return { id, what, difference: answers(ours, theirs), context: at({}), not };
}

function recordOf(type: number, sid: number, lo: number, hi: number, writes: boolean): Uint32Array {
  return type >= 0x0b ? event(type, sid, 0, 0x200 | (writes ? 0 : 8), lo, hi) : event(type, sid);
}

export const S2 = { stages: 2, hits: HIT, uncached: fault(0x13) } as const;
export const hex = (address: number): string => `0x${address.toString(16)}`;
