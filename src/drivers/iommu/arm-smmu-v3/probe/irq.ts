// SPDX-License-Identifier: GPL-2.0-only
/**
 * Interrupts of the SMMU: the event queue's thread, the global error handler, and how they are wired up.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_evtq_thread, arm_smmu_gerror_handler,
 * arm_smmu_combined_irq_handler, arm_smmu_combined_irq_thread, arm_smmu_setup_msis, arm_smmu_setup_unique_irqs,
 * arm_smmu_setup_irqs. Left out: nothing.
 */
import {
  EOVERFLOW,
  IRQ_HANDLED,
  IRQ_NONE,
  IRQ_WAKE_THREAD,
  Ratelimit,
  type IrqReturn,
  dev_err,
  dev_info,
  dev_warn,
  devm_add_action,
  devm_request_irq,
  devm_request_threaded_irq,
  readl,
  writel,
  writeq,
} from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import { arm_smmu_cmdq_skip_err } from "../queues/cmdq.ts";
import type { ArmSmmuDevice } from "../device.ts";
import { arm_smmu_decode_event, arm_smmu_dump_event, arm_smmu_handle_event } from "../queues/events.ts";
import { ARM_SMMU_FEAT_MSI, ARM_SMMU_FEAT_PRI } from "../features.ts";
import { hex32 } from "../hex.ts";
import { arm_smmu_priq_thread } from "../queues/priq.ts";
import { queue_empty, queue_remove_raw, queue_sync_cons_ovf, queue_sync_prod_in } from "../queues/queue.ts";
import { arm_smmu_device_disable, arm_smmu_write_reg_sync } from "./reg-sync.ts";

/** Empties the event queue, however much comes in meanwhile. */
function* arm_smmu_evtq_thread(smmu: ArmSmmuDevice, ratelimit: Ratelimit): Coroutine<IrqReturn> {
  const q = smmu.evtq;
  do {
    for (let raw = queue_remove_raw(q); raw !== null; raw = queue_remove_raw(q)) {
      const event = arm_smmu_decode_event(smmu, raw);
      smmu.audit?.heard(event);
      if ((yield* arm_smmu_handle_event(smmu, raw, event)) !== 0 && ratelimit.allows()) arm_smmu_dump_event(smmu, raw, event);
    }
    if (queue_sync_prod_in(q) === -EOVERFLOW) dev_err(smmu.dev, "EVTQ overflow detected -- events lost");
  } while (!queue_empty(q.llq));
  queue_sync_cons_ovf(q);
  return IRQ_HANDLED;
}

/** Bits of GERROR that are only reported. */
const GERROR_MESSAGES: readonly (readonly [bit: number, text: string, level: typeof dev_warn])[] = [
  [R.GERROR_MSI_GERROR_ABT_ERR, "GERROR MSI write aborted", dev_warn],
  [R.GERROR_MSI_PRIQ_ABT_ERR, "PRIQ MSI write aborted", dev_warn],
  [R.GERROR_MSI_EVTQ_ABT_ERR, "EVTQ MSI write aborted", dev_warn],
  [R.GERROR_MSI_CMDQ_ABT_ERR, "CMDQ MSI write aborted", dev_warn],
  [R.GERROR_PRIQ_ABT_ERR, "PRIQ write aborted -- events may have been lost", dev_err],
  [R.GERROR_EVTQ_ABT_ERR, "EVTQ write aborted -- events may have been lost", dev_err],
];

