// SPDX-License-Identifier: GPL-2.0-only
/** The DMA API: what a mapping lets a device do, and when it cannot any more. */
import { describe, expect, test } from "vitest";
import {
  type Device,
  DMA_BIDIRECTIONAL,
  DMA_BIT_MASK,
  DMA_FROM_DEVICE,
  DMA_MAPPING_ERROR,
  DMA_TO_DEVICE,
  device_release_driver,
  dma_alloc_coherent,
  dma_free_coherent,
  dma_map_sg,
  dma_map_single,
  dma_set_mask_and_coherent,
  dma_unmap_sg,
  dma_unmap_single,
  dmam_alloc_coherent,
  EIO,
  IOMMU_CACHE,
  IOMMU_READ,
  IOMMU_WRITE,
  iommu_dma_compose_msi_address,
  iommu_dma_prepare_msi,
  PAGE_SIZE,
  sg_entry,
} from "../../../src/kernel/index.ts";
import { clientMachine, type ClientMachine } from "../iommu/fake-iommu.ts";
import { testDevice } from "../support/devices.ts";
import { makeTestKernel, type TestKernel, type TestKernelOptions } from "../support/fake-platform.ts";

const TOP = 0xffff_f000;

function page(machine: TestKernel, size: number = PAGE_SIZE): number {
  return machine.kernel.mm.alloc_pages(size, "buffers", "kernel");
}

describe("dma_map_single behind an IOMMU", () => {
  test("gives the highest free address under the mask and keeps the offset inside the page", () => {
    const machine = clientMachine();
    const pa = page(machine) + 0x123;
    expect(dma_map_single(machine.dev, pa, 100, DMA_TO_DEVICE)).toBe(TOP + 0x123);
    expect(machine.domain.iova_to_phys(TOP + 0x123)).toBe(pa);
  });

  test("maps whole pages around the buffer", () => {
    const machine = clientMachine();
    const pa = page(machine, 3 * PAGE_SIZE);
    const dma = dma_map_single(machine.dev, pa + 0xf00, 0x200, DMA_TO_DEVICE);
    expect(dma).toBe(0xffff_e000 + 0xf00);
    expect(machine.domain.table.size).toBe(2);
  });

  test("translates the direction into permissions, and coherence into cacheability", () => {
    const machine = clientMachine();
    const prot = (dma: number): number => machine.domain.table.get(dma)!.prot;
    expect(prot(dma_map_single(machine.dev, page(machine), 1, DMA_TO_DEVICE))).toBe(IOMMU_READ);
    expect(prot(dma_map_single(machine.dev, page(machine), 1, DMA_FROM_DEVICE))).toBe(IOMMU_WRITE);
    machine.dev.dma_coherent = true;
    expect(prot(dma_map_single(machine.dev, page(machine), 1, DMA_BIDIRECTIONAL))).toBe(IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE);
  });

  test("grants the exact bytes to the device, until the unmap is over", () => {
    const machine = clientMachine();
    const pa = page(machine);
    machine.platform.pages.log.length = 0;
    const dma = dma_map_single(machine.dev, pa + 0x40, 64, DMA_FROM_DEVICE);
    const grant = `40000000.client ${(pa + 0x40).toString(16)}+40`;
    expect(machine.platform.pages.log).toEqual([`granted ${grant} streaming`]);
    machine.run(dma_unmap_single(machine.dev, dma, 64, DMA_FROM_DEVICE));
    expect(machine.platform.pages.log.at(-1)).toBe(`revoked ${grant}`);
  });

  test("a failed mapping gives its address back", () => {
    const machine = clientMachine();
    machine.domain.pagesLeft = 0;
    expect(dma_map_single(machine.dev, page(machine), 64, DMA_TO_DEVICE)).toBe(DMA_MAPPING_ERROR);
    machine.domain.pagesLeft = Infinity;
    expect(dma_map_single(machine.dev, page(machine), 64, DMA_TO_DEVICE)).toBe(TOP);
  });
});

