// SPDX-License-Identifier: GPL-2.0-only
/**
 * Turning runtime PM on and off, and the barrier that shutdown passes, after Linux 7.1 drivers/base/power/runtime.c:
 * pm_runtime_{enable,disable,barrier,set_active,set_suspended,allow,forbid,reinit,remove,force_suspend,force_resume}.
 * Left out: pm_runtime_block_if_disabled, memalloc_noio.
 */
import { type Coroutine, waitEvent } from "../../../sim/index.ts";
import { EAGAIN, EBUSY } from "../../errno.ts";
import { cancel_work_sync, flush_work } from "../../time/workqueue.ts";
import type { Device } from "../device.ts";
import { devm_add_action } from "../devres.ts";
import { callbackOf } from "./callbacks.ts";
import {
  pm_request_idle,
  pm_runtime_get_noresume,
  pm_runtime_put,
  pm_runtime_put_noidle,
  pm_runtime_use_autosuspend,
} from "./pm-runtime.ts";
import { deactivateTimer } from "./requests.ts";
import { rpm_get_suppliers, rpm_resume, setRuntimeStatus, settled } from "./runtime.ts";
import { rpm_put_suppliers } from "./suppliers.ts";

/** Linux's `__pm_runtime_barrier`: no request, no timer, no transition is left. */
function* drain(dev: Device): Coroutine<void> {
  const { power } = dev;
  deactivateTimer(dev);
  if (power.request_pending) {
    power.request = "none";
    if (power.work) yield* cancel_work_sync(power.work);
    power.request_pending = false;
  }
  yield* settled(dev);
  yield* waitEvent(power.wait_queue, () => !power.idle_notification);
}

/**
 * A resume that was asked for is made, everything else that was asked for is dropped, and what is under way is waited for.
 * With a reference held, no suspend starts afterwards; a device that is suspended stays so.
 */
export function* pm_runtime_barrier(dev: Device): Coroutine<void> {
  pm_runtime_get_noresume(dev);
  if (dev.power.request_pending && dev.power.request === "resume") yield* rpm_resume(dev);
  yield* drain(dev);
  pm_runtime_put_noidle(dev);
}

export function pm_runtime_enable(dev: Device): void {
  const { power, kernel } = dev;
  if (power.disable_depth === 0) {
    kernel.warn("Unbalanced pm_runtime_enable!", dev);
    return;
  }
  if (--power.disable_depth > 0) return;
  power.last_status = "invalid";
  if (power.runtime_status === "suspended" && !power.ignore_children && power.child_count > 0) {
    kernel.warn("Enabling runtime PM for inactive device with active children", dev);
  }
}

/** The device keeps its state, and no callback runs any more. @param checkResume make a resume that was asked for first */
export function* pm_runtime_disable(dev: Device, checkResume: boolean = true): Coroutine<void> {
  const { power } = dev;
  if (power.disable_depth > 0) {
    power.disable_depth++;
    return;
  }
  if (checkResume && power.request_pending && power.request === "resume") {
    pm_runtime_get_noresume(dev);
    yield* rpm_resume(dev);
    pm_runtime_put_noidle(dev);
  }
  if (power.disable_depth++ > 0) return;
  yield* drain(dev);
  power.last_status = power.runtime_status;
}

/** Linux's `devm_pm_runtime_enable`. */
export function devm_pm_runtime_enable(dev: Device): void {
  pm_runtime_enable(dev);
  devm_add_action(dev, "pm_runtime_disable_action", function* () {
    yield* pm_runtime_use_autosuspend(dev, false);
    yield* pm_runtime_disable(dev);
  });
}

