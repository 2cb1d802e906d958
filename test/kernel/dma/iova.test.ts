// SPDX-License-Identifier: GPL-2.0-only
/** The IOVA allocator: top-down, size-aligned, last-in first-out. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IovaDomain } from "../../../src/kernel/index.ts";

const LIMIT = 0xf_ffff;

function space(start_pfn: number = 1): IovaDomain {
  return new IovaDomain(4096, start_pfn);
}

describe("alloc_iova_fast", () => {
  test("starts at the limit and goes down", () => {
    const iovad = space();
    expect([1, 1, 1].map((size) => iovad.alloc_iova_fast(size, LIMIT, true))).toEqual([LIMIT, LIMIT - 1, LIMIT - 2]);
  });

  test("aligns a range to the next power of two of its size", () => {
    const iovad = space();
    iovad.alloc_iova_fast(1, LIMIT, true);
    expect(iovad.alloc_iova_fast(4, LIMIT, true)).toBe(0xf_fff8);
    expect(iovad.alloc_iova_fast(33, LIMIT, true)).toBe(0xf_ffc0);
  });

  test("rounds small sizes up to a power of two, so that the cache can serve them", () => {
    const iovad = space();
    expect(iovad.alloc_iova_fast(3, LIMIT, true)).toBe(LIMIT - 3);
    expect(iovad.alloc_iova_fast(1, LIMIT, true)).toBe(LIMIT - 4);
  });

  test("does not round sizes above 32 pages: what is left of the alignment can be had", () => {
    const iovad = space(LIMIT + 1 - 64);
    expect(iovad.alloc_iova_fast(33, LIMIT, true)).toBe(LIMIT + 1 - 64);
    expect(iovad.alloc_iova_fast(16, LIMIT, true)).toBe(LIMIT + 1 - 16);
  });

  test("goes on below the range given out last, whatever gaps alignment left above it", () => {
    const iovad = space();
    iovad.alloc_iova_fast(1, LIMIT, true);
    expect(iovad.alloc_iova_fast(4, LIMIT, true)).toBe(0xf_fff8);
    expect(iovad.alloc_iova_fast(1, LIMIT, true)).toBe(0xf_fff7);
  });

  test("comes back to such gaps when nothing is left below", () => {
    const iovad = space(0xf_fff8);
    iovad.alloc_iova_fast(1, LIMIT, true);
    iovad.alloc_iova_fast(4, LIMIT, true);
    expect(iovad.alloc_iova_fast(1, LIMIT, true)).toBe(0xf_fffe);
  });

  test("searches above and below 4 GiB begin in places of their own", () => {
    const iovad = space();
    const high = 0xff_ffff;
    expect(iovad.alloc_iova_fast(1, high, true)).toBe(high);
    expect(iovad.alloc_iova_fast(1, LIMIT, true)).toBe(LIMIT);
    expect(iovad.alloc_iova_fast(1, high, true)).toBe(high - 1);
    expect(iovad.alloc_iova_fast(1, LIMIT, true)).toBe(LIMIT - 1);
  });

  test("a size that failed below 4 GiB fails until something there is free again", () => {
    const iovad = space(LIMIT - 127);
    const first = iovad.alloc_iova_fast(64, LIMIT, true);
    iovad.alloc_iova_fast(33, LIMIT, true);
    expect(iovad.alloc_iova_fast(64, LIMIT, true)).toBe(0);
    iovad.free_iova_fast(first, 64);
    expect(iovad.alloc_iova_fast(64, LIMIT, true)).toBe(first);
  });

  test("fills a gap that a freed large range left", () => {
    const iovad = space();
    const first = iovad.alloc_iova_fast(64, LIMIT, true);
    iovad.alloc_iova_fast(64, LIMIT, true);
    iovad.free_iova_fast(first, 64);
    expect(iovad.alloc_iova_fast(64, LIMIT, true)).toBe(first);
  });

  test("never gives out page frame 0", () => {
    const iovad = space(0);
    expect([iovad.alloc_iova_fast(1, 1, true), iovad.alloc_iova_fast(1, 1, true)]).toEqual([1, 0]);
  });

  test("keeps out of reserved ranges", () => {
    const iovad = space();
    iovad.reserve_iova(LIMIT - 15, LIMIT);
    expect(iovad.alloc_iova_fast(1, LIMIT, true)).toBe(LIMIT - 16);
  });

  test("reserved ranges may overlap", () => {
    const iovad = space(LIMIT - 127);
    iovad.reserve_iova(LIMIT - 15, LIMIT - 8);
    iovad.reserve_iova(LIMIT - 31, LIMIT);
    iovad.reserve_iova(LIMIT - 20, LIMIT - 18);
    expect(iovad.alloc_iova_fast(64, LIMIT, true)).toBe(LIMIT - 127);
    expect(iovad.alloc_iova_fast(32, LIMIT, true)).toBe(LIMIT - 63);
    expect(iovad.alloc_iova_fast(1, LIMIT, true)).toBe(0);
  });
});

describe("free_iova_fast", () => {
  test("the range freed last is the next one handed out, by size class", () => {
    const iovad = space();
    const [a, b, c] = [1, 1, 2].map((size) => iovad.alloc_iova_fast(size, LIMIT, true)) as [number, number, number];
    iovad.free_iova_fast(a, 1);
    iovad.free_iova_fast(c, 2);
    iovad.free_iova_fast(b, 1);
    expect([1, 1, 2].map((size) => iovad.alloc_iova_fast(size, LIMIT, true))).toEqual([b, a, c]);
  });

  test("a cached range above the limit is not handed out", () => {
    const iovad = space();
    iovad.free_iova_fast(iovad.alloc_iova_fast(1, LIMIT, true), 1);
    expect(iovad.alloc_iova_fast(1, 0xff, true)).toBe(0xff);
  });

  test("cached ranges go back to the space when nothing else is left", () => {
    const iovad = space();
    const small = [1, 1].map(() => iovad.alloc_iova_fast(1, 3, true));
    expect(iovad.alloc_iova_fast(2, 3, true)).toBe(0);
    for (const pfn of small) iovad.free_iova_fast(pfn, 1);
    expect(iovad.alloc_iova_fast(2, 3, false)).toBe(0);
    expect(iovad.alloc_iova_fast(2, 3, true)).toBe(2);
  });
});

test("ranges in use never overlap, are size-aligned and lie inside [start, limit]", () => {
  const step = fc.record({ size: fc.integer({ min: 1, max: 80 }), free: fc.boolean(), pick: fc.nat(1000) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const iovad = space(16);
      const live: { pfn: number; size: number }[] = [];
      for (const { size, free, pick } of steps) {
        if (free && live.length > 0) {
          const [gone] = live.splice(pick % live.length, 1);
          iovad.free_iova_fast(gone!.pfn, gone!.size);
          continue;
        }
        const pfn = iovad.alloc_iova_fast(size, 0x3ff, true);
        if (pfn === 0) continue;
        const align = 2 ** Math.ceil(Math.log2(size));
        expect(pfn % align).toBe(0);
        expect(pfn >= 16 && pfn + size - 1 <= 0x3ff).toBe(true);
        expect(live.every((other) => pfn + size <= other.pfn || other.pfn + other.size <= pfn)).toBe(true);
        live.push({ pfn, size });
      }
    }),
    { numRuns: 100 },
  );
});
