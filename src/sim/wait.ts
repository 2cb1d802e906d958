// SPDX-License-Identifier: MIT
/** Things tasks wait for: wait queues, completions, mutexes. All wake in the order of arrival. */
import type { Action, Coroutine } from "./task.ts";

/** A list of waiters. `wake` may be called from device events and from tasks alike. */
export class WaitQueue {
  readonly name: string;
  readonly #waiters: (() => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** Used by the simulation: adds a waiter. */
  enqueue(wakeUp: () => void): void {
    this.#waiters.push(wakeUp);
  }

  /** Used by the simulation: takes a waiter off again, if it still waits. */
  leave(wakeUp: () => void): void {
    const index = this.#waiters.indexOf(wakeUp);
    if (index >= 0) this.#waiters.splice(index, 1);
  }

  get waiting(): number {
    return this.#waiters.length;
  }

  /** Wakes the first `count` waiters. */
  wake(count: number = this.#waiters.length): void {
    for (const wakeUp of this.#waiters.splice(0, count)) wakeUp();
  }
}

function wait(queue: WaitQueue, timeoutNs: number | undefined, reason: string): Action {
  return { kind: "wait", queue, timeoutNs, reason };
}

/**
 * Waits until `condition` holds, testing it at once and after each wake-up of `queue`, as Linux's `wait_event_timeout`.
 * @param timeoutNs give up after so many virtual nanoseconds; undefined waits for ever
 * @param now the virtual clock, needed only with a timeout
 * @returns whether the condition held
 */
export function* waitEvent(
  queue: WaitQueue,
  condition: () => boolean,
  options?: { readonly timeoutNs: number; readonly now: () => number },
): Coroutine<boolean> {
  const deadline = options ? options.now() + options.timeoutNs : undefined;
  while (!condition()) {
    const left = options && deadline !== undefined ? deadline - options.now() : undefined;
    if (left !== undefined && left <= 0) return false;
    yield wait(queue, left, `event on ${queue.name}`);
  }
  return true;
}

/** A one-shot event with a count, as Linux's `struct completion`. */
export class Completion {
  readonly name: string;
  readonly #queue: WaitQueue;
  #done = 0;

  constructor(name: string) {
    this.name = name;
    this.#queue = new WaitQueue(name);
  }

  /** Lets one waiter pass. */
  complete(): void {
    this.#done++;
    this.#queue.wake(1);
  }

  /** Lets all waiters pass, now and in future. */
  completeAll(): void {
    this.#done = Infinity;
    this.#queue.wake();
  }

  /** Forgets earlier completions. */
  reinit(): void {
    this.#done = 0;
  }

  get isDone(): boolean {
    return this.#done > 0;
  }

  /** @returns false if `timeoutNs` passed first */
  *wait(options?: { readonly timeoutNs: number; readonly now: () => number }): Coroutine<boolean> {
    if (!(yield* waitEvent(this.#queue, () => this.#done > 0, options))) return false;
    this.#done--;
    return true;
  }
}

/** A sleeping lock, handed over in the order of arrival. */
export class Mutex {
  readonly name: string;
  readonly #queue: WaitQueue;
  #owner: string | null = null;

  constructor(name: string) {
    this.name = name;
    this.#queue = new WaitQueue(`mutex ${name}`);
  }

  /** Who holds the lock, for people; null if nobody does. */
  get owner(): string | null {
    return this.#owner;
  }

  *lock(owner: string): Coroutine<void> {
    while (this.#owner !== null) yield wait(this.#queue, undefined, `mutex ${this.name}, held by ${this.#owner}`);
    this.#owner = owner;
  }

  tryLock(owner: string): boolean {
    if (this.#owner !== null) return false;
    this.#owner = owner;
    return true;
  }

  /** @throws Error if nobody holds the lock */
  unlock(): void {
    if (this.#owner === null) throw new Error(`mutex ${this.name} is unlocked but nobody holds it`);
    this.#owner = null;
    this.#queue.wake(1);
  }

  /** Holds the lock around `body`; an error in the body releases it. */
  *with<T>(owner: string, body: () => Coroutine<T>): Coroutine<T> {
    yield* this.lock(owner);
    try {
      return yield* body();
    } finally {
      this.unlock();
    }
  }
}
