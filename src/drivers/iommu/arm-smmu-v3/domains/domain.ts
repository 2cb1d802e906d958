// SPDX-License-Identifier: GPL-2.0-only
/**
 * Paging domains: an address space with its page table and its tag, stage 1 where the SMMU has it, else stage 2.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_domain_alloc_paging_flags, arm_smmu_domain_finalise
 * and the default domain ops. Left out: 52-bit input addresses, enforced cache coherency,
 * sharing a domain between SMMUs.
 */
import {
  type Device,
  ENOMEM,
  ENOSPC,
  EOPNOTSUPP,
  type IommuDirtyOps,
  type IommuDomain,
  type IommuDomainType,
  type IommuIotlbGather,
  type MapResult,
  NO_PAGES,
  VA_BITS,
  errname,
  iommu_iotlb_gather_add_page,
  iommu_iotlb_gather_add_range,
} from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import { ArmLpaeIoPgtable } from "../../io-pgtable-arm.ts";
import {
  type ArmLpaeS1Cfg,
  type ArmLpaeS2Cfg,
  IO_PGTABLE_QUIRK_ARM_HD,
  IO_PGTABLE_QUIRK_ARM_S2FWB,
  type IoPgtableMemory,
} from "../../io-pgtable.ts";
import { arm_smmu_attach_dev } from "./attach-dev.ts";
import type { ArmSmmuDevice } from "../device.ts";
import { arm_smmu_dirty_ops } from "./dirty.ts";
import { ARM_SMMU_FEAT_COHERENCY, ARM_SMMU_FEAT_NESTING, ARM_SMMU_FEAT_S2FWB, ARM_SMMU_FEAT_TRANS_S1 } from "../features.ts";
import { arm_smmu_domain_inv, arm_smmu_domain_inv_range } from "../invalidation/invalidation.ts";
import { arm_smmu_s1_set_dev_pasid } from "./pasid.ts";
import { ArmSmmuDomain } from "./smmu-domain.ts";

/** Page tables in the kernel's memory; the SMMU may walk them from their allocation to their release. */
function page_table_memory(smmu: ArmSmmuDevice): IoPgtableMemory {
  const { dev } = smmu;
  const { mm, platform } = smmu.kernel;
  return {
    alloc(size) {
      // Mapping never sleeps, whoever maps.
      const pa = mm.alloc_pages(size, dev.name, "page-table", { align: size, atomic: true });
      if (pa === NO_PAGES) return null;
      platform.pages.granted(dev.name, pa, size, "table");
      return pa;
    },
    free(pa, size) {
      platform.pages.revoked(dev.name, pa, size);
      mm.free_pages(pa, size, dev.name);
    },
    read: (pa) => platform.bus.read64(pa),
    write: (pa, descriptor) => platform.bus.write64(pa, descriptor),
  };
}

/** Flags of an allocation. */
export const IOMMU_HWPT_ALLOC_NEST_PARENT = 1;
export const IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 2;
export const IOMMU_HWPT_ALLOC_PASID = 8;

export class ArmSmmuPagingDomain extends ArmSmmuDomain {
  type: IommuDomainType = "unmanaged";
  pgsize_bitmap: number;
  aperture_start = 0;
  aperture_end: number;
  readonly dirty_ops?: IommuDirtyOps;
  readonly #pgtbl: ArmLpaeIoPgtable;

  constructor(smmu: ArmSmmuDevice, stage: "S1" | "S2", id: number, pgtbl: ArmLpaeIoPgtable, nest_parent: boolean) {
    super(smmu, stage, id, nest_parent);
    this.#pgtbl = pgtbl;
    const { pgsize_bitmap, ias } = pgtbl.geometry;
    this.pgsize_bitmap = pgsize_bitmap;
    this.aperture_end = 2 ** ias - 1;
    if (this.hd) this.dirty_ops = arm_smmu_dirty_ops(pgtbl);
  }

