// SPDX-License-Identifier: GPL-2.0-only
/**
 * Binding a driver to a device and letting go of it, after Linux 7.1 drivers/base/dd.c: really_probe, call_driver_probe,
 * driver_bound, __driver_probe_device, driver_probe_device, __device_release_driver, device_unbind_cleanup.
 * Left out: pin control, attribute groups, uevents, CONFIG_DEBUG_TEST_DRIVER_REMOVE.
 */
import type { Coroutine } from "../../sim/index.ts";
import { debug_driver_gone } from "../debug/leaks.ts";
import { answeredNumber } from "../debug/missing-yield.ts";
import { EBUSY, ENODEV, ENXIO, EPROBE_DEFER } from "../errno.ts";
import type { DeviceDriver } from "./bus.ts";
import { driver_deferred_probe_add, driver_deferred_probe_del, driver_deferred_probe_trigger, wait_for_device_probe } from "./deferred.ts";
import type { Device } from "./device.ts";
import { devres_release_all } from "./devres.ts";
import {
  device_links_check_suppliers,
  device_links_driver_bound,
  device_links_driver_cleanup,
  device_links_no_driver,
  nextConsumerToUnbind,
} from "./link-states.ts";
import { kset_probing } from "./order.ts";
import { pm_runtime_barrier, pm_runtime_reinit } from "./power/enable.ts";
import {
  pm_request_idle,
  pm_runtime_get_suppliers,
  pm_runtime_get_sync,
  pm_runtime_put,
  pm_runtime_put_suppliers,
  pm_runtime_put_sync,
} from "./power/pm-runtime.ts";

/** Linux's `driver_match_device`. */
export function driver_match_device(drv: DeviceDriver, dev: Device): boolean {
  return dev.bus?.match(dev, drv) ?? false;
}

/** Linux's `call_driver_probe`: the bus's probe, else the driver's. */
function* callDriverProbe(dev: Device, drv: DeviceDriver): Coroutine<number> {
  const { printk } = dev.kernel;
  let ret = 0;
  if (dev.bus?.probe) ret = yield* dev.bus.probe(dev);
  else if (drv.probe) ret = yield* drv.probe(dev);
  answeredNumber(dev.kernel, `probe of driver ${drv.name}`, ret, dev);
  if (ret === -EPROBE_DEFER) printk.dev_dbg(dev, `Driver ${drv.name} requests probe deferral`);
  else if (ret === -ENODEV || ret === -ENXIO) printk.dev_dbg(dev, `probe with driver ${drv.name} rejects match ${ret}`);
  else if (ret !== 0) printk.dev_err(dev, `probe with driver ${drv.name} failed with error ${ret}`);
  return ret;
}

/** Linux's `device_unbind_cleanup`. */
function* unbindCleanup(dev: Device): Coroutine<void> {
  yield* devres_release_all(dev);
  debug_driver_gone(dev);
  dev.driver = null;
  dev.drvdata = null;
  yield* pm_runtime_reinit(dev);
}

/** Linux's `really_probe`. The caller holds the device's lock. @returns 0 or -errno */
function* really_probe(dev: Device, drv: DeviceDriver): Coroutine<number> {
  const { kernel } = dev;
  if (kernel.base.deferred.defer_all) {
    kernel.printk.dev_dbg(dev, `Driver ${drv.name} force probe deferral`);
    return -EPROBE_DEFER;
  }
  const suppliers = device_links_check_suppliers(dev);
  if (suppliers !== 0) return suppliers;
  if (dev.devres.length > 0) {
    kernel.printk.dev_err(dev, "Resources present before probing");
    device_links_no_driver(dev);
    return -EBUSY;
  }
  dev.driver = drv;
  let ret = 0;
  if (dev.bus?.dma_configure) ret = yield* dev.bus.dma_configure(dev);
  if (ret === 0) {
    kset_probing(dev);
    ret = yield* callDriverProbe(dev, drv);
    if (ret !== 0) dev.bus?.dma_cleanup?.(dev);
  }
  if (ret !== 0) {
    device_links_no_driver(dev);
    yield* unbindCleanup(dev);
    return ret;
  }
  yield* driver_bound(dev);
  return 0;
}

