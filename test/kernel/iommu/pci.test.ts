// SPDX-License-Identifier: GPL-2.0-only
/** PCI functions and the IOMMU: requester ids become StreamIDs by `iommu-map`, and the bridge's window is no IOVA. */
import { describe, expect, test } from "vitest";
import {
  Device,
  DMA_TO_DEVICE,
  dma_map_single,
  dtNode,
  type DtIdMap,
  ENODEV,
  IoMem,
  of_iommu_configure,
  PAGE_SIZE,
  PciDev,
  PciHostBridge,
  pci_bus_type,
} from "../../../src/kernel/index.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";
import { FakeIommu, iommuModule, iommuNode } from "./fake-iommu.ts";

/** A function 00:02.0 below a host bridge with this `iommu-map`; the memory window ends at 4 GiB. */
function functionBehind(
  iommuMap: DtIdMap[],
  mask: { readonly iommuMapMask?: number } = {},
): { machine: TestKernel; pdev: PciDev; iommu: FakeIommu } {
  const iommu = new FakeIommu();
  const node = dtNode({ name: "pcie@40000000", iommuMap, ...mask });
  const machine = makeTestKernel({ nodes: [iommuNode, node], drivers: [iommuModule(iommu)] });
  const { kernel } = machine;
  machine.run(kernel.boot());
  const dev = new Device(kernel, "pci0000:00");
  dev.of_node = node;
  const bridge = new PciHostBridge(dev, new IoMem(kernel, 0x4000_0000, 0x10_0000), [0, 0], { base: 0xf000_0000, size: 0x1000_0000 });
  const pdev = new PciDev(kernel, bridge.root, 0x10, { vendor: 0x8086, device: 0x10d3, class: 0x02_0000, hdr_type: 0 });
  pdev.bus = pci_bus_type;
  return { machine, pdev, iommu };
}

describe("iommu-map", () => {
  test("the row that holds the requester id gives the id at the IOMMU", () => {
    const { machine, pdev, iommu } = functionBehind([
      { ridBase: 0, label: "iommu", outBase: 0, length: 0x10 },
      { ridBase: 0x10, label: "iommu", outBase: 0x400, length: 0x100 },
    ]);
    expect(machine.run(of_iommu_configure(pdev))).toBe(0);
    expect(iommu.log).toContain("probe_device 0000:00:02.0 [1024]");
  });

  test("of_map_id: iommu-map-mask is applied to the requester id before the rows are looked at", () => {
    const row = { ridBase: 0, label: "iommu", outBase: 0x500, length: 8 };
    const { machine, pdev, iommu } = functionBehind([row], { iommuMapMask: 0x7 });
    expect(machine.run(of_iommu_configure(pdev))).toBe(0);
    expect(iommu.log).toContain("probe_device 0000:00:02.0 [1280]");
  });

  test("a requester id in no row has no IOMMU", () => {
    const { machine, pdev } = functionBehind([{ ridBase: 0x100, label: "iommu", outBase: 0, length: 0x100 }]);
    expect(machine.run(of_iommu_configure(pdev))).toBe(-ENODEV);
  });
});

test("iova_reserve_pci_windows: no IOVA lies in the host bridge's memory window", () => {
  const { machine, pdev } = functionBehind([{ ridBase: 0, label: "iommu", outBase: 0, length: 0x1_0000 }]);
  machine.run(of_iommu_configure(pdev));
  const pa = machine.kernel.mm.alloc_pages(PAGE_SIZE, "a", "kernel");
  expect(dma_map_single(pdev, pa, 64, DMA_TO_DEVICE)).toBe(0xf000_0000 - PAGE_SIZE);
});
