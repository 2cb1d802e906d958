// SPDX-License-Identifier: GPL-2.0-only
/**
 * The PRI queue: page requests of endpoints. Linux enables PRI at no endpoint behind this SMMU, so whatever comes is unexpected
 * and, when its group is complete, denied.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_priq_thread, arm_smmu_handle_ppr. Left out: nothing.
 */
import { EOVERFLOW, IRQ_HANDLED, type IrqReturn, dev_err, dev_info } from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import { FIELD_GET_ULL } from "../../bitfield.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import { IOMMU_NO_PASID } from "../tables/cd-table.ts";
import { arm_smmu_cmdq_issue_cmd } from "./cmdq.ts";
import type { ArmSmmuDevice } from "../device.ts";
import { hex64 } from "../hex.ts";
import { queue_empty, queue_remove_raw, queue_sync_cons_ovf, queue_sync_prod_in } from "./queue.ts";

/** Letters of the access that a request asks for. */
const PERMISSIONS: readonly (readonly [bit: bigint, letter: string])[] = [
  [R.PRIQ_0_PERM_READ, "R"],
  [R.PRIQ_0_PERM_WRITE, "W"],
  [R.PRIQ_0_PERM_EXEC, "X"],
];

function padded(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, "0")}`;
}

/** One page request. The response to the last of a group is sent without a SYNC: nobody waits for the endpoint. */
function* arm_smmu_handle_ppr(smmu: ArmSmmuDevice, raw: readonly bigint[]): Coroutine<void> {
  const [dw0 = 0n, dw1 = 0n] = raw;
  const sid = FIELD_GET_ULL(R.PRIQ_0_SID, dw0);
  const substream_valid = (dw0 & R.PRIQ_0_SSID_V) !== 0n;
  const ssid = substream_valid ? FIELD_GET_ULL(R.PRIQ_0_SSID, dw0) : IOMMU_NO_PASID;
  const last = (dw0 & R.PRIQ_0_PRG_LAST) !== 0n;
  const grpid = FIELD_GET_ULL(R.PRIQ_1_PRG_IDX, dw1);

  const access = PERMISSIONS.map(([bit, letter]) => ((dw0 & bit) === 0n ? "" : letter)).join("");
  const privileged = (dw0 & R.PRIQ_0_PERM_PRIV) === 0n ? "unprivileged" : "privileged";
  const where = `sid ${padded(sid, 8)}.${padded(ssid, 5)}: [${grpid}${last ? "L" : ""}]`;
  dev_info(smmu.dev, "unexpected PRI request received:");
  dev_info(smmu.dev, `\t${where} ${privileged} ${access} access at iova ${hex64(dw1 & R.PRIQ_1_ADDR_MASK)}`);
  if (last) yield* arm_smmu_cmdq_issue_cmd(smmu, { opcode: R.CMDQ_OP_PRI_RESP, sid, substream_valid, ssid, grpid, resp: R.PRI_RESP_DENY });
}

/** Empties the PRI queue, however much comes in meanwhile. */
export function* arm_smmu_priq_thread(smmu: ArmSmmuDevice): Coroutine<IrqReturn> {
  const q = smmu.priq;
  if (q === null) return IRQ_HANDLED;
  do {
    for (let raw = queue_remove_raw(q); raw !== null; raw = queue_remove_raw(q)) yield* arm_smmu_handle_ppr(smmu, raw);
    if (queue_sync_prod_in(q) === -EOVERFLOW) dev_err(smmu.dev, "PRIQ overflow detected -- requests lost");
  } while (!queue_empty(q.llq));
  queue_sync_cons_ovf(q);
  return IRQ_HANDLED;
}
