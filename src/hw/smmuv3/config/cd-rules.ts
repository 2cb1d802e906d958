// SPDX-License-Identifier: MIT
/**
 * When a CD is ILLEGAL: one row for each condition, in the order of the legality function (IHI 0070 §5.4.2).
 *
 * A CD is judged under the STE that leads to it. Rows that need a feature this model refuses (VMSAv8-32 tables) can never
 * apply and are left out.
 */
import {
  descriptorSize,
  effectiveSize,
  type GranuleBits,
  granuleImplemented,
  largestTxsz,
  smallestTxsz,
  wideDescriptors,
} from "../translation/address-size.ts";
import { startLevel128 } from "../translation/address-size128.ts";
import type { CdFields } from "./cd-fields.ts";
import { reservedStage1, unsafeStage1 } from "../translation/indirection.ts";
import type { SmmuConfig } from "./config.ts";
import { StreamWorld } from "../ports.ts";
import type { Ste } from "./ste.ts";

/** One way for a CD to be ILLEGAL. */
export interface CdRule {
  readonly id: string;
  /** The condition in words. */
  readonly text: string;
  broken(f: CdFields, ste: Ste, config: SmmuConfig): boolean;
}

/** NS-EL1 and EL2-E2H have two tables, unprivileged accesses and ASIDs; EL2 has one table and none of these. */
export function hasTwoTables(world: StreamWorld): boolean {
  return world !== StreamWorld.nsEl2;
}

/** TG0 and TG1 to granule; they are encoded differently. */
export function stage1Granule(f: CdFields, half: 0 | 1): GranuleBits | undefined {
  return half === 0 ? ([12, 16, 14, undefined] as const)[f.TG0] : ([undefined, 14, 12, 16] as const)[f.TG1];
}

/** True if walks through TTB0 or TTB1 are enabled and so their fields count. */
export function tableInUse(f: CdFields, ste: Ste, half: 0 | 1): boolean {
  const twoTables = hasTwoTables(ste.world);
  return half === 0 ? !twoTables || f.EPD0 === 0 : twoTables && f.EPD1 === 0;
}

/** True if stage-1 permissions are indirect. */
export function indirectStage1(f: CdFields, ste: Ste, config: SmmuConfig): boolean {
  return config.s1pi && ste.fields.S1PIE === 1 && (usesD128(f, config) || (f.PIE === 1 && f.AA64 === 1));
}

/** True if the tables are VMSAv9-128. */
export function usesD128(f: Pick<CdFields, "AA64">, config: SmmuConfig): boolean {
  return config.d128 && f.AA64 === 0;
}

function badSkip(half: 0 | 1): CdRule["broken"] {
  return (f, ste, c) =>
    usesD128(f, c) &&
    tableInUse(f, ste, half) &&
    startLevel128(stage1Granule(f, half) ?? 12, 64 - (half === 0 ? f.T0SZ : f.T1SZ), half === 0 ? f.SKL0 : f.SKL1) > 3;
}

function badSize(half: 0 | 1): CdRule["broken"] {
  return (f, ste, c) => {
    const txsz = half === 0 ? f.T0SZ : f.T1SZ;
    const granule = stage1Granule(f, half);
    // EL1 and EL2-E2H have two halves of at most 55 bits.
    const smallest = usesD128(f, c) ? Math.max(9, 64 - c.vax) : c.vax >= 52 ? smallestTxsz(granule, f.DS, c) : 16;
    return tableInUse(f, ste, half) && (txsz > largestTxsz(granule, c) || txsz < smallest);
  };
}

function badGranule(half: 0 | 1): CdRule["broken"] {
  return (f, ste, c) => {
    const granule = stage1Granule(f, half);
    return tableInUse(f, ste, half) && (granule === undefined || !granuleImplemented(granule, c));
  };
}

function badTable(half: 0 | 1): CdRule["broken"] {
  return (f, ste, c) => {
    if (!tableInUse(f, ste, half)) return false;
    const d128 = usesD128(f, c);
    const wide = d128 || wideDescriptors(stage1Granule(f, half) ?? 12, f.DS, c);
    const bits = descriptorSize(wide, effectiveSize(f.IPS, c));
    return (d128 && (half === 0 ? f.TTB0High : f.TTB1High) !== 0) || (half === 0 ? f.TTB0 : f.TTB1) >= 2 ** bits;
  };
}

