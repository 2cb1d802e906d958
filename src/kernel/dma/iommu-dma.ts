// SPDX-License-Identifier: GPL-2.0-only
/**
 * The DMA API on top of an IOMMU domain. In strict mode an unmapped address is invalidated in the IOMMU before the unmap
 * returns; in lazy mode it goes to the flush queue. Either way it is not handed out again before it is invalidated.
 *
 * After Linux 7.1 drivers/iommu/dma-iommu.c: iommu_dma_init_domain, iommu_dma_alloc_iova, iommu_dma_free_iova,
 * __iommu_dma_map, __iommu_dma_unmap, iommu_dma_map_phys, iommu_dma_map_sg, __finalise_sg, iommu_dma_sw_msi. Left out: dma_ranges,
 * `iommu.forcedac`, cache maintenance, the segment limits of dma_set_max_seg_size, peer-to-peer, non-contiguous allocations.
 */
import type { Coroutine } from "../../sim/index.ts";
import type { Device } from "../base/device.ts";
import { ENOMEM } from "../errno.ts";
import { iommu_deferred_attach } from "../iommu/deferred-attach.ts";
import { iommu_iotlb_gather_init, iommu_iotlb_sync, iommu_map, iommu_min_pgsize, iommu_unmap, iommu_unmap_fast } from "../iommu/map.ts";
import { IOMMU_CACHE, IOMMU_MMIO, IOMMU_NOEXEC, IOMMU_READ, IOMMU_WRITE, type IommuDomain } from "../iommu/types.ts";
import type { Kernel } from "../kernel.ts";
import { PciDev } from "../pci/pci-dev.ts";
import { IommuDmaCookie } from "./cookie.ts";
import { FlushQueue } from "./flush-queue.ts";
import type { IovaDomain } from "./iova.ts";
import {
  DMA_BIDIRECTIONAL,
  DMA_BIT_MASK,
  DMA_FROM_DEVICE,
  DMA_MAPPING_ERROR,
  DMA_TO_DEVICE,
  type DmaDataDirection,
  type Scatterlist,
} from "./types.ts";

/** `iommu_get_dma_domain`, if the device's DMA goes through one: null for a device without IOMMU or with pass-through. */
export function iommu_get_dma_domain(dev: Device): IommuDomain | null {
  const domain = dev.iommu_group?.default_domain ?? null;
  return domain?.type === "dma" || domain?.type === "dma-fq" ? domain : null;
}

/**
 * `iommu_dma_init_domain`: the allocator of a default domain, with the ranges kept out that `dev` cannot use. A domain that
 * cannot invalidate everything at once becomes a strict one.
 */
export function iommu_dma_init_domain(domain: IommuDomain, dev: Device): void {
  if (dev.iommu !== null) dev.iommu.pci_32bit_workaround = dev instanceof PciDev;
  if (domain.cookie) return;
  const granule = iommu_min_pgsize(domain);
  const iovad = new IommuDmaCookie(granule, Math.floor(domain.aperture_start / granule));
  domain.cookie = iovad;
  iommu_dma_init_fq(domain, dev.kernel);
  if (dev instanceof PciDev) reserve(iovad, dev.pciBus.bridge.window.base, dev.pciBus.bridge.window.size);
  const instance = dev.iommu === null ? null : dev.kernel.iommu.iommu_from_fwnode(dev.iommu.fwspec.iommu_fwnode);
  for (const region of instance?.ops.get_resv_regions?.(dev) ?? []) {
    // Doorbells are mapped by this very code, at addresses of its own choice.
    if (region.type === "sw-msi") continue;
    reserve(iovad, region.start, region.length);
    if (region.type !== "msi") continue;
    for (let at = region.start; at < region.start + region.length; at += granule) iovad.msi_pages.push({ phys: at, iova: at });
  }
}

/** `iommu_dma_init_fq`, for a domain whose type asks for it. */
export function iommu_dma_init_fq(domain: IommuDomain, kernel: Kernel): void {
  if (domain.type !== "dma-fq" || !domain.cookie) return;
  if (domain.flush_iotlb_all) domain.cookie.fq ??= new FlushQueue(kernel, domain, domain.cookie);
  else domain.type = "dma";
}

