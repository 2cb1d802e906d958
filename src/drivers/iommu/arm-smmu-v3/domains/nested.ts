// SPDX-License-Identifier: GPL-2.0-only
/**
 * Nested domains: a guest gives the first two words of an STE, which lead to its own context descriptors; the host adds its
 * stage 2 below.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3-iommufd.c: arm_smmu_make_nested_domain_ste,
 * arm_smmu_attach_dev_nested, arm_smmu_attach_prepare_vmaster, arm_smmu_validate_vste, arm_vsmmu_alloc_domain_nested. Left
 * out: iommufd, so that a guest's SMMU is an object that the caller holds (vsmmu.ts).
 */
import { type Device, EBUSY, EINVAL, EIO, ENOENT, type IommuDomain } from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import { FIELD_GET_ULL, FIELD_PREP_ULL } from "../../bitfield.ts";
import type { ArmLpaeS2Cfg } from "../../io-pgtable.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import { type ArmSmmuAttachState, arm_smmu_attach_commit, arm_smmu_attach_prepare, arm_smmu_attach_state } from "./attach.ts";
import { arm_smmu_install_ste_for_dev } from "../masters/install.ts";
import { IOMMU_NO_PASID, arm_smmu_ssids_in_use } from "../tables/cd-table.ts";
import { dev_iommu_priv_get } from "../masters/master.ts";
import { ArmSmmuNestedDomainBase, type ArmVsmmu } from "./smmu-domain.ts";
import { type ArmSmmuEntry, type SteMaster, arm_smmu_make_abort_ste, arm_smmu_make_s2_domain_ste } from "../tables/ste.ts";

/** The first two words of a guest's STE. */
export type ArmSmmuVste = readonly [bigint, bigint];

/** What a guest may say in them. */
const NESTING_ALLOWED: ArmSmmuVste = [
  R.STRTAB_STE_0_V | R.STRTAB_STE_0_CFG | R.STRTAB_STE_0_S1FMT | R.STRTAB_STE_0_S1CTXPTR_MASK | R.STRTAB_STE_0_S1CDMAX,
  R.STRTAB_STE_1_S1DSS | R.STRTAB_STE_1_S1CIR | R.STRTAB_STE_1_S1COR | R.STRTAB_STE_1_S1CSH | R.STRTAB_STE_1_S1STALLD | R.STRTAB_STE_1_EATS,
];

/** Stage 2 as an STE describes it. */
export interface Stage2 {
  arm_lpae_s2_cfg(): ArmLpaeS2Cfg;
  readonly id: number;
  readonly s2fwb: boolean;
}

function config(vste: ArmSmmuVste): number {
  return (vste[0] & R.STRTAB_STE_0_V) === 0n ? R.STRTAB_STE_0_CFG_ABORT : FIELD_GET_ULL(R.STRTAB_STE_0_CFG, vste[0]);
}

/**
 * The STE that does what the guest's says, within the parent's stage 2. Events are merged, so that no guest floods the queue.
 * A guest's invalid STE aborts; the event that the guest expects is made up elsewhere.
 */
export function arm_smmu_make_nested_domain_ste(master: SteMaster, parent: Stage2, vste: ArmSmmuVste, ats_enabled: boolean): ArmSmmuEntry {
  const cfg = config(vste);
  if (cfg !== R.STRTAB_STE_0_CFG_S1_TRANS && cfg !== R.STRTAB_STE_0_CFG_BYPASS) return arm_smmu_make_abort_ste();
  const ste = arm_smmu_make_s2_domain_ste(master, parent.arm_lpae_s2_cfg(), parent.id, ats_enabled, parent.s2fwb);
  if (cfg === R.STRTAB_STE_0_CFG_BYPASS) return ste;
  ste[0] = R.STRTAB_STE_0_V | FIELD_PREP_ULL(R.STRTAB_STE_0_CFG, R.STRTAB_STE_0_CFG_NESTED) | (vste[0] & ~R.STRTAB_STE_0_CFG);
  ste[1]! |= vste[1] | R.STRTAB_STE_1_MEV;
  return ste;
}

