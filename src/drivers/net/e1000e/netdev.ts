// SPDX-License-Identifier: GPL-2.0-only
/**
 * The interface: up, down, open, close, the poll and the watchdog. After Linux 7.1
 * drivers/net/ethernet/intel/e1000e/netdev.c.
 *
 * The 82574 has FLAG2_DMA_BURST: descriptors are fetched ahead and written back in groups. So when buffers are unmapped the
 * device may hold dozens of descriptors that still point to them.
 *
 * Left out: receive mode beyond broadcast and the own address, manageability, statistics of the hardware, the delay of
 * transmit interrupts, throttling, the reset task. Every two seconds the watchdog looks at the link and raises the receive
 * interrupt, as in Linux.
 */
import { mod_timer, schedule_work, timer_delete_sync, usleep_range } from "../../../kernel/index.ts";
import type { Coroutine } from "../../../sim/index.ts";
import { type E1000Adapter, e1000_desc_unused, noDisableRx } from "./adapter.ts";
import {
  e1000_init_hw_82571,
  e1000_reset_hw_82571,
  e1000e_get_hw_control,
  e1000e_release_hw_control,
  e1e_flush,
  er32,
  ew32,
} from "./hw.ts";
import {
  e1000_configure_msix,
  e1000_free_irq,
  e1000_irq_disable,
  e1000_irq_enable,
  e1000_request_irq,
  e1000e_trigger_lsc,
} from "./interrupts.ts";
import * as reg from "./regs.ts";
import { e1000e_free_ring, e1000e_setup_ring } from "./ring.ts";
import { e1000_alloc_rx_buffers, e1000_clean_rx_irq, e1000_clean_rx_ring } from "./rx.ts";
import { e1000_clean_tx_ring } from "./tx.ts";

/** PBA: 32 KiB of packet buffer for receive. */
const PBA_82574 = 32;
const WATCHDOG_MS = 2000;

/** A DMA address in two halves. */
function low(address: number): number {
  return address % 0x1_0000_0000;
}
function high(address: number): number {
  return Math.floor(address / 0x1_0000_0000);
}

function e1000_configure_tx({ hw, tx_ring }: E1000Adapter): void {
  ew32(hw, reg.E1000_TDBAL, low(tx_ring.dma));
  ew32(hw, reg.E1000_TDBAH, high(tx_ring.dma));
  ew32(hw, reg.E1000_TDLEN, tx_ring.count * reg.E1000_TX_DESC_SIZE);
  ew32(hw, reg.E1000_TDH, 0);
  ew32(hw, reg.E1000_TDT, 0);
  ew32(hw, reg.E1000_TIDV, 0);
  ew32(hw, reg.E1000_TADV, 0);
  const thresholds = reg.E1000_TXDCTL_PTHRESH | reg.E1000_TXDCTL_HTHRESH | reg.E1000_TXDCTL_WTHRESH;
  ew32(hw, reg.E1000_TXDCTL, (er32(hw, reg.E1000_TXDCTL) & ~thresholds) | reg.E1000_TXDCTL_DMA_BURST_ENABLE);
  // Erratum: both queues have the same settings.
  ew32(hw, reg.E1000_TXDCTL1, er32(hw, reg.E1000_TXDCTL));
  let tctl = er32(hw, reg.E1000_TCTL) & ~reg.E1000_TCTL_CT;
  tctl |= reg.E1000_TCTL_PSP | reg.E1000_TCTL_RTLC | (reg.E1000_COLLISION_THRESHOLD << reg.E1000_CT_SHIFT);
  ew32(hw, reg.E1000_TCTL, tctl);
}

/** Programs the receive unit and, on the way, switches it on: also used to arm Wake-on-LAN. */
export function e1000_setup_rctl({ hw }: E1000Adapter): void {
  let rctl = er32(hw, reg.E1000_RCTL);
  rctl &= ~(3 << reg.E1000_RCTL_MO_SHIFT);
  rctl |= reg.E1000_RCTL_EN | reg.E1000_RCTL_BAM | reg.E1000_RCTL_SECRC;
  // 2048-byte buffers; no bad, no long packets; the check sequence stays out of memory.
  rctl &= ~(reg.E1000_RCTL_SBP | reg.E1000_RCTL_LPE | reg.E1000_RCTL_SZ_4096 | reg.E1000_RCTL_BSEX);
  ew32(hw, reg.E1000_RFCTL, er32(hw, reg.E1000_RFCTL) | reg.E1000_RFCTL_EXTEN);
  ew32(hw, reg.E1000_RCTL, rctl);
}

