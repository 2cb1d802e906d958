// SPDX-License-Identifier: GPL-2.0-only
/**
 * Workqueues: functions that worker tasks run later, taken in the order in which they were queued.
 *
 * After Linux 7.1 kernel/workqueue.c: queue_work, queue_delayed_work, flush_work, flush_workqueue, cancel_work_sync, process_one_work.
 * Left out: worker pools, concurrency management, CPU affinity, rescuers, draining and destroying a queue.
 */
import { answered } from "../debug/missing-yield.ts";
import { type Coroutine, WaitQueue, waitEvent } from "../../sim/index.ts";
import { uninterruptible } from "../debug/hung-task.ts";
import type { LockdepMap } from "../debug/lockdep.ts";
import { might_sleep } from "../debug/might-sleep.ts";
import type { Kernel } from "../kernel.ts";
import { type Timer, mod_timer, timer_delete_sync, timer_pending, timer_setup } from "./time.ts";

export interface Work {
  readonly kernel: Kernel;
  readonly name: string;
  readonly fn: () => Coroutine<void>;
  /** The queue it waits in, or null. */
  queue: Workqueue | null;
  running: boolean;
  readonly done: WaitQueue;
  /** Its run, for lockdep. */
  readonly map: LockdepMap;
}

export interface DelayedWork extends Work {
  readonly timer: Timer;
  /** The queue the timer will put it in. */
  target: Workqueue | null;
}

/** Linux's `INIT_WORK`. */
export function INIT_WORK(kernel: Kernel, name: string, fn: () => Coroutine<void>): Work {
  return {
    kernel,
    name,
    fn,
    queue: null,
    running: false,
    done: new WaitQueue(`work ${name}`),
    map: kernel.debug.lockdep.pseudo(`(work)${name}`),
  };
}

/** Linux's `INIT_DELAYED_WORK`. */
export function INIT_DELAYED_WORK(kernel: Kernel, name: string, fn: () => Coroutine<void>): DelayedWork {
  const work: DelayedWork = {
    ...INIT_WORK(kernel, name, fn),
    target: null,
    timer: timer_setup(kernel, `delayed work ${name}`, () => {
      if (work.target) queue_work(work.target, work);
    }),
  };
  return work;
}

/** A queue. Up to `maxActive` items run at the same time, each in a worker task of its own; one item never overlaps itself. */
export class Workqueue {
  readonly name: string;
  readonly maxActive: number;
  /** What waits to run. */
  readonly items: Work[] = [];
  /** The run of any of its items, for lockdep. */
  readonly map: LockdepMap;
  readonly #kernel: Kernel;
  readonly #idle: WaitQueue;
  #workers = 0;

  constructor(kernel: Kernel, name: string, maxActive: number) {
    this.#kernel = kernel;
    this.name = name;
    this.maxActive = maxActive;
    this.map = kernel.debug.lockdep.pseudo(`(wq)${name}`);
    this.#idle = new WaitQueue(`flush of workqueue ${name}`);
  }

  /** Name of the tasks that run its items. */
  get workerName(): string {
    return `kworker/${this.name}`;
  }

