// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the driver does when the PCI core recovers from an error: it lets go of the device, and after the reset sets it up anew.
 *
 * After Linux 7.1 drivers/net/ethernet/intel/e1000e/netdev.c: e1000_io_error_detected, e1000_io_slot_reset, e1000_io_resume,
 * e1000e_pm_thaw. Left out: ASPM, wake-up, manageability.
 */
import {
  dev_err,
  PCI_ERS_RESULT,
  pci_disable_device,
  pci_enable_device_mem,
  type PciErrorHandlers,
  pci_restore_state,
  pci_set_master,
} from "../../../kernel/index.ts";
import { e1000_adapter } from "./adapter.ts";
import { e1000e_get_hw_control } from "./hw.ts";
import { e1000_request_irq, e1000e_set_interrupt_capability } from "./interrupts.ts";
import { e1000e_reset, e1000e_up } from "./netdev.ts";
import { e1000e_pm_freeze } from "./shutdown.ts";

export const e1000_err_handler: PciErrorHandlers = {
  *error_detected(pdev, state) {
    const adapter = e1000_adapter(pdev);
    if (!adapter) return PCI_ERS_RESULT.DISCONNECT;
    yield* e1000e_pm_freeze(adapter);
    if (state === "perm-failure") return PCI_ERS_RESULT.DISCONNECT;
    pci_disable_device(pdev);
    return PCI_ERS_RESULT.NEED_RESET;
  },

  *slot_reset(pdev) {
    const adapter = e1000_adapter(pdev);
    const error = yield* pci_enable_device_mem(pdev);
    if (!adapter || error !== 0) {
      dev_err(pdev, "Cannot re-enable PCI device after reset.");
      return PCI_ERS_RESULT.DISCONNECT;
    }
    pci_restore_state(pdev);
    pci_set_master(pdev);
    yield* e1000e_reset(adapter);
    return PCI_ERS_RESULT.RECOVERED;
  },

  *resume(pdev) {
    const adapter = e1000_adapter(pdev);
    if (!adapter) return;
    e1000e_set_interrupt_capability(adapter);
    yield* adapter.rtnl.with("e1000e_pm_thaw", function* () {
      if (adapter.netdev.running) {
        if ((yield* e1000_request_irq(adapter)) !== 0) return;
        yield* e1000e_up(adapter);
      }
      adapter.netdev.present = true;
    });
    e1000e_get_hw_control(adapter.hw);
  },
};
