// SPDX-License-Identifier: GPL-2.0-only
/**
 * The IOVA allocator, after Linux's `drivers/iommu/iova.c`: top-down from the limit, sizes aligned to their next power of
 * two, page frame 0 never given out. Just-freed ranges of up to 32 pages are kept by size and handed out again last-in
 * first-out, so the address of the last unmapped buffer is the address of the next mapped one.
 */
import { roundup_pow_of_two } from "../mm/ranges.ts";

/** Size classes of the cache: 1, 2, 4 … 32 pages. */
const IOVA_RANGE_CACHE_MAX_SIZE = 6;

/** An allocated or reserved range of page frames, both ends inclusive. */
interface Iova {
  readonly pfn_lo: number;
  readonly pfn_hi: number;
  readonly reserved: boolean;
}

function order_base_2(size: number): number {
  return Math.round(Math.log2(roundup_pow_of_two(size)));
}

export class IovaDomain {
  /** Bytes in a page frame. */
  readonly granule: number;
  /** The lowest page frame handed out, at least 1. */
  readonly start_pfn: number;
  /** In use and cached ranges, highest first. */
  readonly #ranges: Iova[] = [];
  readonly #rcaches: number[][] = Array.from({ length: IOVA_RANGE_CACHE_MAX_SIZE }, () => []);

  /** @param granule a power of two; @param start_pfn lowest page frame, raised to 1 */
  constructor(granule: number, start_pfn: number) {
    this.granule = granule;
    this.start_pfn = Math.max(1, start_pfn);
  }

  /** Bytes rounded up to page frames. */
  pages(size: number): number {
    return Math.ceil(size / this.granule);
  }

  /** Offset of an address in its page frame. */
  offset(address: number): number {
    return address % this.granule;
  }

  /**
   * `alloc_iova_fast`: from the cache, else from the top of the space.
   * @param size page frames; small sizes are rounded up to a power of two
   * @param limit_pfn highest page frame the range may include
   * @param flush_rcache give cached ranges back to the space and try again before giving up
   * @returns the first page frame, 0 if there is no room
   */
  alloc_iova_fast(size: number, limit_pfn: number, flush_rcache: boolean): number {
    const rounded = size <= 2 ** (IOVA_RANGE_CACHE_MAX_SIZE - 1) ? roundup_pow_of_two(size) : size;
    const cached = this.#rcacheGet(rounded, limit_pfn);
    if (cached !== 0) return cached;
    const pfn = this.#alloc(rounded, limit_pfn);
    if (pfn !== 0 || !flush_rcache) return pfn;
    this.#flushRcaches();
    return this.#alloc(rounded, limit_pfn);
  }

  /** `free_iova_fast`: into the cache of its size, else back to the space. @param size page frames as asked for */
  free_iova_fast(pfn: number, size: number): void {
    const order = order_base_2(size);
    if (order < IOVA_RANGE_CACHE_MAX_SIZE) this.#rcaches[order]!.push(pfn);
    else this.#free(pfn);
  }

  /** `reserve_iova`: keeps the page frames from being handed out, both ends inclusive. */
  reserve_iova(pfn_lo: number, pfn_hi: number): void {
    const index = this.#ranges.findIndex((range) => range.pfn_lo < pfn_lo);
    this.#ranges.splice(index < 0 ? this.#ranges.length : index, 0, { pfn_lo, pfn_hi, reserved: true });
  }

  #rcacheGet(size: number, limit_pfn: number): number {
    const order = order_base_2(size);
    if (order >= IOVA_RANGE_CACHE_MAX_SIZE) return 0;
    const cache = this.#rcaches[order]!;
    const index = cache.findLastIndex((pfn) => pfn + size - 1 <= limit_pfn);
    if (index < 0) return 0;
    const pfn = cache[index]!;
    // The last in takes the place of the one taken out.
    cache[index] = cache[cache.length - 1]!;
    cache.pop();
    return pfn;
  }

  #flushRcaches(): void {
    for (const cache of this.#rcaches) for (const pfn of cache.splice(0)) this.#free(pfn);
  }

  /** `__alloc_and_insert_iova_range`: the highest gap below the limit that holds the range size-aligned. */
  #alloc(size: number, limit_pfn: number): number {
    const align = roundup_pow_of_two(size);
    let high = limit_pfn + 1;
    for (let index = 0; index <= this.#ranges.length; index++) {
      const pfn = Math.floor((high - size) / align) * align;
      const below = this.#ranges[index];
      if (pfn < this.start_pfn) return 0;
      if (below === undefined || pfn > below.pfn_hi) {
        this.#ranges.splice(index, 0, { pfn_lo: pfn, pfn_hi: pfn + size - 1, reserved: false });
        return pfn;
      }
      high = Math.min(high, below.pfn_lo);
    }
    return 0;
  }

  #free(pfn: number): void {
    const index = this.#ranges.findIndex((range) => range.pfn_lo === pfn && !range.reserved);
    if (index >= 0) this.#ranges.splice(index, 1);
  }
}
