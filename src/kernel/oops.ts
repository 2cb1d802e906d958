// SPDX-License-Identifier: GPL-2.0-only
/**
 * Oopses: what a kernel does when its own code fails. After Linux 7.1 arch/arm64/kernel/traps.c: die; kernel/panic.c: __warn,
 * check_panic_on_warn. Left out: registers and call traces, the flags of the taint, limits on how many there may be.
 */
import { SimulationMisuseError, SleepInAtomicError, type Task } from "../sim/index.ts";
import type { Device } from "./base/device.ts";
import { dev_driver_string } from "./base/device.ts";
import { CHECK_VOICE, type CheckVoice, type KernelCheck } from "./debug/checks.ts";
import type { Kernel } from "./kernel.ts";
import { ExternalAbort } from "./ports.ts";

/** Kernel code found that it cannot go on (Linux's BUG). The task that throws it oopses. */
export class KernelBug extends Error {
  readonly code = "KERNEL_BUG";
  readonly device: Device | undefined;

  constructor(message: string, device?: Device) {
    super(message);
    this.device = device;
  }
}

/** Unwinds code that was running when its kernel ended. Never an oops. */
export class KernelStopped extends Error {
  readonly code = "KERNEL_STOPPED";
}

export interface OopsRecord {
  /** Virtual nanoseconds. */
  readonly time: number;
  readonly message: string;
  readonly task: string;
  readonly device: Device | null;
  readonly error: unknown;
}

/** The first line Linux would print for a failure of kernel code. */
export function describeError(error: unknown): string {
  if (error instanceof ExternalAbort) {
    const what = error.write ? "SError Interrupt" : "synchronous external abort";
    return `Internal error: ${what}: ${error.message}`;
  }
  if (error instanceof SleepInAtomicError) return `BUG: scheduling while atomic: ${error.message}`;
  if (error instanceof KernelBug) return error.message;
  if (error instanceof Error) return `Internal error: Oops: ${error.name}: ${error.message}`;
  return `Internal error: Oops: ${String(error)}`;
}

/** How code itself warns. */
const WARN: CheckVoice = { prefix: "WARNING: ", panicOnWarn: true };

/** Something that is wrong and that the kernel survives. */
export interface WarningRecord {
  /** Virtual nanoseconds. */
  readonly time: number;
  readonly message: string;
  readonly task: string;
  readonly device: Device | null;
  /** Which check of a debug kernel found it; null: the code itself warned. */
  readonly check: KernelCheck | null;
  /** Further lines of the report. */
  readonly details: readonly string[];
}

/** What a warning says beyond its message. */
export interface WarnOptions {
  readonly check?: KernelCheck;
  /** Default: what runs. */
  readonly task?: string;
  readonly details?: readonly string[];
}

export class Oopses {
  readonly records: OopsRecord[] = [];
  readonly warnings: WarningRecord[] = [];
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** A task threw. @throws SimulationMisuseError: that is the embedding program's bug, not the kernel's */
  taskFailed(task: Task, error: unknown): void {
    if (error instanceof KernelStopped) return;
    if (error instanceof SimulationMisuseError) throw error;
    const device = error instanceof KernelBug ? error.device : undefined;
    this.#kernel.debug.lockdep.off();
    this.#kernel.cpu.taskDied();
    try {
      this.oops(describeError(error), { task: task.name, error, ...(device ? { device } : {}) });
    } catch (stopped) {
      // The task has ended already: there is nothing left to unwind.
      if (!(stopped instanceof KernelStopped)) throw stopped;
    }
  }

  /** Linux's WARN: report and go on, unless `panic_on_warn` is set. */
  warn(message: string, device: Device | null, options: WarnOptions): void {
    const kernel = this.#kernel;
    if (kernel.state === "gone") return;
    const { check = null, task = kernel.currentTask, details = [] } = options;
    const voice = check === null ? WARN : CHECK_VOICE[check];
    this.warnings.push({ time: kernel.sim.now, message, task, device, check, details });
    const { printk } = kernel;
    printk.pr_warn("------------[ cut here ]------------");
    printk.pr_warn(`${voice.prefix}${message}`);
    for (const line of details) printk.pr_warn(`  ${line}`);
    printk.pr_warn(`CPU: 0 Comm: ${task} Kernel: ${kernel.name} Time: ${kernel.sim.now} ns`);
    if (device) printk.pr_warn(`Device: ${dev_driver_string(device)} ${device.name}`);
    kernel.trace.emit("kernel.warn", { kernel: kernel.name, message, task, device: device?.name ?? null, check, details });
    if (kernel.params.panicOnWarn && voice.panicOnWarn) this.#panic("panic_on_warn set ...");
  }

  oops(message: string, options: { readonly device?: Device; readonly task?: string; readonly error?: unknown }): void {
    const kernel = this.#kernel;
    if (kernel.state === "gone") return;
    const task = options.task ?? kernel.currentTask;
    const device = options.device ?? null;
    const inInterrupt = kernel.cpu.interruptName !== null;
    const first = this.records.length === 0;
    this.records.push({ time: kernel.sim.now, message, task, device, error: options.error });
    kernel.debug.lockdep.off();
    const { printk } = kernel;
    printk.pr_emerg(message);
    printk.pr_emerg(`CPU: 0 Comm: ${task} Kernel: ${kernel.name} Time: ${kernel.sim.now} ns`);
    if (device) printk.pr_emerg(`Device: ${dev_driver_string(device)} ${device.name}`);
    printk.pr_emerg(`---[ end trace ${String(this.records.length).padStart(16, "0")} ]---`);
    kernel.setState("crashed");
    kernel.trace.emit("kernel.oops", { kernel: kernel.name, message, task, device: device?.name ?? null });
    if (inInterrupt) this.#die("Fatal exception in interrupt");
    else if (kernel.params.panicOnOops && first) this.#die("Fatal exception");
  }

  /** Code that dies in a place where the kernel cannot survive it: a crash kernel takes over before there is a panic. */
  #die(message: string): void {
    const { kexec, sim, tasks } = this.#kernel;
    kexec.crash_kexec();
    if (this.#kernel.state !== "gone") this.#panic(message);
    else if (sim.current?.group === tasks) throw new KernelStopped(message);
  }

  /** The kernel panics; whatever runs at this moment unwinds. */
  #panic(message: string): void {
    const kernel = this.#kernel;
    kernel.cpu.taskDied();
    kernel.reboot.panic_now(message);
    if (kernel.sim.current?.group === kernel.tasks) throw new KernelStopped(message);
  }
}
