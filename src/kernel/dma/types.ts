// SPDX-License-Identifier: GPL-2.0-only
/**
 * Words that the parts of the DMA API share, after Linux 7.1 include/linux/dma-direction.h, dma-mapping.h and scatterlist.h. Left
 * out: attributes, chained and PCI peer-to-peer scatter lists.
 */

/** What a failed mapping returns instead of an address. */
export const DMA_MAPPING_ERROR = -1;

export const DMA_BIDIRECTIONAL = 0;
export const DMA_TO_DEVICE = 1;
export const DMA_FROM_DEVICE = 2;
export type DmaDataDirection = typeof DMA_BIDIRECTIONAL | typeof DMA_TO_DEVICE | typeof DMA_FROM_DEVICE;

/** A mask of the lowest `bits` bits, 1 … 64; what a number cannot hold exactly is cut at 2^53 - 1. */
export function DMA_BIT_MASK(bits: number): number {
  return bits >= 53 ? Number.MAX_SAFE_INTEGER : 2 ** bits - 1;
}

/** One piece of a scatter list. `dma_map_sg` fills in the last two. */
export interface Scatterlist {
  /** Physical address. */
  readonly pa: number;
  readonly length: number;
  dma_address: number;
  dma_length: number;
}

/** A piece of a scatter list, not mapped yet. */
export function sg_entry(pa: number, length: number): Scatterlist {
  return { pa, length, dma_address: DMA_MAPPING_ERROR, dma_length: 0 };
}