/** A hard interrupt handler. A bit of GERROR is active while it differs from GERRORN; writing GERRORN acknowledges. */
export function* arm_smmu_gerror_handler(smmu: ArmSmmuDevice): Coroutine<IrqReturn> {
  const gerror = readl(smmu.base, R.ARM_SMMU_GERROR);
  const gerrorn = readl(smmu.base, R.ARM_SMMU_GERRORN);
  const active = (gerror ^ gerrorn) >>> 0;
  if ((active & R.GERROR_ERR_MASK) === 0) return IRQ_NONE;

  dev_warn(smmu.dev, `unexpected global error reported (${hex32(active)}), this could be serious`);
  if ((active & R.GERROR_SFM_ERR) !== 0) {
    dev_err(smmu.dev, "device has entered Service Failure Mode!");
    yield* arm_smmu_device_disable(smmu);
  }
  for (const [bit, text, print] of GERROR_MESSAGES) if ((active & bit) !== 0) print(smmu.dev, text);
  if ((active & R.GERROR_CMDQ_ERR) !== 0) arm_smmu_cmdq_skip_err(smmu);

  writel(smmu.base, R.ARM_SMMU_GERRORN, gerror);
  return IRQ_HANDLED;
}

/** Offsets of IRQ_CFG0, 1 and 2. */
type MsiConfig = readonly [cfg0: number, cfg1: number, cfg2: number];
const EVTQ_MSI: MsiConfig = [R.ARM_SMMU_EVTQ_IRQ_CFG0, R.ARM_SMMU_EVTQ_IRQ_CFG1, R.ARM_SMMU_EVTQ_IRQ_CFG2];
const GERROR_MSI: MsiConfig = [R.ARM_SMMU_GERROR_IRQ_CFG0, R.ARM_SMMU_GERROR_IRQ_CFG1, R.ARM_SMMU_GERROR_IRQ_CFG2];
const PRIQ_MSI: MsiConfig = [R.ARM_SMMU_PRIQ_IRQ_CFG0, R.ARM_SMMU_PRIQ_IRQ_CFG1, R.ARM_SMMU_PRIQ_IRQ_CFG2];

function arm_smmu_write_msi_msg(smmu: ArmSmmuDevice, cfg: MsiConfig, irq: number): void {
  const { address, data } = smmu.kernel.irq.msi.message(irq);
  writeq(smmu.base, cfg[0], BigInt(address) & R.MSI_CFG0_ADDR_MASK);
  writel(smmu.base, cfg[1], data);
  writel(smmu.base, cfg[2], R.ARM_SMMU_MEMATTR_DEVICE_nGnRE);
}

/** MSIs if the SMMU and the platform have them; else the wired interrupts stay. */
function arm_smmu_setup_msis(smmu: ArmSmmuDevice): void {
  const { kernel, dev } = smmu;
  // Address 0 means no MSI.
  writeq(smmu.base, R.ARM_SMMU_GERROR_IRQ_CFG0, 0n);
  writeq(smmu.base, R.ARM_SMMU_EVTQ_IRQ_CFG0, 0n);
  const pri = smmu.has(ARM_SMMU_FEAT_PRI);
  if (pri) writeq(smmu.base, R.ARM_SMMU_PRIQ_IRQ_CFG0, 0n);
  if (!smmu.has(ARM_SMMU_FEAT_MSI)) return;
  if (dev.of_node?.msiParent === undefined || kernel.irq.msi.frame === null) {
    dev_info(dev, "no MSI domain: using wired interrupts");
    return;
  }
  const vectors = pri ? 3 : 2;
  const irqs = kernel.irq.msi.alloc(dev, vectors);
  if (typeof irqs === "number" || irqs.length < vectors) {
    dev_warn(dev, "failed to allocate MSIs: using wired interrupts");
    return;
  }
  const [evtq_irq = 0, gerr_irq = 0, priq_irq = 0] = irqs;
  arm_smmu_write_msi_msg(smmu, EVTQ_MSI, evtq_irq);
  arm_smmu_write_msi_msg(smmu, GERROR_MSI, gerr_irq);
  smmu.evtq_irq = evtq_irq;
  smmu.gerr_irq = gerr_irq;
  if (pri) arm_smmu_write_msi_msg(smmu, PRIQ_MSI, priq_irq);
  smmu.priq_irq = priq_irq;
  devm_add_action(dev, "arm_smmu_free_msis", () => kernel.irq.msi.free(irqs));
}

