// SPDX-License-Identifier: MIT
/**
 * When an STE is ILLEGAL, and which of its fields count, said a second time: from the text of IHI 0070 §5.2 and §5.2.2 and
 * DDI 0487 D8, for Non-secure streams of an SMMU without DPT, MPAM and VMSAv8-32. Nothing here comes from the model.
 */
import type { SmmuConfig } from "../../../../src/hw/smmuv3/config/config.ts";

/** Field values by name; pointers are whole addresses. All fields are there. */
export type Fields = Readonly<Record<string, number>>;

export type Granule = "4KB" | "16KB" | "64KB";

const stage1 = (f: Fields): boolean => f["Config"] === 0b101 || f["Config"] === 0b111;
const stage2 = (f: Fields): boolean => f["Config"] === 0b110 || f["Config"] === 0b111;

/** §5.2.2, IgnoreSTESTRW. */
function strwUnused(f: Fields, c: SmmuConfig): boolean {
  return !c.stage1 || !c.hyp || f["Config"] !== 0b101;
}

/** §5.2.2, IgnoreSTES2VMID. */
function vmidUnused(f: Fields, c: SmmuConfig): boolean {
  return !c.stage2 || f["Config"] === 0b100 || (!strwUnused(f, c) && f["STRW"] !== 0);
}

/** §5.2 S2TG. */
const S2TG: readonly (Granule | undefined)[] = ["4KB", "64KB", "16KB", undefined];

export function granuleThere(granule: Granule | undefined, c: SmmuConfig): boolean {
  if (granule === "4KB") return c.gran4k;
  if (granule === "16KB") return c.gran16k;
  return granule === "64KB" && c.gran64k;
}

/** §5.2 S2PS and §5.4 IPS: the size in bits, capped to the OAS. */
export function effectiveSize(code: number, c: SmmuConfig): number {
  const bits = [32, 36, 40, 42, 44, 48, c.version === 0 ? 48 : 52, c.version === 0 ? 48 : 52][code]!;
  return Math.min(bits, c.oas);
}

/** S2DS and DS count where IDR5.DS is 1 and the granule is smaller than 64KB. */
export const wide = (ds: number, granule: Granule | undefined, c: SmmuConfig): boolean => ds === 1 && c.ds && granule !== "64KB";

/** §5.2 S2TTB, §5.4 TTB0: within the output size; smaller granules without DS within 48 bits too. */
export function baseTooHigh(base: number, sizeCode: number, ds: number, granule: Granule | undefined, c: SmmuConfig): boolean {
  const limit = granule === "64KB" || wide(ds, granule, c) ? 64 : 48;
  return base >= 2 ** Math.min(limit, effectiveSize(sizeCode, c));
}

/** §5.2 S2T0SZ, §5.4 T0SZ. */
export function largestSize(granule: Granule | undefined, c: SmmuConfig): number {
  return !c.stt ? 39 : granule === "64KB" ? 47 : 48;
}

/** §5.2 S2AA64: VMSAv9-128 tables. */
const d128 = (f: Fields, c: SmmuConfig): boolean => c.d128 && f["S2AA64"] === 0;

/** DDI 0487 D8.2.11.1: whether a walk through 128-bit descriptors would start beyond level 3. */
export function beyondLevel3(bits: number, granule: Granule | undefined, skip: number): boolean {
  // With a reserved granule the structure is ILLEGAL anyway.
  const page = { "4KB": 12, "16KB": 14, "64KB": 16 }[granule ?? "4KB"];
  const tables = Math.ceil((bits - page) / (page - 4));
  return 4 - tables + skip > 3;
}

function badT0sz(f: Fields, c: SmmuConfig): boolean {
  const granule = S2TG[f["S2TG"]!];
  const smallest = d128(f, c) ? 8 : granule === "64KB" || (c.ds && f["S2DS"] === 1) ? 12 : 16;
  return f["S2T0SZ"]! > largestSize(granule, c) || f["S2T0SZ"]! < Math.max(smallest, 64 - c.oas);
}

/**
 * DDI 0487 D8.2: start level by {SL2, SL0}; IPA bits that it can serve with up to 16 concatenated tables; output size that it
 * needs.
 */
const START: Readonly<Record<Granule, readonly (readonly [code: number, low: number, high: number, oas: number, needs?: "STT" | "DS"])[]>> =
  {
    "4KB": [
      [0b000, 22, 34, 0],
      [0b001, 31, 43, 0],
      [0b010, 40, 52, 44],
      [0b011, 13, 25, 0, "STT"],
      [0b100, 49, 61, 52, "DS"],
    ],
    "16KB": [
      [0b00, 15, 29, 0],
      [0b01, 26, 40, 0],
      [0b10, 37, 51, 42],
      [0b11, 48, 62, 52, "DS"],
    ],
    "64KB": [
      [0b00, 17, 33, 0],
      [0b01, 30, 46, 0],
      [0b10, 43, 59, 44],
    ],
  };

