// SPDX-License-Identifier: GPL-2.0-only
/**
 * The driver of Intel's 82574 network controller: probe, remove, module. After Linux 7.1
 * `drivers/net/ethernet/intel/e1000e/netdev.c`, with its order of events in e1000_probe.
 *
 * Left out: all other chips, NVM checks, ethtool, PTP, flash, ASPM, suspend. The network stack is a
 * counter: see `rx.ts`. The interface comes up by itself after the probe, as if a user had asked for it.
 */
import {
  cancel_work_sync,
  dev_err,
  dev_info,
  dma_set_mask_and_coherent,
  type DriverModule,
  EIO,
  errname,
  INIT_WORK,
  type Kernel,
  pci_disable_device,
  pci_enable_device_mem,
  pci_ioremap_bar,
  pci_register_driver,
  pci_save_state,
  pci_set_master,
  type PciDev,
  type PciDriver,
  register_netdev,
  timer_delete_sync,
  timer_setup,
  unregister_netdev,
} from "../../../kernel/index.ts";
import type { Coroutine } from "../../../sim/index.ts";
import { E1000Adapter, e1000_adapter, type E1000eDriverOptions } from "./adapter.ts";
import { type E1000Hw, e1000_read_mac_addr_generic, e1000_reset_hw_82571, e1000e_release_hw_control } from "./hw.ts";
import { e1000_irq_disable, e1000e_reset_interrupt_capability, e1000e_set_interrupt_capability } from "./interrupts.ts";
import { Napi } from "./napi.ts";
import { e1000_watchdog, e1000_watchdog_task, e1000e_close, e1000e_open, e1000e_poll, e1000e_reset } from "./netdev.ts";
import * as reg from "./regs.ts";
import { e1000_err_handler } from "./recovery.ts";
import { newRing } from "./ring.ts";
import { e1000_shutdown, e1000_shutdown_quiescing } from "./shutdown.ts";

/** Line of `net/` in Linux's drivers/Makefile. */
const NET_LINK_ORDER = 92;
/** An Ethernet frame with VLAN tag and check sequence. */
const RX_BUFFER_LEN = 1522;
/** Sizes of a ring: E1000_DEFAULT_RXD and _TXD, E1000_MIN_RXD, E1000_MAX_RXD, REQ_RX_DESCRIPTOR_MULTIPLE. */
const DEFAULT_RING = 256;
const MIN_RING = 64;
const MAX_RING = 4096;
const RING_MULTIPLE = 8;

function ringSize(wanted: number): number {
  return Math.ceil(Math.min(MAX_RING, Math.max(MIN_RING, wanted)) / RING_MULTIPLE) * RING_MULTIPLE;
}

function newAdapter(pdev: PciDev, hw: E1000Hw, options: E1000eDriverOptions): E1000Adapter {
  const { kernel } = pdev;
  const name = `eth${kernel.pci.devices.filter((other) => e1000_adapter(other) !== null).length}`;
  const count = ringSize(options.ringSize ?? DEFAULT_RING);
  const adapter: E1000Adapter = new E1000Adapter({
    pdev,
    hw,
    options,
    name,
    tx_ring: newRing(count, reg.E1000_ICR_TXQ0),
    rx_ring: newRing(count, reg.E1000_ICR_RXQ0),
    rx_buffer_len: RX_BUFFER_LEN,
    napi: new Napi(kernel, name, (budget) => e1000e_poll(adapter, budget)),
    watchdog_timer: timer_setup(kernel, `${name} watchdog`, () => e1000_watchdog(adapter)),
    watchdog_task: INIT_WORK(kernel, `${name} watchdog_task`, () => e1000_watchdog_task(adapter)),
  });
  return adapter;
}

/** `e1000_sw_init`: interrupts allocated, the device's masked: it may be in any state. @returns 0 or -errno */
function* e1000_sw_init(adapter: E1000Adapter): Coroutine<number> {
  const err = e1000e_set_interrupt_capability(adapter);
  if (err === 0) yield* e1000_irq_disable(adapter);
  return err;
}

