// SPDX-License-Identifier: GPL-2.0-only
/**
 * Lines of the log that may come so often and no oftener, and how many were swallowed, after Linux 7.1 lib/ratelimit.c: ___ratelimit;
 * include/linux/ratelimit_types.h. Left out: other intervals and bursts than the default, contention.
 */
import type { Kernel } from "./kernel.ts";

/** A burst of 10 in 5 s (DEFAULT_RATELIMIT_BURST, DEFAULT_RATELIMIT_INTERVAL). */
const BURST = 10;
const INTERVAL_NS = 5_000_000_000;

/** Linux's `struct ratelimit_state`. */
export class Ratelimit {
  readonly #kernel: Kernel;
  readonly #caller: string;
  /** -1: not used yet. */
  #begin = -1;
  #left = BURST;
  #missed = 0;

  /** @param caller the function that asks, for the line that tells what was swallowed */
  constructor(kernel: Kernel, caller: string) {
    this.#kernel = kernel;
    this.#caller = caller;
  }

  /** @returns whether to go on */
  allows(): boolean {
    const now = this.#kernel.time.ktime_get();
    if (this.#begin < 0) this.#begin = now;
    if (now > this.#begin + INTERVAL_NS) {
      this.#begin = now;
      this.#left = BURST;
      if (this.#missed > 0) this.#kernel.printk.pr_warn(`${this.#caller}: ${this.#missed} callbacks suppressed`);
      this.#missed = 0;
    }
    if (this.#left > 0) {
      this.#left--;
      return true;
    }
    this.#missed++;
    return false;
  }
}