/** Linux's `driver_bound`. */
function* driver_bound(dev: Device): Coroutine<void> {
  yield* device_links_driver_bound(dev);
  driver_deferred_probe_del(dev);
  driver_deferred_probe_trigger(dev.kernel);
  if (dev.bus) yield* dev.kernel.base.bus(dev.bus).notify("bound-driver", dev);
}

/**
 * The part of Linux's `__driver_probe_device` that is about power: what the device needs is active while its driver is
 * probed, and may rest afterwards.
 */
function* powered(dev: Device, drv: DeviceDriver): Coroutine<number> {
  const { parent } = dev;
  yield* pm_runtime_get_suppliers(dev);
  if (parent) yield* pm_runtime_get_sync(parent);
  yield* pm_runtime_barrier(dev);
  const ret = yield* really_probe(dev, drv);
  pm_request_idle(dev);
  if (parent) pm_runtime_put(parent);
  pm_runtime_put_suppliers(dev);
  return ret;
}

/** Linux's `driver_probe_device`: tries one driver, defers the device if it asks for it. The caller holds the lock. */
export function* driver_probe_device(drv: DeviceDriver, dev: Device): Coroutine<number> {
  if (!dev.registered) return -ENODEV;
  if (dev.driver) return -EBUSY;
  const { kernel } = dev;
  const { deferred } = kernel.base;
  const triggers = deferred.trigger_count;
  dev.can_match = true;
  deferred.probe_count++;
  const start = kernel.sim.now;
  let ret: number;
  try {
    ret = yield* powered(dev, drv);
  } finally {
    deferred.probe_count--;
    deferred.probe_waitqueue.wake();
  }
  if (kernel.params.initcallDebug) {
    kernel.printk.pr_debug(`probe of ${dev.name} returned ${ret} after ${Math.round((kernel.sim.now - start) / 1000)} usecs`);
  }
  const result = ret === 0 ? "bound" : ret === -EPROBE_DEFER ? "deferred" : "failed";
  const reason = result === "deferred" ? dev.deferred_probe_reason : null;
  kernel.trace.emit("kernel.probe", { kernel: kernel.name, device: dev.name, driver: drv.name, result, error: ret, reason });
  if (ret === -EPROBE_DEFER) {
    driver_deferred_probe_add(dev);
    // Something was bound while this probe ran: what it missed may be there now.
    if (triggers !== deferred.trigger_count && !deferred.defer_all) driver_deferred_probe_trigger(kernel);
  }
  return ret;
}

/** Linux's `device_release_driver`: consumers first, then remove, DMA ownership, managed resources, links. */
export function* device_release_driver(dev: Device): Coroutine<void> {
  const { kernel } = dev;
  const who = kernel.currentTask;
  yield* dev.mutex.lock(who);
  try {
    const drv = dev.driver;
    if (!drv) return;
    yield* pm_runtime_get_sync(dev);
    for (let consumer = nextConsumerToUnbind(dev); consumer; consumer = nextConsumerToUnbind(dev)) {
      dev.mutex.unlock();
      if (consumer.links.status === "probing") yield* wait_for_device_probe(kernel);
      yield* device_release_driver(consumer);
      yield* dev.mutex.lock(who);
      if (dev.driver === drv) continue;
      pm_runtime_put(dev);
      return;
    }
    yield* pm_runtime_put_sync(dev);
    if (dev.bus?.remove) yield* dev.bus.remove(dev);
    else if (drv.remove) yield* drv.remove(dev);
    dev.bus?.dma_cleanup?.(dev);
    yield* unbindCleanup(dev);
    device_links_driver_cleanup(dev);
    kernel.trace.emit("kernel.unbind", { kernel: kernel.name, device: dev.name, driver: drv.name });
    if (dev.bus) yield* kernel.base.bus(dev.bus).notify("unbound-driver", dev);
  } finally {
    dev.mutex.unlock();
  }
}
