// SPDX-License-Identifier: GPL-2.0-only
/**
 * Going through a PCI bus, after Linux 7.1 drivers/pci/bus.c: pci_walk_bus; include/linux/pci.h: pcie_find_root_port. Left out: a
 * callback that stops the walk, the lock.
 */
import type { PciBus, PciDev } from "./pci-dev.ts";
import { PCI_EXP_TYPE_ROOT_PORT } from "./pci-regs.ts";

/** All functions of a bus and of those below, parents before children, in the order of the scan. */
export function pci_walk_bus(bus: PciBus): PciDev[] {
  return bus.devices.flatMap((pdev) => [pdev, ...(pdev.subordinate ? pci_walk_bus(pdev.subordinate) : [])]);
}

/** The function itself or the port above it that belongs to the root complex; null: it is on the root bus and none. */
export function pcie_find_root_port(pdev: PciDev): PciDev | null {
  for (let port: PciDev | null = pdev; port; port = port.pciBus.self) if (port.pcie_type === PCI_EXP_TYPE_ROOT_PORT) return port;
  return null;
}
