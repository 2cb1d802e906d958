// SPDX-License-Identifier: GPL-2.0-only
/**
 * Power states of a PCI function, and runtime power management by them, after Linux's `drivers/pci/{pci.c,pci-driver.c}`.
 *
 * A function may lose its configuration on the way from D3hot to D0; what the core had put there is put back: its BARs
 * always, after a runtime suspend all of its header and its MSI-X messages.
 */
import { type Coroutine, sleepNs } from "../../sim/index.ts";
import { EIO } from "../errno.ts";
import { pci_read_config_dword, pci_read_config_word, pci_write_config_dword, pci_write_config_word } from "./access.ts";
import { type PciDev, PciPower } from "./pci-dev.ts";
import { pci_restore_msi_state } from "./msi.ts";
import * as regs from "./pci-regs.ts";
import { pci_update_resource } from "./setup-bus.ts";

/** Recovery time of D3hot, 10 ms (PCI_PM_D3HOT_WAIT). */
const PCI_PM_D3HOT_WAIT_NS = 10_000_000;
/** Double words of a header. */
const HEADER_DWORDS = 16;

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

/** Puts an idle function into D3hot; whoever needs it calls {@link pm_runtime_resume}. @returns 0 or -errno */
export function* pm_runtime_suspend(pdev: PciDev): Coroutine<number> {
  const saved: number[] = [];
  for (let i = 0; i < HEADER_DWORDS; i++) saved.push(pci_read_config_dword(pdev, 4 * i));
  const ret = yield* pci_set_power_state(pdev, PciPower.D3hot);
  if (ret === 0) pdev.runtime_suspended = saved;
  return ret;
}

/** Brings a runtime-suspended function back to D0, its header as it was. @returns 0, 1 if it was awake already, or -errno */
export function* pm_runtime_resume(pdev: PciDev): Coroutine<number> {
  const saved = pdev.runtime_suspended;
  if (saved === null) return 1;
  const ret = yield* pci_set_power_state(pdev, PciPower.D0);
  if (ret < 0) return ret;
  // COMMAND comes after what it enables (pci_restore_config_space).
  for (let i = HEADER_DWORDS - 1; i >= 0; i--) {
    if (pci_read_config_dword(pdev, 4 * i) !== saved[i]) pci_write_config_dword(pdev, 4 * i, saved[i]!);
  }
  pci_restore_msi_state(pdev);
  pdev.runtime_suspended = null;
  pdev.runtime_resumes++;
  return 0;
}
