// SPDX-License-Identifier: GPL-2.0-only
/**
 * Which driver meets which device, and in whose task, after Linux 7.1 drivers/base/dd.c: __device_attach, __driver_attach,
 * device_initial_probe, driver_allows_async_probing and the async helpers. Left out: the module parameter async_probe,
 * bus matches that ask for deferral, drivers_autoprobe.
 */
import type { Coroutine } from "../../sim/index.ts";
import type { Kernel } from "../kernel.ts";
import { async_schedule_dev } from "./async.ts";
import type { DeviceDriver } from "./bus.ts";
import { driver_match_device, driver_probe_device } from "./dd.ts";
import type { Device } from "./device.ts";
import { pm_request_idle, pm_runtime_get_sync, pm_runtime_put } from "./power/pm-runtime.ts";

/**
 * Linux's `driver_allows_async_probing`: the driver's own word, else `driver_async_probe=`. There "*" stands for all drivers,
 * and names beside it for the exceptions.
 */
export function driver_allows_async_probing(drv: DeviceDriver, kernel: Kernel): boolean {
  if (drv.probe_type !== undefined) return drv.probe_type === "prefer-asynchronous";
  const { asyncProbe } = kernel.params;
  return asyncProbe.includes("*") !== asyncProbe.includes(drv.name);
}

/** Linux's `__device_driver_lock`: the parent's lock first, where the bus wants it. */
function* withDriverLock<T>(dev: Device, who: string, body: () => Coroutine<T>): Coroutine<T> {
  const parent = dev.bus?.need_parent_lock ? dev.parent : null;
  if (!parent) return yield* dev.mutex.with(who, body);
  return yield* parent.mutex.with(who, () => dev.mutex.with(who, body));
}

/** Linux's `__driver_attach`: one driver meets one device; an asynchronous driver in a task of its own. */
export function* driver_attach_one(drv: DeviceDriver, dev: Device): Coroutine<void> {
  if (!driver_match_device(drv, dev)) return;
  const { kernel } = dev;
  if (!driver_allows_async_probing(drv, kernel)) {
    dev.can_match = true;
    yield* withDriverLock(dev, kernel.currentTask, function* () {
      if (!dev.driver) yield* driver_probe_device(drv, dev);
    });
    return;
  }
  const taken = yield* dev.mutex.with(kernel.currentTask, function* () {
    if (dev.driver || dev.async_driver) return false;
    dev.async_driver = drv;
    return true;
  });
  if (!taken) return;
  async_schedule_dev(dev, "probe", () =>
    withDriverLock(dev, kernel.currentTask, function* () {
      dev.async_driver = null;
      yield* driver_probe_device(drv, dev);
    }),
  );
}

/** The drivers of the device's bus in order, until one takes it. @param which asynchronous drivers, the others, or all */
function* tryDrivers(dev: Device, which: "all" | "sync" | "async"): Coroutine<{ bound: boolean; haveAsync: boolean }> {
  const { bus, kernel, parent } = dev;
  let haveAsync = false;
  let bound = false;
  if (parent) yield* pm_runtime_get_sync(parent);
  for (const drv of bus ? kernel.base.bus(bus).klist_drivers : []) {
    if (!driver_match_device(drv, dev)) continue;
    const async = driver_allows_async_probing(drv, kernel);
    haveAsync ||= async;
    if (which !== "all" && async !== (which === "async")) continue;
    dev.can_match = true;
    bound = (yield* driver_probe_device(drv, dev)) === 0;
    if (bound) break;
  }
  if (bound || which !== "sync" || !haveAsync) pm_request_idle(dev);
  if (parent) pm_runtime_put(parent);
  return { bound, haveAsync };
}

/** Linux's `__device_attach`. @returns whether a driver took the device */
function* attach(dev: Device, allowAsync: boolean): Coroutine<boolean> {
  const { kernel } = dev;
  if (!dev.bus) return false;
  const result = yield* withDriverLock(dev, kernel.currentTask, function* () {
    if (!dev.registered) return { bound: false, haveAsync: false };
    if (dev.driver) return { bound: true, haveAsync: false };
    return yield* tryDrivers(dev, allowAsync ? "sync" : "all");
  });
  if (allowAsync && !result.bound && result.haveAsync) {
    async_schedule_dev(dev, "attach", () =>
      dev.mutex.with(kernel.currentTask, function* () {
        if (dev.registered && !dev.driver) yield* tryDrivers(dev, "async");
      }),
    );
  }
  return result.bound;
}

/** Linux's `device_attach`: tries the bus's drivers in order until one takes the device. @returns whether one did */
export function* device_attach(dev: Device): Coroutine<boolean> {
  return yield* attach(dev, false);
}

/** Linux's `device_initial_probe`: as device_attach, nobody cares for the result; asynchronous drivers are tried later. */
export function* device_initial_probe(dev: Device): Coroutine<void> {
  yield* attach(dev, true);
}

/** Linux's `bus_probe_device`. */
export function* bus_probe_device(dev: Device): Coroutine<void> {
  yield* device_initial_probe(dev);
}
