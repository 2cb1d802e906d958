// SPDX-License-Identifier: GPL-2.0-only
/**
 * The state of the one CPU: interrupts on or off, preemption on or off, what interrupt it serves. Together they say
 * whether running code may sleep.
 *
 * After Linux 7.1 include/linux/preempt.h and irqflags.h, kernel/sched/core.c: __schedule_bug; kernel/watchdog.c for polls that do not
 * end. Left out: softirqs as a context of their own, other CPUs.
 */
import { type Action, type Coroutine, SleepInAtomicError } from "../../sim/index.ts";
import type { Kernel } from "../kernel.ts";

export class CpuState {
  /** DAIF.I: set, the CPU takes no interrupt. */
  irqsDisabled: boolean = false;
  /** The handler or timer that runs on top of a task, or null. */
  interruptName: string | null = null;
  readonly #kernel: Kernel;
  #preemptCount = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Running code must not sleep. */
  get atomic(): boolean {
    return this.irqsDisabled || this.#preemptCount > 0 || this.interruptName !== null;
  }

  get mayTakeInterrupts(): boolean {
    return !this.irqsDisabled && this.interruptName === null;
  }

  /** Nesting of sections that must not be preempted. */
  get preemptCount(): number {
    return this.#preemptCount;
  }

  preemptDisable(): void {
    this.#preemptCount++;
  }

  /** What unwinds after its task died finds the count at 0 already. */
  preemptEnable(): void {
    this.#preemptCount = Math.max(0, this.#preemptCount - 1);
  }

  /** A task died in the middle of whatever it held: the CPU goes on in a state in which others can run. */
  taskDied(): void {
    this.irqsDisabled = false;
    this.#preemptCount = 0;
    this.interruptName = null;
  }

  /** Runs `body` as an interrupt: with interrupts off, on top of what runs. What it throws becomes an oops. */
  interrupt(name: string, body: () => void): void {
    const irqsDisabled = this.irqsDisabled;
    const outer = this.interruptName;
    this.irqsDisabled = true;
    this.interruptName = name;
    try {
      body();
    } catch (error) {
      this.#kernel.oopsFromError(error);
    } finally {
      if (outer === null) this.#kernel.debug.lockdep.interruptEnds(name);
      this.irqsDisabled = irqsDisabled;
      this.interruptName = outer;
    }
  }
}

/** Linux's `local_irq_save`. @returns what {@link local_irq_restore} needs: whether interrupts were off before */
export function local_irq_save(kernel: Kernel): boolean {
  const before = kernel.cpu.irqsDisabled;
  kernel.cpu.irqsDisabled = true;
  return before;
}

/** Linux's `local_irq_restore`; interrupts that came meanwhile are taken now. */
export function local_irq_restore(kernel: Kernel, flags: boolean): void {
  const were = kernel.cpu.irqsDisabled;
  kernel.cpu.irqsDisabled = flags;
  if (flags) return;
  if (were) kernel.debug.lockdep.interruptsOn();
  kernel.sim.pollInterrupts();
}

/** Linux's watchdog_thresh: a CPU that spins for so long is locked up. */
const LOCKUP_NS = 10e9;

/**
 * Polls without letting any other task run; with interrupts on they are taken meanwhile.
 * @throws KernelBug after {@link LOCKUP_NS}
 */
function spin(kernel: Kernel, poll: Extract<Action, { kind: "poll" }>): boolean {
  const { sim } = kernel;
  const deadline = sim.now + poll.timeoutNs;
  const lockup = sim.now + LOCKUP_NS;
  for (;;) {
    if (poll.condition()) return true;
    if (sim.now >= deadline) return false;
    if (sim.now >= lockup) kernel.bug(`watchdog: CPU0: Watchdog detected hard LOCKUP on cpu 0: polling ${poll.reason}`);
    sim.advance(Math.min(Math.max(1, poll.intervalNs), deadline - sim.now));
    sim.pollInterrupts();
  }
}

/**
 * Gives a task the rules of a kernel: in sections with interrupts or preemption off nobody else runs, its polls spin, and
 * whatever would sleep throws SleepInAtomicError into it.
 */
export function* preemptible<T>(kernel: Kernel, body: Coroutine<T>): Coroutine<T> {
  const { cpu } = kernel;
  let result = body.next(true);
  while (!result.done) {
    const action = result.value;
    // A CPU that stands still for ever, or is with another kernel, may do so with interrupts off.
    if (!cpu.atomic || action.kind === "never" || action.kind === "park") result = body.next(yield action);
    else if (action.kind === "yield") result = body.next(true);
    else if (action.kind === "poll") result = body.next(spin(kernel, action));
    else {
      const what = action.kind === "sleep" ? `sleep of ${action.ns} ns` : action.reason;
      const why = cpu.irqsDisabled ? "interrupts are off" : `preempt_count is ${cpu.preemptCount}`;
      result = body.throw(new SleepInAtomicError(`${what} while ${why}`));
    }
  }
  kernel.debug.lockdep.taskEnds(kernel.sim.current);
  if (cpu.atomic) kernel.bug(`BUG: scheduling while atomic: a task ended with ${cpu.irqsDisabled ? "interrupts off" : "preemption off"}`);
  return result.value;
}