function* e1000_configure_rx(adapter: E1000Adapter): Coroutine<void> {
  const { hw, rx_ring } = adapter;
  const rctl = er32(hw, reg.E1000_RCTL);
  if (!noDisableRx(adapter)) ew32(hw, reg.E1000_RCTL, rctl & ~reg.E1000_RCTL_EN);
  e1e_flush(hw);
  yield* usleep_range(10_000, 11_000);
  ew32(hw, reg.E1000_RXDCTL, reg.E1000_RXDCTL_DMA_BURST_ENABLE);
  ew32(hw, reg.E1000_RXDCTL1, reg.E1000_RXDCTL_DMA_BURST_ENABLE);
  ew32(hw, reg.E1000_RDTR, reg.BURST_RDTR);
  ew32(hw, reg.E1000_RADV, reg.BURST_RADV);
  ew32(hw, reg.E1000_IAM, 0xffff_ffff);
  ew32(hw, reg.E1000_CTRL_EXT, er32(hw, reg.E1000_CTRL_EXT) | reg.E1000_CTRL_EXT_IAME);
  e1e_flush(hw);
  ew32(hw, reg.E1000_RDBAL, low(rx_ring.dma));
  ew32(hw, reg.E1000_RDBAH, high(rx_ring.dma));
  ew32(hw, reg.E1000_RDLEN, rx_ring.count * reg.E1000_RX_DESC_SIZE);
  ew32(hw, reg.E1000_RDH, 0);
  ew32(hw, reg.E1000_RDT, 0);
  ew32(hw, reg.E1000_RCTL, rctl);
}

function* e1000_configure(adapter: E1000Adapter): Coroutine<void> {
  e1000_configure_tx(adapter);
  e1000_setup_rctl(adapter);
  yield* e1000_configure_rx(adapter);
  e1000_alloc_rx_buffers(adapter, e1000_desc_unused(adapter.rx_ring));
}

/** Brings the hardware into a known state. */
export function* e1000e_reset(adapter: E1000Adapter): Coroutine<void> {
  const { hw } = adapter;
  ew32(hw, reg.E1000_PBA, PBA_82574);
  yield* e1000_reset_hw_82571(hw);
  e1000e_get_hw_control(hw);
  ew32(hw, reg.E1000_WUC, 0);
  e1000_init_hw_82571(hw);
}

/** `e1000e_poll`. @returns how much of the budget was used */
export function* e1000e_poll(adapter: E1000Adapter, budget: number): Coroutine<number> {
  const work_done = yield* e1000_clean_rx_irq(adapter, budget);
  if (work_done === budget) return budget;
  adapter.napi.complete();
  if (!adapter.down) ew32(adapter.hw, reg.E1000_IMS, adapter.rx_ring.ims_val);
  return work_done;
}

/** Has the device write back the descriptors that it has done with; twice, as one write may be missed. */
function e1000e_flush_descriptors({ hw }: E1000Adapter): void {
  for (let time = 0; time < 2; time++) {
    ew32(hw, reg.E1000_TIDV, reg.E1000_TIDV_FPD);
    ew32(hw, reg.E1000_RDTR, reg.BURST_RDTR | reg.E1000_RDTR_FPD);
    e1e_flush(hw);
  }
}

/** The timer's function: the work is done where MMIO may wait. */
export function e1000_watchdog(adapter: E1000Adapter): void {
  schedule_work(adapter.watchdog_task);
}

function e1000e_has_link({ hw }: E1000Adapter): boolean {
  if (!hw.mac.get_link_status) return true;
  if ((er32(hw, reg.E1000_STATUS) & reg.E1000_STATUS_LU) === 0) return false;
  hw.mac.get_link_status = false;
  return true;
}

