// SPDX-License-Identifier: MIT
/** An STE as fetched: its words, whether it is legal, and what the translation needs of it (IHI 0070 §5.2). */
import { getField } from "../../bits/fields.ts";
import type { NotModelledLog } from "../../errors.ts";
import { NO_OVERRIDES, overriddenShareability, overriddenType, type TypeOverrides } from "../translation/attributes.ts";
import type { SmmuConfig } from "./config.ts";
import { StreamWorld } from "../ports.ts";
import { STE } from "../spec/ste.ts";
import type { Structure } from "../spec/structure.ts";
import { decodeStage2, type Stage2Config, usesD128 } from "./stage2-config.ts";
import { SteFields } from "./ste-fields.ts";
import { brokenSteRule, strwInUse, type SteRule, vmidInUse } from "./ste-rules.ts";

/** STE.EATS in force, but for CR0.ATSCHK: split-stage ATS is off while that is 0. */
export const Ats = { off: 0, full: 1, split: 2 } as const;
export type Ats = (typeof Ats)[keyof typeof Ats];

/** A fetched STE. Everything but `words`, `address` and `broken` has a meaning only if `broken` is undefined. */
export interface Ste {
  readonly words: Uint32Array;
  readonly address: number;
  readonly broken: SteRule | undefined;
  readonly fields: SteFields;
  /** Config is 0b0xx: transactions abort without an event. */
  readonly aborts: boolean;
  readonly stage1: boolean;
  /** Tables of stage 2, if it is on, are VMSAv9-128. */
  readonly d128: boolean;
  /** Parameters of stage 2, undefined if it is off. */
  readonly stage2: Stage2Config | undefined;
  readonly world: StreamWorld;
  /** VMID tag of TLB entries; 0 where the StreamWorld has none. */
  readonly vmid: number;
  /** S1CDMax in force: 0 if the SMMU has no SubstreamIDs. */
  readonly cdMax: number;
  /** Index bits of a leaf CD table; 0: the table is linear. */
  readonly cdLeafBits: number;
  readonly overrides: TypeOverrides;
  /** Memory type and shareability of transactions after the overrides. */
  readonly incomingType: number;
  readonly incomingShareability: number;
  readonly ats: Ats;
  /** The SMMU has ATS: EATS has a meaning. */
  readonly hasAts: boolean;
  /** PRIVCFG and INSTCFG in force. */
  readonly privCfg: number;
  readonly instCfg: number;
}

/** @param e2h CR2.E2H, which may be cached with the STE */
export function decodeSte(words: Uint32Array, address: number, config: SmmuConfig, e2h: boolean): Ste {
  const fields = new SteFields(words);
  const broken = brokenSteRule(fields, config);
  const overrides = config.attrTypesOvr ? fields : NO_OVERRIDES;
  const on = broken === undefined && (fields.Config & 4) !== 0;
  return {
    words,
    address,
    broken,
    fields,
    aborts: (fields.Config & 4) === 0,
    d128: usesD128(fields, config),
    stage1: on && fields.stage1,
    stage2: on && fields.stage2 ? decodeStage2(fields, config) : undefined,
    world: worldOf(fields, config, e2h),
    vmid: vmidInUse(fields, config) ? fields.S2VMID : 0,
    cdMax: config.ssidSize === 0 ? 0 : fields.S1CDMax,
    cdLeafBits: cdLeafBits(fields, config),
    overrides,
    incomingType: overriddenType(overrides),
    incomingShareability: overriddenShareability(overrides),
    ats: on && config.ats && fields.Config !== BYPASS ? (ATS_BY_EATS[fields.EATS] ?? Ats.off) : Ats.off,
    hasAts: config.ats,
    privCfg: config.attrPermsOvr ? fields.PRIVCFG : 0,
    instCfg: config.attrPermsOvr ? fields.INSTCFG : 0,
  };
}

/** STE.Config of a stream without stages. */
const BYPASS = 4;
/** 0b11 is full ATS with DPT checks, and reserved without a DPT: it acts as 0b00. */
const ATS_BY_EATS: readonly Ats[] = [Ats.off, Ats.full, Ats.split, Ats.off];

/** StreamWorld (§5.2, STE.STRW). */
function worldOf(fields: SteFields, config: SmmuConfig, e2h: boolean): StreamWorld {
  if (!strwInUse(fields, config) || fields.STRW === 0) return StreamWorld.nsEl1;
  return e2h ? StreamWorld.nsEl2E2h : StreamWorld.nsEl2;
}

function cdLeafBits(fields: SteFields, config: SmmuConfig): number {
  if (config.ssidSize === 0 || fields.S1CDMax === 0) return 0;
  return fields.S1Fmt === 1 ? 6 : fields.S1Fmt === 2 ? 10 : 0;
}

/** Bytes that the CD table of an STE is aligned to: S1ContextPtr bits below count as zero (§5.2). */
export function cdTableAlignment(ste: Ste): number {
  return ste.cdLeafBits === 0 ? 64 * 2 ** ste.cdMax : Math.max(64, 8 * 2 ** (ste.cdMax - ste.cdLeafBits));
}

/** Names fields that ask for a feature which the model has not got. @param d128 the tables are VMSAv9-128 */
export function noteAbsentFeatures(structure: Structure, words: Uint32Array, log: NotModelledLog, d128: boolean): void {
  for (const field of structure.fields) {
    if ((field.d128 ?? d128) !== d128) continue;
    if (field.absent !== undefined && getField(words, field) !== 0) log.note(`${structure.name}.${field.name} (${field.absent})`);
  }
}

/** As {@link noteAbsentFeatures}, for an STE that translates. */
export function noteAbsentSteFeatures(ste: Ste, log: NotModelledLog): void {
  if (ste.broken === undefined && !ste.aborts) noteAbsentFeatures(STE, ste.words, log, ste.d128);
}
