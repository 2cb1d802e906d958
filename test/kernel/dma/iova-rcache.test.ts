// SPDX-License-Identifier: GPL-2.0-only
/** The cache of freed ranges, after Linux's drivers/iommu/iova.c: magazines of 127, two loaded, a depot that is trimmed. */
import { describe, expect, test } from "vitest";
import {
  DMA_TO_DEVICE,
  dma_map_single,
  dma_unmap_single,
  IOVA_DEPOT_DELAY,
  IOVA_MAG_SIZE,
  IovaRcache,
  PAGE_SIZE,
} from "../../../src/kernel/index.ts";
import { clientMachine } from "../iommu/fake-iommu.ts";

const ANY = Number.MAX_SAFE_INTEGER;

interface Rig {
  readonly rcache: IovaRcache;
  readonly freed: number[];
  readonly delays: number[];
}

/** A cache with the page frames 1 … count, freed in this order. */
function filled(count: number): Rig {
  const freed: number[] = [];
  const delays: number[] = [];
  const rcache = new IovaRcache(
    (pfn) => freed.push(pfn),
    (_rcache, delay) => delays.push(delay),
  );
  for (let pfn = 1; pfn <= count; pfn++) rcache.insert(pfn);
  return { rcache, freed, delays };
}

function drain(rcache: IovaRcache): number[] {
  const found: number[] = [];
  for (let pfn = rcache.get(ANY); pfn !== 0; pfn = rcache.get(ANY)) found.push(pfn);
  return found;
}

const down = (from: number, to: number): number[] => Array.from({ length: from - to + 1 }, (_, index) => from - index);

describe("IovaRcache", () => {
  test("one magazine is last in, first out", () => {
    expect(drain(filled(IOVA_MAG_SIZE).rcache)).toEqual(down(127, 1));
  });

  test("the second magazine is emptied before the first, which was loaded before it", () => {
    expect(drain(filled(200).rcache)).toEqual([...down(200, 128), ...down(127, 1)]);
  });

  test("of three, the second is the one in the depot and comes last", () => {
    const { rcache } = filled(2 * IOVA_MAG_SIZE + 1);
    expect(rcache.depot_size).toBe(1);
    expect(drain(rcache)).toEqual([255, ...down(127, 1), ...down(254, 128)]);
  });

  test("only the loaded magazine is searched for a range below a limit", () => {
    const { rcache } = filled(200);
    expect(rcache.get(100)).toBe(0);
    expect(rcache.get(150)).toBe(150);
  });

  test("the last in takes the place of one that was taken from the middle", () => {
    const { rcache } = filled(5);
    expect(rcache.get(3)).toBe(3);
    expect(drain(rcache)).toEqual([4, 5, 2, 1]);
  });

  test("trimming frees one magazine at a time, until one is left in the depot", () => {
    const { rcache, freed, delays } = filled(5 * IOVA_MAG_SIZE);
    expect([rcache.depot_size, delays]).toEqual([3, [IOVA_DEPOT_DELAY, IOVA_DEPOT_DELAY, IOVA_DEPOT_DELAY]]);
    rcache.trim();
    expect([rcache.depot_size, freed.length, delays.length]).toEqual([2, IOVA_MAG_SIZE, 4]);
    rcache.trim();
    rcache.trim();
    expect([rcache.depot_size, freed.length, delays.length]).toEqual([1, 2 * IOVA_MAG_SIZE, 5]);
  });

  test("a flush frees everything", () => {
    const { rcache, freed } = filled(400);
    rcache.flush();
    expect(freed.toSorted((a, b) => a - b)).toEqual(down(400, 1).toReversed());
    expect(rcache.get(ANY)).toBe(0);
  });
});

test("the depot of a domain is trimmed 100 ms after it got a magazine", () => {
  const machine = clientMachine();
  const { dev, kernel } = machine;
  const count = 4 * IOVA_MAG_SIZE + 1;
  const page = kernel.mm.alloc_pages(PAGE_SIZE, "buffers", "kernel");
  const mapped = Array.from({ length: count }, () => dma_map_single(dev, page, 64, DMA_TO_DEVICE));
  for (const dma of mapped) machine.run(dma_unmap_single(dev, dma, 64, DMA_TO_DEVICE));
  // The fourth magazine came to the depot last: its addresses go back to the space, and come out of it when the cache is empty.
  machine.idle(150e6);
  const again = Array.from({ length: count }, () => dma_map_single(dev, page, 64, DMA_TO_DEVICE));
  expect(new Set(again).size).toBe(count);
  expect(again.slice(-IOVA_MAG_SIZE)).toEqual(mapped.slice(3 * IOVA_MAG_SIZE, 4 * IOVA_MAG_SIZE));
});
