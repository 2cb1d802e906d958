// SPDX-License-Identifier: GPL-2.0-only
/**
 * Receive: buffers for the device, packets out of the ring, the ring's end. After Linux 7.1
 * drivers/net/ethernet/intel/e1000e/netdev.c.
 *
 * A packet's buffer is a page of its own; it is unmapped before the packet goes up, and a new one takes its place. The
 * stack counts the packet and frees it. Left out: packet split, jumbo frames, copybreak, checksum and hash offload.
 */
import {
  dev_err,
  dma_map_single,
  dma_mapping_error,
  DMA_FROM_DEVICE,
  dma_unmap_single,
  KernelBuffer,
  writel,
} from "../../../kernel/index.ts";
import type { Coroutine } from "../../../sim/index.ts";
import { type E1000Adapter, e1000_desc_unused } from "./adapter.ts";
import * as reg from "./regs.ts";
import { nextIndex } from "./ring.ts";

/** Buffers are given to the device so many at a time; a power of two. */
const E1000_RX_BUFFER_WRITE = 16;

/** Maps buffers and hands them to the device, `cleaned_count` at most. */
export function e1000_alloc_rx_buffers(adapter: E1000Adapter, cleaned_count: number): void {
  const { rx_ring, kernel, pdev } = adapter;
  let i = rx_ring.next_to_use;
  for (let left = cleaned_count; left > 0; left--) {
    const buffer_info = rx_ring.buffer_info[i]!;
    buffer_info.skb ??= KernelBuffer.alloc(kernel, adapter.rx_buffer_len, `${adapter.netdev.name} rx skb`);
    if (buffer_info.skb === null) {
      adapter.alloc_rx_buff_failed++;
      break;
    }
    const dma = dma_map_single(pdev, buffer_info.skb.pa, adapter.rx_buffer_len, DMA_FROM_DEVICE);
    if (dma_mapping_error(pdev, dma)) {
      dev_err(pdev, "Rx DMA map failed");
      adapter.rx_dma_failed++;
      break;
    }
    buffer_info.dma = dma;
    buffer_info.length = adapter.rx_buffer_len;
    rx_ring.desc!.set64(i * reg.E1000_RX_DESC_SIZE, BigInt(dma));
    if (i % E1000_RX_BUFFER_WRITE === 0) writel(adapter.hw_addr, reg.E1000_RDT, i);
    i = nextIndex(rx_ring, i);
  }
  rx_ring.next_to_use = i;
}

/** The stack takes a packet: it is counted, looked at by nobody, and freed. */
function e1000_receive_skb(adapter: E1000Adapter, skb: KernelBuffer, length: number): void {
  adapter.netdev.stats.rx_packets++;
  adapter.netdev.stats.rx_bytes += length;
  skb.free();
}

/** True if the buffer is to be used again: part of a frame that spans buffers, or a frame with an error. */
function recycles(adapter: E1000Adapter, staterr: number): boolean {
  const end = (staterr & reg.E1000_RXD_STAT_EOP) !== 0;
  if (!end) adapter.discarding = true;
  if (adapter.discarding) {
    if (end) adapter.discarding = false;
    return true;
  }
  if ((staterr & reg.E1000_RXDEXT_ERR_FRAME_ERR_MASK) === 0) return false;
  adapter.netdev.stats.rx_errors++;
  return true;
}

/**
 * Takes finished descriptors out of the ring, unmapping each before its packet goes up, and refills.
 * @param work_to_do packets at most
 * @returns packets taken
 */
export function* e1000_clean_rx_irq(adapter: E1000Adapter, work_to_do: number): Coroutine<number> {
  const { rx_ring, pdev } = adapter;
  let work_done = 0;
  let cleaned_count = 0;
  let i = rx_ring.next_to_clean;
  const desc = rx_ring.desc!;
  const status = (index: number): number => desc.get32(index * reg.E1000_RX_DESC_SIZE + reg.E1000_RX_DESC_WB_STATUS_ERROR);
  for (let staterr = status(i); (staterr & reg.E1000_RXD_STAT_DD) !== 0 && work_done < work_to_do; staterr = status(i)) {
    work_done++;
    const at = i * reg.E1000_RX_DESC_SIZE;
    const buffer_info = rx_ring.buffer_info[i]!;
    const { skb } = buffer_info;
    buffer_info.skb = null;
    cleaned_count++;
    if (buffer_info.dma !== null) yield* dma_unmap_single(pdev, buffer_info.dma, adapter.rx_buffer_len, DMA_FROM_DEVICE);
    buffer_info.dma = null;
    const length = desc.get16(at + reg.E1000_RX_DESC_WB_LENGTH);
    if (recycles(adapter, staterr)) buffer_info.skb = skb;
    else if (skb) e1000_receive_skb(adapter, skb, length);
    desc.set32(at + reg.E1000_RX_DESC_WB_STATUS_ERROR, staterr & ~0xff);
    i = nextIndex(rx_ring, i);
    rx_ring.next_to_clean = i;
    if (cleaned_count >= E1000_RX_BUFFER_WRITE) {
      e1000_alloc_rx_buffers(adapter, cleaned_count);
      cleaned_count = 0;
    }
  }
  const unused = e1000_desc_unused(rx_ring);
  if (unused > 0) e1000_alloc_rx_buffers(adapter, unused);
  return work_done;
}

/** Unmaps and frees every buffer of the ring and zeroes the ring: whether the device still uses it is not asked here. */
export function* e1000_clean_rx_ring(adapter: E1000Adapter): Coroutine<void> {
  const { rx_ring, pdev } = adapter;
  for (const buffer_info of rx_ring.buffer_info) {
    if (buffer_info.dma !== null) yield* dma_unmap_single(pdev, buffer_info.dma, adapter.rx_buffer_len, DMA_FROM_DEVICE);
    buffer_info.dma = null;
    buffer_info.skb?.free();
    buffer_info.skb = null;
  }
  rx_ring.desc?.fill(0);
  rx_ring.next_to_clean = 0;
  rx_ring.next_to_use = 0;
  adapter.discarding = false;
}
