// SPDX-License-Identifier: GPL-2.0-only
/**
 * The DMA API on top of an IOMMU domain. In strict mode an unmapped address is invalidated in the IOMMU before the unmap
 * returns; in lazy mode it goes to the flush queue. Either way it is not handed out again before it is invalidated.
 *
 * After Linux 7.1 drivers/iommu/dma-iommu.c: iommu_dma_init_domain, iommu_dma_alloc_iova, iommu_dma_free_iova,
 * __iommu_dma_map, __iommu_dma_unmap, iommu_dma_map_phys, iommu_dma_unmap_phys, iommu_dma_map_swiotlb. Left out: dma_ranges,
 * `iommu.forcedac`, cache maintenance, bouncing of unaligned kmalloc buffers, peer-to-peer, non-contiguous allocations.
 */
import type { Coroutine } from "../../sim/index.ts";
import type { Device } from "../base/device.ts";
import { iommu_deferred_attach } from "../iommu/deferred-attach.ts";
import {
  iommu_iotlb_gather_init,
  iommu_iotlb_sync,
  iommu_iova_to_phys,
  iommu_map,
  iommu_min_pgsize,
  iommu_unmap_fast,
} from "../iommu/map.ts";
import { IOMMU_CACHE, IOMMU_READ, IOMMU_WRITE, type IommuDomain } from "../iommu/types.ts";
import type { Kernel } from "../kernel.ts";
import { dev_is_untrusted, PciDev } from "../pci/pci-dev.ts";
import { type DelayedWork, INIT_DELAYED_WORK, schedule_delayed_work } from "../time/workqueue.ts";
import { IommuDmaCookie } from "./cookie.ts";
import { FlushQueue } from "./flush-queue.ts";
import type { IovaRcache, ScheduleTrim } from "./iova-rcache.ts";
import type { IovaDomain } from "./iova.ts";
import { DMA_BIDIRECTIONAL, DMA_BIT_MASK, DMA_FROM_DEVICE, DMA_MAPPING_ERROR, DMA_TO_DEVICE, type DmaDataDirection } from "./types.ts";

/** `use_dma_iommu`: the device's DMA API is this one. What was released under its driver keeps it. */
export function use_dma_iommu(dev: Device): boolean {
  return dev.kernel.iommu.released_while_bound.has(dev) || iommu_get_dma_domain(dev) !== null;
}

