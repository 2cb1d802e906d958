// SPDX-License-Identifier: GPL-2.0-only
/**
 * Who is called on the way down: reboot and panic notifiers, sys-off handlers, syscore operations, log dumpers. After Linux 7.1
 * kernel/reboot.c: register_reboot_notifier, register_sys_off_handler; kernel/panic.c: panic_notifier_list; drivers/base/syscore.c;
 * kernel/printk/printk.c: kmsg_dump_register. Left out: the older restart handlers and pm_power_off, a return value that ends a chain.
 */
import type { Coroutine } from "../../sim/index.ts";
import type { Kernel } from "../kernel.ts";

/** Why the notifiers are called. */
export type RebootAction = "SYS_RESTART" | "SYS_HALT" | "SYS_POWER_OFF";

/** Higher priorities come first; equal ones in order of registration. */
interface Prioritized {
  readonly name: string;
  /** 0 if absent. */
  readonly priority?: number;
}

/** May sleep. */
export interface RebootNotifier extends Prioritized {
  notifier_call(action: RebootAction, cmd: string): void | Coroutine<void>;
}

/** Runs with interrupts off and nothing else alive: must not sleep. */
export interface PanicNotifier extends Prioritized {
  notifier_call(message: string): void;
}

/** Linux's SYS_OFF_MODE_*. The prepare modes may sleep, the others run with interrupts off. */
export type SysOffMode = "restart-prepare" | "restart" | "power-off-prepare" | "power-off";

export interface SysOffHandler extends Prioritized {
  readonly mode: SysOffMode;
  sys_off_call(cmd: string): void | Coroutine<void>;
}

/** Why the log is dumped, from the gravest on. */
export const KMSG_DUMP_REASONS = ["KMSG_DUMP_PANIC", "KMSG_DUMP_OOPS", "KMSG_DUMP_EMERG", "KMSG_DUMP_SHUTDOWN"] as const;
export type KmsgDumpReason = (typeof KMSG_DUMP_REASONS)[number];

/** Saves the kernel log where it survives. Must not sleep. */
export interface KmsgDumper {
  readonly name: string;
  /** Called for this reason and graver ones; KMSG_DUMP_OOPS if absent. */
  readonly max_reason?: KmsgDumpReason;
  dump(reason: KmsgDumpReason): void;
}

/** Called with one CPU left, the last registered first; `resume` the other way round. */
export interface SyscoreOps {
  readonly name: string;
  shutdown?(): void;
  /** Interrupts are off. @returns 0 or -errno */
  suspend?(): number;
  resume?(): void;
}

export class RebootChains {
  readonly reboot: RebootNotifier[] = [];
  readonly panic: PanicNotifier[] = [];
  readonly sysOff: SysOffHandler[] = [];
  readonly syscore: SyscoreOps[] = [];
  readonly dumpers: KmsgDumper[] = [];

  /** The handlers of one mode in the order of their calls. */
  sysOffOf(mode: SysOffMode): SysOffHandler[] {
    return this.sysOff.filter((handler) => handler.mode === mode);
  }
}

function insert<T extends Prioritized>(chain: T[], entry: T): void {
  const index = chain.findIndex((other) => (other.priority ?? 0) < (entry.priority ?? 0));
  chain.splice(index < 0 ? chain.length : index, 0, entry);
}

function remove<T>(chain: T[], entry: T): void {
  const index = chain.indexOf(entry);
  if (index >= 0) chain.splice(index, 1);
}

export function register_reboot_notifier(kernel: Kernel, notifier: RebootNotifier): void {
  insert(kernel.reboot.chains.reboot, notifier);
}
export function unregister_reboot_notifier(kernel: Kernel, notifier: RebootNotifier): void {
  remove(kernel.reboot.chains.reboot, notifier);
}

/** `atomic_notifier_chain_register(&panic_notifier_list, …)`. */
export function register_panic_notifier(kernel: Kernel, notifier: PanicNotifier): void {
  insert(kernel.reboot.chains.panic, notifier);
}

/** `register_sys_off_handler`; the mode "restart" is what restart handlers are. */
export function register_sys_off_handler(kernel: Kernel, handler: SysOffHandler): void {
  insert(kernel.reboot.chains.sysOff, handler);
}
export function unregister_sys_off_handler(kernel: Kernel, handler: SysOffHandler): void {
  remove(kernel.reboot.chains.sysOff, handler);
}

export function register_syscore_ops(kernel: Kernel, ops: SyscoreOps): void {
  kernel.reboot.chains.syscore.push(ops);
}
export function unregister_syscore_ops(kernel: Kernel, ops: SyscoreOps): void {
  remove(kernel.reboot.chains.syscore, ops);
}

export function kmsg_dump_register(kernel: Kernel, dumper: KmsgDumper): void {
  kernel.reboot.chains.dumpers.push(dumper);
}
export function kmsg_dump_unregister(kernel: Kernel, dumper: KmsgDumper): void {
  remove(kernel.reboot.chains.dumpers, dumper);
}
