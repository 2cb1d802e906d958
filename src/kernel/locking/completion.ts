// SPDX-License-Identifier: GPL-2.0-only
/**
 * Completions that are watched: who waits with a lock held that is needed to complete is found out, even if this time all
 * went well.
 *
 * After Linux 7.1 kernel/sched/completion.c: wait_for_completion, complete, complete_all. That lockdep follows completions is more
 * than Linux does since it dropped cross-release in 4.15: what is held while completing counts as needed for it.
 * Left out: waits that signals end.
 */
import { Completion as Event, type Coroutine } from "../../sim/index.ts";
import { uninterruptible } from "../debug/hung-task.ts";
import type { LockdepMap } from "../debug/lockdep.ts";
import { might_sleep } from "../debug/might-sleep.ts";
import type { Kernel } from "../kernel.ts";
import { NSEC_PER_MSEC } from "../time/time.ts";

export class Completion extends Event {
  readonly kernel: Kernel;
  readonly map: LockdepMap;

  constructor(kernel: Kernel, name: string) {
    super(name);
    this.kernel = kernel;
    this.map = kernel.debug.lockdep.pseudo(`(completion)${name}`);
  }
}

/** Linux's `wait_for_completion`: waits for as long as it takes. */
export function* wait_for_completion(completion: Completion): Coroutine<void> {
  const { kernel } = completion;
  might_sleep(kernel, "wait_for_completion", completion.name);
  kernel.debug.lockdep.waitFor(completion.map);
  yield* uninterruptible(kernel, completion.name, completion.wait());
}

/** Linux's `wait_for_completion_timeout`, in milliseconds. @returns false if the time was over first */
export function* wait_for_completion_timeout(completion: Completion, ms: number): Coroutine<boolean> {
  const { kernel } = completion;
  might_sleep(kernel, "wait_for_completion_timeout", completion.name);
  kernel.debug.lockdep.waitFor(completion.map);
  return yield* completion.wait({ timeoutNs: ms * NSEC_PER_MSEC, now: () => kernel.time.ktime_get() });
}

/** Linux's `complete`: lets one waiter pass. */
export function complete(completion: Completion): void {
  completion.kernel.debug.lockdep.neededFor(completion.map);
  completion.complete();
}

/** Linux's `complete_all`: lets all waiters pass, now and in future. */
export function complete_all(completion: Completion): void {
  completion.kernel.debug.lockdep.neededFor(completion.map);
  completion.completeAll();
}
