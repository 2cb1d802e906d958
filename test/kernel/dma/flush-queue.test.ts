// SPDX-License-Identifier: GPL-2.0-only
/** Lazy invalidation (`iommu.strict=0`): after Linux's drivers/iommu/dma-iommu.c, 256 entries and 10 ms. */
import { describe, expect, test } from "vitest";
import {
  device_unregister,
  DMA_TO_DEVICE,
  dma_map_single,
  dma_unmap_single,
  IOVA_DEFAULT_FQ_SIZE,
  PAGE_SIZE,
} from "../../../src/kernel/index.ts";
import { clientMachine, type ClientMachine, FakeDomain, FakeIommu } from "../iommu/fake-iommu.ts";

const TOP = 0xffff_f000;
const MS = 1_000_000;

function lazy(): ClientMachine {
  const machine = clientMachine({ cmdline: { iommuStrict: false } });
  machine.iommu.log.length = 0;
  return machine;
}

function map(machine: ClientMachine): number {
  const pa = machine.kernel.mm.alloc_pages(PAGE_SIZE, "buffers", "kernel");
  return dma_map_single(machine.dev, pa, 64, DMA_TO_DEVICE);
}

function unmap(machine: ClientMachine, dma: number): void {
  machine.run(dma_unmap_single(machine.dev, dma, 64, DMA_TO_DEVICE));
}

const flushes = ({ iommu }: ClientMachine): number => iommu.log.filter((line) => line.startsWith("flush")).length;

describe("which domains are lazy", () => {
  test.each([
    [{ iommuStrict: true }, "dma", "strict"],
    [{ iommuStrict: false }, "dma-fq", "lazy"],
  ] as const)("%j: a default domain is of type %s, and the kernel says %s mode", (cmdline, type, mode) => {
    const machine = clientMachine({ cmdline });
    expect(machine.domain.type).toBe(type);
    const said = machine.kernel.printk.lines.map(({ text }) => text);
    expect(said).toContain(`iommu: DMA domain TLB invalidation policy: ${mode} mode`);
  });

  test("iommu.passthrough wins over iommu.strict=0", () => {
    const machine = clientMachine({ cmdline: { iommuStrict: false, iommuPassthrough: true } });
    expect(machine.dev.iommu_group!.default_domain!.type).toBe("identity");
  });

  test("a driver that insists on translation gets a strict domain", () => {
    const iommu = new FakeIommu();
    iommu.defaultType = "dma";
    expect(clientMachine({ iommu, cmdline: { iommuStrict: false } }).domain.type).toBe("dma");
  });

  test("a domain that cannot flush everything at once is strict", () => {
    const iommu = new FakeIommu();
    iommu.domain_alloc_paging = () => {
      const domain = new FakeDomain("flushless", iommu.log);
      Object.defineProperty(domain, "flush_iotlb_all", { value: undefined });
      return domain;
    };
    const machine = clientMachine({ iommu, cmdline: { iommuStrict: false } });
    expect(machine.domain.type).toBe("dma");
    unmap(machine, map(machine));
    expect(iommu.log.at(-1)).toMatch(/^sync/);
  });
});

describe("queue_iova", () => {
  test("an unmap clears the entry and invalidates nothing", () => {
    const machine = lazy();
    unmap(machine, map(machine));
    expect(machine.iommu.log.slice(1)).toEqual(["unmap fffff000 1000x1"]);
    expect(machine.domain.table.size).toBe(0);
  });

  test("the address is not handed out before a flush", () => {
    const machine = lazy();
    unmap(machine, map(machine));
    expect(map(machine)).toBe(TOP - PAGE_SIZE);
    machine.idle(11 * MS);
    expect(map(machine)).toBe(TOP);
  });

  test("10 ms after the first of them, one flush serves all that gathered", () => {
    const machine = lazy();
    const [a, b] = [map(machine), map(machine)];
    unmap(machine, a);
    machine.idle(9 * MS);
    unmap(machine, b);
    expect(flushes(machine)).toBe(0);
    machine.idle(1.1 * MS);
    expect(flushes(machine)).toBe(1);
    expect(machine.domain.cookie!.fq!.pending).toEqual([]);
  });

  test("without unmaps there are no flushes", () => {
    const machine = lazy();
    unmap(machine, map(machine));
    machine.idle(100 * MS);
    expect(flushes(machine)).toBe(1);
    expect(machine.kernel.time.armedTimers).not.toContain("fq_flush_timeout");
  });

  test("a full ring, which holds one entry less than its size, is flushed at once", () => {
    const machine = lazy();
    const addresses = Array.from({ length: IOVA_DEFAULT_FQ_SIZE }, () => map(machine));
    for (const dma of addresses.slice(0, -1)) unmap(machine, dma);
    expect(flushes(machine)).toBe(0);
    unmap(machine, addresses.at(-1)!);
    expect(flushes(machine)).toBe(1);
    expect(machine.domain.cookie!.fq!.pending.map(({ iova_pfn }) => iova_pfn)).toEqual([addresses.at(-1)! / PAGE_SIZE]);
  });

  test("what is queued while a flush is under way waits for the next one", () => {
    const machine = lazy();
    const [a, b] = [map(machine), map(machine)];
    let during = true;
    machine.domain.flush_iotlb_all = function* () {
      if (during) yield* dma_unmap_single(machine.dev, b, 64, DMA_TO_DEVICE);
      during = false;
    };
    unmap(machine, a);
    machine.idle(10.1 * MS);
    expect(machine.domain.cookie!.fq!.pending.map(({ iova_pfn }) => iova_pfn * PAGE_SIZE)).toEqual([b]);
    machine.idle(10.1 * MS);
    expect(machine.domain.cookie!.fq!.pending).toEqual([]);
  });

  test("the queue of a domain that goes away takes its timer along", () => {
    const machine = lazy();
    unmap(machine, map(machine));
    machine.run(device_unregister(machine.dev));
    expect(machine.kernel.time.armedTimers).not.toContain("fq_flush_timeout");
  });
});
