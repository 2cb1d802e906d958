// SPDX-License-Identifier: GPL-2.0-only
/**
 * sync_state(): a supplier hears when all its consumers have their drivers, so it may stop keeping up what the boot loader
 * left on. After Linux 7.1 drivers/base/core.c: __device_links_queue_sync_state, device_links_flush_sync_list,
 * device_links_supplier_sync_state_{pause,resume}, fw_devlink_probing_done. Left out: the sysfs attribute state_synced.
 */
import type { Coroutine } from "../../sim/index.ts";
import type { Kernel } from "../kernel.ts";
import type { Device } from "./device.ts";
import { DL_FLAG } from "./link-flags.ts";

/** What a kernel knows of suppliers that wait. */
export class SyncStates {
  /** Nobody is told while this is above 0: consumers that are not there yet may still come. */
  defer_count: number = 1;
  readonly deferred: Set<Device> = new Set<Device>();
}

function dev_has_sync_state(dev: Device): boolean {
  return (dev.driver?.sync_state ?? dev.bus?.sync_state) !== undefined;
}

/** Puts a supplier in `list` if all its managed links are active. */
function queueSyncState(dev: Device, list: Device[]): void {
  if (!dev_has_sync_state(dev) || dev.state_synced) return;
  for (const { flags, status } of dev.links.consumers) if ((flags & DL_FLAG.MANAGED) !== 0 && status !== "active") return;
  dev.state_synced = true;
  list.push(dev);
}

/** A device, or one of its consumers, got a driver: now or later it is to be looked at. */
export function device_links_sync_state(dev: Device, list: Device[]): void {
  const { syncStates } = dev.kernel.base;
  if (syncStates.defer_count === 0) queueSyncState(dev, list);
  else if (dev_has_sync_state(dev)) syncStates.deferred.add(dev);
}

/** Calls sync_state() of each, with its lock. @param held this one's lock is held already */
export function* device_links_flush_sync_list(list: readonly Device[], held: Device | null): Coroutine<void> {
  const call = function* (dev: Device): Coroutine<void> {
    const waiting = dev.bus?.sync_state ? dev.bus.sync_state(dev) : dev.driver?.sync_state?.(dev);
    if (waiting) yield* waiting;
  };
  for (const dev of list) {
    if (dev === held) yield* call(dev);
    else yield* dev.mutex.with(dev.kernel.currentTask, () => call(dev));
  }
}

export function device_links_supplier_sync_state_pause(kernel: Kernel): void {
  kernel.base.syncStates.defer_count++;
}

export function* device_links_supplier_sync_state_resume(kernel: Kernel): Coroutine<void> {
  const { syncStates } = kernel.base;
  if (syncStates.defer_count === 0) {
    kernel.warn("Unmatched sync_state pause/resume!");
    return;
  }
  if (--syncStates.defer_count > 0) return;
  const list: Device[] = [];
  for (const dev of syncStates.deferred) queueSyncState(dev, list);
  syncStates.deferred.clear();
  yield* device_links_flush_sync_list(list, null);
}

/** Linux's `fw_devlink_probing_done`: consumers that have no driver now get none; `fw_devlink.sync_state` says what follows. */
export function* fw_devlink_probing_done(kernel: Kernel): Coroutine<void> {
  const list: Device[] = [];
  for (const { supplier, consumer, flags, status } of kernel.base.links) {
    if ((flags & DL_FLAG.MANAGED) === 0 || status === "active" || supplier.state_synced || !dev_has_sync_state(supplier)) continue;
    if (kernel.params.fwDevlinkSyncState === "strict") {
      kernel.printk.dev_info(supplier, `sync_state() pending due to ${consumer.name}`);
      continue;
    }
    if (kernel.base.syncStates.deferred.has(supplier)) continue;
    kernel.printk.dev_warn(supplier, "Timed out. Forcing sync_state()");
    supplier.state_synced = true;
    list.push(supplier);
  }
  yield* device_links_flush_sync_list(list, null);
}
