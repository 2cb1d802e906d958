// SPDX-License-Identifier: GPL-2.0-only
/**
 * Changing the domain of a master, or of one of its SubstreamIDs, in three steps: prepare, the caller's writes of STE and CD,
 * commit. In between both domains invalidate for the master. ATS is off at the endpoint whenever it is off in the STE: it is
 * switched off before the STE changes, and on after it changed and the ATC is empty. All under arm_smmu_asid_lock.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_attach_prepare, arm_smmu_attach_prepare_invs,
 * arm_smmu_master_build_invs, arm_smmu_install_new_domain_invs, arm_smmu_install_old_domain_invs, arm_smmu_attach_commit. Left out: nested domains (vmaster), enforced cache coherency.
 */
import { type IommuDomain, PciDev, pci_disable_ats } from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import { __ffs } from "../../bitfield.ts";
import { arm_smmu_atc_inv_master, arm_smmu_ats_supported, arm_smmu_enable_ats } from "../masters/ats.ts";
import { IOMMU_NO_PASID } from "../tables/cd-table.ts";
import { ARM_SMMU_FEAT_RANGE_INV } from "../features.ts";
import { arm_smmu_inv_flush_iotlb_tag } from "../invalidation/invalidation.ts";
import {
  type ArmSmmuInv,
  ArmSmmuInvs,
  INV_TYPE_ATS,
  INV_TYPE_ATS_FULL,
  INV_TYPE_S1_ASID,
  INV_TYPE_S2_VMID,
  INV_TYPE_S2_VMID_S1_CLEAR,
  arm_smmu_invs_merge,
  arm_smmu_invs_purge,
  arm_smmu_invs_unref,
} from "../invalidation/invs.ts";
import { arm_smmu_enable_iopf } from "../masters/iopf.ts";
import type { ArmSmmuMaster } from "../masters/master.ts";
import {
  type ArmSmmuDomain,
  type ArmSmmuVmaster,
  arm_smmu_master_domain,
  arm_smmu_remove_master_domain,
  to_smmu_domain_devices,
} from "./smmu-domain.ts";

/** `struct arm_smmu_attach_state`. */
export interface ArmSmmuAttachState {
  readonly master: ArmSmmuMaster;
  readonly old_domain: IommuDomain | null;
  readonly ssid: number;
  /** The CD table stays in force for other SubstreamIDs, which may use ATS. */
  readonly cd_needs_ats: boolean;
  /** A guest does not invalidate the ATC, so there must be none. */
  disable_ats: boolean;
  /** The guest's view of the master under a nested domain. */
  vmaster: ArmSmmuVmaster | null;
  /** What the STE has to say in EATS. */
  ats_enabled: boolean;
  /** What the old domain loses. */
  old_invs: ArmSmmuInvs | null;
}

export function arm_smmu_attach_state(
  master: ArmSmmuMaster,
  old_domain: IommuDomain | null,
  ssid: number,
  cd_needs_ats = false,
): ArmSmmuAttachState {
  return { master, old_domain, ssid, cd_needs_ats, disable_ats: false, vmaster: null, ats_enabled: false, old_invs: null };
}

/** What a master adds to the array of a domain that it uses, sorted. */
function arm_smmu_master_build_invs(master: ArmSmmuMaster, ats_enabled: boolean, ssid: number, domain: ArmSmmuDomain): ArmSmmuInvs {
  const { smmu } = master;
  const { id, nest_parent } = domain;
  const entry = { smmu, id, ssid: IOMMU_NO_PASID, pgsize: 0, users: 0 };
  const pgsize = smmu.has(ARM_SMMU_FEAT_RANGE_INV) ? __ffs(domain.pgsize_bitmap) : 0;
  const inv: ArmSmmuInv[] = [{ ...entry, type: domain.stage === "S2" ? INV_TYPE_S2_VMID : INV_TYPE_S1_ASID, pgsize }];
  if (nest_parent) inv.push({ ...entry, type: INV_TYPE_S2_VMID_S1_CLEAR });
  if (ats_enabled) {
    const type = nest_parent ? INV_TYPE_ATS_FULL : INV_TYPE_ATS;
    for (const sid of master.streams) inv.push({ ...entry, type, id: sid, ssid });
  }
  return new ArmSmmuInvs(inv);
}

