// SPDX-License-Identifier: GPL-2.0-only
/**
 * The IOVA allocator: top-down, sizes aligned to their next power of two, page frame 0 never given out. A search begins where
 * the last range was given out, so gaps above it stay until nothing is left below. Just-freed ranges of up to 32 pages are
 * kept by size and handed out again last-in first-out, so the address of the last unmapped buffer is the address of the next
 * mapped one.
 *
 * After Linux 7.1 drivers/iommu/iova.c: init_iova_domain, alloc_iova_fast, free_iova_fast, __alloc_and_insert_iova_range,
 * __cached_rbnode_insert_update, __cached_rbnode_delete_update, iova_find_limit, reserve_iova. A sorted array stands for the
 * red-black tree. Left out: ranges that are not size-aligned.
 */
import { roundup_pow_of_two } from "../mm/ranges.ts";
import { IovaRcache, type ScheduleTrim } from "./iova-rcache.ts";

/** Size classes of the cache: 1, 2, 4 … 32 pages. */
const IOVA_RANGE_CACHE_MAX_SIZE = 6;

/** An allocated or reserved range of page frames, both ends inclusive. */
interface Iova {
  pfn_lo: number;
  readonly pfn_hi: number;
}

function order_base_2(size: number): number {
  return Math.round(Math.log2(roundup_pow_of_two(size)));
}

export class IovaDomain {
  /** Bytes in a page frame. */
  readonly granule: number;
  /** The lowest page frame handed out, at least 1. */
  readonly start_pfn: number;
  /** The first page frame beyond 4 GiB. */
  readonly dma_32bit_pfn: number;
  /** In use and cached ranges, highest first, behind an anchor above all of them. */
  readonly #ranges: Iova[] = [{ pfn_lo: Infinity, pfn_hi: Infinity }];
  readonly #rcaches: readonly IovaRcache[];
  /** Where searches below and beyond 4 GiB begin. */
  #cached32_node: Iova;
  #cached_node: Iova;
  /** Nothing of this size or larger is free below 4 GiB. */
  #max32_alloc_size: number;

  /**
   * @param granule a power of two; @param start_pfn lowest page frame, raised to 1
   * @param schedule when depots of the cache are trimmed; default: never
   */
  constructor(granule: number, start_pfn: number, schedule: ScheduleTrim = () => {}) {
    this.granule = granule;
    this.start_pfn = Math.max(1, start_pfn);
    this.dma_32bit_pfn = 2 ** 32 / granule;
    this.#max32_alloc_size = this.dma_32bit_pfn;
    this.#cached32_node = this.#cached_node = this.#ranges[0]!;
    this.#rcaches = Array.from({ length: IOVA_RANGE_CACHE_MAX_SIZE }, () => new IovaRcache((pfn) => this.#free(pfn), schedule));
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
    const rounded = size < 2 ** (IOVA_RANGE_CACHE_MAX_SIZE - 1) ? roundup_pow_of_two(size) : size;
    const cached = this.#rcaches[order_base_2(rounded)]?.get(limit_pfn + 1 - rounded) ?? 0;
    if (cached !== 0) return cached;
    const pfn = this.#alloc(rounded, limit_pfn + 1);
    if (pfn !== 0 || !flush_rcache) return pfn;
    for (const rcache of this.#rcaches) rcache.flush();
    return this.#alloc(rounded, limit_pfn + 1);
  }

  /** `free_iova_fast`: into the cache of its size, else back to the space. @param size page frames as asked for */
  free_iova_fast(pfn: number, size: number): void {
    const rcache = this.#rcaches[order_base_2(size)];
    if (rcache === undefined) this.#free(pfn);
    else rcache.insert(pfn);
  }

  /** `reserve_iova`: keeps the page frames from being handed out, both ends inclusive; what is taken already grows. */
  reserve_iova(pfn_lo: number, pfn_hi: number): void {
    let low = pfn_lo;
    for (const range of this.#ranges.toReversed()) {
      if (low > range.pfn_hi || pfn_hi < range.pfn_lo) continue;
      range.pfn_lo = Math.min(range.pfn_lo, low);
      if (pfn_hi <= range.pfn_hi) return;
      low = range.pfn_hi + 1;
    }
    this.#ranges.splice(this.#indexBelow(low), 0, { pfn_lo: low, pfn_hi });
  }

  /** Index of the first range that begins below a page frame. */
  #indexBelow(pfn: number): number {
    let [from, to] = [1, this.#ranges.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.#ranges[middle]!.pfn_lo < pfn) to = middle;
      else from = middle + 1;
    }
    return from;
  }

  #indexOf(range: Iova): number {
    return range === this.#ranges[0] ? 0 : this.#indexBelow(range.pfn_lo) - 1;
  }

  /** `__alloc_and_insert_iova_range`. @param limit_pfn the first page frame that is too high */
  #alloc(size: number, limit_pfn: number): number {
    const below4G = limit_pfn <= this.dma_32bit_pfn;
    if (below4G && size >= this.#max32_alloc_size) return 0;
    const start = below4G ? this.#cached32_node : this.#cached_node;
    let found = this.#search(this.#indexOf(start), size, limit_pfn, this.start_pfn);
    // Nothing below where the last one was: once more from the top, down to there.
    if (found === null && start.pfn_hi < limit_pfn) {
      found = this.#search(this.#indexBelow(limit_pfn) - 1, size, limit_pfn, start.pfn_hi + 1);
    }
    if (found === null) {
      this.#max32_alloc_size = size;
      return 0;
    }
    const { index, pfn } = found;
    const range: Iova = { pfn_lo: pfn, pfn_hi: pfn + size - 1 };
    this.#ranges.splice(index, 0, range);
    if (range.pfn_hi < this.dma_32bit_pfn) this.#cached32_node = range;
    else this.#cached_node = range;
    return pfn;
  }

  /** The highest gap below the range at `from` that holds `size` aligned; null if there is none at `low_pfn` or above. */
  #search(from: number, size: number, limit_pfn: number, low_pfn: number): { readonly index: number; readonly pfn: number } | null {
    const align = roundup_pow_of_two(size);
    let high = limit_pfn;
    for (let index = from; ; index++) {
      high = Math.min(high, this.#ranges[index]!.pfn_lo);
      const pfn = Math.floor((high - size) / align) * align;
      if (pfn < low_pfn) return null;
      const below = this.#ranges[index + 1];
      if (below === undefined || pfn > below.pfn_hi) return { index: index + 1, pfn };
    }
  }

  /** `free_iova`: the next search begins above what is free now. */
  #free(pfn: number): void {
    const index = this.#indexBelow(pfn + 1);
    const range = this.#ranges[index];
    if (range === undefined || pfn > range.pfn_hi) return;
    const above = this.#ranges[index - 1]!;
    const low = range.pfn_hi < this.dma_32bit_pfn;
    if (range === this.#cached32_node || (low && range.pfn_lo >= this.#cached32_node.pfn_lo)) this.#cached32_node = above;
    if (range.pfn_lo < this.dma_32bit_pfn) this.#max32_alloc_size = this.dma_32bit_pfn;
    if (range.pfn_lo >= this.#cached_node.pfn_lo) this.#cached_node = above;
    this.#ranges.splice(index, 1);
  }
}
