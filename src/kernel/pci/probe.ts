// SPDX-License-Identifier: GPL-2.0-only
/**
 * The scan of a PCI hierarchy, after Linux 7.1 drivers/pci/probe.c: functions of a bus in order, then its bridges, which
 * get new bus numbers on every boot (PCI_REASSIGN_ALL_BUS, as `pci-host-ecam-generic` sets it).
 *
 * Each function joins the device core when it is found, so that a bus's devices precede those below its bridges in the
 * device list, and each bus before its devices. Left out: hot plug, SR-IOV, more than one segment, pci_configure_serr below root ports
 * without error reporting, where it has no effect.
 */
import type { Coroutine } from "../../sim/index.ts";
import { device_initial_probe } from "../base/attach.ts";
import { device_create, pcibus_class } from "../base/class.ts";
import { device_add } from "../base/core.ts";
import type { Device } from "../base/device.ts";
import { pm_runtime_enable } from "../base/power/enable.ts";
import {
  pci_bus_read_config_byte,
  pci_bus_read_config_dword,
  pci_find_capability,
  pci_read_config_dword,
  pci_read_config_word,
  pci_write_config_dword,
  pci_write_config_word,
} from "./access.ts";
import { pci_ats_init, pci_configure_eetlp_prefix, pci_pasid_init, pci_pri_init } from "./ats.ts";
import { pcie_find_root_port } from "./bus.ts";
import { pci_aer_init } from "./pcie/aer.ts";
import { PciBus, PciDev, type PciHostBridge } from "./pci-dev.ts";
import { pci_bus_type } from "./pci-driver.ts";
import * as regs from "./pci-regs.ts";
import { pci_pm_init } from "./power.ts";
import { pci_save_state } from "./save-state.ts";
import { pci_assign_unassigned_root_bus_resources, pci_read_bases } from "./setup-bus.ts";

function* pci_init_capabilities(pdev: PciDev): Coroutine<void> {
  pdev.pm_cap = pci_find_capability(pdev, regs.PCI_CAP_ID_PM);
  pdev.pcie_cap = pci_find_capability(pdev, regs.PCI_CAP_ID_EXP);
  pdev.msix_cap = pci_find_capability(pdev, regs.PCI_CAP_ID_MSIX);
  if (pdev.pcie_cap !== 0) {
    const flags = pci_read_config_word(pdev, pdev.pcie_cap + regs.PCI_EXP_FLAGS);
    pdev.pcie_version = flags & regs.PCI_EXP_FLAGS_VERS;
    pdev.pcie_type = (flags & regs.PCI_EXP_FLAGS_TYPE) >> 4;
  }
  if (pdev.msix_cap !== 0) {
    // A previous kernel may have left interrupts enabled (pci_msix_init).
    const where = pdev.msix_cap + regs.PCI_MSIX_FLAGS;
    const flags = pci_read_config_word(pdev, where);
    if ((flags & regs.PCI_MSIX_FLAGS_ENABLE) !== 0) pci_write_config_word(pdev, where, flags & ~regs.PCI_MSIX_FLAGS_ENABLE);
  }
  pci_configure_eetlp_prefix(pdev);
  yield* pci_pm_init(pdev);
  pci_ats_init(pdev);
  pci_pri_init(pdev);
  pci_pasid_init(pdev);
  pci_aer_init(pdev);
  pci_configure_serr(pdev);
}

/** A bridge passes error messages from below on only if it is told to; here, if somebody above takes them. */
function pci_configure_serr(pdev: PciDev): void {
  if (pdev.hdr_type !== regs.PCI_HEADER_TYPE_BRIDGE || (pcie_find_root_port(pdev)?.aer_cap ?? 0) === 0) return;
  const control = pci_read_config_word(pdev, regs.PCI_BRIDGE_CONTROL);
  if ((control & regs.PCI_BRIDGE_CTL_SERR) !== 0) return;
  pci_write_config_word(pdev, regs.PCI_BRIDGE_CONTROL, control | regs.PCI_BRIDGE_CTL_SERR);
}

/** Reads a function's header and makes it a device; null if there is none (`pci_scan_single_device`). */
function* pci_scan_single_device(bus: PciBus, devfn: number): Coroutine<PciDev | null> {
  const kernel = bus.bridge.dev.kernel;
  const id = pci_bus_read_config_dword(bus, devfn, regs.PCI_VENDOR_ID);
  if (id === regs.PCI_NO_FUNCTION || id === 0 || (id & 0xffff) === 0xffff) return null;
  const pdev = new PciDev(kernel, bus, devfn, {
    vendor: id & 0xffff,
    device: id >>> 16,
    class: pci_bus_read_config_dword(bus, devfn, regs.PCI_CLASS_REVISION) >>> 8,
    hdr_type: pci_bus_read_config_byte(bus, devfn, regs.PCI_HEADER_TYPE) & regs.PCI_HEADER_TYPE_MASK,
  });
  pdev.bus = pci_bus_type;
  pdev.multifunction = (devfn & 7) !== 0 || (pci_bus_read_config_byte(bus, devfn, regs.PCI_HEADER_TYPE) & regs.PCI_HEADER_TYPE_MFD) !== 0;
  pdev.dma_coherent = bus.bridge.dev.parent?.of_node?.dmaCoherent ?? false;
  // Ports have no nodes of their own here: what Linux reads of a port's node is said of its host bridge.
  pdev.untrusted = bus.self !== null && bus.bridge.dev.parent?.of_node?.properties["external-facing"] === true;
  pci_read_bases(pdev, pdev.hdr_type === regs.PCI_HEADER_TYPE_BRIDGE ? regs.PCI_BRIDGE_NUM_BARS : regs.PCI_STD_NUM_BARS);
  yield* pci_init_capabilities(pdev);
  const hex4 = (value: number) => value.toString(16).padStart(4, "0");
  const what = `[${hex4(pdev.vendor)}:${hex4(pdev.device)}] type ${String(pdev.hdr_type).padStart(2, "0")}`;
  kernel.printk.dev_info(pdev, `${what} class 0x${pdev.class.toString(16).padStart(6, "0")}`);
  bus.devices.push(pdev);
  yield* device_add(pdev);
  return pdev;
}

