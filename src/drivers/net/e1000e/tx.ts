// SPDX-License-Identifier: GPL-2.0-only
/**
 * Transmit: packets into the ring and out of it. After Linux 7.1
 * drivers/net/ethernet/intel/e1000e/netdev.c.
 *
 * A packet is one piece of memory and takes one descriptor. Left out: fragments, segmentation, checksum offload, VLANs,
 * the hang detector.
 */
import {
  dev_err,
  dma_map_single,
  dma_mapping_error,
  DMA_TO_DEVICE,
  dma_unmap_single,
  KernelBuffer,
  writel,
} from "../../../kernel/index.ts";
import type { Coroutine } from "../../../sim/index.ts";
import { type E1000Adapter, type E1000Buffer, e1000_desc_unused } from "./adapter.ts";
import * as reg from "./regs.ts";
import { nextIndex } from "./ring.ts";

/** Room that must be left in the ring after a packet. */
const TX_GAP = 2;
/** The queue is woken when so many descriptors are free, or half the ring if that is smaller. */
const TX_WAKE_THRESHOLD = 32;

/** What the stack hears: the packet was taken (sent or dropped), or must be offered again. */
export type NetdevTx = "ok" | "busy";

/**
 * Sends a frame.
 * @param frame without check sequence, at most a page
 */
export function e1000_xmit_frame(adapter: E1000Adapter, frame: Uint8Array): NetdevTx {
  const { tx_ring, kernel, pdev, netdev } = adapter;
  if (adapter.down || frame.length === 0 || tx_ring.desc === null) {
    netdev.stats.tx_dropped++;
    return "ok";
  }
  if (e1000_desc_unused(tx_ring) < 1 + TX_GAP) {
    netdev.queue_stopped = true;
    return "busy";
  }
  const skb = KernelBuffer.alloc(kernel, frame.length, `${netdev.name} tx skb`);
  if (skb === null) {
    netdev.stats.tx_dropped++;
    return "ok";
  }
  skb.write(0, frame);
  const dma = dma_map_single(pdev, skb.pa, frame.length, DMA_TO_DEVICE);
  if (dma_mapping_error(pdev, dma)) {
    dev_err(pdev, "Tx DMA map failed");
    skb.free();
    netdev.stats.tx_dropped++;
    return "ok";
  }
  const i = tx_ring.next_to_use;
  Object.assign(tx_ring.buffer_info[i]!, { skb, dma, length: frame.length, next_to_watch: i });
  const at = i * reg.E1000_TX_DESC_SIZE;
  tx_ring.desc.set64(at, BigInt(dma));
  const command = reg.E1000_TXD_CMD_EOP | reg.E1000_TXD_CMD_IFCS | reg.E1000_TXD_CMD_RS;
  tx_ring.desc.set32(at + reg.E1000_TX_DESC_LOWER, (command | frame.length) >>> 0);
  tx_ring.desc.set32(at + reg.E1000_TX_DESC_UPPER, 0);
  tx_ring.next_to_use = nextIndex(tx_ring, i);
  writel(adapter.hw_addr, reg.E1000_TDT, tx_ring.next_to_use);
  return "ok";
}

function* e1000_put_txbuf(adapter: E1000Adapter, buffer_info: E1000Buffer): Coroutine<void> {
  if (buffer_info.dma !== null) yield* dma_unmap_single(adapter.pdev, buffer_info.dma, buffer_info.length, DMA_TO_DEVICE);
  buffer_info.dma = null;
  buffer_info.skb?.free();
  buffer_info.skb = null;
  buffer_info.next_to_watch = -1;
}

/** Takes sent packets out of the ring. @returns packets taken */
export function* e1000_clean_tx_irq(adapter: E1000Adapter): Coroutine<number> {
  const { tx_ring, netdev } = adapter;
  const desc = tx_ring.desc!;
  let count = 0;
  for (let i = tx_ring.next_to_clean; i !== tx_ring.next_to_use; i = nextIndex(tx_ring, i)) {
    const at = i * reg.E1000_TX_DESC_SIZE + reg.E1000_TX_DESC_UPPER;
    if ((desc.get32(at) & reg.E1000_TXD_STAT_DD) === 0) break;
    const buffer_info = tx_ring.buffer_info[i]!;
    netdev.stats.tx_packets++;
    netdev.stats.tx_bytes += buffer_info.length;
    yield* e1000_put_txbuf(adapter, buffer_info);
    desc.set32(at, 0);
    tx_ring.next_to_clean = nextIndex(tx_ring, i);
    count++;
  }
  const enough = Math.min(TX_WAKE_THRESHOLD, tx_ring.count / 2);
  if (netdev.queue_stopped && !adapter.down && netdev.carrier_ok && e1000_desc_unused(tx_ring) >= enough) netdev.queue_stopped = false;
  return count;
}

/** Unmaps and frees whatever is in the ring, sent or not. */
export function* e1000_clean_tx_ring(adapter: E1000Adapter): Coroutine<void> {
  const { tx_ring } = adapter;
  for (const buffer_info of tx_ring.buffer_info) yield* e1000_put_txbuf(adapter, buffer_info);
  tx_ring.desc?.fill(0);
  tx_ring.next_to_use = 0;
  tx_ring.next_to_clean = 0;
}
