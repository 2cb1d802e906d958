// SPDX-License-Identifier: GPL-2.0-only
/**
 * Deferred probing: a device whose probe said -EPROBE_DEFER waits in the pending list. Each successful bind puts the
 * pending ones up for another try; the worker moves each to the tail of the device list before it tries, so a device that
 * was deferred stands behind what it waited for.
 *
 * After Linux 7.1 drivers/base/dd.c: driver_deferred_probe_*, deferred_probe_{work_func,timeout_work_func,extend_timeout,
 * initcall}, device_block_probing, wait_for_device_probe. Left out: kernels without modules, /sys/kernel/debug/devices_deferred.
 */
import { type Coroutine, WaitQueue, waitEvent } from "../../sim/index.ts";
import { EPROBE_DEFER, ETIMEDOUT } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import {
  type DelayedWork,
  type Work,
  cancel_delayed_work_sync,
  flush_work,
  INIT_DELAYED_WORK,
  INIT_WORK,
  queue_work,
  schedule_delayed_work,
} from "../time/workqueue.ts";
import { async_synchronize_full } from "./async.ts";
import type { Device } from "./device.ts";
import { LinkedList } from "./list.ts";
import { device_pm_move_to_tail } from "./order.ts";
import { fw_devlink_probing_done } from "./sync-state.ts";

const MSEC_PER_SEC = 1000;

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
  /** `deferred_probe_timeout_work`. */
  readonly timeout_work: DelayedWork;

  /** @param retry `bus_probe_device` */
  constructor(kernel: Kernel, retry: (dev: Device) => Coroutine<void>) {
    this.work = INIT_WORK(kernel, "deferred_probe_work", () => deferred_probe_work_func(kernel.base.deferred, retry));
    this.timeout_work = INIT_DELAYED_WORK(kernel, "deferred_probe_timeout_work", () => deferred_probe_timeout_work_func(kernel));
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

/** The deferral that `dev_err_probe` speaks of: logged for debugging, and remembered. @returns -EPROBE_DEFER */
export function probe_deferral(dev: Device, reason: string): number {
  dev.deferred_probe_reason = reason;
  dev.kernel.printk.dev_dbg(dev, reason);
  return -EPROBE_DEFER;
}

/** Linux's `driver_deferred_probe_add`. */
export function driver_deferred_probe_add(dev: Device): void {
  if (dev.can_match && !dev.deferred_node.linked) dev.kernel.base.deferred.pending.addTail(dev.deferred_node);
}

/** Linux's `driver_deferred_probe_del`. */
export function driver_deferred_probe_del(dev: Device): void {
  dev.deferred_node.list?.remove(dev.deferred_node);
  dev.deferred_probe_reason = null;
}

/** Linux's `driver_deferred_probe_trigger`: all pending devices are tried again, by the worker. */
export function driver_deferred_probe_trigger(kernel: Kernel): void {
  const { deferred } = kernel.base;
  if (!deferred.enabled) return;
  deferred.trigger_count++;
  deferred.active.spliceTail(deferred.pending);
  queue_work(kernel.workqueues.system_unbound_wq, deferred.work);
}

/**
 * Linux's `driver_deferred_probe_check_state`: may a probe still wait for a driver that is missing?
 * @returns -EPROBE_DEFER, or -ETIMEDOUT once no more drivers will come
 */
export function driver_deferred_probe_check_state(dev: Device): number {
  if (!dev.kernel.base.deferred.timed_out) return -EPROBE_DEFER;
  dev.kernel.printk.dev_warn(dev, "deferred probe timeout, ignoring dependency");
  return -ETIMEDOUT;
}

/**
 * Linux's `deferred_probe_timeout_work_func`: no more drivers will come. Suppliers without driver block nobody any more, all
 * deferred probes are tried again, what is left over is named, and suppliers hear of the end of probing.
 */
export function* deferred_probe_timeout_work_func(kernel: Kernel): Coroutine<void> {
  const { deferred } = kernel.base;
  kernel.of.fwDevlink.driversDone();
  deferred.timed_out = true;
  driver_deferred_probe_trigger(kernel);
  yield* flush_work(deferred.work);
  for (const dev of deferred.pending) {
    kernel.printk.dev_warn(dev, `deferred probe pending: ${dev.deferred_probe_reason ?? "(reason unknown)"}`);
  }
  yield* fw_devlink_probing_done(kernel);
}

/** Linux's `deferred_probe_extend_timeout`: each driver that comes starts the wait anew. */
export function* deferred_probe_extend_timeout(kernel: Kernel): Coroutine<void> {
  const { deferredProbeTimeoutSec: seconds } = kernel.params;
  const { timeout_work } = kernel.base.deferred;
  if (seconds === null || timeout_work.timer.event === null) return;
  yield* cancel_delayed_work_sync(timeout_work);
  schedule_delayed_work(timeout_work, seconds * MSEC_PER_SEC);
}

/** Linux's `wait_for_device_probe`: no retry is under way, no probe runs, none is scheduled. */
export function* wait_for_device_probe(kernel: Kernel): Coroutine<void> {
  const { deferred } = kernel.base;
  yield* flush_work(deferred.work);
  yield* waitEvent(deferred.probe_waitqueue, () => deferred.probe_count === 0);
  yield* async_synchronize_full(kernel);
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
  const { deferredProbeTimeoutSec: seconds } = kernel.params;
  deferred.enabled = true;
  driver_deferred_probe_trigger(kernel);
  yield* flush_work(deferred.work);
  if (seconds === null) return;
  if (seconds === 0) deferred.timed_out = true;
  driver_deferred_probe_trigger(kernel);
  yield* flush_work(deferred.work);
  if (seconds > 0) schedule_delayed_work(deferred.timeout_work, seconds * MSEC_PER_SEC);
}
