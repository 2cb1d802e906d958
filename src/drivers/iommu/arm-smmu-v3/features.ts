// SPDX-License-Identifier: GPL-2.0-only
/**
 * What hw_probe found (`ARM_SMMU_FEAT_*`) and how the driver was told to behave (`ARM_SMMU_OPT_*`), as bit sets.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.h: struct arm_smmu_device, with its values. Left out:
 * ARM_SMMU_OPT_TEGRA241_CMDQV.
 */

export const ARM_SMMU_FEAT_2_LVL_STRTAB = 0x1;
export const ARM_SMMU_FEAT_2_LVL_CDTAB = 0x2;
export const ARM_SMMU_FEAT_TT_LE = 0x4;
export const ARM_SMMU_FEAT_TT_BE = 0x8;
export const ARM_SMMU_FEAT_PRI = 0x10;
export const ARM_SMMU_FEAT_ATS = 0x20;
export const ARM_SMMU_FEAT_SEV = 0x40;
export const ARM_SMMU_FEAT_MSI = 0x80;
export const ARM_SMMU_FEAT_COHERENCY = 0x100;
export const ARM_SMMU_FEAT_TRANS_S1 = 0x200;
export const ARM_SMMU_FEAT_TRANS_S2 = 0x400;
export const ARM_SMMU_FEAT_STALLS = 0x800;
export const ARM_SMMU_FEAT_HYP = 0x1000;
export const ARM_SMMU_FEAT_STALL_FORCE = 0x2000;
export const ARM_SMMU_FEAT_VAX = 0x4000;
export const ARM_SMMU_FEAT_RANGE_INV = 0x8000;
export const ARM_SMMU_FEAT_BTM = 0x1_0000;
export const ARM_SMMU_FEAT_SVA = 0x2_0000;
export const ARM_SMMU_FEAT_E2H = 0x4_0000;
export const ARM_SMMU_FEAT_NESTING = 0x8_0000;
export const ARM_SMMU_FEAT_ATTR_TYPES_OVR = 0x10_0000;
export const ARM_SMMU_FEAT_HA = 0x20_0000;
export const ARM_SMMU_FEAT_HD = 0x40_0000;
export const ARM_SMMU_FEAT_S2FWB = 0x80_0000;
export const ARM_SMMU_FEAT_BBML2 = 0x100_0000;

export const ARM_SMMU_OPT_SKIP_PREFETCH = 0x1;
export const ARM_SMMU_OPT_PAGE0_REGS_ONLY = 0x2;
export const ARM_SMMU_OPT_MSIPOLL = 0x4;
export const ARM_SMMU_OPT_CMDQ_FORCE_SYNC = 0x8;

export function has_feature(features: number, feature: number): boolean {
  return (features & feature) !== 0;
}
