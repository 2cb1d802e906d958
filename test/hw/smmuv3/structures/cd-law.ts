// SPDX-License-Identifier: MIT
/**
 * When a CD is ILLEGAL, and which of its fields count, said a second time: from the text of IHI 0070 §5.4 and §5.4.2, for
 * Non-secure streams of an SMMU without MPAM and VMSAv8-32. Nothing here comes from the model.
 */
import type { SmmuConfig } from "../../../../src/hw/smmuv3/config/config.ts";
import { baseTooHigh, beyondLevel3, effectiveSize, type Fields, type Granule, granuleThere, largestSize, wide } from "./ste-law.ts";

/** What the STE says that leads to the CD. */
export interface Stream {
  /** NS-EL1 and EL2-E2H have two tables, unprivileged accesses and ASIDs. */
  readonly world: "NS-EL1" | "EL2" | "EL2-E2H";
  readonly S1STALLD: number;
  readonly S1PIE: number;
}

/** §5.4 TG0 and TG1. */
const TG: readonly (readonly (Granule | undefined)[])[] = [
  ["4KB", "64KB", "16KB", undefined],
  [undefined, "16KB", "4KB", "64KB"],
];

const two = (s: Stream): boolean => s.world !== "EL2";

/** §5.4 EPD0, EPD1: both count in worlds with two tables; else TTB0 is always on and TTB1 never. */
function inUse(f: Fields, s: Stream, half: 0 | 1): boolean {
  return two(s) ? f[`EPD${half}`] === 0 : half === 0;
}

const granule = (f: Fields, half: 0 | 1): Granule | undefined => TG[half]![f[`TG${half}`]!];

/** §5.4 AA64: VMSAv9-128 tables. */
const d128 = (f: Fields, c: SmmuConfig): boolean => c.d128 && f["AA64"] === 0;

/** §5.4 T0SZ. */
function badSize(f: Fields, c: SmmuConfig, half: 0 | 1): boolean {
  const size = f[`T${half}SZ`]!;
  const smallest = d128(f, c)
    ? { 48: 16, 52: 12, 56: 9 }[c.vax]
    : c.vax !== 48 && (granule(f, half) === "64KB" || (c.ds && f["DS"] === 1))
      ? 12
      : 16;
  return size < smallest || size > largestSize(granule(f, half), c);
}

function badBase(f: Fields, c: SmmuConfig, half: 0 | 1): boolean {
  const base = f[`TTB${half}`]!;
  if (d128(f, c)) return base + f[`TTB${half}[55:52]`]! >= 2 ** effectiveSize(f["IPS"]!, c);
  return baseTooHigh(base, f["IPS"]!, f["DS"]!, granule(f, half), c);
}

/** §5.4.2, CDSLInvalidD128. */
const badSkip = (f: Fields, c: SmmuConfig, half: 0 | 1): boolean =>
  d128(f, c) && beyondLevel3(64 - f[`T${half}SZ`]!, granule(f, half), f[`SKL${half}`]!);

const indirect = (f: Fields, s: Stream, c: SmmuConfig): boolean => c.s1pi && s.S1PIE === 1 && (f["PIE"] === 1 || d128(f, c));

/** The sixteen entries of three bits in PIIP or PIIU. */
const entries = (value: number): readonly number[] => Array.from({ length: 16 }, (_, i) => Math.floor(value / 8 ** i) % 8);

const reserved = (value: number): boolean => entries(value).some((entry) => entry === 0b100 || entry === 0b110);

/** Privileged execution where unprivileged software may write. */
function writableCode(f: Fields): boolean {
  const unprivileged = entries(f["PIIU"]!);
  return entries(f["PIIP"]!).some((entry, i) => (entry & 0b010) !== 0 && (unprivileged[i]! & 0b100) !== 0);
}

export interface CdLaw {
  readonly section: string;
  readonly text: string;
  illegal(f: Fields, s: Stream, c: SmmuConfig): boolean;
}

