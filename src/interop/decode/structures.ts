// SPDX-License-Identifier: MIT
/** STEs, CDs and level-1 descriptors, for people. */
import { whyAbsent } from "./field-features.ts";
import {
  CD,
  L1CD,
  L1STD,
  type Objection,
  STE,
  type SmmuConfig,
  type Structure,
  fieldNamed,
  hex,
  judgeCd,
  judgeSte,
  stage1Ste,
} from "../../hw/index.ts";
import { type Decoded, bigField, counted, decodeFields, sizeText, strayBits, wordsText } from "./decoded.ts";
import { implementationDefined } from "./implementation-defined.ts";
import { fieldOf, shapeText, stage1Shape, stage2Shape } from "./shape.ts";
import { STE_CONFIGS } from "./values.ts";

/** What the caller knows better than the table of fields. */
interface Findings {
  readonly summary: string;
  readonly legal: boolean;
  /** The event that an illegal structure causes. */
  readonly event: string;
  readonly objections: readonly Objection[];
  readonly notes: readonly string[];
  /** Why a field has no effect. */
  readonly ignored?: (name: string, applies: string) => string | undefined;
}

/** A structure by its table of fields. */
export function decodeStructure(structure: Structure, words: Uint32Array, found: Findings): Decoded {
  const { summary, legal, event, objections, notes, ignored } = found;
  const free = implementationDefined(structure.name);
  const fields = free.length === 0 ? structure.fields : [...structure.fields, ...free].sort((a, b) => a.lo - b.lo);
  return {
    name: structure.name,
    summary: legal ? summary : `${summary}: ${event}`,
    section: structure.section,
    words: wordsText(words),
    fields: decodeFields(structure.name, words, fields, objections, (field) => {
      if (free.includes(field)) return bigField(words, field) === 0n ? "IMPLEMENTATION DEFINED" : undefined;
      const row = fieldNamed(structure.fields, field.name);
      if (row.absent !== undefined) return `needs ${row.absent}, which is not modelled`;
      if (row.applies === "ignored") return "not looked at by this model";
      return ignored?.(row.name, row.applies);
    }),
    legal,
    event: legal ? undefined : event,
    objections,
    notes: [...notes, ...strayBits(words, fields)],
  };
}

/** Without the fields that have no meaning with VMSAv9-128 tables, or with others. */
function ofFormat(structure: Structure, d128: boolean): Structure {
  return { ...structure, fields: structure.fields.filter((field) => (field.d128 ?? d128) === d128) };
}

function binary(value: number): string {
  return `0b${value.toString(2).padStart(3, "0")}`;
}

function steNotes(words: Uint32Array, s1: boolean, s2: boolean, config: SmmuConfig): string[] {
  const field = (name: string): number => fieldOf(STE, words, name);
  const notes: string[] = [];
  if (s1) {
    const pointer = `${hex(field("S1ContextPtr") * 64)}${s2 ? ", an IPA" : ""}`;
    const format = [
      "a linear table",
      "a two-level table with 4 KiB leaves",
      "a two-level table with 64 KiB leaves",
      "a table of a reserved format",
    ][field("S1Fmt")]!;
    const max = config.ssidSize > 0 ? field("S1CDMax") : 0;
    notes.push(max === 0 ? `stage 1: one CD at ${pointer}` : `stage 1: ${counted(2 ** max, "CD")} in ${format} at ${pointer}`);
  }
  if (s2) {
    const shape = stage2Shape(words, config);
    if (shape !== undefined) notes.push(`stage 2: ${shapeText(shape, field("S2PS"))}, VMID ${field("S2VMID")}`);
    if (field("S2R") === 0) notes.push("S2R is 0: stage-2 faults abort without an event");
  }
  return notes;
}

/** Why S1Fmt and S1DSS do not count (IHI 0070 §5.2); undefined if they do. */
function whyNoSubstreams(words: Uint32Array, config: SmmuConfig): string | undefined {
  if (config.ssidSize === 0) return "IDR1.SSIDSIZE is 0 in this profile";
  return fieldOf(STE, words, "S1CDMax") === 0 ? "S1CDMax is 0" : undefined;
}

