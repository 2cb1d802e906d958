// SPDX-License-Identifier: GPL-2.0-only
/**
 * Decoding and bus mastering of a PCI function, after Linux 7.1 drivers/pci/pci.c: pci_enable_device_mem, pci_enable_bridge,
 * pci_disable_device, __pci_set_master; drivers/pci/setup-res.c: pci_enable_resources. Left out: I/O ports, ASPM, quirks.
 *
 * What matters to a device that still does DMA: COMMAND.BME is set by pci_set_master, cleared by pci_clear_master and by
 * the last pci_disable_device, and on every bridge above it is set as soon as a function below is enabled.
 */
import type { Coroutine } from "../../sim/index.ts";
import { EINVAL, EIO } from "../errno.ts";
import { pci_read_config_word, pci_write_config_word } from "./access.ts";
import { type PciDev, PciPower } from "./pci-dev.ts";
import * as regs from "./pci-regs.ts";
import { pci_set_power_state, pci_update_current_state } from "./power.ts";

/** Turns memory decoding on if the function has memory resources (`pci_enable_resources`). @returns 0 or -EINVAL */
function pci_enable_resources(pdev: PciDev): number {
  for (const resource of pdev.resources) {
    if (resource.assigned) continue;
    const name = resource.bar < 0 ? "bridge window" : `BAR ${resource.bar}`;
    pdev.kernel.printk.dev_err(pdev, `${name} [mem size 0x${resource.size.toString(16)}]: not assigned; can't enable device`);
    return -EINVAL;
  }
  if (pdev.resources.length === 0) return 0;
  const old = pci_read_config_word(pdev, regs.PCI_COMMAND);
  const command = old | regs.PCI_COMMAND_MEMORY;
  if (command !== old) pci_write_config_word(pdev, regs.PCI_COMMAND, command);
  return 0;
}

/** Enables every bridge above, bus mastering included (`pci_enable_bridge`). */
function* pci_enable_bridge(bridge: PciDev): Coroutine<void> {
  if (bridge.pciBus.self) yield* pci_enable_bridge(bridge.pciBus.self);
  if (bridge.enable_cnt === 0) {
    const ret = yield* pci_enable_device_mem(bridge);
    if (ret !== 0) bridge.kernel.printk.dev_err(bridge, `Error enabling bridge (${ret}), continuing`);
  } else if (bridge.is_busmaster) {
    return;
  }
  pci_set_master(bridge);
}

/**
 * Wakes a function up and turns its memory decoding on; counted, so that each caller may disable it again.
 * @returns 0 or -errno
 */
export function* pci_enable_device_mem(pdev: PciDev): Coroutine<number> {
  pci_update_current_state(pdev);
  if (pdev.enable_cnt++ > 0) return 0;
  if (pdev.pciBus.self) yield* pci_enable_bridge(pdev.pciBus.self);
  let ret = yield* pci_set_power_state(pdev, PciPower.D0);
  if (ret === -EIO) ret = 0;
  if (ret === 0) ret = pci_enable_resources(pdev);
  if (ret < 0) pdev.enable_cnt--;
  return ret;
}

/** Gives up an enable; the last one clears COMMAND.BME and nothing else. */
export function pci_disable_device(pdev: PciDev): void {
  if (pdev.enable_cnt <= 0) {
    pdev.kernel.printk.dev_warn(pdev, "disabling already-disabled device");
    return;
  }
  if (--pdev.enable_cnt !== 0) return;
  const command = pci_read_config_word(pdev, regs.PCI_COMMAND);
  if ((command & regs.PCI_COMMAND_MASTER) !== 0) {
    pci_write_config_word(pdev, regs.PCI_COMMAND, command & ~regs.PCI_COMMAND_MASTER);
  }
  pdev.is_busmaster = false;
}

function __pci_set_master(pdev: PciDev, enable: boolean): void {
  const old = pci_read_config_word(pdev, regs.PCI_COMMAND);
  const command = enable ? old | regs.PCI_COMMAND_MASTER : old & ~regs.PCI_COMMAND_MASTER;
  if (command !== old) {
    pdev.kernel.printk.dev_dbg(pdev, `${enable ? "enabling" : "disabling"} bus mastering`);
    pci_write_config_word(pdev, regs.PCI_COMMAND, command);
  }
  pdev.is_busmaster = enable;
}

/** Lets the function issue requests: COMMAND.BME<-1. */
export function pci_set_master(pdev: PciDev): void {
  __pci_set_master(pdev, true);
}

/** COMMAND.BME<-0. What the device makes of it (drop, hold, reset) is its own affair. */
export function pci_clear_master(pdev: PciDev): void {
  __pci_set_master(pdev, false);
}
