// SPDX-License-Identifier: MIT
/** Event records as people read them (IHI 0070 §7.3). */
import { getField } from "../../bits/fields.ts";
import { hex, hex64 } from "../../bits/hex.ts";
import { checkWords } from "../../checks.ts";
import { type EventField, EVENTS, type EventSpec } from "../spec/events.ts";

/** A record taken apart. */
export interface DecodedEvent {
  readonly number: number;
  /** Name of the event, or "reserved". */
  readonly name: string;
  readonly meaning: string;
  /** Values by the specification's field names; addresses that are stored without low bits are whole addresses here. */
  readonly fields: Readonly<Record<string, number>>;
  /** The 64-bit input address in hexadecimal, if the event has one. */
  readonly inputAddress: string | undefined;
}

function specOf(words: Uint32Array | readonly number[]): EventSpec | undefined {
  const number = (words[0] ?? 0) & 0xff;
  return EVENTS.find((event) => event.number === number);
}

/** @param words the record, 8 words @throws HostMisuseError for another number of words */
export function decodeEvent(words: Uint32Array | readonly number[]): DecodedEvent {
  checkWords("an event record", words, 8);
  const spec = specOf(words);
  const number = (words[0] ?? 0) & 0xff;
  if (spec === undefined) return { number, name: "reserved", meaning: "", fields: {}, inputAddress: undefined };
  const fields: Record<string, number> = {};
  for (const field of spec.fields) fields[field.name] = getField(words, field) * (field.scale ?? 1);
  return { number, name: spec.name, meaning: spec.meaning, fields, inputAddress: inputAddress(spec.fields, words) };
}

function inputAddress(fields: readonly EventField[], words: Uint32Array | readonly number[]): string | undefined {
  if (fields.some((field) => field.name === "InputAddr[31:0]")) return hex64(words[5] ?? 0, words[4] ?? 0);
  return fields.some((field) => field.name === "InputAddr[63:12]") ? hex64(words[5] ?? 0, (words[4] ?? 0) & ~0xfff) : undefined;
}

const CLASSES = ["CD fetch", "stage-1 table walk", "input address", "reserved"];

/**
 * One line of text: the event's name, its meaning, and what its fields say.
 * @param words the record, 8 words
 * @throws HostMisuseError for another number of words
 */
export function describeEvent(words: Uint32Array | readonly number[]): string {
  const event = decodeEvent(words);
  if (event.name === "reserved") return `event ${hex(event.number, 2)} (reserved)`;
  const parts = [...describeFields(event.fields)];
  if (event.inputAddress !== undefined) parts.push(`address ${event.inputAddress}`);
  return `${event.name} (${event.meaning}): ${parts.join(", ")}`;
}

function* describeFields(fields: Readonly<Record<string, number>>): Generator<string> {
  const {
    StreamID,
    SubstreamID,
    SSV,
    RnW,
    InD,
    PnU,
    S2,
    CLASS,
    IPA,
    FetchAddr,
    Stall,
    STAG,
    TTRnW,
    DirtyBit,
    AssuredOnly,
    Overlay,
    Reason,
  } = fields;
  if (StreamID !== undefined) yield `StreamID ${hex(StreamID)}`;
  if (SubstreamID !== undefined && SSV !== 0) yield `SubstreamID ${hex(SubstreamID)}`;
  if (RnW !== undefined) yield RnW === 1 ? "read" : "write";
  if (InD !== undefined) yield InD === 1 ? "instruction" : "data";
  if (PnU !== undefined) yield PnU === 1 ? "privileged" : "unprivileged";
  if (S2 !== undefined) yield S2 === 1 ? "stage 2" : "stage 1";
  if (CLASS !== undefined) yield CLASSES[CLASS]!;
  if (CLASS === 1 && TTRnW !== undefined) yield TTRnW === 1 ? "walk read" : "walk write";
  if (DirtyBit === 1) yield "writable-clean, and dirty state is left to software";
  if (AssuredOnly === 1) yield "not an assured translation";
  if (Overlay === 1) yield "stage-2 overlay";
  if (S2 === 1 && IPA !== undefined) yield `IPA ${hex(IPA)}`;
  if (FetchAddr !== undefined) yield `fetch of ${hex(FetchAddr)}`;
  if (Stall === 1) yield `stalled with tag ${hex(STAG ?? 0)}`;
  if (Reason !== undefined && Reason !== 0) yield `reason ${hex(Reason)}`;
}
