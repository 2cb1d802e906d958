// SPDX-License-Identifier: GPL-2.0-only
/**
 * Dirty tracking: which pages devices wrote, as the SMMU notes it in the table of a stage-1 domain.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_dbm_capable, arm_smmu_read_and_clear_dirty,
 * arm_smmu_set_dirty_tracking. Left out: nothing.
 */
import { IOMMU_DIRTY_NO_CLEAR, type IommuDirtyOps, iommu_dirty_bitmap_record } from "../../../../kernel/index.ts";
import type { ArmLpaeIoPgtable } from "../../io-pgtable-arm.ts";
import type { ArmSmmuDevice } from "../device.ts";
import { ARM_SMMU_FEAT_COHERENCY, ARM_SMMU_FEAT_HD } from "../features.ts";

/** The SMMU can write descriptors, and the CPUs see it. */
export function arm_smmu_dbm_capable(smmu: ArmSmmuDevice): boolean {
  return smmu.has(ARM_SMMU_FEAT_HD) && smmu.has(ARM_SMMU_FEAT_COHERENCY);
}

export function arm_smmu_dirty_ops(pgtbl: ArmLpaeIoPgtable): IommuDirtyOps {
  return {
    // Always on, and the core makes everything clean before.
    set_dirty_tracking: () => 0,
    read_and_clear_dirty: (iova, size, flags, dirty) =>
      pgtbl.read_and_clear_dirty(iova, size, (flags & IOMMU_DIRTY_NO_CLEAR) === 0, (page, bytes) =>
        iommu_dirty_bitmap_record(dirty, page, bytes),
      ),
  };
}
