// SPDX-License-Identifier: GPL-2.0-only
/**
 * Power states, decoding and bus mastering of a PCI function, after Linux's `drivers/pci/pci.c`.
 *
 * What matters to a device that still does DMA: COMMAND.BME is set by pci_set_master, cleared by pci_clear_master and by
 * the last pci_disable_device, and on every bridge above it is set as soon as a function below is enabled.
 */
import { type Coroutine, sleepNs } from "../../sim/index.ts";
import { EINVAL, EIO } from "../errno.ts";
import { IoMem } from "../io/io.ts";
import { pci_read_config_word, pci_write_config_word } from "./access.ts";
import { type PciDev, PciPower } from "./pci-dev.ts";
import * as regs from "./pci-regs.ts";

/** Recovery time of D3hot, 10 ms (PCI_PM_D3HOT_WAIT). */
const PCI_PM_D3HOT_WAIT_NS = 10_000_000;

/** Reads the power state out of the function (`pci_update_current_state`). */
export function pci_update_current_state(pdev: PciDev): void {
  if (pdev.pm_cap === 0) {
    pdev.current_state = PciPower.D0;
    return;
  }
  const state = pci_read_config_word(pdev, pdev.pm_cap + regs.PCI_PM_CTRL) & regs.PCI_PM_CTRL_STATE_MASK;
  pdev.current_state = state === 0 ? PciPower.D0 : state === 1 ? PciPower.D1 : state === 2 ? PciPower.D2 : PciPower.D3hot;
}

/**
 * Moves a function to D0 or D3hot and waits as long as it needs.
 * @returns 0, or -EIO if the function cannot leave its state
 */
export function* pci_set_power_state(pdev: PciDev, state: typeof PciPower.D0 | typeof PciPower.D3hot): Coroutine<number> {
  if (pdev.current_state === state) return 0;
  if (pdev.pm_cap === 0) {
    if (state === PciPower.D0) pdev.current_state = PciPower.D0;
    return state === PciPower.D0 ? 0 : -EIO;
  }
  const where = pdev.pm_cap + regs.PCI_PM_CTRL;
  const control = pci_read_config_word(pdev, where);
  pci_write_config_word(pdev, where, (control & ~regs.PCI_PM_CTRL_STATE_MASK) | state);
  yield* sleepNs(PCI_PM_D3HOT_WAIT_NS);
  pci_update_current_state(pdev);
  return pdev.current_state === state ? 0 : -EIO;
}

/** Puts an idle function into D3hot; whoever needs it calls {@link pm_runtime_resume}. @returns 0 or -errno */
export function* pm_runtime_suspend(pdev: PciDev): Coroutine<number> {
  const ret = yield* pci_set_power_state(pdev, PciPower.D3hot);
  if (ret === 0) pdev.runtime_suspended = true;
  return ret;
}

/** Brings a runtime-suspended function back to D0. @returns 0, 1 if it was awake already, or -errno */
export function* pm_runtime_resume(pdev: PciDev): Coroutine<number> {
  if (!pdev.runtime_suspended) return 1;
  const ret = yield* pci_set_power_state(pdev, PciPower.D0);
  if (ret < 0) return ret;
  pdev.runtime_suspended = false;
  pdev.runtime_resumes++;
  return 0;
}

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

/** Enables or disables the function's INTx line, if that changes anything (`pci_intx`). */
export function pci_intx(pdev: PciDev, enable: boolean): void {
  const old = pci_read_config_word(pdev, regs.PCI_COMMAND);
  const command = enable ? old & ~regs.PCI_COMMAND_INTX_DISABLE : old | regs.PCI_COMMAND_INTX_DISABLE;
  if (command !== old) pci_write_config_word(pdev, regs.PCI_COMMAND, command);
}

/** Maps a memory BAR. @returns null if the function has no such BAR or it was not assigned */
export function pci_ioremap_bar(pdev: PciDev, bar: number): IoMem | null {
  const resource = pdev.resources.find((candidate) => candidate.bar === bar);
  return resource?.assigned ? new IoMem(pdev.kernel, resource.base, resource.size) : null;
}
