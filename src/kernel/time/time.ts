// SPDX-License-Identifier: GPL-2.0-only
/**
 * Time for kernel code: the clock, waiting, and timers. Times are virtual nanoseconds unless a name says otherwise.
 *
 * The clock is CLOCK_MONOTONIC: it stands still from timekeeping_suspend() to timekeeping_resume(), and so do jiffies. Whoever
 * sleeps, waits with a timeout or has armed a timer has the rest of it before him afterwards, however long that took.
 *
 * After Linux 7.1 kernel/time/timer.c and kernel/time/sleep_timeout.c: timer_setup, mod_timer, timer_delete_sync, msleep, usleep_range;
 * kernel/time/timekeeping.c: timekeeping_suspend, timekeeping_resume. Left out: jiffies, the timer wheel and its rounding, timer bases of
 * CPUs, high-resolution timers, clocks that go on meanwhile (CLOCK_BOOTTIME, CLOCK_REALTIME).
 */
import { type Coroutine, type ScheduledEvent, sleepNs } from "../../sim/index.ts";
import type { LockdepMap } from "../debug/lockdep.ts";
import type { Kernel } from "../kernel.ts";
import type { SyscoreOps } from "../reboot/chains.ts";

export const NSEC_PER_USEC: number = 1000;
export const NSEC_PER_MSEC: number = 1_000_000;
export const NSEC_PER_SEC: number = 1_000_000_000;

/** Interrupts that come during a busy wait are taken after at most so much of it. */
const DELAY_SLICE_NS = 1000;

/** A coroutine is run to its end at once: it may poll, not sleep. */
export type TimerFunction = () => void | Coroutine<void>;

/** A timer: calls its function once, as an interrupt, when it expires. Made by {@link timer_setup}. */
export class Timer {
  readonly kernel: Kernel;
  readonly name: string;
  readonly fn: TimerFunction;
  event: ScheduledEvent | null = null;
  /** It has expired and its function waits for the CPU to take interrupts. */
  expired: boolean = false;
  /** The run of its function, for lockdep. */
  readonly map: LockdepMap;

  constructor(kernel: Kernel, name: string, fn: TimerFunction) {
    this.kernel = kernel;
    this.name = name;
    this.fn = fn;
    this.map = kernel.debug.lockdep.pseudo(`(timer)${name}`);
  }
}

export class Time {
  readonly #kernel: Kernel;
  readonly #armed = new Set<Timer>();
  /** Timers and what is left of them, while the clock stands still. */
  readonly #suspended: { readonly timer: Timer; readonly leftNs: number }[] = [];
  /** Linux's `timekeeping_syscore_ops`. */
  readonly syscore_ops: SyscoreOps = {
    name: "timekeeping",
    suspend: () => this.#timekeeping_suspend(),
    resume: () => this.#timekeeping_resume(),
  };

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Linux's `ktime_get`. */
  ktime_get(): number {
    return this.#kernel.sim.timeOf(this.#kernel.tasks);
  }

  /** The clock stops, and with it the kernel's tasks, of which only the caller still runs. */
  #timekeeping_suspend(): number {
    const { sim, tasks } = this.#kernel;
    sim.hold(tasks);
    for (const timer of this.#armed) {
      if (timer.event === null) continue;
      this.#suspended.push({ timer, leftNs: timer.event.time - sim.now });
      timer.event.cancel();
      timer.event = null;
    }
    return 0;
  }

  #timekeeping_resume(): void {
    const { sim, tasks } = this.#kernel;
    sim.release(tasks);
    for (const { timer, leftNs } of this.#suspended.splice(0)) this.#schedule(timer, leftNs);
  }

  /** Timers that will expire, for reports: their names in the order in which they were armed. */
  get armedTimers(): string[] {
    return [...this.#armed].map((timer) => timer.name);
  }

  arm(timer: Timer, delayNs: number): void {
    this.#kernel.debug.objects.used(timer, "mod_timer");
    this.disarm(timer);
    this.#armed.add(timer);
    this.#schedule(timer, delayNs);
  }

  #schedule(timer: Timer, delayNs: number): void {
    timer.event = this.#kernel.sim.after(delayNs, () => {
      timer.event = null;
      timer.expired = true;
      this.#kernel.irq.raiseSoftirq(`timer ${timer.name}`, () => this.#run(timer));
    });
  }

  #run(timer: Timer): void {
    if (!timer.expired) return;
    timer.expired = false;
    this.#armed.delete(timer);
    this.#kernel.debug.objects.used(timer, "expiry");
    const { lockdep } = this.#kernel.debug;
    lockdep.acquire(timer.map);
    try {
      const waiting = timer.fn();
      if (waiting) this.#kernel.sim.runAtomic(waiting);
    } finally {
      lockdep.release(timer.map);
    }
  }

  disarm(timer: Timer): boolean {
    const was = this.#armed.delete(timer);
    timer.event?.cancel();
    timer.event = null;
    timer.expired = false;
    return was;
  }

  /** Forgets all timers: the kernel is gone. */
  stop(): void {
    for (const timer of this.#armed) this.disarm(timer);
  }
}

/** Linux's `timer_setup`. */
export function timer_setup(kernel: Kernel, name: string, fn: TimerFunction): Timer {
  return new Timer(kernel, name, fn);
}

/** Linux's `mod_timer`, with a delay instead of jiffies. @returns whether the timer was pending */
export function mod_timer(timer: Timer, delayMs: number): boolean {
  const was = timer_pending(timer);
  timer.kernel.time.arm(timer, delayMs * NSEC_PER_MSEC);
  return was;
}

export function timer_pending(timer: Timer): boolean {
  return timer.event !== null || timer.expired;
}

/**
 * Linux's `timer_delete_sync`: on one CPU the function cannot be running elsewhere; with more it could, and would be waited
 * for. @returns whether it was pending
 */
export function timer_delete_sync(timer: Timer): boolean {
  timer.kernel.debug.lockdep.waitFor(timer.map);
  return timer.kernel.time.disarm(timer);
}

/** Linux's `msleep`. */
export function* msleep(ms: number): Coroutine<void> {
  yield* sleepNs(ms * NSEC_PER_MSEC);
}

/** Linux's `usleep_range`: the longer bound, as an idle machine would; the shorter is what the caller may count on. */
export function* usleep_range(minUs: number, maxUs: number): Coroutine<void> {
  yield* sleepNs(Math.max(minUs, maxUs) * NSEC_PER_USEC);
}

/** Linux's `ndelay`: time passes while the CPU waits; interrupts are taken if it may. */
export function ndelay(kernel: Kernel, ns: number): void {
  const { sim } = kernel;
  const end = sim.now + ns;
  while (sim.now < end) {
    sim.advance(Math.min(DELAY_SLICE_NS, end - sim.now));
    sim.pollInterrupts();
  }
}

/** Linux's `udelay`. */
export function udelay(kernel: Kernel, us: number): void {
  ndelay(kernel, us * NSEC_PER_USEC);
}
