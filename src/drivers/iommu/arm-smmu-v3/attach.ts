// SPDX-License-Identifier: GPL-2.0-only
/**
 * Putting a master under a domain: which entries are written in which order, so that its DMA meets the old domain or the
 * new one and nothing between. ATS and PASIDs, which make this longer in Linux, are not modelled.
 */
import { type Device, EINVAL, ENOMEM, type IommuDomain } from "../../../kernel/index.ts";
import type { Coroutine } from "../../../sim/index.ts";
import * as R from "./arm-smmu-v3-regs.ts";
import { IOMMU_NO_PASID, arm_smmu_alloc_cd_ptr, arm_smmu_clear_cd, arm_smmu_write_cd_entry } from "./cd-table.ts";
import { arm_smmu_make_s1_cd } from "./cd.ts";
import type { ArmSmmuDevice } from "./device.ts";
import type { ArmSmmuDomain } from "./domain.ts";
import { arm_smmu_tlb_inv_context } from "./invalidation.ts";
import { type ArmSmmuMaster, dev_iommu_priv_get } from "./master.ts";
import {
  type ArmSmmuEntry,
  arm_smmu_make_abort_ste,
  arm_smmu_make_bypass_ste,
  arm_smmu_make_cdtable_ste,
  arm_smmu_make_s2_domain_ste,
} from "./ste.ts";
import { arm_smmu_write_ste } from "./strtab.ts";

function* arm_smmu_install_ste_for_dev(master: ArmSmmuMaster, target: ArmSmmuEntry): Coroutine<void> {
  for (const sid of master.streams) yield* arm_smmu_write_ste(master.smmu, sid, target);
}

/**
 * `arm_smmu_attach_commit`: the old domain loses the master. A tag that nobody uses any more is flushed at once: it may
 * be given to another domain.
 */
function* arm_smmu_attach_commit(master: ArmSmmuMaster, next: ArmSmmuDomain | null): Coroutine<void> {
  const old = master.domain;
  master.domain = next;
  if (old === null || old === next) return;
  old.devices.delete(master);
  if (old.devices.size === 0) yield* arm_smmu_tlb_inv_context(old);
}

/** Stage 1: the descriptor first, then the STE that leads to it. */
function* install_s1(master: ArmSmmuMaster, domain: ArmSmmuDomain): Coroutine<number> {
  const place = yield* arm_smmu_alloc_cd_ptr(master, IOMMU_NO_PASID);
  if (place === null || master.cd_table === null) return -ENOMEM;
  domain.devices.add(master);
  const cd = arm_smmu_make_s1_cd(master, domain.arm_lpae_s1_cfg(), domain.id);
  yield* arm_smmu_write_cd_entry(master, IOMMU_NO_PASID, place, cd);
  yield* arm_smmu_install_ste_for_dev(master, arm_smmu_make_cdtable_ste(master, master.cd_table, false, R.STRTAB_STE_1_S1DSS_SSID0));
  return 0;
}

/** Stage 2: the STE alone; then a descriptor that it left behind is cleared. */
function* install_s2(master: ArmSmmuMaster, domain: ArmSmmuDomain): Coroutine<number> {
  domain.devices.add(master);
  yield* arm_smmu_install_ste_for_dev(master, arm_smmu_make_s2_domain_ste(master, domain.arm_lpae_s2_cfg(), domain.id, false));
  yield* arm_smmu_clear_cd(master, IOMMU_NO_PASID);
  return 0;
}

/** @returns 0, -EINVAL for a domain of another SMMU, -ENOMEM */
export function* arm_smmu_attach_dev(domain: ArmSmmuDomain, dev: Device): Coroutine<number> {
  const master = dev_iommu_priv_get(dev);
  if (domain.smmu !== master.smmu) return -EINVAL;
  return yield* master.smmu.driver.asid_lock.with(dev.name, function* () {
    const ret = domain.stage === "S1" ? yield* install_s1(master, domain) : yield* install_s2(master, domain);
    if (ret === 0) yield* arm_smmu_attach_commit(master, domain);
    return ret;
  });
}

/** `arm_smmu_attach_dev_ste`: identity and blocked need no table. */
function* arm_smmu_attach_dev_ste(dev: Device, make_ste: (smmu: ArmSmmuDevice) => ArmSmmuEntry): Coroutine<number> {
  const master = dev_iommu_priv_get(dev);
  yield* master.smmu.driver.asid_lock.with(dev.name, function* () {
    yield* arm_smmu_install_ste_for_dev(master, make_ste(master.smmu));
    yield* arm_smmu_attach_commit(master, null);
  });
  yield* arm_smmu_clear_cd(master, IOMMU_NO_PASID);
  return 0;
}

/** The static domain in which DMA passes untranslated. */
export function arm_smmu_identity_domain(): IommuDomain {
  return {
    type: "identity",
    pgsize_bitmap: 0,
    aperture_start: 0,
    aperture_end: 0,
    attach_dev: (dev) => arm_smmu_attach_dev_ste(dev, (smmu) => arm_smmu_make_bypass_ste(smmu.features)),
  };
}

/** The static domain in which every DMA is aborted. */
export function arm_smmu_blocked_domain(): IommuDomain {
  return {
    type: "blocked",
    pgsize_bitmap: 0,
    aperture_start: 0,
    aperture_end: 0,
    attach_dev: (dev) => arm_smmu_attach_dev_ste(dev, () => arm_smmu_make_abort_ste()),
  };
}
