// SPDX-License-Identifier: GPL-2.0-only
/**
 * The DMA API that drivers call: streaming mappings, scatter lists, coherent memory, masks. A device behind an IOMMU with a
 * translated default domain gets IOVAs; any other gets physical addresses. Mapping never waits; unmapping may, for the
 * IOMMU's invalidation.
 */
import type { Coroutine } from "../../sim/index.ts";
import type { BusEvent } from "../base/bus.ts";
import type { Device } from "../base/device.ts";
import { devm_add_action } from "../base/devres.ts";
import { might_sleep } from "../debug/might-sleep.ts";
import { EIO } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { KernelBuffer } from "../mm/kernel-buffer.ts";
import { PAGE_ALIGN, PAGE_SIZE } from "../mm/page-allocator.ts";
import { roundup_pow_of_two } from "../mm/ranges.ts";
import type { MemoryKind } from "../ports.ts";
import { DmaDebug, type DmaMapping } from "./debug.ts";
import { iommu_dma_map, iommu_dma_map_coherent, iommu_dma_map_sg, iommu_dma_unmap, iommu_get_dma_domain } from "./iommu-dma.ts";
import { DMA_BIDIRECTIONAL, DMA_BIT_MASK, DMA_MAPPING_ERROR, type DmaDataDirection, type Scatterlist } from "./types.ts";

export * from "./types.ts";
export { type DmaMapping } from "./debug.ts";
export { iommu_dma_compose_msi_address, iommu_dma_prepare_msi, iommu_get_dma_domain } from "./iommu-dma.ts";

export class DmaCore {
  readonly debug: DmaDebug;

  constructor(kernel: Kernel) {
    this.debug = new DmaDebug(kernel);
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

/** `dma_set_mask`. @param bits how many address bits the device drives, 12 … 64 @returns 0 or -EIO */
export function dma_set_mask(dev: Device, bits: number): number {
  if (!(bits >= 12 && bits <= 64)) return -EIO;
  dev.dma_mask = DMA_BIT_MASK(bits);
  return 0;
}

/** `dma_set_coherent_mask`, as {@link dma_set_mask}. */
export function dma_set_coherent_mask(dev: Device, bits: number): number {
  if (!(bits >= 12 && bits <= 64)) return -EIO;
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
  const dma = domain === null ? dma_direct_map(dev, pa, size) : iommu_dma_map(dev, domain, pa, size, dir);
  if (dma !== DMA_MAPPING_ERROR) track(dev, "single", dma, size, dir, [{ pa, size }], "streaming");
  return dma;
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

/** Takes a mapping back. When it returns, the device cannot use the address any more. */
export function* dma_unmap_single(dev: Device, dma: number, size: number, dir: DmaDataDirection): Coroutine<void> {
  const mapping = dev.kernel.dma.debug.find(dev, "single", dma, size, dir);
  if (mapping !== null) yield* unmap(mapping);
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
  const count = domain === null ? dma_direct_map_sg(dev, list) : iommu_dma_map_sg(dev, domain, list, dir);
  const first = list[0];
  if (count <= 0 || first === undefined) return 0;
  const memory = list.map(({ pa, length }) => ({ pa, size: length }));
  track(dev, "sg", first.dma_address, sg_size(list), dir, memory, "streaming");
  return count;
}

/** Takes the mapping of a scatter list back. */
export function* dma_unmap_sg(dev: Device, list: readonly Scatterlist[], dir: DmaDataDirection): Coroutine<void> {
  const first = list[0];
  if (first === undefined) return;
  const mapping = dev.kernel.dma.debug.find(dev, "sg", first.dma_address, sg_size(list), dir);
  if (mapping === null) return;
  yield* unmap(mapping, sg_span(list));
  for (const piece of list) Object.assign(piece, { dma_address: DMA_MAPPING_ERROR, dma_length: 0 });
}

function sg_size(list: readonly Scatterlist[]): number {
  return list.reduce((sum, { length }) => sum + length, 0);
}

/** Bytes of address space from the first DMA address of a list to the last. */
function sg_span(list: readonly Scatterlist[]): number {
  const mapped = list.filter(({ dma_address }) => dma_address !== DMA_MAPPING_ERROR);
  const last = mapped.at(-1);
  return last === undefined ? 0 : last.dma_address + last.dma_length - mapped[0]!.dma_address;
}

function* unmap(mapping: DmaMapping, size: number = mapping.size): Coroutine<void> {
  const domain = iommu_get_dma_domain(mapping.dev);
  if (domain !== null) yield* iommu_dma_unmap(mapping.dev, domain, mapping.dma, size);
  mapping.dev.kernel.dma.debug.remove(mapping);
}

/** `dma_direct_map_page`: the physical address, if the device can drive it. There is no bounce buffering. */
function dma_direct_map(dev: Device, pa: number, size: number): number {
  if (pa + size - 1 <= dev.dma_mask) return pa;
  const reach = `0x${pa.toString(16)}+0x${size.toString(16)} overflows the mask 0x${dev.dma_mask.toString(16)}`;
  dev.kernel.printk.dev_err(dev, `DMA addr ${reach}`);
  return DMA_MAPPING_ERROR;
}

function dma_direct_map_sg(dev: Device, list: readonly Scatterlist[]): number {
  for (const piece of list) {
    const dma = dma_direct_map(dev, piece.pa, piece.length);
    if (dma === DMA_MAPPING_ERROR) return -EIO;
    Object.assign(piece, { dma_address: dma, dma_length: piece.length });
  }
  return list.length;
}

/** `dma_sync_single_for_cpu`: caches are not modelled; that the mapping is there is checked, and who may read the memory now. */
export function dma_sync_single_for_cpu(dev: Device, dma: number, size: number, _dir: DmaDataDirection): void {
  dev.kernel.dma.debug.sync(dev, dma, size, "cpu");
}

/** `dma_sync_single_for_device`, as {@link dma_sync_single_for_cpu}. */
export function dma_sync_single_for_device(dev: Device, dma: number, size: number, _dir: DmaDataDirection): void {
  dev.kernel.dma.debug.sync(dev, dma, size, "device");
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
  yield* unmap(mapping, cpu.size);
  cpu.free(dev.name);
}

/** `dmam_alloc_coherent`: as {@link dma_alloc_coherent}, given back when the driver lets go of the device. */
export function dmam_alloc_coherent(dev: Device, size: number, options: CoherentOptions = {}): CoherentMemory | null {
  const memory = dma_alloc_coherent(dev, size, options);
  if (memory !== null) devm_add_action(dev, "dmam_release", () => dma_free_coherent(dev, size, memory.cpu, memory.dma));
  return memory;
}
