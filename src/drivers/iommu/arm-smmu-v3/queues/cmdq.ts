// SPDX-License-Identifier: GPL-2.0-only
/**
 * Issuing commands: space, entries, one write of PROD, and waiting for CMD_SYNC.
 *
 * Linux lets many CPUs fill the queue at once and elects one that publishes for all. This kernel has one CPU and issues
 * with interrupts off, so each list is its own owner: what the SMMU and the bus see is the same.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_cmdq_issue_cmdlist, arm_smmu_cmdq_poll_until_sync,
 * arm_smmu_cmdq_poll_until_not_full, arm_smmu_cmdq_batch_add, arm_smmu_cmdq_batch_submit, __arm_smmu_cmdq_skip_err. Left out:
 * the election of an owner, secondary queues.
 */
import { dev_err, local_irq_restore, local_irq_save, readl, writel } from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import { FIELD_GET } from "../../bitfield.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import { type ArmSmmuCmd, type ArmSmmuCmdqEnt, arm_smmu_cmdq_build_cmd } from "./cmdq-build.ts";
import type { ArmSmmuDevice } from "../device.ts";
import { ARM_SMMU_OPT_CMDQ_FORCE_SYNC, ARM_SMMU_OPT_MSIPOLL } from "../features.ts";
import { hex32, hex64 } from "../hex.ts";
import { Q_ENT, queue_consumed, queue_has_space, queue_inc_prod_n, queue_poll, queue_read, queue_write } from "./queue.ts";

/** After so many seconds with interrupts off the watchdog ends the kernel. */
const HARD_LOCKUP_SECONDS = 10;

function read_cons(smmu: ArmSmmuDevice): number {
  return readl(smmu.cmdq.cons_reg.io, smmu.cmdq.cons_reg.offset);
}

/** `arm_smmu_cmdq_build_sync_cmd`: with MSI polling the SYNC's completion overwrites the SYNC itself with zero. */
function arm_smmu_cmdq_build_sync_cmd(smmu: ArmSmmuDevice, prod: number): ArmSmmuCmd {
  const poll_by_msi = (smmu.options & ARM_SMMU_OPT_MSIPOLL) !== 0;
  return arm_smmu_cmdq_build_cmd({
    opcode: R.CMDQ_OP_CMD_SYNC,
    ...(poll_by_msi ? { msiaddr: smmu.cmdq.base_dma + Q_ENT(smmu.cmdq, prod) } : {}),
  });
}

/** Waits until `n` entries are free. A queue that never moves holds the CPU, interrupts off, until the watchdog bites. */
function* arm_smmu_cmdq_poll_until_not_full(smmu: ArmSmmuDevice, n: number): Coroutine<void> {
  const { llq } = smmu.cmdq;
  const has_space = (): boolean => {
    llq.cons = read_cons(smmu);
    return queue_has_space(llq, n);
  };
  for (let seconds = 0; ; seconds++) {
    if ((yield* queue_poll(smmu.kernel, has_space, "space in the command queue")) === 0) return;
    dev_err(smmu.dev, "CMDQ timeout");
    if (seconds + 1 >= HARD_LOCKUP_SECONDS) smmu.kernel.bug("Watchdog detected hard LOCKUP on cpu 0", smmu.dev);
  }
}

/** `arm_smmu_cmdq_poll_until_sync`: waits for the SYNC at `sync_prod`. @returns 0 or -ETIMEDOUT */
function* arm_smmu_cmdq_poll_until_sync(smmu: ArmSmmuDevice, sync_prod: number): Coroutine<number> {
  const { cmdq } = smmu;
  const by_msi = (): boolean => cmdq.base.get32(Q_ENT(cmdq, sync_prod)) === 0;
  const by_cons = (): boolean => {
    cmdq.llq.cons = read_cons(smmu);
    return queue_consumed(cmdq.llq, sync_prod);
  };
  const use_msi = (smmu.options & ARM_SMMU_OPT_MSIPOLL) !== 0;
  const ret = yield* queue_poll(smmu.kernel, use_msi ? by_msi : by_cons, "CMD_SYNC");
  if (ret !== 0) {
    const hwprod = readl(cmdq.prod_reg.io, cmdq.prod_reg.offset);
    const hwcons = read_cons(smmu);
    dev_err(smmu.dev, `CMD_SYNC timeout at ${hex32(sync_prod)} [hwprod ${hex32(hwprod)}, hwcons ${hex32(hwcons)}]`);
  } else if (use_msi) {
    // The SYNC is consumed, and with it everything before.
    cmdq.llq.cons = queue_inc_prod_n({ ...cmdq.llq, prod: sync_prod }, 1);
  }
  return ret;
}

/**
 * Issues commands in order and, with `sync`, a CMD_SYNC after them for which it waits. PROD is written once.
 * @returns 0, or -ETIMEDOUT when the SYNC did not complete within a second
 */
