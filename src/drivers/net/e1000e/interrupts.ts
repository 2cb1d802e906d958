// SPDX-License-Identifier: GPL-2.0-only
/**
 * The three MSI-X vectors of the 82574: receive, transmit, other causes. After Linux 7.1
 * drivers/net/ethernet/intel/e1000e/netdev.c.
 *
 * Left out: MSI and legacy interrupts, throttling (each vector's interval is set to the shortest).
 */
import {
  EINVAL,
  free_irq,
  IRQ_HANDLED,
  type IrqReturn,
  mod_timer,
  pci_alloc_irq_vectors,
  pci_free_irq_vectors,
  pci_irq_vector,
  request_irq,
  synchronize_irq,
} from "../../../kernel/index.ts";
import type { Coroutine } from "../../../sim/index.ts";
import type { E1000Adapter } from "./adapter.ts";
import { e1e_flush, er32, ew32 } from "./hw.ts";
import * as reg from "./regs.ts";
import { e1000_clean_tx_irq } from "./tx.ts";

/** Receive, transmit, other. */
const VECTORS = 3;

/** Causes that have a vector of their own. */
function eiacMask(adapter: E1000Adapter): number {
  return adapter.rx_ring.ims_val | adapter.tx_ring.ims_val;
}

/** `e1000e_set_interrupt_capability`. @returns 0 or -errno */
export function e1000e_set_interrupt_capability(adapter: E1000Adapter): number {
  const ret = pci_alloc_irq_vectors(adapter.pdev, VECTORS, VECTORS);
  if (ret < 0) return ret;
  adapter.msix_entries = [0, 1, 2].map((vector) => pci_irq_vector(adapter.pdev, vector));
  return 0;
}

/** `e1000e_reset_interrupt_capability`. */
export function e1000e_reset_interrupt_capability(adapter: E1000Adapter): void {
  if (adapter.msix_entries.length === 0) return;
  adapter.msix_entries = [];
  pci_free_irq_vectors(adapter.pdev);
}

function e1000_intr_msix_rx(adapter: E1000Adapter): IrqReturn {
  adapter.napi.schedule();
  return IRQ_HANDLED;
}

function* e1000_intr_msix_tx(adapter: E1000Adapter): Coroutine<IrqReturn> {
  yield* e1000_clean_tx_irq(adapter);
  if (!adapter.down) ew32(adapter.hw, reg.E1000_IMS, adapter.tx_ring.ims_val);
  return IRQ_HANDLED;
}

function e1000_msix_other(adapter: E1000Adapter): IrqReturn {
  const { hw } = adapter;
  const icr = er32(hw, reg.E1000_ICR);
  // Reading ICR has cleared the causes of the other vectors too: raise them again.
  if ((icr & eiacMask(adapter)) !== 0) ew32(hw, reg.E1000_ICS, icr & eiacMask(adapter));
  if ((icr & reg.E1000_ICR_LSC) !== 0) {
    hw.mac.get_link_status = true;
    if (!adapter.down) mod_timer(adapter.watchdog_timer, 1);
  }
  if (!adapter.down) ew32(hw, reg.E1000_IMS, reg.E1000_ICR_OTHER | reg.IMS_OTHER_MASK);
  return IRQ_HANDLED;
}

/** Causes to vectors, and masking by the hardware when a vector fires. */
export function e1000_configure_msix(adapter: E1000Adapter): void {
  const { hw } = adapter;
  ew32(hw, reg.E1000_RFCTL, er32(hw, reg.E1000_RFCTL) | reg.E1000_RFCTL_ACK_DIS);
  let ivar = 0;
  for (let vector = 0; vector < VECTORS; vector++) {
    ew32(hw, reg.E1000_EITR_82574 + 4 * vector, 1);
    ivar |= (reg.E1000_IVAR_INT_ALLOC_VALID | vector) << (8 * vector);
  }
  ew32(hw, reg.E1000_IVAR, ivar | reg.E1000_IVAR_TX_INT_EVERY_WB);
  const ctrl_ext = er32(hw, reg.E1000_CTRL_EXT) & ~reg.E1000_CTRL_EXT_IAME;
  ew32(hw, reg.E1000_CTRL_EXT, ctrl_ext | reg.E1000_CTRL_EXT_PBA_CLR | reg.E1000_CTRL_EXT_EIAME);
  e1e_flush(hw);
}

/** `e1000_request_msix`. @returns 0 or -errno */
export function* e1000_request_irq(adapter: E1000Adapter): Coroutine<number> {
  const { pdev, netdev, msix_entries } = adapter;
  const [rx, tx, other] = msix_entries;
  if (rx === undefined || tx === undefined || other === undefined) return -EINVAL;
  const handlers = [
    () => request_irq(pdev, rx, () => e1000_intr_msix_rx(adapter), { name: `${netdev.name}-rx-0` }),
    () => request_irq(pdev, tx, () => e1000_intr_msix_tx(adapter), { name: `${netdev.name}-tx-0` }),
    () => request_irq(pdev, other, () => e1000_msix_other(adapter), { name: netdev.name }),
  ];
  for (const [done, request] of handlers.entries()) {
    const err = request();
    if (err === 0) continue;
    for (const irq of msix_entries.slice(0, done)) yield* free_irq(pdev, irq);
    return err;
  }
  adapter.irqs_requested = true;
  e1000_configure_msix(adapter);
  return 0;
}

export function* e1000_free_irq(adapter: E1000Adapter): Coroutine<void> {
  if (!adapter.irqs_requested) return;
  adapter.irqs_requested = false;
  for (const irq of adapter.msix_entries) yield* free_irq(adapter.pdev, irq);
}

/** Masks all causes in the device and waits for handlers that run. */
export function* e1000_irq_disable(adapter: E1000Adapter): Coroutine<void> {
  ew32(adapter.hw, reg.E1000_IMC, 0xffff_ffff);
  if (adapter.msix_entries.length > 0) ew32(adapter.hw, reg.E1000_EIAC_82574, 0);
  e1e_flush(adapter.hw);
  for (const irq of adapter.msix_entries) yield* synchronize_irq(adapter.kernel, irq);
}

export function e1000_irq_enable(adapter: E1000Adapter): void {
  ew32(adapter.hw, reg.E1000_EIAC_82574, eiacMask(adapter) & reg.E1000_EIAC_MASK_82574);
  ew32(adapter.hw, reg.E1000_IMS, eiacMask(adapter) | reg.E1000_ICR_OTHER | reg.IMS_OTHER_MASK);
  e1e_flush(adapter.hw);
}

/** A software interrupt that makes the driver look at the link. */
export function e1000e_trigger_lsc(adapter: E1000Adapter): void {
  ew32(adapter.hw, reg.E1000_ICS, reg.E1000_ICR_LSC | reg.E1000_ICR_OTHER);
}
