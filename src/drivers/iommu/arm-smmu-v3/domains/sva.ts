// SPDX-License-Identifier: GPL-2.0-only
/**
 * Domains whose page table is a process's. The process changes it, and the SMMU hears by an MMU notifier. Their ASIDs are the
 * driver's own, not those of the CPUs, so that no TLBI of a CPU reaches them.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3-sva.c: arm_smmu_sva_domain_alloc, arm_smmu_sva_domain_free,
 * arm_smmu_sva_set_dev_pasid, arm_smmu_mm_arch_invalidate_secondary_tlbs, arm_smmu_mm_release. Left out:
 * arm_smmu_sva_notifier_synchronize. arm_smmu_sva_supported is in hw-probe.ts, arm_smmu_make_sva_cd in cd.ts.
 */
import {
  type Device,
  EINVAL,
  ENOSPC,
  EOPNOTSUPP,
  type IommuDomain,
  type IommuDomainType,
  type MmStruct,
  type MmuNotifier,
  PAGE_SIZE,
  local_irq_restore,
  local_irq_save,
  mmget_not_zero,
  mmput,
  mmu_notifier_put,
  mmu_notifier_register,
} from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import { arm_smmu_get_cd_ptr, arm_smmu_write_cd_entry } from "../tables/cd-table.ts";
import { arm_smmu_make_sva_cd } from "../tables/cd.ts";
import type { ArmSmmuDevice } from "../device.ts";
import { ARM_SMMU_FEAT_SVA } from "../features.ts";
import { arm_smmu_domain_inv, arm_smmu_domain_inv_range } from "../invalidation/invalidation.ts";
import { dev_iommu_priv_get } from "../masters/master.ts";
import { arm_smmu_set_pasid } from "./pasid.ts";
import { ArmSmmuDomain } from "./smmu-domain.ts";

export class ArmSmmuSvaDomain extends ArmSmmuDomain {
  type: IommuDomainType = "sva";
  pgsize_bitmap: number = PAGE_SIZE;
  aperture_start = 0;
  aperture_end = 0;
  readonly mm: MmStruct;
  readonly #mmu_notifier: MmuNotifier;

  constructor(smmu: ArmSmmuDevice, asid: number, mm: MmStruct) {
    super(smmu, "SVA", asid);
    this.mm = mm;
    this.#mmu_notifier = {
      arch_invalidate_secondary_tlbs: (_mm, start, end) => this.#arch_invalidate_secondary_tlbs(start, end),
      release: () => this.#release(),
    };
    mmu_notifier_register(this.#mmu_notifier, mm);
  }

  /** The process holds no lock that its end would need, so it cannot end meanwhile. */
  *set_dev_pasid(dev: Device, pasid: number, old: IommuDomain | null): Coroutine<number> {
    const master = dev_iommu_priv_get(dev);
    if (!master.smmu.has(ARM_SMMU_FEAT_SVA)) return -EOPNOTSUPP;
    if (!mmget_not_zero(this.mm)) return -EINVAL;
    const ret = yield* arm_smmu_set_pasid(master, this, pasid, arm_smmu_make_sva_cd(master, this.mm, this.id), old);
    yield* mmput(this.mm);
    return ret;
  }

  /** Tables may have gone too. */
  *#arch_invalidate_secondary_tlbs(start: number, end: number): Coroutine<void> {
    if (end === Infinity) yield* arm_smmu_domain_inv(this);
    else yield* arm_smmu_domain_inv_range(this, start, end - start, PAGE_SIZE, false);
  }

  /** DMA may go on. The descriptors stay valid, which spares C_BAD_CD events, but translate nothing. */
  *#release(): Coroutine<void> {
    const { kernel } = this.smmu;
    const flags = local_irq_save(kernel);
    try {
      for (const { master, ssid } of this.devices) {
        const place = arm_smmu_get_cd_ptr(master, ssid);
        if (place === null) kernel.warn(`no context descriptor ${ssid} to release`, master.dev);
        else yield* arm_smmu_write_cd_entry(master, ssid, place, arm_smmu_make_sva_cd(master, null, this.id));
      }
    } finally {
      local_irq_restore(kernel, flags);
    }
    yield* arm_smmu_domain_inv(this);
  }

  /** Nothing is attached any more, and the tag was flushed when the last master left. */
  free(): void {
    this.smmu.driver.asids.free(this.id);
    mmu_notifier_put(this.#mmu_notifier, this.mm);
  }
}

/** @returns the domain; -EOPNOTSUPP: this SMMU cannot walk the tables of processes; -ENOSPC: no ASID */
export function* arm_smmu_sva_domain_alloc(dev: Device, mm: MmStruct): Coroutine<IommuDomain | number> {
  const { smmu } = dev_iommu_priv_get(dev);
  if (!smmu.has(ARM_SMMU_FEAT_SVA)) return -EOPNOTSUPP;
  const asid = smmu.driver.asids.alloc(2 ** smmu.asid_bits - 1);
  return asid === null ? -ENOSPC : new ArmSmmuSvaDomain(smmu, asid, mm);
}
