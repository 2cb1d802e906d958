// SPDX-License-Identifier: GPL-2.0-only
/**
 * Stream table entries: how to build each kind, which bits the SMMU looks at, and which may change at any moment.
 * All functions work on the eight 64-bit words of an STE (IHI 0070 §5.2).
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_make_abort_ste, arm_smmu_make_bypass_ste,
 * arm_smmu_make_cdtable_ste, arm_smmu_make_s2_domain_ste, arm_smmu_get_ste_used, arm_smmu_get_ste_update_safe. Left out:
 * nothing; nested STEs are in nested.ts.
 */
import { FIELD_GET_ULL, FIELD_PREP, FIELD_PREP_ULL } from "../../bitfield.ts";
import type { ArmLpaeS2Cfg } from "../../io-pgtable.ts";
import { ARM_SMMU_FEAT_ATTR_TYPES_OVR, ARM_SMMU_FEAT_E2H, ARM_SMMU_FEAT_STALLS, has_feature } from "../features.ts";
import * as R from "../arm-smmu-v3-regs.ts";

/** The words of one STE or CD. */
export type ArmSmmuEntry = BigUint64Array;

/** What an STE takes from the master: the features of its SMMU, and whether its faults may stall. */
export interface SteMaster {
  readonly features: number;
  readonly stall_enabled: boolean;
}

/** What an STE says of a CD table. */
export interface SteCdTable {
  readonly cdtab_dma: number;
  readonly s1fmt: number;
  readonly s1cdmax: number;
}

export function new_ste(): ArmSmmuEntry {
  return new BigUint64Array(R.STRTAB_STE_DWORDS);
}

/** Valid, and every transaction is aborted without an event. */
export function arm_smmu_make_abort_ste(): ArmSmmuEntry {
  const ste = new_ste();
  ste[0] = R.STRTAB_STE_0_V | FIELD_PREP_ULL(R.STRTAB_STE_0_CFG, R.STRTAB_STE_0_CFG_ABORT);
  return ste;
}

/** Valid, both stages bypassed, shareability as it comes in. */
export function arm_smmu_make_bypass_ste(features: number): ArmSmmuEntry {
  const ste = new_ste();
  ste[0] = R.STRTAB_STE_0_V | FIELD_PREP_ULL(R.STRTAB_STE_0_CFG, R.STRTAB_STE_0_CFG_BYPASS);
  if (has_feature(features, ARM_SMMU_FEAT_ATTR_TYPES_OVR)) {
    ste[1] = FIELD_PREP_ULL(R.STRTAB_STE_1_SHCFG, R.STRTAB_STE_1_SHCFG_INCOMING);
  }
  return ste;
}

/**
 * Stage 1 through a CD table.
 * @param s1dss what becomes of transactions without a SubstreamID, STRTAB_STE_1_S1DSS_*
 */
export function arm_smmu_make_cdtable_ste(master: SteMaster, cd_table: SteCdTable, ats_enabled: boolean, s1dss: number): ArmSmmuEntry {
  const ste = new_ste();
  const { features } = master;
  ste[0] =
    R.STRTAB_STE_0_V |
    FIELD_PREP_ULL(R.STRTAB_STE_0_CFG, R.STRTAB_STE_0_CFG_S1_TRANS) |
    FIELD_PREP_ULL(R.STRTAB_STE_0_S1FMT, cd_table.s1fmt) |
    (BigInt(cd_table.cdtab_dma) & R.STRTAB_STE_0_S1CTXPTR_MASK) |
    FIELD_PREP_ULL(R.STRTAB_STE_0_S1CDMAX, cd_table.s1cdmax);
  ste[1] =
    FIELD_PREP_ULL(R.STRTAB_STE_1_S1DSS, s1dss) |
    FIELD_PREP_ULL(R.STRTAB_STE_1_S1CIR, R.STRTAB_STE_1_S1C_CACHE_WBRA) |
    FIELD_PREP_ULL(R.STRTAB_STE_1_S1COR, R.STRTAB_STE_1_S1C_CACHE_WBRA) |
    FIELD_PREP_ULL(R.STRTAB_STE_1_S1CSH, R.ARM_SMMU_SH_ISH) |
    (has_feature(features, ARM_SMMU_FEAT_STALLS) && !master.stall_enabled ? R.STRTAB_STE_1_S1STALLD : 0n) |
    FIELD_PREP_ULL(R.STRTAB_STE_1_EATS, ats_enabled ? R.STRTAB_STE_1_EATS_TRANS : 0);
  if (has_feature(features, ARM_SMMU_FEAT_ATTR_TYPES_OVR) && s1dss === R.STRTAB_STE_1_S1DSS_BYPASS) {
    ste[1] |= FIELD_PREP_ULL(R.STRTAB_STE_1_SHCFG, R.STRTAB_STE_1_SHCFG_INCOMING);
  }
  // The EL1 StreamWorld is tagged by the VMID even without stage 2: this driver's stage 1 uses VMID 0, the words' zero.
  const strw = has_feature(features, ARM_SMMU_FEAT_E2H) ? R.STRTAB_STE_1_STRW_EL2 : R.STRTAB_STE_1_STRW_NSEL1;
  ste[1] |= FIELD_PREP_ULL(R.STRTAB_STE_1_STRW, strw);
  return ste;
}

