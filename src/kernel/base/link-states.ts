// SPDX-License-Identifier: GPL-2.0-only
/**
 * The states of managed device links: how a consumer's probe waits for its suppliers, what a bind or a failed probe changes,
 * and who is unbound first. After Linux 7.1 drivers/base/core.c: device_links_{check_suppliers,driver_bound,no_driver,
 * driver_cleanup,unbind_consumers}. Left out: FWNODE_FLAG_BEST_EFFORT, device_links_force_bind.
 */
import type { Coroutine } from "../../sim/index.ts";
import { driver_deferred_probe_add, probe_deferral } from "./deferred.ts";
import type { Device } from "./device.ts";
import { DL_FLAG, type DeviceLink, type DeviceLinkStatus } from "./link-flags.ts";
import { device_link_drop_managed, has } from "./links.ts";
import { device_links_flush_sync_list, device_links_sync_state } from "./sync-state.ts";

function managedSuppliers(dev: Device): DeviceLink[] {
  return dev.links.suppliers.filter((link) => has(link.flags, DL_FLAG.MANAGED));
}

function managedConsumers(dev: Device): DeviceLink[] {
  return dev.links.consumers.filter((link) => has(link.flags, DL_FLAG.MANAGED));
}

function idleStatus(supplier: Device): DeviceLinkStatus {
  return supplier.links.status === "bound" ? "available" : "dormant";
}

/** Linux's `device_links_check_suppliers`: 0 and the device counts as probing, or -EPROBE_DEFER if a supplier is missing. */
export function device_links_check_suppliers(dev: Device): number {
  const waitingFor = dev.kernel.of.missingSupplier(dev);
  if (waitingFor !== null) return probe_deferral(dev, `wait for supplier ${waitingFor}`);
  const links = managedSuppliers(dev);
  for (const link of links) {
    if (link.status === "available" || has(link.flags, DL_FLAG.SYNC_STATE_ONLY)) {
      link.status = "consumer-probe";
      continue;
    }
    for (const other of links) if (other.status === "consumer-probe") other.status = idleStatus(other.supplier);
    return probe_deferral(dev, `supplier ${link.supplier.name} not ready`);
  }
  dev.links.status = "probing";
  return 0;
}

/** Linux's `device_links_driver_bound`. The caller holds the device's lock. */
export function* device_links_driver_bound(dev: Device): Coroutine<void> {
  dev.kernel.of.fwDevlink.driverBound(dev);
  const synced: Device[] = [];
  for (const link of managedConsumers(dev)) {
    if (link.status === "consumer-probe" || link.status === "active") continue;
    link.status = "available";
    if (has(link.flags, DL_FLAG.AUTOPROBE_CONSUMER)) driver_deferred_probe_add(link.consumer);
  }
  device_links_sync_state(dev, synced);
  for (const link of managedSuppliers(dev)) {
    if (has(link.flags, DL_FLAG.SYNC_STATE_ONLY)) device_link_drop_managed(link);
    else link.status = "active";
    device_links_sync_state(link.supplier, synced);
  }
  dev.links.status = "bound";
  yield* device_links_flush_sync_list(synced, dev);
}

/** Linux's `device_links_no_driver`: a probe failed. */
export function device_links_no_driver(dev: Device): void {
  for (const link of managedSuppliers(dev)) {
    if (has(link.flags, DL_FLAG.AUTOREMOVE_CONSUMER)) device_link_drop_managed(link);
    else if (link.status === "consumer-probe" || link.status === "active") link.status = idleStatus(link.supplier);
  }
  dev.links.status = "no-driver";
}

/** Linux's `device_links_driver_cleanup`: the device's driver is gone. */
export function device_links_driver_cleanup(dev: Device): void {
  for (const link of managedConsumers(dev)) {
    if (link.status === "supplier-unbind" && has(link.flags, DL_FLAG.AUTOREMOVE_SUPPLIER)) device_link_drop_managed(link);
    else link.status = "dormant";
  }
  dev.kernel.base.syncStates.deferred.delete(dev);
  device_links_no_driver(dev);
}

/**
 * The next consumer that must be unbound before `dev`, as `device_links_unbind_consumers` finds it; its link is marked.
 * @returns null when there is none
 */
export function nextConsumerToUnbind(dev: Device): Device | null {
  dev.links.status = "unbinding";
  for (const link of managedConsumers(dev)) {
    if (has(link.flags, DL_FLAG.SYNC_STATE_ONLY) || link.status === "supplier-unbind") continue;
    const wasActive = link.status === "active" || link.status === "consumer-probe";
    link.status = "supplier-unbind";
    if (wasActive) return link.consumer;
  }
  return null;
}
