// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the SMMU can do, from its ID registers in Linux's order: IDR0, IDR1, IDR3, IDR5, IIDR.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_device_hw_probe, arm_smmu_get_httu,
 * arm_smmu_device_iidr_probe; arm-smmu-v3-sva.c: arm_smmu_sva_supported. Left out: what ACPI overrides, big-endian kernels.
 */
import { ENXIO, type PlatformDevice, dev_err, dev_info, dev_warn, dma_set_mask_and_coherent, readl } from "../../../../kernel/index.ts";
import { FIELD_GET, ilog2 } from "../../bitfield.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import type { ArmSmmuDevice } from "../device.ts";
import * as F from "../features.ts";
import { hex32 } from "../hex.ts";

const SZ_4K_SIZES = 0x4020_1000;
const SZ_16K_SIZES = 0x200_4000;
const SZ_64K_SIZES = 0x2001_0000;
const SZ_4T = 2 ** 42;
/** Address bits by IDR5.OAS. */
const OAS_BITS: readonly number[] = [32, 36, 40, 42, 44, 48, 52];

/** Page size and input address bits of this kernel's own tables. */
const PAGE_SIZE = 4096;

/** Simple feature bits of IDR0. */
const IDR0_FEATURES: readonly (readonly [bit: number, feature: number])[] = [
  [R.IDR0_CD2L, F.ARM_SMMU_FEAT_2_LVL_CDTAB],
  [R.IDR0_PRI, F.ARM_SMMU_FEAT_PRI],
  [R.IDR0_ATS, F.ARM_SMMU_FEAT_ATS],
  [R.IDR0_SEV, F.ARM_SMMU_FEAT_SEV],
  [R.IDR0_MSI, F.ARM_SMMU_FEAT_MSI],
  [R.IDR0_S1P, F.ARM_SMMU_FEAT_TRANS_S1],
  [R.IDR0_S2P, F.ARM_SMMU_FEAT_TRANS_S2],
];

function refuse(dev: PlatformDevice, why: string): number {
  dev_err(dev, why);
  return -ENXIO;
}

function probe_idr0(smmu: ArmSmmuDevice): number {
  const { dev } = smmu;
  const reg = readl(smmu.base, R.ARM_SMMU_IDR0);
  const coherent = smmu.has(F.ARM_SMMU_FEAT_COHERENCY);

  if (FIELD_GET(R.IDR0_ST_LVL, reg) === R.IDR0_ST_LVL_2LVL) smmu.features |= F.ARM_SMMU_FEAT_2_LVL_STRTAB;
  for (const [bit, feature] of IDR0_FEATURES) if ((reg & bit) !== 0) smmu.features |= feature;
  if (smmu.kernel.params.configPciAts === false) smmu.features &= ~F.ARM_SMMU_FEAT_ATS;

  switch (FIELD_GET(R.IDR0_TTENDIAN, reg)) {
    case R.IDR0_TTENDIAN_MIXED:
      smmu.features |= F.ARM_SMMU_FEAT_TT_LE | F.ARM_SMMU_FEAT_TT_BE;
      break;
    case R.IDR0_TTENDIAN_LE:
      smmu.features |= F.ARM_SMMU_FEAT_TT_LE;
      break;
    case R.IDR0_TTENDIAN_BE:
      smmu.features |= F.ARM_SMMU_FEAT_TT_BE;
      break;
    default:
      return refuse(dev, "translation table endianness is unknown or unsupported");
  }

  if (smmu.has(F.ARM_SMMU_FEAT_MSI) && coherent && smmu.kernel.params.disableMsiPolling !== true) {
    smmu.options |= F.ARM_SMMU_OPT_MSIPOLL;
  }
  if ((reg & R.IDR0_HYP) !== 0) {
    smmu.features |= F.ARM_SMMU_FEAT_HYP;
    if (smmu.driver.vhe) smmu.features |= F.ARM_SMMU_FEAT_E2H;
  }
  // The device tree has no say in HTTU.
  const httu = FIELD_GET(R.IDR0_HTTU, reg);
  if (httu === R.IDR0_HTTU_ACCESS_DIRTY) smmu.features |= F.ARM_SMMU_FEAT_HD;
  if (httu === R.IDR0_HTTU_ACCESS || httu === R.IDR0_HTTU_ACCESS_DIRTY) smmu.features |= F.ARM_SMMU_FEAT_HA;

  // The firmware's word counts: it knows the whole path to memory.
  if (((reg & R.IDR0_COHACC) !== 0) !== coherent) {
    dev_warn(dev, `IDR0.COHACC overridden by the firmware's configuration (${coherent})`);
  }

  const stall_model = FIELD_GET(R.IDR0_STALL_MODEL, reg);
  if (stall_model === R.IDR0_STALL_MODEL_FORCE) smmu.features |= F.ARM_SMMU_FEAT_STALL_FORCE;
  if (stall_model === R.IDR0_STALL_MODEL_FORCE || stall_model === R.IDR0_STALL_MODEL_STALL) smmu.features |= F.ARM_SMMU_FEAT_STALLS;

  if ((reg & (R.IDR0_S1P | R.IDR0_S2P)) === 0) return refuse(dev, "no translation support");
  if ((FIELD_GET(R.IDR0_TTF, reg) & R.IDR0_TTF_AARCH64) === 0) return refuse(dev, "the AArch64 table format is not supported");
  smmu.asid_bits = (reg & R.IDR0_ASID16) !== 0 ? 16 : 8;
  smmu.vmid_bits = (reg & R.IDR0_VMID16) !== 0 ? 16 : 8;
  return 0;
}

