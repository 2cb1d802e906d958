// SPDX-License-Identifier: MIT
/**
 * Tasks: kernel threads, interrupt threads and workers as generator coroutines.
 *
 * A coroutine yields an action; the simulation carries it out and resumes the coroutine with true, or with false when a
 * timeout ended the wait. Code that must wait is `function*` and calls other such code with `yield*`.
 */
import type { ScheduledEvent } from "./event-heap.ts";
import type { WaitQueue } from "./wait.ts";

export type Action =
  /** Let others run. */
  | { readonly kind: "yield" }
  | { readonly kind: "sleep"; readonly ns: number }
  /** Block until the queue is woken. */
  | { readonly kind: "wait"; readonly queue: WaitQueue; readonly timeoutNs: number | undefined; readonly reason: string }
  /** Test the condition now and then every `intervalNs`, until it holds or `timeoutNs` is over. */
  | {
      readonly kind: "poll";
      readonly condition: () => boolean;
      readonly intervalNs: number;
      readonly timeoutNs: number;
      readonly reason: string;
    }
  /** Stand still until {@link Simulation.unpark}. */
  | { readonly kind: "park"; readonly reason: string }
  /** Never resume. */
  | { readonly kind: "never"; readonly reason: string };

/** A computation that may wait: resumed with true, or with false after a timeout. */
export type Coroutine<T> = Generator<Action, T, boolean>;

/** The action of {@link yieldNow}: the same object each time, since it carries nothing. */
export const YIELD: Action = { kind: "yield" };

/**
 * A coroutine that yields one action and ends. A class and not a generator, because making a generator costs several times
 * what a step of a task does, and this is what most steps end in.
 */
class Pause implements Generator<Action, void, boolean> {
  readonly #yielded: IteratorYieldResult<Action>;
  #over = false;

  constructor(yielded: IteratorYieldResult<Action>) {
    this.#yielded = yielded;
  }

  next(): IteratorResult<Action, void> {
    if (this.#over) return PAUSED;
    this.#over = true;
    return this.#yielded;
  }

  return(): IteratorResult<Action, void> {
    this.#over = true;
    return PAUSED;
  }

  throw(error: unknown): never {
    this.#over = true;
    throw error;
  }

  [Symbol.iterator](): this {
    return this;
  }
}

const PAUSED: IteratorReturnResult<void> = { value: undefined, done: true };
const YIELDED: IteratorYieldResult<Action> = { value: YIELD, done: false };

/** Lets other tasks run. */
export function yieldNow(): Coroutine<void> {
  return new Pause(YIELDED);
}

/** Sleeps for `ns` virtual nanoseconds, at least 0. */
export function sleepNs(ns: number): Coroutine<void> {
  return new Pause({ value: { kind: "sleep", ns }, done: false });
}

/**
 * Polls a condition: now, then every `intervalNs` (at least 1), for at most `timeoutNs`. The condition is tested once
 * more when the time is over, as Linux's `read_poll_timeout` does.
 * @returns whether the condition held
 */
export function* pollUntil(condition: () => boolean, intervalNs: number, timeoutNs: number, reason: string): Coroutine<boolean> {
  return yield { kind: "poll", condition, intervalNs, timeoutNs, reason };
}

/** Blocks for ever: what a CPU does after it jumped away from the code it ran. */
export function* never(reason: string): Coroutine<never> {
  for (;;) yield { kind: "never", reason };
}

/** Stands still until somebody calls {@link Simulation.unpark}: what a CPU does that has gone elsewhere and means to come back. */
export function* park(reason: string): Coroutine<void> {
  yield { kind: "park", reason };
}

export type TaskState = "runnable" | "waiting" | "done" | "killed";

/** Tasks that die together and are held together: those of one kernel. */
export class TaskGroup {
  readonly name: string;
  /** Called when a task of the group throws; without it the error leaves {@link Simulation.run}. */
  onError: ((task: Task, error: unknown) => void) | null = null;
  readonly tasks: Set<Task> = new Set<Task>();
  /** Since when the group is held, in virtual ns; null: it is not. See {@link Simulation.hold}. */
  heldSince: number | null = null;
  /** Virtual ns for which it was held before. */
  heldNs = 0;
  /** While it is held: tasks that can run at the release, and tasks whose time goes on then; each in order. */
  readonly heldRunnable: Task[] = [];
  readonly heldTimers: Task[] = [];

  constructor(name: string) {
    this.name = name;
  }
}

/** A running coroutine. Made by {@link Simulation.spawn}. */
export class Task {
  readonly id: number;
  readonly name: string;
  readonly group: TaskGroup;
  /** A daemon may wait for ever without being a deadlock. */
  readonly daemon: boolean;
  readonly body: Coroutine<unknown>;
  state: TaskState = "runnable";
  /** What the task waits for, with {@link state} "waiting", and since when (ns, see {@link Simulation.timeOf}). */
  waitingFor: Action | null = null;
  waitingSince = 0;
  /** What the coroutine is resumed with. */
  resume = true;
  /** A poll in progress, and when it gives up (ns, see {@link Simulation.timeOf}). */
  poll: Extract<Action, { kind: "poll" }> | null = null;
  pollDeadline = 0;
  /** What would wake the task: the end of a sleep or of a wait's time, and the queue that it stands in. */
  timer: ScheduledEvent | null = null;
  /** What {@link timer} does. */
  alarm: (() => void) | null = null;
  /** Of a held task instead of {@link timer}: the ns that are left of it. */
  timeLeft: number | null = null;
  queue: WaitQueue | null = null;
  /** Wake the task: its wait is over, or its time is. Made when it first blocks. */
  wakeUp: (() => void) | null = null;
  timeOut: (() => void) | null = null;

  constructor(id: number, name: string, group: TaskGroup, daemon: boolean, body: Coroutine<unknown>) {
    this.id = id;
    this.name = name;
    this.group = group;
    this.daemon = daemon;
    this.body = body;
  }
  /** Why the task waits, for people. */
  get waitReason(): string {
    const action = this.waitingFor;
    if (action === null || action.kind === "yield") return "";
    return action.kind === "sleep" ? `sleep of ${action.ns} ns` : action.reason;
  }
}
