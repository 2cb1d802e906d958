// SPDX-License-Identifier: GPL-2.0-only
/**
 * Going through a PCI bus, after Linux 7.1 drivers/pci/bus.c: pci_walk_bus. Left out: a callback that stops the walk, the lock.
 */
import type { PciBus, PciDev } from "./pci-dev.ts";

/** All functions of a bus and of those below, parents before children, in the order of the scan. */
export function pci_walk_bus(bus: PciBus): PciDev[] {
  return bus.devices.flatMap((pdev) => [pdev, ...(pdev.subordinate ? pci_walk_bus(pdev.subordinate) : [])]);
}
