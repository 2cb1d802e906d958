// SPDX-License-Identifier: GPL-2.0-only
/**
 * Polling in soft interrupt context, as Linux's NAPI: an interrupt schedules the poll, the poll works off a budget and
 * either has itself called again or lets interrupts back in. Here the soft interrupt is a task of the kernel. After Linux 7.1
 * net/core/dev.c: napi_schedule_prep … napi_disable. Left out: threaded and busy polling, GRO, the time limit of a round.
 */
import { type Kernel, type KThread, kthread_run, kthread_should_stop, kthread_stop } from "../../../kernel/index.ts";
import { type Coroutine, sleepNs, waitEvent, yieldNow } from "../../../sim/index.ts";

/** Packets that one poll may take. */
const NAPI_POLL_WEIGHT = 64;

export class Napi {
  readonly #kernel: Kernel;
  readonly #name: string;
  readonly #poll: (budget: number) => Coroutine<number>;
  /** NAPI_STATE_SCHED: the poll is to run, or runs. Also what {@link disable} takes. */
  #scheduled = false;
  #enabled = false;
  #thread: KThread | null = null;

  /** @param poll takes a budget and returns how much of it was used; less than all means that it has completed */
  constructor(kernel: Kernel, name: string, poll: (budget: number) => Coroutine<number>) {
    this.#kernel = kernel;
    this.#name = name;
    this.#poll = poll;
  }

  /** `napi_enable`. */
  enable(): void {
    this.#enabled = true;
    this.#scheduled = false;
    this.#thread ??= kthread_run(this.#kernel, `napi/${this.#name}`, (thread) => this.#run(thread));
  }

  /** `napi_schedule`; callable from interrupts. */
  schedule(): void {
    if (!this.#enabled || this.#scheduled) return;
    this.#scheduled = true;
    this.#thread?.wake.wake();
  }

  /** `napi_complete_done`: what comes now schedules anew. */
  complete(): void {
    this.#scheduled = false;
  }

  /** `napi_synchronize`: the poll is neither scheduled nor running. */
  *synchronize(): Coroutine<void> {
    while (this.#scheduled) yield* sleepNs(1_000_000);
  }

  /** `napi_disable`: as synchronize, and it cannot be scheduled any more. */
  *disable(): Coroutine<void> {
    this.#enabled = false;
    yield* this.synchronize();
  }

  /** `netif_napi_del`: the poll is gone for good. */
  *remove(): Coroutine<void> {
    if (this.#thread) yield* kthread_stop(this.#thread);
    this.#thread = null;
  }

  *#run(thread: KThread): Coroutine<void> {
    for (;;) {
      yield* waitEvent(thread.wake, () => this.#scheduled || kthread_should_stop(thread));
      if (kthread_should_stop(thread)) return;
      while (this.#scheduled) {
        const done = yield* this.#poll(NAPI_POLL_WEIGHT);
        if (done >= NAPI_POLL_WEIGHT) yield* yieldNow();
      }
    }
  }
}
