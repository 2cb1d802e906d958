// SPDX-License-Identifier: MIT
/**
 * What the value of a field means. Most tables of the hardware say so in words ("0 4 KiB, 1 64 KiB"): those are read here.
 * The rows below serve the fields whose values are numbers or whose meaning needs more words.
 */
import { mairWordText, memAttrText } from "./memory-types.ts";

/** Reads another field of the same structure. */
export type FieldReader = (name: string) => number;

type Says = readonly (string | undefined)[] | ((value: number, field: FieldReader) => string | undefined);

const CACHEABILITY = ["Non-cacheable", "Write-Back, read- and write-allocate", "Write-Through", "Write-Back, no write-allocate"];
/** Of CD fetches: nothing is written there, so that only read allocation differs (IHI 0070 §5.2). */
const CD_CACHEABILITY = ["Non-cacheable", "Write-Back, Read-Allocate", "Write-Through, Read-Allocate", "Write-Back, no Read-Allocate"];
const SHAREABILITY = ["Non-shareable", "reserved, as Non-shareable", "Outer Shareable", "Inner Shareable"];
const SIZES = ["32-bit", "36-bit", "40-bit", "42-bit", "44-bit", "48-bit", "52-bit", "reserved (56-bit with D128)"];
const OVERRIDE_PRIVILEGE = ["incoming", "reserved, as incoming", "unprivileged", "privileged"];
const flag = (no: string, yes: string): Says => [no, yes];
const DS = flag("48-bit addresses with 4 KiB and 16 KiB granules", "52-bit addresses with 4 KiB and 16 KiB granules (LPA2)");
const powerOf2 =
  (unit: string): Says =>
  (value) =>
    `${2 ** value} ${unit}`;
const bits = (value: number): string => `${value}-bit`;

/** Start levels of stage 2 by S2TG and {S2SL0_2, S2SL0}. */
const START_LEVELS: readonly (readonly number[])[] = [
  [2, 1, 0, 3, -1],
  [3, 2, 1],
  [3, 2, 1, 0],
];

/** Level that stage 2 starts at, undefined for reserved codes. @param ds S2DS in force */
export function stage2StartLevel(tg: number, sl0: number, ds: boolean, sl2: number): number | undefined {
  if (tg === 2 && sl0 === 3 && !ds) return undefined;
  return START_LEVELS[tg]?.[sl0 + (tg === 0 && ds ? 4 * sl2 : 0)];
}

export const STE_CONFIGS: readonly string[] = [
  "abort, without an event",
  "abort, without an event",
  "abort, without an event",
  "abort, without an event",
  "bypass",
  "stage 1",
  "stage 2",
  "stage 1 and stage 2",
];

const STE: Readonly<Record<string, Says>> = {
  V: flag("invalid: C_BAD_STE", "valid"),
  Config: STE_CONFIGS,
  S1Fmt: ["linear CD table", "two levels, 4 KiB leaves", "two levels, 64 KiB leaves", "reserved"],
  S1CDMax: (value) => (value === 0 ? "one CD, no substreams" : `${2 ** value} CDs`),
  S1DSS: ["without SubstreamID: F_STREAM_DISABLED", "without SubstreamID: skip stage 1", "without SubstreamID: use CD 0", "reserved, as 0"],
  S1CIR: CD_CACHEABILITY,
  S1COR: CD_CACHEABILITY,
  S1CSH: SHAREABILITY,
  S1STALLD: flag("stage 1 may stall", "stage 1 must not stall"),
  EATS: ["no ATS", "full ATS", "split-stage ATS", "full ATS with DPT"],
  STRW: ["NS-EL1", "reserved", "EL2, or EL2-E2H if CR2.E2H", "reserved"],
  MemAttr: overrideText,
  MTCFG: flag("incoming memory type", "memory type of MemAttr"),
  ALLOCCFG: (value) => (value < 8 ? "incoming" : allocation(value)),
  SHCFG: ["Non-shareable", "incoming", "Outer Shareable", "Inner Shareable"],
  PRIVCFG: OVERRIDE_PRIVILEGE,
  INSTCFG: ["incoming", "reserved, as incoming", "data", "instruction"],
  S2T0SZ: (value) => `${64 - value}-bit IPA`,
  S2SL0: (value, field) => {
    const level = stage2StartLevel(field("S2TG"), value, field("S2DS") === 1, field("S2SL0_2"));
    return level === undefined ? "reserved" : `walks start at level ${level}`;
  },
  S2IR0: CACHEABILITY,
  S2OR0: CACHEABILITY,
  S2SH0: SHAREABILITY,
  S2TG: ["4 KiB granule", "64 KiB granule", "16 KiB granule", "reserved"],
  S2PS: SIZES,
  S2AA64: flag("VMSAv9-128 tables with IDR5.D128, else VMSAv8-32 tables", "VMSAv8-64 tables"),
  S2ENDI: flag("little-endian tables", "big-endian tables"),
  S2AFFD: flag("F_ACCESS if the Access flag is 0", "the Access flag is not looked at"),
  S2PTW: flag("walks may go through Device memory", "CD fetches and walks through Device memory: F_PERMISSION"),
  S2S: flag("stage-2 faults terminate", "stage-2 faults stall"),
  S2R: flag("stage-2 faults are not recorded", "stage-2 faults are recorded"),
  S2DS: DS,
};

