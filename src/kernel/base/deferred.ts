// SPDX-License-Identifier: GPL-2.0-only
/**
 * Deferred probing: a device whose probe said -EPROBE_DEFER waits in the pending list. Each successful bind puts the
 * pending ones up for another try; the worker moves each to the tail of the device list before it tries, so a device that
 * was deferred stands behind what it waited for.
 */
import { type Coroutine, WaitQueue, waitEvent } from "../../sim/index.ts";
import type { Kernel } from "../kernel.ts";
import { type Work, flush_work, INIT_WORK, queue_work } from "../time/workqueue.ts";
import type { Device } from "./device.ts";
import { LinkedList } from "./list.ts";
import { device_pm_move_to_tail } from "./order.ts";

/** A kernel's deferred probes. */
export class DeferredProbes {
  readonly pending: LinkedList<Device> = new LinkedList<Device>();
  readonly active: LinkedList<Device> = new LinkedList<Device>();
  /** Retries start at late_initcall. */
  enabled: boolean = false;
  /** `defer_all_probes`, set by device_block_probing. */
  defer_all: boolean = false;
  /** `deferred_probe_timeout` is over: nobody waits for drivers that are not there. */
  timed_out: boolean = false;
  trigger_count: number = 0;
  /** Probes in progress. */
  probe_count: number = 0;
  readonly probe_waitqueue: WaitQueue = new WaitQueue("probe_waitqueue");
  readonly work: Work;

  /** @param retry `bus_probe_device` */
  constructor(kernel: Kernel, retry: (dev: Device) => Coroutine<void>) {
    this.work = INIT_WORK(kernel, "deferred_probe_work", () => deferred_probe_work_func(kernel.base.deferred, retry));
  }
}

function* deferred_probe_work_func(deferred: DeferredProbes, retry: (dev: Device) => Coroutine<void>): Coroutine<void> {
  for (let dev = deferred.active.first; dev; dev = deferred.active.first) {
    deferred.active.remove(dev.deferred_node);
    device_pm_move_to_tail(dev);
    dev.kernel.printk.dev_dbg(dev, "Retrying from deferred list");
    yield* retry(dev);
  }
}

/** Linux's `driver_deferred_probe_add`. */
export function driver_deferred_probe_add(dev: Device): void {
  if (dev.can_match && !dev.deferred_node.linked) dev.kernel.base.deferred.pending.addTail(dev.deferred_node);
}

/** Linux's `driver_deferred_probe_del`. */
export function driver_deferred_probe_del(dev: Device): void {
  dev.deferred_node.list?.remove(dev.deferred_node);
}

/** Linux's `driver_deferred_probe_trigger`: all pending devices are tried again, by the worker. */
export function driver_deferred_probe_trigger(kernel: Kernel): void {
  const { deferred } = kernel.base;
  if (!deferred.enabled) return;
  deferred.trigger_count++;
  deferred.active.spliceTail(deferred.pending);
  queue_work(kernel.workqueues.system_unbound_wq, deferred.work);
}

/** Linux's `wait_for_device_probe`: no retry is under way and no probe runs. */
export function* wait_for_device_probe(kernel: Kernel): Coroutine<void> {
  const { deferred } = kernel.base;
  yield* flush_work(deferred.work);
  yield* waitEvent(deferred.probe_waitqueue, () => deferred.probe_count === 0);
}

/** Linux's `device_block_probing`: every probe from now on is deferred. */
export function* device_block_probing(kernel: Kernel): Coroutine<void> {
  kernel.base.deferred.defer_all = true;
  yield* wait_for_device_probe(kernel);
}

/** Linux's `device_unblock_probing`. */
export function device_unblock_probing(kernel: Kernel): void {
  kernel.base.deferred.defer_all = false;
  driver_deferred_probe_trigger(kernel);
}

/** Linux's `deferred_probe_initcall`, a late initcall: retries are allowed from now on, and all are made once. */
export function* deferred_probe_initcall(kernel: Kernel): Coroutine<void> {
  const { deferred } = kernel.base;
  deferred.enabled = true;
  driver_deferred_probe_trigger(kernel);
  yield* flush_work(deferred.work);
}
