// SPDX-License-Identifier: GPL-2.0-only
/**
 * Mapping and unmapping in a domain: choosing page sizes, gathering what is to be invalidated, undoing a failed map.
 *
 * After Linux 7.1 drivers/iommu/iommu.c: iommu_pgsize, iommu_map, iommu_unmap, iommu_unmap_fast, iommu_iova_to_phys, and
 * include/linux/iommu.h: iommu_iotlb_gather_init, iommu_iotlb_gather_add_page, iommu_iotlb_sync. Left out: iotlb_sync_map, iommu_map_sg,
 * lists of pages to free.
 */
import type { Coroutine, Simulation } from "../../sim/index.ts";
import { EINVAL, ENODEV } from "../errno.ts";
import type { IommuDomain, IommuIotlbGather } from "./types.ts";

const knownBitmaps = new Map<number, readonly number[]>();

/** The page sizes in a bitmap, largest first. Bitmaps may reach beyond 32 bits (blocks of 4 GiB and more). */
export function pgsize_list(pgsize_bitmap: number): readonly number[] {
  const known = knownBitmaps.get(pgsize_bitmap);
  if (known !== undefined) return known;
  const sizes: number[] = [];
  for (let size = 1; size <= pgsize_bitmap; size *= 2) if (Math.floor(pgsize_bitmap / size) % 2 === 1) sizes.unshift(size);
  knownBitmaps.set(pgsize_bitmap, sizes);
  return sizes;
}

/** The smallest page size of a domain. */
export function iommu_min_pgsize(domain: IommuDomain): number {
  return pgsize_list(domain.pgsize_bitmap).at(-1) ?? 0;
}

/**
 * `iommu_pgsize`: the largest page that both addresses are aligned to and that fits, and how many of them to use before
 * a larger one becomes possible. All operands are multiples of the smallest page.
 */
export function iommu_pgsize(domain: IommuDomain, iova: number, pa: number, size: number): { pgsize: number; count: number } {
  const sizes = pgsize_list(domain.pgsize_bitmap);
  const index = sizes.findIndex((page) => page <= size && iova % page === 0 && pa % page === 0);
  const pgsize = sizes[index]!;
  const larger = sizes[index - 1];
  let span = size;
  if (larger !== undefined && iova % larger === pa % larger) {
    const toLarger = larger - (iova % larger);
    if (toLarger + larger <= size) span = toLarger;
  }
  return { pgsize, count: Math.floor(span / pgsize) };
}

export function iommu_iotlb_gather_init(): IommuIotlbGather {
  return { start: Infinity, end: 0, pgsize: 0, queued: false };
}

/** `iommu_iotlb_sync`: invalidates what was gathered, waits for it, and starts over. */
export function* iommu_iotlb_sync(domain: IommuDomain, gather: IommuIotlbGather): Coroutine<void> {
  if (domain.iotlb_sync) yield* domain.iotlb_sync(gather);
  Object.assign(gather, iommu_iotlb_gather_init());
}

/** Adds a range to what is gathered, whatever the page size. */
export function iommu_iotlb_gather_add_range(gather: IommuIotlbGather, iova: number, size: number): void {
  gather.start = Math.min(gather.start, iova);
  gather.end = Math.max(gather.end, iova + size - 1);
}

/** Adds unmapped pages of one size; what was gathered before is synced first if it has another size or lies elsewhere. */
export function* iommu_iotlb_gather_add_page(domain: IommuDomain, gather: IommuIotlbGather, iova: number, size: number): Coroutine<void> {
  const disjoint = gather.end !== 0 && (iova > gather.end + 1 || iova + size < gather.start);
  if ((gather.pgsize !== 0 && gather.pgsize !== size) || disjoint) yield* iommu_iotlb_sync(domain, gather);
  gather.pgsize = size;
  iommu_iotlb_gather_add_range(gather, iova, size);
}

/**
 * Maps `size` bytes at `iova` to `pa`, all multiples of the smallest page. On failure nothing stays mapped.
 * @param prot IOMMU_READ and its like, or-ed
 * @returns 0 or -errno
 */
export function iommu_map(sim: Simulation, domain: IommuDomain, iova: number, pa: number, size: number, prot: number): number {
  if (!domain.map_pages) return -ENODEV;
  const granule = iommu_min_pgsize(domain);
  if (granule === 0 || iova % granule !== 0 || pa % granule !== 0 || size % granule !== 0) return -EINVAL;
  for (let done = 0; done < size;) {
    const { pgsize, count } = iommu_pgsize(domain, iova + done, pa + done, size - done);
    const { ret, mapped } = domain.map_pages(iova + done, pa + done, pgsize, count, prot);
    done += mapped;
    if (ret !== 0) {
      if (done > 0) sim.runAtomic(iommu_unmap(domain, iova, done));
      return ret;
    }
  }
  return 0;
}

/** `iommu_unmap_fast`: clears the entries and gathers; the caller syncs. @returns bytes unmapped */
export function* iommu_unmap_fast(domain: IommuDomain, iova: number, size: number, gather: IommuIotlbGather): Coroutine<number> {
  let done = 0;
  while (done < size && domain.unmap_pages) {
    const { pgsize, count } = iommu_pgsize(domain, iova + done, iova + done, size - done);
    const result = domain.unmap_pages(iova + done, pgsize, count, gather);
    const unmapped = typeof result === "number" ? result : yield* result;
    if (unmapped === 0) break;
    done += unmapped;
  }
  return done;
}

/** Unmaps and waits until no device can use the old translations. @returns bytes unmapped */
export function* iommu_unmap(domain: IommuDomain, iova: number, size: number): Coroutine<number> {
  const gather = iommu_iotlb_gather_init();
  const unmapped = yield* iommu_unmap_fast(domain, iova, size, gather);
  yield* iommu_iotlb_sync(domain, gather);
  return unmapped;
}

/** The physical address behind `iova`, 0 if nothing is mapped there. */
export function iommu_iova_to_phys(domain: IommuDomain, iova: number): number {
  if (domain.type === "identity") return iova;
  if (domain.type === "blocked") return 0;
  return domain.iova_to_phys?.(iova) ?? 0;
}
