// SPDX-License-Identifier: GPL-2.0-only
/**
 * The ways down. After Linux 7.1 kernel/reboot.c: kernel_restart, kernel_halt, kernel_power_off, emergency_restart; kernel/panic.c:
 * panic; arch/arm64/kernel/process.c: machine_restart, machine_halt, machine_power_off. The orderly ones (restart, halt, power-off)
 * call the notifiers and shut every device down first; an emergency restart and a panic call neither. Each step is traced as
 * "kernel.path". None of them comes back: the CPU goes to the firmware, or stands still. Left out: user space and its helpers, the
 * `reboot=` modes, EFI, Ctrl-Alt-Del, hibernation, hw_protection_trigger, and what a panic prints beyond its message.
 */
import { type Coroutine, never } from "../../sim/index.ts";
import { device_shutdown } from "../base/shutdown.ts";
import type { KernelState } from "../events.ts";
import type { Kernel } from "../kernel.ts";
import { Mutex } from "../locking/mutex.ts";
import { KernelStopped } from "../oops.ts";
import { KMSG_DUMP_REASONS, type KmsgDumpReason, RebootChains, type RebootAction, type SysOffMode } from "./chains.ts";

export * from "./chains.ts";

const SYSTEM_STATE: Readonly<Record<RebootAction, KernelState>> = {
  SYS_RESTART: "restart",
  SYS_HALT: "halt",
  SYS_POWER_OFF: "power-off",
};

