// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the parts of the driver share: the adapter, its rings, the network device. After Linux 7.1
 * drivers/net/ethernet/intel/e1000e/e1000.h. Left out: other chips, statistics, PTP.
 */
import type { DriverModule, IoMem, Kernel, KernelBuffer, PciDev, Timer, Work } from "../../../kernel/index.ts";
import { Mutex } from "../../../sim/index.ts";
import type { E1000Hw } from "./hw.ts";
import type { Napi } from "./napi.ts";

/** How the driver is built and what its shutdown hook does. */
export interface E1000eDriverOptions {
  /**
   * no-hook: the driver has none. mainline: `e1000_shutdown`. quiescing: stops reception and transmission, waits for the
   * device, resets it, and frees only what it is proved to use no longer.
   */
  readonly shutdown: "no-hook" | "mainline" | "quiescing";
  /** FLAG2_NO_DISABLE_RX: RCTL.EN is left set when the interface goes down, as Linux does on the 82574. Default: true. */
  readonly noDisableRx?: boolean;
  /** Wake-on-LAN filters armed at shutdown, bits of WUFC. Default: 0, nothing wakes the machine. */
  readonly wol?: number;
  /** Descriptors in each ring, 64 … 4096, rounded up to a multiple of 8; other values are clamped. Default: 256. */
  readonly ringSize?: number;
  /** The interface is brought up after the probe. Default: true. */
  readonly up?: boolean;
  /** Default: "device". */
  readonly initcall?: DriverModule["initcall"];
}

/** A buffer of the ring: what it holds and where the device finds it. */
export interface E1000Buffer {
  /** The packet's memory; null: none. */
  skb: KernelBuffer | null;
  /** DMA address; null: not mapped. */
  dma: number | null;
  /** Bytes mapped. */
  length: number;
  /** Transmit: last descriptor of the packet that starts here; -1: none. */
  next_to_watch: number;
}

export interface E1000Ring {
  readonly count: number;
  /** Bytes of the descriptor ring. */
  readonly size: number;
  desc: KernelBuffer | null;
  dma: number;
  readonly buffer_info: E1000Buffer[];
  next_to_use: number;
  next_to_clean: number;
  /** The ring's interrupt cause. */
  readonly ims_val: number;
}

/** What Linux's `struct net_device` is, as far as this driver needs it. */
export interface NetDevice {
  readonly name: string;
  /** Up. */
  running: boolean;
  /** Not detached by suspend or shutdown. */
  present: boolean;
  carrier_ok: boolean;
  queue_stopped: boolean;
  readonly stats: { rx_packets: number; rx_bytes: number; rx_errors: number; tx_packets: number; tx_bytes: number; tx_dropped: number };
}

/** What an adapter is built from. */
export interface E1000AdapterParts {
  readonly pdev: PciDev;
  readonly hw: E1000Hw;
  readonly options: E1000eDriverOptions;
  readonly name: string;
  readonly tx_ring: E1000Ring;
  readonly rx_ring: E1000Ring;
  readonly rx_buffer_len: number;
  readonly napi: Napi;
  readonly watchdog_timer: Timer;
  readonly watchdog_task: Work;
}

/** Linux's `struct e1000_adapter`. */
export class E1000Adapter {
  readonly kernel: Kernel;
  readonly pdev: PciDev;
  readonly hw: E1000Hw;
  readonly options: E1000eDriverOptions;
  readonly netdev: NetDevice;
  readonly tx_ring: E1000Ring;
  readonly rx_ring: E1000Ring;
  /** Bytes mapped for each receive buffer. */
  readonly rx_buffer_len: number;
  readonly napi: Napi;
  readonly watchdog_timer: Timer;
  readonly watchdog_task: Work;
  readonly rtnl: Mutex = new Mutex("rtnl_mutex");
  /** Interrupts of the three vectors: receive, transmit, other; empty without MSI-X. */
  msix_entries: readonly number[] = [];
  irqs_requested: boolean = false;
  /** `__E1000_DOWN`. */
  down: boolean = true;
  /** `FLAG2_IS_DISCARDING`. */
  discarding: boolean = false;
  alloc_rx_buff_failed: number = 0;
  rx_dma_failed: number = 0;

  constructor(parts: E1000AdapterParts) {
    this.kernel = parts.pdev.kernel;
    this.pdev = parts.pdev;
    this.hw = parts.hw;
    this.options = parts.options;
    this.tx_ring = parts.tx_ring;
    this.rx_ring = parts.rx_ring;
    this.rx_buffer_len = parts.rx_buffer_len;
    this.napi = parts.napi;
    this.watchdog_timer = parts.watchdog_timer;
    this.watchdog_task = parts.watchdog_task;
    const stats = { rx_packets: 0, rx_bytes: 0, rx_errors: 0, tx_packets: 0, tx_bytes: 0, tx_dropped: 0 };
    this.netdev = { name: parts.name, running: false, present: true, carrier_ok: false, queue_stopped: true, stats };
  }

  /** BAR 0. */
  get hw_addr(): IoMem {
    return this.hw.hw_addr;
  }
}

/** The adapter of a bound device, or null. */
export function e1000_adapter(pdev: PciDev): E1000Adapter | null {
  return pdev.drvdata instanceof E1000Adapter ? pdev.drvdata : null;
}

/** Linux's `e1000_desc_unused`: free descriptors; one always stays free. */
export function e1000_desc_unused(ring: E1000Ring): number {
  if (ring.next_to_clean > ring.next_to_use) return ring.next_to_clean - ring.next_to_use - 1;
  return ring.count + ring.next_to_clean - ring.next_to_use - 1;
}

/** FLAG2_NO_DISABLE_RX. */
export function noDisableRx(adapter: E1000Adapter): boolean {
  return adapter.options.noDisableRx ?? true;
}
