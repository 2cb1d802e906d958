// SPDX-License-Identifier: GPL-2.0-only
/** iommu_map and iommu_unmap: page sizes, gathering, undoing. */
import { describe, expect, test } from "vitest";
import {
  EEXIST,
  EINVAL,
  IOMMU_READ,
  iommu_iotlb_gather_add_page,
  iommu_iotlb_gather_init,
  iommu_iova_to_phys,
  iommu_map,
  iommu_pgsize,
  iommu_unmap,
} from "../../../src/kernel/index.ts";
import { makeTestKernel } from "../support/fake-platform.ts";
import { FakeDomain, SIZE_2M, SIZE_4K } from "./fake-iommu.ts";

function setup(): { machine: ReturnType<typeof makeTestKernel>; domain: FakeDomain; log: string[] } {
  const log: string[] = [];
  return { machine: makeTestKernel(), domain: new FakeDomain("d", log), log };
}

describe("iommu_pgsize", () => {
  test("takes the largest page that both addresses and the size allow", () => {
    const { domain } = setup();
    expect(iommu_pgsize(domain, SIZE_2M, 4 * SIZE_2M, 3 * SIZE_2M)).toEqual({ pgsize: SIZE_2M, count: 3 });
    expect(iommu_pgsize(domain, SIZE_2M, 4 * SIZE_2M + SIZE_4K, SIZE_2M)).toEqual({ pgsize: SIZE_4K, count: 512 });
  });

  test("stops at the next border of a larger page if one fits behind it", () => {
    const { domain } = setup();
    const iova = SIZE_2M - 2 * SIZE_4K;
    expect(iommu_pgsize(domain, iova, iova + SIZE_2M, SIZE_2M + 2 * SIZE_4K)).toEqual({ pgsize: SIZE_4K, count: 2 });
  });

  test("goes on with small pages if the addresses are offset differently in a larger page", () => {
    const { domain } = setup();
    expect(iommu_pgsize(domain, SIZE_2M - SIZE_4K, 0, 2 * SIZE_2M)).toEqual({ pgsize: SIZE_4K, count: 1024 });
  });

  test("knows page sizes beyond 32 bits", () => {
    const { domain } = setup();
    domain.pgsize_bitmap = SIZE_4K + 2 ** 30 + 2 ** 39;
    expect(iommu_pgsize(domain, 2 ** 39, 2 ** 40, 2 ** 40)).toEqual({ pgsize: 2 ** 39, count: 2 });
  });
});

describe("iommu_map", () => {
  test("maps small pages up to a block and blocks from there", () => {
    const { machine, domain, log } = setup();
    const iova = SIZE_2M - SIZE_4K;
    expect(iommu_map(machine.sim, domain, iova, iova + 2 * SIZE_2M, SIZE_2M + SIZE_4K, IOMMU_READ)).toBe(0);
    expect(log).toEqual(["map 1ff000->5ff000 1000x1", "map 200000->600000 200000x1"]);
    expect(iommu_iova_to_phys(domain, SIZE_2M + 5)).toBe(3 * SIZE_2M + 5);
  });

  test("refuses what is not aligned to the smallest page", () => {
    const { machine, domain } = setup();
    expect(iommu_map(machine.sim, domain, 0x800, 0, SIZE_4K, IOMMU_READ)).toBe(-EINVAL);
    expect(iommu_map(machine.sim, domain, 0, 0, 0x800, IOMMU_READ)).toBe(-EINVAL);
  });

  test("leaves nothing mapped when it fails half-way", () => {
    const { machine, domain } = setup();
    domain.pagesLeft = 2;
    expect(iommu_map(machine.sim, domain, SIZE_4K, 0, 4 * SIZE_4K, IOMMU_READ)).toBe(-EEXIST);
    expect(domain.table.size).toBe(0);
  });
});

describe("iommu_unmap", () => {
  test("clears all entries first, then invalidates once for the whole range", () => {
    const { machine, domain, log } = setup();
    iommu_map(machine.sim, domain, 0x10_0000, 0, 3 * SIZE_4K, IOMMU_READ);
    log.length = 0;
    expect(machine.run(iommu_unmap(domain, 0x10_0000, 3 * SIZE_4K))).toBe(3 * SIZE_4K);
    expect(log).toEqual(["unmap 100000 1000x3", "sync 100000-102fff"]);
  });

  test("stops at a hole", () => {
    const { machine, domain } = setup();
    iommu_map(machine.sim, domain, 0x10_0000, 0, SIZE_4K, IOMMU_READ);
    expect(machine.run(iommu_unmap(domain, 0x10_0000, 3 * SIZE_4K))).toBe(SIZE_4K);
  });
});

describe("iommu_iotlb_gather_add_page", () => {
  test("syncs first what has another page size", () => {
    const { machine, domain, log } = setup();
    const gather = iommu_iotlb_gather_init();
    machine.run(iommu_iotlb_gather_add_page(domain, gather, 0x1000, SIZE_4K));
    machine.run(iommu_iotlb_gather_add_page(domain, gather, SIZE_2M, SIZE_2M));
    expect(log).toEqual(["sync 1000-1fff"]);
    expect(gather).toMatchObject({ start: SIZE_2M, end: 2 * SIZE_2M - 1, pgsize: SIZE_2M });
  });

  test("syncs first what lies elsewhere, and extends what touches", () => {
    const { machine, domain, log } = setup();
    const gather = iommu_iotlb_gather_init();
    for (const iova of [0x1000, 0x2000, 0x8000]) machine.run(iommu_iotlb_gather_add_page(domain, gather, iova, SIZE_4K));
    expect(log).toEqual(["sync 1000-2fff"]);
  });
});
