// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the recovery from errors and the drivers of functions say to each other, after Linux 7.1 include/linux/pci.h: struct
 * pci_error_handlers, pci_ers_result_t, pci_channel_state_t; drivers/pci/pci.h: pci_dev_set_io_state. Left out: resets that a user
 * asks for, events for user space.
 */
import type { Coroutine } from "../../../sim/index.ts";
import type { PciDev } from "../pci-dev.ts";

/** Whether requests reach the function. */
export type PciChannelState = "normal" | "frozen" | "perm-failure";

/** As Linux counts them. */
export const PCI_CHANNEL_NUMBER: Readonly<Record<PciChannelState, number>> = { normal: 1, frozen: 2, "perm-failure": 3 };

/** What a driver thinks of its device's chances. */
export const PCI_ERS_RESULT = {
  NONE: 1,
  CAN_RECOVER: 2,
  NEED_RESET: 3,
  DISCONNECT: 4,
  RECOVERED: 5,
  NO_AER_DRIVER: 6,
} as const;
export type PciErsResult = (typeof PCI_ERS_RESULT)[keyof typeof PCI_ERS_RESULT];

export interface PciErrorHandlers {
  error_detected?(pdev: PciDev, state: PciChannelState): Coroutine<PciErsResult>;
  mmio_enabled?(pdev: PciDev): Coroutine<PciErsResult>;
  slot_reset?(pdev: PciDev): Coroutine<PciErsResult>;
  resume?(pdev: PciDev): Coroutine<void>;
  cor_error_detected?(pdev: PciDev): Coroutine<void>;
}

/** A function that failed for good stays so. @returns false if the change is not allowed */
export function pci_dev_set_io_state(pdev: PciDev, state: PciChannelState): boolean {
  if (pdev.error_state === "perm-failure" && state !== "perm-failure") return false;
  pdev.error_state = state;
  return true;
}