/** `arm_smmu_attach_prepare_invs`, the half of the old domain: whether it is the new one too, with another state of ATS, or not. */
export function arm_smmu_prepare_old_invs(state: ArmSmmuAttachState): void {
  const { master, ssid } = state;
  const old = to_smmu_domain_devices(state.old_domain);
  if (old !== null) state.old_invs = arm_smmu_master_build_invs(master, master.ats_enabled, ssid, old);
}

/**
 * Decides on ATS, has the master report page faults if the new domain handles them, and makes the new domain invalidate for
 * the master as well. After this the sequence has to be completed.
 * A domain without tags (identity, blocked) is not kept track of, and has no ATS unless the CD table needs it.
 * @returns 0, or -errno and nothing has changed
 */
export function* arm_smmu_attach_prepare(state: ArmSmmuAttachState, new_domain: IommuDomain): Coroutine<number> {
  const { master, ssid } = state;
  const domain = to_smmu_domain_devices(new_domain);
  // An STE that bypasses or aborts denies ATS (IHI 0070 §5.2); a CD table whose S1DSS bypasses does not (§13.6.4).
  if (domain !== null || state.cd_needs_ats) state.ats_enabled = !state.disable_ats && arm_smmu_ats_supported(master);
  arm_smmu_prepare_old_invs(state);
  if (domain !== null) {
    const use = arm_smmu_master_domain(master, ssid, new_domain);
    const error = new_domain.iopf_handler ? yield* arm_smmu_enable_iopf(master, use) : 0;
    if (error !== 0) return error;
    domain.devices.push(use);
    domain.invs = arm_smmu_invs_merge(domain.invs, arm_smmu_master_build_invs(master, state.ats_enabled, ssid, domain));
  }
  // The write has to arrive before the STE turns the endpoint's requests into errors.
  if (!state.ats_enabled && master.ats_enabled && master.dev instanceof PciDev) pci_disable_ats(master.dev);
  return 0;
}

/**
 * The old domain no longer invalidates for the master. A tag that is in no array has to be out of the TLBs: nobody will
 * invalidate it any more, and it may be given to another domain.
 */
export function* arm_smmu_install_old_domain_invs(state: ArmSmmuAttachState): Coroutine<void> {
  const old = to_smmu_domain_devices(state.old_domain);
  const { old_invs } = state;
  if (old === null || old_invs === null) return;
  arm_smmu_invs_unref(old.invs, old_invs);
  const tag = old_invs.inv[0]!;
  if (tag.users === 0) yield* arm_smmu_inv_flush_iotlb_tag(tag);
  old.invs = arm_smmu_invs_purge(old.invs) ?? old.invs;
}

/** After STE and CD: brings the endpoint's ATC to the new translations, and lets the old domain go. */
export function* arm_smmu_attach_commit(state: ArmSmmuAttachState): Coroutine<void> {
  const { master, ssid, ats_enabled, old_domain } = state;
  master.vmaster = state.vmaster;
  if (ats_enabled && !master.ats_enabled) yield* arm_smmu_enable_ats(master);
  // The SMMU translates for the new domain by now, and both domains invalidate.
  else if (ats_enabled) yield* arm_smmu_atc_inv_master(master, ssid);
  else if (master.ats_enabled) yield* arm_smmu_atc_inv_master(master, IOMMU_NO_PASID);

  if (old_domain !== null) yield* arm_smmu_remove_master_domain(old_domain, master, ssid);
  yield* arm_smmu_install_old_domain_invs(state);
  master.ats_enabled = ats_enabled;
}
