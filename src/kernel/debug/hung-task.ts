// SPDX-License-Identifier: GPL-2.0-only
/**
 * Tasks that wait for too long in a sleep that nothing can interrupt, with who keeps them waiting; and workqueues whose items
 * nobody takes.
 *
 * After Linux 7.1 kernel/hung_task.c: check_hung_uninterruptible_tasks, debug_show_blocker; kernel/workqueue.c: wq_watchdog_timer_fn.
 * Left out: khungtaskd: the check is made when the CPU may take interrupts, so it adds no event to the machine. A task is
 * reported once for each wait. Linux's workqueue watchdog looks at pools, which do not exist here: a queue counts as stalled
 * too if its only worker waits.
 */
import type { Coroutine, Task } from "../../sim/index.ts";
import type { Kernel } from "../kernel.ts";
import type { Mutex } from "../locking/mutex.ts";
import type { Workqueue } from "../time/workqueue.ts";

/** `hung_task_timeout_secs`. */
const HUNG_NS = 120e9;
/** `workqueue.watchdog_thresh`. */
const STALL_NS = 30e9;
const CHECK_NS = 10e9;

/** What a task waits for without being interruptible. */
export type Blocker = { readonly mutex: Mutex } | { readonly what: string };

export class HungTasks {
  /** When the next check is due, by the kernel's clock. */
  nextCheck: number;
  readonly #kernel: Kernel;
  readonly #blocked = new Map<Task, Blocker>();
  /** Queues with items, and since when nobody has taken one. */
  readonly #queues = new Map<Workqueue, number>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.nextCheck = kernel.params.debugChecks ? CHECK_NS : Infinity;
  }

  /** The running task is about to wait. */
  blocks(blocker: Blocker): void {
    const { current } = this.#kernel.sim;
    if (current !== null) this.#blocked.set(current, blocker);
  }

  /** It waits no longer. */
  unblocks(): void {
    const { current } = this.#kernel.sim;
    if (current !== null) this.#blocked.delete(current);
  }

  /** A queue has got its first item, or a worker took one. */
  queueMoved(queue: Workqueue): void {
    if (queue.items.length > 0) this.#queues.set(queue, this.#kernel.time.ktime_get());
    else this.#queues.delete(queue);
  }

  check(): void {
    const now = this.#kernel.time.ktime_get();
    this.nextCheck = now + CHECK_NS;
    for (const task of this.#waiting()) {
      if (now - task.waitingSince >= HUNG_NS) this.#report(task, `task ${task.name} blocked for more than ${HUNG_NS / 1e9} seconds`);
    }
    for (const [queue, since] of this.#queues) if (now - since >= STALL_NS) this.#stalled(queue, now - since);
  }

  /** Nothing will ever happen again: whoever waits now waits for ever, and Linux would say so after its time. */
  standstill(): void {
    if (!this.#kernel.params.debugChecks || this.#kernel.state === "gone") return;
    for (const task of this.#waiting()) this.#report(task, `task ${task.name} blocked for ever: nothing is left that could wake it`);
  }

  /** Tasks in a sleep without end; a daemon only where it is known that it does not just wait for work. */
  #waiting(): Task[] {
    return [...this.#kernel.tasks.tasks].filter((task) => {
      const { waitingFor } = task;
      if (task.state !== "waiting" || waitingFor?.kind !== "wait" || waitingFor.timeoutNs !== undefined) return false;
      return !task.daemon || this.#blocked.has(task);
    });
  }

  #report(task: Task, message: string): void {
    const details = [`${task.name} waits since ${task.waitingSince} ns: ${task.waitReason}`, ...this.#chain(task)];
    this.#kernel.debug.report("hung-task", message, { task: task.name, details, once: `${task.id} ${task.waitingSince}` });
  }

  /** Who holds what the task waits for, and what the holder waits for, and so on. */
  #chain(first: Task): string[] {
    const lines: string[] = [];
    const seen = new Set<Task>();
    for (let task: Task | null = first; task !== null && !seen.has(task);) {
      seen.add(task);
      const blocker = this.#blocked.get(task);
      if (blocker === undefined || !("mutex" in blocker)) return lines;
      const holder: Task | null = blocker.mutex.ownerTask;
      const state =
        holder === null ? "" : holder.state === "waiting" ? `, which waits: ${holder.waitReason}` : `, which is ${holder.state}`;
      lines.push(`${blocker.mutex.name} is held by ${holder?.name ?? blocker.mutex.owner ?? "nobody"}${state}`);
      task = holder;
    }
    return lines;
  }

  #stalled(queue: Workqueue, ns: number): void {
    const busy = [...this.#kernel.tasks.tasks].filter(({ name }) => name === queue.workerName);
    const details = [
      `pending: ${queue.items.map(({ name }) => name).join(", ")}`,
      ...busy.map(
        (task) => `in flight: ${task.name}, ${task.state === "waiting" ? `which waits: ${task.waitReason}` : `which is ${task.state}`}`,
      ),
    ];
    const since = this.#queues.get(queue);
    this.#kernel.debug.report("workqueue", `workqueue lockup: ${queue.name} stuck for ${Math.floor(ns / 1e9)}s`, {
      details,
      once: `${queue.name} ${since}`,
    });
  }
}

/** Notes for the check what the running task waits for without being interruptible while `wait` runs. */
export function* uninterruptible<T>(kernel: Kernel, what: string, wait: Coroutine<T>): Coroutine<T> {
  kernel.debug.hung.blocks({ what });
  try {
    return yield* wait;
  } finally {
    kernel.debug.hung.unblocks();
  }
}
