// SPDX-License-Identifier: GPL-2.0-only
/**
 * The DMA API that drivers call: streaming mappings, scatter lists, coherent memory, masks. A device behind an IOMMU with a
 * translated default domain gets IOVAs; any other gets physical addresses. Mapping never waits; unmapping may, for the
 * IOMMU's invalidation.
 *
 * After Linux 7.1 kernel/dma/mapping.c: dma_map_phys, dma_map_sg_attrs, dma_sync_single_for_cpu, dma_alloc_attrs, dma_supported and their like.
 * Left out: cache maintenance, attributes, pools for atomic allocations, syncs of scatter lists.
 */
import type { Coroutine } from "../../sim/index.ts";
import type { BusEvent } from "../base/bus.ts";
import type { Device } from "../base/device.ts";
import { devm_add_action } from "../base/devres.ts";
import { might_sleep } from "../debug/might-sleep.ts";
import { EIO } from "../errno.ts";
import { iommu_iova_to_phys } from "../iommu/map.ts";
import type { Kernel } from "../kernel.ts";
import { KernelBuffer } from "../mm/kernel-buffer.ts";
import { PAGE_ALIGN, PAGE_SIZE } from "../mm/page-allocator.ts";
import { roundup_pow_of_two } from "../mm/ranges.ts";
import type { MemoryKind } from "../ports.ts";
import { DmaDebug, type DmaMapping } from "./debug.ts";
import { dma_direct_map, dma_direct_map_sg, dma_direct_supported, dma_direct_unmap } from "./dma-direct.ts";
import { iommu_dma_map_sg, iommu_dma_unmap_sg } from "./iommu-dma-sg.ts";
import {
  iommu_dma_map,
  iommu_dma_map_coherent,
  iommu_dma_unmap,
  iommu_dma_unmap_streaming,
  iommu_get_dma_domain,
  use_dma_iommu,
} from "./iommu-dma.ts";
import { Swiotlb } from "./swiotlb.ts";
import { DMA_BIDIRECTIONAL, DMA_BIT_MASK, DMA_MAPPING_ERROR, type DmaDataDirection, type Scatterlist } from "./types.ts";

export * from "./types.ts";
export { type DmaMapping } from "./debug.ts";
export { iommu_dma_compose_msi_address, iommu_dma_prepare_msi } from "./iommu-dma-msi.ts";
export { iommu_get_dma_domain } from "./iommu-dma.ts";

export class DmaCore {
  readonly debug: DmaDebug;
  readonly swiotlb: Swiotlb;

  constructor(kernel: Kernel) {
    this.debug = new DmaDebug(kernel);
    this.swiotlb = new Swiotlb(kernel);
  }

  /** Mappings in force of a device, oldest first. */
  mappings(dev: Device): DmaMapping[] {
    return this.debug.mappings(dev);
  }

  /** What the bus notifier does: a driver that went must have unmapped everything. */
  dma_debug_device_change(event: BusEvent, dev: Device): void {
    if (event === "unbound-driver") this.debug.device_change(dev);
  }
}

/** `dma_supported`: behind an IOMMU any mask will do, and it is for mapping to find an address. @param bits 0 … 64 */
function dma_supported(dev: Device, bits: number): boolean {
  if (!(bits >= 0 && bits <= 64)) return false;
  return use_dma_iommu(dev) || dma_direct_supported(dev, DMA_BIT_MASK(bits));
}

/** `dma_set_mask`. @param bits how many address bits the device drives, 0 … 64 @returns 0, or -EIO and the mask stays */
export function dma_set_mask(dev: Device, bits: number): number {
  if (!dma_supported(dev, bits)) return -EIO;
  dev.dma_mask = DMA_BIT_MASK(bits);
  return 0;
}

/** `dma_set_coherent_mask`, as {@link dma_set_mask}. */
export function dma_set_coherent_mask(dev: Device, bits: number): number {
  if (!dma_supported(dev, bits)) return -EIO;
  dev.coherent_dma_mask = DMA_BIT_MASK(bits);
  return 0;
}

/** `dma_set_mask_and_coherent`. @returns 0 or -EIO */
export function dma_set_mask_and_coherent(dev: Device, bits: number): number {
  const error = dma_set_mask(dev, bits);
  return error === 0 ? dma_set_coherent_mask(dev, bits) : error;
}

