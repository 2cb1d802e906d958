// SPDX-License-Identifier: GPL-2.0-only
/**
 * Runtime PM as drivers and the device core call it, after Linux 7.1 include/linux/pm_runtime.h and
 * drivers/base/power/runtime.c: references, suspend and resume on demand, autosuspend.
 *
 * Left out: irq_safe, PM QoS, accounting, pm_schedule_suspend.
 */
import type { Coroutine } from "../../../sim/index.ts";
import { EINVAL } from "../../errno.ts";
import type { Device } from "../device.ts";
import { DL_FLAG } from "../link-flags.ts";
import { pm_runtime_put, rpm_request_idle, rpm_request_resume, rpm_request_suspend } from "./requests.ts";
import { rpm_idle, rpm_resume, rpm_suspend } from "./runtime.ts";
import { pm_runtime_put_noidle, rpm_drop_usage_count } from "./usage.ts";

export { pm_runtime_get, pm_runtime_put } from "./requests.ts";
export { pm_runtime_get_noresume, pm_runtime_put_noidle } from "./usage.ts";

/** Takes a reference and resumes the device. The reference is kept even if that fails. @returns 0; 1 if it was active; or -errno */
export function* pm_runtime_get_sync(dev: Device): Coroutine<number> {
  dev.power.usage_count++;
  return yield* rpm_resume(dev);
}

/** As {@link pm_runtime_get_sync}, but a failure takes no reference. @returns 0 or -errno */
export function* pm_runtime_resume_and_get(dev: Device): Coroutine<number> {
  const ret = yield* pm_runtime_get_sync(dev);
  if (ret >= 0) return 0;
  pm_runtime_put_noidle(dev);
  return ret;
}

/** Takes a reference only if the device is active. @returns 1 if so, 0 if not, -EINVAL without runtime PM */
export function pm_runtime_get_if_active(dev: Device): number {
  if (dev.power.disable_depth > 0) return -EINVAL;
  if (dev.power.runtime_status !== "active") return 0;
  dev.power.usage_count++;
  return 1;
}

/** As {@link pm_runtime_put}, at once. */
export function* pm_runtime_put_sync(dev: Device): Coroutine<number> {
  const left = rpm_drop_usage_count(dev);
  return left === 0 ? yield* rpm_idle(dev) : Math.min(left, 0);
}

/** As {@link pm_runtime_put_sync}, without asking the driver's idle callback. */
export function* pm_runtime_put_sync_suspend(dev: Device): Coroutine<number> {
  const left = rpm_drop_usage_count(dev);
  return left === 0 ? yield* rpm_suspend(dev) : Math.min(left, 0);
}

/** Gives a reference back; the device is suspended when it has rested for its delay. */
export function pm_runtime_put_autosuspend(dev: Device): number {
  pm_runtime_mark_last_busy(dev);
  const left = rpm_drop_usage_count(dev);
  return left === 0 ? rpm_request_suspend(dev, true) : Math.min(left, 0);
}

/** Linux's `pm_runtime_idle`, `pm_request_idle`, `pm_runtime_suspend`, `pm_runtime_resume`, `pm_request_resume`. */
export function* pm_runtime_idle(dev: Device): Coroutine<number> {
  return yield* rpm_idle(dev);
}
export function pm_request_idle(dev: Device): number {
  return rpm_request_idle(dev);
}
export function* pm_runtime_suspend(dev: Device): Coroutine<number> {
  return yield* rpm_suspend(dev);
}
export function* pm_runtime_resume(dev: Device): Coroutine<number> {
  return yield* rpm_resume(dev);
}
export function pm_request_resume(dev: Device): number {
  return rpm_request_resume(dev);
}

export function pm_runtime_mark_last_busy(dev: Device): void {
  dev.power.last_busy = dev.kernel.time.ktime_get();
}

export function pm_runtime_active({ power }: Device): boolean {
  return power.runtime_status === "active" || power.disable_depth > 0;
}
export function pm_runtime_suspended({ power }: Device): boolean {
  return power.runtime_status === "suspended" && power.disable_depth === 0;
}
export function pm_runtime_status_suspended({ power }: Device): boolean {
  return power.runtime_status === "suspended";
}
export function pm_runtime_enabled({ power }: Device): boolean {
  return power.disable_depth === 0;
}

/** A negative delay counts as a reference. */
function* update_autosuspend(dev: Device, wasForbidding: boolean): Coroutine<void> {
  const { power } = dev;
  const forbids = power.use_autosuspend && power.autosuspend_delay < 0;
  if (forbids) {
    if (wasForbidding) return;
    power.usage_count++;
    yield* rpm_resume(dev);
  } else {
    if (wasForbidding) power.usage_count--;
    yield* rpm_idle(dev, { auto: true });
  }
}

export function* pm_runtime_set_autosuspend_delay(dev: Device, delayMs: number): Coroutine<void> {
  const { power } = dev;
  const forbidding = power.use_autosuspend && power.autosuspend_delay < 0;
  power.autosuspend_delay = delayMs;
  yield* update_autosuspend(dev, forbidding);
}

/** Linux's `pm_runtime_use_autosuspend`, and with false `pm_runtime_dont_use_autosuspend`. */
export function* pm_runtime_use_autosuspend(dev: Device, use: boolean = true): Coroutine<void> {
  const { power } = dev;
  const forbidding = power.use_autosuspend && power.autosuspend_delay < 0;
  power.use_autosuspend = use;
  yield* update_autosuspend(dev, forbidding);
}

/** Keeps suppliers active while a driver is being probed. */
export function* pm_runtime_get_suppliers(dev: Device): Coroutine<void> {
  for (const link of dev.links.suppliers) {
    if ((link.flags & DL_FLAG.PM_RUNTIME) === 0) continue;
    link.supplier_preactivated = true;
    yield* pm_runtime_get_sync(link.supplier);
  }
}

export function pm_runtime_put_suppliers(dev: Device): void {
  for (const link of dev.links.suppliers) {
    if (!link.supplier_preactivated) continue;
    link.supplier_preactivated = false;
    pm_runtime_put(link.supplier);
  }
}