export const CD_LAW: readonly CdLaw[] = [
  { section: "§5.4 V", text: "V is 0", illegal: (f) => f["V"] === 0 },
  { section: "§5.5", text: "S where STE.S1STALLD forbids it", illegal: (f, s) => s.S1STALLD === 1 && f["S"] === 1 },
  { section: "§5.5", text: "A 0 without RAZ/WI", illegal: (f, _, c) => c.termModel && f["A"] === 0 },
  { section: "§5.5", text: "S without stalls", illegal: (f, _, c) => c.stallModel === "terminate" && f["S"] === 1 },
  { section: "§5.5", text: "no S, stalls forced", illegal: (f, _, c) => c.stallModel === "force" && f["S"] === 0 },
  {
    section: "§5.4 ENDI",
    text: "endianness not implemented",
    illegal: (f, s, c) =>
      (inUse(f, s, 0) || inUse(f, s, 1)) && ((c.ttEndian === "little" && f["ENDI"] === 1) || (c.ttEndian === "big" && f["ENDI"] === 0)),
  },
  { section: "§5.4 AA64", text: "VMSAv8-32 tables, not implemented", illegal: (f, _, c) => f["AA64"] === 0 && !c.d128 },
  { section: "§5.4 HA", text: "HA or HD without HTTU", illegal: (f, _, c) => c.httu === 0 && (f["HA"] === 1 || f["HD"] === 1) },
  { section: "§5.4 HA", text: "HD with HTTU 0b01", illegal: (f, _, c) => c.httu === 1 && f["HD"] === 1 },
  { section: "§5.4 HAFT", text: "HAFT without HA", illegal: (f, _, c) => c.httu === 3 && f["HAFT"] === 1 && f["HA"] === 0 },
  { section: "§5.4 ASID", text: "ASID over 8 bits", illegal: (f, s, c) => two(s) && !c.asid16 && f["ASID"]! > 255 },
  { section: "§5.4 T0SZ", text: "T0SZ out of range", illegal: (f, s, c) => inUse(f, s, 0) && badSize(f, c, 0) },
  { section: "§5.4 T1SZ", text: "T1SZ out of range", illegal: (f, s, c) => inUse(f, s, 1) && badSize(f, c, 1) },
  { section: "§5.4 TG0", text: "TG0 reserved or not there", illegal: (f, s, c) => inUse(f, s, 0) && !granuleThere(granule(f, 0), c) },
  { section: "§5.4 TTB0", text: "TTB0 beyond the output size", illegal: (f, s, c) => inUse(f, s, 0) && badBase(f, c, 0) },
  { section: "§5.4 TG1", text: "TG1 reserved or not there", illegal: (f, s, c) => inUse(f, s, 1) && !granuleThere(granule(f, 1), c) },
  { section: "§5.4 TTB1", text: "TTB1 beyond the output size", illegal: (f, s, c) => inUse(f, s, 1) && badBase(f, c, 1) },
  { section: "§5.4 AA64", text: "128-bit tables without S1PIE", illegal: (f, s, c) => d128(f, c) && s.S1PIE === 0 },
  { section: "§5.4 AA64", text: "128-bit tables in EL2", illegal: (f, s, c) => d128(f, c) && s.world === "EL2" },
  { section: "§5.4 SKL0", text: "SKL0 beyond level 3", illegal: (f, s, c) => inUse(f, s, 0) && badSkip(f, c, 0) },
  { section: "§5.4 SKL1", text: "SKL1 beyond level 3", illegal: (f, s, c) => inUse(f, s, 1) && badSkip(f, c, 1) },
  { section: "§5.4 PIIP", text: "reserved entry of PIIP", illegal: (f, s, c) => indirect(f, s, c) && reserved(f["PIIP"]!) },
  { section: "§5.4 PIIU", text: "reserved entry of PIIU", illegal: (f, s, c) => indirect(f, s, c) && two(s) && reserved(f["PIIU"]!) },
  { section: "§5.4.2", text: "pX where uW", illegal: (f, s, c) => indirect(f, s, c) && two(s) && writableCode(f) },
];

/** The rule that makes a CD ILLEGAL, if any. */
export function brokenCdLaw(f: Fields, s: Stream, c: SmmuConfig): CdLaw | undefined {
  return CD_LAW.find(({ illegal }) => illegal(f, s, c));
}

/**
 * True if the field can make a difference to where a transaction goes, with which attributes, and what is recorded. False: it is
 * IGNORED or RES0 here (§5.4 field by field, §5.4.1 for EL2 and EPDx), or about accesses of the SMMU itself whose attributes do
 * not show (IRx, ORx).
 */
export function cdFieldMatters(name: string, f: Fields, s: Stream, c: SmmuConfig): boolean {
  if (name === "V") return true;
  if (f["V"] === 0) return false;
  const on = ([0, 1] as const).map((half) => inUse(f, s, half));
  const long = d128(f, c);
  const ds = ([0, 1] as const).map((half) => on[half]! && !long && wide(f["DS"]!, granule(f, half), c));
  const pie = c.s1pi && s.S1PIE === 1;
  const use: Readonly<Record<string, boolean>> = {
    EPD0: two(s),
    EPD1: two(s),
    T0SZ: on[0]!,
    TG0: on[0]!,
    TTB0: on[0]!,
    SH0: ds[0]!,
    T1SZ: on[1]!,
    TG1: on[1]!,
    TTB1: on[1]!,
    SH1: ds[1]!,
    // With both walks off nothing is walked, but a TLB may hit.
    ENDI: on[0]! || on[1]!,
    TBI0: true,
    TBI1: two(s),
    // The same bits: choice had-or-disch.
    HAD0: c.had || long,
    HAD1: (c.had || long) && two(s),
    DisCH0: c.had || long,
    DisCH1: (c.had || long) && two(s),
    SKL0: long && on[0]!,
    SKL1: long && on[1]!,
    // The bits of SKL0 and SKL1 under their other names.
    HWU061: long && on[0]!,
    HWU062: long && on[0]!,
    HWU161: long && on[1]!,
    HWU162: long && on[1]!,
    "TTB0[55:52]": long && on[0]!,
    "TTB1[55:52]": long && on[1]!,
    E0PD0: c.e0pd && two(s),
    E0PD1: c.e0pd && two(s),
    PAN: two(s),
    EPAN: c.epan && two(s),
    ASET: two(s),
    ASID: two(s),
    DS: c.ds && !long && ([0, 1] as const).some((half) => on[half] && granule(f, half) !== "64KB"),
    HAFT: c.httu === 3,
    PnCH: c.the && !long,
    AIE: c.aie,
    PIE: pie && !long,
    PIIP: pie && (f["PIE"] === 1 || long),
    PIIU: pie && (f["PIE"] === 1 || long) && two(s),
  };
  return use[name] ?? ["IPS", "AFFD", "WXN", "AA64", "HD", "HA", "S", "R", "A", "MAIR0", "MAIR1"].includes(name);
}