export const CD_RULES: readonly CdRule[] = [
  { id: "V", text: "V is 0", broken: (f) => f.V === 0 },
  { id: "S1STALLD", text: "S is 1 where STE.S1STALLD forbids stalling", broken: (f, ste) => ste.fields.S1STALLD === 1 && f.S === 1 },
  { id: "A", text: "A is 0 and the SMMU cannot answer with RAZ/WI", broken: (f, _ste, c) => c.termModel && f.A === 0 },
  { id: "S=1", text: "S is 1 and the SMMU does not stall", broken: (f, _ste, c) => c.stallModel === "terminate" && f.S === 1 },
  { id: "S=0", text: "S is 0 and the SMMU always stalls", broken: (f, _ste, c) => c.stallModel === "force" && f.S === 0 },
  {
    id: "ENDI",
    text: "ENDI asks for an endianness that is not implemented",
    broken: (f, ste, c) =>
      (tableInUse(f, ste, 0) || tableInUse(f, ste, 1)) &&
      ((c.ttEndian === "little" && f.ENDI === 1) || (c.ttEndian === "big" && f.ENDI === 0)),
  },
  { id: "AA64=0", text: "VMSAv8-32 tables, not implemented", broken: (f, _ste, c) => f.AA64 === 0 && c.ttf === "aarch64" && !c.d128 },
  {
    id: "HA/HD",
    text: "hardware update of descriptors, not implemented",
    broken: (f, _ste, c) => (f.AA64 === 1 || c.d128) && c.httu === 0 && (f.HA === 1 || f.HD === 1),
  },
  {
    id: "HD",
    text: "hardware update of dirty state, not implemented",
    broken: (f, _ste, c) => (f.AA64 === 1 || c.d128) && c.httu === 1 && f.HD === 1,
  },
  {
    id: "HAFT",
    text: "HAFT is 1 and HA is 0",
    broken: (f, _ste, c) => (f.AA64 === 1 || c.d128) && c.httu === 3 && f.HAFT === 1 && f.HA === 0,
  },
  {
    id: "ASID",
    text: "ASID has more than 8 bits, not implemented",
    broken: (f, ste, c) => hasTwoTables(ste.world) && !c.asid16 && f.ASID > 0xff,
  },
  { id: "T0SZ", text: "T0SZ is out of range", broken: badSize(0) },
  { id: "T1SZ", text: "T1SZ is out of range", broken: badSize(1) },
  { id: "TG0", text: "TG0 is reserved or names a granule that is not implemented", broken: badGranule(0) },
  { id: "TTB0", text: "TTB0 exceeds the stage-1 output size", broken: badTable(0) },
  { id: "TG1", text: "TG1 is reserved or names a granule that is not implemented", broken: badGranule(1) },
  { id: "TTB1", text: "TTB1 exceeds the stage-1 output size", broken: badTable(1) },
  {
    id: "S1PIE",
    text: "VMSAv9-128 tables where STE.S1PIE forbids permission indirection",
    broken: (f, ste, c) => usesD128(f, c) && ste.fields.S1PIE === 0,
  },
  { id: "AA64/EL2", text: "VMSAv9-128 tables in StreamWorld EL2", broken: (f, ste, c) => usesD128(f, c) && !hasTwoTables(ste.world) },
  { id: "SKL0", text: "SKL0 skips more levels than walks through TTB0 have", broken: badSkip(0) },
  { id: "SKL1", text: "SKL1 skips more levels than walks through TTB1 have", broken: badSkip(1) },
  {
    id: "PIIP",
    text: "PIIP has a reserved entry",
    broken: (f, ste, c) => indirectStage1(f, ste, c) && f.PIIP.some(reservedStage1),
  },
  {
    id: "PIIU",
    text: "PIIU has a reserved entry",
    broken: (f, ste, c) => indirectStage1(f, ste, c) && hasTwoTables(ste.world) && f.PIIU.some(reservedStage1),
  },
  {
    id: "PIIP/PIIU",
    text: "an entry is privileged-executable in PIIP and unprivileged-writable in PIIU",
    broken: (f, ste, c) =>
      indirectStage1(f, ste, c) && hasTwoTables(ste.world) && f.PIIP.some((code, index) => unsafeStage1(code, f.PIIU[index]!)),
  },
];

/** The first rule that a CD breaks, or undefined if it is legal. */
export function brokenCdRule(f: CdFields, ste: Ste, config: SmmuConfig): CdRule | undefined {
  return CD_RULES.find((rule) => rule.broken(f, ste, config));
}
