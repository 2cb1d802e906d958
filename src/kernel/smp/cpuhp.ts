// SPDX-License-Identifier: GPL-2.0-only
/**
 * States that a CPU goes through on its way up and down, and who is called at each. After Linux 7.1 include/linux/cpuhotplug.h
 * and kernel/cpu.c: cpuhp_setup_state, cpuhp_invoke_callback_range. Left out: all states that nothing here hooks into, dynamic
 * ones as numbers of their own (they are called in order of registration), instances, and callbacks that sleep.
 */
import type { Kernel } from "../kernel.ts";

/** From offline to online, in Linux's order. Going up calls `startup` in this order, going down `teardown` in the opposite one. */
export const CPUHP_STATES = [
  // Run by the CPU that brings the other one up or down.
  "CPUHP_CREATE_THREADS",
  "CPUHP_NET_DEV_DEAD",
  "CPUHP_IOMMU_IOVA_DEAD",
  "CPUHP_WORKQUEUE_PREP",
  "CPUHP_TIMERS_PREPARE",
  "CPUHP_BP_PREPARE_DYN",
  "CPUHP_BRINGUP_CPU",
  // Run by the CPU itself with interrupts off; on the way down these cannot fail any more.
  "CPUHP_AP_IRQ_GIC_STARTING",
  "CPUHP_AP_ARM_ARCH_TIMER_STARTING",
  "CPUHP_TEARDOWN_CPU",
  // Run by the CPU itself; on the way down the first that fails stops it.
  "CPUHP_AP_SMPBOOT_THREADS",
  "CPUHP_AP_IRQ_AFFINITY_ONLINE",
  "CPUHP_AP_WORKQUEUE_ONLINE",
  "CPUHP_AP_ONLINE_DYN",
  "CPUHP_AP_ACTIVE",
] as const;
export type CpuhpState = (typeof CPUHP_STATES)[number];

const TEARDOWN_CPU = CPUHP_STATES.indexOf("CPUHP_TEARDOWN_CPU");

export interface CpuhpStep {
  readonly name: string;
  readonly state: CpuhpState;
  /** @returns 0 or -errno */
  startup?(cpu: number): number;
  /** @returns 0 or -errno; an error counts only while the CPU can still come back */
  teardown?(cpu: number): number;
}

export class CpuhpTable {
  readonly #steps: CpuhpStep[] = [];
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Adds a step behind those of its state. */
  add(step: CpuhpStep): void {
    const order = CPUHP_STATES.indexOf(step.state);
    const index = this.#steps.findIndex(({ state }) => CPUHP_STATES.indexOf(state) > order);
    this.#steps.splice(index < 0 ? this.#steps.length : index, 0, step);
  }

  remove(step: CpuhpStep): void {
    const index = this.#steps.indexOf(step);
    if (index >= 0) this.#steps.splice(index, 1);
  }

  /** A CPU comes up. @returns 0, or the error of the step that refused; what had started is torn down again then */
  up(cpu: number): number {
    for (const [index, step] of this.#steps.entries()) {
      const error = step.startup?.(cpu) ?? 0;
      if (error === 0) continue;
      for (const done of this.#steps.slice(0, index).toReversed()) done.teardown?.(cpu);
      return error;
    }
    return 0;
  }

  /** A CPU goes down. @returns 0, or the error of the step that refused; what had been torn down is started again then */
  down(cpu: number): number {
    for (const [index, step] of [...this.#steps.entries()].toReversed()) {
      const error = step.teardown?.(cpu) ?? 0;
      if (error === 0) continue;
      if (CPUHP_STATES.indexOf(step.state) <= TEARDOWN_CPU) {
        this.#kernel.warn(`CPU ${cpu}: ${step.name} failed in ${step.state}: ${error}`);
        continue;
      }
      for (const undone of this.#steps.slice(index + 1)) undone.startup?.(cpu);
      return error;
    }
    return 0;
  }
}