function probe_idr1(smmu: ArmSmmuDevice): number {
  const reg = readl(smmu.base, R.ARM_SMMU_IDR1);
  if ((reg & (R.IDR1_TABLES_PRESET | R.IDR1_QUEUES_PRESET | R.IDR1_REL)) !== 0) {
    return refuse(smmu.dev, "embedded implementations are not supported");
  }
  if ((reg & R.IDR1_ATTR_TYPES_OVR) !== 0) smmu.features |= F.ARM_SMMU_FEAT_ATTR_TYPES_OVR;
  smmu.cmdq_max_n_shift = Math.min(R.CMDQ_MAX_SZ_SHIFT, FIELD_GET(R.IDR1_CMDQS, reg));
  // A full batch and its CMD_SYNC must fit.
  if (smmu.cmdq_max_n_shift <= ilog2(R.CMDQ_BATCH_ENTRIES)) {
    return refuse(smmu.dev, `a command queue of ${R.CMDQ_BATCH_ENTRIES} entries or fewer is not supported`);
  }
  smmu.evtq_max_n_shift = Math.min(R.EVTQ_MAX_SZ_SHIFT, FIELD_GET(R.IDR1_EVTQS, reg));
  smmu.priq_max_n_shift = Math.min(R.PRIQ_MAX_SZ_SHIFT, FIELD_GET(R.IDR1_PRIQS, reg));
  smmu.ssid_bits = FIELD_GET(R.IDR1_SSIDSIZE, reg);
  smmu.sid_bits = FIELD_GET(R.IDR1_SIDSIZE, reg);
  // One level-2 table would cover all: a linear table is as small.
  if (smmu.sid_bits <= R.STRTAB_SPLIT) smmu.features &= ~F.ARM_SMMU_FEAT_2_LVL_STRTAB;
  return 0;
}

function probe_idr3(smmu: ArmSmmuDevice): void {
  const reg = readl(smmu.base, R.ARM_SMMU_IDR3);
  if ((reg & R.IDR3_FWB) !== 0) smmu.features |= F.ARM_SMMU_FEAT_S2FWB;
  if ((reg & R.IDR3_RIL) !== 0) smmu.features |= F.ARM_SMMU_FEAT_RANGE_INV;
  if (FIELD_GET(R.IDR3_BBM, reg) === 2) smmu.features |= F.ARM_SMMU_FEAT_BBML2;
}

