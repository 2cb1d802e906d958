// SPDX-License-Identifier: GPL-2.0-only
/**
 * The recovery from an uncorrectable error, step by step: every driver below the port is asked, and what the worst of them needs is
 * done. Each is asked with its device's lock held, and a bus reset holds the port's and all of them: who holds one of these locks
 * and waits for this thread, waits for ever.
 *
 * After Linux 7.1 drivers/pci/pcie/err.c; drivers/pci/pci.c: pci_bus_error_reset, pci_bridge_secondary_bus_reset,
 * pci_reset_secondary_bus, pci_bridge_wait_for_secondary_bus. Left out: slots, surprise removal, functions that are not ready
 * after 100 ms, events for user space.
 */
import { type Coroutine, sleepNs } from "../../../sim/index.ts";
import { pm_runtime_get_sync, pm_runtime_put } from "../../base/power/pm-runtime.ts";
import { ENOTTY } from "../../errno.ts";
import { pci_read_config_word, pci_write_config_word } from "../access.ts";
import { pci_walk_bus } from "../bus.ts";
import type { PciDev } from "../pci-dev.ts";
import * as regs from "../pci-regs.ts";
import { pci_dev_set_io_state, PCI_CHANNEL_NUMBER, type PciChannelState, PCI_ERS_RESULT, type PciErsResult } from "./ers.ts";

const MS = 1_000_000;

function merge_result(orig: PciErsResult, vote: PciErsResult): PciErsResult {
  if (vote === PCI_ERS_RESULT.NO_AER_DRIVER) return vote;
  if (vote === PCI_ERS_RESULT.NONE) return orig;
  if (orig === PCI_ERS_RESULT.CAN_RECOVER || orig === PCI_ERS_RESULT.RECOVERED) return vote;
  if (orig === PCI_ERS_RESULT.DISCONNECT && vote === PCI_ERS_RESULT.NEED_RESET) return vote;
  return orig;
}

function* locked<T>(pdev: PciDev, body: () => Coroutine<T>): Coroutine<T> {
  yield* pdev.mutex.lock("pcie_do_recovery");
  const result = yield* body();
  pdev.mutex.unlock();
  return result;
}

function* report_error_detected(pdev: PciDev, state: PciChannelState): Coroutine<PciErsResult> {
  const { printk } = pdev.kernel;
  if (!pci_dev_set_io_state(pdev, state)) {
    const transition = `${PCI_CHANNEL_NUMBER[pdev.error_state]} -> ${PCI_CHANNEL_NUMBER[state]}`;
    printk.dev_info(pdev, `AER: can't recover (state transition ${transition} invalid)`);
    return PCI_ERS_RESULT.NONE;
  }
  const handler = pdev.pci_driver?.err_handler;
  if (handler?.error_detected) return yield* handler.error_detected(pdev, state);
  if (pdev.hdr_type === regs.PCI_HEADER_TYPE_BRIDGE) return PCI_ERS_RESULT.NONE;
  printk.dev_info(pdev, "AER: can't recover (no error_detected callback)");
  return PCI_ERS_RESULT.NO_AER_DRIVER;
}

/** What is affected: all below a bridge, or the function itself. */
function affected(bridge: PciDev): PciDev[] {
  return bridge.subordinate ? pci_walk_bus(bridge.subordinate) : [bridge];
}

function* broadcast(
  bridge: PciDev,
  status: PciErsResult,
  ask: (pdev: PciDev) => Coroutine<PciErsResult> | undefined,
): Coroutine<PciErsResult> {
  let result = status;
  for (const pdev of affected(bridge)) {
    const vote = yield* locked(pdev, function* () {
      const asked = ask(pdev);
      return asked ? yield* asked : PCI_ERS_RESULT.NONE;
    });
    result = merge_result(result, vote);
  }
  return result;
}

/**
 * Resets all below a bridge: 2 ms of reset, then 100 ms until functions must answer. The bridge's lock and theirs are held.
 * @returns 0, or -ENOTTY if there is no bus below
 */
export function* pci_bus_error_reset(bridge: PciDev): Coroutine<number> {
  if (bridge.subordinate === null) return -ENOTTY;
  const all = [bridge, ...affected(bridge)];
  for (const pdev of all) yield* pdev.mutex.lock("pci_bus_error_reset");
  const control = pci_read_config_word(bridge, regs.PCI_BRIDGE_CONTROL);
  pci_write_config_word(bridge, regs.PCI_BRIDGE_CONTROL, control | regs.PCI_BRIDGE_CTL_BUS_RESET);
  yield* sleepNs(2 * MS);
  pci_write_config_word(bridge, regs.PCI_BRIDGE_CONTROL, control);
  yield* sleepNs(100 * MS);
  for (const pdev of all.toReversed()) pdev.mutex.unlock();
  return 0;
}

/**
 * @param pdev who found the error
 * @param reset resets what is below the bridge. @returns RECOVERED or DISCONNECT
 * @param clear clears the error's status when all went well
 */
export function* pcie_do_recovery(
  pdev: PciDev,
  state: PciChannelState,
  reset: (bridge: PciDev) => Coroutine<PciErsResult>,
  clear: (pdev: PciDev) => void,
): Coroutine<PciErsResult> {
  const { printk } = pdev.kernel;
  const isPort = pdev.pcie_type === regs.PCI_EXP_TYPE_ROOT_PORT || pdev.pcie_type === regs.PCI_EXP_TYPE_DOWNSTREAM;
  const bridge = isPort ? pdev : (pdev.pciBus.self ?? pdev);
  for (const below of affected(bridge)) yield* pm_runtime_get_sync(below);
  const put = (): void => {
    for (const below of affected(bridge)) pm_runtime_put(below);
  };

  let status = yield* broadcast(bridge, PCI_ERS_RESULT.CAN_RECOVER, (below) => report_error_detected(below, state));
  if (status === PCI_ERS_RESULT.CAN_RECOVER) {
    status = yield* broadcast(bridge, PCI_ERS_RESULT.RECOVERED, (below) => below.pci_driver?.err_handler?.mmio_enabled?.(below));
  }
  let failed = false;
  if (status === PCI_ERS_RESULT.NEED_RESET || state === "frozen") {
    failed = (yield* reset(bridge)) !== PCI_ERS_RESULT.RECOVERED;
    if (failed) printk.dev_warn(bridge, "AER: subordinate device reset failed");
  }
  if (!failed && status === PCI_ERS_RESULT.NEED_RESET) {
    status = yield* broadcast(bridge, PCI_ERS_RESULT.RECOVERED, (below) =>
      pci_dev_set_io_state(below, "normal") ? below.pci_driver?.err_handler?.slot_reset?.(below) : undefined,
    );
  }
  if (failed || status !== PCI_ERS_RESULT.RECOVERED) {
    put();
    yield* broadcast(bridge, status, (below) => below.pci_driver?.err_handler?.error_detected?.(below, "perm-failure"));
    printk.dev_info(bridge, "AER: device recovery failed");
    return status;
  }
  for (const below of affected(bridge)) {
    yield* locked(below, function* () {
      if (pci_dev_set_io_state(below, "normal")) yield* below.pci_driver?.err_handler?.resume?.(below) ?? nothing();
    });
  }
  clear(pdev);
  put();
  printk.dev_info(bridge, "AER: device recovery successful");
  return status;
}

function* nothing(): Coroutine<void> {}
