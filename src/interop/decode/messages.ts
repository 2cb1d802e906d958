// SPDX-License-Identifier: MIT
/** Commands, event records and registers, for people. */
import {
  EVENTS,
  PAGE_REQUEST_FIELDS,
  type SmmuConfig,
  type SmmuRegister,
  describeCommand,
  decodePageRequest,
  describeEvent,
  describePageRequest,
  getField,
  hex,
  hex64,
  judgeCommand,
  smmuCommands,
  smmuRegisters,
} from "../../hw/index.ts";
import { type Decoded, type DecodedField, decodeFields, sizeText, strayBits, wordsText } from "./decoded.ts";
import { eventStory } from "./event-story.ts";
import { isImplementationDefinedEvent } from "./implementation-defined.ts";
import { registerNotes } from "./register-notes.ts";

const OPCODE = { name: "Opcode", hi: 7, lo: 0, what: "which command" };

function plainSection(section: string): string {
  return section.replace("§", "");
}

/** What a TLBI with a range covers (IHI 0070 §4.4.1.1). */
function rangeNote(words: Uint32Array, fields: readonly { readonly name: string; readonly hi: number; readonly lo: number }[]): string[] {
  const field = (name: string): number =>
    getField(
      words,
      fields.find((candidate) => candidate.name === name)!,
    );
  if (!fields.some(({ name }) => name === "TG") || field("TG") === 0) return [];
  const granule = 2 ** (10 + 2 * field("TG"));
  return [
    `with IDR3.RIL: covers (NUM + 1) * 2^SCALE granules, ${sizeText((field("NUM") + 1) * 2 ** field("SCALE") * granule)}; without it, one address`,
  ];
}

/** @param words 4 words */
export function decodeCommand(words: Uint32Array, config: SmmuConfig): Decoded {
  const objections = judgeCommand(words, config);
  const command = smmuCommands.find(({ opcode }) => opcode === (words[0]! & 0xff));
  const fields = [OPCODE, ...(command?.fields ?? [])];
  const legal = objections.length === 0;
  return {
    name: command?.name ?? "reserved command",
    summary: legal ? describeCommand(words) : `${describeCommand(words)}: CERROR_ILL`,
    section: plainSection(command?.section ?? "4.1.3"),
    words: wordsText(words),
    fields: decodeFields("command", words, fields, objections),
    legal,
    event: legal ? undefined : "CERROR_ILL",
    objections,
    notes: [...(command ? rangeNote(words, command.fields) : []), ...strayBits(words, fields)],
  };
}

/** Whether a field of a record has a value that counts. */
function unused(name: string, words: Uint32Array): string | undefined {
  if (name === "SubstreamID" && (words[0]! & 0xff) !== 0x08 && (words[0]! & 0x800) === 0) return "SSV is 0";
  if (name === "STAG" && words[2]! >>> 31 === 0) return "Stall is 0";
  if (name === "IPA" && (words[3]! & 0x80) === 0) return "S2 is 0";
  if (name === "TTRnW" && (words[3]! & 0x300) !== 0x100) return "CLASS is not TT";
  return undefined;
}

/** The input address is two fields in the hardware's table; people read one. */
function joinInputAddress(fields: readonly DecodedField[], words: Uint32Array): DecodedField[] {
  return fields.flatMap((field) => {
    if (field.name === "InputAddr[63:32]") return [];
    if (field.name !== "InputAddr[31:0]") return [field];
    const value = hex64(words[5]!, words[4]!);
    return [{ ...field, name: "InputAddr", hi: 191, value, address: value, meaning: "input address" }];
  });
}

/** A record that only its implementation can read, but for what all records have in common (IHI 0070 §7.3.21). */
function decodeImplementationDefined(words: Uint32Array): Decoded {
  const rows = [
    { name: "EventType", hi: 7, lo: 0, meaning: "event number" },
    { name: "StreamID", hi: 63, lo: 32, meaning: "StreamID, where the event is about a stream" },
    { name: "IMPDEF", hi: 31, lo: 8, meaning: "IMPLEMENTATION DEFINED" },
    ...[64, 128, 192].map((lo) => ({ name: "IMPDEF", hi: lo + 63, lo, meaning: "IMPLEMENTATION DEFINED" })),
  ];
  const number = words[0]! & 0xff;
  return {
    name: "IMPDEF_EVENT",
    summary: `IMPLEMENTATION DEFINED event ${hex(number, 2)}, StreamID ${hex(words[1]!)}`,
    section: "7.3.21",
    words: wordsText(words),
    fields: decodeFields("event", words, rows, []),
    legal: undefined,
    event: undefined,
    objections: [],
    notes: ["what it means is in the manual of this SMMU; software that does not know it should take it as not fatal"],
  };
}