function probe_idr5(smmu: ArmSmmuDevice): void {
  const reg = readl(smmu.base, R.ARM_SMMU_IDR5);
  smmu.max_stalls = FIELD_GET(R.IDR5_STALL_MAX, reg);
  if ((reg & R.IDR5_GRAN64K) !== 0) smmu.pgsize_bitmap += SZ_64K_SIZES;
  if ((reg & R.IDR5_GRAN16K) !== 0) smmu.pgsize_bitmap += SZ_16K_SIZES;
  if ((reg & R.IDR5_GRAN4K) !== 0) smmu.pgsize_bitmap += SZ_4K_SIZES;
  if (FIELD_GET(R.IDR5_VAX, reg) === R.IDR5_VAX_52_BIT) smmu.features |= F.ARM_SMMU_FEAT_VAX;
  const oas = OAS_BITS[FIELD_GET(R.IDR5_OAS, reg)];
  if (oas === undefined) dev_info(smmu.dev, "unknown output address size, truncated to 48 bits");
  smmu.oas = oas ?? 48;
  if (smmu.oas === 52) smmu.pgsize_bitmap += SZ_4T;
  if (dma_set_mask_and_coherent(smmu.dev, smmu.oas) !== 0) dev_warn(smmu.dev, "failed to set the DMA mask for table walks");
}

/** Known errata by implementation. */
function arm_smmu_device_iidr_probe(smmu: ArmSmmuDevice): void {
  const reg = readl(smmu.base, R.ARM_SMMU_IIDR);
  if (FIELD_GET(R.IIDR_IMPLEMENTER, reg) !== R.IIDR_IMPLEMENTER_ARM) return;
  const variant = FIELD_GET(R.IIDR_VARIANT, reg);
  const revision = FIELD_GET(R.IIDR_REVISION, reg);
  switch (FIELD_GET(R.IIDR_PRODUCTID, reg)) {
    case R.IIDR_PRODUCTID_ARM_MMU_600:
      // 1076982: the event may come before CONS moved. 1209401: nested translation.
      if (variant === 0 && revision <= 2) smmu.features &= ~F.ARM_SMMU_FEAT_SEV;
      if (variant < 2) smmu.features &= ~F.ARM_SMMU_FEAT_NESTING;
      break;
    case R.IIDR_PRODUCTID_ARM_MMU_700:
      smmu.features &= ~F.ARM_SMMU_FEAT_BTM;
      // 2812531: a batch of 64 may lose its SYNC. 2268618: nested translation.
      if (variant < 1 || revision < 1) {
        smmu.options |= F.ARM_SMMU_OPT_CMDQ_FORCE_SYNC;
        smmu.features &= ~F.ARM_SMMU_FEAT_NESTING;
      }
      break;
    case R.IIDR_PRODUCTID_ARM_MMU_L1:
    case R.IIDR_PRODUCTID_ARM_MMU_S3:
      // 3878312, 3995052.
      smmu.features &= ~F.ARM_SMMU_FEAT_BTM;
      break;
    default:
  }
}

/** Whether the SMMU can walk the tables of processes as the CPUs do, and tag them by the CPUs' ASIDs. */
function arm_smmu_sva_supported(smmu: ArmSmmuDevice): boolean {
  const { cpu } = smmu.driver;
  if (!smmu.has(F.ARM_SMMU_FEAT_COHERENCY)) return false;
  if (cpu.bbml2_noabort && !smmu.has(F.ARM_SMMU_FEAT_BBML2)) return false;
  if ((smmu.pgsize_bitmap & PAGE_SIZE) === 0) return false;
  return smmu.oas >= cpu.pa_bits && smmu.asid_bits >= cpu.asid_bits;
}

/** @returns 0, or -ENXIO for an SMMU that the driver cannot use */
export function arm_smmu_device_hw_probe(smmu: ArmSmmuDevice): number {
  const error = probe_idr0(smmu) || probe_idr1(smmu);
  if (error !== 0) return error;
  probe_idr3(smmu);
  probe_idr5(smmu);
  if (smmu.has(F.ARM_SMMU_FEAT_TRANS_S1) && smmu.has(F.ARM_SMMU_FEAT_TRANS_S2)) smmu.features |= F.ARM_SMMU_FEAT_NESTING;
  arm_smmu_device_iidr_probe(smmu);
  if (arm_smmu_sva_supported(smmu)) smmu.features |= F.ARM_SMMU_FEAT_SVA;
  dev_info(smmu.dev, `oas ${smmu.oas}-bit (features ${hex32(smmu.features)})`);
  return 0;
}
