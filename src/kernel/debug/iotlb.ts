// SPDX-License-Identifier: GPL-2.0-only
/**
 * Pages whose translations were cleared and gathered, but whose invalidation has not been waited for: a device may reach them
 * still, so they must not be freed.
 *
 * No check of Linux does this; the rule is that of `iommu_unmap_fast` in include/linux/iommu.h. Only domains that somebody
 * manages himself are followed: the DMA API synchronises each of its unmaps, or defers it to the flush queue on purpose.
 */
import type { Kernel } from "../kernel.ts";
import type { IommuDomain, IommuIotlbGather } from "../iommu/types.ts";
import { overlaps } from "../mm/ranges.ts";

interface Unsynced {
  readonly iova: number;
  readonly base: number;
  readonly size: number;
}

/** Who follows a domain. */
const followers = new WeakMap<IommuDomain, UnsyncedPages>();

export class UnsyncedPages {
  readonly #kernel: Kernel;
  readonly #gathers = new Map<IommuIotlbGather, Unsynced[]>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** A domain comes into force. */
  follow(domain: IommuDomain): void {
    if (this.#kernel.params.debugChecks && domain.type === "unmanaged") followers.set(domain, this);
  }

  gathered(gather: IommuIotlbGather, pages: Unsynced): void {
    const known = this.#gathers.get(gather);
    if (known) known.push(pages);
    else this.#gathers.set(gather, [pages]);
  }

  synced(gather: IommuIotlbGather): void {
    this.#gathers.delete(gather);
  }

  /** Pages are freed. */
  freed(base: number, size: number, by: string): void {
    if (this.#gathers.size === 0) return;
    for (const pages of [...this.#gathers.values()].flat()) {
      if (!overlaps(pages, { base, size })) continue;
      const message = `iommu: ${by} frees page 0x${base.toString(16)} before the IOTLB was synced [iova=0x${pages.iova.toString(16)}] [size=${pages.size} bytes]`;
      return this.#kernel.debug.report("dma-api", message, { details: ["missing sync before free: the device may reach the page still"] });
    }
  }
}

/** `size` bytes at `iova` are about to be unmapped with their invalidation gathered. */
export function iommu_debug_unmap(domain: IommuDomain, iova: number, size: number, gather: IommuIotlbGather): void {
  if (domain.type !== "unmanaged") return;
  const follower = followers.get(domain);
  const base = domain.iova_to_phys?.(iova) ?? 0;
  if (follower && base !== 0) follower.gathered(gather, { iova, base, size });
}

/** What was gathered has been invalidated. */
export function iommu_debug_synced(domain: IommuDomain, gather: IommuIotlbGather): void {
  if (domain.type === "unmanaged") followers.get(domain)?.synced(gather);
}