/** 0b1RWT: a bit that is 1 sets its hint (IHI 0070 §5.2). */
function allocation(value: number): string {
  const hint = (bit: number, name: string): string => `${(value & bit) === 0 ? (name === "transient" ? "not " : "no ") : ""}${name}`;
  return [hint(4, "read-allocate"), hint(2, "write-allocate"), hint(1, "transient")].join(", ");
}

/** STE.MemAttr and MSI attributes: their reserved codes have a meaning (IHI 0070 §5.2). */
function overrideText(value: number): string {
  return value === 4 || value === 8 || value === 12 ? "reserved, as Device-nGnRnE" : memAttrText(value);
}

const half = (n: 0 | 1): Readonly<Record<string, Says>> => ({
  [`T${n}SZ`]: (value) => `${64 - value}-bit input`,
  [`IR${n}`]: CACHEABILITY,
  [`OR${n}`]: CACHEABILITY,
  [`SH${n}`]: SHAREABILITY,
  [`EPD${n}`]: flag("walks allowed", `no walks through TTB${n}: F_TRANSLATION`),
  [`TBI${n}`]: flag("all 64 bits count", "address bits [63:56] are ignored"),
  [`HAD${n}`]: flag("table attributes count", "table attributes are ignored"),
  [`E0PD${n}`]: flag("unprivileged accesses allowed", "unprivileged accesses fault"),
});

const CD: Readonly<Record<string, Says>> = {
  ...half(0),
  ...half(1),
  V: flag("invalid: C_BAD_CD", "valid"),
  TG0: ["4 KiB granule", "64 KiB granule", "16 KiB granule", "reserved"],
  TG1: ["reserved", "16 KiB granule", "4 KiB granule", "64 KiB granule"],
  ENDI: flag("little-endian tables", "big-endian tables"),
  IPS: SIZES,
  AFFD: flag("F_ACCESS if the Access flag is 0", "the Access flag is not looked at"),
  AA64: flag("VMSAv9-128 tables with IDR5.D128, else VMSAv8-32 tables", "VMSAv8-64 tables"),
  S: flag("stage-1 faults terminate", "stage-1 faults stall"),
  R: flag("stage-1 faults are not recorded", "stage-1 faults are recorded"),
  A: flag("faulting transactions: RAZ/WI", "faulting transactions: abort"),
  ASET: flag("ASID shared with PEs", "ASID private to the SMMU"),
  DS,
  MAIR0: (value) => mairWordText(value, 0),
  MAIR1: (value) => mairWordText(value, 4),
};

const LEAF: Readonly<Record<string, Says>> = {
  Type: ["invalid", "block", "invalid", "page"],
  SH: SHAREABILITY,
  AF: flag("not accessed: F_ACCESS", "accessed"),
  nG: flag("global", "of this ASID only"),
  Contiguous: flag("stands alone", "one of an aligned run of equal entries"),
  AP: ["privileged read/write", "read/write", "privileged read-only", "read-only"],
  S2AP: ["no access", "read-only", "write-only", "read/write"],
  MemAttr: (value) => `${memAttrText(value)} (without S2FWB)`,
  nDirty: flag("dirty", "clean: a write needs hardware update of dirty state, or is F_PERMISSION"),
  Dirty: flag("clean: a write needs hardware update of dirty state, or is F_PERMISSION", "dirty"),
  PXN: flag("privileged may execute", "privileged may not execute"),
  UXN: flag("unprivileged may execute", "unprivileged may not execute"),
  XN: ["execute", "only unprivileged may execute", "never execute", "only privileged may execute"],
};