/** `iommu_put_dma_cookie`: the domain goes away. */
export function iommu_put_dma_cookie(domain: IommuDomain): void {
  domain.cookie?.fq?.free();
  domain.cookie = undefined;
}

function reserve(iovad: IovaDomain, base: number, size: number): void {
  if (size > 0) iovad.reserve_iova(Math.floor(base / iovad.granule), Math.floor((base + size - 1) / iovad.granule));
}

function cookie(domain: IommuDomain, dev: Device): IommuDmaCookie {
  return domain.cookie ?? dev.kernel.bug(`${dev.name}: its default domain has no IOVA allocator`, dev);
}

/**
 * `iommu_dma_alloc_iova`. PCI devices get addresses below 4 GiB as long as there are any.
 * @param size bytes; @param limit highest address the device can use
 * @returns the address, or 0
 */
function iommu_dma_alloc_iova(domain: IommuDomain, size: number, limit: number, dev: Device): number {
  const iovad = cookie(domain, dev);
  const pages = iovad.pages(size);
  const top = Math.min(limit, domain.aperture_end);
  const pfn = (address: number): number => Math.floor(address / iovad.granule);
  const { iommu } = dev;
  if (iommu?.pci_32bit_workaround && top > DMA_BIT_MASK(32)) {
    const low = iovad.alloc_iova_fast(pages, pfn(DMA_BIT_MASK(32)), false);
    if (low !== 0) return low * iovad.granule;
    iommu.pci_32bit_workaround = false;
    dev.kernel.printk.dev_notice(dev, `Using ${Math.ceil(Math.log2(top))}-bit DMA addresses`);
  }
  return iovad.alloc_iova_fast(pages, pfn(top), true) * iovad.granule;
}

/** `dma_info_to_prot`. */
function protection(dir: DmaDataDirection, dev: Device): number {
  const cache = dev.dma_coherent ? IOMMU_CACHE : 0;
  if (dir === DMA_TO_DEVICE) return cache | IOMMU_READ;
  if (dir === DMA_FROM_DEVICE) return cache | IOMMU_WRITE;
  return cache | IOMMU_READ | IOMMU_WRITE;
}

/** Whole page frames around a piece of memory. */
function span(iovad: IovaDomain, address: number, size: number): { readonly offset: number; readonly length: number } {
  const offset = iovad.offset(address);
  return { offset, length: iovad.pages(size + offset) * iovad.granule };
}

/** `__iommu_dma_map`. The offset inside a page is kept. @returns the DMA address, or {@link DMA_MAPPING_ERROR} */
function map(dev: Device, domain: IommuDomain, pa: number, size: number, prot: number, limit: number): number {
  if (iommu_deferred_attach(dev, domain) !== 0) return DMA_MAPPING_ERROR;
  return map_in(dev, domain, pa, size, prot, limit);
}

/** What mapping is to a domain, attached or not. */
function map_in(dev: Device, domain: IommuDomain, pa: number, size: number, prot: number, limit: number): number {
  const iovad = cookie(domain, dev);
  const { offset, length } = span(iovad, pa, size);
  const iova = iommu_dma_alloc_iova(domain, length, limit, dev);
  if (iova === 0) return DMA_MAPPING_ERROR;
  if (iommu_map(dev.kernel.sim, domain, iova, pa - offset, length, prot) !== 0) {
    iovad.free_iova_fast(iova / iovad.granule, length / iovad.granule);
    return DMA_MAPPING_ERROR;
  }
  return iova + offset;
}

/** Maps for streaming. */
export function iommu_dma_map(dev: Device, domain: IommuDomain, pa: number, size: number, dir: DmaDataDirection): number {
  return map(dev, domain, pa, size, protection(dir, dev), dev.dma_mask);
}

/** Maps coherent memory: the device reads and writes it, and addresses follow the coherent mask. */
export function iommu_dma_map_coherent(dev: Device, domain: IommuDomain, pa: number, size: number): number {
  return map(dev, domain, pa, size, protection(DMA_BIDIRECTIONAL, dev), dev.coherent_dma_mask);
}

