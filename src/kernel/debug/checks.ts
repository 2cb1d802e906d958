// SPDX-License-Identifier: GPL-2.0-only
/**
 * The checks that a kernel makes on itself, and how Linux 7.1 voices each: which line heads the report, and whether
 * `panic_on_warn` cares (of WARN and KASAN it does; of lockdep, sleeping in atomic context and the watchdogs it does not).
 */

export const KERNEL_CHECKS = ["lockdep", "atomic-sleep", "kasan", "debug-objects", "dma-api", "leak", "hung-task", "workqueue"] as const;
/** lockdep: order and use of locks; kasan: memory; debug-objects: timers, works, devices; dma-api: mappings; leak: what a driver left. */
export type KernelCheck = (typeof KERNEL_CHECKS)[number];

export interface CheckVoice {
  /** What stands before the message in the log. */
  readonly prefix: string;
  readonly panicOnWarn: boolean;
}

export const CHECK_VOICE: Readonly<Record<KernelCheck, CheckVoice>> = {
  lockdep: { prefix: "WARNING: ", panicOnWarn: false },
  "atomic-sleep": { prefix: "BUG: ", panicOnWarn: false },
  kasan: { prefix: "BUG: ", panicOnWarn: true },
  "debug-objects": { prefix: "WARNING: ", panicOnWarn: true },
  "dma-api": { prefix: "WARNING: ", panicOnWarn: true },
  leak: { prefix: "WARNING: ", panicOnWarn: true },
  "hung-task": { prefix: "INFO: ", panicOnWarn: false },
  workqueue: { prefix: "BUG: ", panicOnWarn: false },
};
