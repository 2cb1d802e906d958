// SPDX-License-Identifier: GPL-2.0-only
/**
 * A cache of freed ranges of one size: two magazines of 127, of which the last in is the first out, and a depot for full
 * ones. Ranges in it are still taken as far as the address space is concerned.
 *
 * After Linux 7.1 drivers/iommu/iova.c: __iova_rcache_insert, __iova_rcache_get, iova_magazine_pop, iova_depot_work_func,
 * free_cpu_cached_iovas, free_global_cached_iovas. Left out: magazines of further CPUs, failing allocations.
 */

export const IOVA_MAG_SIZE = 127;
export const IOVA_DEPOT_DELAY = 100;

/** Has {@link IovaRcache.trim} called after a delay in ms, unless that is to come anyway. */
export type ScheduleTrim = (rcache: IovaRcache, delayMs: number) => void;

export class IovaRcache {
  readonly #free: (pfn: number) => void;
  readonly #schedule: ScheduleTrim;
  #loaded: number[] = [];
  #prev: number[] = [];
  readonly #depot: number[][] = [];

  /** @param free gives a page frame's range back to the space */
  constructor(free: (pfn: number) => void, schedule: ScheduleTrim) {
    this.#free = free;
    this.#schedule = schedule;
  }

  /** Full magazines that nobody has loaded. */
  get depot_size(): number {
    return this.#depot.length;
  }

  insert(pfn: number): void {
    if (this.#loaded.length === IOVA_MAG_SIZE) {
      if (this.#prev.length < IOVA_MAG_SIZE) {
        [this.#prev, this.#loaded] = [this.#loaded, this.#prev];
      } else {
        this.#depot.push(this.#loaded);
        this.#schedule(this, IOVA_DEPOT_DELAY);
        this.#loaded = [];
      }
    }
    this.#loaded.push(pfn);
  }

  /** @returns the range that came last, of those that begin at `limit_pfn` or below in the loaded magazine; 0 if there is none */
  get(limit_pfn: number): number {
    if (this.#loaded.length === 0) {
      if (this.#prev.length > 0) [this.#prev, this.#loaded] = [this.#loaded, this.#prev];
      else this.#loaded = this.#depot.pop() ?? [];
    }
    const index = this.#loaded.findLastIndex((pfn) => pfn <= limit_pfn);
    if (index < 0) return 0;
    const pfn = this.#loaded[index]!;
    // The last in takes the place of the one taken out.
    this.#loaded[index] = this.#loaded.at(-1)!;
    this.#loaded.pop();
    return pfn;
  }

  /** Everything goes back to the space. */
  flush(): void {
    for (const magazine of [this.#loaded, this.#prev, ...this.#depot.toReversed()]) for (const pfn of magazine) this.#free(pfn);
    this.#loaded = [];
    this.#prev = [];
    this.#depot.length = 0;
  }

  /** `iova_depot_work_func`: one magazine for each CPU may stay in the depot; of the others one goes now. */
  trim(): void {
    if (this.#depot.length <= 1) return;
    for (const pfn of this.#depot.pop()!) this.#free(pfn);
    this.#schedule(this, IOVA_DEPOT_DELAY);
  }
}
