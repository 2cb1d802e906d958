// SPDX-License-Identifier: GPL-2.0-only
/**
 * What runtime power management knows of a device, after Linux 7.1 include/linux/pm.h: struct dev_pm_info, dev_pm_ops,
 * dev_pm_domain. Left out: suspend and poweroff as system states, wake-up sources, PM QoS, irq_safe, accounting.
 */
import { type Coroutine, WaitQueue } from "../../../sim/index.ts";
import type { Timer } from "../../time/time.ts";
import type { Work } from "../../time/workqueue.ts";
import type { Device } from "../device.ts";

/** Linux's RPM_*: where a device stands. */
export type RpmStatus = "active" | "resuming" | "suspended" | "suspending";

/** What the work of a device is to do. */
export type RpmRequest = "none" | "idle" | "suspend" | "autosuspend" | "resume";

/** Linux's `struct dev_pm_ops`, for runtime PM and for the freeze of a kexec jump. Each returns 0 or -errno; -EBUSY and -EAGAIN mean "not now". */
export interface DevPmOps {
  runtime_suspend?(dev: Device): Coroutine<number>;
  runtime_resume?(dev: Device): Coroutine<number>;
  /** @returns 0 to have the device suspended now */
  runtime_idle?(dev: Device): Coroutine<number>;
  // System-wide transitions, as far as a kexec jump makes them: see power/dpm.ts.
  prepare?(dev: Device): Coroutine<number>;
  freeze?(dev: Device): Coroutine<number>;
  freeze_late?(dev: Device): Coroutine<number>;
  freeze_noirq?(dev: Device): Coroutine<number>;
  thaw_noirq?(dev: Device): Coroutine<number>;
  thaw_early?(dev: Device): Coroutine<number>;
  thaw?(dev: Device): Coroutine<number>;
  restore_noirq?(dev: Device): Coroutine<number>;
  restore_early?(dev: Device): Coroutine<number>;
  restore?(dev: Device): Coroutine<number>;
  complete?(dev: Device): Coroutine<void>;
}

/** Linux's `struct dev_pm_domain`: devices that are powered together; its callbacks come instead of the bus's. */
export interface DevPmDomain {
  readonly name: string;
  readonly ops: DevPmOps;
}

/** Linux's `struct dev_pm_info`. A device begins suspended, with runtime PM disabled. */
export class DevPmInfo {
  usage_count: number = 0;
  /** Children that are not suspended. */
  child_count: number = 0;
  disable_depth: number = 1;
  runtime_status: RpmStatus = "suspended";
  /** The status at the moment when runtime PM was disabled. */
  last_status: RpmStatus | "invalid" = "invalid";
  /** A callback failed: nothing goes on until the status is set anew. */
  runtime_error: number = 0;
  ignore_children: boolean = false;
  /** Nothing to call: the parent's state is the device's. */
  no_callbacks: boolean = false;
  /** User space lets the device suspend (`power/control` is "auto"). */
  runtime_auto: boolean = true;
  use_autosuspend: boolean = false;
  /** Milliseconds; negative forbids suspending. */
  autosuspend_delay: number = 0;
  /** Virtual nanoseconds. */
  last_busy: number = 0;
  /** When the suspend timer expires, in virtual nanoseconds; 0 while it is not armed. */
  timer_expires: number = 0;
  /** The timer is for an autosuspend, which looks at last_busy again. */
  timer_autosuspends: boolean = false;
  request: RpmRequest = "none";
  request_pending: boolean = false;
  /** Somebody asked for a resume while the device was suspending. */
  deferred_resume: boolean = false;
  idle_notification: boolean = false;
  needs_force_resume: boolean = false;
  /** Links to suppliers with DL_FLAG_PM_RUNTIME. */
  links_count: number = 0;
  readonly wait_queue: WaitQueue = new WaitQueue("runtime PM transition");
  /** Made when first needed. */
  work: Work | null = null;
  suspend_timer: Timer | null = null;
}