describe("dma_unmap_single in strict mode", () => {
  test("clears the entry, then invalidates, and only then the address is free", () => {
    const machine = clientMachine();
    const { dev, domain, iommu } = machine;
    const dma = dma_map_single(dev, page(machine), 64, DMA_TO_DEVICE);
    const order: string[] = [];
    iommu.log.length = 0;
    domain.iotlb_sync = function* () {
      order.push(`sync with ${domain.table.size} entries`);
      // The address is still taken: a mapping made now gets another.
      order.push(`mapped ${dma_map_single(dev, page(machine), 64, DMA_TO_DEVICE).toString(16)}`);
    };
    machine.run(dma_unmap_single(dev, dma, 64, DMA_TO_DEVICE));
    expect(order).toEqual(["sync with 0 entries", `mapped ${(TOP - PAGE_SIZE).toString(16)}`]);
    expect(iommu.log[0]).toBe("unmap fffff000 1000x1");
  });

  test("the address unmapped last is the next one mapped", () => {
    const machine = clientMachine();
    const [a, b] = [1, 2].map(() => dma_map_single(machine.dev, page(machine), 64, DMA_TO_DEVICE)) as [number, number];
    machine.run(dma_unmap_single(machine.dev, b, 64, DMA_TO_DEVICE));
    machine.run(dma_unmap_single(machine.dev, a, 64, DMA_TO_DEVICE));
    expect(dma_map_single(machine.dev, page(machine), 64, DMA_TO_DEVICE)).toBe(a);
  });
});

describe("DMA debugging", () => {
  function mapped(): { machine: ClientMachine; dev: Device; dma: number } {
    const machine = clientMachine();
    return { machine, dev: machine.dev, dma: dma_map_single(machine.dev, page(machine), 64, DMA_TO_DEVICE) };
  }

  test("a double unmap is reported and unmaps nothing", () => {
    const { machine, dev, dma } = mapped();
    machine.run(dma_unmap_single(dev, dma, 64, DMA_TO_DEVICE));
    machine.iommu.log.length = 0;
    expect(machine.runToReport(dma_unmap_single(dev, dma, 64, DMA_TO_DEVICE))).toMatch(/DMA-API: .*40000000\.client.*not have mapped/);
    expect(machine.iommu.log).toEqual([]);
  });

  test("an unmap with another size is reported", () => {
    const { machine, dev, dma } = mapped();
    expect(machine.runToReport(dma_unmap_single(dev, dma, 128, DMA_TO_DEVICE))).toContain("another size");
  });

  test("an unmap with another direction is reported", () => {
    const { machine, dev, dma } = mapped();
    expect(machine.runToReport(dma_unmap_single(dev, dma, 64, DMA_FROM_DEVICE))).toContain("another direction");
  });

  test("a driver that lets go of its device with something mapped is reported", () => {
    const { machine, dev } = mapped();
    expect(machine.runToReport(device_release_driver(dev))).toMatch(/still mapped \[count=1\]/);
  });

  test("managed coherent memory is no leak", () => {
    const machine = clientMachine({
      client: {
        *probe(pdev) {
          return dmam_alloc_coherent(pdev, 64) === null ? -EIO : 0;
        },
      },
    });
    expect(machine.kernel.dma.mappings(machine.dev)).toHaveLength(1);
    machine.run(device_release_driver(machine.dev));
    expect(machine.kernel.dma.mappings(machine.dev)).toEqual([]);
  });
});

