// SPDX-License-Identifier: GPL-2.0-only
/**
 * Address translation services: endpoints that ask the SMMU for translations and keep them in a cache of their own (ATC),
 * which has to be invalidated over the link. And PASIDs, which an endpoint may put on its requests.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_ats_supported, arm_smmu_enable_ats,
 * arm_smmu_atc_inv_to_cmd, arm_smmu_atc_inv_master, arm_smmu_enable_pasid, arm_smmu_disable_pasid. Left out: what becomes of an endpoint whose invalidation times out.
 */
import {
  EINVAL,
  IOMMU_FWSPEC_PCI_RC_ATS,
  PciDev,
  dev_err,
  pci_ats_supported,
  pci_disable_pasid,
  pci_enable_ats,
  pci_enable_pasid,
  pci_max_pasids,
  pci_pasid_features,
} from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import { __ffs, ilog2 } from "../../bitfield.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import { IOMMU_NO_PASID } from "../tables/cd-table.ts";
import type { AtcSpan } from "../queues/cmdq-build.ts";
import { type ArmSmmuCmdqBatch, arm_smmu_cmdq_batch_add, arm_smmu_cmdq_batch_submit } from "../queues/cmdq.ts";
import { ARM_SMMU_FEAT_ATS } from "../features.ts";
import type { ArmSmmuMaster } from "./master.ts";

/** ATC invalidations are in pages of 4 KiB, whatever the granule of the tables. */
const INVAL_GRAIN_SIZE = 4096;

/** The SMMU, the root complex (as the firmware says) and the endpoint all have to know ATS. */
export function arm_smmu_ats_supported({ smmu, dev }: ArmSmmuMaster): boolean {
  if (!smmu.has(ARM_SMMU_FEAT_ATS)) return false;
  if (((dev.iommu?.fwspec.flags ?? 0) & IOMMU_FWSPEC_PCI_RC_ATS) === 0) return false;
  return dev instanceof PciDev && pci_ats_supported(dev);
}

/**
 * What a CMD_ATC_INV has to cover: the smallest naturally aligned power of two of pages around the range.
 *
 * Without a SubstreamID the message has no PASID, and drops entries with any PASID too; there is no other way to reach the
 * entries of requests without PASID.
 * @param size 0: everything
 */
export function arm_smmu_atc_inv_to_cmd(ssid: number, iova: number, size: number): AtcSpan {
  const substream_valid = ssid !== IOMMU_NO_PASID;
  if (size === 0) return { substream_valid, ssid, addr: 0, size: R.ATC_INV_SIZE_ALL };
  let page_start = Math.floor(iova / INVAL_GRAIN_SIZE);
  let page_end = Math.floor((iova + size - 1) / INVAL_GRAIN_SIZE);
  let log2_span = 0;
  for (; page_start !== page_end; log2_span++) {
    page_start = Math.floor(page_start / 2);
    page_end = Math.floor(page_end / 2);
  }
  return { substream_valid, ssid, addr: page_start * 2 ** log2_span * INVAL_GRAIN_SIZE, size: log2_span };
}

/** Empties the ATC of a master: entries of one SubstreamID, or all of it for 0. @returns 0 or -ETIMEDOUT */
export function* arm_smmu_atc_inv_master(master: ArmSmmuMaster, ssid: number): Coroutine<number> {
  const batch: ArmSmmuCmdqBatch = [];
  const span = arm_smmu_atc_inv_to_cmd(ssid, 0, 0);
  for (const sid of master.streams) yield* arm_smmu_cmdq_batch_add(master.smmu, batch, { opcode: R.CMDQ_OP_ATC_INV, sid, ...span });
  return yield* arm_smmu_cmdq_batch_submit(master.smmu, batch);
}

/** Lets the endpoint cache translations, in units of the smallest page. Its ATC may hold anything until now: it is emptied first. */
export function* arm_smmu_enable_ats(master: ArmSmmuMaster): Coroutine<void> {
  const { smmu, dev } = master;
  const stu = __ffs(smmu.pgsize_bitmap);
  yield* arm_smmu_atc_inv_master(master, IOMMU_NO_PASID);
  if (!(dev instanceof PciDev) || pci_enable_ats(dev, stu) !== 0) dev_err(dev, `Failed to enable ATS (STU ${stu})`);
}

/** Lets a PCI function put PASIDs on its requests. ATS must be off. @returns 0 or -errno: it has none */
export function arm_smmu_enable_pasid(master: ArmSmmuMaster): number {
  const { dev, smmu } = master;
  if (!(dev instanceof PciDev)) return -EINVAL;
  const features = pci_pasid_features(dev);
  if (features < 0) return features;
  const num_pasids = pci_max_pasids(dev);
  const ret = pci_enable_pasid(dev, features);
  if (ret !== 0) {
    dev_err(dev, "Failed to enable PASID");
    return ret;
  }
  master.ssid_bits = Math.min(ilog2(num_pasids), smmu.ssid_bits);
  return 0;
}

/** After ATS went off. */
export function arm_smmu_disable_pasid(master: ArmSmmuMaster): void {
  if (!(master.dev instanceof PciDev) || !master.dev.pasid_enabled) return;
  master.ssid_bits = 0;
  pci_disable_pasid(master.dev);
}
