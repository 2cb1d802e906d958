// SPDX-License-Identifier: GPL-2.0-only
/**
 * Domains for SubstreamIDs (PASIDs): a context descriptor each, beside the domain of plain DMA. That one may be stage 1, whose
 * STE has the CD table already, or identity or blocked: then the STE becomes one with a CD table, and S1DSS says what happens
 * to plain DMA.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_s1_set_dev_pasid, arm_smmu_set_pasid,
 * arm_smmu_update_ste, arm_smmu_blocking_set_dev_pasid. Left out: nothing.
 */
import { type Device, EINVAL, ENOMEM, type IommuDomain, iommu_driver_get_domain_for_dev } from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import { FIELD_PREP_ULL } from "../../bitfield.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import { arm_smmu_atc_inv_master } from "../masters/ats.ts";
import {
  arm_smmu_attach_commit,
  arm_smmu_attach_prepare,
  arm_smmu_attach_state,
  arm_smmu_install_old_domain_invs,
  arm_smmu_prepare_old_invs,
} from "./attach.ts";
import { arm_smmu_install_ste_for_dev } from "../masters/install.ts";
import { arm_smmu_alloc_cd_ptr, arm_smmu_clear_cd, arm_smmu_ssids_in_use, arm_smmu_write_cd_entry } from "../tables/cd-table.ts";
import { arm_smmu_make_s1_cd } from "../tables/cd.ts";
import type { ArmSmmuPagingDomain } from "./domain.ts";
import { type ArmSmmuMaster, dev_iommu_priv_get } from "../masters/master.ts";
import { type ArmSmmuDomain, arm_smmu_remove_master_domain, to_smmu_domain_devices } from "./smmu-domain.ts";
import { type ArmSmmuEntry, arm_smmu_make_cdtable_ste } from "../tables/ste.ts";

/** Neither has a table that the STE would have to lead to. */
function is_static(domain: IommuDomain | null): domain is IommuDomain {
  return domain?.type === "identity" || domain?.type === "blocked";
}

/** Makes the STE lead to the CD table. One that does has the right S1DSS, and at most EATS changes; either is hitless. */
function* arm_smmu_update_ste(master: ArmSmmuMaster, sid_domain: IommuDomain | null, ats_enabled: boolean): Coroutine<void> {
  const { cd_table } = master;
  if (cd_table === null || (cd_table.in_ste && master.ste_ats_enabled === ats_enabled)) return;
  if (!is_static(sid_domain)) master.smmu.kernel.warn("STE of a paging domain changed for a PASID", master.dev);
  const s1dss = sid_domain?.type === "identity" ? R.STRTAB_STE_1_S1DSS_BYPASS : R.STRTAB_STE_1_S1DSS_TERMINATE;
  yield* arm_smmu_install_ste_for_dev(master, arm_smmu_make_cdtable_ste(master, cd_table, ats_enabled, s1dss));
}

/**
 * Puts one SubstreamID of a master under a domain by the descriptor `cd`. The IOMMU core has checked `ssid`.
 * @param old the domain that the SubstreamID had
 * @returns 0; -EINVAL for a domain of another SMMU, or under a stage-2 domain of plain DMA; -ENOMEM
 */
export function* arm_smmu_set_pasid(
  master: ArmSmmuMaster,
  domain: ArmSmmuDomain,
  ssid: number,
  cd: ArmSmmuEntry,
  old: IommuDomain | null = null,
): Coroutine<number> {
  const sid_domain = iommu_driver_get_domain_for_dev(master.dev);
  if (domain.smmu !== master.smmu) return -EINVAL;
  if (master.cd_table?.in_ste !== true && !is_static(sid_domain)) return -EINVAL;
  const place = yield* arm_smmu_alloc_cd_ptr(master, ssid);
  if (place === null) return -ENOMEM;

  return yield* master.smmu.driver.asid_lock.with(master.dev.name, function* () {
    const state = arm_smmu_attach_state(master, old, ssid);
    const error = yield* arm_smmu_attach_prepare(state, domain);
    if (error !== 0) return error;
    const target = cd.slice();
    // The caller's ASID was read outside the lock.
    target[0] = (cd[0]! & ~R.CTXDESC_CD_0_ASID) | FIELD_PREP_ULL(R.CTXDESC_CD_0_ASID, domain.id);
    yield* arm_smmu_write_cd_entry(master, ssid, place, target);
    yield* arm_smmu_update_ste(master, sid_domain, state.ats_enabled);
    yield* arm_smmu_attach_commit(state);
    return 0;
  });
}

/** `set_dev_pasid` of a paging domain. @returns 0; -EINVAL for stage 2, and as {@link arm_smmu_set_pasid} */
export function* arm_smmu_s1_set_dev_pasid(
  domain: ArmSmmuPagingDomain,
  dev: Device,
  pasid: number,
  old: IommuDomain | null,
): Coroutine<number> {
  const master = dev_iommu_priv_get(dev);
  if (domain.smmu !== master.smmu || domain.stage !== "S1") return -EINVAL;
  return yield* arm_smmu_set_pasid(master, domain, pasid, arm_smmu_make_s1_cd(master, domain.arm_lpae_s1_cfg(), domain.id, domain.hd), old);
}

/**
 * `set_dev_pasid` of the blocked domain: the SubstreamID is given up. When the last one goes, an STE that has a CD table only
 * for them gets its own form back.
 */
export function* arm_smmu_blocking_set_dev_pasid(dev: Device, pasid: number, old_domain: IommuDomain | null): Coroutine<number> {
  const master = dev_iommu_priv_get(dev);
  const old = to_smmu_domain_devices(old_domain);
  yield* master.smmu.driver.asid_lock.with(dev.name, function* () {
    const state = arm_smmu_attach_state(master, old, pasid);
    arm_smmu_prepare_old_invs(state);
    yield* arm_smmu_clear_cd(master, pasid);
    if (master.ats_enabled) yield* arm_smmu_atc_inv_master(master, pasid);
    if (old !== null) yield* arm_smmu_remove_master_domain(old, master, pasid);
    yield* arm_smmu_install_old_domain_invs(state);
  });
  const sid_domain = iommu_driver_get_domain_for_dev(dev);
  if (!arm_smmu_ssids_in_use(master) && is_static(sid_domain) && sid_domain.attach_dev) yield* sid_domain.attach_dev(dev, sid_domain);
  return 0;
}
