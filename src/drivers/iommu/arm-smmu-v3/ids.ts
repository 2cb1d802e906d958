// SPDX-License-Identifier: GPL-2.0-only
/**
 * ASIDs and VMIDs: the lowest number that nobody uses. After Linux 7.1 lib/xarray.c and lib/idr.c, as
 * drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c uses them. Left out: what else those can do.
 */

export class IdAllocator {
  readonly #first: number;
  readonly #used = new Set<number>();

  constructor(first: number) {
    this.#first = first;
  }

  /** @param last the highest number allowed. @returns null when all are in use */
  alloc(last: number): number | null {
    for (let id = this.#first; id <= last; id++) {
      if (this.#used.has(id)) continue;
      this.#used.add(id);
      return id;
    }
    return null;
  }

  /** Takes a number out of use; it may be in use already. */
  reserve(id: number): void {
    this.#used.add(id);
  }

  free(id: number): void {
    this.#used.delete(id);
  }
}
