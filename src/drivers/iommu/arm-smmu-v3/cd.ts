// SPDX-License-Identifier: GPL-2.0-only
/** Context descriptors (IHI 0070 §5.4): how to build one for a stage-1 domain, and which bits the SMMU looks at. */
import { FIELD_PREP_ULL } from "../bitfield.ts";
import type { ArmLpaeS1Cfg } from "../io-pgtable.ts";
import * as R from "./arm-smmu-v3-regs.ts";
import type { ArmSmmuEntry } from "./ste.ts";

export function new_cd(): ArmSmmuEntry {
  return new BigUint64Array(R.CTXDESC_CD_DWORDS);
}

/** TTBR0 with the page table described by `s1`, tagged by `asid`; TTBR1 off; faults recorded and answered with an abort. */
export function arm_smmu_make_s1_cd(master: { readonly stall_enabled: boolean }, s1: ArmLpaeS1Cfg, asid: number): ArmSmmuEntry {
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
    FIELD_PREP_ULL(R.CTXDESC_CD_0_ASID, asid);
  cd[1] = s1.ttbr & R.CTXDESC_CD_1_TTB0_MASK;
  cd[3] = s1.mair;
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