/** `iommu_get_dma_domain`, if the device's DMA goes through one: null for a device without IOMMU or with pass-through. */
export function iommu_get_dma_domain(dev: Device): IommuDomain | null {
  if (dev.iommu_group === null && dev.kernel.iommu.released_while_bound.has(dev))
    dev.kernel.bug("Unable to handle kernel NULL pointer dereference: iommu_get_dma_domain of a device without a group", dev);
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
  const iovad = new IommuDmaCookie(granule, Math.floor(domain.aperture_start / granule), trimmer(dev.kernel));
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

/** Depots of the address cache are trimmed by delayed work. */
function trimmer(kernel: Kernel): ScheduleTrim {
  const works = new Map<IovaRcache, DelayedWork>();
  return (rcache, delayMs) => {
    let work = works.get(rcache);
    if (work === undefined) {
      work = INIT_DELAYED_WORK(kernel, "iova_depot_work", function* () {
        rcache.trim();
      });
      works.set(rcache, work);
    }
    schedule_delayed_work(work, delayMs);
  };
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

export function iommu_dma_cookie(domain: IommuDomain, dev: Device): IommuDmaCookie {
  return domain.cookie ?? dev.kernel.bug(`${dev.name}: its default domain has no IOVA allocator`, dev);
}

/**
 * `iommu_dma_alloc_iova`. PCI devices get addresses below 4 GiB as long as there are any.
 * @param size bytes; @param limit highest address the device can use
 * @returns the address, or 0
 */
export function iommu_dma_alloc_iova(domain: IommuDomain, size: number, limit: number, dev: Device): number {
  const iovad = iommu_dma_cookie(domain, dev);
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
export function dma_info_to_prot(dir: DmaDataDirection, dev: Device): number {
  const cache = dev.dma_coherent ? IOMMU_CACHE : 0;
  if (dir === DMA_TO_DEVICE) return cache | IOMMU_READ;
  if (dir === DMA_FROM_DEVICE) return cache | IOMMU_WRITE;
  return cache | IOMMU_READ | IOMMU_WRITE;
}

/** Whole page frames around a piece of memory. */
export function iova_span(iovad: IovaDomain, address: number, size: number): { readonly offset: number; readonly length: number } {
  const offset = iovad.offset(address);
  return { offset, length: iovad.pages(size + offset) * iovad.granule };
}

/** `__iommu_dma_map`. The offset inside a page is kept. @returns the DMA address, or {@link DMA_MAPPING_ERROR} */
function map(dev: Device, domain: IommuDomain, pa: number, size: number, prot: number, limit: number): number {
  if (iommu_deferred_attach(dev, domain) !== 0) return DMA_MAPPING_ERROR;
  return iommu_dma_map_in(dev, domain, pa, size, prot, limit);
}

/** What mapping is to a domain, attached or not. */
export function iommu_dma_map_in(dev: Device, domain: IommuDomain, pa: number, size: number, prot: number, limit: number): number {
  const iovad = iommu_dma_cookie(domain, dev);
  const { offset, length } = iova_span(iovad, pa, size);
  const iova = iommu_dma_alloc_iova(domain, length, limit, dev);
  if (iova === 0) return DMA_MAPPING_ERROR;
  if (iommu_map(dev.kernel.sim, domain, iova, pa - offset, length, prot) !== 0) {
    iovad.free_iova_fast(iova / iovad.granule, length / iovad.granule);
    return DMA_MAPPING_ERROR;
  }
  return iova + offset;
}

/** Whether the DMA API bounces parts of pages for a device behind an IOMMU: what is not trusted sees no byte that is not for it. */
export function dev_use_swiotlb(dev: Device): boolean {
  return dev_is_untrusted(dev);
}

/** `iommu_dma_map_swiotlb`: whole page frames in place of parts of some, with zeros around the buffer. */
function iommu_dma_map_swiotlb(dev: Device, iovad: IommuDmaCookie, pa: number, size: number): number {
  const bounced = dev.kernel.dma.swiotlb.map(dev, pa, size, iovad.granule - 1);
  if (bounced === DMA_MAPPING_ERROR) return bounced;
  const padding = iovad.pages(size) * iovad.granule - size;
  if (padding > 0) dev.kernel.platform.bus.fill(bounced + size, padding, 0);
  return bounced;
}

/** `iommu_dma_map_phys`: maps for streaming. */
export function iommu_dma_map(dev: Device, domain: IommuDomain, pa: number, size: number, dir: DmaDataDirection): number {
  const iovad = iommu_dma_cookie(domain, dev);
  const bounce = dev_use_swiotlb(dev) && (iovad.offset(pa) !== 0 || iovad.offset(size) !== 0);
  const memory = bounce ? iommu_dma_map_swiotlb(dev, iovad, pa, size) : pa;
  if (memory === DMA_MAPPING_ERROR) return memory;
  const iova = map(dev, domain, memory, size, dma_info_to_prot(dir, dev), dev.dma_mask);
  if (iova === DMA_MAPPING_ERROR && bounce) dev.kernel.dma.swiotlb.unmap(dev, memory, size, dir);
  return iova;
}

/** `iommu_dma_unmap_phys`: what was bounced is copied back once the device has lost it. */
export function* iommu_dma_unmap_streaming(
  dev: Device,
  domain: IommuDomain,
  dma: number,
  size: number,
  dir: DmaDataDirection,
): Coroutine<void> {
  const { swiotlb } = dev.kernel.dma;
  // Linux looks the address up in any case; without bounce buffers in use there is nothing to find.
  const pa = swiotlb.used === 0 ? null : iommu_iova_to_phys(domain, dma);
  yield* iommu_dma_unmap(dev, domain, dma, size);
  if (pa !== null) swiotlb.unmap(dev, pa, size, dir);
}

/** Maps coherent memory: the device reads and writes it, and addresses follow the coherent mask. */
export function iommu_dma_map_coherent(dev: Device, domain: IommuDomain, pa: number, size: number): number {
  return map(dev, domain, pa, size, dma_info_to_prot(DMA_BIDIRECTIONAL, dev), dev.coherent_dma_mask);
}

/** `__iommu_dma_unmap`: clear, invalidate and wait, and only then let the address be used again; or leave the latter two to the queue. */
export function* iommu_dma_unmap(dev: Device, domain: IommuDomain, dma: number, size: number): Coroutine<void> {
  const iovad = iommu_dma_cookie(domain, dev);
  const { offset, length } = iova_span(iovad, dma, size);
  const gather = { ...iommu_iotlb_gather_init(), queued: iovad.fq !== null };
  const unmapped = yield* iommu_unmap_fast(domain, dma - offset, length, gather);
  if (unmapped !== length) dev.kernel.printk.dev_warn(dev, `only ${unmapped} of ${length} bytes were mapped at 0x${dma.toString(16)}`);
  const [pfn, pages] = [(dma - offset) / iovad.granule, length / iovad.granule];
  if (iovad.fq !== null) return yield* iovad.fq.queue_iova(pfn, pages);
  yield* iommu_iotlb_sync(domain, gather);
  iovad.free_iova_fast(pfn, pages);
}
