// SPDX-License-Identifier: GPL-2.0-only
/**
 * A crash kernel and the SMMU that it finds running, in the policy `adopt`: the crashed kernel's stream table stays in force,
 * so that DMA in flight goes on as it was, until a driver of this kernel first maps memory for its device. The policy
 * `reset-abort`, Linux 7.1's, is the plain reset (reset.ts): GBPA aborts, and nothing of the old tables is kept.
 *
 * After Nicolin Chen's series "iommu/arm-smmu-v3: Adopt the crashed kernel's stream table for kdump" (v10, 30 August 2026;
 * proposed for drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c, not in Linux 7.1). Left out: ATS stays as it is in CR0, endpoints
 * are not looked at; the check of CR2.E2H, by which the old entries' StreamWorld is read, is this port's own.
 */
import { type Device, dev_err, dev_info, dev_warn, readl, writel } from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import { FIELD_GET_ULL } from "../../bitfield.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import type { ArmSmmuDevice } from "../device.ts";
import { ARM_SMMU_FEAT_COHERENCY, ARM_SMMU_FEAT_E2H } from "../features.ts";
import { arm_smmu_setup_irqs } from "./irq.ts";
import { arm_smmu_kdump_adopt_strtab, NotAdoptable } from "../tables/kdump-strtab.ts";
import { dev_iommu_priv_get } from "../masters/master.ts";
import { arm_smmu_write_reg_sync } from "./reg-sync.ts";
import { arm_smmu_invalidate_all, arm_smmu_start_cmdq } from "./reset.ts";
import { arm_smmu_get_step_for_sid } from "../tables/strtab.ts";

/** Whether there is something to adopt: after a panic, an SMMU that translates and has not failed. */
function found_running(smmu: ArmSmmuDevice): boolean {
  const { base, driver, kernel } = smmu;
  if (driver.kdumpPolicy !== "adopt" || kernel.bootInfo?.kind !== "crash") return false;
  if ((readl(base, R.ARM_SMMU_CR0) & R.CR0_SMMUEN) === 0) return false;
  const active = readl(base, R.ARM_SMMU_GERROR) ^ readl(base, R.ARM_SMMU_GERRORN);
  return (active & R.GERROR_SFM_ERR) === 0;
}

/**
 * Takes the old stream table as this driver's, if there is one that can be believed.
 * @returns false: a table of one's own is needed, and a full reset
 */
export function arm_smmu_kdump_adopt(smmu: ArmSmmuDevice): boolean {
  if (!found_running(smmu)) return false;
  if (!smmu.has(ARM_SMMU_FEAT_COHERENCY)) {
    // Its reads of tables would not see what this CPU has cached, nor the other way round.
    dev_warn(smmu.dev, "kdump: not coherent, the stream table is not adopted; in-flight DMA will be rejected");
    return false;
  }
  try {
    const e2h = (readl(smmu.base, R.ARM_SMMU_CR2) & R.CR2_E2H) !== 0;
    if (e2h !== smmu.has(ARM_SMMU_FEAT_E2H)) throw new NotAdoptable(`CR2.E2H is ${e2h ? 1 : 0}`);
    smmu.strtab = arm_smmu_kdump_adopt_strtab(smmu);
  } catch (error) {
    if (!(error instanceof NotAdoptable)) throw error;
    dev_warn(smmu.dev, `kdump: the stream table is not adopted: ${error.message}; in-flight DMA will be rejected`);
    return false;
  }
  smmu.adopted = true;
  dev_info(smmu.dev, "kdump: adopted the crashed kernel's stream table");
  return true;
}

/**
 * The reset of an adopting kernel: translation never stops. CR1, CR2 and STRTAB_BASE are not written, which would be
 * CONSTRAINED UNPREDICTABLE while SMMUEN is 1. Event and PRI queue stay off: their records would be the old kernel's.
 * @returns 0 or -ETIMEDOUT
 */
export function* arm_smmu_kdump_reset(smmu: ArmSmmuDevice): Coroutine<number> {
  const enables = readl(smmu.base, R.ARM_SMMU_CR0) & (R.CR0_SMMUEN | R.CR0_ATSCHK);
  let ret = yield* arm_smmu_write_reg_sync(smmu, enables, R.ARM_SMMU_CR0, R.ARM_SMMU_CR0ACK);
  if (ret !== 0) {
    dev_err(smmu.dev, "failed to disable the queues");
    return ret;
  }
  // An error of the old command queue would stall the new one.
  const gerror = readl(smmu.base, R.ARM_SMMU_GERROR);
  if (gerror !== readl(smmu.base, R.ARM_SMMU_GERRORN)) writel(smmu.base, R.ARM_SMMU_GERRORN, gerror);

  ret = yield* arm_smmu_start_cmdq(smmu, enables);
  if (ret !== 0) return ret;
  yield* arm_smmu_invalidate_all(smmu);
  ret = yield* arm_smmu_setup_irqs(smmu);
  if (ret !== 0) dev_err(smmu.dev, "failed to set up irqs");
  return ret;
}

/** `is_attach_deferred`: the device has an entry of the crashed kernel that lets something through. */
export function arm_smmu_is_attach_deferred(dev: Device): boolean {
  const { smmu, streams } = dev_iommu_priv_get(dev);
  if (!smmu.adopted) return false;
  return streams.some((sid) => {
    const { table, offset } = arm_smmu_get_step_for_sid(smmu, sid);
    const ste0 = table.get64(offset);
    return (ste0 & R.STRTAB_STE_0_V) !== 0n && FIELD_GET_ULL(R.STRTAB_STE_0_CFG, ste0) !== R.STRTAB_STE_0_CFG_ABORT;
  });
}