  /** The SMMU tells clean pages from dirty ones. */
  get hd(): boolean {
    return ((this.#pgtbl.cfg.quirks ?? 0) & IO_PGTABLE_QUIRK_ARM_HD) !== 0;
  }
  /** Stage 2 forces write-back. */
  get s2fwb(): boolean {
    return ((this.#pgtbl.cfg.quirks ?? 0) & IO_PGTABLE_QUIRK_ARM_S2FWB) !== 0;
  }

  arm_lpae_s1_cfg(): ArmLpaeS1Cfg {
    return this.#pgtbl.arm_lpae_s1_cfg();
  }
  arm_lpae_s2_cfg(): ArmLpaeS2Cfg {
    return this.#pgtbl.arm_lpae_s2_cfg();
  }

  attach_dev(dev: Device, old: IommuDomain | null): Coroutine<number> {
    return arm_smmu_attach_dev(this, dev, old);
  }

  set_dev_pasid(dev: Device, pasid: number, old: IommuDomain | null): Coroutine<number> {
    return arm_smmu_s1_set_dev_pasid(this, dev, pasid, old);
  }

  map_pages(iova: number, pa: number, pgsize: number, count: number, prot: number): MapResult {
    return this.#pgtbl.map_pages(iova, pa, pgsize, count, prot);
  }

  *unmap_pages(iova: number, pgsize: number, count: number, gather: IommuIotlbGather): Coroutine<number> {
    const unmapped = this.#pgtbl.unmap_pages(iova, pgsize, count);
    if (unmapped === 0 || gather.queued) return unmapped;
    yield* iommu_iotlb_gather_add_page(this, gather, iova, pgsize);
    iommu_iotlb_gather_add_range(gather, iova, unmapped);
    return unmapped;
  }

  /** `arm_smmu_iotlb_sync` */
  *iotlb_sync(gather: IommuIotlbGather): Coroutine<void> {
    if (gather.pgsize === 0) return;
    yield* arm_smmu_domain_inv_range(this, gather.start, gather.end - gather.start + 1, gather.pgsize, true);
  }

  /** `arm_smmu_flush_iotlb_all` */
  flush_iotlb_all(): Coroutine<void> {
    return arm_smmu_domain_inv(this);
  }

  /** `arm_smmu_tlb_inv_walk`: the table is freed and descriptors are reused at once, so this waits on the spot, also for a caller that cannot sleep. */
  tlb_flush_walk(iova: number, size: number, granule: number): void {
    this.smmu.kernel.sim.runAtomic(arm_smmu_domain_inv_range(this, iova, size, granule, false));
  }

  iova_to_phys(iova: number): number {
    return this.#pgtbl.iova_to_phys(iova);
  }

  /** `arm_smmu_domain_free_paging`: nothing is attached any more, and the tag was flushed when the last master left. */
  free(): void {
    this.#pgtbl.free();
    if (this.stage === "S1") this.smmu.driver.asids.free(this.id);
    else this.smmu.vmids.free(this.id);
  }
}

/** `arm_smmu_domain_finalise`. @returns the domain or -errno */
function arm_smmu_domain_finalise(smmu: ArmSmmuDevice, stage: "S1" | "S2", flags: number): ArmSmmuPagingDomain | number {
  const nest_parent = flags === IOMMU_HWPT_ALLOC_NEST_PARENT;
  const hd = (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) !== 0 ? IO_PGTABLE_QUIRK_ARM_HD : 0;
  const s2fwb = nest_parent && smmu.has(ARM_SMMU_FEAT_S2FWB) ? IO_PGTABLE_QUIRK_ARM_S2FWB : 0;
  const [ids, bits] = stage === "S1" ? [smmu.driver.asids, smmu.asid_bits] : [smmu.vmids, smmu.vmid_bits];
  const id = ids.alloc(2 ** bits - 1);
  if (id === null) return -ENOSPC;
  let domain: ArmSmmuPagingDomain | null = null;
  const pgtbl = ArmLpaeIoPgtable.alloc(stage === "S1" ? "ARM_64_LPAE_S1" : "ARM_64_LPAE_S2", {
    quirks: hd | s2fwb,
    pgsize_bitmap: smmu.pgsize_bitmap,
    ias: stage === "S1" ? VA_BITS : smmu.oas,
    oas: smmu.oas,
    coherent_walk: smmu.has(ARM_SMMU_FEAT_COHERENCY),
    tlb: { tlb_flush_walk: (iova, size, granule) => domain?.tlb_flush_walk(iova, size, granule) },
    memory: page_table_memory(smmu),
    warn: (message) => smmu.kernel.printk.pr_warn(`WARNING: ${message}`),
  });
  if (pgtbl !== null) return (domain = new ArmSmmuPagingDomain(smmu, stage, id, pgtbl, nest_parent));
  ids.free(id);
  return -ENOMEM;
}

/** The stage that a domain with these flags needs; null: this SMMU has none such. */
function stage_for_flags(smmu: ArmSmmuDevice, flags: number): "S1" | "S2" | null {
  const s1 = smmu.has(ARM_SMMU_FEAT_TRANS_S1);
  switch (flags) {
    case 0:
      return s1 ? "S1" : "S2";
    case IOMMU_HWPT_ALLOC_NEST_PARENT:
      return smmu.has(ARM_SMMU_FEAT_NESTING) ? "S2" : null;
    case IOMMU_HWPT_ALLOC_DIRTY_TRACKING:
    case IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_PASID:
    case IOMMU_HWPT_ALLOC_PASID:
      return s1 ? "S1" : null;
    default:
      return null;
  }
}

/** @returns the domain; -EOPNOTSUPP for flags that the SMMU cannot serve; other -errno */
export function arm_smmu_domain_alloc_paging_flags(smmu: ArmSmmuDevice, flags: number): ArmSmmuPagingDomain | number {
  const stage = stage_for_flags(smmu, flags);
  return stage === null ? -EOPNOTSUPP : arm_smmu_domain_finalise(smmu, stage, flags);
}

/** What stands in for a domain that could not be made: attaching to it gives the error. */
function failed_domain(error: number): IommuDomain {
  return {
    type: "unmanaged",
    pgsize_bitmap: 0,
    aperture_start: 0,
    aperture_end: 0,
    *attach_dev() {
      return error;
    },
  };
}

/** For the IOMMU core, which expects a domain. */
export function arm_smmu_domain_alloc_paging(smmu: ArmSmmuDevice): IommuDomain {
  const domain = arm_smmu_domain_alloc_paging_flags(smmu, 0);
  if (typeof domain !== "number") return domain;
  smmu.kernel.printk.dev_err(smmu.dev, `no domain: ${errname(domain)}`);
  return failed_domain(domain);
}
