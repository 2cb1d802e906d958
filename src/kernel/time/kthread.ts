// SPDX-License-Identifier: GPL-2.0-only
/** Kernel threads that can be asked to stop. */
import { type Coroutine, type Task, WaitQueue, waitEvent } from "../../sim/index.ts";
import type { Kernel } from "../kernel.ts";

/** A thread made by {@link kthread_run}. The body looks at `shouldStop` and ends when it is set. */
export class KThread {
  readonly name: string;
  shouldStop: boolean = false;
  finished: boolean = false;
  task: Task | null = null;
  /** Woken when the thread is to stop; the body may wait here too. */
  readonly wake: WaitQueue;
  readonly #ended: WaitQueue;

  constructor(name: string) {
    this.name = name;
    this.wake = new WaitQueue(`kthread ${name}`);
    this.#ended = new WaitQueue(`end of kthread ${name}`);
  }

  *run(body: (thread: KThread) => Coroutine<void>): Coroutine<void> {
    try {
      yield* body(this);
    } finally {
      this.finished = true;
      this.#ended.wake();
    }
  }

  *stop(): Coroutine<void> {
    this.shouldStop = true;
    this.wake.wake();
    yield* waitEvent(this.#ended, () => this.finished);
  }
}

/** Linux's `kthread_run`. The thread may wait for ever without being a deadlock. */
export function kthread_run(kernel: Kernel, name: string, body: (thread: KThread) => Coroutine<void>): KThread {
  const thread = new KThread(name);
  thread.task = kernel.spawn(name, thread.run(body), { daemon: true });
  return thread;
}

/** Linux's `kthread_should_stop`. */
export function kthread_should_stop(thread: KThread): boolean {
  return thread.shouldStop;
}

/** Linux's `kthread_stop`: asks the thread to end and waits until it has. */
export function* kthread_stop(thread: KThread): Coroutine<void> {
  yield* thread.stop();
}