export function* arm_smmu_cmdq_issue_cmdlist(smmu: ArmSmmuDevice, cmds: readonly ArmSmmuCmd[], sync: boolean): Coroutine<number> {
  const { cmdq, kernel } = smmu;
  const n = cmds.length + (sync ? 1 : 0);
  const flags = local_irq_save(kernel);
  try {
    if (!queue_has_space(cmdq.llq, n)) yield* arm_smmu_cmdq_poll_until_not_full(smmu, n);
    cmds.forEach((cmd, i) => queue_write(cmdq, queue_inc_prod_n(cmdq.llq, i), cmd));
    const sync_prod = queue_inc_prod_n(cmdq.llq, cmds.length);
    if (sync) queue_write(cmdq, sync_prod, arm_smmu_cmdq_build_sync_cmd(smmu, sync_prod));
    // dma_wmb(): memory keeps program order here, so the SMMU finds the entries when it sees PROD.
    cmdq.llq.prod = queue_inc_prod_n(cmdq.llq, n);
    writel(cmdq.prod_reg.io, cmdq.prod_reg.offset, cmdq.llq.prod);
    return sync ? yield* arm_smmu_cmdq_poll_until_sync(smmu, sync_prod) : 0;
  } finally {
    local_irq_restore(kernel, flags);
  }
}

/** One command, not waited for. */
export function* arm_smmu_cmdq_issue_cmd(smmu: ArmSmmuDevice, ent: ArmSmmuCmdqEnt): Coroutine<number> {
  return yield* arm_smmu_cmdq_issue_cmdlist(smmu, [arm_smmu_cmdq_build_cmd(ent)], false);
}

/** One command and a CMD_SYNC. @returns 0 or -ETIMEDOUT */
export function* arm_smmu_cmdq_issue_cmd_with_sync(smmu: ArmSmmuDevice, ent: ArmSmmuCmdqEnt): Coroutine<number> {
  return yield* arm_smmu_cmdq_issue_cmdlist(smmu, [arm_smmu_cmdq_build_cmd(ent)], true);
}

/** Commands collected for one list. A new batch is an empty list (`arm_smmu_cmdq_batch_init`). */
export type ArmSmmuCmdqBatch = ArmSmmuCmd[];

/** Adds a command; a full batch is issued first, without waiting. */
export function* arm_smmu_cmdq_batch_add(smmu: ArmSmmuDevice, batch: ArmSmmuCmdqBatch, ent: ArmSmmuCmdqEnt): Coroutine<void> {
  const force_sync = (smmu.options & ARM_SMMU_OPT_CMDQ_FORCE_SYNC) !== 0 && batch.length === R.CMDQ_BATCH_ENTRIES - 1;
  if (force_sync || batch.length === R.CMDQ_BATCH_ENTRIES) yield* arm_smmu_cmdq_issue_cmdlist(smmu, batch.splice(0), force_sync);
  batch.push(arm_smmu_cmdq_build_cmd(ent));
}

/** Issues what is left and waits for all. @returns 0 or -ETIMEDOUT */
export function* arm_smmu_cmdq_batch_submit(smmu: ArmSmmuDevice, batch: ArmSmmuCmdqBatch): Coroutine<number> {
  return yield* arm_smmu_cmdq_issue_cmdlist(smmu, batch.splice(0), true);
}

const CERROR: Readonly<Record<number, string>> = {
  [R.CMDQ_ERR_CERROR_NONE_IDX]: "No error",
  [R.CMDQ_ERR_CERROR_ILL_IDX]: "Illegal command",
  [R.CMDQ_ERR_CERROR_ABT_IDX]: "Abort on command fetch",
  [R.CMDQ_ERR_CERROR_ATC_INV_IDX]: "ATC invalidate timeout",
};

/**
 * `arm_smmu_cmdq_skip_err`: the queue stopped at an error. An illegal command is turned into a CMD_SYNC, which does
 * nothing; the other errors are retried. Only the acknowledge of GERROR.CMDQ_ERR, which follows, restarts the queue.
 */
export function arm_smmu_cmdq_skip_err(smmu: ArmSmmuDevice): void {
  const { cmdq, dev } = smmu;
  const cons = read_cons(smmu);
  const idx = FIELD_GET(R.CMDQ_CONS_ERR, cons);
  dev_err(dev, `CMDQ error (cons ${hex32(cons)}): ${CERROR[idx] ?? "Unknown"}`);
  switch (idx) {
    case R.CMDQ_ERR_CERROR_ABT_IDX:
      dev_err(dev, "retrying command fetch");
      return;
    case R.CMDQ_ERR_CERROR_NONE_IDX:
    case R.CMDQ_ERR_CERROR_ATC_INV_IDX:
      return;
    default:
  }
  dev_err(dev, "skipping command in error state:");
  for (const dword of queue_read(cmdq, cons)) dev_err(dev, `\t${hex64(dword)}`);
  queue_write(cmdq, cons, arm_smmu_cmdq_build_cmd({ opcode: R.CMDQ_OP_CMD_SYNC }));
}
