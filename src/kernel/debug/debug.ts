// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a debug kernel checks all the time, in one place: the parts, the switch, and the way in which they report. A report
 * is a warning, with task, device and virtual time; the kernel goes on, as Linux does.
 */
import type { Device } from "../base/device.ts";
import type { Kernel } from "../kernel.ts";
import type { KernelCheck } from "./checks.ts";
import { HungTasks } from "./hung-task.ts";
import { UnsyncedPages } from "./iotlb.ts";
import { Lockdep } from "./lockdep.ts";
import { type Leftover, leftovers } from "./leaks.ts";
import { DebugObjects } from "./odebug.ts";

export interface ReportOptions {
  readonly device?: Device | null;
  /** Default: what runs. */
  readonly task?: string;
  /** Further lines of the report. */
  readonly details?: readonly string[];
  /** A second report with the same key is not made. */
  readonly once?: string;
}

export class KernelDebug {
  /** `debugChecks` of the command line. */
  readonly enabled: boolean;
  readonly lockdep: Lockdep;
  readonly hung: HungTasks;
  readonly objects: DebugObjects;
  readonly unsynced: UnsyncedPages;
  /** What devices still had when the kernel ended; null while it runs. */
  leftAtEnd: readonly Leftover[] | null = null;
  readonly #kernel: Kernel;
  readonly #reported = new Set<string>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.enabled = kernel.params.debugChecks;
    this.lockdep = new Lockdep(kernel);
    this.hung = new HungTasks(kernel);
    this.objects = new DebugObjects(kernel);
    this.unsynced = new UnsyncedPages(kernel);
  }

  /** Reports, if the checks are on. */
  report(check: KernelCheck, message: string, options: ReportOptions = {}): void {
    if (!this.enabled) return;
    const { once, device, task, details } = options;
    if (once !== undefined) {
      const key = `${check} ${once}`;
      if (this.#reported.has(key)) return;
      this.#reported.add(key);
    }
    this.#kernel.warn(message, device ?? undefined, { check, ...(task === undefined ? {} : { task }), ...(details ? { details } : {}) });
  }

  /** The kernel ends. */
  ended(): void {
    if (this.enabled) this.leftAtEnd ??= leftovers(this.#kernel);
  }
}
