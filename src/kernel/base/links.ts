// SPDX-License-Identifier: GPL-2.0-only
/**
 * Device links: a consumer cannot work without its supplier. A managed link makes the consumer's probe wait for the
 * supplier's driver, unbinds the consumer first, and, by moving the consumer behind the supplier in the device list when
 * the link is made, has the consumer shut down first. Shutdown itself never looks at links.
 *
 * After Linux 7.1 drivers/base/core.c: device_link_{add,del}, device_is_dependent, device_links_purge, fw_devlink_relax_link.
 * Where Linux resumes a supplier in device_link_add, a worker does it here. Left out: attributes and symlinks of links.
 */
import { Device, type DeviceClass } from "./device.ts";
import { DL_FLAG, type DeviceLink, type DeviceLinkStatus, isSyncStateOnly } from "./link-flags.ts";
import { device_reorder_to_tail, kset_join, kset_leave } from "./order.ts";
import { pm_runtime_get, rpm_request_resume } from "./power/requests.ts";
import { pm_runtime_drop_link } from "./power/suppliers.ts";

const devlinkClass: DeviceClass = { name: "devlink" };
const MANAGED_LINK_FLAGS =
  DL_FLAG.AUTOREMOVE_CONSUMER |
  DL_FLAG.AUTOREMOVE_SUPPLIER |
  DL_FLAG.AUTOPROBE_CONSUMER |
  DL_FLAG.SYNC_STATE_ONLY |
  DL_FLAG.INFERRED |
  DL_FLAG.CYCLE;
const ADD_VALID_FLAGS = MANAGED_LINK_FLAGS | DL_FLAG.STATELESS | DL_FLAG.PM_RUNTIME | DL_FLAG.RPM_ACTIVE;

/** Whether any of the bits is set. */
export function has(flags: number, flag: number): boolean {
  return (flags & flag) !== 0;
}

function isAncestor(dev: Device, ancestor: Device): boolean {
  for (let parent = dev.parent; parent; parent = parent.parent) if (parent === ancestor) return true;
  return false;
}

/**
 * Linux's `device_is_dependent`: does `target` depend on `dev`, as a descendant or through links? A link from `dev` to
 * `target` as its supplier would then close a cycle.
 */
export function device_is_dependent(dev: Device, target: Device): boolean {
  if (dev === target || isAncestor(target, dev)) return true;
  for (const child of dev.children) if (device_is_dependent(child, target)) return true;
  for (const link of dev.links.consumers) {
    if (isSyncStateOnly(link.flags)) continue;
    if (link.consumer === target || device_is_dependent(link.consumer, target)) return true;
  }
  return false;
}

/** Linux's `device_link_init_status`. */
function initialStatus(consumer: Device, supplier: Device): DeviceLinkStatus {
  switch (supplier.links.status) {
    case "probing":
      return consumer.links.status === "probing" ? "consumer-probe" : "dormant";
    case "bound":
      if (consumer.links.status === "probing") return "consumer-probe";
      return consumer.links.status === "bound" ? "active" : "available";
    case "unbinding":
      return "supplier-unbind";
    case "no-driver":
      return "dormant";
  }
}

/** DL_FLAG_RPM_ACTIVE: the link holds its supplier from the start. */
function holdActive(link: DeviceLink): void {
  pm_runtime_get(link.supplier);
  link.rpm_active++;
}

/** Folds the flags of another request for a link that exists. @returns whether the consumer must move to the tail now */
function upgrade(link: DeviceLink, flags: number): boolean {
  if (has(link.flags, DL_FLAG.INFERRED) && !has(flags, DL_FLAG.INFERRED)) link.flags &= ~DL_FLAG.INFERRED;
  if (has(flags, DL_FLAG.PM_RUNTIME)) {
    if (!has(link.flags, DL_FLAG.PM_RUNTIME)) link.consumer.power.links_count++;
    link.flags |= DL_FLAG.PM_RUNTIME;
    if (has(flags, DL_FLAG.RPM_ACTIVE)) holdActive(link);
  }
  if (has(flags, DL_FLAG.STATELESS)) {
    link.refcount++;
    const reorder = has(link.flags, DL_FLAG.SYNC_STATE_ONLY) && !has(link.flags, DL_FLAG.STATELESS);
    link.flags |= DL_FLAG.STATELESS;
    return reorder;
  }
  if (has(flags, DL_FLAG.AUTOREMOVE_SUPPLIER)) {
    if (has(link.flags, DL_FLAG.AUTOREMOVE_CONSUMER)) {
      link.flags = (link.flags & ~DL_FLAG.AUTOREMOVE_CONSUMER) | DL_FLAG.AUTOREMOVE_SUPPLIER;
    }
  } else if (!has(flags, DL_FLAG.AUTOREMOVE_CONSUMER)) {
    link.flags &= ~(DL_FLAG.AUTOREMOVE_CONSUMER | DL_FLAG.AUTOREMOVE_SUPPLIER);
  }
  if (!has(link.flags, DL_FLAG.MANAGED)) {
    link.refcount++;
    link.flags |= DL_FLAG.MANAGED;
    link.status = initialStatus(link.consumer, link.supplier);
  }
  if (has(link.flags, DL_FLAG.SYNC_STATE_ONLY) && !has(flags, DL_FLAG.SYNC_STATE_ONLY)) {
    link.flags &= ~DL_FLAG.SYNC_STATE_ONLY;
    return true;
  }
  return false;
}

