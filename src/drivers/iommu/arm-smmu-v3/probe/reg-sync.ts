// SPDX-License-Identifier: GPL-2.0-only
/**
 * Registers whose writes take effect later: CR0 and IRQ_CTRL with their ACK registers, GBPA with its Update bit.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_write_reg_sync, arm_smmu_update_gbpa,
 * arm_smmu_device_disable. Left out: the poll that may run without sleeping (7.3).
 */
import { dev_err, readl, readl_poll, writel } from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import type { ArmSmmuDevice } from "../device.ts";

/** Writes `value` and waits until the acknowledge register shows it. @returns 0 or -ETIMEDOUT */
export function* arm_smmu_write_reg_sync(smmu: ArmSmmuDevice, value: number, reg: number, ack: number): Coroutine<number> {
  writel(smmu.base, reg, value);
  return yield* readl_poll(smmu.base, ack, (v) => v === value, 1, R.ARM_SMMU_POLL_TIMEOUT_US);
}

/** Sets and clears bits of GBPA, which says what happens to transactions while SMMUEN is 0. @returns 0 or -ETIMEDOUT */
export function* arm_smmu_update_gbpa(smmu: ArmSmmuDevice, set: number, clear: number): Coroutine<number> {
  const updated = (v: number): boolean => (v & R.GBPA_UPDATE) === 0;
  const busy = yield* readl_poll(smmu.base, R.ARM_SMMU_GBPA, updated, 1, R.ARM_SMMU_POLL_TIMEOUT_US);
  if (busy !== 0) return busy;
  const reg = ((readl(smmu.base, R.ARM_SMMU_GBPA) & ~clear) | set | R.GBPA_UPDATE) >>> 0;
  writel(smmu.base, R.ARM_SMMU_GBPA, reg);
  const ret = yield* readl_poll(smmu.base, R.ARM_SMMU_GBPA, updated, 1, R.ARM_SMMU_POLL_TIMEOUT_US);
  if (ret !== 0) dev_err(smmu.dev, "GBPA not responding to update");
  return ret;
}

/** Everything off: translation, queues. What transactions meet then is up to GBPA. @returns 0 or -ETIMEDOUT */
export function* arm_smmu_device_disable(smmu: ArmSmmuDevice): Coroutine<number> {
  const ret = yield* arm_smmu_write_reg_sync(smmu, 0, R.ARM_SMMU_CR0, R.ARM_SMMU_CR0ACK);
  if (ret !== 0) dev_err(smmu.dev, "failed to clear cr0");
  return ret;
}