/** `arm_smmu_validate_vste`. @returns the words without EATS, and whether the guest has ATS on; -EIO: not what a guest may say */
function arm_smmu_validate_vste(vste: ArmSmmuVste): { readonly ste: ArmSmmuVste; readonly enable_ats: boolean } | number {
  if ((vste[0] & R.STRTAB_STE_0_V) === 0n) return { ste: [0n, 0n], enable_ats: false };
  if ((vste[0] & ~NESTING_ALLOWED[0]) !== 0n || (vste[1] & ~NESTING_ALLOWED[1]) !== 0n) return -EIO;
  const cfg = config(vste);
  if (cfg !== R.STRTAB_STE_0_CFG_ABORT && cfg !== R.STRTAB_STE_0_CFG_BYPASS && cfg !== R.STRTAB_STE_0_CFG_S1_TRANS) return -EIO;
  const eats = FIELD_GET_ULL(R.STRTAB_STE_1_EATS, vste[1]);
  if (eats !== R.STRTAB_STE_1_EATS_ABT && eats !== R.STRTAB_STE_1_EATS_TRANS) return -EIO;
  const enable_ats = cfg === R.STRTAB_STE_0_CFG_S1_TRANS && eats === R.STRTAB_STE_1_EATS_TRANS;
  return { ste: [vste[0], vste[1] & ~R.STRTAB_STE_1_EATS], enable_ats };
}

export class ArmSmmuNestedDomain extends ArmSmmuNestedDomainBase {
  readonly vsmmu: ArmVsmmu;
  readonly ste: ArmSmmuVste;
  /** The guest invalidates the ATC. */
  readonly enable_ats: boolean;

  constructor(vsmmu: ArmVsmmu, ste: ArmSmmuVste, enable_ats: boolean) {
    super();
    this.vsmmu = vsmmu;
    this.ste = ste;
    this.enable_ats = enable_ats;
  }

  /** @returns 0; -EINVAL: another SMMU's guest; -EBUSY: the host has SubstreamIDs in use; -ENOENT: a device that the guest does not know */
  *attach_dev(dev: Device, old: IommuDomain | null): Coroutine<number> {
    const { vsmmu, ste, enable_ats } = this;
    const master = dev_iommu_priv_get(dev);
    if (vsmmu.smmu !== master.smmu) return -EINVAL;
    if (arm_smmu_ssids_in_use(master)) return -EBUSY;
    const prepare = (state: ArmSmmuAttachState): number => this.#prepare_vmaster(state);
    const nested = (state: ArmSmmuAttachState): Coroutine<number> => arm_smmu_attach_prepare(state, this);
    return yield* master.smmu.driver.asid_lock.with(dev.name, function* () {
      const state = arm_smmu_attach_state(master, old, IOMMU_NO_PASID);
      // Invalidations of the ATC are the guest's; without them there must be no ATC.
      if (config(ste) === R.STRTAB_STE_0_CFG_S1_TRANS) state.disable_ats = !enable_ats;
      const error = prepare(state) || (yield* nested(state));
      if (error !== 0) return error;
      yield* arm_smmu_install_ste_for_dev(master, arm_smmu_make_nested_domain_ste(master, vsmmu.s2_parent, ste, state.ats_enabled));
      yield* arm_smmu_attach_commit(state);
      return 0;
    });
  }

  /** `arm_smmu_attach_prepare_vmaster`: a device that translates needs the guest's StreamID, for invalidations and events. */
  #prepare_vmaster(state: ArmSmmuAttachState): number {
    const { vsmmu, ste } = this;
    const known = [...vsmmu.vdevs].find(([, dev]) => dev === state.master.dev);
    if (known !== undefined) state.vmaster = { vsmmu, vsid: known[0] };
    else if (FIELD_GET_ULL(R.STRTAB_STE_0_CFG, ste[0]) === R.STRTAB_STE_0_CFG_S1_TRANS) return -ENOENT;
    return 0;
  }
}

/** `arm_vsmmu_alloc_domain_nested`. @returns the domain; -EIO: not what a guest may say */
export function arm_vsmmu_alloc_domain_nested(vsmmu: ArmVsmmu, vste: ArmSmmuVste): ArmSmmuNestedDomain | number {
  const valid = arm_smmu_validate_vste(vste);
  return typeof valid === "number" ? valid : new ArmSmmuNestedDomain(vsmmu, valid.ste, valid.enable_ats);
}