/** Stage 2 with the page table described by `s2`, tagged by `vmid`. @param s2fwb the table forces write-back */
export function arm_smmu_make_s2_domain_ste(
  master: SteMaster,
  s2: ArmLpaeS2Cfg,
  vmid: number,
  ats_enabled: boolean,
  s2fwb = false,
): ArmSmmuEntry {
  const ste = new_ste();
  const { vtcr } = s2;
  ste[0] = R.STRTAB_STE_0_V | FIELD_PREP_ULL(R.STRTAB_STE_0_CFG, R.STRTAB_STE_0_CFG_S2_TRANS);
  ste[1] = FIELD_PREP_ULL(R.STRTAB_STE_1_EATS, ats_enabled ? R.STRTAB_STE_1_EATS_TRANS : 0) | (s2fwb ? R.STRTAB_STE_1_S2FWB : 0n);
  if (has_feature(master.features, ARM_SMMU_FEAT_ATTR_TYPES_OVR)) {
    ste[1] |= FIELD_PREP_ULL(R.STRTAB_STE_1_SHCFG, R.STRTAB_STE_1_SHCFG_INCOMING);
  }
  const vtcr_val =
    FIELD_PREP(R.STRTAB_STE_2_VTCR_S2T0SZ, vtcr.tsz) |
    FIELD_PREP(R.STRTAB_STE_2_VTCR_S2SL0, vtcr.sl) |
    FIELD_PREP(R.STRTAB_STE_2_VTCR_S2IR0, vtcr.irgn) |
    FIELD_PREP(R.STRTAB_STE_2_VTCR_S2OR0, vtcr.orgn) |
    FIELD_PREP(R.STRTAB_STE_2_VTCR_S2SH0, vtcr.sh) |
    FIELD_PREP(R.STRTAB_STE_2_VTCR_S2TG, vtcr.tg) |
    FIELD_PREP(R.STRTAB_STE_2_VTCR_S2PS, vtcr.ps);
  ste[2] =
    FIELD_PREP_ULL(R.STRTAB_STE_2_S2VMID, vmid) |
    FIELD_PREP_ULL(R.STRTAB_STE_2_VTCR, vtcr_val) |
    R.STRTAB_STE_2_S2AA64 |
    R.STRTAB_STE_2_S2PTW |
    (master.stall_enabled ? R.STRTAB_STE_2_S2S : 0n) |
    R.STRTAB_STE_2_S2R;
  ste[3] = s2.vttbr & R.STRTAB_STE_3_S2TTB_MASK;
  return ste;
}

/** The bits of an STE that the SMMU looks at, given the STE's own V and Config. */
export function arm_smmu_get_ste_used(ste: ArmSmmuEntry): ArmSmmuEntry {
  const used = new_ste();
  used[0] = R.STRTAB_STE_0_V;
  if ((ste[0]! & R.STRTAB_STE_0_V) === 0n) return used;

  const cfg = FIELD_GET_ULL(R.STRTAB_STE_0_CFG, ste[0]!);
  used[0] |= R.STRTAB_STE_0_CFG;
  if (cfg === R.STRTAB_STE_0_CFG_BYPASS) used[1] = R.STRTAB_STE_1_SHCFG;
  // Config[2] clear aborts everything, whatever the stage bits say.
  if ((cfg & 4) === 0) return used;

  if ((cfg & 1) !== 0) {
    used[0] |= R.STRTAB_STE_0_S1FMT | R.STRTAB_STE_0_S1CTXPTR_MASK | R.STRTAB_STE_0_S1CDMAX;
    used[1]! |=
      R.STRTAB_STE_1_S1DSS |
      R.STRTAB_STE_1_S1CIR |
      R.STRTAB_STE_1_S1COR |
      R.STRTAB_STE_1_S1CSH |
      R.STRTAB_STE_1_S1STALLD |
      R.STRTAB_STE_1_STRW |
      R.STRTAB_STE_1_EATS |
      R.STRTAB_STE_1_MEV;
    used[2]! |= R.STRTAB_STE_2_S2VMID;
    if (FIELD_GET_ULL(R.STRTAB_STE_1_S1DSS, ste[1]!) === R.STRTAB_STE_1_S1DSS_BYPASS) used[1]! |= R.STRTAB_STE_1_SHCFG;
  }
  if ((cfg & 2) !== 0) {
    used[1]! |= R.STRTAB_STE_1_S2FWB | R.STRTAB_STE_1_EATS | R.STRTAB_STE_1_SHCFG | R.STRTAB_STE_1_MEV;
    used[2]! |=
      R.STRTAB_STE_2_S2VMID |
      R.STRTAB_STE_2_VTCR |
      R.STRTAB_STE_2_S2AA64 |
      R.STRTAB_STE_2_S2ENDI |
      R.STRTAB_STE_2_S2PTW |
      R.STRTAB_STE_2_S2S |
      R.STRTAB_STE_2_S2R;
    used[3]! |= R.STRTAB_STE_3_S2TTB_MASK;
  }
  return used;
}

/**
 * Bits that may take either value while an STE changes. MEV only merges events. EATS matters only while the endpoint has
 * ATS on, and it is off during an update; split-stage ATS and stage-2 stall would make the mixture illegal.
 */
export function arm_smmu_get_ste_update_safe(cur: ArmSmmuEntry, target: ArmSmmuEntry): ArmSmmuEntry {
  const safe = new_ste();
  safe[1] = R.STRTAB_STE_1_MEV;
  const s1chk = FIELD_PREP_ULL(R.STRTAB_STE_1_EATS, R.STRTAB_STE_1_EATS_S1CHK);
  if (((cur[1]! | target[1]!) & s1chk) === 0n && ((cur[2]! | target[2]!) & R.STRTAB_STE_2_S2S) === 0n) {
    safe[1] |= FIELD_PREP_ULL(R.STRTAB_STE_1_EATS, R.STRTAB_STE_1_EATS_TRANS);
  }
  return safe;
}
