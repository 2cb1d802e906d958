// SPDX-License-Identifier: MIT
/** What an STE says about stage-2 walks, and which start levels are consistent (IHI 0070 §5.2; DDI 0487 D8.2). */
import type { GranuleBits } from "../translation/address-size.ts";
import { alignTable, descriptorSize, effectiveSize, levelShift, strideOf, wideDescriptors } from "../translation/address-size.ts";
import { alignTable128, startLevel128 } from "../translation/address-size128.ts";
import type { SmmuConfig } from "./config.ts";
import { overlayTable } from "../translation/indirection.ts";
import type { SteFields } from "./ste-fields.ts";
import { IpaLookup } from "../caches/tlb-tags.ts";

/** Parameters of stage-2 translation of one stream. */
export interface Stage2Config {
  readonly vmid: number;
  /** Where its translations are cached. */
  readonly lookup: IpaLookup;
  readonly granule: GranuleBits;
  readonly startLevel: number;
  /** IPA bits. */
  readonly inputBits: number;
  /** Effective S2PS, as far as descriptors can hold it. */
  readonly outputBits: number;
  /** Descriptors hold addresses of 52 bits or more. */
  readonly wide: boolean;
  /** Shareability of all leaves, as S2DS has it; -1: each leaf says its own. */
  readonly shareability: number;
  /** The tables are VMSAv9-128. */
  readonly d128: boolean;
  /** Aligned base of the first (possibly concatenated) table. */
  readonly table: number;
  readonly bigEndian: boolean;
  /** S2AFFD in force: S2HA overrules it. */
  readonly ignoreAccessFlag: boolean;
  /** Hardware sets the Access flag (S2HA), keeps dirty state (S2HA and S2HD), sets the Access flag of table descriptors (S2HAFT). */
  readonly hardwareAccess: boolean;
  readonly hardwareDirty: boolean;
  readonly tableAccess: boolean;
  /** S2PIE in force, or 128-bit descriptors: permissions come from SMMU_S2PII. */
  readonly indirect: boolean;
  /** S2POE in force: what STE.S2POI leaves of them, by POIndex. */
  readonly overlay: Uint8Array | undefined;
  /** TL0, TL1 and AssuredOnly in force. */
  readonly topLevel0: boolean;
  readonly topLevel1: boolean;
  readonly assuredOnly: boolean;
  /** S2PTW. */
  readonly protectWalks: boolean;
  /** S2FWB. */
  readonly forcedWriteBack: boolean;
}

/** True if the tables are VMSAv9-128. */
export function usesD128(f: Pick<SteFields, "S2AA64">, config: SmmuConfig): boolean {
  return config.d128 && f.S2AA64 === 0;
}

/** S2TG to granule; 3 is reserved. */
export function stage2Granule(f: SteFields): GranuleBits | undefined {
  return ([12, 16, 14, undefined] as const)[f.S2TG];
}

/** Output bits of S2TTB and of stage-2 descriptors. */
export function stage2OutputBits(f: SteFields, config: SmmuConfig): number {
  return descriptorSize(usesD128(f, config) || wideDescriptors(stage2Granule(f) ?? 12, f.S2DS, config), effectiveSize(f.S2PS, config));
}

/** Start levels by S2SL0 and, for 4 KiB with S2DS, S2SL0_2 above it. */
const START_LEVELS: Readonly<Record<GranuleBits, readonly (number | undefined)[]>> = {
  12: [2, 1, 0, 3, -1],
  14: [3, 2, 1, 0],
  16: [3, 2, 1],
};

/** Start levels that need an output address size: granule, level, bits. */
const SIZE_NEEDED: readonly (readonly [granule: GranuleBits, level: number, oas: number])[] = [
  [12, 0, 44],
  [12, -1, 52],
  [14, 1, 42],
  [14, 0, 52],
  [16, 1, 44],
];

/** The start level that {S2SL0_2, S2SL0}, or S2SKL, names, or undefined for reserved codes and those that the SMMU has not got. */
function stage2StartLevel(f: SteFields, config: SmmuConfig): number | undefined {
  const granule = stage2Granule(f);
  if (granule === undefined) return undefined;
  if (usesD128(f, config)) {
    const start = startLevel128(granule, 64 - f.S2T0SZ, f.S2SKL);
    return start > 3 ? undefined : start;
  }
  const wide = wideDescriptors(granule, f.S2DS, config);
  const level = START_LEVELS[granule][f.S2SL0 + (granule === 12 && wide ? 4 * f.S2SL0_2 : 0)];
  if (granule === 12 && level === 3 && !config.stt) return undefined;
  if (granule === 14 && level === 0 && !wide) return undefined;
  return SIZE_NEEDED.some(([g, l, oas]) => g === granule && l === level && config.oas < oas) ? undefined : level;
}

/** Whether S2T0SZ, S2SL0 or S2SKL, and S2TG fit each other and the output size. */
export function stage2StartLevelConsistent(f: SteFields, config: SmmuConfig): boolean {
  const granule = stage2Granule(f);
  const start = stage2StartLevel(f, config);
  if (granule === undefined || start === undefined) return false;
  if (usesD128(f, config)) return true;
  const indexBits = 64 - f.S2T0SZ - levelShift(granule, start);
  // At most 16 concatenated tables.
  return indexBits >= 1 && indexBits <= strideOf(granule) + 4;
}

/** Stage-2 parameters of a legal STE with stage 2 on. */
export function decodeStage2(f: SteFields, config: SmmuConfig): Stage2Config {
  const granule = stage2Granule(f)!;
  const startLevel = stage2StartLevel(f, config)!;
  const inputBits = 64 - f.S2T0SZ;
  const d128 = usesD128(f, config);
  const wide = d128 || wideDescriptors(granule, f.S2DS, config);
  const effective = effectiveSize(f.S2PS, config);
  return {
    vmid: f.S2VMID,
    lookup: new IpaLookup(f.S2VMID),
    granule,
    startLevel,
    inputBits,
    outputBits: descriptorSize(wide, effective),
    wide,
    shareability: wide && !d128 && granule !== 16 ? f.S2SH0 : -1,
    d128,
    table: d128 ? alignTable128(f.S2TTB, granule, startLevel, inputBits) : alignTable(f.S2TTB, granule, startLevel, inputBits, effective),
    bigEndian: f.S2ENDI === 1,
    ignoreAccessFlag: f.S2AFFD === 1 && f.S2HA === 0,
    hardwareAccess: f.S2HA === 1,
    hardwareDirty: f.S2HA === 1 && f.S2HD === 1,
    tableAccess: config.httu === 3 && f.S2HAFT === 1,
    indirect: d128 || (config.s2pi && f.S2PIE === 1),
    overlay: config.s2po && f.S2POE === 1 ? overlayTable(f.S2POI) : undefined,
    topLevel0: config.the && f.TL0 === 1,
    topLevel1: config.the && f.TL1 === 1,
    assuredOnly: config.the && (d128 || f.AssuredOnly === 1),
    protectWalks: f.S2PTW === 1,
    forcedWriteBack: config.fwb && f.S2FWB === 1,
  };
}
