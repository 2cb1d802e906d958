// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the DMA API keeps for a domain that it uses: the IOVA allocator, the doorbells mapped for MSIs, the flush queue.
 *
 * After Linux 7.1 drivers/iommu/dma-iommu.c: struct iommu_dma_cookie, iommu_put_dma_cookie. Left out: the cookie of a
 * domain without allocator that only maps doorbells (VFIO).
 */
import type { FlushQueue } from "./flush-queue.ts";
import { IovaDomain } from "./iova.ts";

/** A doorbell mapped for MSIs. */
export interface IommuMsiPage {
  /** Physical address of the doorbell's page. */
  readonly phys: number;
  readonly iova: number;
}

export class IommuDmaCookie extends IovaDomain {
  /** MSI doorbells mapped in this domain. */
  readonly msi_pages: IommuMsiPage[] = [];
  /** Lazy invalidation; null: unmapping invalidates at once. */
  fq: FlushQueue | null = null;
}
