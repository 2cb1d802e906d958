// SPDX-License-Identifier: GPL-2.0-only
/**
 * Dirty tracking of a domain: which pages devices have written since the last look.
 *
 * After Linux 7.1 drivers/iommu/iommufd/io_pagetable.c: iopt_set_dirty_tracking, iommu_read_and_clear_dirty, for one range; include/linux/iommu.h: iommu_dirty_bitmap_record. The range that is gathered has no page
 * size, as there: a driver whose iotlb_sync takes that for "nothing was gathered" invalidates nothing. Left out: the areas of an
 * iommufd.
 */
import type { Coroutine } from "../../sim/index.ts";
import type { Device } from "../base/device.ts";
import { EOPNOTSUPP } from "../errno.ts";
import { dev_iommu_ops } from "./default-domain.ts";
import { iommu_iotlb_gather_add_range, iommu_iotlb_gather_init, iommu_iotlb_sync } from "./map.ts";
import type { IommuDirtyBitmap, IommuDomain, IommuDirtyRange } from "./types.ts";

/** Look, but leave them dirty. */
export const IOMMU_DIRTY_NO_CLEAR = 1;

export function iommu_dirty_bitmap_record(dirty: IommuDirtyBitmap, iova: number, length: number): void {
  dirty.bitmap?.push({ iova, length });
  iommu_iotlb_gather_add_range(dirty.gather, iova, length);
}

/** Whether the IOMMU of a device can track (IOMMU_CAP_DIRTY_TRACKING). */
export function iommu_dirty_tracking_supported(dev: Device): boolean {
  return dev_iommu_ops(dev)?.capable?.(dev, "dirty-tracking") ?? false;
}

/**
 * Starts or stops tracking for a range, all of which is mapped. Everything is clean when it starts.
 * @returns 0; -EOPNOTSUPP: the domain does not track; other -errno
 */
export function* iommu_set_dirty_tracking(domain: IommuDomain, iova: number, size: number, enable: boolean): Coroutine<number> {
  const ops = domain.dirty_ops;
  if (ops === undefined) return -EOPNOTSUPP;
  if (enable) {
    const gather = iommu_iotlb_gather_init();
    const error = ops.read_and_clear_dirty(iova, size, 0, { bitmap: null, gather });
    yield* iommu_iotlb_sync(domain, gather);
    if (error !== 0) return error;
  }
  return ops.set_dirty_tracking(enable);
}

/** The pages of a range that were written since the last look; unless `flags` say otherwise they are clean after. @returns -errno: it does not track */
export function* iommu_read_and_clear_dirty(
  domain: IommuDomain,
  iova: number,
  size: number,
  flags: number = 0,
): Coroutine<IommuDirtyRange[] | number> {
  const ops = domain.dirty_ops;
  if (ops === undefined) return -EOPNOTSUPP;
  const gather = iommu_iotlb_gather_init();
  const bitmap: IommuDirtyRange[] = [];
  const error = ops.read_and_clear_dirty(iova, size, flags, { bitmap, gather });
  if ((flags & IOMMU_DIRTY_NO_CLEAR) === 0) yield* iommu_iotlb_sync(domain, gather);
  return error === 0 ? bitmap : error;
}
