// SPDX-License-Identifier: GPL-2.0-only
/**
 * Functions that run in tasks of their own while their caller goes on, after Linux 7.1 kernel/async.c: async_schedule_dev,
 * async_synchronize_full. Left out: domains, cookies (waiting for the earlier ones only), running in line when memory is short.
 */
import { type Coroutine, WaitQueue, waitEvent } from "../../sim/index.ts";
import type { Kernel } from "../kernel.ts";
import type { Device } from "./device.ts";

/** What a kernel has scheduled and not finished. */
export class AsyncFunctions {
  entries: number = 0;
  readonly done: WaitQueue = new WaitQueue("async_done");
}

/** Runs `fn` in a task of its own. */
export function async_schedule_dev(dev: Device, what: string, fn: () => Coroutine<void>): void {
  const { async } = dev.kernel.base;
  async.entries++;
  const body = function* (): Coroutine<void> {
    try {
      yield* fn();
    } finally {
      async.entries--;
      async.done.wake();
    }
  };
  dev.kernel.spawn(`kworker/async ${what} ${dev.name}`, body());
}

/** Waits until nothing that was scheduled is left. */
export function* async_synchronize_full(kernel: Kernel): Coroutine<void> {
  const { async } = kernel.base;
  yield* waitEvent(async.done, () => async.entries === 0);
}
