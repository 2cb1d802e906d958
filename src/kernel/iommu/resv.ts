// SPDX-License-Identifier: GPL-2.0-only
/**
 * Regions that the firmware wants mapped, or kept out, in every address space of a device: children of `/reserved-memory`
 * with `iommu-addresses`, which the device names in `memory-region`.
 *
 * After Linux 7.1 drivers/iommu/of_iommu.c: of_iommu_get_resv_regions, iommu_resv_region_get_type; and, as the device tree's
 * stand-in for IORT's reserved memory ranges, drivers/acpi/arm64/iort.c: iort_iommu_rmr_get_resv_regions. Left out: ACPI itself,
 * relaxable regions (RMR flags), PCI functions, which have no node of their own here. The memory is the firmware's: it is no
 * RAM of `platform.memory`, so nothing need be taken from the page allocator.
 *
 * An entry of `iommu-addresses` is a reference to the device with two numbers, IOVA and size.
 */
import type { Device } from "../base/device.ts";
import { type DtNode, dt_references, of_walk } from "../of/dt.ts";
import { IOMMU_CACHE, IOMMU_READ, IOMMU_WRITE, type ResvRegion } from "./types.ts";

/** One entry of a region for one device. */
interface Entry {
  readonly start: number;
  readonly length: number;
  readonly direct: boolean;
}

/** A region that lies elsewhere than where the device is to see it is only kept out of the allocator. */
function is_direct(region: DtNode, start: number, length: number): boolean {
  return region.reg?.some(({ base, size }) => base === start && size === length) ?? false;
}

function* entries(root: DtNode, node: DtNode): Generator<Entry> {
  for (const { label } of dt_references(node.properties["memory-region"])) {
    for (const region of of_walk(root)) {
      if (region.label !== label) continue;
      for (const { label: device, args } of dt_references(region.properties["iommu-addresses"])) {
        const [start, length] = args;
        if (device !== node.label || start === undefined || length === undefined || length === 0) continue;
        yield { start, length, direct: is_direct(region, start, length) };
      }
    }
  }
}

/** What the firmware says of a device: direct regions, and reserved ones that are not where the device sees them. */
export function of_iommu_get_resv_regions(dev: Device): ResvRegion[] {
  const { of_node, kernel } = dev;
  if (of_node === null) return [];
  return [...entries(kernel.platform.deviceTree, of_node)].map(({ start, length, direct }): ResvRegion => {
    if (!direct) kernel.printk.dev_warn(dev, `treating non-direct mapping at 0x${start.toString(16)} as reservation`);
    const prot = IOMMU_READ | IOMMU_WRITE | (dev.dma_coherent ? IOMMU_CACHE : 0);
    return { start, length, prot, type: direct ? "direct" : "reserved" };
  });
}

/**
 * `iort_get_rmr_sids`: ids at an IOMMU whose devices have direct regions, whether or not those devices are there yet. Their
 * DMA, begun by the firmware, must not be cut off while the IOMMU is set up.
 */
export function of_iommu_get_rmr_ids(root: DtNode, iommu: DtNode): number[] {
  const ids: number[] = [];
  for (const node of of_walk(root)) {
    const own = (node.iommus ?? []).filter(({ label }) => label === iommu.label);
    if (own.length === 0 || ![...entries(root, node)].some(({ direct }) => direct)) continue;
    ids.push(...own.flatMap(({ args }) => args.slice(0, 1)));
  }
  return [...new Set(ids)];
}
