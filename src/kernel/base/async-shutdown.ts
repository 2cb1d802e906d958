// SPDX-License-Identifier: GPL-2.0-only
/**
 * Shutdown in parallel, after the series "shut down devices asynchronously", v16 (May 2026): proposed for
 * drivers/base/core.c, not in Linux 7.1.
 *
 * Devices that are flagged (PCI functions) run their hooks in tasks of their own, each after its children and its consumers;
 * they leave the list before it is gone through, and one that is registered later has its task when the list comes to it.
 * All others keep the order of the list, and wait for those that are flagged among their children and consumers. The parent's
 * lock is held only where the bus wants it. Links that only serve sync_state() do not count, and where there is no link there
 * is no wait: a client may overlap its IOMMU. (Functions of PCI are safe from one that stands before their host bridge in the
 * list, because the bridge is not flagged and waits for them.)
 *
 * A supplier that stands behind its consumer in the list can stop the machine for ever: it waits for a flagged consumer,
 * which waits for a device that the list has not reached. Each wait is named after whom it waits for.
 * Left out: SCSI hosts, targets and devices, which are flagged too; the module parameter is `params.asyncShutdown`.
 */
import { type Coroutine, Completion } from "../../sim/index.ts";
import type { Kernel } from "../kernel.ts";
import { async_schedule_dev, async_synchronize_full } from "./async.ts";
import type { Device } from "./device.ts";
import { isSyncStateOnly } from "./link-flags.ts";

/** Whom a device must wait for. */
function dependants(dev: Device): Device[] {
  const consumers = dev.links.consumers.filter((link) => !isSyncStateOnly(link.flags)).map((link) => link.consumer);
  return [...dev.children, ...consumers];
}

/** The whole of device_shutdown after probing has ended. @param shutdownOne the hooks of one device */
export function* shutDownAsync(kernel: Kernel, shutdownOne: (dev: Device) => Coroutine<void>): Coroutine<void> {
  const { devices_kset } = kernel.base;
  const completions = new Map<Device, Completion>();
  const completionOf = (dev: Device): Completion => {
    let found = completions.get(dev);
    if (!found) completions.set(dev, (found = new Completion(`shutdown of ${dev.name}`)));
    return found;
  };

  function* one(dev: Device, waitFor: readonly Device[], who: string): Coroutine<void> {
    for (const dependant of waitFor) if (dependant.registered) yield* completionOf(dependant).wait();
    const parent = dev.bus?.need_parent_lock ? dev.parent : null;
    if (parent) yield* parent.mutex.lock(who);
    yield* dev.mutex.lock(who);
    yield* shutdownOne(dev);
    dev.mutex.unlock();
    parent?.mutex.unlock();
    completionOf(dev).completeAll();
  }

  const start = (dev: Device): void => async_schedule_dev(dev, "shutdown", () => one(dev, dependants(dev), "async shutdown"));

  for (const dev of devices_kset.toArray().toReversed()) {
    if (!dev.async_shutdown) continue;
    devices_kset.remove(dev.kset_node);
    start(dev);
  }
  for (let dev = devices_kset.last; dev; dev = devices_kset.last) {
    devices_kset.remove(dev.kset_node);
    if (dev.async_shutdown) {
      // Registered since the flagged ones were started.
      start(dev);
      continue;
    }
    const flagged = dependants(dev).filter((dependant) => dependant.async_shutdown);
    yield* one(dev, flagged, "device_shutdown");
  }
  yield* async_synchronize_full(kernel);
}