function badStart(f: Fields, c: SmmuConfig): boolean {
  const granule = S2TG[f["S2TG"]!];
  if (granule === undefined) return true;
  if (d128(f, c)) return beyondLevel3(64 - f["S2T0SZ"]!, granule, f["S2SKL"]!);
  const ds = wide(f["S2DS"]!, granule, c);
  const code = f["S2SL0"]! + (granule === "4KB" && ds ? 4 * f["S2SL0_2"]! : 0);
  const bits = 64 - f["S2T0SZ"]!;
  const row = START[granule].find(([candidate]) => candidate === code);
  if (row === undefined) return true;
  const [, low, high, oas, needs] = row;
  return bits < low || bits > high || c.oas < oas || (needs === "STT" && !c.stt) || (needs === "DS" && !ds);
}

/** Entries 0b0001 and 0b0101 are reserved. @param hi,lo the two halves of S2POI */
function reservedOverlay(hi: number, lo: number): boolean {
  return [lo, hi].some((word) => [0, 1, 2, 3, 4, 5, 6, 7].some((p) => [1, 5].includes((word >>> (4 * p)) & 15)));
}

export interface Law {
  readonly section: string;
  readonly text: string;
  illegal(f: Fields, c: SmmuConfig): boolean;
}

/** §5.2.2 in its order. S2POI is given in halves, S2POIhi and S2POIlo. */
export const STE_LAW: readonly Law[] = [
  { section: "§5.2 V", text: "V is 0", illegal: (f) => f["V"] === 0 },
  { section: "§5.2 Config", text: "stage 1 on, not implemented", illegal: (f, c) => stage1(f) && !c.stage1 },
  { section: "§5.2 Config", text: "stage 2 on, not implemented", illegal: (f, c) => stage2(f) && !c.stage2 },
  {
    section: "§5.2 EATS",
    text: "split-stage ATS without both stages, with S2S, or not supported",
    illegal: (f, c) =>
      c.ats && (f["Config"]! & 3) !== 0 && f["EATS"] === 0b10 && (f["Config"] !== 0b111 || f["S2S"] === 1 || !c.splitStageAts),
  },
  {
    section: "§5.2 EATS",
    text: "full ATS with S2S",
    illegal: (f, c) => c.ats && f["EATS"] === 0b01 && f["S2S"] === 1 && stage2(f),
  },
  { section: "§5.2 STRW", text: "STRW 0bx1", illegal: (f, c) => !strwUnused(f, c) && [1, 3].includes(f["STRW"]!) },
  {
    section: "§5.2 S1STALLD",
    text: "S1STALLD with a stall model other than 0b00",
    illegal: (f, c) => stage1(f) && f["S1STALLD"] === 1 && c.stallModel !== "both",
  },
  { section: "§5.2 S1CDMax", text: "S1CDMax over SSIDSIZE", illegal: (f, c) => stage1(f) && c.ssidSize > 0 && f["S1CDMax"]! > c.ssidSize },
  {
    section: "§5.2 S1Fmt",
    text: "2-level CD table, not implemented",
    illegal: (f, c) => stage1(f) && c.ssidSize > 0 && f["S1CDMax"] !== 0 && !c.twoLevelCd && [1, 2].includes(f["S1Fmt"]!),
  },
  // With stage 2 C_BAD_STE is one of the permitted outcomes: choice s1contextptr-beyond-ias.
  { section: "§3.4.3", text: "S1ContextPtr beyond OAS or IAS", illegal: (f, c) => stage1(f) && f["S1ContextPtr"]! >= 2 ** c.oas },
  { section: "§5.5", text: "S2S without stalls", illegal: (f, c) => stage2(f) && f["S2S"] === 1 && c.stallModel === "terminate" },
  { section: "§5.5", text: "no S2S, stalls forced", illegal: (f, c) => stage2(f) && f["S2S"] === 0 && c.stallModel === "force" },
  { section: "§5.2 S2AA64", text: "VMSAv8-32 tables, not implemented", illegal: (f, c) => stage2(f) && f["S2AA64"] === 0 && !c.d128 },
  {
    section: "§5.2 S2HA",
    text: "S2HA or S2HD without HTTU",
    illegal: (f, c) => stage2(f) && c.httu === 0 && (f["S2HA"] === 1 || f["S2HD"] === 1),
  },
  { section: "§5.2 S2HA", text: "S2HD with HTTU 0b01", illegal: (f, c) => stage2(f) && c.httu === 1 && f["S2HD"] === 1 },
  {
    section: "§5.2 S2HAFT",
    text: "S2HAFT without S2HA",
    illegal: (f, c) => stage2(f) && c.httu === 3 && f["S2HAFT"] === 1 && f["S2HA"] === 0,
  },
  { section: "§5.2 S2TG", text: "granule reserved or not there", illegal: (f, c) => stage2(f) && !granuleThere(S2TG[f["S2TG"]!], c) },
  {
    section: "§5.2 S2TTB",
    text: "S2TTB beyond the output size",
    illegal: (f, c) =>
      stage2(f) &&
      (d128(f, c)
        ? f["S2TTB"]! + f["S2TTB[55:52]"]! >= 2 ** effectiveSize(f["S2PS"]!, c)
        : baseTooHigh(f["S2TTB"]!, f["S2PS"]!, f["S2DS"]!, S2TG[f["S2TG"]!], c)),
  },
  { section: "§5.2 S2T0SZ", text: "S2T0SZ out of range", illegal: (f, c) => stage2(f) && badT0sz(f, c) },
  { section: "§5.2 S2SL0", text: "start level inconsistent", illegal: (f, c) => stage2(f) && badStart(f, c) },
  {
    section: "§5.2 S2ENDI",
    text: "endianness not implemented",
    illegal: (f, c) => stage2(f) && ((c.ttEndian === "little" && f["S2ENDI"] === 1) || (c.ttEndian === "big" && f["S2ENDI"] === 0)),
  },
  {
    section: "§5.2 S2POE",
    text: "overlay without indirection",
    illegal: (f, c) => stage2(f) && c.s2po && f["S2POE"] === 1 && f["S2PIE"] === 0 && !d128(f, c),
  },
  {
    section: "§5.2 S2POI",
    text: "reserved overlay",
    illegal: (f, c) => stage2(f) && c.s2po && f["S2POE"] === 1 && reservedOverlay(f["S2POIhi"]!, f["S2POIlo"]!),
  },
  { section: "§5.2 S2VMID", text: "VMID over 8 bits", illegal: (f, c) => !vmidUnused(f, c) && !c.vmid16 && f["S2VMID"]! > 255 },
];

