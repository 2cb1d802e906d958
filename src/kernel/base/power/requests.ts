// SPDX-License-Identifier: GPL-2.0-only
/**
 * Runtime PM without waiting: what may be asked for in any context is written down and done by a worker, or by the suspend
 * timer. After Linux 7.1 drivers/base/power/runtime.c: rpm_check_suspend_allowed, rpm_idle, rpm_suspend and rpm_resume with
 * RPM_ASYNC, pm_suspend_timer_fn, pm_runtime_autosuspend_expiration. Left out: PM QoS, timer slack.
 */
import { EACCES, EAGAIN, EBUSY, EINPROGRESS, EINVAL } from "../../errno.ts";
import { mod_timer, NSEC_PER_MSEC, timer_delete_sync, timer_setup } from "../../time/time.ts";
import { INIT_WORK, queue_work } from "../../time/workqueue.ts";
import type { Device } from "../device.ts";
import { callbackOf } from "./callbacks.ts";
import type { RpmRequest } from "./types.ts";
import { rpm_drop_usage_count } from "./usage.ts";

/** Linux's `rpm_check_suspend_allowed`. @returns 0; 1 if the device is suspended already; or why it must not */
export function rpm_check_suspend_allowed({ power }: Device): number {
  if (power.runtime_error !== 0) return -EINVAL;
  if (power.disable_depth > 0) return -EACCES;
  if (power.usage_count > 0) return -EAGAIN;
  if (!power.ignore_children && power.child_count > 0) return -EBUSY;
  if (power.deferred_resume && power.runtime_status === "suspending") return -EAGAIN;
  if (power.request_pending && power.request === "resume") return -EAGAIN;
  return power.runtime_status === "suspended" ? 1 : 0;
}

/** What `rpm_idle` looks at before it calls anybody. */
export function rpm_check_idle_allowed(dev: Device): number {
  const { power } = dev;
  const allowed = rpm_check_suspend_allowed(dev);
  if (allowed < 0) return allowed;
  if (power.runtime_status !== "active") return -EAGAIN;
  if (power.request_pending && power.request !== "none" && power.request !== "idle") return -EAGAIN;
  return power.idle_notification ? -EINPROGRESS : 0;
}

/** When the device may be suspended by itself, in virtual nanoseconds; 0 if that is now. */
export function pm_runtime_autosuspend_expiration({ power, kernel }: Device): number {
  if (!power.use_autosuspend || power.autosuspend_delay < 0) return 0;
  const expires = power.last_busy + power.autosuspend_delay * NSEC_PER_MSEC;
  return expires > kernel.time.ktime_get() ? expires : 0;
}

/** Linux's `pm_runtime_deactivate_timer`. */
export function deactivateTimer({ power }: Device): void {
  if (power.timer_expires === 0) return;
  if (power.suspend_timer) timer_delete_sync(power.suspend_timer);
  power.timer_expires = 0;
}

/** Linux's `pm_runtime_cancel_pending`. */
export function cancelPending(dev: Device): void {
  deactivateTimer(dev);
  dev.power.request = "none";
}

function enqueue(dev: Device, request: RpmRequest): void {
  const { power, kernel } = dev;
  power.request = request;
  if (power.request_pending) return;
  power.request_pending = true;
  power.work ??= INIT_WORK(kernel, `pm ${dev.name}`, () => kernel.base.pm_runtime_work(dev));
  queue_work(kernel.base.pm_wq, power.work);
}

/** Arms the suspend timer, if the device must rest first. @returns whether it is armed */
export function waitForAutosuspend(dev: Device): boolean {
  const { power, kernel } = dev;
  const expires = pm_runtime_autosuspend_expiration(dev);
  if (power.runtime_status === "suspending" || expires === 0) return false;
  power.request = "none";
  if (power.timer_expires === 0 || power.timer_expires > expires) {
    power.timer_expires = expires;
    power.suspend_timer ??= timer_setup(kernel, `pm_suspend_timer ${dev.name}`, () => {
      power.timer_expires = 0;
      rpm_request_suspend(dev, power.timer_autosuspends);
    });
    mod_timer(power.suspend_timer, (expires - kernel.time.ktime_get()) / NSEC_PER_MSEC);
  }
  power.timer_autosuspends = true;
  return true;
}

/** A suspend as soon as a worker is free; `auto`: after the autosuspend delay. */
export function rpm_request_suspend(dev: Device, auto: boolean): number {
  const { power } = dev;
  const allowed = rpm_check_suspend_allowed(dev);
  if (allowed !== 0) return allowed;
  if (auto && waitForAutosuspend(dev)) return 0;
  cancelPending(dev);
  if (power.runtime_status === "suspending") return -EINPROGRESS;
  enqueue(dev, auto ? "autosuspend" : "suspend");
  return 0;
}

/** An idle check by a worker; a device without idle callback goes on to its suspend. */
export function rpm_request_idle(dev: Device): number {
  const { power } = dev;
  const allowed = rpm_check_idle_allowed(dev);
  if (allowed !== 0) return allowed;
  power.request = "none";
  if (!callbackOf(dev, "runtime_idle") || power.no_callbacks) return rpm_request_suspend(dev, true);
  enqueue(dev, "idle");
  return 0;
}

/** Gives a reference back; after the last one a worker looks whether the device may rest. Callable from any context. */
export function pm_runtime_put(dev: Device): number {
  const left = rpm_drop_usage_count(dev);
  return left === 0 ? rpm_request_idle(dev) : Math.min(left, 0);
}

/** What `rpm_resume` answers without doing anything, or null if there is something to do. */
export function rpm_check_resume({ power }: Device): number | null {
  if (power.runtime_error !== 0) return -EINVAL;
  if (power.disable_depth > 0) return power.runtime_status === "active" && power.last_status === "active" ? 1 : -EACCES;
  return null;
}

/** A resume by a worker. @returns 0; 1 if the device is active */
export function rpm_request_resume(dev: Device): number {
  const { power } = dev;
  const refused = rpm_check_resume(dev);
  if (refused !== null) return refused;
  power.request = "none";
  if (!power.timer_autosuspends) deactivateTimer(dev);
  if (power.runtime_status === "active") return 1;
  if (power.runtime_status === "suspending") {
    power.deferred_resume = true;
    return 0;
  }
  if (power.runtime_status === "resuming") return -EINPROGRESS;
  enqueue(dev, "resume");
  return 0;
}

/** Takes a reference; a worker resumes the device. Callable from any context. */
export function pm_runtime_get(dev: Device): number {
  dev.power.usage_count++;
  return rpm_request_resume(dev);
}
