// SPDX-License-Identifier: MIT
/** What conditions of deviations are made of. */
import type { Difference, DifferenceContext } from "./difference.ts";
import type { TraceRecord } from "./recording.ts";

type Request = Extract<TraceRecord, { t: "x" }>;

export const C_BAD_STREAMID = 0x02;
export const F_CD_FETCH = 0x09;
export const F_WALK_EABT = 0x0b;
export const C_BAD_STE = 0x04;
export const F_TRANSLATION = 0x10;
export const F_ADDR_SIZE = 0x11;
export const F_ACCESS = 0x12;
export const F_PERMISSION = 0x13;

// Word 3 of an event record.
export const CLASS = 0x300;
export const CLASS_IN = 0x200;
export const STAGE2 = 0x80;
export const RNW = 8;

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
export function beyondOas(request: Request, oas: number): boolean {
  return request.addressHi >= 2 ** (oas - 32);
}

/**
 * A request that ends otherwise: ours with event `ours`, theirs as `theirs` says. Covers the answer and what follows from
 * it: the record that only one of the two wrote or that is of another type, and its interrupt.
 */
export function endsOtherwise(
  d: Difference,
  { record, answer }: DifferenceContext,
  ours: number,
  theirs: (request: Request) => boolean,
): boolean {
  if (record.t !== "x" || answer?.event !== ours || !theirs(record)) return false;
  if (d.what === "translation") return true;
  const theirEvent = record.answer.event ?? 0;
  if (d.what === "event") return eventType(d.ours) === ours && eventType(d.theirs) === theirEvent;
  return d.what === "interrupts" && theirEvent === 0 && d.ours.join() === "evtq" && d.theirs.length === 0;
}
