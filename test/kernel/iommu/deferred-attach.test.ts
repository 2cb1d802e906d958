// SPDX-License-Identifier: GPL-2.0-only
/** Deferred attach: a device keeps the translations that it has until its driver first maps memory. */
import { describe, expect, test } from "vitest";
import {
  device_unregister,
  DMA_MAPPING_ERROR,
  DMA_TO_DEVICE,
  dma_alloc_coherent,
  dma_map_sg,
  dma_map_single,
  ENOMEM,
  iommu_dma_prepare_msi,
  iommu_group_claim_dma_owner,
  PAGE_SIZE,
  sg_entry,
} from "../../../src/kernel/index.ts";
import { clientMachine, type ClientMachine, FakeIommu } from "./fake-iommu.ts";

const ATTACH = "attach 40000000.client to domain0";

function deferred(): ClientMachine {
  const iommu = new FakeIommu();
  iommu.deferred = true;
  return clientMachine({ iommu });
}

const attaches = ({ iommu }: ClientMachine): string[] => iommu.log.filter((line) => line.startsWith("attach"));
const page = ({ kernel }: ClientMachine): number => kernel.mm.alloc_pages(PAGE_SIZE, "buffers", "kernel");

function mapSingle(machine: ClientMachine): void {
  dma_map_single(machine.dev, page(machine), 64, DMA_TO_DEVICE);
}
function mapList(machine: ClientMachine): void {
  dma_map_sg(machine.dev, [sg_entry(page(machine), 64)], DMA_TO_DEVICE);
}
function allocate(machine: ClientMachine): void {
  dma_alloc_coherent(machine.dev, 64);
}

describe("is_attach_deferred", () => {
  test("the device is probed and bound, and its domain is not attached", () => {
    const machine = deferred();
    expect(machine.dev.driver).not.toBeNull();
    expect(machine.dev.iommu_group!.domain).toBe(machine.domain);
    expect(attaches(machine)).toEqual([]);
  });

  test.each([
    ["a streaming mapping", mapSingle],
    ["a scatter list", mapList],
    ["coherent memory", allocate],
  ] as const)("%s attaches first and then maps", (_what, act) => {
    const machine = deferred();
    machine.iommu.log.length = 0;
    act(machine);
    expect(machine.iommu.log.map((line) => line.split(" ")[0])).toEqual(["attach", "map"]);
    expect(attaches(machine)).toEqual([ATTACH]);
  });

  test("only the first mapping attaches", () => {
    const machine = deferred();
    for (let i = 0; i < 3; i++) dma_map_single(machine.dev, page(machine), 64, DMA_TO_DEVICE);
    expect(attaches(machine)).toEqual([ATTACH]);
  });

  test("a doorbell for MSIs is mapped without attaching", () => {
    const machine = deferred();
    expect(iommu_dma_prepare_msi(machine.dev, 0x802_0040)).toBe(0);
    expect(attaches(machine)).toEqual([]);
  });

  test("a mapping fails if attaching does, and the next one tries again", () => {
    const machine = deferred();
    const { attach_dev } = machine.domain;
    machine.domain.attach_dev = function* () {
      return -ENOMEM;
    };
    expect(dma_map_single(machine.dev, page(machine), 64, DMA_TO_DEVICE)).toBe(DMA_MAPPING_ERROR);
    machine.domain.attach_dev = attach_dev;
    expect(dma_map_single(machine.dev, page(machine), 64, DMA_TO_DEVICE)).not.toBe(DMA_MAPPING_ERROR);
    expect(attaches(machine)).toEqual([ATTACH]);
  });

  test("another domain than the default one is attached at once", () => {
    const machine = deferred();
    const { dev } = machine;
    dev.iommu_group!.owner_cnt = 0;
    expect(machine.run(iommu_group_claim_dma_owner(dev.iommu_group!, "vfio"))).toBe(0);
    expect(attaches(machine)).toEqual(["attach 40000000.client to blocked from domain0"]);
    expect(dev.iommu!.attach_deferred).toBe(false);
  });

  test("a device that never mapped leaves without the blocked domain", () => {
    const machine = deferred();
    machine.run(device_unregister(machine.dev));
    expect(attaches(machine)).toEqual([]);
    expect(machine.iommu.log).toContain("release_device 40000000.client");
  });
});