function request_evtq_irq(smmu: ArmSmmuDevice): void {
  const { dev } = smmu;
  if (smmu.evtq_irq > 0) {
    const ratelimit = new Ratelimit(smmu.kernel, "arm_smmu_evtq_thread");
    const thread = (): Coroutine<IrqReturn> => arm_smmu_evtq_thread(smmu, ratelimit);
    const ret = devm_request_threaded_irq(dev, smmu.evtq_irq, null, { thread, oneshot: true, name: "arm-smmu-v3-evtq" });
    if (ret < 0) dev_warn(dev, "failed to enable the event queue's interrupt");
  } else {
    dev_warn(dev, "no evtq irq - events will not be reported!");
  }
}

function arm_smmu_setup_unique_irqs(smmu: ArmSmmuDevice): void {
  const { dev } = smmu;
  arm_smmu_setup_msis(smmu);
  if (!smmu.adopted) request_evtq_irq(smmu);
  if (smmu.gerr_irq > 0) {
    const ret = devm_request_irq(dev, smmu.gerr_irq, () => arm_smmu_gerror_handler(smmu), { name: "arm-smmu-v3-gerror" });
    if (ret < 0) dev_warn(dev, "failed to enable the global error interrupt");
  } else {
    dev_warn(dev, "no gerr irq - errors will not be reported!");
  }
  if (smmu.has(ARM_SMMU_FEAT_PRI) && !smmu.adopted) setup_priq_irq(smmu);
}

function setup_priq_irq(smmu: ArmSmmuDevice): void {
  const { dev } = smmu;
  if (smmu.priq_irq === 0) return dev_warn(dev, "no priq irq - PRI will be broken");
  const thread = (): Coroutine<IrqReturn> => arm_smmu_priq_thread(smmu);
  const ret = devm_request_threaded_irq(dev, smmu.priq_irq, null, { thread, oneshot: true, name: "arm-smmu-v3-priq" });
  if (ret < 0) dev_warn(dev, "failed to enable priq irq");
}

/** One interrupt for everything: errors at once, events and page requests in the thread. */
function arm_smmu_setup_combined_irq(smmu: ArmSmmuDevice): void {
  const ratelimit = new Ratelimit(smmu.kernel, "arm_smmu_evtq_thread");
  const ret = devm_request_threaded_irq(
    smmu.dev,
    smmu.combined_irq,
    function* () {
      const handled = yield* arm_smmu_gerror_handler(smmu);
      return smmu.adopted ? handled : IRQ_WAKE_THREAD;
    },
    {
      *thread() {
        yield* arm_smmu_evtq_thread(smmu, ratelimit);
        return yield* arm_smmu_priq_thread(smmu);
      },
      oneshot: true,
      name: "arm-smmu-v3-combined-irq",
    },
  );
  if (ret < 0) dev_warn(smmu.dev, "failed to enable the combined interrupt");
}

/** `arm_smmu_setup_irqs`: off, configured, on. @returns 0 or -ETIMEDOUT */
export function* arm_smmu_setup_irqs(smmu: ArmSmmuDevice): Coroutine<number> {
  const ret = yield* arm_smmu_write_reg_sync(smmu, 0, R.ARM_SMMU_IRQ_CTRL, R.ARM_SMMU_IRQ_CTRLACK);
  if (ret !== 0) {
    dev_err(smmu.dev, "failed to disable irqs");
    return ret;
  }
  if (smmu.combined_irq > 0) arm_smmu_setup_combined_irq(smmu);
  else arm_smmu_setup_unique_irqs(smmu);

  // With an adopted stream table there is no event queue and no PRI queue.
  const queues = R.IRQ_CTRL_EVTQ_IRQEN | (smmu.has(ARM_SMMU_FEAT_PRI) ? R.IRQ_CTRL_PRIQ_IRQEN : 0);
  const enables = R.IRQ_CTRL_GERROR_IRQEN | (smmu.adopted ? 0 : queues);
  if ((yield* arm_smmu_write_reg_sync(smmu, enables, R.ARM_SMMU_IRQ_CTRL, R.ARM_SMMU_IRQ_CTRLACK)) !== 0) {
    dev_warn(smmu.dev, "failed to enable irqs");
  }
  return 0;
}
