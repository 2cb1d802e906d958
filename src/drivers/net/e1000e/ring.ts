// SPDX-License-Identifier: GPL-2.0-only
/**
 * Descriptor rings in coherent memory: allocation and release. After Linux 7.1 drivers/net/ethernet/intel/e1000e/netdev.c:
 * e1000e_setup_rx_resources … e1000e_free_tx_resources. Left out: packet split buffers.
 */
import { dma_alloc_coherent, dma_free_coherent, ENOMEM } from "../../../kernel/index.ts";
import type { Coroutine } from "../../../sim/index.ts";
import type { E1000Adapter, E1000Buffer, E1000Ring } from "./adapter.ts";

/** Bytes of a descriptor of either kind. */
const DESC_SIZE = 16;

/** An empty ring without memory. @param count descriptors */
export function newRing(count: number, ims_val: number): E1000Ring {
  const buffer_info: E1000Buffer[] = [];
  for (let i = 0; i < count; i++) buffer_info.push({ skb: null, dma: null, length: 0, next_to_watch: -1 });
  const size = Math.ceil((count * DESC_SIZE) / 4096) * 4096;
  return { count, size, desc: null, dma: 0, buffer_info, next_to_use: 0, next_to_clean: 0, ims_val };
}

/** `e1000e_setup_{tx,rx}_resources`. @returns 0 or -ENOMEM */
export function e1000e_setup_ring(adapter: E1000Adapter, ring: E1000Ring): number {
  const memory = dma_alloc_coherent(adapter.pdev, ring.size);
  if (memory === null) return -ENOMEM;
  ring.desc = memory.cpu;
  ring.dma = memory.dma;
  ring.next_to_use = 0;
  ring.next_to_clean = 0;
  return 0;
}

/** Gives the ring's memory back; its buffers must have been cleaned. */
export function* e1000e_free_ring(adapter: E1000Adapter, ring: E1000Ring): Coroutine<void> {
  const { desc } = ring;
  ring.desc = null;
  if (desc) yield* dma_free_coherent(adapter.pdev, ring.size, desc, ring.dma);
}

/** The index after `i`. */
export function nextIndex(ring: E1000Ring, i: number): number {
  return i + 1 === ring.count ? 0 : i + 1;
}
