// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the driver does when the machine goes down: Linux's way, and one that proves that the device is idle.
 *
 * After Linux 7.1 drivers/net/ethernet/intel/e1000e/netdev.c: e1000_shutdown, e1000e_pm_freeze,
 * __e1000_shutdown. Left out: the LPI timer's printout, PHY power, quad-port cards, S0ix.
 */
import { cancel_work_sync, dev_warn, pci_clear_master, pci_disable_device, type PciDev, timer_delete_sync } from "../../../kernel/index.ts";
import { type Coroutine, sleepNs } from "../../../sim/index.ts";
import { type E1000Adapter, e1000_adapter } from "./adapter.ts";
import { e1000_reset_hw_82571, e1000e_disable_pcie_master, e1000e_release_hw_control, e1e_flush, er32, ew32 } from "./hw.ts";
import { e1000_free_irq, e1000_irq_disable, e1000e_reset_interrupt_capability } from "./interrupts.ts";
import { e1000_setup_rctl, e1000e_down } from "./netdev.ts";
import * as reg from "./regs.ts";
import { e1000e_free_ring } from "./ring.ts";
import { e1000_clean_rx_ring } from "./rx.ts";
import { e1000_clean_tx_ring } from "./tx.ts";

/**
 * Detaches the interface and stops it without a reset. Only at the very end, after the rings' buffers were unmapped and
 * freed, new requests of the device are blocked; that they do not end in time is only a remark.
 */
export function* e1000e_pm_freeze(adapter: E1000Adapter): Coroutine<void> {
  const { netdev, rtnl } = adapter;
  yield* rtnl.with("e1000e_pm_freeze", function* () {
    const present = netdev.present;
    netdev.present = false;
    if (!present || !netdev.running) return;
    yield* e1000e_down(adapter, false);
    yield* e1000_free_irq(adapter);
  });
  e1000e_reset_interrupt_capability(adapter);
  yield* e1000e_disable_pcie_master(adapter.hw);
}

/** Arms Wake-on-LAN, or switches wake-up off; gives the device back to its firmware; COMMAND.BME off comes last. */
function __e1000_shutdown(adapter: E1000Adapter): void {
  const { hw, pdev } = adapter;
  let wufc = adapter.options.wol ?? 0;
  if ((er32(hw, reg.E1000_STATUS) & reg.E1000_STATUS_LU) !== 0) wufc &= ~reg.E1000_WUFC_LNKC;
  if (wufc !== 0) {
    // This sets RCTL.EN again, with the rings' buffers already gone.
    e1000_setup_rctl(adapter);
    if ((wufc & reg.E1000_WUFC_MC) !== 0) ew32(hw, reg.E1000_RCTL, er32(hw, reg.E1000_RCTL) | reg.E1000_RCTL_MPE);
    ew32(hw, reg.E1000_CTRL, er32(hw, reg.E1000_CTRL) | reg.E1000_CTRL_ADVD3WUC | reg.E1000_CTRL_EN_PHY_PWR_MGMT);
    ew32(hw, reg.E1000_WUFC, wufc);
    ew32(hw, reg.E1000_WUC, reg.E1000_WUC_PME_EN);
  } else {
    ew32(hw, reg.E1000_WUC, 0);
    ew32(hw, reg.E1000_WUFC, 0);
  }
  e1000e_release_hw_control(hw);
  pci_clear_master(pdev);
}

/** Linux's hook. */
export function* e1000_shutdown(pdev: PciDev): Coroutine<void> {
  const adapter = e1000_adapter(pdev);
  if (!adapter) return;
  yield* e1000e_pm_freeze(adapter);
  __e1000_shutdown(adapter);
}

/** How long the receive head must stand still to count as proof. */
const PROOF_NS = 1_000_000;

/** True if the device has both units off and does not move its receive ring. */
function* provedIdle({ hw }: E1000Adapter): Coroutine<boolean> {
  const head = er32(hw, reg.E1000_RDH);
  yield* sleepNs(PROOF_NS);
  const off = (er32(hw, reg.E1000_RCTL) & reg.E1000_RCTL_EN) === 0 && (er32(hw, reg.E1000_TCTL) & reg.E1000_TCTL_EN) === 0;
  return off && er32(hw, reg.E1000_RDH) === head;
}

/**
 * Quiesces the device before anything it uses is let go: reception and transmission off whatever the board's flags say,
 * requests blocked and over, the FIFO emptied by a reset, and the result looked at. Then bus mastering goes off, and only
 * then are buffers and rings unmapped and freed. If the device cannot be stopped, its memory stays mapped.
 */
export function* e1000_shutdown_quiescing(pdev: PciDev): Coroutine<void> {
  const adapter = e1000_adapter(pdev);
  if (!adapter) return;
  const { hw, netdev } = adapter;
  yield* adapter.rtnl.with("e1000_shutdown_quiescing", function* () {
    netdev.present = false;
    netdev.carrier_ok = false;
    netdev.queue_stopped = true;
    adapter.down = true;
    timer_delete_sync(adapter.watchdog_timer);
    yield* cancel_work_sync(adapter.watchdog_task);
    ew32(hw, reg.E1000_RCTL, er32(hw, reg.E1000_RCTL) & ~reg.E1000_RCTL_EN);
    ew32(hw, reg.E1000_TCTL, er32(hw, reg.E1000_TCTL) & ~reg.E1000_TCTL_EN);
    e1e_flush(hw);
    yield* e1000_irq_disable(adapter);
    yield* adapter.napi.disable();
    // Frames that were accepted before this point still drain: the reset waits for requests to end and empties the FIFO.
    yield* e1000_reset_hw_82571(hw);
    const idle = yield* provedIdle(adapter);
    yield* e1000_free_irq(adapter);
    e1000e_reset_interrupt_capability(adapter);
    ew32(hw, reg.E1000_WUC, 0);
    ew32(hw, reg.E1000_WUFC, 0);
    e1000e_release_hw_control(hw);
    pci_disable_device(pdev);
    if (!idle) {
      dev_warn(pdev, "the device is still active: its memory stays mapped");
      return;
    }
    yield* e1000_clean_tx_ring(adapter);
    yield* e1000_clean_rx_ring(adapter);
    yield* e1000e_free_ring(adapter, adapter.tx_ring);
    yield* e1000e_free_ring(adapter, adapter.rx_ring);
  });
}
