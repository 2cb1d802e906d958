// SPDX-License-Identifier: MIT
/** What an STE says about stage-2 walks, and which start levels are consistent (IHI 0070 §5.2; DDI 0487 D8.2). */
import type { GranuleBits } from "./address-size.ts";
import { alignTable, effectiveSize, granuleOutputLimit, strideOf } from "./address-size.ts";
import type { SmmuConfig } from "./config.ts";
import { overlayTable } from "./indirection.ts";
import type { SteFields } from "./ste-fields.ts";
import { IpaLookup } from "./tlb-tags.ts";

/** Parameters of stage-2 translation of one stream. */
export interface Stage2Config {
  readonly vmid: number;
  /** Where its translations are cached. */
  readonly lookup: IpaLookup;
  readonly granule: GranuleBits;
  readonly startLevel: number;
  /** IPA bits. */
  readonly inputBits: number;
  /** Effective S2PS. */
  readonly outputBits: number;
  /** Aligned base of the first (possibly concatenated) table. */
  readonly table: number;
  readonly bigEndian: boolean;
  /** S2AFFD in force: S2HA overrules it. */
  readonly ignoreAccessFlag: boolean;
  /** Hardware sets the Access flag (S2HA), keeps dirty state (S2HA and S2HD), sets the Access flag of table descriptors (S2HAFT). */
  readonly hardwareAccess: boolean;
  readonly hardwareDirty: boolean;
  readonly tableAccess: boolean;
  /** S2PIE in force: permissions come from SMMU_S2PII. */
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

/** S2TG to granule; 3 is reserved. */
export function stage2Granule(f: SteFields): GranuleBits | undefined {
  return ([12, 16, 14, undefined] as const)[f.S2TG];
}

/** Output bits of S2TTB and of stage-2 descriptors. */
export function stage2OutputBits(f: SteFields, config: SmmuConfig): number {
  return granuleOutputLimit(stage2Granule(f) ?? 12, effectiveSize(f.S2PS, config));
}

/** The start level that S2SL0 names, or undefined for reserved codes. Code 3 with 4 KiB needs small tables, which are absent. */
function stage2StartLevel(f: SteFields): number | undefined {
  const granule = stage2Granule(f);
  if (f.S2SL0 === 3 || granule === undefined) return undefined;
  return granule === 12 ? 2 - f.S2SL0 : 3 - f.S2SL0;
}

/** Whether S2T0SZ, S2SL0 and S2TG fit each other and the output size. */
export function stage2StartLevelConsistent(f: SteFields, config: SmmuConfig): boolean {
  const granule = stage2Granule(f);
  const start = stage2StartLevel(f);
  if (granule === undefined || start === undefined) return false;
  if (granule === 12 && start === 0 && config.oas < 44) return false;
  if (granule === 14 && start === 1 && config.oas < 42) return false;
  if (granule === 16 && start === 1 && config.oas < 44) return false;
  const stride = strideOf(granule);
  const below = (3 - start) * stride + granule;
  const inputBits = 64 - f.S2T0SZ;
  // At least one index bit, at most 16 concatenated tables.
  return inputBits >= below + 1 && inputBits <= below + stride + 4;
}

/** Stage-2 parameters of a legal STE with stage 2 on. */
export function decodeStage2(f: SteFields, config: SmmuConfig): Stage2Config {
  const granule = stage2Granule(f)!;
  const startLevel = stage2StartLevel(f)!;
  const inputBits = 64 - f.S2T0SZ;
  const outputBits = stage2OutputBits(f, config);
  return {
    vmid: f.S2VMID,
    lookup: new IpaLookup(f.S2VMID),
    granule,
    startLevel,
    inputBits,
    outputBits,
    table: alignTable(f.S2TTB, granule, startLevel, inputBits, outputBits),
    bigEndian: f.S2ENDI === 1,
    ignoreAccessFlag: f.S2AFFD === 1 && f.S2HA === 0,
    hardwareAccess: f.S2HA === 1,
    hardwareDirty: f.S2HA === 1 && f.S2HD === 1,
    tableAccess: config.httu === 3 && f.S2HAFT === 1,
    indirect: config.s2pi && f.S2PIE === 1,
    overlay: config.s2po && f.S2POE === 1 ? overlayTable(f.S2POI) : undefined,
    topLevel0: config.the && f.TL0 === 1,
    topLevel1: config.the && f.TL1 === 1,
    assuredOnly: config.the && f.AssuredOnly === 1,
    protectWalks: f.S2PTW === 1,
    forcedWriteBack: config.fwb && f.S2FWB === 1,
  };
}
