// SPDX-License-Identifier: MIT
/** STEs, CDs, level-1 descriptors and translation table descriptors, for people. */
import {
  CD,
  L1CD,
  L1STD,
  LEAF_S1,
  LEAF_S2,
  type Objection,
  STE,
  type SmmuConfig,
  type Structure,
  TABLE_S1,
  TABLE_S2,
  fieldNamed,
  getField,
  hex,
  judgeCd,
  judgeSte,
  stage1Ste,
} from "../../hw/index.ts";
import { type Decoded, decodeFields, strayBits, wordsText } from "./decoded.ts";

const CONFIGS = ["abort, without an event", "abort, without an event", "abort, without an event", "abort, without an event"].concat(
  "bypass",
  "stage 1",
  "stage 2",
  "stage 1 and stage 2",
);

function value(structure: Structure, words: Uint32Array, name: string): number {
  return getField(words, fieldNamed(structure.fields, name));
}

function decoded(structure: Structure, words: Uint32Array, summary: string, objections: readonly Objection[], ignored?: (applies: string) => string | undefined): Decoded {
  return {
    name: structure.name,
    summary,
    section: structure.section,
    words: wordsText(words),
    fields: decodeFields(words, structure.fields, objections, (field) => {
      const row = fieldNamed(structure.fields, field.name);
      if (row.absent !== undefined) return `needs ${row.absent}, which is not modelled`;
      if (row.applies === "ignored") return "not looked at by this model";
      return ignored?.(row.applies);
    }),
    legal: objections.length === 0,
    objections,
    notes: strayBits(words, structure.fields),
  };
}

/** @param words 16 words */
export function decodeSte(words: Uint32Array, config: SmmuConfig): Decoded {
  const objections = judgeSte(words, config);
  const valid = value(STE, words, "V") === 1;
  const mode = value(STE, words, "Config");
  const s1 = mode === 5 || mode === 7;
  const s2 = mode === 6 || mode === 7;
  const applies: Readonly<Record<string, boolean>> = { any: mode > 3, translated: s1 || s2, s1, s2, s1s2: s1 && s2, s1only: s1 && !s2, s1off: !s1 };
  const why = valid ? `Config is ${CONFIGS[mode]!}` : "V is 0";
  const summary = valid ? `Config 0b${mode.toString(2).padStart(3, "0")}: ${CONFIGS[mode]!}` : "invalid";
  const result = decoded(STE, words, summary, objections, (when) => (when === "always" || (valid && applies[when]) ? undefined : why));
  return objections.length === 0 ? result : { ...result, summary: `${summary}; C_BAD_STE` };
}

/**
 * @param words 16 words
 * @param ste the STE above it; without one a plain stage-1 STE is assumed
 */
export function decodeCd(words: Uint32Array, config: SmmuConfig, ste?: Uint32Array): Decoded {
  const objections = judgeCd(words, ste ?? stage1Ste(0), config);
  const valid = value(CD, words, "V") === 1;
  const tables = [0, 1].filter((half) => value(CD, words, `EPD${half}`) === 0).map((half) => `TTB${half}`);
  const summary = valid ? `ASID ${hex(value(CD, words, "ASID"))}, walks ${tables.length === 0 ? "disabled" : `through ${tables.join(" and ")}`}` : "invalid";
  const result = decoded(CD, words, objections.length === 0 ? summary : `${summary}; C_BAD_CD`, objections, (applies) =>
    valid || applies === "always" ? undefined : "V is 0",
  );
  return {
    ...result,
    fields: result.fields.map((field) => {
      const half = /^(?:T.SZ|TG|IR|OR|SH|TTB|ENDI|TBI)([01])|^T([01])SZ/.exec(field.name);
      const index = half?.[1] ?? half?.[2];
      if (index === undefined || field.ignored !== undefined || /^TBI/.test(field.name)) return field;
      return value(CD, words, `EPD${index}`) === 1 ? { ...field, ignored: `EPD${index} is 1` } : field;
    }),
    notes: ste ? result.notes : [...result.notes, "judged under a plain stage-1 STE; give the STE for a judgement under it"],
  };
}

