// SPDX-License-Identifier: GPL-2.0-only
/**
 * The device core of one kernel: the device list, the buses, and how devices come and go. After Linux 7.1 drivers/base/core.c:
 * device_{initialize,add,del,register,unregister}; bus.c: bus_add_driver, bus_for_each_dev. Left out: sysfs, uevents,
 * reference counts, deferred removal.
 */
import type { Coroutine } from "../../sim/index.ts";
import { EINVAL } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { type BusNotifier, BusPrivate, type BusType, type DeviceDriver } from "./bus.ts";
import { type Workqueue, alloc_workqueue } from "../time/workqueue.ts";
import { AsyncFunctions, async_synchronize_full } from "./async.ts";
import { bus_probe_device, driver_allows_async_probing, driver_attach_one } from "./attach.ts";
import { device_release_driver } from "./dd.ts";
import { DeferredProbes, deferred_probe_extend_timeout, driver_deferred_probe_del } from "./deferred.ts";
import type { Device } from "./device.ts";
import { devres_release_all } from "./devres.ts";
import type { DeviceLink } from "./link-flags.ts";
import { device_links_purge } from "./links.ts";
import { LinkedList } from "./list.ts";
import { kset_join, kset_leave } from "./order.ts";
import { pm_runtime_remove } from "./power/enable.ts";
import { pm_runtime_work } from "./power/runtime.ts";
import { SyncStates } from "./sync-state.ts";

export class DeviceCore {
  /** Every registered device, in order of registration as moved by links and deferred probes; shutdown goes backwards. */
  readonly devices_kset: LinkedList<Device> = new LinkedList<Device>();
  readonly deferred: DeferredProbes;
  readonly async: AsyncFunctions = new AsyncFunctions();
  readonly syncStates: SyncStates = new SyncStates();
  /** Every device link, in the order in which they were made (the devices of class devlink). */
  readonly links: Set<DeviceLink> = new Set<DeviceLink>();
  /** Where runtime PM works. */
  readonly pm_wq: Workqueue;
  readonly pm_runtime_work: (dev: Device) => Coroutine<void> = pm_runtime_work;
  readonly #buses = new Map<BusType, BusPrivate>();

  constructor(kernel: Kernel) {
    this.deferred = new DeferredProbes(kernel, bus_probe_device);
    this.pm_wq = alloc_workqueue(kernel, "pm");
  }

  /** What this kernel knows of a bus; a bus is registered by its first use. */
  bus(bus: BusType): BusPrivate {
    let found = this.#buses.get(bus);
    if (!found) this.#buses.set(bus, (found = new BusPrivate(bus)));
    return found;
  }

  /** All buses, in order of registration. */
  get buses(): BusPrivate[] {
    return [...this.#buses.values()];
  }

  /** The registered devices, in list order. */
  devices(): Device[] {
    return this.devices_kset.toArray();
  }

  /** A registered device by name. */
  findDevice(name: string): Device | null {
    for (const dev of this.devices_kset) if (dev.name === name) return dev;
    return null;
  }

  /** The devices in list order, for people and monitors. */
  deviceNames(): string[] {
    return this.devices().map((dev) => dev.name);
  }
}

/** Linux's `bus_register_notifier`. Notifiers run in the order in which they were registered. */
export function bus_register_notifier(kernel: Kernel, bus: BusType, notifier: BusNotifier): void {
  kernel.base.bus(bus).notifiers.push(notifier);
}

/** Linux's `bus_for_each_dev`. Devices that are added meanwhile are met too, as in Linux's klists. */
export function* bus_for_each_dev(kernel: Kernel, bus: BusType, fn: (dev: Device) => Coroutine<void>): Coroutine<void> {
  for (const dev of kernel.base.bus(bus).klist_devices) yield* fn(dev);
}

/**
 * Linux's `device_add`, in its order: the device joins the list, then its bus; the bus's notifiers hear of it (the IOMMU
 * core probes here); links from the firmware's description; drivers are tried; last, it becomes its parent's child.
 * @returns 0, or -EINVAL if it is registered already
 */
export function* device_add(dev: Device): Coroutine<number> {
  if (dev.registered) return -EINVAL;
  const { kernel, bus } = dev;
  dev.registered = true;
  dev.deleted = false;
  kset_join(dev);
  if (bus) {
    const subsystem = kernel.base.bus(bus);
    subsystem.klist_devices.add(dev);
    yield* subsystem.notify("add-device", dev);
  }
  kernel.of.linkDevice(dev);
  if (bus) yield* bus_probe_device(dev);
  kernel.of.fwDevlink.deviceAdded(dev);
  dev.parent?.children.add(dev);
  return 0;
}

/** Linux's `device_register`; the constructor has initialised the device already. */
export function* device_register(dev: Device): Coroutine<number> {
  return yield* device_add(dev);
}

/** Linux's `device_del`. */
export function* device_del(dev: Device): Coroutine<void> {
  const { kernel, bus } = dev;
  if (!dev.registered) return;
  dev.parent?.children.delete(dev);
  driver_deferred_probe_del(dev);
  yield* device_release_driver(dev);
  dev.registered = false;
  if (bus) {
    const subsystem = kernel.base.bus(bus);
    subsystem.klist_devices.delete(dev);
    yield* subsystem.notify("removed-device", dev);
  }
  device_links_purge(dev);
  kernel.of.unlinkDevice(dev);
  yield* devres_release_all(dev);
  yield* pm_runtime_remove(dev);
  kset_leave(dev);
  dev.deleted = true;
}

/** Linux's `device_unregister`. */
export function* device_unregister(dev: Device): Coroutine<void> {
  yield* device_del(dev);
}

/** Linux's `driver_register`: the driver meets every device of its bus, in order of registration. @returns 0 */
export function* driver_register(kernel: Kernel, drv: DeviceDriver): Coroutine<number> {
  const subsystem = kernel.base.bus(drv.bus);
  subsystem.klist_drivers.add(drv);
  yield* deferred_probe_extend_timeout(kernel);
  for (const dev of subsystem.klist_devices) yield* driver_attach_one(drv, dev);
  return 0;
}

/** Linux's `driver_unregister`: lets go of its devices, the last bound first. */
export function* driver_unregister(kernel: Kernel, drv: DeviceDriver): Coroutine<void> {
  const subsystem = kernel.base.bus(drv.bus);
  subsystem.klist_drivers.delete(drv);
  if (driver_allows_async_probing(drv, kernel)) yield* async_synchronize_full(kernel);
  const bound = [...subsystem.klist_devices].filter((dev) => dev.driver === drv);
  for (const dev of bound.toReversed()) yield* device_release_driver(dev);
}