export class RebootCore {
  readonly chains: RebootChains = new RebootChains();
  /** Held from the first step of an orderly way down to its end. */
  readonly system_transition_mutex: Mutex;
  /**
   * Virtual nanoseconds that console and firmware take between the end of the kernel and the reset or power-off. Devices
   * run on meanwhile.
   */
  resetDelayNs: number = 0;
  /** Seconds to wait before a panicked kernel restarts; 0 never, negative at once. */
  panic_timeout: number = 0;
  #panicking = false;
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.system_transition_mutex = new Mutex(kernel, "system_transition_mutex");
  }

  /** Reboots through the firmware's reset, all devices told first. Does not return. */
  *kernel_restart(cmd: string = ""): Coroutine<never> {
    yield* this.lock();
    yield* this.kernel_restart_prepare(cmd);
    yield* this.#sysOffPrepare("restart-prepare", "do_kernel_restart_prepare", cmd);
    this.migrate_to_reboot_cpu();
    this.syscore_shutdown();
    this.#kernel.printk.pr_emerg(cmd === "" ? "reboot: Restarting system" : `reboot: Restarting system with command '${cmd}'`);
    this.kmsg_dump();
    this.#machine_restart(cmd);
    return yield* never("machine_restart");
  }

  /** Stops with the power on, all devices told first. Does not return. Devices that did not stop run on. */
  *kernel_halt(): Coroutine<never> {
    yield* this.lock();
    yield* this.#kernel_shutdown_prepare("SYS_HALT", "");
    this.migrate_to_reboot_cpu();
    this.syscore_shutdown();
    this.#kernel.printk.pr_emerg("reboot: System halted");
    this.kmsg_dump();
    this.#enterMachine("machine_halt");
    this.#leave(0, () => this.#kernel.platform.firmware.halt());
    return yield* never("machine_halt");
  }

  /** Powers off, all devices told first. Does not return. */
  *kernel_power_off(): Coroutine<never> {
    yield* this.lock();
    yield* this.#kernel_shutdown_prepare("SYS_POWER_OFF", "");
    yield* this.#sysOffPrepare("power-off-prepare", "do_kernel_power_off_prepare", "");
    this.migrate_to_reboot_cpu();
    this.syscore_shutdown();
    this.#kernel.printk.pr_emerg("reboot: Power down");
    this.kmsg_dump();
    this.#enterMachine("machine_power_off");
    this.#sysOffAtomic("power-off", "do_kernel_power_off", "");
    this.#leave(this.resetDelayNs, () => this.#kernel.platform.firmware.systemOff());
    return yield* never("machine_power_off");
  }

  /**
   * Resets at once: no notifier, no device_shutdown. May be called from anywhere; the running task goes no further.
   * @throws KernelStopped into a task of this kernel
   */
  emergency_restart(): void {
    if (this.#isGone()) return;
    this.#kernel.path("emergency_restart");
    this.kmsg_dump("KMSG_DUMP_EMERG");
    this.#kernel.setState("restart");
    this.#kernel.path("machine_emergency_restart");
    this.#machine_restart("");
    this.#unwind("emergency_restart");
  }

  /** The kernel cannot go on: the crash kernel takes over if there is one. Does not return. */
  *panic(message: string): Coroutine<never> {
    this.panic_now(message);
    return yield* never("panic");
  }

  /**
   * As {@link panic}, for code that cannot wait. It returns: the CPU hangs with no other task left, or went to the crash
   * kernel. The caller must not go on either way.
   */
  panic_now(message: string): void {
    const kernel = this.#kernel;
    if (this.#panicking || kernel.state === "gone") return;
    this.#panicking = true;
    kernel.path("panic");
    this.#localIrqDisable();
    kernel.setState("crashed");
    kernel.printk.pr_emerg(`Kernel panic - not syncing: ${message}`);
    // With crash_kexec_post_notifiers the crash kernel comes last, and depends on what the notifiers have left of the machine.
    const crashLast = kernel.params.crashKexecPostNotifiers;
    if (!crashLast) kernel.kexec.__crash_kexec();
    if (this.#isGone()) return;
    kernel.path("panic_other_cpus_shutdown");
    if (crashLast) kernel.smp.crash_smp_send_stop();
    else kernel.smp.smp_send_stop();
    this.#killOtherTasks();
    kernel.path("panic_notifier_list");
    for (const notifier of this.chains.panic) notifier.notifier_call(message);
    this.kmsg_dump("KMSG_DUMP_PANIC");
    if (crashLast) kernel.kexec.__crash_kexec();
    if (this.#isGone()) return;
    if (this.panic_timeout > 0) {
      kernel.printk.pr_emerg(`Rebooting in ${this.panic_timeout} seconds..`);
      kernel.sim.advance(this.panic_timeout * 1e9);
    }
    if (this.panic_timeout !== 0) {
      this.emergency_restart();
      return;
    }
    kernel.printk.pr_emerg(`---[ end Kernel panic - not syncing: ${message} ]---`);
    kernel.irq.stop();
  }

  // Steps that a kexec shares.

  /** The reboot system call's lock. */
  *lock(): Coroutine<void> {
    yield* this.system_transition_mutex.lock(this.#kernel.currentTask);
    this.#kernel.path("system_transition_mutex");
  }

  /** `kernel_restart_prepare`: notifiers, system state, devices. */
  *kernel_restart_prepare(cmd: string): Coroutine<void> {
    this.#kernel.path("kernel_restart_prepare");
    yield* this.#prepare("SYS_RESTART", cmd);
  }

  migrate_to_reboot_cpu(): void {
    this.#kernel.path("migrate_to_reboot_cpu");
    this.#kernel.smp.cpu_hotplug_disable();
  }

  /** The last registered goes first. */
  syscore_shutdown(): void {
    this.#kernel.path("syscore_shutdown");
    for (const ops of this.chains.syscore.toReversed()) ops.shutdown?.();
  }

  /** Calls the dumpers that want to hear of this reason, in order of registration. */
  kmsg_dump(reason: KmsgDumpReason = "KMSG_DUMP_SHUTDOWN"): void {
    this.#kernel.path("kmsg_dump");
    const gravity = KMSG_DUMP_REASONS.indexOf(reason);
    for (const dumper of this.chains.dumpers) {
      if (gravity <= KMSG_DUMP_REASONS.indexOf(dumper.max_reason ?? "KMSG_DUMP_OOPS")) dumper.dump(reason);
    }
  }

  *#kernel_shutdown_prepare(action: RebootAction, cmd: string): Coroutine<void> {
    this.#kernel.path("kernel_shutdown_prepare");
    yield* this.#prepare(action, cmd);
  }

  *#prepare(action: RebootAction, cmd: string): Coroutine<void> {
    const kernel = this.#kernel;
    kernel.path(`reboot_notifier_list ${action}`);
    for (const notifier of this.chains.reboot.slice()) {
      const waiting = notifier.notifier_call(action, cmd);
      if (waiting) yield* waiting;
    }
    kernel.setState(SYSTEM_STATE[action]);
    kernel.path("usermodehelper_disable");
    kernel.path("device_shutdown");
    yield* device_shutdown(kernel);
  }

  *#sysOffPrepare(mode: SysOffMode, step: string, cmd: string): Coroutine<void> {
    this.#kernel.path(step);
    for (const handler of this.chains.sysOffOf(mode)) {
      const waiting = handler.sys_off_call(cmd);
      if (waiting) yield* waiting;
    }
  }

  #machine_restart(cmd: string): void {
    this.#enterMachine("machine_restart");
    this.#sysOffAtomic("restart", "do_kernel_restart", cmd);
    this.#leave(this.resetDelayNs, () => this.#kernel.platform.firmware.systemReset());
  }

  /** The machine's part of every way down begins with the interrupts off and the other CPUs stopped. */
  #enterMachine(step: string): void {
    this.#kernel.path(step);
    this.#localIrqDisable();
    this.#kernel.smp.smp_send_stop();
  }

  /** Handlers that wait spin: interrupts are off. */
  #sysOffAtomic(mode: SysOffMode, step: string, cmd: string): void {
    this.#kernel.path(step);
    for (const handler of this.chains.sysOffOf(mode)) {
      const waiting = handler.sys_off_call(cmd);
      if (waiting) this.#kernel.sim.runAtomic(waiting);
    }
  }

  #localIrqDisable(): void {
    this.#kernel.cpu.irqsDisabled = true;
  }

  /**
   * The CPU leaves this kernel; devices go on for `delayNs` before the firmware acts. Inside a device event time cannot
   * pass, so the firmware acts in an event of its own.
   */
  #leave(delayNs: number, act: () => void): void {
    const { sim } = this.#kernel;
    this.#kernel.stop();
    if (sim.inDeviceEvent) {
      sim.after(delayNs, act);
      return;
    }
    sim.advance(delayNs);
    act();
  }

  #isGone(): boolean {
    return this.#kernel.state === "gone";
  }

  #killOtherTasks(): void {
    const { sim, tasks } = this.#kernel;
    for (const task of tasks.tasks) if (task !== sim.current) sim.killTask(task);
  }

  #unwind(what: string): void {
    if (this.#kernel.sim.current?.group === this.#kernel.tasks) throw new KernelStopped(what);
  }
}