/** Level-1 Stream table descriptor. @param words 2 words */
export function decodeL1std(words: Uint32Array): Decoded {
  const span = value(L1STD, words, "Span");
  const bad = span === 0 || span > 11;
  const summary = bad ? "no level-2 array: C_BAD_STREAMID" : `level-2 array of ${2 ** (span - 1)} STEs`;
  return { ...decoded(L1STD, words, summary, []), legal: !bad };
}

/** Level-1 Context descriptor. @param words 2 words */
export function decodeL1cd(words: Uint32Array): Decoded {
  const valid = value(L1CD, words, "V") === 1;
  return { ...decoded(L1CD, words, valid ? "leaf table of CDs" : "invalid: C_BAD_SUBSTREAMID", []), legal: valid };
}

/** Where a descriptor stands: its meaning depends on that. */
export interface DescriptorPlace {
  readonly stage: 1 | 2;
  /** -1 … 3; undefined if it is not known. */
  readonly level: number | undefined;
  /** log2 of the granule: 12, 14, 16. */
  readonly granule: 12 | 14 | 16;
}

const LEAF_LEVELS: Readonly<Record<12 | 14 | 16, readonly number[]>> = { 12: [1, 2], 14: [2], 16: [1, 2] };

/** VMSAv8-64 descriptor. @param words 2 words */
export function decodePte(words: Uint32Array, place: DescriptorPlace, config: SmmuConfig): Decoded {
  const { stage, level, granule } = place;
  const type = words[0]! & 3;
  const blocks = LEAF_LEVELS[granule].filter((at) => granule !== 16 || at === 2 || config.oas === 52);
  const at = level === undefined ? "" : ` at level ${level}`;
  const invalid = (summary: string): Decoded => ({
    ...decoded(stage === 1 ? LEAF_S1 : LEAF_S2, words, summary, []),
    fields: [],
    legal: false,
    notes: [],
  });
  if ((type & 1) === 0) return invalid(`invalid${at}: F_TRANSLATION`);
  if (type === 1 && level === 3) return invalid("reserved: bits [1:0] are 0b01 at level 3, F_TRANSLATION");
  if (type === 1 && level !== undefined && !blocks.includes(level)) return invalid(`reserved: no blocks${at} with this granule, F_TRANSLATION`);
  const table = type === 3 && level !== undefined && level < 3;
  const structure = table ? (stage === 1 ? TABLE_S1 : TABLE_S2) : stage === 1 ? LEAF_S1 : LEAF_S2;
  const what = table ? "table" : type === 1 ? "block" : level === undefined ? "page (a table at levels below 3)" : "page";
  const result = decoded(structure, words, `${what}${at}, ${outputText(words, place, table)}${table ? "" : `, ${permissionText(words, stage)}`}`, []);
  const flag = table || ((words[0]! >>> 10) & 1) === 1 ? [] : ["the Access flag is 0: F_ACCESS unless AFFD (S2AFFD) is 1"];
  return { ...result, section: structure.section, notes: [...flag, ...result.notes] };
}

function outputText(words: Uint32Array, { granule, level }: DescriptorPlace, table: boolean): string {
  const shift = table || level === undefined || (words[0]! & 3) === 3 ? granule : granule + (3 - level) * (granule - 3);
  const low = (words[1]! & 0xffff) * 2 ** 32 + words[0]!;
  const high = granule === 16 ? ((words[0]! >>> 12) & 0xf) * 2 ** 48 : 0;
  return `${table ? "next" : "output"} ${hex(Math.floor(low / 2 ** shift) * 2 ** shift + high)}`;
}

function permissionText(words: Uint32Array, stage: 1 | 2): string {
  const ap = (words[0]! >>> 6) & 3;
  if (stage === 2) return ["no access", "read-only", "write-only", "read/write"][ap]!;
  return ["privileged read/write", "read/write", "privileged read-only", "read-only"][ap]!;
}