/** `dma_get_mask`: the highest address of streaming DMA. */
export function dma_get_mask(dev: Device): number {
  return dev.dma_mask;
}

/** Tells a failed mapping. */
export function dma_mapping_error(_dev: Device, dma: number): boolean {
  return dma === DMA_MAPPING_ERROR;
}

/**
 * Lets the device access `size` bytes at physical address `pa`.
 * @returns the address for the device, or {@link DMA_MAPPING_ERROR}
 */
export function dma_map_single(dev: Device, pa: number, size: number, dir: DmaDataDirection): number {
  const domain = iommu_get_dma_domain(dev);
  const dma = domain === null ? dma_direct_map(dev, pa, size, dir) : iommu_dma_map(dev, domain, pa, size, dir);
  if (dma !== DMA_MAPPING_ERROR) track(dev, "single", dma, size, dir, [{ pa: reached(dev, dma, pa), size }], "streaming");
  return dma;
}

/** What the device reaches by an address: the buffer, or what is bounced in its place. */
function reached(dev: Device, dma: number, pa: number): number {
  return bounce(dev, dma) ?? pa;
}

/** The place in a bounce buffer that an address leads to; null if it leads to none. */
function bounce(dev: Device, dma: number): number | null {
  const { swiotlb } = dev.kernel.dma;
  if (swiotlb.used === 0) return null;
  const domain = iommu_get_dma_domain(dev);
  const pa = domain === null ? dma : iommu_iova_to_phys(domain, dma);
  return swiotlb.contains(pa) ? pa : null;
}

function track(
  dev: Device,
  how: DmaMapping["how"],
  dma: number,
  size: number,
  dir: DmaDataDirection,
  memory: DmaMapping["memory"],
  grant: DmaMapping["grant"],
): void {
  dev.kernel.dma.debug.add({ dev, how, dma, size, dir, memory, grant });
}

/** `dma_map_page`: as {@link dma_map_single}, with an offset into a page. */
export function dma_map_page(dev: Device, page: number, offset: number, size: number, dir: DmaDataDirection): number {
  return dma_map_single(dev, page + offset, size, dir);
}

/** Takes a mapping back. When it returns, the device cannot use the address any more; in lazy mode it can, until the next flush. */
export function* dma_unmap_single(dev: Device, dma: number, size: number, dir: DmaDataDirection): Coroutine<void> {
  const mapping = dev.kernel.dma.debug.find(dev, "single", dma, size, dir);
  if (mapping === null) return;
  const domain = iommu_get_dma_domain(dev);
  if (domain === null) dma_direct_unmap(dev, dma, mapping.size, mapping.dir);
  else yield* iommu_dma_unmap_streaming(dev, domain, dma, mapping.size, mapping.dir);
  dev.kernel.dma.debug.remove(mapping);
}

/** `dma_unmap_page`. */
export function* dma_unmap_page(dev: Device, dma: number, size: number, dir: DmaDataDirection): Coroutine<void> {
  yield* dma_unmap_single(dev, dma, size, dir);
}

/**
 * Maps a scatter list and fills in its DMA addresses.
 * @returns how many entries, from the first on, the device is to use; 0 on failure
 */
export function dma_map_sg(dev: Device, list: readonly Scatterlist[], dir: DmaDataDirection): number {
  const domain = iommu_get_dma_domain(dev);
  const count = domain === null ? dma_direct_map_sg(dev, list, dir) : iommu_dma_map_sg(dev, domain, list, dir);
  const first = list[0];
  if (count <= 0 || first === undefined) return 0;
  const separate = list.every(({ length, dma_length }) => length === dma_length);
  const memory = list.map(({ pa, length, dma_address }) => ({ pa: separate ? reached(dev, dma_address, pa) : pa, size: length }));
  track(dev, "sg", first.dma_address, sg_size(list), dir, memory, "streaming");
  return count;
}

