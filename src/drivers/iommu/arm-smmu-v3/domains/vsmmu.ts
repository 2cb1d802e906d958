// SPDX-License-Identifier: GPL-2.0-only
/**
 * A guest's SMMU: its invalidation commands become commands of the physical one, bound to its VMID and its devices; events of
 * its devices become its events.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3-iommufd.c: arm_smmu_get_viommu_size, arm_vsmmu_init,
 * arm_vsmmu_convert_user_cmd, arm_vsmmu_cache_invalidate, arm_vmaster_report_event. Left out: iommufd itself,
 * arm_smmu_hw_info, what implementations add.
 */
import { type Device, EINVAL, EIO, EOPNOTSUPP, IOMMU_FWSPEC_PCI_RC_CANWBS } from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import { FIELD_GET_ULL, FIELD_PREP_ULL } from "../../bitfield.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import type { ArmSmmuCmd } from "../queues/cmdq-build.ts";
import { arm_smmu_cmdq_issue_cmdlist } from "../queues/cmdq.ts";
import type { ArmSmmuPagingDomain } from "./domain.ts";
import { ARM_SMMU_FEAT_NESTING, ARM_SMMU_FEAT_S2FWB, ARM_SMMU_OPT_CMDQ_FORCE_SYNC } from "../features.ts";
import { dev_iommu_priv_get } from "../masters/master.ts";
import type { ArmSmmuVmaster, ArmVsmmu } from "./smmu-domain.ts";

/**
 * A guest's SMMU for devices behind that of `dev`, with the guest's memory in `parent`.
 * @returns it; -EOPNOTSUPP: no nesting, or a guest could get around the caches; -EINVAL: the memory is another SMMU's
 */
export function arm_vsmmu_init(dev: Device, parent: ArmSmmuPagingDomain): ArmVsmmu | number {
  const { smmu } = dev_iommu_priv_get(dev);
  if (!smmu.has(ARM_SMMU_FEAT_NESTING)) return -EOPNOTSUPP;
  if ((smmu.options & ARM_SMMU_OPT_CMDQ_FORCE_SYNC) !== 0) {
    smmu.kernel.warn("nesting with an SMMU whose batches need a SYNC of their own", smmu.dev);
    return -EOPNOTSUPP;
  }
  const canwbs = ((dev.iommu?.fwspec.flags ?? 0) & IOMMU_FWSPEC_PCI_RC_CANWBS) !== 0;
  if (!canwbs && !smmu.has(ARM_SMMU_FEAT_S2FWB)) return -EOPNOTSUPP;
  if (parent.smmu !== smmu) return -EINVAL;
  return { smmu, s2_parent: parent, vmid: parent.id, vdevs: new Map(), veventq: null };
}

/** A guest's command with its VMID and the physical StreamID. @returns -EIO: no command for guests, or no device of this one */
export function arm_vsmmu_convert_user_cmd(vsmmu: ArmVsmmu, [low, high]: ArmSmmuCmd): ArmSmmuCmd | number {
  const vmid = FIELD_PREP_ULL(R.CMDQ_TLBI_0_VMID, vsmmu.vmid);
  switch (FIELD_GET_ULL(R.CMDQ_0_OP, low)) {
    case R.CMDQ_OP_TLBI_NSNH_ALL:
      return [FIELD_PREP_ULL(R.CMDQ_0_OP, R.CMDQ_OP_TLBI_NH_ALL) | vmid, 0n];
    case R.CMDQ_OP_TLBI_NH_VA:
    case R.CMDQ_OP_TLBI_NH_VAA:
    case R.CMDQ_OP_TLBI_NH_ALL:
    case R.CMDQ_OP_TLBI_NH_ASID:
      return [(low & ~R.CMDQ_TLBI_0_VMID) | vmid, high];
    case R.CMDQ_OP_ATC_INV:
    case R.CMDQ_OP_CFGI_CD:
    case R.CMDQ_OP_CFGI_CD_ALL: {
      const dev = vsmmu.vdevs.get(FIELD_GET_ULL(R.CMDQ_CFGI_0_SID, low));
      if (dev === undefined) return -EIO;
      const sid = dev_iommu_priv_get(dev).streams[0]!;
      return [(low & ~R.CMDQ_CFGI_0_SID) | FIELD_PREP_ULL(R.CMDQ_CFGI_0_SID, sid), high];
    }
    default:
      return -EIO;
  }
}

/**
 * Carries out a guest's commands and waits for them. `handled` counts, as in Linux, also commands before a wrong one that
 * were converted but not issued.
 */
export function* arm_vsmmu_cache_invalidate(
  vsmmu: ArmVsmmu,
  cmds: readonly ArmSmmuCmd[],
): Coroutine<{ readonly ret: number; readonly handled: number }> {
  let block: ArmSmmuCmd[] = [];
  for (const [i, user] of cmds.entries()) {
    const cmd = arm_vsmmu_convert_user_cmd(vsmmu, user);
    if (typeof cmd === "number") return { ret: cmd, handled: i };
    block.push(cmd);
    // With its CMD_SYNC a block is as long as a batch.
    if (i + 1 < cmds.length && block.length < R.CMDQ_BATCH_ENTRIES - 1) continue;
    const ret = yield* arm_smmu_cmdq_issue_cmdlist(vsmmu.smmu, block, true);
    if (ret !== 0) return { ret, handled: i };
    block = [];
  }
  return { ret: 0, handled: cmds.length };
}

/** The record as the guest knows its device. @returns 0; -EOPNOTSUPP: the guest has not asked for events */
export function arm_vmaster_report_event({ vsmmu, vsid }: ArmSmmuVmaster, raw: readonly bigint[]): number {
  if (vsmmu.veventq === null) return -EOPNOTSUPP;
  const [first = 0n, ...rest] = raw;
  vsmmu.veventq.push([(first & ~R.EVTQ_0_SID) | FIELD_PREP_ULL(R.EVTQ_0_SID, vsid), ...rest]);
  return 0;
}
