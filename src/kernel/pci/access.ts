// SPDX-License-Identifier: GPL-2.0-only
/**
 * Configuration space accesses by ECAM, after Linux 7.1 drivers/pci/access.c and drivers/pci/ecam.c, drivers/pci/pci.c:
 * pci_find_capability, pci_find_ext_capability: one page of configuration space per function, at bus << 20 | devfn << 12. A
 * function that is not there reads as all ones. Left out: the configuration lock, accesses of user space, errors of accesses.
 */
import { readb, readl, readw, writeb, writel, writew } from "../io/io.ts";
import type { PciBus, PciDev } from "./pci-dev.ts";
import {
  PCI_CAPABILITY_LIST,
  PCI_CFG_SPACE_EXP_SIZE,
  PCI_CFG_SPACE_SIZE,
  PCI_NO_FUNCTION,
  PCI_STATUS,
  PCI_STATUS_CAP_LIST,
} from "./pci-regs.ts";

function offset(bus: PciBus, devfn: number, where: number): number {
  return (bus.number - bus.bridge.busRange[0]) * 0x10_0000 + devfn * 0x1000 + where;
}

/** Reads of a bus, for the scan, when there is no device yet. @param where byte offset, aligned to the access */
export function pci_bus_read_config_byte(bus: PciBus, devfn: number, where: number): number {
  return readb(bus.bridge.ecam, offset(bus, devfn, where));
}
export function pci_bus_read_config_dword(bus: PciBus, devfn: number, where: number): number {
  return readl(bus.bridge.ecam, offset(bus, devfn, where));
}

/** Accesses of a device. @param where byte offset, aligned to the access */
export function pci_read_config_byte(pdev: PciDev, where: number): number {
  return readb(pdev.pciBus.bridge.ecam, offset(pdev.pciBus, pdev.devfn, where));
}
export function pci_read_config_word(pdev: PciDev, where: number): number {
  return readw(pdev.pciBus.bridge.ecam, offset(pdev.pciBus, pdev.devfn, where));
}
export function pci_read_config_dword(pdev: PciDev, where: number): number {
  return readl(pdev.pciBus.bridge.ecam, offset(pdev.pciBus, pdev.devfn, where));
}
export function pci_write_config_byte(pdev: PciDev, where: number, value: number): void {
  writeb(pdev.pciBus.bridge.ecam, offset(pdev.pciBus, pdev.devfn, where), value);
}
export function pci_write_config_word(pdev: PciDev, where: number, value: number): void {
  writew(pdev.pciBus.bridge.ecam, offset(pdev.pciBus, pdev.devfn, where), value);
}
export function pci_write_config_dword(pdev: PciDev, where: number, value: number): void {
  writel(pdev.pciBus.bridge.ecam, offset(pdev.pciBus, pdev.devfn, where), value);
}

/** A chain longer than this loops. */
const PCI_FIND_CAP_TTL = 48;

/** Walks the capability list. @returns the offset of the capability, or 0 */
export function pci_find_capability(pdev: PciDev, id: number): number {
  if ((pci_read_config_word(pdev, PCI_STATUS) & PCI_STATUS_CAP_LIST) === 0) return 0;
  let position = pci_read_config_byte(pdev, PCI_CAPABILITY_LIST) & ~3;
  for (let left = PCI_FIND_CAP_TTL; left > 0 && position >= 0x40; left--) {
    const entry = pci_read_config_word(pdev, position);
    if ((entry & 0xff) === id) return position;
    position = (entry >> 8) & ~3;
  }
  return 0;
}

/** More extended capabilities than fit: the list loops. */
const PCI_FIND_EXT_CAP_TTL: number = (PCI_CFG_SPACE_EXP_SIZE - PCI_CFG_SPACE_SIZE) / 8;

/** Walks the list of extended capabilities, which only PCI Express functions have. @returns the offset of the capability, or 0 */
export function pci_find_ext_capability(pdev: PciDev, id: number): number {
  if (pdev.pcie_cap === 0) return 0;
  let position = PCI_CFG_SPACE_SIZE;
  for (let left = PCI_FIND_EXT_CAP_TTL; left > 0 && position >= PCI_CFG_SPACE_SIZE; left--) {
    const header = pci_read_config_dword(pdev, position);
    if (header === 0 || header === PCI_NO_FUNCTION) return 0;
    if ((header & 0xffff) === id) return position;
    position = (header >>> 20) & ~3;
  }
  return 0;
}
