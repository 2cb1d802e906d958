// SPDX-License-Identifier: GPL-2.0-only
/** Bounce buffers, after Linux's kernel/dma/swiotlb.c: slots of 2 KiB, at most 128 for a mapping, copies at map, sync and unmap. */
import { describe, expect, test } from "vitest";
import {
  DMA_BIT_MASK,
  Device,
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_MAPPING_ERROR,
  DMA_TO_DEVICE,
  dma_map_sg,
  dma_map_single,
  dma_set_mask_and_coherent,
  dma_sync_single_for_cpu,
  dma_sync_single_for_device,
  dma_unmap_sg,
  dma_unmap_single,
  type DmaDataDirection,
  dtNode,
  IO_TLB_SEGSIZE,
  IO_TLB_SIZE,
  IoMem,
  iommu_get_dma_domain,
  iommu_iova_to_phys,
  of_iommu_configure,
  PAGE_SIZE,
  PciDev,
  PciHostBridge,
  pci_bus_type,
  sg_entry,
  Swiotlb,
} from "../../../src/kernel/index.ts";
import { FakeIommu, iommuModule, iommuNode } from "../iommu/fake-iommu.ts";
import { testDevice } from "../support/devices.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

interface Rig {
  readonly machine: TestKernel;
  readonly dev: Device;
  /** A page of the CPU's, filled with `byte`. */
  page(byte: number, pages?: number): number;
  peek(pa: number, length?: number): number[];
  poke(pa: number, ...bytes: number[]): void;
}

function tools(machine: TestKernel, dev: Device): Rig {
  const { bus } = machine.platform;
  return {
    machine,
    dev,
    page(byte, pages = 1) {
      const pa = machine.kernel.mm.alloc_pages(pages * PAGE_SIZE, "buffers", "kernel");
      bus.fill(pa, pages * PAGE_SIZE, byte);
      return pa;
    },
    peek(pa, length = 1) {
      const bytes = new Uint8Array(length);
      bus.readBytes(pa, bytes);
      return [...bytes];
    },
    poke: (pa, ...bytes) => bus.writeBytes(pa, Uint8Array.from(bytes)),
  };
}

/** swiotlb=force, no IOMMU. */
function forced(): Rig {
  const machine = makeTestKernel({ cmdline: { swiotlbForce: true } });
  return tools(machine, testDevice(machine.kernel, "plain"));
}

/** An untrusted PCI function behind an IOMMU. */
function untrusted(trusted = false): Rig & { readonly iommu: FakeIommu } {
  const iommu = new FakeIommu();
  const node = dtNode({ name: "pcie@40000000", iommuMap: [{ ridBase: 0, label: "iommu", outBase: 0, length: 0x1_0000 }] });
  const machine = makeTestKernel({ nodes: [iommuNode, node], drivers: [iommuModule(iommu)], cmdline: { iommuPassthrough: true } });
  const { kernel } = machine;
  machine.run(kernel.boot());
  const parent = new Device(kernel, "pci0000:00");
  parent.of_node = node;
  const bridge = new PciHostBridge(parent, new IoMem(kernel, 0x4000_0000, 0x10_0000), [0, 0], { base: 0xf000_0000, size: 0x1000_0000 });
  const pdev = new PciDev(kernel, bridge.root, 0x10, { vendor: 0x8086, device: 0x10d3, class: 0x02_0000, hdr_type: 0 });
  pdev.bus = pci_bus_type;
  pdev.untrusted = !trusted;
  machine.run(of_iommu_configure(pdev));
  return { ...tools(machine, pdev), iommu };
}

function phys({ dev }: Rig, dma: number): number {
  return iommu_iova_to_phys(iommu_get_dma_domain(dev)!, dma);
}

