// SPDX-License-Identifier: GPL-2.0-only
/**
 * The order of the device list. Every device joins at the tail when it is added; only a new link and the deferred-probe
 * worker move one, to the tail and with everything that depends on it. Shutdown walks the list from its tail.
 */
import type { Device } from "./device.ts";
import { isSyncStateOnly } from "./link-flags.ts";

/** A device joins `devices_kset`. */
export function kset_join(dev: Device): void {
  dev.kernel.base.devices_kset.addTail(dev.kset_node);
  dev.kernel.trace.emit("kernel.device", { kernel: dev.kernel.name, device: dev.name, what: "added" });
}

/** A device leaves `devices_kset`; nothing happens if device_shutdown took it off already. */
export function kset_leave(dev: Device): void {
  dev.kernel.base.devices_kset.remove(dev.kset_node);
  dev.kernel.trace.emit("kernel.device", { kernel: dev.kernel.name, device: dev.name, what: "removed" });
}

/** Linux's `devices_kset_move_last`. */
function moveLast(dev: Device): void {
  if (!dev.kset_node.linked) return;
  dev.kernel.base.devices_kset.moveTail(dev.kset_node);
  dev.kernel.trace.emit("kernel.device", { kernel: dev.kernel.name, device: dev.name, what: "moved-to-tail" });
}

/**
 * Linux's `device_reorder_to_tail`: the device, then its children, then its consumers, each with what depends on it.
 * Links that only serve sync_state do not count.
 */
export function device_reorder_to_tail(dev: Device): void {
  if (dev.registered) moveLast(dev);
  for (const child of dev.children) device_reorder_to_tail(child);
  for (const link of dev.links.consumers) {
    if (!isSyncStateOnly(link.flags)) device_reorder_to_tail(link.consumer);
  }
}

/** Linux's `device_pm_move_to_tail`. */
export function device_pm_move_to_tail(dev: Device): void {
  device_reorder_to_tail(dev);
}
