// SPDX-License-Identifier: GPL-2.0-only
/**
 * The kernel's sleeping lock: handed over in the order of arrival, and watched by lockdep.
 *
 * After Linux 7.1 kernel/locking/mutex.c: mutex_lock, mutex_trylock, mutex_unlock, with CONFIG_DEBUG_MUTEXES. Left out:
 * optimistic spinning (one CPU), interruptible and wound/wait locks.
 */
import { type Coroutine, Mutex as SleepingLock, type Task } from "../../sim/index.ts";
import type { LockdepMap } from "../debug/lockdep.ts";
import type { LockClass } from "../debug/lock-graph.ts";
import { might_sleep } from "../debug/might-sleep.ts";
import type { Kernel } from "../kernel.ts";

export interface MutexOptions {
  /** The class that lock order is learnt for, as `lock_class_key`: locks of one kind share it. Default: the lock's name. */
  readonly key?: string;
  /** As `lockdep_set_novalidate_class`: order and recursion of these locks are not looked at. */
  readonly novalidate?: boolean;
}

export class Mutex extends SleepingLock implements LockdepMap {
  readonly kernel: Kernel;
  readonly lockClass: LockClass;
  readonly novalidate: boolean;
  /** The task that holds the lock; null: nobody, or code outside of any task. */
  ownerTask: Task | null = null;

  constructor(kernel: Kernel, name: string, options: MutexOptions = {}) {
    super(name);
    this.kernel = kernel;
    this.lockClass = kernel.debug.lockdep.classOf(options.key ?? name);
    this.novalidate = options.novalidate ?? false;
  }

  /** @param owner who takes it, for people. Default: the running task */
  override *lock(owner: string = this.kernel.currentTask): Coroutine<void> {
    const { debug } = this.kernel;
    might_sleep(this.kernel, "mutex_lock", this.name);
    debug.lockdep.acquire(this);
    try {
      if (this.owner !== null) debug.hung.blocks({ mutex: this });
      yield* super.lock(owner);
    } catch (error) {
      debug.lockdep.release(this);
      throw error;
    } finally {
      debug.hung.unblocks();
    }
    this.ownerTask = this.kernel.sim.current;
  }

  override tryLock(owner: string = this.kernel.currentTask): boolean {
    if (!super.tryLock(owner)) return false;
    this.kernel.debug.lockdep.acquire(this, true);
    this.ownerTask = this.kernel.sim.current;
    return true;
  }

  /** A lock that the running task does not hold is let go all the same, after a report. */
  override unlock(): void {
    const { owner } = this;
    if (!this.kernel.debug.lockdep.release(this)) this.#imbalance(owner);
    this.ownerTask = null;
    if (owner !== null) super.unlock();
  }

  #imbalance(owner: string | null): void {
    const holder = owner === null ? "nobody holds" : `${this.ownerTask?.name ?? owner} holds`;
    const message = `bad unlock balance detected: ${this.kernel.currentTask} unlocks ${this.name}, which ${holder}`;
    this.kernel.debug.lockdep.report(message, { details: this.kernel.debug.lockdep.heldLines() });
  }
}