describe("dma_alloc_coherent", () => {
  test("aligns to the power of two that holds it, in both address spaces", () => {
    const machine = clientMachine();
    page(machine);
    const memory = dma_alloc_coherent(machine.dev, 3 * PAGE_SIZE)!;
    expect([memory.cpu.pa % (4 * PAGE_SIZE), memory.dma % (4 * PAGE_SIZE)]).toEqual([0, 0]);
    expect(machine.domain.iova_to_phys(memory.dma)).toBe(memory.cpu.pa);
  });

  test("dma_free_coherent takes the address from the device before the pages are free", () => {
    const machine = clientMachine();
    const { cpu, dma } = dma_alloc_coherent(machine.dev, 64)!;
    let ownerAtSync: string | undefined;
    machine.domain.iotlb_sync = function* () {
      ownerAtSync = machine.kernel.mm.ownerOf(cpu.pa)?.owner;
    };
    machine.run(dma_free_coherent(machine.dev, 64, cpu, dma));
    expect(ownerAtSync).toBe("40000000.client");
    expect(machine.kernel.mm.ownerOf(cpu.pa)).toBeNull();
    cpu.get32(0);
    expect(machine.kernel.warnings[0]?.message).toContain("use-after-free");
  });

  test("tables of an IOMMU are granted as tables", () => {
    const { kernel, platform } = makeTestKernel();
    const dev = testDevice(kernel, "smmu");
    dma_alloc_coherent(dev, 64, { kind: "smmu-table" });
    expect(platform.pages.log).toEqual(["allocated 80000000+1000 smmu smmu-table", "granted smmu 80000000+1000 table"]);
  });
});

describe("dma_map_sg", () => {
  test("maps all pieces into one range, and pieces that meet at page borders become one segment", () => {
    const machine = clientMachine();
    const pages = page(machine, 8 * PAGE_SIZE);
    const list = [sg_entry(pages + 0x800, 0x800), sg_entry(pages + 4 * PAGE_SIZE, PAGE_SIZE), sg_entry(pages + 0x2100, 0x100)];
    expect(dma_map_sg(machine.dev, list, DMA_TO_DEVICE)).toBe(2);
    const base = 0xffff_c000;
    expect(list.map(({ dma_address, dma_length }) => [dma_address, dma_length])).toEqual([
      [base + 0x800, 0x1800],
      [base + 0x2100, 0x100],
      [DMA_MAPPING_ERROR, 0],
    ]);
    machine.run(dma_unmap_sg(machine.dev, list, DMA_TO_DEVICE));
    expect(machine.domain.table.size).toBe(0);
    expect(dma_map_single(machine.dev, pages, 3 * PAGE_SIZE, DMA_TO_DEVICE)).toBe(base);
  });
});

describe("without translation", () => {
  test("a device without IOMMU gets physical addresses", () => {
    const machine = makeTestKernel();
    const dev = testDevice(machine.kernel, "plain");
    const pa = page(machine) + 8;
    expect(dma_map_single(dev, pa, 16, DMA_TO_DEVICE)).toBe(pa);
    machine.run(dma_unmap_single(dev, pa, 16, DMA_TO_DEVICE));
    expect(machine.kernel.dma.mappings(dev)).toEqual([]);
  });

  test("so does one with iommu.passthrough, and nothing is mapped", () => {
    const machine = clientMachine({ cmdline: { iommuPassthrough: true } });
    const pa = page(machine);
    expect(dma_map_single(machine.dev, pa, 16, DMA_TO_DEVICE)).toBe(pa);
    expect(machine.iommu.log.some((line) => line.startsWith("map"))).toBe(false);
  });

  test("an address beyond the device's mask cannot be mapped", () => {
    const machine = makeTestKernel();
    const dev = testDevice(machine.kernel, "plain");
    dev.dma_mask = dev.coherent_dma_mask = DMA_BIT_MASK(31);
    expect(dma_map_single(dev, page(machine), 16, DMA_TO_DEVICE)).toBe(DMA_MAPPING_ERROR);
    expect(dma_alloc_coherent(dev, 16)).toBeNull();
  });
});

