// SPDX-License-Identifier: GPL-2.0-only
/** Groups of PCI functions: whose requests the IOMMU cannot tell apart, and which could reach each other past it. */
import { describe, expect, test } from "vitest";
import {
  Device,
  dtNode,
  IoMem,
  type IommuGroup,
  of_iommu_configure,
  PciBus,
  PciDev,
  PciHostBridge,
  pci_bus_type,
  pci_device_group,
  pci_dma_aliases,
} from "../../../src/kernel/index.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";
import { FakeIommu, iommuModule, iommuNode } from "./fake-iommu.ts";

/** PCI Express port and bridge types (PCI Express Base Specification, PCI Express Capabilities register). */
const ROOT_PORT = 4;
const PCIE_TO_PCI = 7;
const PCI_TO_PCIE = 8;
const ENDPOINT = 0;
/** No PCI Express capability. */
const CONVENTIONAL = -1;

class PciIommu extends FakeIommu {
  override device_group(dev: Device): IommuGroup {
    return pci_device_group(dev as PciDev);
  }
}

interface Rig {
  readonly machine: TestKernel;
  readonly iommu: FakeIommu;
  readonly bridge: PciHostBridge;
  add(bus: PciBus, devfn: number, type: number, multifunction?: boolean): PciDev;
  below(pdev: PciDev, number: number): PciBus;
  group(pdev: PciDev): number;
}

function rig(): Rig {
  const iommu = new PciIommu();
  const node = dtNode({ name: "pcie@40000000", iommuMap: [{ ridBase: 0, label: "iommu", outBase: 0, length: 0x1_0000 }] });
  const machine = makeTestKernel({ nodes: [iommuNode, node], drivers: [iommuModule(iommu)] });
  const { kernel } = machine;
  machine.run(kernel.boot());
  const dev = new Device(kernel, "pci0000:00");
  dev.of_node = node;
  const bridge = new PciHostBridge(dev, new IoMem(kernel, 0x4000_0000, 0x10_0000), [0, 255], { base: 0xf000_0000, size: 0x1000_0000 });
  return {
    machine,
    iommu,
    bridge,
    add(bus, devfn, type, multifunction = false) {
      const pdev = new PciDev(kernel, bus, devfn, { vendor: 1, device: 2, class: 0, hdr_type: 0 });
      pdev.bus = pci_bus_type;
      pdev.pcie_type = type;
      pdev.pcie_cap = type === CONVENTIONAL ? 0 : 0x40;
      pdev.multifunction = multifunction;
      bus.devices.push(pdev);
      machine.run(of_iommu_configure(pdev));
      return pdev;
    },
    below(pdev, number) {
      const bus = new PciBus(bridge, number, pdev.pciBus, pdev);
      pdev.subordinate = bus;
      return bus;
    },
    group: (pdev) => pdev.iommu_group!.id,
  };
}

const ids = (pdev: PciDev): number[] => pci_dma_aliases(pdev).map(({ requesterId }) => requesterId);

describe("aliases", () => {
  test("a function below ports has only its own requester id", () => {
    const { bridge, add, below } = rig();
    const port = add(bridge.root, 0x08, ROOT_PORT);
    const nic = add(below(port, 1), 0, ENDPOINT);
    expect(ids(nic)).toEqual([0x100]);
  });

  test("a bridge from PCI Express to PCI speaks for what is behind it with the number of the bus below it", () => {
    const { bridge, add, below, iommu } = rig();
    const port = add(bridge.root, 0x08, ROOT_PORT);
    const toPci = add(below(port, 1), 0, PCIE_TO_PCI);
    const card = add(below(toPci, 2), 0x18, CONVENTIONAL);
    expect(ids(card)).toEqual([0x218, 0x200]);
    expect(iommu.log).toContain("probe_device 0000:02:03.0 [536,512]");
  });

  test.each([
    ["a conventional bridge", CONVENTIONAL],
    ["a bridge from PCI to PCI Express", PCI_TO_PCIE],
  ])("%s speaks with its own requester id", (_what, type) => {
    const { bridge, add, below } = rig();
    const toPci = add(bridge.root, 0x10, type);
    const card = add(below(toPci, 1), 0, CONVENTIONAL);
    expect(ids(card)).toEqual([0x100, 0x10]);
  });
});

describe("pci_device_group", () => {
  test("functions below ports of their own have groups of their own", () => {
    const { bridge, add, below, group } = rig();
    const ports = [0x08, 0x10].map((devfn) => add(bridge.root, devfn, ROOT_PORT));
    const cards = ports.map((port, index) => add(below(port, index + 1), 0, ENDPOINT));
    expect(new Set([...ports, ...cards].map(group)).size).toBe(4);
  });

  test("what is behind a bridge to PCI is in the group of that bridge", () => {
    const { bridge, add, below, group } = rig();
    const toPci = add(bridge.root, 0x10, PCIE_TO_PCI);
    const bus = below(toPci, 1);
    const cards = [0, 0x08].map((devfn) => add(bus, devfn, CONVENTIONAL));
    expect(cards.map(group)).toEqual([group(toPci), group(toPci)]);
    expect(toPci.iommu_group!.devices).toEqual([toPci, ...cards]);
  });

  test("ports that share a device number are isolated all the same", () => {
    const { bridge, add, group } = rig();
    const [first, second] = [add(bridge.root, 0x10, ROOT_PORT, true), add(bridge.root, 0x11, ROOT_PORT, true)];
    expect(group(second)).not.toBe(group(first));
  });

  test("functions of one device without ACS share a group, devices of one bus do not", () => {
    const { bridge, add, group } = rig();
    const [first, second, other] = [
      add(bridge.root, 0x10, ENDPOINT, true),
      add(bridge.root, 0x11, ENDPOINT, true),
      add(bridge.root, 0x18, ENDPOINT),
    ];
    expect(group(second)).toBe(group(first));
    expect(group(other)).not.toBe(group(first));
  });
});