/** Functions 1 to 7 are looked for only if function 0 says there may be more (`pci_scan_slot`). */
function* pci_scan_slot(bus: PciBus, device: number): Coroutine<void> {
  const first = yield* pci_scan_single_device(bus, device << 3);
  if (first === null) return;
  if ((pci_bus_read_config_byte(bus, device << 3, regs.PCI_HEADER_TYPE) & regs.PCI_HEADER_TYPE_MFD) === 0) return;
  for (let fn = 1; fn < 8; fn++) yield* pci_scan_single_device(bus, (device << 3) | fn);
}

function setBusNumbers(bridge: PciDev, primary: number, secondary: number, subordinate: number): void {
  const timer = pci_read_config_dword(bridge, regs.PCI_PRIMARY_BUS) & 0xff00_0000;
  pci_write_config_dword(bridge, regs.PCI_PRIMARY_BUS, (timer | (subordinate << 16) | (secondary << 8) | primary) >>> 0);
}

/** The bus as a device of its own, below its bridge (`pci_add_new_bus`, `pci_register_host_bridge`). */
function* register(bus: PciBus, bridge: Device): Coroutine<void> {
  bus.dev = yield* device_create(pcibus_class, bridge, `0000:${bus.number.toString(16).padStart(2, "0")}`);
}

/** Gives a bridge the next bus numbers and scans what is behind it (`pci_scan_bridge`). @returns the last number used */
function* pci_scan_bridge(bus: PciBus, pdev: PciDev, max: number): Coroutine<number> {
  const last = bus.bridge.busRange[1];
  if (max + 1 > last) {
    bus.bridge.dev.kernel.printk.dev_warn(pdev, "No bus number available for devices behind the bridge");
    return max;
  }
  const child = new PciBus(bus.bridge, max + 1, bus, pdev);
  bus.children.push(child);
  pdev.subordinate = child;
  yield* register(child, pdev);
  // Open to all higher numbers while what is below is being numbered.
  setBusNumbers(pdev, bus.number, child.number, last);
  child.busnEnd = yield* pci_scan_child_bus(child);
  setBusNumbers(pdev, bus.number, child.number, child.busnEnd);
  return child.busnEnd;
}

/** Scans a bus and everything below it. @returns the last bus number used */
export function* pci_scan_child_bus(bus: PciBus): Coroutine<number> {
  const isBelowPcieLink = bus.self !== null && bus.self.pcie_cap !== 0;
  // A PCI Express link has one device at its other end, number 0 (only_one_child).
  for (let device = 0; device < (isBelowPcieLink ? 1 : 32); device++) yield* pci_scan_slot(bus, device);
  const bridges = bus.devices.filter((pdev) => pdev.hdr_type === regs.PCI_HEADER_TYPE_BRIDGE);
  // No bridge forwards configuration accesses by numbers a previous kernel gave.
  for (const bridge of bridges) setBusNumbers(bridge, 0, 0, 0);
  let max = bus.number;
  for (const bridge of bridges) max = yield* pci_scan_bridge(bus, bridge, max);
  bus.busnEnd = max;
  return max;
}

/** Opens the functions to drivers, now that they have their resources (`pci_bus_add_devices`). */
export function* pci_bus_add_devices(bus: PciBus): Coroutine<void> {
  for (const pdev of bus.devices) {
    // For a recovery from errors, whenever that may be.
    pci_save_state(pdev);
    pm_runtime_enable(pdev);
    pdev.match_driver = true;
    yield* device_initial_probe(pdev);
  }
  for (const child of bus.children) yield* pci_bus_add_devices(child);
}

/** What a host bridge driver calls last: scans, assigns resources, opens to drivers (`pci_host_probe`). */
export function* pci_host_probe(bridge: PciHostBridge): Coroutine<number> {
  yield* device_add(bridge.dev);
  yield* register(bridge.root, bridge.dev);
  yield* pci_scan_child_bus(bridge.root);
  bridge.dev.kernel.pci.addHostBridge(bridge);
  pci_assign_unassigned_root_bus_resources(bridge);
  yield* pci_bus_add_devices(bridge.root);
  return 0;
}
