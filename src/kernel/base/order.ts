// SPDX-License-Identifier: GPL-2.0-only
/**
 * The order of the device list, after Linux 7.1 drivers/base/core.c: devices_kset_move_{last,before,after},
 * device_reorder_to_tail, device_move. Every device joins at the tail when it is added; only a new link and the
 * deferred-probe worker move one, to the tail and with everything that depends on it, and device_move where it is told to.
 * Shutdown walks the list from its tail.
 *
 * The policy "probe-4.3" is that of Linux 4.3 (52cdbdd49853) until it was taken back in 2018: really_probe moves the device,
 * and it alone, to the tail before the driver's probe. Left out: the list of system sleep, which is moved along.
 */
import { EINVAL } from "../errno.ts";
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

/** What a probe does to the list: nothing, or with `ksetPolicy: "probe-4.3"` the device moves to the tail. */
export function kset_probing(dev: Device): void {
  if (dev.kernel.params.ksetPolicy === "probe-4.3") moveLast(dev);
}

/** Linux's `enum dpm_order`: where device_move puts what. */
export type DpmOrder = "none" | "device-after-parent" | "parent-before-device" | "device-last";

/** Linux's `device_move`: gives a device another parent. @returns 0, or -EINVAL for a device that is not there */
export function device_move(dev: Device, newParent: Device | null, order: DpmOrder): number {
  if (!dev.registered || (newParent && !newParent.registered)) return -EINVAL;
  dev.parent?.children.delete(dev);
  dev.parent = newParent;
  newParent?.children.add(dev);
  const { devices_kset } = dev.kernel.base;
  if (order === "device-last") moveLast(dev);
  if (!newParent || !dev.kset_node.linked || !newParent.kset_node.linked) return 0;
  if (order === "device-after-parent") devices_kset.moveAfter(dev.kset_node, newParent.kset_node);
  if (order === "parent-before-device") devices_kset.moveAfter(newParent.kset_node, dev.kset_node.prev);
  return 0;
}

/** Linux's `device_pm_move_to_tail`. */
export function device_pm_move_to_tail(dev: Device): void {
  device_reorder_to_tail(dev);
}