/** Says in which state the hardware is, while runtime PM is disabled. @returns 0, -EAGAIN if it is enabled, -errno of a supplier */
function* setStatus(dev: Device, status: "active" | "suspended"): Coroutine<number> {
  const { power, parent } = dev;
  if (power.runtime_error === 0 && power.disable_depth === 0) return -EAGAIN;
  power.disable_depth++;
  let error = status === "active" ? yield* rpm_get_suppliers(dev) : 0;
  let become: "active" | "suspended" = error === 0 ? status : "suspended";
  let notifyParent = false;
  if (parent && power.runtime_status !== become) {
    const above = parent.power;
    if (become === "suspended") {
      above.child_count = Math.max(0, above.child_count - 1);
      notifyParent = !above.ignore_children;
    } else if (above.disable_depth === 0 && !above.ignore_children && above.runtime_status !== "active") {
      dev.kernel.printk.dev_err(dev, `runtime PM trying to activate child device ${dev.name} but parent (${parent.name}) is not active`);
      error = -EBUSY;
      become = "suspended";
    } else if (power.runtime_status === "suspended") {
      above.child_count++;
    }
  }
  if (error !== -EBUSY) setRuntimeStatus(dev, become);
  if (error === 0) power.runtime_error = 0;
  if (notifyParent && parent) pm_request_idle(parent);
  if (become === "suspended") rpm_put_suppliers(dev, true);
  pm_runtime_enable(dev);
  return error;
}

export function* pm_runtime_set_active(dev: Device): Coroutine<number> {
  return yield* setStatus(dev, "active");
}
export function* pm_runtime_set_suspended(dev: Device): Coroutine<number> {
  return yield* setStatus(dev, "suspended");
}

/** User space writes "on" to `power/control`. */
export function* pm_runtime_forbid(dev: Device): Coroutine<void> {
  if (!dev.power.runtime_auto) return;
  dev.power.runtime_auto = false;
  dev.power.usage_count++;
  yield* rpm_resume(dev);
}

/** User space writes "auto" to `power/control`. */
export function pm_runtime_allow(dev: Device): void {
  if (dev.power.runtime_auto) return;
  dev.power.runtime_auto = true;
  pm_runtime_put(dev);
}

/** A driver let go of the device: a device whose runtime PM is off counts as suspended. */
export function* pm_runtime_reinit(dev: Device): Coroutine<void> {
  const { power } = dev;
  if (power.disable_depth === 0) return;
  if (power.runtime_status === "active") yield* pm_runtime_set_suspended(dev);
  power.needs_force_resume = false;
}

/** The device goes away. */
export function* pm_runtime_remove(dev: Device): Coroutine<void> {
  yield* pm_runtime_disable(dev, false);
  if (dev.power.work) yield* flush_work(dev.power.work);
  yield* pm_runtime_reinit(dev);
}

/** Suspends the device whoever uses it and turns runtime PM off, as many shutdown and remove hooks do. @returns 0 or -errno */
export function* pm_runtime_force_suspend(dev: Device): Coroutine<number> {
  const { power } = dev;
  yield* pm_runtime_disable(dev);
  if (power.runtime_status === "suspended" || power.needs_force_resume) return 0;
  const callback = callbackOf(dev, "runtime_suspend");
  const ret = callback ? yield* callback(dev) : 0;
  if (ret !== 0) {
    pm_runtime_enable(dev);
    return ret;
  }
  // Nobody but the caller used it, so nobody will miss it.
  if (power.usage_count <= 1 && (power.child_count === 0 || power.ignore_children)) yield* pm_runtime_set_suspended(dev);
  else power.needs_force_resume = true;
  return 0;
}

/** Undoes {@link pm_runtime_force_suspend}. @returns 0 or -errno */
export function* pm_runtime_force_resume(dev: Device): Coroutine<number> {
  const { power } = dev;
  let ret = 0;
  if (power.needs_force_resume) {
    const callback = callbackOf(dev, "runtime_resume");
    ret = callback ? yield* callback(dev) : 0;
    if (ret === 0) power.last_busy = dev.kernel.time.ktime_get();
    else yield* pm_runtime_set_suspended(dev);
  }
  power.needs_force_resume = false;
  pm_runtime_enable(dev);
  return ret;
}