  push(work: Work): void {
    work.queue = this;
    this.items.push(work);
    if (this.items.length === 1) this.#kernel.debug.hung.queueMoved(this);
    if (this.#workers >= this.maxActive) return;
    this.#workers++;
    this.#kernel.spawn(this.workerName, this.#worker(), { daemon: true });
  }

  remove(work: Work): void {
    this.items.splice(this.items.indexOf(work), 1);
    work.queue = null;
    this.#kernel.debug.hung.queueMoved(this);
  }

  *flush(): Coroutine<void> {
    might_sleep(this.#kernel, "flush_workqueue", this.name);
    this.#kernel.debug.lockdep.waitFor(this.map);
    const idle = waitEvent(this.#idle, () => this.items.length === 0 && this.#workers === 0);
    yield* uninterruptible(this.#kernel, this.name, idle);
  }

  #take(): Work | null {
    const work = this.items.find((item) => !item.running);
    if (work) this.remove(work);
    return work ?? null;
  }

  *#worker(): Coroutine<void> {
    const { lockdep } = this.#kernel.debug;
    try {
      for (let work = this.#take(); work; work = this.#take()) {
        work.running = true;
        lockdep.acquire(this.map);
        lockdep.acquire(work.map);
        try {
          answered(this.#kernel, `work ${work.name}`, yield* work.fn());
          lockdep.release(work.map);
          lockdep.release(this.map);
        } finally {
          work.running = false;
          work.done.wake();
        }
      }
    } finally {
      this.#workers--;
      this.#idle.wake();
    }
  }
}

export class Workqueues {
  readonly system_wq: Workqueue;
  readonly system_unbound_wq: Workqueue;

  constructor(kernel: Kernel) {
    this.system_wq = new Workqueue(kernel, "events", Infinity);
    this.system_unbound_wq = new Workqueue(kernel, "events_unbound", Infinity);
  }
}

/** Linux's `alloc_workqueue`. @param maxActive how many items run at the same time */
export function alloc_workqueue(kernel: Kernel, name: string, maxActive: number = Infinity): Workqueue {
  return new Workqueue(kernel, name, maxActive);
}

/** Linux's `alloc_ordered_workqueue`: one item at a time, in the order in which they were queued. */
export function alloc_ordered_workqueue(kernel: Kernel, name: string): Workqueue {
  return new Workqueue(kernel, name, 1);
}

/** Linux's `queue_work`; callable from any context. @returns false if the work waits in a queue already */
export function queue_work(wq: Workqueue, work: Work): boolean {
  work.kernel.debug.objects.used(work, "queue_work");
  if (work.queue) return false;
  wq.push(work);
  return true;
}

/** Linux's `schedule_work`. */
export function schedule_work(work: Work): boolean {
  return queue_work(work.kernel.workqueues.system_wq, work);
}

/** Linux's `queue_delayed_work`. @returns false if it is pending already */
export function queue_delayed_work(wq: Workqueue, work: DelayedWork, delayMs: number): boolean {
  if (work.queue || timer_pending(work.timer)) return false;
  if (delayMs === 0) return queue_work(wq, work);
  work.target = wq;
  mod_timer(work.timer, delayMs);
  return true;
}

/** Linux's `schedule_delayed_work`. */
export function schedule_delayed_work(work: DelayedWork, delayMs: number): boolean {
  return queue_delayed_work(work.kernel.workqueues.system_wq, work, delayMs);
}

/** Linux's `flush_work`: waits until the work has run, if it was queued. */
export function* flush_work(work: Work): Coroutine<void> {
  const { kernel, queue } = work;
  might_sleep(kernel, "flush_work", work.name);
  kernel.debug.lockdep.waitFor(work.map);
  // An item of an ordered queue waits for those before it, too.
  if (queue?.maxActive === 1) kernel.debug.lockdep.waitFor(queue.map);
  const done = waitEvent(work.done, () => !work.queue && !work.running);
  yield* uninterruptible(kernel, work.name, done);
}

/** Linux's `flush_workqueue`. */
export function* flush_workqueue(wq: Workqueue): Coroutine<void> {
  yield* wq.flush();
}

/** Linux's `cancel_work_sync`: it is neither queued nor running afterwards. @returns whether it was pending */
export function* cancel_work_sync(work: Work): Coroutine<boolean> {
  const pending = work.queue !== null;
  work.queue?.remove(work);
  yield* flush_work(work);
  return pending;
}

/** Linux's `cancel_delayed_work_sync`. */
export function* cancel_delayed_work_sync(work: DelayedWork): Coroutine<boolean> {
  const armed = timer_delete_sync(work.timer);
  return (yield* cancel_work_sync(work)) || armed;
}
