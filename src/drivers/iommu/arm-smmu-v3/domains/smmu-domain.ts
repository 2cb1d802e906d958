// SPDX-License-Identifier: GPL-2.0-only
/**
 * What every domain with a tag in the TLB has (`struct arm_smmu_domain`), whoever owns its page table: the tag, which
 * masters use it under which SubstreamID, and what to invalidate.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.h: struct arm_smmu_domain, struct arm_smmu_master_domain. Left
 * out: a domain shared by SMMUs, nr_ats_masters, which only the array's predecessor needed.
 */
import type { Device, IommuDomain, IommuDomainType } from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import type { ArmSmmuDevice } from "../device.ts";
import type { ArmSmmuPagingDomain } from "./domain.ts";
import { ArmSmmuInvs } from "../invalidation/invs.ts";
import { arm_smmu_disable_iopf } from "../masters/iopf.ts";
import type { ArmSmmuMaster } from "../masters/master.ts";

/** One use of a domain: by a master, for one SubstreamID (0: plain DMA). */
export interface ArmSmmuMasterDomain {
  readonly master: ArmSmmuMaster;
  readonly ssid: number;
  /** The nested domain through which the master uses its parent. */
  readonly nested?: IommuDomain;
  /** The domain handles the master's page faults. */
  using_iopf?: boolean;
}

/** SVA is stage 1 with a process's table. */
export type ArmSmmuDomainStage = "S1" | "S2" | "SVA";

export abstract class ArmSmmuDomain implements IommuDomain {
  abstract type: IommuDomainType;
  abstract pgsize_bitmap: number;
  abstract aperture_start: number;
  abstract aperture_end: number;
  cookie: IommuDomain["cookie"] = undefined;
  readonly smmu: ArmSmmuDevice;
  readonly stage: ArmSmmuDomainStage;
  /** The VMID of stage 2, else the ASID. */
  readonly id: number;
  /** Guests put their own stage 1 on top. */
  readonly nest_parent: boolean;
  invs: ArmSmmuInvs = new ArmSmmuInvs();
  /** While a domain is attached anew, a use is there twice. */
  readonly devices: ArmSmmuMasterDomain[] = [];

  constructor(smmu: ArmSmmuDevice, stage: ArmSmmuDomainStage, id: number, nest_parent = false) {
    this.smmu = smmu;
    this.stage = stage;
    this.id = id;
    this.nest_parent = nest_parent;
  }
}

/** A guest's stage 1 on a parent's stage 2 (`struct arm_smmu_nested_domain`). */
export abstract class ArmSmmuNestedDomainBase implements IommuDomain {
  type: IommuDomainType = "nested";
  pgsize_bitmap = 0;
  aperture_start = 0;
  aperture_end = 0;
  abstract readonly vsmmu: ArmVsmmu;
}

/** A guest's SMMU on a physical one (`struct arm_vsmmu`). */
export interface ArmVsmmu {
  readonly smmu: ArmSmmuDevice;
  /** The guest's memory. */
  readonly s2_parent: ArmSmmuPagingDomain;
  readonly vmid: number;
  /** The guest's devices by the StreamIDs that it knows them by. */
  readonly vdevs: Map<number, Device>;
  /** Events for the guest; null: it has not asked for them. */
  veventq: bigint[][] | null;
}

/** A device as a guest sees it (`struct arm_smmu_vmaster`). */
export interface ArmSmmuVmaster {
  readonly vsmmu: ArmVsmmu;
  readonly vsid: number;
}

/** The domain that keeps track of invalidations: itself, or the parent of a nested one; null for identity, blocked and none. */
export function to_smmu_domain_devices(domain: IommuDomain | null): ArmSmmuDomain | null {
  if (domain instanceof ArmSmmuNestedDomainBase) return domain.vsmmu.s2_parent;
  return domain instanceof ArmSmmuDomain ? domain : null;
}

/** A use of a domain, which for a nested one is a use of its parent. */
export function arm_smmu_master_domain(master: ArmSmmuMaster, ssid: number, domain: IommuDomain): ArmSmmuMasterDomain {
  return domain instanceof ArmSmmuNestedDomainBase ? { master, ssid, nested: domain } : { master, ssid };
}

/** The use goes, with its page faults; of two equal ones, one. */
export function* arm_smmu_remove_master_domain(domain: IommuDomain, master: ArmSmmuMaster, ssid: number): Coroutine<void> {
  const devices = to_smmu_domain_devices(domain)?.devices ?? [];
  const { nested } = arm_smmu_master_domain(master, ssid, domain);
  const index = devices.findIndex((use) => use.master === master && use.ssid === ssid && use.nested === nested);
  if (index >= 0) yield* arm_smmu_disable_iopf(master, devices.splice(index, 1)[0]);
}
