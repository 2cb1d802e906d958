// SPDX-License-Identifier: GPL-2.0-only
/**
 * From whatever state the SMMU is in to translating with this driver's tables, in Linux's order.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_device_reset. Left out: the reset of
 * implementation-specific queues.
 */
import { dev_err, dev_warn, readl, writel, writeq } from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import { FIELD_PREP } from "../../bitfield.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import { arm_smmu_cmdq_issue_cmd_with_sync } from "../queues/cmdq.ts";
import type { ArmSmmuDevice } from "../device.ts";
import { ARM_SMMU_FEAT_ATS, ARM_SMMU_FEAT_E2H, ARM_SMMU_FEAT_HYP } from "../features.ts";
import { arm_smmu_setup_irqs } from "./irq.ts";
import { arm_smmu_device_disable, arm_smmu_update_gbpa, arm_smmu_write_reg_sync } from "./reg-sync.ts";
import { arm_smmu_write_strtab } from "../tables/strtab.ts";

/** Tables and queues are inner shareable, write-back. */
const CR1_VALUE: number =
  FIELD_PREP(R.CR1_TABLE_SH, R.ARM_SMMU_SH_ISH) |
  FIELD_PREP(R.CR1_TABLE_OC, R.CR1_CACHE_WB) |
  FIELD_PREP(R.CR1_TABLE_IC, R.CR1_CACHE_WB) |
  FIELD_PREP(R.CR1_QUEUE_SH, R.ARM_SMMU_SH_ISH) |
  FIELD_PREP(R.CR1_QUEUE_OC, R.CR1_CACHE_WB) |
  FIELD_PREP(R.CR1_QUEUE_IC, R.CR1_CACHE_WB);

/** Sets CR0 and waits for it. @returns 0 or -ETIMEDOUT, after a message that names what did not come up */
function* enable(smmu: ArmSmmuDevice, cr0: number, what: string): Coroutine<number> {
  const ret = yield* arm_smmu_write_reg_sync(smmu, cr0, R.ARM_SMMU_CR0, R.ARM_SMMU_CR0ACK);
  if (ret !== 0) dev_err(smmu.dev, `failed to enable ${what}`);
  return ret;
}

/** Gives the SMMU this driver's command queue. @param enables what stays on beside it @returns 0 or -ETIMEDOUT */
export function* arm_smmu_start_cmdq(smmu: ArmSmmuDevice, enables: number): Coroutine<number> {
  writeq(smmu.base, R.ARM_SMMU_CMDQ_BASE, smmu.cmdq.q_base);
  writel(smmu.base, R.ARM_SMMU_CMDQ_PROD, smmu.cmdq.llq.prod);
  writel(smmu.base, R.ARM_SMMU_CMDQ_CONS, smmu.cmdq.llq.cons);
  return yield* enable(smmu, enables | R.CR0_CMDQEN, "command queue");
}

/** Forgets what was cached before. What a failed wait means was said by the queue. */
export function* arm_smmu_invalidate_all(smmu: ArmSmmuDevice): Coroutine<void> {
  yield* arm_smmu_cmdq_issue_cmd_with_sync(smmu, { opcode: R.CMDQ_OP_CFGI_ALL });
  if (smmu.has(ARM_SMMU_FEAT_HYP)) yield* arm_smmu_cmdq_issue_cmd_with_sync(smmu, { opcode: R.CMDQ_OP_TLBI_EL2_ALL });
  yield* arm_smmu_cmdq_issue_cmd_with_sync(smmu, { opcode: R.CMDQ_OP_TLBI_NSNH_ALL });
}

/** @returns 0, or -ETIMEDOUT when a step is not acknowledged */
export function* arm_smmu_device_reset(smmu: ArmSmmuDevice): Coroutine<number> {
  // An SMMU found running (kexec, kdump) serves tables that are gone: let nothing through while it is off.
  if ((readl(smmu.base, R.ARM_SMMU_CR0) & R.CR0_SMMUEN) !== 0) {
    dev_warn(smmu.dev, "SMMU currently enabled! Resetting...");
    yield* arm_smmu_update_gbpa(smmu, R.GBPA_ABORT, 0);
  }
  let ret = yield* arm_smmu_device_disable(smmu);
  if (ret !== 0) return ret;

  writel(smmu.base, R.ARM_SMMU_CR1, CR1_VALUE);
  writel(smmu.base, R.ARM_SMMU_CR2, R.CR2_PTM | R.CR2_RECINVSID | (smmu.has(ARM_SMMU_FEAT_E2H) ? R.CR2_E2H : 0));
  arm_smmu_write_strtab(smmu);

  ret = yield* arm_smmu_start_cmdq(smmu, 0);
  if (ret !== 0) return ret;
  let enables = R.CR0_CMDQEN;
  yield* arm_smmu_invalidate_all(smmu);

  // Event queue.
  writeq(smmu.base, R.ARM_SMMU_EVTQ_BASE, smmu.evtq.q_base);
  writel(smmu.page1, R.ARM_SMMU_EVTQ_PROD, smmu.evtq.llq.prod);
  writel(smmu.page1, R.ARM_SMMU_EVTQ_CONS, smmu.evtq.llq.cons);
  enables |= R.CR0_EVTQEN;
  ret = yield* enable(smmu, enables, "event queue");
  if (ret !== 0) return ret;

  // PRI queue.
  if (smmu.priq !== null) {
    writeq(smmu.base, R.ARM_SMMU_PRIQ_BASE, smmu.priq.q_base);
    writel(smmu.page1, R.ARM_SMMU_PRIQ_PROD, smmu.priq.llq.prod);
    writel(smmu.page1, R.ARM_SMMU_PRIQ_CONS, smmu.priq.llq.cons);
    enables |= R.CR0_PRIQEN;
    ret = yield* enable(smmu, enables, "PRI queue");
    if (ret !== 0) return ret;
  }

  // Translated requests are let through only from streams whose STE allows ATS.
  if (smmu.has(ARM_SMMU_FEAT_ATS)) {
    enables |= R.CR0_ATSCHK;
    ret = yield* enable(smmu, enables, "ATS check");
    if (ret !== 0) return ret;
  }

  ret = yield* arm_smmu_setup_irqs(smmu);
  if (ret !== 0) {
    dev_err(smmu.dev, "failed to set up irqs");
    return ret;
  }

  // Devices of the crashed kernel still run: their faults would only flood this one.
  if (smmu.kernel.bootInfo?.kind === "crash") enables &= ~(R.CR0_EVTQEN | R.CR0_PRIQEN);
  return yield* enable(smmu, enables | R.CR0_SMMUEN, "SMMU interface");
}
