// SPDX-License-Identifier: GPL-2.0-only
/**
 * Runtime PM's three transitions, after Linux 7.1 drivers/base/power/runtime.c: rpm_idle, rpm_suspend, rpm_resume,
 * __rpm_callback, rpm_get_suppliers, pm_runtime_work. A resume brings the parent and the suppliers up first; a suspend lets them go afterwards.
 * Left out: irq_safe (every callback may sleep), wake-up interrupts, PM QoS.
 */
import { type Coroutine, waitEvent } from "../../../sim/index.ts";
import { EACCES, EAGAIN, EBUSY, EINPROGRESS } from "../../errno.ts";
import type { Device } from "../device.ts";
import { DL_FLAG } from "../link-flags.ts";
import { callbackOf } from "./callbacks.ts";
import {
  cancelPending,
  deactivateTimer,
  pm_runtime_autosuspend_expiration,
  pm_runtime_put,
  rpm_check_idle_allowed,
  rpm_check_resume,
  rpm_check_suspend_allowed,
  rpm_request_idle,
  waitForAutosuspend,
} from "./requests.ts";
import { rpm_put_suppliers, rpm_suspend_suppliers } from "./suppliers.ts";
import type { DevPmOps, RpmStatus } from "./types.ts";
import { pm_runtime_get_noresume, pm_runtime_put_noidle } from "./usage.ts";

/** How a transition is made. */
export interface RpmFlags {
  /** Another transition that is under way is not waited for. */
  readonly nowait?: boolean;
  /** The autosuspend delay counts. */
  readonly auto?: boolean;
}

/** Waits until no transition is under way. */
export function* settled({ power }: Device): Coroutine<void> {
  yield* waitEvent(power.wait_queue, () => power.runtime_status !== "suspending" && power.runtime_status !== "resuming");
}

/** Linux's `__update_runtime_status`, traced. */
export function setRuntimeStatus(dev: Device, status: RpmStatus): void {
  if (dev.power.runtime_status === status) return;
  dev.power.runtime_status = status;
  dev.kernel.trace.emit("kernel.rpm", { kernel: dev.kernel.name, device: dev.name, status });
}

/** Resumes what the device needs, before it is resumed itself. @returns 0 or -errno of a supplier */
export function* rpm_get_suppliers(dev: Device): Coroutine<number> {
  for (const link of dev.links.suppliers) {
    if ((link.flags & DL_FLAG.PM_RUNTIME) === 0) continue;
    pm_runtime_get_noresume(link.supplier);
    const ret = yield* rpm_resume(link.supplier);
    if (ret < 0 && ret !== -EACCES) {
      pm_runtime_put_noidle(link.supplier);
      return ret;
    }
    link.rpm_active++;
  }
  return 0;
}

/** Linux's `rpm_callback`. */
function* rpm_callback(dev: Device, name: Exclude<keyof DevPmOps, "complete">): Coroutine<number> {
  const { power } = dev;
  const callback = callbackOf(dev, name);
  const links = power.links_count > 0;
  const resuming = power.runtime_status === "resuming";
  let ret = links && resuming ? yield* rpm_get_suppliers(dev) : 0;
  if (ret !== 0) {
    rpm_put_suppliers(dev, true);
  } else {
    if (callback) ret = yield* callback(dev);
    if (links && (resuming ? ret !== 0 : ret === 0)) rpm_put_suppliers(dev, false);
  }
  if (ret !== -EAGAIN && ret !== -EBUSY) power.runtime_error = ret;
  return ret;
}

/** Asks the driver whether the device may rest, and suspends it if so. @returns 0 or -errno */
export function* rpm_idle(dev: Device, flags: RpmFlags = {}): Coroutine<number> {
  const { power } = dev;
  const allowed = rpm_check_idle_allowed(dev);
  if (allowed !== 0) return allowed;
  power.request = "none";
  const callback = callbackOf(dev, "runtime_idle");
  if (callback && !power.no_callbacks) {
    power.idle_notification = true;
    const ret = yield* callback(dev);
    power.idle_notification = false;
    power.wait_queue.wake();
    if (ret !== 0) return ret;
  }
  return yield* rpm_suspend(dev, { ...flags, auto: true });
}