const TABLE: Readonly<Record<string, Says>> = {
  Type: [undefined, undefined, undefined, "table"],
  APTable: ["no limit below", "no unprivileged access below", "no writes below", "no writes and no unprivileged access below"],
  PXNTable: flag("no limit below", "nothing below is privileged-executable"),
  UXNTable: flag("no limit below", "nothing below is unprivileged-executable"),
};

const LEVEL1: Readonly<Record<string, Says>> = {
  V: flag("invalid: C_BAD_SUBSTREAMID", "valid"),
  Span: (value) => (value === 0 || value > 11 ? "no level-2 array: C_BAD_STREAMID" : `${2 ** (value - 1)} STEs`),
};

const EVENT: Readonly<Record<string, Says>> = {
  SSV: flag("no SubstreamID", "SubstreamID is valid"),
  Stall: flag("the transaction was terminated", "the transaction waits for CMD_RESUME"),
  PnU: flag("unprivileged", "privileged"),
  InD: flag("data", "instruction"),
  RnW: flag("write", "read"),
  TTRnW: flag("the walk wrote", "the walk read"),
  GPCF: flag("no granule protection fault", "a granule protection fault"),
  CLASS: ["CD: fetch of a CD", "TT: stage-1 table walk", "IN: the transaction's own address", "reserved"],
};

const REGISTER: Readonly<Record<string, Says>> = {
  LOG2SIZE: (value) => `2^${value}`,
  CMDQS: powerOf2("commands at most"),
  EVENTQS: powerOf2("records at most"),
  PRIQS: powerOf2("records at most"),
  SIDSIZE: (value) => `StreamIDs of ${value} bits`,
  SSIDSIZE: (value) => (value === 0 ? "no SubstreamIDs" : `SubstreamIDs of ${value} bits`),
  OAS: (value) => bits([32, 36, 40, 42, 44, 48, 52, 56][value] ?? 0),
  MemAttr: overrideText,
  OVFLG: flag(
    "as OVACKFLG: no overflow; else an overflow that is not acknowledged",
    "unlike OVACKFLG 0: an overflow that is not acknowledged",
  ),
  OVACKFLG: flag("acknowledges OVFLG 0", "acknowledges OVFLG 1"),
};

const PAGE_REQUEST: Readonly<Record<string, Says>> = {
  Priv: flag("for an unprivileged entity", "for a privileged entity"),
  X: flag("not for execution", "for execution"),
  R: flag("not for reads", "for reads"),
  W: flag("not for writes", "for writes"),
  Last: flag("more of the group to come", "the last of its group"),
  SSV: flag("no PASID", "SubstreamID is valid"),
};

const TABLES: Readonly<Record<string, Readonly<Record<string, Says>>>> = {
  STE,
  CD,
  L1STD: LEVEL1,
  L1CD: LEVEL1,
  LEAF_S1: LEAF,
  LEAF_S2: LEAF,
  LEAF128_S1: LEAF,
  LEAF128_S2: LEAF,
  TABLE_S1: TABLE,
  TABLE_S2: TABLE,
  event: EVENT,
  pri: PAGE_REQUEST,
  register: REGISTER,
};

/** "0 …", "0b1x …", "1: …" at the start of a text or of a clause. */
const ENTRY = /(?:^|[,;:] )(0b[01x]+|0x[0-9a-fA-F]+|\d+):? (?!in |if |or |\*)/g;

function matches(code: string, value: number): boolean {
  if (!code.startsWith("0b")) return Number(code) === value;
  const digits = code.slice(2);
  return [...value.toString(2).padStart(digits.length, "0")].every((digit, i) => digits[i] === "x" || digits[i] === digit);
}

/** What a list of values in words says about one of them. */
export function fromList(text: string, value: number): string | undefined {
  const entries = [...text.matchAll(ENTRY)];
  const index = entries.findIndex((entry) => matches(entry[1]!, value));
  // "…, other reserved, as 0b000": what is not listed.
  if (index < 0) return entries.length > 1 ? /[,;] others?:? (reserved(?:, as [^,;]*)?|[^,;]*)/.exec(text)?.[1]?.trim() : undefined;
  const end = entries[index + 1]?.index ?? text.length;
  const entry = entries[index]!;
  return text
    .slice(entry.index + entry[0].length, end)
    .replace(/;.*/, "")
    .trim();
}

/**
 * @param kind name of the structure, "event", "pri" or "register"
 * @param meaning the field's own row in the hardware's table
 */
export function valueText(kind: string, name: string, value: number, meaning: string, field: FieldReader): string | undefined {
  const says = TABLES[kind]?.[name];
  if (typeof says === "function") return says(value, field);
  return says?.[value] ?? fromList(meaning, value);
}