/**
 * Linux's `device_link_add`. A new link that is not only for sync_state moves the consumer, with its children and
 * consumers, to the tail of the device list; an existing one is upgraded and moves nothing.
 * @param flags bits of {@link DL_FLAG}; without STATELESS the link is managed by the device core
 * @returns null for flags that contradict each other, for a supplier that is not registered, and for a cycle
 */
export function device_link_add(consumer: Device, supplier: Device, flags: number): DeviceLink | null {
  if (consumer === supplier || has(flags, ~ADD_VALID_FLAGS)) return null;
  if (has(flags, DL_FLAG.STATELESS) && has(flags, MANAGED_LINK_FLAGS)) return null;
  if (has(flags, DL_FLAG.AUTOPROBE_CONSUMER) && has(flags, DL_FLAG.AUTOREMOVE_CONSUMER | DL_FLAG.AUTOREMOVE_SUPPLIER)) return null;
  if (!has(flags, DL_FLAG.STATELESS)) flags |= DL_FLAG.MANAGED;
  const syncStateOnly = has(flags, DL_FLAG.SYNC_STATE_ONLY);
  if (syncStateOnly && !isSyncStateOnly(flags)) return null;
  if (!supplier.registered || (!syncStateOnly && device_is_dependent(consumer, supplier))) return null;
  if (syncStateOnly && consumer.links.status !== "no-driver" && consumer.links.status !== "probing") return null;
  if (has(flags, DL_FLAG.AUTOREMOVE_SUPPLIER)) flags &= ~DL_FLAG.AUTOREMOVE_CONSUMER;

  const existing = supplier.links.consumers.find((link) => link.consumer === consumer);
  if (existing) {
    if (upgrade(existing, flags)) device_reorder_to_tail(consumer);
    return existing;
  }

  const busName = (dev: Device): string => dev.bus?.name ?? "no-bus";
  const link_dev = new Device(consumer.kernel, `${busName(supplier)}:${supplier.name}--${busName(consumer)}:${consumer.name}`);
  link_dev.dev_class = devlinkClass;
  link_dev.registered = true;
  const status = has(flags, DL_FLAG.STATELESS) ? "none" : initialStatus(consumer, supplier);
  const rest = { refcount: 1, rpm_active: 1, supplier_preactivated: false };
  const link: DeviceLink = { consumer, supplier, flags: flags & ~DL_FLAG.RPM_ACTIVE, status, link_dev, ...rest };
  kset_join(link_dev);
  consumer.kernel.base.links.add(link);
  if (has(flags, DL_FLAG.PM_RUNTIME)) {
    consumer.power.links_count++;
    if (has(flags, DL_FLAG.RPM_ACTIVE)) holdActive(link);
    if (status === "consumer-probe") rpm_request_resume(supplier);
  }
  supplier.links.consumers.push(link);
  consumer.links.suppliers.push(link);
  if (!syncStateOnly) device_reorder_to_tail(consumer);
  return link;
}

/** Takes a link away whoever still counts on it. */
function drop(link: DeviceLink): void {
  pm_runtime_drop_link(link);
  link.consumer.kernel.base.links.delete(link);
  link.supplier.links.consumers = link.supplier.links.consumers.filter((other) => other !== link);
  link.consumer.links.suppliers = link.consumer.links.suppliers.filter((other) => other !== link);
  link.link_dev.registered = false;
  kset_leave(link.link_dev);
}

/** Linux's `device_link_del`, for stateless links (managed ones end by themselves or with their devices). */
export function device_link_del(link: DeviceLink): void {
  if (--link.refcount === 0) drop(link);
}

/** Linux's `device_link_drop_managed`: a link that the core managed ends, unless someone holds it as stateless. */
export function device_link_drop_managed(link: DeviceLink): void {
  link.flags &= ~DL_FLAG.MANAGED;
  link.status = "none";
  device_link_del(link);
}

/** Linux's `fw_devlink_relax_link`: the supplier will have no driver, so nobody shall wait for it. */
export function fw_devlink_relax_link(link: DeviceLink): void {
  if (!has(link.flags, DL_FLAG.INFERRED) || isSyncStateOnly(link.flags)) return;
  pm_runtime_drop_link(link);
  link.flags = DL_FLAG.MANAGED | DL_FLAG.SYNC_STATE_ONLY | DL_FLAG.INFERRED;
}

/** Linux's `device_links_purge`: a device goes away, and its links with it. */
export function device_links_purge(dev: Device): void {
  for (const link of [...dev.links.suppliers, ...dev.links.consumers]) drop(link);
}
