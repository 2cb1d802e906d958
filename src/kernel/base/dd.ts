// SPDX-License-Identifier: GPL-2.0-only
/** Binding drivers to devices, in the order of Linux's drivers/base/dd.c. */
import type { Coroutine } from "../../sim/index.ts";
import { EBUSY, ENODEV, ENXIO, EPROBE_DEFER, ETIMEDOUT } from "../errno.ts";
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
} from "./links.ts";

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
  if (ret === -EPROBE_DEFER) printk.dev_dbg(dev, `Driver ${drv.name} requests probe deferral`);
  else if (ret === -ENODEV || ret === -ENXIO) printk.dev_dbg(dev, `probe with driver ${drv.name} rejects match ${ret}`);
  else if (ret !== 0) printk.dev_err(dev, `probe with driver ${drv.name} failed with error ${ret}`);
  return ret;
}

/** Linux's `device_unbind_cleanup`. */
function* unbindCleanup(dev: Device): Coroutine<void> {
  yield* devres_release_all(dev);
  dev.driver = null;
  dev.drvdata = null;
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
  device_links_driver_bound(dev);
  driver_deferred_probe_del(dev);
  driver_deferred_probe_trigger(dev.kernel);
  if (dev.bus) yield* dev.kernel.base.bus(dev.bus).notify("bound-driver", dev);
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
    ret = yield* really_probe(dev, drv);
  } finally {
    deferred.probe_count--;
    deferred.probe_waitqueue.wake();
  }
  if (kernel.params.initcallDebug) {
    kernel.printk.pr_debug(`probe of ${dev.name} returned ${ret} after ${Math.round((kernel.sim.now - start) / 1000)} usecs`);
  }
  const result = ret === 0 ? "bound" : ret === -EPROBE_DEFER ? "deferred" : "failed";
  kernel.trace.emit("kernel.probe", { kernel: kernel.name, device: dev.name, driver: drv.name, result, error: ret });
  if (ret === -EPROBE_DEFER) {
    driver_deferred_probe_add(dev);
    // Something was bound while this probe ran: what it missed may be there now.
    if (triggers !== deferred.trigger_count && !deferred.defer_all) driver_deferred_probe_trigger(kernel);
  }
  return ret;
}

/** Linux's `__device_driver_lock`: the parent's lock first, where the bus wants it. */
function* withDriverLock<T>(dev: Device, who: string, body: () => Coroutine<T>): Coroutine<T> {
  const parent = dev.bus?.need_parent_lock ? dev.parent : null;
  if (!parent) return yield* dev.mutex.with(who, body);
  return yield* parent.mutex.with(who, () => dev.mutex.with(who, body));
}

/** Linux's `__driver_attach`: one driver meets one device. */
export function* driver_attach_one(drv: DeviceDriver, dev: Device): Coroutine<void> {
  if (!driver_match_device(drv, dev)) return;
  dev.can_match = true;
  yield* withDriverLock(dev, dev.kernel.currentTask, function* () {
    if (!dev.driver) yield* driver_probe_device(drv, dev);
  });
}

/** Linux's `device_attach`: tries the bus's drivers in order until one takes the device. @returns whether one did */
export function* device_attach(dev: Device): Coroutine<boolean> {
  const { bus } = dev;
  if (!bus) return false;
  return yield* withDriverLock(dev, dev.kernel.currentTask, function* () {
    if (!dev.registered) return false;
    if (dev.driver) return true;
    for (const drv of dev.kernel.base.bus(bus).klist_drivers) {
      if (!driver_match_device(drv, dev)) continue;
      dev.can_match = true;
      if ((yield* driver_probe_device(drv, dev)) === 0) return true;
    }
    return false;
  });
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

/** Linux's `device_initial_probe`: as device_attach, nobody cares for the result. */
export function* device_initial_probe(dev: Device): Coroutine<void> {
  yield* device_attach(dev);
}

/** Linux's `bus_probe_device`. */
export function* bus_probe_device(dev: Device): Coroutine<void> {
  yield* device_initial_probe(dev);
}

/** Linux's `device_release_driver`: consumers first, then remove, DMA ownership, managed resources, links. */
export function* device_release_driver(dev: Device): Coroutine<void> {
  const { kernel } = dev;
  const who = kernel.currentTask;
  yield* dev.mutex.lock(who);
  try {
    const drv = dev.driver;
    if (!drv) return;
    for (let consumer = nextConsumerToUnbind(dev); consumer; consumer = nextConsumerToUnbind(dev)) {
      dev.mutex.unlock();
      if (consumer.links.status === "probing") yield* wait_for_device_probe(kernel);
      yield* device_release_driver(consumer);
      yield* dev.mutex.lock(who);
      if (dev.driver !== drv) return;
    }
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