/** The rule that makes an STE ILLEGAL, if any. Config 0b0xx: nothing but V counts. */
export function brokenSteLaw(f: Fields, c: SmmuConfig): Law | undefined {
  if (f["V"] === 1 && f["Config"]! < 4) return undefined;
  return STE_LAW.find(({ illegal }) => illegal(f, c));
}

/**
 * True if the field can make a difference to where a transaction goes, with which attributes, and what is recorded. False: it is
 * IGNORED or RES0 here (§5.2, field by field), a hint (CONT, MEV), or about accesses of the SMMU itself whose attributes do not
 * show (S1CIR, S1COR, S1CSH, S2IR0, S2OR0).
 */
export function steFieldMatters(name: string, f: Fields, c: SmmuConfig): boolean {
  if (name === "V") return true;
  if (f["V"] === 0) return false;
  if (name === "Config") return true;
  if (f["Config"]! < 4) return false;
  const substreams = stage1(f) && c.ssidSize > 0;
  const perms = c.attrPermsOvr;
  const types = c.attrTypesOvr;
  const use: Readonly<Record<string, boolean>> = {
    S1ContextPtr: stage1(f),
    S1CDMax: substreams,
    S1Fmt: substreams && f["S1CDMax"] !== 0,
    S1DSS: substreams && f["S1CDMax"] !== 0,
    S1STALLD: stage1(f),
    EATS: c.ats && f["Config"] !== 0b100,
    S1PIE: stage1(f) && c.s1pi,
    STRW: !strwUnused(f, c),
    S2VMID: !vmidUnused(f, c),
    // §13.1.4: stage 1 replaces type and shareability; hints of the input still weaken those of stage 1.
    MTCFG: types && (!stage1(f) || f["ALLOCCFG"]! >= 8),
    MemAttr: types && f["MTCFG"] === 1 && (!stage1(f) || f["ALLOCCFG"]! >= 8),
    SHCFG: types && !stage1(f),
    ALLOCCFG: types,
    PRIVCFG: perms,
    INSTCFG: perms,
    S2PTW: f["Config"] === 0b111,
    S2FWB: stage2(f) && c.fwb,
    S2HA: stage2(f),
    S2HD: stage2(f),
    S2HAFT: stage2(f) && c.httu === 3,
    S2PIE: stage2(f) && c.s2pi,
    S2POE: stage2(f) && c.s2po,
    S2POI: stage2(f) && c.s2po && f["S2POE"] === 1,
    S2DS: stage2(f) && c.ds && S2TG[f["S2TG"]!] !== "64KB",
    S2SL0_2: stage2(f) && wide(f["S2DS"]!, S2TG[f["S2TG"]!], c) && S2TG[f["S2TG"]!] === "4KB",
    S2SH0: stage2(f) && wide(f["S2DS"]!, S2TG[f["S2TG"]!], c),
    AssuredOnly: stage2(f) && c.the,
    TL0: stage2(f) && c.the,
    TL1: stage2(f) && c.the,
  };
  const plain = ["S2T0SZ", "S2SL0", "S2TG", "S2PS", "S2AA64", "S2ENDI", "S2AFFD", "S2S", "S2R", "S2TTB"];
  return use[name] ?? (plain.includes(name) && stage2(f));
}
