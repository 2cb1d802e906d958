// SPDX-License-Identifier: GPL-2.0-only
/**
 * The STEs of a master, all of them alike: put there, or made an abort.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_install_ste_for_dev, and Linux 6.1's arm_smmu_detach_dev
 * (arm_smmu_disable_ats first). Left out: nothing.
 */
import { PciDev, pci_disable_ats } from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import { FIELD_GET_ULL } from "../../bitfield.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import { IOMMU_NO_PASID } from "../tables/cd-table.ts";
import { type ArmSmmuEntry, arm_smmu_make_abort_ste } from "../tables/ste.ts";
import { arm_smmu_write_ste } from "../tables/strtab.ts";
import { arm_smmu_atc_inv_master } from "./ats.ts";
import type { ArmSmmuMaster } from "./master.ts";

/** Writes the STE of every StreamID of a master, each step made known to the SMMU. */
export function* arm_smmu_install_ste_for_dev(master: ArmSmmuMaster, target: ArmSmmuEntry): Coroutine<void> {
  const { cd_table } = master;
  if (cd_table !== null) cd_table.in_ste = FIELD_GET_ULL(R.STRTAB_STE_0_CFG, target[0]!) === R.STRTAB_STE_0_CFG_S1_TRANS;
  master.ste_ats_enabled = FIELD_GET_ULL(R.STRTAB_STE_1_EATS, target[1]!) === R.STRTAB_STE_1_EATS_TRANS;
  for (const sid of master.streams) yield* arm_smmu_write_ste(master.smmu, sid, target);
}

/** Nothing of the master passes any more, with PASID or without, and its endpoint's ATS goes off. Under arm_smmu_asid_lock. */
export function* arm_smmu_block_master(master: ArmSmmuMaster): Coroutine<void> {
  // As an attach does it: under an STE that aborts, the endpoint's requests for translations are errors.
  if (master.ats_enabled && master.dev instanceof PciDev) pci_disable_ats(master.dev);
  yield* arm_smmu_install_ste_for_dev(master, arm_smmu_make_abort_ste());
  if (master.ats_enabled) yield* arm_smmu_atc_inv_master(master, IOMMU_NO_PASID);
  master.ats_enabled = false;
}
