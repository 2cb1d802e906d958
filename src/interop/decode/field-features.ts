// SPDX-License-Identifier: MIT
/** Fields of STE and CD that need a feature: without it they are RES0 or ignored (IHI 0070 §5.2, §5.4), whatever they hold. */
import type { SmmuConfig } from "../../hw/index.ts";

interface FieldFeature {
  /** The ID bits that say whether the feature is there. */
  readonly bits: string;
  has(config: SmmuConfig): boolean;
}

const typesOverride: FieldFeature = { bits: "IDR1.ATTR_TYPES_OVR", has: (c) => c.attrTypesOvr };
const permissionsOverride: FieldFeature = { bits: "IDR1.ATTR_PERMS_OVR", has: (c) => c.attrPermsOvr };
const stage1Indirection: FieldFeature = { bits: "IDR3.S1PI", has: (c) => c.s1pi };
const overlay: FieldFeature = { bits: "IDR3.S2PO", has: (c) => c.s2po };
const hardening: FieldFeature = { bits: "IDR3.THE", has: (c) => c.the };
const smallGranules52: FieldFeature = { bits: "IDR5.DS", has: (c) => c.ds };
const tableAccess: FieldFeature = { bits: "IDR0.HTTU (0b11)", has: (c) => c.httu === 3 };
const tableAttributes: FieldFeature = { bits: "IDR3.HAD", has: (c) => c.had };
const e0pd: FieldFeature = { bits: "IDR3.E0PD", has: (c) => c.e0pd };
const stalling: FieldFeature = { bits: "IDR0.STALL_MODEL", has: (c) => c.stallModel === "both" };

const STE_FEATURES: Readonly<Record<string, FieldFeature>> = {
  S1PIE: stage1Indirection,
  S1STALLD: stalling,
  S2FWB: { bits: "IDR3.FWB", has: (c) => c.fwb },
  STRW: { bits: "IDR0.Hyp", has: (c) => c.hyp },
  MemAttr: typesOverride,
  MTCFG: typesOverride,
  ALLOCCFG: typesOverride,
  SHCFG: typesOverride,
  PRIVCFG: permissionsOverride,
  INSTCFG: permissionsOverride,
  S2VMID: { bits: "IDR0.S2P", has: (c) => c.stage2 },
  S2HAFT: tableAccess,
  S2PIE: { bits: "IDR3.S2PI", has: (c) => c.s2pi },
  S2POE: overlay,
  S2POI: overlay,
  S2SL0_2: smallGranules52,
  S2DS: smallGranules52,
  AssuredOnly: hardening,
  TL0: hardening,
  TL1: hardening,
};

const CD_FEATURES: Readonly<Record<string, FieldFeature>> = {
  HAD0: tableAttributes,
  HAD1: tableAttributes,
  E0PD0: e0pd,
  E0PD1: e0pd,
  HAFT: tableAccess,
  PnCH: hardening,
  EPAN: { bits: "IDR3.EPAN", has: (c) => c.epan },
  AIE: { bits: "IDR3.AIE", has: (c) => c.aie },
  DS: smallGranules52,
  PIE: stage1Indirection,
  PIIU: stage1Indirection,
  PIIP: stage1Indirection,
};

/** Why a field has no effect in a profile; undefined if its feature is there, or it needs none. */
export function whyAbsent(structure: "STE" | "CD", name: string, config: SmmuConfig): string | undefined {
  const feature = (structure === "STE" ? STE_FEATURES : CD_FEATURES)[name];
  return feature === undefined || feature.has(config) ? undefined : `${feature.bits} does not give it in this profile`;
}
