// SPDX-License-Identifier: MIT
/** What conditions of deviations are made of. */
import type { Difference, DifferenceContext } from "./difference.ts";
import type { Supposition } from "./probe.ts";
import { type TraceRecord, type TranslationAnswer, physicalText } from "./recording.ts";

export type Request = Extract<TraceRecord, { t: "x" }>;

export const C_BAD_STREAMID = 0x02;
export const F_STE_FETCH = 0x03;
export const C_BAD_STE = 0x04;
export const F_CD_FETCH = 0x09;
export const F_WALK_EABT = 0x0b;
export const F_TRANSLATION = 0x10;
export const F_ADDR_SIZE = 0x11;
export const F_ACCESS = 0x12;
export const F_PERMISSION = 0x13;

// Word 3 of an event record.
export const CLASS = 0x300;
export const CLASS_TT = 0x100;
export const CLASS_IN = 0x200;
export const STAGE2 = 0x80;
export const RNW = 8;
const TTRNW = 0x1000;

/** A fault without an event. */
export const SILENT: TranslationAnswer = { status: "fault", event: 0 };

export function fault(event: number): TranslationAnswer {
  return { status: "fault", event };
}

/** The two records are equal but for the words that `except` names, which it judges. */
export function differOnlyIn(d: Difference, words: readonly number[], judge: (ours: Uint32Array, theirs: Uint32Array) => boolean): boolean {
  if (d.what !== "event" || d.ours === undefined || d.theirs === undefined) return false;
  const { ours, theirs } = d;
  return ours.every((word, index) => words.includes(index) || word === theirs[index]) && judge(ours, theirs);
}

/** Number of an event, 0 for none. */
export function eventType(words: Uint32Array | undefined): number {
  return words === undefined ? 0 : words[0]! & 0xff;
}

/** An address of the request at or beyond 2^oas. */
export function beyondOas(request: Request, { config }: DifferenceContext): boolean {
  return request.addressHi >= 2 ** (config.oas - 32);
}

/** The address of the request, as answers write it. */
export function inputAddress({ addressHi, addressLo }: Request): string {
  return physicalText(addressHi, addressLo);
}

/** The two read registers differ in bits of `mask` alone, which are all 1 in ours. */
export function onlyOursHas(d: Difference, offset: number, mask: number): boolean {
  if (d.what !== "read" || d.offset !== offset) return false;
  const [ours, theirs] = [Number(d.ours), Number(d.theirs)];
  return ((ours ^ theirs) & ~mask) === 0 && (ours & (ours ^ theirs)) === (ours ^ theirs);
}

/**
 * True if an answer is the one that was foretold. What a recording does not say (mask and permissions in a program of the
 * differential test, or where an access went that nobody saw) cannot differ.
 */
export function agrees(theirs: TranslationAnswer, foretold: TranslationAnswer, context: DifferenceContext): boolean {
  const { physical } = foretold;
  const { record } = context;
  // A device that is refused does not see whether that was an abort without an event.
  const unwatched = record.t === "x" && record.hits === undefined;
  if (unwatched && foretold.status === "abort") return theirs.status === "fault" && theirs.event === 0;
  if (physical !== undefined && !context.visible(physical)) {
    const unseen = theirs.physical === undefined;
    return unseen && (theirs.status === foretold.status || (theirs.status === "fault" && theirs.event === 0));
  }
  return (
    theirs.status === foretold.status &&
    (theirs.event === foretold.event || (foretold.keptBack === true && theirs.event === 0)) &&
    (theirs.physical === physical ||
      (theirs.physical !== undefined && physical !== undefined && BigInt(theirs.physical) === BigInt(physical))) &&
    (theirs.mask === undefined || theirs.mask === foretold.mask) &&
    (theirs.perm === undefined || theirs.perm === foretold.perm)
  );
}

/** How a request ends on both sides. */
export interface Ends {
  /** Number of our event, or our answer foretold in another way. */
  readonly ours: number | readonly Supposition[];
  /** All answers that the deviation can lead to; none: it does not apply. */
  theirs(request: Request, context: DifferenceContext): readonly TranslationAnswer[];
}

/**
 * A request that ends otherwise. Covers the answer and what follows from it: the record that only one of the two wrote or that
 * is of another type, what became of the event, and its interrupt.
 */