/** @param words 8 words */
export function decodeEventRecord(words: Uint32Array): Decoded {
  if (isImplementationDefinedEvent(words[0]! & 0xff)) return decodeImplementationDefined(words);
  const spec = EVENTS.find(({ number }) => number === (words[0]! & 0xff));
  const fields = spec?.fields ?? [{ name: "EventType", hi: 7, lo: 0, meaning: "reserved" }];
  return {
    name: spec?.name ?? "reserved event",
    summary: describeEvent(words),
    section: spec?.section ?? "7.3",
    words: wordsText(words),
    fields: joinInputAddress(
      decodeFields("event", words, fields, [], ({ name }) => unused(name, words)),
      words,
    ),
    legal: spec === undefined ? false : undefined,
    event: undefined,
    objections: [],
    // Of a reserved event no bits are known.
    notes: [...eventStory(words), ...(spec === undefined ? [] : strayBits(words, fields, "smmu"))],
  };
}

/** What comes of an entry of the PRI queue (IHI 0070 §8). */
function pageRequestStory({ stopMarker, last, read, write, substreamId }: ReturnType<typeof decodePageRequest>): string {
  if (stopMarker) return "the function has no more requests with this PASID; no response is due, and the SMMU never gives one";
  if (!last) return "more requests of this group come; it is answered once, after the one with Last";
  if (substreamId >= 0)
    return "the group is complete: CMD_PRI_RESP answers it, with the PASID if the function wants it (PRG Response PASID Required)";
  const answer = "the group is complete: CMD_PRI_RESP answers it, without a PASID";
  return read || write ? answer : `${answer}; R = W = 0 is no Stop Marker without one`;
}

/** @param words 4 words */
export function decodePageRequestRecord(words: Uint32Array): Decoded {
  const request = decodePageRequest(words);
  const pasid = request.substreamId >= 0;
  const counts = (name: string): string | undefined => {
    if (!pasid && ["SubstreamID", "Priv", "X"].includes(name)) return "SSV is 0";
    return request.stopMarker && ["PRGIndex", "PageAddr"].includes(name) ? "it is a Stop Marker" : undefined;
  };
  return {
    name: request.stopMarker ? "Stop Marker" : "page request",
    summary: describePageRequest(words),
    section: "8",
    words: wordsText(words),
    fields: decodeFields("pri", words, PAGE_REQUEST_FIELDS, [], ({ name }) => counts(name)),
    legal: undefined,
    event: undefined,
    objections: [],
    notes: [pageRequestStory(request), ...strayBits(words, PAGE_REQUEST_FIELDS, "smmu")],
  };
}

/** Registers by name, with or without SMMU_, or by offset. */
export function findRegister(name: string): SmmuRegister | undefined {
  const wanted = name.toUpperCase().replace(/^SMMU_/, "");
  const offset = /^0X[0-9A-F]+$/.test(wanted) ? Number(wanted) : -1;
  return smmuRegisters.find((register) => register.name.replace(/^SMMU_/, "").toUpperCase() === wanted || register.offset === offset);
}

/** @param words 2 words, the second 0 for a 32-bit register */
export function decodeRegister(register: SmmuRegister, words: Uint32Array): Decoded {
  const fields = decodeFields("register", words, register.fields, []);
  const set = fields.filter(({ hi, lo, value }) => hi === lo && value === "0x1").map(({ name }) => name);
  const flags = set.length === 0 ? "" : `; set: ${set.join(", ")}`;
  const notes = registerNotes(register, words);
  const allOnes = words[0] === 0xffff_ffff && (register.width === 32 || words[1] === 0xffff_ffff);
  const needs = register.needs === undefined ? [] : [`exists only with ${register.needs.join(", ")}`];
  return {
    name: register.name,
    summary: `${register.width}-bit ${register.access} at offset ${hex(register.offset)}${flags}`,
    section: plainSection(register.section),
    words: register.width === 64 ? wordsText(words) : [hex(words[0]!, 8)],
    fields,
    legal: undefined,
    event: undefined,
    objections: [],
    notes: [...needs, ...notes, ...(allOnes ? [] : strayBits(words, register.fields, register.access === "RO" ? "smmu" : "software"))],
  };
}
