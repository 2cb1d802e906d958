// SPDX-License-Identifier: GPL-2.0-only
/** The scan of a PCI hierarchy and what it gives each function. */
import { describe, expect, test } from "vitest";
import { E1000e } from "../../../src/hw/index.ts";
import { pci_read_config_byte, pci_read_config_dword, pci_read_config_word, PciPower } from "../../../src/kernel/index.ts";
import { Machine, PCI_WINDOW, PCI_WINDOW_SIZE } from "./machine.ts";

function machine(): Machine {
  const made = new Machine({
    functions: (m) => [
      { bus: 1, device: 0, pciFunction: new E1000e({ simulation: m.sim, name: "nic", trace: m.trace }) },
      { bus: 0, device: 2, pciFunction: new E1000e({ simulation: m.sim, name: "onboard", trace: m.trace }) },
    ],
  });
  made.boot();
  return made;
}

describe("pci_scan_child_bus", () => {
  test("functions are named by segment, bus, device and function", () => {
    expect(machine().kernel.pci.devices.map((pdev) => pdev.name)).toEqual(["0000:00:01.0", "0000:01:00.0", "0000:00:02.0"]);
  });

  test("a bus's functions join the device list before those behind its bridges", () => {
    const names = machine().kernel.base.deviceNames();
    const at = (name: string): number => names.indexOf(name);
    expect(at("pci0000:00")).toBeGreaterThanOrEqual(0);
    expect(at("pci0000:00")).toBeLessThan(at("0000:00:01.0"));
    expect(at("0000:00:01.0")).toBeLessThan(at("0000:00:02.0"));
    expect(at("0000:00:02.0")).toBeLessThan(at("0000:01:00.0"));
  });

  test("each bus is a device of class pci_bus below its bridge, in the list before its functions", () => {
    const m = machine();
    const names = m.kernel.base.deviceNames();
    for (const [bus, parent, child] of [
      ["0000:00", "pci0000:00", "0000:00:01.0"],
      ["0000:01", "0000:00:01.0", "0000:01:00.0"],
    ] as const) {
      const dev = m.kernel.base.findDevice(bus);
      expect([dev?.parent?.name, dev?.dev_class?.name, dev?.bus]).toEqual([parent, "pci_bus", null]);
      expect(names.indexOf(bus)).toBeLessThan(names.indexOf(child));
    }
  });

  test("parents follow the hierarchy: host bridge, root port, endpoint", () => {
    const m = machine();
    const port = m.pci("0000:00:01.0");
    expect(m.pci("0000:01:00.0").parent).toBe(port);
    expect(port.parent?.name).toBe("pci0000:00");
    expect(port.parent?.parent?.name).toBe("40000000.pcie");
  });

  test("a bridge gets primary, secondary and subordinate bus numbers", () => {
    const m = machine();
    const port = m.pci("0000:00:01.0");
    expect(pci_read_config_dword(port, 0x18) & 0xff_ffff).toBe(0x01_01_00);
    expect(m.pci("0000:01:00.0").requesterId).toBe(0x100);
  });

  test("an unbound function is in D0 after the scan", () => {
    expect(machine().pci("0000:01:00.0").current_state).toBe(PciPower.D0);
  });

  test("a function that is not there is no device", () => {
    expect(machine().kernel.pci.find("0000:00:03.0")).toBeNull();
  });
});

describe("pci_assign_unassigned_root_bus_resources", () => {
  test("every BAR lies in the window, aligned to its size, overlapping nothing on its bus", () => {
    const m = machine();
    for (const pdev of m.kernel.pci.devices) {
      for (const resource of pdev.resources) {
        expect(resource.assigned).toBe(true);
        expect(resource.base % resource.align).toBe(0);
        expect(resource.base).toBeGreaterThanOrEqual(PCI_WINDOW);
        expect(resource.base + resource.size).toBeLessThanOrEqual(PCI_WINDOW + PCI_WINDOW_SIZE);
      }
    }
    const bus0 = [m.pci("0000:00:01.0"), m.pci("0000:00:02.0")].flatMap((pdev) => [...pdev.resources]).toSorted((a, b) => a.base - b.base);
    for (const [index, resource] of bus0.entries()) {
      const next = bus0[index + 1];
      if (next) expect(resource.base + resource.size).toBeLessThanOrEqual(next.base);
    }
  });

  test("the BAR registers hold what was assigned", () => {
    const pdev = machine().pci("0000:01:00.0");
    for (const resource of pdev.resources) {
      expect((pci_read_config_dword(pdev, 0x10 + 4 * resource.bar) & ~0xf) >>> 0).toBe(resource.base);
    }
    expect(pdev.resources.map(({ bar }) => bar)).toEqual([0, 3]);
  });

  test("a bridge's window, in whole MiB, covers what is below; its prefetchable window is closed", () => {
    const m = machine();
    const port = m.pci("0000:00:01.0");
    const base = (pci_read_config_word(port, 0x20) & 0xfff0) * 0x1_0000;
    const end = (pci_read_config_word(port, 0x22) & 0xfff0) * 0x1_0000 + 0x10_0000;
    expect(base % 0x10_0000).toBe(0);
    for (const resource of m.pci("0000:01:00.0").resources) {
      expect(resource.base).toBeGreaterThanOrEqual(base);
      expect(resource.base + resource.size).toBeLessThanOrEqual(end);
    }
    expect(pci_read_config_word(port, 0x24) & 0xfff0).toBeGreaterThan(pci_read_config_word(port, 0x26) & 0xfff0);
  });

  test("sizing a BAR leaves COMMAND as it was: __pci_read_base turns decoding off only meanwhile", () => {
    const pdev = machine().pci("0000:00:02.0");
    expect(pci_read_config_word(pdev, 0x04)).toBe(0);
    expect(pci_read_config_byte(pdev, 0x0e)).toBe(0);
  });
});
