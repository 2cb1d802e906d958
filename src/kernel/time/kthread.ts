// SPDX-License-Identifier: GPL-2.0-only
/**
 * Kernel threads that can be asked to stop.
 *
 * After Linux 7.1 kernel/kthread.c: kthread_run, kthread_should_stop, kthread_stop. Lockdep follows a thread's run as if it were
 * a lock, which Linux does not. Left out: parking, binding to a CPU, kthread workers.
 */
import { answered } from "../debug/missing-yield.ts";
import { type Coroutine, type Task, WaitQueue, waitEvent } from "../../sim/index.ts";
import { uninterruptible } from "../debug/hung-task.ts";
import type { LockdepMap } from "../debug/lockdep.ts";
import { might_sleep } from "../debug/might-sleep.ts";
import type { Kernel } from "../kernel.ts";

/** A thread made by {@link kthread_run}. The body looks at `shouldStop` and ends when it is set. */
export class KThread {
  readonly name: string;
  readonly kernel: Kernel;
  /** The run of the thread, for lockdep. */
  readonly map: LockdepMap;
  shouldStop: boolean = false;
  finished: boolean = false;
  task: Task | null = null;
  /** Woken when the thread is to stop; the body may wait here too. */
  readonly wake: WaitQueue;
  readonly #ended: WaitQueue;

  constructor(kernel: Kernel, name: string) {
    this.kernel = kernel;
    this.name = name;
    this.map = kernel.debug.lockdep.pseudo(`(kthread)${name}`);
    this.wake = new WaitQueue(`kthread ${name}`);
    this.#ended = new WaitQueue(`end of kthread ${name}`);
  }

  *run(body: (thread: KThread) => Coroutine<void>): Coroutine<void> {
    const { lockdep } = this.kernel.debug;
    lockdep.acquire(this.map);
    try {
      answered(this.kernel, `thread ${this.name}`, yield* body(this));
      lockdep.release(this.map);
    } finally {
      this.finished = true;
      this.#ended.wake();
    }
  }

  *stop(): Coroutine<void> {
    might_sleep(this.kernel, "kthread_stop", this.name);
    this.shouldStop = true;
    this.wake.wake();
    this.kernel.debug.lockdep.waitFor(this.map);
    const ended = waitEvent(this.#ended, () => this.finished);
    yield* uninterruptible(this.kernel, this.name, ended);
  }
}

/** Linux's `kthread_run`. The thread may wait for ever without being a deadlock. */
export function kthread_run(kernel: Kernel, name: string, body: (thread: KThread) => Coroutine<void>): KThread {
  const thread = new KThread(kernel, name);
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
