// SPDX-License-Identifier: GPL-2.0-only
/**
 * Context descriptors (IHI 0070 §5.4): how to build one for a stage-1 domain and for a process, and which bits the SMMU
 * looks at.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_make_s1_cd, arm_smmu_get_cd_used, and
 * arm-smmu-v3-sva.c: arm_smmu_make_sva_cd. Left out: big endian, 52-bit addresses of processes.
 */
import { PAGE_SIZE, VA_BITS } from "../../../../kernel/index.ts";
import { FIELD_PREP_ULL } from "../../bitfield.ts";
import type { ArmLpaeS1Cfg } from "../../io-pgtable.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import { ARM_SMMU_FEAT_STALL_FORCE, has_feature } from "../features.ts";
import type { ArmSmmuEntry } from "./ste.ts";

export function new_cd(): ArmSmmuEntry {
  return new BigUint64Array(R.CTXDESC_CD_DWORDS);
}

/**
 * TTBR0 with the page table described by `s1`, tagged by `asid`; TTBR1 off; faults recorded and answered with an abort.
 * @param hd the SMMU updates Access flag and dirty state
 */
export function arm_smmu_make_s1_cd(master: { readonly stall_enabled: boolean }, s1: ArmLpaeS1Cfg, asid: number, hd = false): ArmSmmuEntry {
  const cd = new_cd();
  const { tcr } = s1;
  cd[0] =
    FIELD_PREP_ULL(R.CTXDESC_CD_0_TCR_T0SZ, tcr.tsz) |
    FIELD_PREP_ULL(R.CTXDESC_CD_0_TCR_TG0, tcr.tg) |
    FIELD_PREP_ULL(R.CTXDESC_CD_0_TCR_IRGN0, tcr.irgn) |
    FIELD_PREP_ULL(R.CTXDESC_CD_0_TCR_ORGN0, tcr.orgn) |
    FIELD_PREP_ULL(R.CTXDESC_CD_0_TCR_SH0, tcr.sh) |
    R.CTXDESC_CD_0_TCR_EPD1 |
    R.CTXDESC_CD_0_V |
    FIELD_PREP_ULL(R.CTXDESC_CD_0_TCR_IPS, tcr.ips) |
    R.CTXDESC_CD_0_AA64 |
    (master.stall_enabled ? R.CTXDESC_CD_0_S : 0n) |
    R.CTXDESC_CD_0_R |
    R.CTXDESC_CD_0_A |
    R.CTXDESC_CD_0_ASET |
    (hd ? R.CTXDESC_CD_0_TCR_HA | R.CTXDESC_CD_0_TCR_HD : 0n) |
    FIELD_PREP_ULL(R.CTXDESC_CD_0_ASID, asid);
  cd[1] = s1.ttbr & R.CTXDESC_CD_1_TTB0_MASK;
  cd[3] = s1.mair;
  return cd;
}

/** What an SVA descriptor takes from the master. */
export interface SvaCdMaster {
  readonly features: number;
  readonly stall_enabled: boolean;
  readonly smmu: { readonly driver: { readonly cpu: { readonly pa_bits: number } } };
}

/** ID_AA64MMFR0_EL1.PARange by physical address bits. IPS has the same codes. */
const PARANGE: Readonly<Record<number, number>> = { 32: 0, 36: 1, 40: 2, 42: 3, 44: 4, 48: 5, 52: 6 };
/** TG0 by page size of the CPUs. */
const TG0: Readonly<Record<number, number>> = { 0x1000: 0, 0x4000: 2, 0x1_0000: 1 };
/** Write-back, write-allocate; inner shareable. */
const RGN_WBWA = 1;
const SH_IS = 3;
/** MAIR_EL1 of arm64: Normal, Normal (tagged), Non-cacheable, Device-nGnRnE, Device-nGnRE. */
const MAIR_EL1 = 0x04_00_44_ff_ffn;

/**
 * TTBR0 with the page table of a process, as its CPUs use it. Without a process (it has ended): a descriptor that is valid
 * but translates nothing, and aborts at once if the SMMU may.
 */
export function arm_smmu_make_sva_cd(master: SvaCdMaster, mm: { readonly pgd: number } | null, asid: number): ArmSmmuEntry {
  const cd = new_cd();
  cd[0] =
    R.CTXDESC_CD_0_TCR_EPD1 |
    R.CTXDESC_CD_0_V |
    FIELD_PREP_ULL(R.CTXDESC_CD_0_TCR_IPS, PARANGE[master.smmu.driver.cpu.pa_bits] ?? 0) |
    R.CTXDESC_CD_0_AA64 |
    (master.stall_enabled ? R.CTXDESC_CD_0_S : 0n) |
    R.CTXDESC_CD_0_R |
    R.CTXDESC_CD_0_A |
    R.CTXDESC_CD_0_ASET |
    FIELD_PREP_ULL(R.CTXDESC_CD_0_ASID, asid);
  if (mm !== null) {
    cd[0] |=
      FIELD_PREP_ULL(R.CTXDESC_CD_0_TCR_T0SZ, 64 - VA_BITS) |
      FIELD_PREP_ULL(R.CTXDESC_CD_0_TCR_TG0, TG0[PAGE_SIZE]!) |
      FIELD_PREP_ULL(R.CTXDESC_CD_0_TCR_IRGN0, RGN_WBWA) |
      FIELD_PREP_ULL(R.CTXDESC_CD_0_TCR_ORGN0, RGN_WBWA) |
      FIELD_PREP_ULL(R.CTXDESC_CD_0_TCR_SH0, SH_IS);
    cd[1] = BigInt(mm.pgd) & R.CTXDESC_CD_1_TTB0_MASK;
  } else {
    cd[0] |= R.CTXDESC_CD_0_TCR_EPD0;
    if (!has_feature(master.features, ARM_SMMU_FEAT_STALL_FORCE)) cd[0] &= ~(R.CTXDESC_CD_0_S | R.CTXDESC_CD_0_R);
  }
  cd[3] = MAIR_EL1;
  return cd;
}

/** The bits of a CD that the SMMU looks at: all of a valid one, but not the TTBR0 half when EPD0 turns it off. */
export function arm_smmu_get_cd_used(cd: ArmSmmuEntry): ArmSmmuEntry {
  const used = new_cd();
  used[0] = R.CTXDESC_CD_0_V;
  if ((cd[0]! & R.CTXDESC_CD_0_V) === 0n) return used;
  used.fill(0xffff_ffff_ffff_ffffn);
  if ((cd[0]! & R.CTXDESC_CD_0_TCR_EPD0) !== 0n) {
    used[0]! &= ~(
      R.CTXDESC_CD_0_TCR_T0SZ |
      R.CTXDESC_CD_0_TCR_TG0 |
      R.CTXDESC_CD_0_TCR_IRGN0 |
      R.CTXDESC_CD_0_TCR_ORGN0 |
      R.CTXDESC_CD_0_TCR_SH0
    );
    used[1]! &= ~R.CTXDESC_CD_1_TTB0_MASK;
  }
  return used;
}
