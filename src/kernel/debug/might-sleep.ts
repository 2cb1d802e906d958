// SPDX-License-Identifier: GPL-2.0-only
/**
 * Functions that may sleep say so even where they do not: a caller that must not sleep is found out at its first call, and
 * not only when the lock is contended.
 *
 * After Linux 7.1 kernel/sched/core.c: __might_resched. Linux keeps silent in system states beyond running; here the ways down
 * are what is looked at, so a report is made in them too. Left out: RCU sections, non_block sections, the rate limit (a caller
 * is reported once for each function and task).
 */
import type { Kernel } from "../kernel.ts";

/** @param fn,what the function that may sleep and what it acts on, for the report */
export function might_sleep(kernel: Kernel, fn: string, what: string | number): void {
  if (kernel.cpu.atomic) complain(kernel, `${fn}(${what})`);
}

function complain(kernel: Kernel, where: string): void {
  const { cpu, debug, currentTask } = kernel;
  const bit = (on: boolean): number => (on ? 1 : 0);
  const state = `in_atomic(): ${bit(cpu.preemptCount > 0 || cpu.interruptName !== null)}, irqs_disabled(): ${bit(cpu.irqsDisabled)}`;
  const details = [`${state}, preempt_count: ${cpu.preemptCount}`, ...debug.lockdep.heldLines()];
  debug.report("atomic-sleep", `sleeping function called from invalid context at ${where}, in ${currentTask}`, {
    details,
    once: `${where} ${currentTask}`,
  });
}
