// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the IOMMU core calls.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_ops. Left out: other capabilities, hw_info, iommufd.
 */
import type { IommuOps } from "../../../kernel/index.ts";
import { arm_smmu_blocked_domain, arm_smmu_identity_domain } from "./domains/attach-dev.ts";
import type { ArmSmmuDriverData } from "./device.ts";
import { arm_smmu_dbm_capable } from "./domains/dirty.ts";
import { arm_smmu_domain_alloc_paging } from "./domains/domain.ts";
import { arm_smmu_page_response } from "./masters/iopf.ts";
import { arm_smmu_is_attach_deferred } from "./probe/kdump.ts";
import {
  arm_smmu_def_domain_type,
  arm_smmu_device_group,
  arm_smmu_get_resv_regions,
  arm_smmu_of_xlate,
  arm_smmu_probe_device,
  arm_smmu_release_device,
  dev_iommu_priv_get,
} from "./masters/master.ts";
import { arm_smmu_sva_domain_alloc } from "./domains/sva.ts";

export function arm_smmu_ops(driver: ArmSmmuDriverData): IommuOps {
  return {
    name: "arm-smmu-v3",
    identity_domain: arm_smmu_identity_domain(),
    blocked_domain: arm_smmu_blocked_domain(),
    domain_alloc_paging: (dev) => arm_smmu_domain_alloc_paging(dev_iommu_priv_get(dev).smmu),
    probe_device: (dev) => arm_smmu_probe_device(driver, dev),
    release_device: arm_smmu_release_device,
    device_group: arm_smmu_device_group,
    of_xlate: arm_smmu_of_xlate,
    def_domain_type: arm_smmu_def_domain_type,
    get_resv_regions: arm_smmu_get_resv_regions,
    is_attach_deferred: arm_smmu_is_attach_deferred,
    capable: (dev) => arm_smmu_dbm_capable(dev_iommu_priv_get(dev).smmu),
    domain_alloc_sva: arm_smmu_sva_domain_alloc,
    page_response: (dev, _fault, response) => arm_smmu_page_response(dev, response),
  };
}
