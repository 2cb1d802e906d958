// SPDX-License-Identifier: GPL-2.0-only
/**
 * MSI doorbells for devices behind an IOMMU: their message writes are translated like any other access.
 *
 * After Linux 7.1 drivers/iommu/dma-iommu.c: iommu_dma_get_msi_page, iommu_dma_sw_msi. Left out: domains with an MSI cookie alone.
 */
import type { Device } from "../base/device.ts";
import { ENOMEM } from "../errno.ts";
import { IOMMU_MMIO, IOMMU_NOEXEC, IOMMU_WRITE } from "../iommu/types.ts";
import { iommu_dma_map_in } from "./iommu-dma.ts";
import { DMA_MAPPING_ERROR } from "./types.ts";

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
  const iova = iommu_dma_map_in(dev, domain, page, iovad.granule, IOMMU_WRITE | IOMMU_NOEXEC | IOMMU_MMIO, dev.dma_mask);
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
