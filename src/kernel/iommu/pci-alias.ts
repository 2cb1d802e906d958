// SPDX-License-Identifier: GPL-2.0-only
/**
 * Under which requester ids the requests of a PCI function reach the root bus: its own, and those of bridges above it that
 * put their own in its place.
 *
 * After Linux 7.1 drivers/pci/search.c: pci_for_each_dma_alias. Left out: quirks of functions and bridges (dma_alias_mask,
 * PCI_DEV_FLAG*_ALIAS, pci_real_dma_dev).
 */
import type { PciDev } from "../pci/pci-dev.ts";
import {
  PCI_EXP_TYPE_DOWNSTREAM,
  PCI_EXP_TYPE_PCIE_BRIDGE,
  PCI_EXP_TYPE_PCI_BRIDGE,
  PCI_EXP_TYPE_ROOT_PORT,
  PCI_EXP_TYPE_UPSTREAM,
} from "../pci/pci-regs.ts";

export interface PciAlias {
  /** The function, or the bridge that speaks for it. */
  readonly pdev: PciDev;
  readonly requesterId: number;
}

const PORTS: readonly number[] = [PCI_EXP_TYPE_ROOT_PORT, PCI_EXP_TYPE_UPSTREAM, PCI_EXP_TYPE_DOWNSTREAM];

/** A port of PCI Express: it passes on what comes from below as it is. */
export function is_port(pdev: PciDev): boolean {
  return PORTS.includes(pdev.pcie_type);
}

/** The function itself first, then bridges from below to above. */
export function pci_dma_aliases(pdev: PciDev): PciAlias[] {
  const aliases: PciAlias[] = [{ pdev, requesterId: pdev.requesterId }];
  for (let bridge = pdev.pciBus.self; bridge !== null; bridge = bridge.pciBus.self) {
    if (is_port(bridge)) continue;
    // From PCI Express to PCI: the bridge takes the number of the bus below it (PCI Express to PCI Bridge Specification, 2.3).
    if (bridge.pcie_type === PCI_EXP_TYPE_PCI_BRIDGE) {
      aliases.push({ pdev: bridge, requesterId: (bridge.subordinate?.number ?? 0) << 8 });
    } else if (bridge.pcie_type === PCI_EXP_TYPE_PCIE_BRIDGE || bridge.pcie_cap === 0) {
      aliases.push({ pdev: bridge, requesterId: bridge.requesterId });
    }
  }
  return aliases;
}