/** @returns 0; 1 if the device is suspended already; or -errno */
export function* rpm_suspend(dev: Device, flags: RpmFlags = {}): Coroutine<number> {
  const { power, parent } = dev;
  for (;;) {
    const allowed = rpm_check_suspend_allowed(dev);
    if (allowed !== 0) return allowed;
    if (power.runtime_status === "resuming") return -EAGAIN;
    if (flags.auto && waitForAutosuspend(dev)) return 0;
    cancelPending(dev);
    if (power.runtime_status !== "suspending") {
      const ret = power.no_callbacks ? 0 : yield* suspendBy(dev);
      if (ret === 0) break;
      if (power.runtime_error === 0 && flags.auto && pm_runtime_autosuspend_expiration(dev) !== 0) continue;
      cancelPending(dev);
      return ret;
    }
    if (flags.nowait) return -EINPROGRESS;
    yield* settled(dev);
  }
  setRuntimeStatus(dev, "suspended");
  deactivateTimer(dev);
  if (parent) parent.power.child_count = Math.max(0, parent.power.child_count - 1);
  power.wait_queue.wake();
  if (power.deferred_resume) {
    power.deferred_resume = false;
    yield* rpm_resume(dev);
    return -EAGAIN;
  }
  if (parent && !parent.power.ignore_children) rpm_request_idle(parent);
  if (power.links_count > 0) rpm_suspend_suppliers(dev);
  return 0;
}

/** The suspend callback; after a failure the device is active as before. */
function* suspendBy(dev: Device): Coroutine<number> {
  const { power } = dev;
  setRuntimeStatus(dev, "suspending");
  const ret = yield* rpm_callback(dev, "runtime_suspend");
  if (ret !== 0) {
    setRuntimeStatus(dev, "active");
    power.deferred_resume = false;
    power.wait_queue.wake();
  }
  return ret;
}

/** @returns 0; 1 if the device was active; or -errno */
export function* rpm_resume(dev: Device, flags: RpmFlags = {}): Coroutine<number> {
  const { power, parent } = dev;
  let parentHeld = false;
  try {
    for (;;) {
      const refused = rpm_check_resume(dev);
      if (refused !== null) return refused;
      power.request = "none";
      if (!power.timer_autosuspends) deactivateTimer(dev);
      if (power.runtime_status === "active") return 1;
      if (power.runtime_status !== "suspended") {
        if (!flags.nowait) {
          yield* settled(dev);
          continue;
        }
        if (power.runtime_status === "suspending") power.deferred_resume = true;
        return -EINPROGRESS;
      }
      if (parentHeld || !parent) break;
      parentHeld = true;
      pm_runtime_get_noresume(parent);
      if (parent.power.disable_depth === 0 && !parent.power.ignore_children) {
        yield* rpm_resume(parent);
        if (parent.power.runtime_status !== "active") return -EBUSY;
      }
    }
    setRuntimeStatus(dev, "resuming");
    const ret = power.no_callbacks ? 0 : yield* rpm_callback(dev, "runtime_resume");
    if (ret !== 0) {
      setRuntimeStatus(dev, "suspended");
      cancelPending(dev);
    } else {
      setRuntimeStatus(dev, "active");
      power.last_busy = dev.kernel.time.ktime_get();
      if (parent) parent.power.child_count++;
    }
    power.wait_queue.wake();
    if (ret >= 0) rpm_request_idle(dev);
    return ret;
  } finally {
    if (parentHeld && parent) pm_runtime_put(parent);
  }
}

/** Linux's `pm_runtime_work`: does what was asked for. */
export function* pm_runtime_work(dev: Device): Coroutine<void> {
  const { power } = dev;
  const { request } = power;
  if (!power.request_pending) return;
  power.request = "none";
  power.request_pending = false;
  if (request === "idle") yield* rpm_idle(dev, { nowait: true });
  else if (request === "suspend") yield* rpm_suspend(dev, { nowait: true });
  else if (request === "autosuspend") yield* rpm_suspend(dev, { nowait: true, auto: true });
  else if (request === "resume") yield* rpm_resume(dev, { nowait: true });
}
