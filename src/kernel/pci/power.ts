// SPDX-License-Identifier: GPL-2.0-only
/**
 * Power states of a PCI function, and runtime power management by them, after Linux 7.1 drivers/pci/pci.c: pci_pm_init,
 * pci_set_power_state; drivers/pci/pci-driver.c: pci_pm_runtime_{suspend,resume,idle}.
 *
 * A function may lose its configuration on the way from D3hot to D0; what the core had put there is put back: its BARs
 * always, after a runtime suspend all of its header and its MSI-X messages. Runtime PM is forbidden until user space (or a
 * driver that knows better) allows it, and a function without driver stays in D0.
 * Left out: D1, D2 and D3cold, PME and wake-up.
 */
import { type Coroutine, sleepNs } from "../../sim/index.ts";
import type { Device } from "../base/device.ts";
import { pm_runtime_forbid, pm_runtime_set_active } from "../base/power/enable.ts";
import type { DevPmOps } from "../base/power/types.ts";
import { EIO } from "../errno.ts";
import { pci_read_config_word, pci_write_config_word } from "./access.ts";
import { PciDev, PciPower } from "./pci-dev.ts";
import * as regs from "./pci-regs.ts";
import { pci_restore_state, pci_save_state } from "./save-state.ts";
import { pci_update_resource } from "./setup-bus.ts";

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
  if (pdev.current_state !== state) return -EIO;
  if (state === PciPower.D0) pci_restore_bars(pdev);
  return 0;
}

function pci_restore_bars(pdev: PciDev): void {
  for (const resource of pdev.resources) if (resource.bar >= 0 && resource.assigned) pci_update_resource(pdev, resource);
}

/** What the scan does for a new function: it is awake, counts as active, and stays so until somebody allows otherwise. */
export function* pci_pm_init(pdev: PciDev): Coroutine<void> {
  pci_update_current_state(pdev);
  yield* pci_set_power_state(pdev, PciPower.D0);
  yield* pm_runtime_forbid(pdev);
  yield* pm_runtime_set_active(pdev);
}

/** The driver's callback first, then the state is saved and the function goes to D3hot. */
function* pci_pm_runtime_suspend(dev: Device): Coroutine<number> {
  if (!(dev instanceof PciDev)) return 0;
  if (dev.pci_driver === null) {
    pci_save_state(dev);
    return 0;
  }
  dev.state_saved = false;
  const suspend = dev.pci_driver.pm?.runtime_suspend;
  const error = suspend ? yield* suspend(dev) : 0;
  if (error !== 0) {
    dev.kernel.printk.dev_err(dev, `can't suspend (${dev.pci_driver.name} returned ${error})`);
    return error;
  }
  if (dev.state_saved) return 0;
  pci_save_state(dev);
  return yield* pci_set_power_state(dev, PciPower.D3hot);
}

/** Back to D0, the header as it was, then the driver's callback. */
function* pci_pm_runtime_resume(dev: Device): Coroutine<number> {
  if (!(dev instanceof PciDev)) return 0;
  const ret = yield* pci_set_power_state(dev, PciPower.D0);
  if (ret < 0) return ret;
  pci_restore_state(dev);
  dev.runtime_resumes++;
  const resume = dev.pci_driver?.pm?.runtime_resume;
  return resume ? yield* resume(dev) : 0;
}

function* pci_pm_runtime_idle(dev: Device): Coroutine<number> {
  const idle = dev instanceof PciDev ? dev.pci_driver?.pm?.runtime_idle : undefined;
  return idle ? yield* idle(dev) : 0;
}

/** Linux's `pci_dev_pm_ops`, the runtime part. */
export const pci_dev_pm_ops: DevPmOps = {
  runtime_suspend: pci_pm_runtime_suspend,
  runtime_resume: pci_pm_runtime_resume,
  runtime_idle: pci_pm_runtime_idle,
};
