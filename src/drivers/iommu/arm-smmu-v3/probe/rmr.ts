// SPDX-License-Identifier: GPL-2.0-only
/**
 * StreamIDs whose DMA the firmware began and that must go on: they bypass until their device gets a domain, which has the
 * firmware's regions mapped one to one.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_rmr_install_bypass_ste. Left out: IORT; the ids come
 * from the device tree (kernel/iommu/resv.ts).
 */
import { dev_err, errname, of_iommu_get_rmr_ids } from "../../../../kernel/index.ts";
import type { ArmSmmuDevice } from "../device.ts";
import { hex } from "../hex.ts";
import { arm_smmu_make_bypass_ste } from "../tables/ste.ts";
import { arm_smmu_get_step_for_sid, arm_smmu_init_sid_strtab } from "../tables/strtab.ts";

/** Called when the stream table is there and before the SMMU is given it, so entries are written plainly. */
export function arm_smmu_rmr_install_bypass_ste(smmu: ArmSmmuDevice): void {
  const node = smmu.dev.of_node;
  if (node === null) return;
  for (const sid of of_iommu_get_rmr_ids(smmu.kernel.platform.deviceTree, node)) {
    const error = arm_smmu_init_sid_strtab(smmu, sid);
    if (error !== 0) {
      dev_err(smmu.dev, `RMR SID(${hex(sid)}) bypass failed: ${errname(error)}`);
      continue;
    }
    const { table, offset } = arm_smmu_get_step_for_sid(smmu, sid);
    arm_smmu_make_bypass_ste(smmu.features).forEach((word, index) => table.set64(offset + 8 * index, word));
  }
}