export function endsOtherwise(d: Difference, context: DifferenceContext, { ours, theirs }: Ends): boolean {
  const { record, answer } = context;
  if (record.t !== "x" || answer === undefined) return false;
  if (d.what !== "translation" && d.what !== "event" && d.what !== "event-due" && d.what !== "interrupts") return false;
  if (typeof ours === "number") {
    if (answer.event !== ours) return false;
  } else if (!ours.some((supposed) => agrees(answer, context.suppose(supposed), context))) return false;
  if (!theirs(record, context).some((foretold) => agrees(record.answer, foretold, context))) return false;
  const ourEvent = answer.event ?? 0;
  const theirEvent = record.answer.event ?? 0;
  const isOne = (event: number, one: number): boolean => event === 0 || event === one;
  switch (d.what) {
    case "translation":
      return true;
    case "event":
      return isOne(eventType(d.ours), ourEvent) && eventType(d.theirs) === theirEvent;
    case "event-due":
      return isOne(d.ours?.event ?? 0, ourEvent) && (d.theirs?.event ?? 0) === theirEvent;
    case "interrupts":
      return theirEvent === 0
        ? d.ours.join() === "evtq" && d.theirs.length === 0
        : ourEvent === 0 && d.ours.length === 0 && d.theirs.join() === "evtq";
  }
}

/** True if the recorder says so, or did not look: programs of the differential test do not see caches. */
export function hitTlb({ hits }: Request): boolean {
  return hits === undefined || hits.tlb;
}

/** The recorder's own word for why an answer is not to be taken as right. */
export function saidToBe({ hits, deviation }: Request, word: string): boolean {
  return hits === undefined || deviation === word;
}

/** The recorder found this event when it asked QEMU again, without caches. */
export function uncachedEvent({ hits, uncached }: Request, event: number): boolean {
  return hits === undefined || (uncached?.status === "fault" && uncached.event === event);
}

const TRANSLATION_EVENTS: ReadonlySet<number> = new Set([F_WALK_EABT, F_TRANSLATION, F_ADDR_SIZE, F_ACCESS, F_PERMISSION]);
const FETCH_EVENTS: ReadonlySet<number> = new Set([F_STE_FETCH, F_CD_FETCH]);

function allZero(words: Uint32Array, from: number): boolean {
  return words.subarray(from).every((word) => word === 0);
}

/** The input address as the IPA field of a record has it: bits of a page are 0. */
function ipaMatches(words: Uint32Array, { addressHi, addressLo }: Request, low: number): boolean {
  return words[7] === addressHi && (words[6]! & ~low) >>> 0 === (addressLo & ~low) >>> 0;
}

/**
 * True if a record says of its request what such a record must say (IHI 0070 §7.3): whatever else two records differ in,
 * neither may be about another stream, another address or another access.
 * @param theirs in the form in which QEMU writes records
 */
export function isAbout(words: Uint32Array, request: Request, theirs: boolean): boolean {
  const type = eventType(words);
  const [zero = 0, stream = 0, stall = 0, flags = 0, lo = 0, hi = 0] = words;
  // No SubstreamID, no stall.
  if (zero !== type || stream !== request.sid || stall !== 0) return false;
  if (FETCH_EVENTS.has(type)) return flags === 0;
  if (!TRANSLATION_EVENTS.has(type)) return allZero(words, 3);
  if (lo !== request.addressLo || hi !== request.addressHi) return false;
  const second = (flags & STAGE2) !== 0;
  if (second && (request.stages & 2) === 0) return false;
  const kind = flags & CLASS;
  const ofFetch = second && kind !== CLASS_IN && request.stages === 3;
  if ((flags & RNW) !== (request.write ? 0 : RNW) && !(theirs && ofFetch)) return false;
  // Data, unprivileged. A fault of a fetch of tables says itself that it was a read (TTRnW).
  const known = STAGE2 | CLASS | RNW | (ofFetch && !theirs ? TTRNW : 0);
  if ((flags & ~known) !== 0) return false;
  if (type === F_WALK_EABT) return second || kind === CLASS_TT || (theirs && kind === 0);
  if (!second) return (kind === CLASS_IN || theirs) && (allZero(words, 6) || (theirs && request.stages === 3));
  return request.stages === 3 || ((kind === CLASS_IN || theirs) && ipaMatches(words, request, 0xfff));
}
