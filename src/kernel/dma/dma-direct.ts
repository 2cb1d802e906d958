// SPDX-License-Identifier: GPL-2.0-only
/**
 * The DMA API without translation: devices get physical addresses. A buffer that a device's address lines do not reach is
 * bounced, and with `swiotlb=force` every one is.
 *
 * After Linux 7.1 kernel/dma/direct.h and direct.c: dma_direct_map_phys, dma_direct_unmap_phys, dma_direct_map_sg,
 * dma_direct_sync_single_for_cpu and for_device, dma_direct_supported. Left out: offsets between bus and physical addresses and
 * limits of buses (`dma-ranges`), unaligned kmalloc buffers of devices that do not snoop, memory encryption.
 */
import type { Device } from "../base/device.ts";
import { EIO } from "../errno.ts";
import { DMA_BIT_MASK, DMA_MAPPING_ERROR, type DmaDataDirection, type Scatterlist } from "./types.ts";

/** The last address of RAM that this kernel may use (`max_pfn`). */
function last_address({ kernel }: Device): number {
  return Math.max(...kernel.mm.memory.map(({ base, size }) => base + size)) - 1;
}

/** `zone_dma_limit` of arm64 without limits of the firmware: 32 bits, where there is RAM below. */
function zone_dma_limit({ kernel }: Device): number {
  return kernel.mm.memory.some(({ base }) => base < DMA_BIT_MASK(32)) ? DMA_BIT_MASK(32) : Infinity;
}

/** `dma_direct_supported`: the mask reaches all RAM, or the zone that is kept for small masks. */
export function dma_direct_supported(dev: Device, mask: number): boolean {
  return mask >= DMA_BIT_MASK(32) || mask >= Math.min(last_address(dev), zone_dma_limit(dev));
}

function dma_capable(dev: Device, pa: number, size: number): boolean {
  return pa + size - 1 <= dev.dma_mask;
}

function overflow(dev: Device, what: string, pa: number, size: number): number {
  const reach = `0x${pa.toString(16)}+0x${size.toString(16)} overflow (mask 0x${dev.dma_mask.toString(16)})`;
  dev.kernel.printk.dev_err(dev, `${what} ${reach}`);
  return DMA_MAPPING_ERROR;
}

/** `swiotlb_map`: the bounce buffer must be where the device reaches it. */
function swiotlb_map(dev: Device, pa: number, size: number, dir: DmaDataDirection): number {
  const { swiotlb } = dev.kernel.dma;
  const bounced = swiotlb.map(dev, pa, size, 0);
  if (bounced === DMA_MAPPING_ERROR || dma_capable(dev, bounced, size)) return bounced;
  swiotlb.unmap(dev, bounced, size, dir, false);
  return overflow(dev, "swiotlb addr", bounced, size);
}

/** `dma_direct_map_phys`. @returns the DMA address, or {@link DMA_MAPPING_ERROR} */
export function dma_direct_map(dev: Device, pa: number, size: number, dir: DmaDataDirection): number {
  if (dev.kernel.params.swiotlbForce || !dma_capable(dev, pa, size)) return swiotlb_map(dev, pa, size, dir);
  return pa;
}

/** `dma_direct_unmap_phys` */
export function dma_direct_unmap(dev: Device, dma: number, size: number, dir: DmaDataDirection): void {
  dev.kernel.dma.swiotlb.unmap(dev, dma, size, dir);
}

/** `dma_direct_map_sg`: all or nothing. @returns how many segments, or -EIO */
export function dma_direct_map_sg(dev: Device, list: readonly Scatterlist[], dir: DmaDataDirection): number {
  for (const [index, piece] of list.entries()) {
    const dma = dma_direct_map(dev, piece.pa, piece.length, dir);
    if (dma === DMA_MAPPING_ERROR) {
      for (const done of list.slice(0, index)) dev.kernel.dma.swiotlb.unmap(dev, done.dma_address, done.dma_length, dir, false);
      return -EIO;
    }
    Object.assign(piece, { dma_address: dma, dma_length: piece.length });
  }
  return list.length;
}
