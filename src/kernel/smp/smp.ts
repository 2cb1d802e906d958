// SPDX-License-Identifier: GPL-2.0-only
/**
 * CPUs beside the boot CPU: which are online, and how each way down gets rid of them. After Linux 7.1 kernel/smp.c: smp_init;
 * kernel/cpu.c: cpu_down, smp_shutdown_nonboot_cpus, cpu_hotplug_disable, freeze_secondary_cpus, thaw_secondary_cpus; arch/arm64/kernel/smp.c: smp_send_stop,
 * crash_smp_send_stop. Left out: everything that runs on them. All tasks and interrupts are CPU 0's, so secondary CPUs are
 * states and callbacks, and none ever refuses to stop.
 */
import { EBUSY, EINVAL } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { type CpuhpStep, CpuhpTable } from "./cpuhp.ts";

/**
 * offline: never came up, or was taken down in order. stopped: it spins where a message found it, its callbacks never ran.
 * crash-stopped: so as well, and its registers are saved for the dump.
 */
export type CpuPlace = "online" | "offline" | "stopped" | "crash-stopped";

export class Smp {
  readonly #kernel: Kernel;
  readonly #table: CpuhpTable;
  /** By number; CPU 0 is the one that runs everything. */
  readonly #cpus: CpuPlace[];
  #hotplugDisabled = 0;
  /** Those that {@link freeze_secondary_cpus} took down. */
  #frozen: number[] = [];
  #crashStopped = false;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#table = new CpuhpTable(kernel);
    this.#cpus = Array.from({ length: Math.max(1, kernel.params.cpus) }, (_, cpu) => (cpu === 0 ? "online" : "offline"));
  }

  /** Where a CPU is; undefined: there is none of this number. */
  place(cpu: number): CpuPlace | undefined {
    return this.#cpus[cpu];
  }

  get num_online_cpus(): number {
    return this.#cpus.filter((place) => place === "online").length;
  }

  /** Brings all secondary CPUs up, in order. */
  smp_init(): void {
    if (this.#cpus.length === 1) return;
    this.#kernel.printk.pr_info("smp: Bringing up secondary CPUs ...");
    for (const cpu of this.#cpus.keys()) if (cpu !== 0) this.cpu_up(cpu);
    this.#kernel.printk.pr_info(`smp: Brought up 1 node, ${this.num_online_cpus} CPUs`);
  }

  /** Adds a step, and starts it on the CPUs that are online. @returns 0, or the error of a start, with nothing added */
  cpuhp_setup_state(step: CpuhpStep): number {
    for (const cpu of this.#online()) {
      const error = step.startup?.(cpu) ?? 0;
      if (error === 0) continue;
      for (const started of this.#online()) if (started < cpu) step.teardown?.(started);
      return error;
    }
    this.#table.add(step);
    return 0;
  }

  /** Takes a step away, and tears it down on the CPUs that are online. */
  cpuhp_remove_state(step: CpuhpStep): void {
    this.#table.remove(step);
    for (const cpu of this.#online()) step.teardown?.(cpu);
  }

  #online(): number[] {
    return [...this.#cpus.keys()].filter((cpu) => this.#cpus[cpu] === "online");
  }

  /** @returns 0; -EBUSY while hotplug is disabled; -EINVAL for what is no CPU; the error of a callback */
  cpu_up(cpu: number): number {
    if (this.#hotplugDisabled > 0) return -EBUSY;
    if (this.#cpus[cpu] === undefined) return -EINVAL;
    if (this.#cpus[cpu] === "online") return 0;
    const error = this.#table.up(cpu);
    if (error === 0) this.#cpus[cpu] = "online";
    return error;
  }

  /** @returns 0; -EBUSY while hotplug is disabled or for the last CPU; -EINVAL for one that is not online; the error of a callback */
  cpu_down(cpu: number): number {
    return this.#hotplugDisabled > 0 ? -EBUSY : this.#down(cpu);
  }

  #down(cpu: number): number {
    if (this.#cpus[cpu] !== "online") return -EINVAL;
    if (this.num_online_cpus === 1) return -EBUSY;
    const error = this.#table.down(cpu);
    if (error !== 0) return error;
    this.#cpus[cpu] = "offline";
    this.#kernel.printk.pr_info(`psci: CPU${cpu} killed (polled 0 ms)`);
    return 0;
  }

  /** From now on no CPU comes or goes. Nests. */
  cpu_hotplug_disable(): void {
    this.#kernel.path("cpu_hotplug_disable");
    this.#hotplugDisabled++;
  }

  cpu_hotplug_enable(): void {
    this.#kernel.path("cpu_hotplug_enable");
    this.#hotplugDisabled = Math.max(0, this.#hotplugDisabled - 1);
  }

  /**
   * A kexec's way: every CPU but the boot CPU is taken down with all its callbacks, and none comes up again.
   * @throws KernelBug if one refuses
   */
  smp_shutdown_nonboot_cpus(): void {
    this.#kernel.path("smp_shutdown_nonboot_cpus");
    for (const cpu of this.#online()) {
      if (cpu === 0) continue;
      const error = this.cpu_down(cpu);
      if (error === 0) continue;
      this.#kernel.printk.pr_err(`Failed to offline CPU${cpu} - error=${error}`);
      break;
    }
    if (this.num_online_cpus > 1) this.#kernel.bug("kernel BUG in smp_shutdown_nonboot_cpus: other CPUs are online");
    this.#hotplugDisabled++;
  }

  /**
   * A kexec jump's way: the secondary CPUs are taken down until {@link thaw_secondary_cpus}, and nobody else brings one up
   * meanwhile; so even if one refuses. @returns 0, or the error of the one that refused
   */
  freeze_secondary_cpus(): number {
    this.#frozen = [];
    let error = 0;
    if (this.num_online_cpus > 1) this.#kernel.printk.pr_info("Disabling non-boot CPUs ...");
    for (const cpu of this.#online()) {
      if (cpu === 0) continue;
      error = this.#down(cpu);
      if (error !== 0) {
        this.#kernel.printk.pr_err(`Error taking CPU${cpu} down: ${error}`);
        break;
      }
      this.#frozen.push(cpu);
    }
    if (error !== 0) this.#kernel.printk.pr_err("Non-boot CPUs are not disabled");
    this.#hotplugDisabled++;
    return error;
  }

  /** Undoes {@link freeze_secondary_cpus}. */
  thaw_secondary_cpus(): void {
    this.#hotplugDisabled = Math.max(0, this.#hotplugDisabled - 1);
    if (this.#frozen.length > 0) this.#kernel.printk.pr_info("Enabling non-boot CPUs ...");
    for (const cpu of this.#frozen) {
      const error = this.cpu_up(cpu);
      if (error === 0) this.#kernel.printk.pr_info(`CPU${cpu} is up`);
      else this.#kernel.printk.pr_warn(`Error taking CPU${cpu} up: ${error}`);
    }
    this.#frozen = [];
  }

  /** A reset's, halt's or panic's way: the other CPUs spin where they are. No callback runs. */
  smp_send_stop(): void {
    this.#kernel.path("smp_send_stop");
    if (this.num_online_cpus > 1) this.#kernel.printk.pr_err("SMP: stopping secondary CPUs");
    this.#stop("stopped");
  }

  /** A crash's way: as {@link smp_send_stop}, and each saves its registers. Only the first call does anything. */
  crash_smp_send_stop(): void {
    if (this.#crashStopped) return;
    this.#crashStopped = true;
    this.#kernel.path("crash_smp_send_stop");
    if (this.num_online_cpus > 1) this.#kernel.printk.pr_err("SMP: stopping secondary CPUs");
    this.#stop("crash-stopped");
  }

  #stop(place: CpuPlace): void {
    for (const cpu of this.#online()) if (cpu !== 0) this.#cpus[cpu] = place;
  }
}
