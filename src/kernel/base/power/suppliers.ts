// SPDX-License-Identifier: GPL-2.0-only
/**
 * Runtime PM along device links: a consumer that is active keeps its suppliers active; here is how it lets go of them. After
 * Linux 7.1 drivers/base/power/runtime.c: pm_runtime_release_supplier, rpm_put_suppliers, rpm_suspend_suppliers,
 * pm_runtime_drop_link. Left out: the lock of links' readers.
 */
import type { Device } from "../device.ts";
import { DL_FLAG, type DeviceLink } from "../link-flags.ts";
import { rpm_request_idle } from "./requests.ts";
import { pm_runtime_put_noidle } from "./usage.ts";

function isPmRuntime(link: DeviceLink): boolean {
  return (link.flags & DL_FLAG.PM_RUNTIME) !== 0;
}

/** Gives back every reference that a link holds on its supplier. */
export function pm_runtime_release_supplier(link: DeviceLink): void {
  const { power } = link.supplier;
  while (link.rpm_active > 1) {
    link.rpm_active--;
    if (power.usage_count > 0) pm_runtime_put_noidle(link.supplier);
  }
}

export function rpm_put_suppliers(dev: Device, tryToSuspend: boolean): void {
  for (const link of dev.links.suppliers) {
    pm_runtime_release_supplier(link);
    if (tryToSuspend) rpm_request_idle(link.supplier);
  }
}

/** The device is suspended: its suppliers may be. */
export function rpm_suspend_suppliers(dev: Device): void {
  for (const link of dev.links.suppliers) rpm_request_idle(link.supplier);
}

/** A link with DL_FLAG_PM_RUNTIME ends, or stops being one. */
export function pm_runtime_drop_link(link: DeviceLink): void {
  if (!isPmRuntime(link)) return;
  link.consumer.power.links_count--;
  pm_runtime_release_supplier(link);
  rpm_request_idle(link.supplier);
}
