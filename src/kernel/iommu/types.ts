// SPDX-License-Identifier: GPL-2.0-only
/** What the IOMMU core and an IOMMU driver know of each other, after Linux 7.1 include/linux/iommu.h. Left out: iommufd, dirty tracking. */
import type { Coroutine } from "../../sim/index.ts";
import type { Device } from "../base/device.ts";
import type { IommuDmaCookie } from "../dma/cookie.ts";
import type { DtNode } from "../of/dt.ts";
import type { IommuGroup } from "./group.ts";

/** Protection bits of a mapping. */
export const IOMMU_READ = 1;
export const IOMMU_WRITE = 2;
/** The device's accesses snoop the CPU's caches. */
export const IOMMU_CACHE = 4;
export const IOMMU_NOEXEC = 8;
export const IOMMU_MMIO = 16;
export const IOMMU_PRIV = 32;

/** dma-fq: of the DMA API, with lazy invalidation. sva: a process's address space. nested: stage 1 is the guest's. */
export type IommuDomainType = "dma" | "dma-fq" | "identity" | "blocked" | "unmanaged" | "sva" | "nested";

/** Ranges to invalidate that pile up between an unmap and its sync. `end` is inclusive, as in Linux. */
export interface IommuIotlbGather {
  start: number;
  end: number;
  /** Page size of what was gathered; 0: nothing was. */
  pgsize: number;
  /** Lazy unmapping: the flush queue invalidates later, and nothing need be gathered. Always false in strict mode. */
  queued: boolean;
}

/** What `map_pages` did: 0 or -errno, and the bytes mapped so far. */
export interface MapResult {
  readonly ret: number;
  readonly mapped: number;
}

/** An address space. The core sets `type` and `cookie`; the driver provides the rest. Addresses are numbers below 2^53. */
export interface IommuDomain {
  type: IommuDomainType;
  /** Sum of the page sizes that can be mapped, each a power of two. */
  pgsize_bitmap: number;
  aperture_start: number;
  /** Last address, inclusive. */
  aperture_end: number;
  /** The IOVA allocator of a domain that the DMA API uses, and what goes with it. */
  cookie?: IommuDmaCookie | undefined;
  /** Makes the device use this domain instead of `old`. @returns 0 or -errno */
  attach_dev?(dev: Device, old: IommuDomain | null): Coroutine<number>;
  /** The same for one PASID of the device. */
  set_dev_pasid?(dev: Device, pasid: number, old: IommuDomain | null): Coroutine<number>;
  map_pages?(iova: number, pa: number, pgsize: number, count: number, prot: number): MapResult;
  /** @returns bytes unmapped; a coroutine where taking a table away needs a synchronous invalidation */
  unmap_pages?(iova: number, pgsize: number, count: number, gather: IommuIotlbGather): number | Coroutine<number>;
  /** Invalidates what was gathered and waits for it. */
  iotlb_sync?(gather: IommuIotlbGather): Coroutine<void>;
  /** Invalidates everything of the domain and waits for it. Without it there is no lazy mode. */
  flush_iotlb_all?(): Coroutine<void>;
  /** @returns the physical address, or 0 if the address is not mapped */
  iova_to_phys?(iova: number): number;
  free?(): void;
}

/** A range with its own rules in every address space of a device. */
export interface ResvRegion {
  readonly start: number;
  readonly length: number;
  readonly prot: number;
  /** direct: must stay mapped one to one. reserved: never hand out. msi: hardware MSI window. sw-msi: where software maps doorbells. */
  readonly type: "direct" | "reserved" | "msi" | "sw-msi";
}

/** An IOMMU driver. Functions return 0 or -errno unless they say otherwise. */
export interface IommuOps {
  readonly name: string;
  domain_alloc_paging(dev: Device): IommuDomain;
  readonly identity_domain: IommuDomain;
  readonly blocked_domain: IommuDomain;
  probe_device(dev: Device): number;
  release_device(dev: Device): void | Coroutine<void>;
  device_group(dev: Device): IommuGroup;
  /** Takes one specifier of the device tree: usually `iommu_fwspec_add_ids(dev, args)`. */
  of_xlate(dev: Device, args: readonly number[]): number;
  /** What the driver insists on for this device; undefined: no opinion. */
  def_domain_type?(dev: Device): "dma" | "identity" | undefined;
  get_resv_regions?(dev: Device): ResvRegion[];
  /** The device keeps what an earlier kernel gave it until its driver first maps memory. */
  is_attach_deferred?(dev: Device): boolean;
}

/** Flag of a fwspec: the root complex forwards ATS requests and completions. */
export const IOMMU_FWSPEC_PCI_RC_ATS = 1;

/** Which ids a device has at which IOMMU, as the firmware says. */
export interface IommuFwspec {
  readonly iommu_fwnode: DtNode;
  readonly ids: number[];
  /** IOMMU_FWSPEC_*; undefined: none. */
  flags?: number;
}

/** What hangs at `dev.iommu`. */
export interface DevIommu {
  readonly fwspec: IommuFwspec;
  /** The IOMMU driver's own. */
  priv: unknown;
  /** Prefer IOVAs below 4 GiB for this device until there are none left; PCI devices start so. */
  pci_32bit_workaround: boolean;
  /** Its domain is attached at the first mapping. */
  attach_deferred?: boolean;
  /** The firmware wants memory mapped one to one for it at all times: it cannot be blocked. */
  require_direct?: boolean;
  /** PASIDs that device and IOMMU know, from 0 on; 0 or undefined: it has none. */
  max_pasids?: number;
}