/** From enabled device to registered interface. @returns 0 or -errno */
function* setUp(pdev: PciDev, options: E1000eDriverOptions): Coroutine<number> {
  const err = dma_set_mask_and_coherent(pdev, 64);
  if (err !== 0) {
    dev_err(pdev, "No usable DMA configuration, aborting");
    return err;
  }
  pci_set_master(pdev);
  pci_save_state(pdev);
  const hw_addr = pci_ioremap_bar(pdev, 0);
  if (hw_addr === null) return -EIO;
  const hw: E1000Hw = {
    hw_addr,
    mac: { addr: new Uint8Array(6), get_link_status: true },
    dbg: (text) => pdev.kernel.printk.dev_dbg(pdev, text),
  };
  const adapter = newAdapter(pdev, hw, options);
  const ret = yield* e1000_sw_init(adapter);
  if (ret !== 0) return ret;
  // Whatever the device was doing before ends here.
  yield* e1000_reset_hw_82571(hw);
  e1000_read_mac_addr_generic(hw);
  if (hw.mac.addr.every((byte) => byte === 0) || (hw.mac.addr[0]! & 1) !== 0) {
    dev_err(pdev, "Invalid MAC Address");
    e1000e_reset_interrupt_capability(adapter);
    return -EIO;
  }
  yield* e1000e_reset(adapter);
  pdev.drvdata = adapter;
  yield* register_netdev(pdev, adapter.netdev.name);
  const address = [...hw.mac.addr].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  dev_info(pdev, `${adapter.netdev.name}: (PCI Express:2.5GT/s:Width x1) ${address}`);
  return 0;
}

function* e1000_probe(pdev: PciDev, options: E1000eDriverOptions): Coroutine<number> {
  let err = yield* pci_enable_device_mem(pdev);
  if (err !== 0) return err;
  err = yield* setUp(pdev, options);
  if (err !== 0) {
    pci_disable_device(pdev);
    return err;
  }
  if (options.up ?? true) {
    const adapter = e1000_adapter(pdev);
    if (adapter) pdev.kernel.spawn(`ifup/${adapter.netdev.name}`, ifup(adapter));
  }
  return 0;
}

/** What `ip link set up` leads to. @returns 0 or -errno */
export function* ifup(adapter: E1000Adapter): Coroutine<number> {
  return yield* adapter.rtnl.with("ifup", function* () {
    if (adapter.netdev.running || !adapter.netdev.present) return 0;
    const err = yield* e1000e_open(adapter);
    if (err !== 0) dev_err(adapter.pdev, `${adapter.netdev.name}: cannot be brought up: ${errname(err)}`);
    return err;
  });
}

/** What `ip link set down` leads to. */
export function* ifdown(adapter: E1000Adapter): Coroutine<void> {
  yield* adapter.rtnl.with("ifdown", function* () {
    if (adapter.netdev.running) yield* e1000e_close(adapter);
  });
}

function* e1000_remove(pdev: PciDev): Coroutine<void> {
  const adapter = e1000_adapter(pdev);
  if (!adapter) return;
  timer_delete_sync(adapter.watchdog_timer);
  yield* cancel_work_sync(adapter.watchdog_task);
  yield* ifdown(adapter);
  timer_delete_sync(adapter.watchdog_timer);
  yield* unregister_netdev(pdev);
  yield* adapter.napi.remove();
  e1000e_release_hw_control(adapter.hw);
  e1000e_reset_interrupt_capability(adapter);
  pci_disable_device(pdev);
}

/** The driver as one of its variants. */
export function e1000eModule(options: E1000eDriverOptions): DriverModule {
  const driver: PciDriver = {
    name: "e1000e",
    id_table: [{ vendor: reg.PCI_VENDOR_ID_INTEL, device: reg.E1000_DEV_ID_82574L }],
    probe: (pdev) => e1000_probe(pdev, options),
    remove: e1000_remove,
    err_handler: e1000_err_handler,
    ...(options.shutdown === "mainline" && { shutdown: e1000_shutdown }),
    ...(options.shutdown === "quiescing" && { shutdown: e1000_shutdown_quiescing }),
  };
  return {
    name: "e1000e",
    initcall: options.initcall ?? "device",
    linkOrder: NET_LINK_ORDER,
    *init(kernel: Kernel) {
      yield* pci_register_driver(kernel, driver);
    },
  };
}
