// SPDX-License-Identifier: GPL-2.0-only
/**
 * Stalled accesses as page faults: which masters report theirs to the kernel, and the answer by CMD_RESUME.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_enable_iopf, arm_smmu_disable_iopf,
 * arm_smmu_page_response. Left out: nothing.
 */
import {
  type Device,
  ENODEV,
  EOPNOTSUPP,
  type IommuPageResponse,
  iopf_queue_add_device,
  iopf_queue_remove_device,
} from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import { arm_smmu_cmdq_issue_cmd } from "../queues/cmdq.ts";
import { type ArmSmmuMaster, dev_iommu_priv_get } from "./master.ts";

/** What says that a use of a domain has the master report its faults. */
interface IopfUse {
  using_iopf?: boolean;
}

/**
 * For a domain that handles faults. A master whose accesses do not stall has none to report.
 * @returns 0; -EOPNOTSUPP: with several StreamIDs an answer would not know where to go; other -errno
 */
export function* arm_smmu_enable_iopf(master: ArmSmmuMaster, use: IopfUse): Coroutine<number> {
  if (!master.stall_enabled) return 0;
  if (master.streams.length !== 1) return -EOPNOTSUPP;
  if (master.iopf_refcount === 0) {
    const { iopf } = master.smmu;
    const error = iopf === null ? -ENODEV : yield* iopf_queue_add_device(iopf, master.dev);
    if (error !== 0) return error;
  }
  master.iopf_refcount++;
  use.using_iopf = true;
  return 0;
}

/** Undoes it for one use; with the last one, what waits is refused. */
export function* arm_smmu_disable_iopf(master: ArmSmmuMaster, use: IopfUse | undefined): Coroutine<void> {
  if (use?.using_iopf !== true) return;
  master.iopf_refcount--;
  const { iopf } = master.smmu;
  if (master.iopf_refcount === 0 && iopf !== null) yield* iopf_queue_remove_device(iopf, master.dev);
}

/** Retries the stalled access, or aborts it. No CMD_SYNC: it would not wait for the access. */
export function* arm_smmu_page_response(dev: Device, { grpid, code }: IommuPageResponse): Coroutine<void> {
  const master = dev_iommu_priv_get(dev);
  if (!master.stall_enabled) return dev.kernel.warn("page fault answered of a device that cannot stall", dev);
  const resp = code === "success" ? R.CMDQ_RESUME_0_RESP_RETRY : R.CMDQ_RESUME_0_RESP_ABORT;
  yield* arm_smmu_cmdq_issue_cmd(master.smmu, { opcode: R.CMDQ_OP_RESUME, sid: master.streams[0]!, stag: grpid, resp });
}
