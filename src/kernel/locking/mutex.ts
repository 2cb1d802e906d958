// SPDX-License-Identifier: GPL-2.0-only
/**
 * The kernel's sleeping lock: handed over in the order of arrival.
 *
 * After Linux 7.1 kernel/locking/mutex.c: mutex_lock, mutex_trylock, mutex_unlock. Left out: optimistic spinning (one CPU),
 * interruptible and wound/wait locks.
 */
import { Mutex as SleepingLock } from "../../sim/index.ts";
import type { Kernel } from "../kernel.ts";

export interface MutexOptions {
  /** The class that lock order is learnt for, as `lock_class_key`: locks of one kind share it. Default: the lock's name. */
  readonly key?: string;
  /** As `lockdep_set_novalidate_class`: order and recursion of these locks are not looked at. */
  readonly novalidate?: boolean;
}

export class Mutex extends SleepingLock {
  readonly kernel: Kernel;
  readonly key: string;
  readonly novalidate: boolean;

  constructor(kernel: Kernel, name: string, options: MutexOptions = {}) {
    super(name);
    this.kernel = kernel;
    this.key = options.key ?? name;
    this.novalidate = options.novalidate ?? false;
  }
}