/** Takes the mapping of a scatter list back. */
export function* dma_unmap_sg(dev: Device, list: readonly Scatterlist[], dir: DmaDataDirection): Coroutine<void> {
  const first = list[0];
  if (first === undefined) return;
  const mapping = dev.kernel.dma.debug.find(dev, "sg", first.dma_address, sg_size(list), dir);
  if (mapping === null) return;
  const domain = iommu_get_dma_domain(dev);
  if (domain !== null) yield* iommu_dma_unmap_sg(dev, domain, list, mapping.dir);
  else for (const { dma_address, dma_length } of list) dma_direct_unmap(dev, dma_address, dma_length, mapping.dir);
  dev.kernel.dma.debug.remove(mapping);
  for (const piece of list) Object.assign(piece, { dma_address: DMA_MAPPING_ERROR, dma_length: 0 });
}

function sg_size(list: readonly Scatterlist[]): number {
  return list.reduce((sum, { length }) => sum + length, 0);
}

/** `dma_sync_single_for_cpu`: what was bounced is copied back; caches are not modelled; that the mapping is there is checked, and who may read the memory now. */
export function dma_sync_single_for_cpu(dev: Device, dma: number, size: number, dir: DmaDataDirection): void {
  dev.kernel.dma.debug.sync(dev, dma, size, "cpu");
  const pa = bounce(dev, dma);
  if (pa !== null) dev.kernel.dma.swiotlb.sync_for_cpu(dev, pa, size, dir);
}

/** `dma_sync_single_for_device`: as {@link dma_sync_single_for_cpu}, the other way round. */
export function dma_sync_single_for_device(dev: Device, dma: number, size: number, dir: DmaDataDirection): void {
  dev.kernel.dma.debug.sync(dev, dma, size, "device");
  const pa = bounce(dev, dma);
  if (pa !== null) dev.kernel.dma.swiotlb.sync_for_device(dev, pa, size, dir);
}

/** Memory that CPU and device share. */
export interface CoherentMemory {
  readonly cpu: KernelBuffer;
  /** Address for the device. */
  readonly dma: number;
}

export interface CoherentOptions {
  /** What the memory is for; "smmu-table" for what an SMMU fetches. Default: "dma-coherent". */
  readonly kind?: MemoryKind;
}

/**
 * Allocates zeroed memory for CPU and device, aligned in both address spaces to the power of two that holds it.
 * @returns null without memory or addresses
 */
export function dma_alloc_coherent(dev: Device, size: number, options: CoherentOptions = {}): CoherentMemory | null {
  const { kernel } = dev;
  const domain = iommu_get_dma_domain(dev);
  const length = PAGE_ALIGN(size);
  const align = Math.max(PAGE_SIZE, roundup_pow_of_two(length));
  const below = domain === null ? dev.coherent_dma_mask + 1 : Infinity;
  const cpu = KernelBuffer.alloc(kernel, size, dev.name, options.kind ?? "dma-coherent", { align, below });
  if (cpu === null) return null;
  const dma = domain === null ? cpu.pa : iommu_dma_map_coherent(dev, domain, cpu.pa, length);
  if (dma === DMA_MAPPING_ERROR) {
    cpu.free(dev.name);
    return null;
  }
  const grant = options.kind === "smmu-table" ? "table" : "coherent";
  track(dev, "coherent", dma, size, DMA_BIDIRECTIONAL, [{ pa: cpu.pa, size: length }], grant);
  return { cpu, dma };
}

/** Gives coherent memory back: the device loses the address first, then the pages are free. */
export function* dma_free_coherent(dev: Device, size: number, cpu: KernelBuffer, dma: number): Coroutine<void> {
  might_sleep(dev.kernel, "dma_free_coherent", dev.name);
  const mapping = dev.kernel.dma.debug.find(dev, "coherent", dma, size, DMA_BIDIRECTIONAL);
  if (mapping === null) return;
  const domain = iommu_get_dma_domain(dev);
  if (domain !== null) yield* iommu_dma_unmap(dev, domain, dma, cpu.size);
  dev.kernel.dma.debug.remove(mapping);
  cpu.free(dev.name);
}

/** `dmam_alloc_coherent`: as {@link dma_alloc_coherent}, given back when the driver lets go of the device. */
export function dmam_alloc_coherent(dev: Device, size: number, options: CoherentOptions = {}): CoherentMemory | null {
  const memory = dma_alloc_coherent(dev, size, options);
  if (memory !== null) devm_add_action(dev, "dmam_release", () => dma_free_coherent(dev, size, memory.cpu, memory.dma));
  return memory;
}
