// SPDX-License-Identifier: GPL-2.0-only
/** Sets of address ranges: sorted, disjoint, merged where they touch. Addresses and sizes are numbers below 2^53. */

/** `size` bytes from `base` on. */
export interface MemoryRange {
  readonly base: number;
  readonly size: number;
}

/** Rounds up to a multiple of `align`, a power of two. */
export function alignUp(value: number, align: number): number {
  return Math.ceil(value / align) * align;
}

/** Rounds down to a multiple of `align`, a power of two. */
export function alignDown(value: number, align: number): number {
  return Math.floor(value / align) * align;
}

/** The smallest power of two that is at least `value`. */
export function roundup_pow_of_two(value: number): number {
  let power = 1;
  while (power < value) power *= 2;
  return power;
}

/** True if the ranges share a byte. */
export function overlaps(a: MemoryRange, b: MemoryRange): boolean {
  return a.base < b.base + b.size && b.base < a.base + a.size;
}

/** What of each range lies within another one. */
export function common_ranges(ranges: readonly MemoryRange[], within: MemoryRange): MemoryRange[] {
  const common = ranges.map(({ base, size }) => {
    const start = Math.max(base, within.base);
    return { base: start, size: Math.min(base + size, within.base + within.size) - start };
  });
  return common.filter(({ size }) => size > 0);
}

export class RangeSet {
  #ranges: MemoryRange[] = [];

  /** Bytes in the set. */
  get total(): number {
    return this.#ranges.reduce((sum, range) => sum + range.size, 0);
  }

  get ranges(): readonly MemoryRange[] {
    return this.#ranges;
  }

  /** Adds a range; bytes that are in the set already stay. */
  add(base: number, size: number): void {
    if (size <= 0) return;
    let start = base;
    let end = base + size;
    const before: MemoryRange[] = [];
    const after: MemoryRange[] = [];
    for (const range of this.#ranges) {
      if (range.base + range.size < start) before.push(range);
      else if (range.base > end) after.push(range);
      else {
        start = Math.min(start, range.base);
        end = Math.max(end, range.base + range.size);
      }
    }
    this.#ranges = [...before, { base: start, size: end - start }, ...after];
  }

  /** Removes a range; bytes that are not in the set do not matter. */
  remove(base: number, size: number): void {
    const end = base + size;
    this.#ranges = this.#ranges.flatMap((range) => {
      const rangeEnd = range.base + range.size;
      if (range.base >= end || rangeEnd <= base) return [range];
      const kept: MemoryRange[] = [];
      if (range.base < base) kept.push({ base: range.base, size: base - range.base });
      if (rangeEnd > end) kept.push({ base: end, size: rangeEnd - end });
      return kept;
    });
  }

  /** True if every byte of the range is in the set. */
  contains(base: number, size: number): boolean {
    return this.#ranges.some((range) => base >= range.base && base + size <= range.base + range.size);
  }

  /** The lowest multiple of `align` where `size` bytes fit below `limit` without touching a range to avoid. */
  lowestFit(size: number, align: number, limit: number, avoid: readonly MemoryRange[] = []): number | undefined {
    for (const range of this.#ranges) {
      const end = Math.min(range.base + range.size, limit);
      let base = alignUp(range.base, align);
      while (base + size <= end) {
        const at = base;
        const obstacle = avoid.find((other) => overlaps(other, { base: at, size }));
        if (obstacle === undefined) return base;
        base = alignUp(obstacle.base + obstacle.size, align);
      }
    }
    return undefined;
  }

  /** The highest multiple of `align` where `size` bytes fit below `limit`. */
  highestFit(size: number, align: number, limit: number): number | undefined {
    for (const range of this.#ranges.toReversed()) {
      const base = alignDown(Math.min(range.base + range.size, limit) - size, align);
      if (base >= range.base) return base;
    }
    return undefined;
  }
}
