// SPDX-License-Identifier: GPL-2.0-only
/**
 * Sizing and placing of BARs and bridge windows, after Linux 7.1 drivers/pci/{probe,setup-bus,setup-res}.c.
 *
 * Placement is computed afresh on each boot from the host bridge's window: on each bus the largest alignment first, a
 * bridge's window as one block of its own. Left out: I/O and prefetchable windows, resources that firmware assigned,
 * expansion ROMs.
 */
import { IoMem } from "../io/io.ts";
import { pci_read_config_dword, pci_read_config_word, pci_write_config_dword, pci_write_config_word } from "./access.ts";
import type { PciBus, PciDev, PciHostBridge, PciResource } from "./pci-dev.ts";
import * as regs from "./pci-regs.ts";

/** Bridge windows have a granularity of 1 MiB. */
const WINDOW_ALIGN = 0x10_0000;

/** Sizes one BAR by writing ones (`__pci_read_base`). @returns its resource, or null if it is absent or for I/O */
function __pci_read_base(pdev: PciDev, bar: number): PciResource | null {
  const where = regs.PCI_BASE_ADDRESS_0 + bar * 4;
  const low = pci_read_config_dword(pdev, where);
  if ((low & regs.PCI_BASE_ADDRESS_SPACE_IO) !== 0) return null;
  const is64 = (low & regs.PCI_BASE_ADDRESS_MEM_TYPE_MASK) === regs.PCI_BASE_ADDRESS_MEM_TYPE_64;
  pci_write_config_dword(pdev, where, 0xffff_ffff);
  const sizeLow = (pci_read_config_dword(pdev, where) & ~0xf) >>> 0;
  pci_write_config_dword(pdev, where, low);
  let size = sizeLow === 0 ? 0 : 0x1_0000_0000 - sizeLow;
  if (is64) {
    const high = pci_read_config_dword(pdev, where + 4);
    pci_write_config_dword(pdev, where + 4, 0xffff_ffff);
    const sizeHigh = pci_read_config_dword(pdev, where + 4);
    pci_write_config_dword(pdev, where + 4, high);
    // Ones in the upper half are address bits: the size is what the lower half says unless that is empty.
    if (sizeLow === 0 && sizeHigh !== 0) size = (0x1_0000_0000 - sizeHigh) * 0x1_0000_0000;
  }
  if (size === 0) return null;
  return { bar, size, align: size, is64, prefetch: (low & regs.PCI_BASE_ADDRESS_MEM_PREFETCH) !== 0, base: 0, assigned: false };
}

/** Sizes all BARs of a function with its decoding off, so that none of them claims addresses meanwhile (`pci_read_bases`). */
export function pci_read_bases(pdev: PciDev, howmany: number): void {
  const command = pci_read_config_word(pdev, regs.PCI_COMMAND);
  const decode = command & (regs.PCI_COMMAND_IO | regs.PCI_COMMAND_MEMORY);
  if (decode !== 0) pci_write_config_word(pdev, regs.PCI_COMMAND, command & ~decode);
  for (let bar = 0; bar < howmany; bar++) {
    const resource = __pci_read_base(pdev, bar);
    if (resource === null) continue;
    pdev.resources.push(resource);
    if (resource.is64) bar++;
  }
  if (decode !== 0) pci_write_config_word(pdev, regs.PCI_COMMAND, command);
}

function alignUp(value: number, align: number): number {
  return Math.ceil(value / align) * align;
}

/** What a bus needs, largest alignment first; bridges below are sized on the way (`__pci_bus_size_bridges`). */
function busRequests(bus: PciBus): { readonly pdev: PciDev; readonly resource: PciResource }[] {
  const requests: { pdev: PciDev; resource: PciResource }[] = [];
  for (const pdev of bus.devices) {
    if (pdev.subordinate) {
      const below = busRequests(pdev.subordinate);
      if (below.length > 0) {
        const align = Math.max(WINDOW_ALIGN, ...below.map((request) => request.resource.align));
        const size = alignUp(place(below, 0), WINDOW_ALIGN);
        const window: PciResource = { bar: -1, size, align, is64: false, prefetch: false, base: 0, assigned: false };
        pdev.resources = [...pdev.resources.filter((resource) => resource.bar >= 0), window];
      }
    }
    for (const resource of pdev.resources) requests.push({ pdev, resource });
  }
  return requests.sort((a, b) => b.resource.align - a.resource.align);
}

/** Lays requests out from `start`. @returns the end */
function place(requests: readonly { readonly resource: PciResource }[], start: number): number {
  let next = start;
  for (const { resource } of requests) {
    resource.base = alignUp(next, resource.align);
    next = resource.base + resource.size;
  }
  return next;
}

/** Writes a BAR. */
export function pci_update_resource(pdev: PciDev, resource: PciResource): void {
  const where = regs.PCI_BASE_ADDRESS_0 + resource.bar * 4;
  pci_write_config_dword(pdev, where, resource.base % 0x1_0000_0000);
  if (resource.is64) pci_write_config_dword(pdev, where + 4, Math.floor(resource.base / 0x1_0000_0000));
}

/** Programs a bridge's memory window and closes its prefetchable one (`pci_setup_bridge_mmio`, `…_mmio_pref`). */
function pci_setup_bridge(pdev: PciDev, window: PciResource | undefined): void {
  const limits = window?.assigned ? ((window.base >>> 16) & 0xfff0) + (((window.base + window.size - 1) & 0xfff0_0000) >>> 0) : 0x0000_fff0;
  pci_write_config_dword(pdev, regs.PCI_MEMORY_BASE, limits);
  pci_write_config_dword(pdev, regs.PCI_PREF_LIMIT_UPPER32, 0);
  pci_write_config_dword(pdev, regs.PCI_PREF_MEMORY_BASE, 0x0000_fff0);
  pci_write_config_dword(pdev, regs.PCI_PREF_BASE_UPPER32, 0);
}

function assignBus(bus: PciBus, start: number, end: number): void {
  const kernel = bus.bridge.dev.kernel;
  const requests = busRequests(bus);
  place(requests, start);
  for (const { pdev, resource } of requests) {
    resource.assigned = resource.base + resource.size <= end;
    const name = resource.bar < 0 ? "bridge window" : `BAR ${resource.bar}`;
    if (!resource.assigned) {
      resource.base = 0;
      kernel.printk.dev_err(pdev, `${name} [mem size 0x${resource.size.toString(16)}]: can't assign; no space`);
    } else if (resource.bar >= 0) {
      pci_update_resource(pdev, resource);
    }
  }
  for (const pdev of bus.devices) {
    if (!pdev.subordinate) continue;
    const window = pdev.resources.find((resource) => resource.bar < 0);
    if (window?.assigned) assignBus(pdev.subordinate, window.base, window.base + window.size);
    pci_setup_bridge(pdev, window);
  }
}

/** Linux's `pci_assign_unassigned_root_bus_resources`: places everything below a host bridge. */
export function pci_assign_unassigned_root_bus_resources(bridge: PciHostBridge): void {
  assignBus(bridge.root, bridge.window.base, bridge.window.base + bridge.window.size);
}

/** Maps a memory BAR. @returns null if the function has no such BAR or it was not assigned */
export function pci_ioremap_bar(pdev: PciDev, bar: number): IoMem | null {
  const resource = pdev.resources.find((candidate) => candidate.bar === bar);
  return resource?.assigned ? new IoMem(pdev.kernel, resource.base, resource.size) : null;
}