describe("swiotlb=force", () => {
  test("the device gets a bounce buffer with the buffer's contents, whatever the direction", () => {
    const rig = forced();
    for (const dir of [DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_BIDIRECTIONAL] as const) {
      const pa = rig.page(0x11);
      const dma = dma_map_single(rig.dev, pa + 100, 10, dir);
      expect(dma).not.toBe(pa + 100);
      expect(rig.peek(dma, 10)).toEqual(Array.from({ length: 10 }, () => 0x11));
    }
  });

  test.each([
    [DMA_FROM_DEVICE, 0x22],
    [DMA_BIDIRECTIONAL, 0x22],
    [DMA_TO_DEVICE, 0x11],
  ] as const)("unmapping copies back what the device wrote, unless the direction (%i) is to the device", (dir, found) => {
    const rig = forced();
    const pa = rig.page(0x11);
    const dma = dma_map_single(rig.dev, pa, 16, dir);
    rig.poke(dma + 3, 0x22);
    rig.machine.run(dma_unmap_single(rig.dev, dma, 16, dir));
    expect(rig.peek(pa, 5)).toEqual([0x11, 0x11, 0x11, found, 0x11]);
  });

  test("what the device writes after the unmap never reaches the buffer", () => {
    const rig = forced();
    const pa = rig.page(0x11);
    const dma = dma_map_single(rig.dev, pa, 16, DMA_FROM_DEVICE);
    rig.machine.run(dma_unmap_single(rig.dev, dma, 16, DMA_FROM_DEVICE));
    rig.poke(dma, 0x33);
    expect(rig.peek(pa)).toEqual([0x11]);
  });

  test("syncs copy the part that they name, in the direction of their name", () => {
    const rig = forced();
    const pa = rig.page(0x11);
    const dma = dma_map_single(rig.dev, pa, 64, DMA_BIDIRECTIONAL);
    rig.poke(dma, 0x22, 0x22, 0x22);
    dma_sync_single_for_cpu(rig.dev, dma + 1, 1, DMA_BIDIRECTIONAL);
    expect(rig.peek(pa, 3)).toEqual([0x11, 0x22, 0x11]);
    rig.poke(pa, 0x44, 0x44, 0x44);
    dma_sync_single_for_device(rig.dev, dma + 2, 1, DMA_BIDIRECTIONAL);
    expect(rig.peek(dma, 3)).toEqual([0x22, 0x22, 0x44]);
  });

  test.each([
    [DMA_TO_DEVICE, "for the CPU", dma_sync_single_for_cpu],
    [DMA_FROM_DEVICE, "for the device", dma_sync_single_for_device],
  ] as const)("a sync against the direction (%i %s) copies nothing", (dir: DmaDataDirection, _what, sync) => {
    const rig = forced();
    const pa = rig.page(0x11);
    const dma = dma_map_single(rig.dev, pa, 16, dir);
    rig.poke(dma, 0x22);
    rig.poke(pa, 0x33);
    sync(rig.dev, dma, 16, dir);
    expect([rig.peek(pa), rig.peek(dma)]).toEqual([[0x33], [0x22]]);
  });

  test("the device is granted the bounce buffer, not the buffer", () => {
    const rig = forced();
    const pa = rig.page(0x11);
    const dma = dma_map_single(rig.dev, pa, 16, DMA_TO_DEVICE);
    expect(rig.machine.kernel.dma.mappings(rig.dev)[0]!.memory).toEqual([{ pa: dma, size: 16 }]);
  });

  test("each piece of a scatter list is bounced, and copied back", () => {
    const rig = forced();
    const pages = rig.page(0x11, 2);
    const list = [sg_entry(pages + 8, 16), sg_entry(pages + PAGE_SIZE, 32)];
    expect(dma_map_sg(rig.dev, list, DMA_FROM_DEVICE)).toBe(2);
    for (const { dma_address } of list) rig.poke(dma_address, 0x22);
    rig.machine.run(dma_unmap_sg(rig.dev, list, DMA_FROM_DEVICE));
    expect([rig.peek(pages + 7, 2), rig.peek(pages + PAGE_SIZE, 2)]).toEqual([
      [0x11, 0x22],
      [0x22, 0x11],
    ]);
    expect(rig.machine.kernel.dma.swiotlb.used).toBe(0);
  });

  test("a mapping of a page or more starts at a page", () => {
    const rig = forced();
    dma_map_single(rig.dev, rig.page(0), 16, DMA_TO_DEVICE);
    expect(dma_map_single(rig.dev, rig.page(0), PAGE_SIZE, DMA_TO_DEVICE) % PAGE_SIZE).toBe(0);
  });

  test("no mapping is larger than a segment of 256 KiB", () => {
    const rig = forced();
    const most = IO_TLB_SEGSIZE * IO_TLB_SIZE;
    const pa = rig.page(0, most / PAGE_SIZE + 1);
    expect(dma_map_single(rig.dev, pa, most, DMA_TO_DEVICE)).not.toBe(DMA_MAPPING_ERROR);
    expect(dma_map_single(rig.dev, pa, most + 1, DMA_TO_DEVICE)).toBe(DMA_MAPPING_ERROR);
    expect(rig.machine.kernel.printk.lines.at(-1)!.text).toMatch(
      /swiotlb buffer is full \(sz: 262145 bytes\), total 512 \(slots\), used 128/,
    );
  });
});

describe("without translation", () => {
  test("a buffer within the mask is not bounced", () => {
    const machine = makeTestKernel();
    const rig = tools(machine, testDevice(machine.kernel, "plain"));
    const pa = rig.page(0x11);
    expect(dma_map_single(rig.dev, pa, 16, DMA_TO_DEVICE)).toBe(pa);
  });

  test("a buffer beyond the mask is bounced to where the device reaches it", () => {
    const machine = makeTestKernel({
      memory: [
        { base: 0x8000_0000, size: 0x100_0000 },
        { base: 0x1_0000_0000, size: 0x100_0000 },
      ],
    });
    const rig = tools(machine, testDevice(machine.kernel, "plain"));
    dma_set_mask_and_coherent(rig.dev, 32);
    const high = 0x1_0000_0100;
    rig.poke(high, 0x11);
    const dma = dma_map_single(rig.dev, high, 16, DMA_FROM_DEVICE);
    expect(dma + 15).toBeLessThan(2 ** 32);
    expect(rig.peek(dma)).toEqual([0x11]);
  });

  test("if the bounce buffer is out of reach too, the mapping fails and the slots are free again", () => {
    const machine = makeTestKernel();
    const rig = tools(machine, testDevice(machine.kernel, "plain"));
    rig.dev.dma_mask = DMA_BIT_MASK(31);
    expect(dma_map_single(rig.dev, rig.page(0), 16, DMA_TO_DEVICE)).toBe(DMA_MAPPING_ERROR);
    expect(machine.kernel.printk.lines.at(-1)!.text).toContain("swiotlb addr");
    expect(machine.kernel.dma.swiotlb.used).toBe(0);
  });
});