/** @param words 16 words */
export function decodeSte(words: Uint32Array, config: SmmuConfig): Decoded {
  const objections = judgeSte(words, config);
  const valid = fieldOf(STE, words, "V") === 1;
  const mode = fieldOf(STE, words, "Config");
  const s1 = valid && (mode & 5) === 5;
  const s2 = valid && (mode & 6) === 6;
  const applies: Readonly<Record<string, boolean>> = {
    any: mode > 3,
    translated: s1 || s2,
    s1,
    s2,
    s1s2: s1 && s2,
    s1only: s1 && !s2,
    s1off: !s1,
  };
  const noSubstreams = whyNoSubstreams(words, config);
  const skips = s1 && noSubstreams === undefined && fieldOf(STE, words, "S1DSS") === 1;
  const d128 = config.d128 && s2 && fieldOf(STE, words, "S2AA64") === 0;
  const why = valid ? `Config is ${STE_CONFIGS[mode]!}` : "V is 0";
  return decodeStructure(ofFormat(STE, d128), words, {
    summary: valid ? `Config ${binary(mode)}, ${STE_CONFIGS[mode]!}` : "invalid",
    legal: objections.length === 0,
    event: "C_BAD_STE",
    objections,
    notes: steNotes(words, s1, s2, config),
    ignored: (name, when) => {
      if (when !== "always" && !(valid && (applies[when] || (when === "s1off" && skips)))) return why;
      if (name === "S1CDMax") return config.ssidSize === 0 ? noSubstreams : undefined;
      return name === "S1Fmt" || name === "S1DSS" ? noSubstreams : whyAbsent("STE", name, config);
    },
  });
}

const BEHIND_EPD = /^(?:T|TG|IR|OR|SH|TTB|HAD|DisCH|SKL|E0PD|TBI)([01])(?:SZ|\[55:52\])?$/;

/**
 * @param words 16 words
 * @param ste the STE above it; without one a plain stage-1 STE is assumed
 */
export function decodeCd(words: Uint32Array, config: SmmuConfig, ste?: Uint32Array): Decoded {
  const objections = judgeCd(words, ste ?? stage1Ste(0), config);
  const valid = fieldOf(CD, words, "V") === 1;
  const halves = ([0, 1] as const).map((half) => ({ half, shape: stage1Shape(words, half, config) }));
  const on = halves.filter(({ shape }) => shape !== undefined).map(({ half }) => `TTB${half}`);
  const notes = halves.map(({ half, shape }) => {
    if (shape !== undefined) return `TTB${half}: ${shapeText(shape, fieldOf(CD, words, "IPS"))}`;
    if (fieldOf(CD, words, `EPD${half}`) === 1) return `TTB${half}: no walks (EPD${half} is 1)`;
    return `TTB${half}: EPD${half} is 0 and TG${half} is reserved, which is ILLEGAL; where TTB${half} is not used, EPD${half} must be 1`;
  });
  if (fieldOf(CD, words, "R") === 0 && fieldOf(CD, words, "S") === 0) notes.push("R is 0: stage-1 faults leave no event");
  if (!ste) notes.push("judged under a plain stage-1 STE; give the STE for a judgement under it");
  const d128 = config.d128 && fieldOf(CD, words, "AA64") === 0;
  return decodeStructure(ofFormat(CD, d128), words, {
    summary: valid
      ? `ASID ${hex(fieldOf(CD, words, "ASID"))}, ${on.length === 0 ? "no walks" : `walks through ${on.join(" and ")}`}`
      : "invalid",
    legal: objections.length === 0,
    event: "C_BAD_CD",
    objections,
    notes: valid ? notes : [],
    ignored: (name, applies) => {
      if (!valid) return applies === "always" ? undefined : "V is 0";
      const half = BEHIND_EPD.exec(name)?.[1];
      return half !== undefined && fieldOf(CD, words, `EPD${half}`) === 1 ? `EPD${half} is 1` : whyAbsent("CD", name, config);
    },
  });
}

/** The SMMU aligns the level-2 array to its size (IHI 0070 §5.1). */
function arrayNotes(pointer: number, size: number): string[] {
  const low = pointer % size;
  const place = `the array is at ${hex(pointer - low)}, ${sizeText(size)}`;
  if (low === 0) return [place];
  return [
    place,
    `warning: L2Ptr is not aligned to the array's size; the SMMU takes its low bits as zero, so that it does not use ${hex(pointer)}`,
  ];
}

/** Level-1 Stream table descriptor. @param words 2 words */
export function decodeL1std(words: Uint32Array): Decoded {
  const span = fieldOf(L1STD, words, "Span");
  const legal = span !== 0 && span <= 11;
  const summary = legal ? `level-2 array of ${counted(2 ** (span - 1), "STE")}` : "no level-2 array";
  const notes = legal ? arrayNotes(fieldOf(L1STD, words, "L2Ptr") * 64, 64 * 2 ** (span - 1)) : [];
  return decodeStructure(L1STD, words, { summary, legal, event: "C_BAD_STREAMID", objections: [], notes });
}

/** Level-1 Context descriptor. @param words 2 words */
export function decodeL1cd(words: Uint32Array): Decoded {
  const legal = fieldOf(L1CD, words, "V") === 1;
  return decodeStructure(L1CD, words, {
    summary: legal ? "leaf table of CDs" : "invalid",
    legal,
    event: "C_BAD_SUBSTREAMID",
    objections: [],
    notes: [],
  });
}