describe("dma_set_mask_and_coherent", () => {
  const plain = (memory?: TestKernelOptions["memory"]): Device =>
    testDevice(makeTestKernel(memory === undefined ? {} : { memory }).kernel, "plain");

  test("sets both masks", () => {
    const dev = plain();
    expect(dma_set_mask_and_coherent(dev, 40)).toBe(0);
    expect([dev.dma_mask, dev.coherent_dma_mask]).toEqual([2 ** 40 - 1, 2 ** 40 - 1]);
  });

  test("without IOMMU a mask of 32 bits will do, and a smaller one if it reaches all RAM (dma_direct_supported)", () => {
    const dev = plain([{ base: 0x4000_0000, size: 0x2000_0000 }]);
    expect(dma_set_mask_and_coherent(dev, 32)).toBe(0);
    expect(dma_set_mask_and_coherent(dev, 31)).toBe(0);
    expect(dma_set_mask_and_coherent(dev, 30)).toBe(-EIO);
    expect([dev.dma_mask, dev.coherent_dma_mask]).toEqual([2 ** 31 - 1, 2 ** 31 - 1]);
  });

  test("with RAM above 4 GiB as well it is the zone below that has to be reached, which takes 32 bits", () => {
    const dev = plain([
      { base: 0x4000_0000, size: 0x2000_0000 },
      { base: 0x1_0000_0000, size: 0x2000_0000 },
    ]);
    expect(dma_set_mask_and_coherent(dev, 32)).toBe(0);
    expect(dma_set_mask_and_coherent(dev, 31)).toBe(-EIO);
  });

  test("behind an IOMMU any mask is taken (dma_supported), and a mapping fails if it finds no address below", () => {
    const { dev, kernel } = clientMachine();
    expect(dma_set_mask_and_coherent(dev, 31)).toBe(0);
    expect(dma_set_mask_and_coherent(dev, 8)).toBe(0);
    expect([dev.dma_mask, dev.coherent_dma_mask]).toEqual([0xff, 0xff]);
    const pa = kernel.mm.alloc_pages(PAGE_SIZE, "buffers", "kernel");
    expect(dma_map_single(dev, pa, 16, DMA_TO_DEVICE)).toBe(DMA_MAPPING_ERROR);
  });

  test("a platform device with a wide mask gets addresses from the top of it", () => {
    const machine = clientMachine();
    dma_set_mask_and_coherent(machine.dev, 40);
    expect(dma_map_single(machine.dev, page(machine), 16, DMA_TO_DEVICE)).toBe(2 ** 40 - PAGE_SIZE);
  });

  test("a PCI device prefers addresses below 4 GiB until there are none", () => {
    const machine = clientMachine();
    dma_set_mask_and_coherent(machine.dev, 40);
    machine.dev.iommu!.pci_32bit_workaround = true;
    expect(dma_map_single(machine.dev, page(machine), 16, DMA_TO_DEVICE)).toBe(TOP);
    machine.domain.cookie!.reserve_iova(1, TOP / PAGE_SIZE - 1);
    expect(dma_map_single(machine.dev, page(machine), 16, DMA_TO_DEVICE)).toBe(2 ** 40 - PAGE_SIZE);
    expect(machine.kernel.printk.lines.at(-1)?.text).toContain("Using 40-bit DMA addresses");
  });
});

describe("iommu_dma_prepare_msi", () => {
  test("maps the doorbell's page once, for writes, at an address of the allocator", () => {
    const machine = clientMachine();
    const doorbell = 0x802_0040;
    expect(iommu_dma_prepare_msi(machine.dev, doorbell)).toBe(0);
    expect(iommu_dma_prepare_msi(machine.dev, doorbell)).toBe(0);
    const address = iommu_dma_compose_msi_address(machine.dev, doorbell);
    expect(address).toBe(TOP + 0x40);
    expect(machine.domain.iova_to_phys(address)).toBe(doorbell);
    expect(machine.domain.table.size).toBe(1);
    expect(machine.domain.table.get(TOP)!.prot & (IOMMU_READ | IOMMU_WRITE)).toBe(IOMMU_WRITE);
  });

  test("leaves the physical address to a device without translation", () => {
    const machine = clientMachine({ cmdline: { iommuPassthrough: true } });
    expect(iommu_dma_prepare_msi(machine.dev, 0x802_0040)).toBe(0);
    expect(iommu_dma_compose_msi_address(machine.dev, 0x802_0040)).toBe(0x802_0040);
  });
});
