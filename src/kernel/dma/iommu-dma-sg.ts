// SPDX-License-Identifier: GPL-2.0-only
/**
 * Scatter lists on top of an IOMMU domain: one range of addresses for all pieces, or, where pieces must be bounced, one for
 * each.
 *
 * After Linux 7.1 drivers/iommu/dma-iommu.c: iommu_dma_map_sg, iommu_dma_unmap_sg, __finalise_sg, __invalidate_sg,
 * iommu_dma_map_sg_swiotlb, iommu_dma_unmap_sg_swiotlb. Left out: the limits of dma_set_max_seg_size and dma_set_seg_boundary,
 * peer-to-peer.
 */
import type { Coroutine } from "../../sim/index.ts";
import type { Device } from "../base/device.ts";
import { EIO, ENOMEM } from "../errno.ts";
import { iommu_deferred_attach } from "../iommu/deferred-attach.ts";
import { iommu_map, iommu_unmap } from "../iommu/map.ts";
import type { IommuDomain } from "../iommu/types.ts";
import {
  dev_use_swiotlb,
  dma_info_to_prot,
  iommu_dma_alloc_iova,
  iommu_dma_cookie,
  iommu_dma_map,
  iommu_dma_unmap,
  iommu_dma_unmap_streaming,
  iova_span,
} from "./iommu-dma.ts";
import { DMA_MAPPING_ERROR, type DmaDataDirection, type Scatterlist } from "./types.ts";

/**
 * `iommu_dma_map_sg`: all pieces in one range of addresses, each in page frames of its own; pieces that meet at a page
 * border become one segment.
 * @returns how many segments the list has for the device, or -ENOMEM
 */
export function iommu_dma_map_sg(dev: Device, domain: IommuDomain, list: readonly Scatterlist[], dir: DmaDataDirection): number {
  const error = iommu_deferred_attach(dev, domain);
  if (error !== 0) return error;
  if (dev_use_swiotlb(dev)) return iommu_dma_map_sg_swiotlb(dev, domain, list, dir);
  const iovad = iommu_dma_cookie(domain, dev);
  const spans = list.map((piece) => iova_span(iovad, piece.pa, piece.length));
  const total = spans.reduce((sum, { length }) => sum + length, 0);
  const iova = iommu_dma_alloc_iova(domain, total, dev.dma_mask, dev);
  if (iova === 0) return -ENOMEM;
  let at = iova;
  for (const [index, piece] of list.entries()) {
    const { offset, length } = spans[index]!;
    if (iommu_map(dev.kernel.sim, domain, at, piece.pa - offset, length, dma_info_to_prot(dir, dev)) !== 0) {
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

/** Each piece is mapped by itself. @returns how many there are, or -EIO */
function iommu_dma_map_sg_swiotlb(dev: Device, domain: IommuDomain, list: readonly Scatterlist[], dir: DmaDataDirection): number {
  for (const [index, piece] of list.entries()) {
    const dma = iommu_dma_map(dev, domain, piece.pa, piece.length, dir);
    if (dma === DMA_MAPPING_ERROR) {
      dev.kernel.sim.runAtomic(iommu_dma_unmap_sg(dev, domain, list.slice(0, index), dir));
      return -EIO;
    }
    Object.assign(piece, { dma_address: dma, dma_length: piece.length });
  }
  return list.length;
}

/** `iommu_dma_unmap_sg`: the range from the first address to the last, or piece by piece. */
export function* iommu_dma_unmap_sg(
  dev: Device,
  domain: IommuDomain,
  list: readonly Scatterlist[],
  dir: DmaDataDirection,
): Coroutine<void> {
  const mapped = list.filter(({ dma_address }) => dma_address !== DMA_MAPPING_ERROR);
  const [first, last] = [mapped[0], mapped.at(-1)];
  if (first === undefined || last === undefined) return;
  if (dev_use_swiotlb(dev)) {
    for (const { dma_address, dma_length } of mapped) yield* iommu_dma_unmap_streaming(dev, domain, dma_address, dma_length, dir);
    return;
  }
  yield* iommu_dma_unmap(dev, domain, first.dma_address, last.dma_address + last.dma_length - first.dma_address);
}