describe("an untrusted PCI function", () => {
  test("has a translated domain even with iommu.passthrough", () => {
    expect(iommu_get_dma_domain(untrusted().dev)?.type).toBe("dma");
    expect(iommu_get_dma_domain(untrusted(true).dev)).toBeNull();
  });

  test("gets a part of a page bounced to a page of its own, with zeros around it", () => {
    const rig = untrusted();
    const pa = rig.page(0x11) + 0x80;
    const dma = dma_map_single(rig.dev, pa, 64, DMA_BIDIRECTIONAL);
    const bounced = phys(rig, dma);
    expect(bounced).not.toBe(pa);
    expect(bounced % PAGE_SIZE).toBe(0);
    const seen = rig.peek(bounced, PAGE_SIZE);
    expect(seen.slice(0, 64).every((byte) => byte === 0x11)).toBe(true);
    expect(seen.slice(64).every((byte) => byte === 0)).toBe(true);
  });

  test("reaches whole pages where they are", () => {
    const rig = untrusted();
    const pa = rig.page(0x11, 2);
    expect(phys(rig, dma_map_single(rig.dev, pa, 2 * PAGE_SIZE, DMA_BIDIRECTIONAL))).toBe(pa);
  });

  test("what it wrote comes back at the unmap, and not what it wrote beside the buffer", () => {
    const rig = untrusted();
    const pa = rig.page(0x11);
    const dma = dma_map_single(rig.dev, pa, 64, DMA_FROM_DEVICE);
    const bounced = phys(rig, dma);
    rig.poke(bounced + 63, 0x22, 0x22);
    rig.machine.run(dma_unmap_single(rig.dev, dma, 64, DMA_FROM_DEVICE));
    expect(rig.peek(pa + 62, 3)).toEqual([0x11, 0x22, 0x11]);
    expect(rig.machine.kernel.dma.swiotlb.used).toBe(0);
  });

  test("gets an address for each piece of a scatter list", () => {
    const rig = untrusted();
    const pages = rig.page(0x11, 2);
    const list = [sg_entry(pages, 64), sg_entry(pages + PAGE_SIZE, 64)];
    expect(dma_map_sg(rig.dev, list, DMA_FROM_DEVICE)).toBe(2);
    rig.poke(phys(rig, list[1]!.dma_address), 0x22);
    rig.machine.run(dma_unmap_sg(rig.dev, list, DMA_FROM_DEVICE));
    expect(rig.peek(pages + PAGE_SIZE)).toEqual([0x22]);
    expect(rig.machine.kernel.dma.swiotlb.used).toBe(0);
  });
});

describe("slots", () => {
  test("a search begins after the last slots given out, and wraps", () => {
    const { machine, dev, page } = forced();
    const pool = new Swiotlb(machine.kernel);
    const pa = page(0, 64);
    const first = pool.map(dev, pa, IO_TLB_SIZE, 0);
    expect(pool.map(dev, pa, IO_TLB_SIZE, 0)).toBe(first + IO_TLB_SIZE);
    pool.unmap(dev, first, IO_TLB_SIZE, DMA_TO_DEVICE);
    expect(pool.map(dev, pa, IO_TLB_SIZE, 0)).toBe(first + 2 * IO_TLB_SIZE);
    for (let slot = 3; slot < 512; slot++) pool.map(dev, pa, IO_TLB_SIZE, 0);
    expect(pool.map(dev, pa, IO_TLB_SIZE, 0)).toBe(first);
    expect(pool.used).toBe(512);
    expect(pool.map(dev, pa, IO_TLB_SIZE, 0)).toBe(DMA_MAPPING_ERROR);
  });

  test("free neighbours are one run again, up to the segment's end", () => {
    const { machine, dev, page } = forced();
    const pool = new Swiotlb(machine.kernel);
    const size = IO_TLB_SEGSIZE * IO_TLB_SIZE;
    const pa = page(0, size / PAGE_SIZE);
    const all = Array.from({ length: 512 }, () => pool.map(dev, pa, IO_TLB_SIZE, 0));
    for (const slot of all.slice(128, 256).toReversed()) pool.unmap(dev, slot, IO_TLB_SIZE, DMA_TO_DEVICE);
    for (const slot of all.slice(256, 384)) pool.unmap(dev, slot, IO_TLB_SIZE, DMA_TO_DEVICE);
    expect(pool.map(dev, pa, size, 0)).toBe(all[128]);
    expect(pool.map(dev, pa, size, 0)).toBe(all[256]);
  });
});