/** `__iommu_dma_unmap`: clear, invalidate and wait, and only then let the address be used again; or leave the latter two to the queue. */
export function* iommu_dma_unmap(dev: Device, domain: IommuDomain, dma: number, size: number): Coroutine<void> {
  const iovad = cookie(domain, dev);
  const { offset, length } = span(iovad, dma, size);
  const gather = { ...iommu_iotlb_gather_init(), queued: iovad.fq !== null };
  const unmapped = yield* iommu_unmap_fast(domain, dma - offset, length, gather);
  if (unmapped !== length) dev.kernel.printk.dev_warn(dev, `only ${unmapped} of ${length} bytes were mapped at 0x${dma.toString(16)}`);
  const [pfn, pages] = [(dma - offset) / iovad.granule, length / iovad.granule];
  if (iovad.fq !== null) return yield* iovad.fq.queue_iova(pfn, pages);
  yield* iommu_iotlb_sync(domain, gather);
  iovad.free_iova_fast(pfn, pages);
}

/**
 * `iommu_dma_map_sg`: all pieces in one range of addresses, each in page frames of its own; pieces that meet at a page
 * border become one segment.
 * @returns how many segments the list has for the device, or -ENOMEM
 */
export function iommu_dma_map_sg(dev: Device, domain: IommuDomain, list: readonly Scatterlist[], dir: DmaDataDirection): number {
  const error = iommu_deferred_attach(dev, domain);
  if (error !== 0) return error;
  const iovad = cookie(domain, dev);
  const spans = list.map((piece) => span(iovad, piece.pa, piece.length));
  const total = spans.reduce((sum, { length }) => sum + length, 0);
  const iova = iommu_dma_alloc_iova(domain, total, dev.dma_mask, dev);
  if (iova === 0) return -ENOMEM;
  let at = iova;
  for (const [index, piece] of list.entries()) {
    const { offset, length } = spans[index]!;
    if (iommu_map(dev.kernel.sim, domain, at, piece.pa - offset, length, protection(dir, dev)) !== 0) {
      dev.kernel.sim.runAtomic(iommu_unmap(domain, iova, at - iova));
      iovad.free_iova_fast(iova / iovad.granule, total / iovad.granule);
      return -ENOMEM;
    }
    at += length;
  }
  return finalise_sg(list, spans, iova);
}

/** `__finalise_sg`: DMA addresses and lengths go to the first entries of the list; the rest are void. */
function finalise_sg(list: readonly Scatterlist[], spans: readonly { offset: number; length: number }[], iova: number): number {
  let at = iova;
  let count = 0;
  let open: Scatterlist | null = null;
  for (const [index, piece] of list.entries()) {
    const { offset, length } = spans[index]!;
    if (open !== null && offset === 0 && open.dma_address + open.dma_length === at) {
      open.dma_length += piece.length;
    } else {
      open = list[count++]!;
      open.dma_address = at + offset;
      open.dma_length = piece.length;
    }
    at += length;
  }
  for (const unused of list.slice(count)) Object.assign(unused, { dma_address: DMA_MAPPING_ERROR, dma_length: 0 });
  return count;
}

/**
 * `iommu_dma_sw_msi`: lets the device reach a doorbell. Each doorbell page is mapped once for a domain, for writes of
 * device memory, at an address like any other.
 * @param phys physical address of the doorbell
 * @returns 0, also where nothing need be mapped, or -ENOMEM
 */
export function iommu_dma_prepare_msi(dev: Device, phys: number): number {
  const domain = dev.iommu_group?.domain ?? null;
  const iovad = domain?.cookie;
  if (domain === null || !iovad) return 0;
  const page = phys - iovad.offset(phys);
  if (iovad.msi_pages.some((mapped) => mapped.phys === page)) return 0;
  const iova = map_in(dev, domain, page, iovad.granule, IOMMU_WRITE | IOMMU_NOEXEC | IOMMU_MMIO, dev.dma_mask);
  if (iova === DMA_MAPPING_ERROR) return -ENOMEM;
  iovad.msi_pages.push({ phys: page, iova });
  return 0;
}

/** `msi_msg_set_addr`: the address to program into the device for a doorbell prepared before. */
export function iommu_dma_compose_msi_address(dev: Device, phys: number): number {
  const iovad = dev.iommu_group?.domain?.cookie;
  if (!iovad) return phys;
  const offset = iovad.offset(phys);
  const page = iovad.msi_pages.find((mapped) => mapped.phys === phys - offset);
  return page === undefined ? phys : page.iova + offset;
}
