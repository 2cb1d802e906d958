// SPDX-License-Identifier: GPL-2.0-only
/**
 * Putting a master under a domain for its plain DMA: which entries are written in which order, so that DMA meets the old
 * domain or the new one and nothing between.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_attach_dev, arm_smmu_attach_dev_ste and the identity
 * and blocked domains. Left out: nested domains, which are in nested.ts.
 */
import { type Device, EBUSY, EINVAL, ENOMEM, type IommuDomain } from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import { arm_smmu_attach_commit, arm_smmu_attach_prepare, arm_smmu_attach_state } from "./attach.ts";
import { arm_smmu_install_ste_for_dev } from "../masters/install.ts";
import {
  IOMMU_NO_PASID,
  arm_smmu_alloc_cd_ptr,
  arm_smmu_clear_cd,
  arm_smmu_ssids_in_use,
  arm_smmu_write_cd_entry,
} from "../tables/cd-table.ts";
import { arm_smmu_make_s1_cd } from "../tables/cd.ts";
import type { ArmSmmuDevice } from "../device.ts";
import type { ArmSmmuPagingDomain } from "./domain.ts";
import { dev_iommu_priv_get } from "../masters/master.ts";
import { arm_smmu_blocking_set_dev_pasid } from "./pasid.ts";
import {
  type ArmSmmuEntry,
  arm_smmu_make_abort_ste,
  arm_smmu_make_bypass_ste,
  arm_smmu_make_cdtable_ste,
  arm_smmu_make_s2_domain_ste,
} from "../tables/ste.ts";

/**
 * Stage 1: the descriptor first, then the STE that leads to it. Stage 2: the STE alone; then a descriptor that it left
 * behind is cleared.
 * @returns 0; -EINVAL for a domain of another SMMU; -EBUSY for stage 2 while SubstreamIDs are in use; -ENOMEM
 */
export function* arm_smmu_attach_dev(domain: ArmSmmuPagingDomain, dev: Device, old: IommuDomain | null): Coroutine<number> {
  const master = dev_iommu_priv_get(dev);
  if (domain.smmu !== master.smmu) return -EINVAL;
  if (domain.stage === "S2" && arm_smmu_ssids_in_use(master)) return -EBUSY;
  const place = domain.stage === "S1" ? yield* arm_smmu_alloc_cd_ptr(master, IOMMU_NO_PASID) : null;
  const { cd_table } = master;
  if (domain.stage === "S1" && (place === null || cd_table === null)) return -ENOMEM;

  return yield* master.smmu.driver.asid_lock.with(dev.name, function* () {
    const state = arm_smmu_attach_state(master, old, IOMMU_NO_PASID);
    const error = yield* arm_smmu_attach_prepare(state, domain);
    if (error !== 0) return error;
    if (place !== null && cd_table !== null) {
      const cd = arm_smmu_make_s1_cd(master, domain.arm_lpae_s1_cfg(), domain.id, domain.hd);
      yield* arm_smmu_write_cd_entry(master, IOMMU_NO_PASID, place, cd);
      const ste = arm_smmu_make_cdtable_ste(master, cd_table, state.ats_enabled, R.STRTAB_STE_1_S1DSS_SSID0);
      yield* arm_smmu_install_ste_for_dev(master, ste);
    } else {
      const ste = arm_smmu_make_s2_domain_ste(master, domain.arm_lpae_s2_cfg(), domain.id, state.ats_enabled, domain.s2fwb);
      yield* arm_smmu_install_ste_for_dev(master, ste);
      yield* arm_smmu_clear_cd(master, IOMMU_NO_PASID);
    }
    yield* arm_smmu_attach_commit(state);
    return 0;
  });
}

/** What a static domain makes of plain DMA: by its own STE, or by S1DSS while the CD table is in use. */
interface StaticSte {
  readonly s1dss: number;
  make_ste(smmu: ArmSmmuDevice): ArmSmmuEntry;
}

/** Identity and blocked need no table, but keep that of SubstreamIDs in use, with ATS since those may use it. */
function* arm_smmu_attach_dev_ste(domain: IommuDomain, dev: Device, old: IommuDomain | null, how: StaticSte): Coroutine<number> {
  const master = dev_iommu_priv_get(dev);
  const ret = yield* master.smmu.driver.asid_lock.with(dev.name, function* () {
    const cd_table = arm_smmu_ssids_in_use(master) ? master.cd_table : null;
    const state = arm_smmu_attach_state(master, old, IOMMU_NO_PASID, cd_table !== null);
    const error = yield* arm_smmu_attach_prepare(state, domain);
    if (error !== 0) return error;
    const ste = cd_table === null ? how.make_ste(master.smmu) : arm_smmu_make_cdtable_ste(master, cd_table, state.ats_enabled, how.s1dss);
    yield* arm_smmu_install_ste_for_dev(master, ste);
    yield* arm_smmu_attach_commit(state);
    return 0;
  });
  if (ret !== 0) return ret;
  yield* arm_smmu_clear_cd(master, IOMMU_NO_PASID);
  return 0;
}

const IDENTITY: StaticSte = { s1dss: R.STRTAB_STE_1_S1DSS_BYPASS, make_ste: (smmu) => arm_smmu_make_bypass_ste(smmu.features) };
const BLOCKED: StaticSte = { s1dss: R.STRTAB_STE_1_S1DSS_TERMINATE, make_ste: () => arm_smmu_make_abort_ste() };

/** The static domain in which DMA passes untranslated. */
export function arm_smmu_identity_domain(): IommuDomain {
  return {
    type: "identity",
    pgsize_bitmap: 0,
    aperture_start: 0,
    aperture_end: 0,
    attach_dev(dev, old) {
      return arm_smmu_attach_dev_ste(this, dev, old, IDENTITY);
    },
  };
}

/** The static domain in which every DMA is aborted. A SubstreamID that is put there is given up. */
export function arm_smmu_blocked_domain(): IommuDomain {
  return {
    type: "blocked",
    pgsize_bitmap: 0,
    aperture_start: 0,
    aperture_end: 0,
    attach_dev(dev, old) {
      return arm_smmu_attach_dev_ste(this, dev, old, BLOCKED);
    },
    set_dev_pasid: arm_smmu_blocking_set_dev_pasid,
  };
}
