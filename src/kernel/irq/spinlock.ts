// SPDX-License-Identifier: GPL-2.0-only
/**
 * Spinlocks on one CPU: holding one keeps other tasks away, and with `irqsave` interrupts too. A lock that is found taken
 * can never come free, so that is reported at once instead of spinning for ever.
 */
import type { Kernel } from "../kernel.ts";
import { local_irq_restore, local_irq_save } from "./cpu.ts";

export class SpinLock {
  readonly name: string;
  readonly #kernel: Kernel;
  #holder: string | null = null;

  constructor(kernel: Kernel, name: string) {
    this.#kernel = kernel;
    this.name = name;
  }

  /** Who holds the lock (a task, or an interrupt by name); null: nobody. */
  get holder(): string | null {
    return this.#holder;
  }

  /** Linux's `spin_lock`. @throws KernelBug if the lock is held: by an interrupted section, by the caller, by the dead */
  lock(): void {
    const who = this.#kernel.currentTask;
    if (this.#holder !== null) {
      this.#kernel.bug(`BUG: spinlock lockup suspected on CPU#0, ${who}: lock ${this.name}, held by ${this.#holder}`);
    }
    this.#kernel.cpu.preemptDisable();
    this.#holder = who;
  }

  /** Linux's `spin_unlock`. @throws KernelBug if nobody holds the lock */
  unlock(): void {
    if (this.#holder === null) this.#kernel.bug(`BUG: spinlock already unlocked on CPU#0: lock ${this.name}`);
    this.#holder = null;
    this.#kernel.cpu.preemptEnable();
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
