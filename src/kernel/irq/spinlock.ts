// SPDX-License-Identifier: GPL-2.0-only
/**
 * Spinlocks on one CPU: holding one keeps other tasks away, and with `irqsave` interrupts too. A lock that is found taken
 * can never come free, so that is reported at once instead of spinning for ever.
 *
 * After Linux 7.1 kernel/locking/spinlock_debug.c: debug_spin_lock_before, spin_dump; lockdep follows each lock. Left out: bh
 * variants, trylock, read-write locks, raw locks as something of their own.
 */
import type { LockClass } from "../debug/lock-graph.ts";
import type { LockdepMap } from "../debug/lockdep.ts";
import type { Kernel } from "../kernel.ts";
import { local_irq_restore, local_irq_save } from "./cpu.ts";

export class SpinLock implements LockdepMap {
  readonly name: string;
  readonly lockClass: LockClass;
  readonly #kernel: Kernel;
  #holder: string | null = null;

  /** @param key the class that lock order is learnt for; locks of one kind share it. Default: the name */
  constructor(kernel: Kernel, name: string, key: string = name) {
    this.#kernel = kernel;
    this.name = name;
    this.lockClass = kernel.debug.lockdep.classOf(key);
  }

  /** Who holds the lock (a task, or an interrupt by name); null: nobody. */
  get holder(): string | null {
    return this.#holder;
  }

  /** Linux's `spin_lock`. @throws KernelBug if the lock is held: by an interrupted section, by the caller, by the dead */
  lock(): void {
    const who = this.#kernel.currentTask;
    const { lockdep } = this.#kernel.debug;
    lockdep.acquire(this);
    if (this.#holder !== null) {
      lockdep.release(this);
      this.#kernel.bug(`BUG: spinlock lockup suspected on CPU#0, ${who}: lock ${this.name}, held by ${this.#holder}`);
    }
    this.#kernel.cpu.preemptDisable();
    this.#holder = who;
  }

  /** Linux's `spin_unlock`. @throws KernelBug if nobody holds the lock */
  unlock(): void {
    if (this.#holder === null) this.#kernel.bug(`BUG: spinlock already unlocked on CPU#0: lock ${this.name}`);
    if (!this.#kernel.debug.lockdep.release(this)) this.#imbalance(this.#holder);
    this.#holder = null;
    this.#kernel.cpu.preemptEnable();
  }

  #imbalance(holder: string): void {
    const { debug, currentTask } = this.#kernel;
    debug.lockdep.report(`bad unlock balance detected: ${currentTask} unlocks ${this.name}, which ${holder} holds`);
  }

  /** Linux's `spin_lock_irqsave`. @returns what `unlockIrqrestore` needs */
  lockIrqsave(): boolean {
    const flags = local_irq_save(this.#kernel);
    this.lock();
    return flags;
  }

  /** Linux's `spin_unlock_irqrestore`. */
  unlockIrqrestore(flags: boolean): void {
    this.unlock();
    local_irq_restore(this.#kernel, flags);
  }
}

/** Linux's `spin_lock_irqsave`. */
export function spin_lock_irqsave(lock: SpinLock): boolean {
  return lock.lockIrqsave();
}

/** Linux's `spin_unlock_irqrestore`. */
export function spin_unlock_irqrestore(lock: SpinLock, flags: boolean): void {
  lock.unlockIrqrestore(flags);
}