export function* e1000_watchdog_task(adapter: E1000Adapter): Coroutine<void> {
  const { hw, netdev, kernel } = adapter;
  if (adapter.down) return;
  const link = e1000e_has_link(adapter);
  if (link && !netdev.carrier_ok) {
    kernel.printk.dev_info(adapter.pdev, `${netdev.name}: NIC Link is Up 1000 Mbps Full Duplex`);
    ew32(hw, reg.E1000_TCTL, er32(hw, reg.E1000_TCTL) | reg.E1000_TCTL_EN);
    netdev.carrier_ok = true;
    netdev.queue_stopped = false;
  } else if (!link && netdev.carrier_ok) {
    kernel.printk.dev_info(adapter.pdev, `${netdev.name}: NIC Link is Down`);
    netdev.carrier_ok = false;
    netdev.queue_stopped = true;
  }
  ew32(hw, reg.E1000_ICS, adapter.rx_ring.ims_val);
  e1000e_flush_descriptors(adapter);
  if (!adapter.down) mod_timer(adapter.watchdog_timer, WATCHDOG_MS);
}

/**
 * Stops the interface's traffic. Nothing here waits for the device beyond 10 ms, and on boards with noDisableRx reception
 * is not even switched off: the buffers are unmapped and freed all the same.
 * @param reset reset the hardware before the rings are cleaned
 */
export function* e1000e_down(adapter: E1000Adapter, reset: boolean): Coroutine<void> {
  const { hw, netdev } = adapter;
  adapter.down = true;
  netdev.carrier_ok = false;
  const rctl = er32(hw, reg.E1000_RCTL);
  if (!noDisableRx(adapter)) ew32(hw, reg.E1000_RCTL, rctl & ~reg.E1000_RCTL_EN);
  netdev.queue_stopped = true;
  ew32(hw, reg.E1000_TCTL, er32(hw, reg.E1000_TCTL) & ~reg.E1000_TCTL_EN);
  e1e_flush(hw);
  yield* usleep_range(10_000, 11_000);
  yield* e1000_irq_disable(adapter);
  yield* adapter.napi.synchronize();
  timer_delete_sync(adapter.watchdog_timer);
  e1000e_flush_descriptors(adapter);
  if (reset) yield* e1000e_reset(adapter);
  yield* e1000_clean_tx_ring(adapter);
  yield* e1000_clean_rx_ring(adapter);
}

/** The interface is brought up: rings, hardware, interrupts. @returns 0 or -errno */
export function* e1000e_open(adapter: E1000Adapter): Coroutine<number> {
  const { hw, netdev, tx_ring, rx_ring } = adapter;
  netdev.carrier_ok = false;
  netdev.queue_stopped = true;
  let err = e1000e_setup_ring(adapter, tx_ring);
  if (err === 0) err = e1000e_setup_ring(adapter, rx_ring);
  if (err === 0) {
    e1000e_get_hw_control(hw);
    yield* e1000e_reset(adapter);
    yield* e1000_configure(adapter);
    err = yield* e1000_request_irq(adapter);
  }
  if (err !== 0) {
    // Linux resets the device only after its rings are gone.
    e1000e_release_hw_control(hw);
    yield* e1000_clean_rx_ring(adapter);
    yield* e1000e_free_ring(adapter, rx_ring);
    yield* e1000e_free_ring(adapter, tx_ring);
    yield* e1000e_reset(adapter);
    return err;
  }
  adapter.down = false;
  adapter.napi.enable();
  e1000_irq_enable(adapter);
  hw.mac.get_link_status = true;
  netdev.running = true;
  e1000e_trigger_lsc(adapter);
  return 0;
}

/** The hardware after a {@link e1000e_down}, with the rings that it had. */
export function* e1000e_up(adapter: E1000Adapter): Coroutine<void> {
  yield* e1000_configure(adapter);
  adapter.down = false;
  e1000_configure_msix(adapter);
  e1000_irq_enable(adapter);
  e1000e_trigger_lsc(adapter);
}

/** The interface is brought down: the hardware is reset before the rings are cleaned and freed. */
export function* e1000e_close(adapter: E1000Adapter): Coroutine<void> {
  const { netdev } = adapter;
  netdev.running = false;
  if (netdev.present) {
    yield* e1000e_down(adapter, true);
    yield* e1000_free_irq(adapter);
  }
  yield* adapter.napi.disable();
  yield* e1000e_free_ring(adapter, adapter.tx_ring);
  yield* e1000e_free_ring(adapter, adapter.rx_ring);
  e1000e_release_hw_control(adapter.hw);
}
