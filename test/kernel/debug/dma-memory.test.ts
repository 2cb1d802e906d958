// SPDX-License-Identifier: GPL-2.0-only
/** Memory that a device may still reach: freed too soon, or read by the CPU before it was handed back. */
import { describe, expect, test } from "vitest";
import {
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  device_release_driver,
  dma_map_sg,
  dma_map_single,
  dma_sync_single_for_cpu,
  dma_sync_single_for_device,
  dma_unmap_single,
  iommu_attach_device,
  iommu_group_claim_dma_owner,
  iommu_iotlb_gather_init,
  iommu_iotlb_sync,
  iommu_map,
  IOMMU_WRITE,
  iommu_unmap_fast,
  KernelBuffer,
  PAGE_SIZE,
  sg_entry,
} from "../../../src/kernel/index.ts";
import { clientMachine, type ClientMachine, FakeDomain } from "../iommu/fake-iommu.ts";

function mapped(
  dir: typeof DMA_FROM_DEVICE | typeof DMA_TO_DEVICE = DMA_FROM_DEVICE,
): ClientMachine & { buffer: KernelBuffer; dma: number } {
  const machine = clientMachine();
  const buffer = KernelBuffer.alloc(machine.kernel, PAGE_SIZE, "rx")!;
  return { ...machine, buffer, dma: dma_map_single(machine.dev, buffer.pa, PAGE_SIZE, dir) };
}

const messages = ({ kernel }: ClientMachine): string[] => kernel.warnings.map(({ message }) => message);

describe("memory that is still mapped", () => {
  test("must not be freed", () => {
    const machine = mapped();
    machine.buffer.free("driver");
    expect(messages(machine)).toEqual([
      "DMA-API: client-driver 40000000.client: device driver frees memory still mapped: page 0x80000000, by driver [device address=0xfffff000] [size=4096 bytes] [mapped as single]",
    ]);
    expect(machine.kernel.warnings[0]).toMatchObject({ check: "dma-api", device: { name: "40000000.client" } });
  });

  test("is found by any piece of a list", () => {
    const machine = clientMachine();
    const buffer = KernelBuffer.alloc(machine.kernel, 2 * PAGE_SIZE, "list")!;
    dma_map_sg(machine.dev, [sg_entry(0x8800_0000, 64), sg_entry(buffer.pa + PAGE_SIZE, 64)], DMA_TO_DEVICE);
    buffer.free();
    expect(messages(machine)[0]).toContain("frees memory still mapped");
  });

  test("may be freed once it was unmapped", () => {
    const machine = mapped();
    machine.run(dma_unmap_single(machine.dev, machine.dma, PAGE_SIZE, DMA_FROM_DEVICE));
    machine.buffer.free();
    expect(messages(machine)).toEqual([]);
  });

  test("may be freed when one of two mappings is gone: no; both: yes", () => {
    const machine = mapped();
    const second = dma_map_single(machine.dev, machine.buffer.pa, 64, DMA_FROM_DEVICE);
    machine.run(dma_unmap_single(machine.dev, machine.dma, PAGE_SIZE, DMA_FROM_DEVICE));
    machine.buffer.free();
    expect(messages(machine)).toHaveLength(1);
    machine.run(dma_unmap_single(machine.dev, second, 64, DMA_FROM_DEVICE));
  });
});

describe("a streaming buffer that the device writes", () => {
  const SYNC = "CPU reads a streaming buffer that the device owns, without sync for the CPU";

  test("is not the CPU's to read", () => {
    const machine = mapped();
    machine.buffer.get32(0);
    machine.buffer.get32(4);
    expect(messages(machine)).toEqual([expect.stringContaining(SYNC)]);
  });

  test("is the CPU's after sync_for_cpu, as far as it was synced", () => {
    const machine = mapped();
    dma_sync_single_for_cpu(machine.dev, machine.dma, 64, DMA_FROM_DEVICE);
    machine.buffer.bytes(0, 64);
    expect(messages(machine)).toEqual([]);
    machine.buffer.get32(64);
    expect(messages(machine)).toEqual([expect.stringContaining(SYNC)]);
  });

  test("is the device's again after sync_for_device", () => {
    const machine = mapped();
    dma_sync_single_for_cpu(machine.dev, machine.dma, 64, DMA_FROM_DEVICE);
    dma_sync_single_for_device(machine.dev, machine.dma, 64, DMA_FROM_DEVICE);
    machine.buffer.get8(0);
    expect(messages(machine)).toEqual([expect.stringContaining(SYNC)]);
  });

  test("is the CPU's after the unmap", () => {
    const machine = mapped();
    machine.run(dma_unmap_single(machine.dev, machine.dma, PAGE_SIZE, DMA_FROM_DEVICE));
    machine.buffer.get32(0);
    expect(messages(machine)).toEqual([]);
  });

  test("that the device only reads may be read by the CPU, too", () => {
    const machine = mapped(DMA_TO_DEVICE);
    machine.buffer.get32(0);
    expect(messages(machine)).toEqual([]);
  });
});

describe("an unmap whose invalidation was gathered", () => {
  const IOVA = 0x1000_0000;

  /** A client that somebody claimed, with a page mapped in a domain of his own. */
  function claimed(): { machine: ClientMachine; domain: FakeDomain; page: KernelBuffer } {
    const machine = clientMachine();
    machine.run(device_release_driver(machine.dev));
    machine.run(iommu_group_claim_dma_owner(machine.dev.iommu_group!, "vfio"));
    const domain = new FakeDomain("vfio", machine.iommu.log);
    machine.run(iommu_attach_device(domain, machine.dev));
    const page = KernelBuffer.alloc(machine.kernel, PAGE_SIZE, "guest")!;
    iommu_map(machine.sim, domain, IOVA, page.pa, PAGE_SIZE, IOMMU_WRITE);
    return { machine, domain, page };
  }

  test("is a missing sync if the page is freed before it", () => {
    const { machine, domain, page } = claimed();
    machine.run(iommu_unmap_fast(domain, IOVA, PAGE_SIZE, iommu_iotlb_gather_init()));
    page.free("vfio");
    expect(messages(machine)).toEqual([
      "iommu: vfio frees page 0x80000000 before the IOTLB was synced [iova=0x10000000] [size=4096 bytes]",
    ]);
  });

  test("is none after iommu_iotlb_sync", () => {
    const { machine, domain, page } = claimed();
    const gather = iommu_iotlb_gather_init();
    machine.run(iommu_unmap_fast(domain, IOVA, PAGE_SIZE, gather));
    machine.run(iommu_iotlb_sync(domain, gather));
    page.free("vfio");
    expect(messages(machine)).toEqual([]);
  });
});
