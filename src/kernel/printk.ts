// SPDX-License-Identifier: GPL-2.0-only
/**
 * The kernel log: lines with level, time and Linux's device prefix, kept and traced. After Linux 7.1 kernel/printk/printk.c;
 * drivers/base/core.c: __dev_printk. Left out: consoles, the limit of the ring, rate limits, dynamic debug.
 */
import type { TraceSink } from "../sim/index.ts";
import { type Device, dev_driver_string } from "./base/device.ts";
import type { KernelEvents, LogLevel } from "./events.ts";

export interface LogLine {
  /** Nanoseconds of the kernel's clock. */
  readonly time: number;
  readonly level: LogLevel;
  readonly text: string;
}

/** A line as the console shows it: `[    1.234567] text`. */
export function formatLogLine(line: LogLine): string {
  const microseconds = Math.floor(line.time / 1000);
  const seconds = Math.floor(microseconds / 1_000_000);
  return `[${String(seconds).padStart(5)}.${String(microseconds % 1_000_000).padStart(6, "0")}] ${line.text}`;
}

/** Linux's `dev_printk` prefix: `arm-smmu-v3 2b400000.smmu: `. */
export function dev_prefix(dev: Device): string {
  const driver = dev_driver_string(dev);
  return driver === "" ? `${dev.name}: ` : `${driver} ${dev.name}: `;
}

export class Printk {
  readonly lines: LogLine[] = [];
  readonly #kernel: string;
  readonly #now: () => number;
  readonly #trace: TraceSink<KernelEvents>;

  constructor(kernel: string, now: () => number, trace: TraceSink<KernelEvents>) {
    this.#kernel = kernel;
    this.#now = now;
    this.#trace = trace;
  }

  print(level: LogLevel, text: string): void {
    this.lines.push({ time: this.#now(), level, text });
    this.#trace.emit("kernel.log", { kernel: this.#kernel, level, text });
  }

  pr_emerg(text: string): void {
    this.print("emerg", text);
  }
  pr_err(text: string): void {
    this.print("err", text);
  }
  pr_warn(text: string): void {
    this.print("warn", text);
  }
  pr_notice(text: string): void {
    this.print("notice", text);
  }
  pr_info(text: string): void {
    this.print("info", text);
  }
  pr_debug(text: string): void {
    this.print("debug", text);
  }

  dev_err(dev: Device, text: string): void {
    this.print("err", dev_prefix(dev) + text);
  }
  dev_warn(dev: Device, text: string): void {
    this.print("warn", dev_prefix(dev) + text);
  }
  dev_notice(dev: Device, text: string): void {
    this.print("notice", dev_prefix(dev) + text);
  }
  dev_info(dev: Device, text: string): void {
    this.print("info", dev_prefix(dev) + text);
  }
  dev_dbg(dev: Device, text: string): void {
    this.print("debug", dev_prefix(dev) + text);
  }
}

export function dev_err(dev: Device, text: string): void {
  dev.kernel.printk.dev_err(dev, text);
}
export function dev_warn(dev: Device, text: string): void {
  dev.kernel.printk.dev_warn(dev, text);
}
export function dev_notice(dev: Device, text: string): void {
  dev.kernel.printk.dev_notice(dev, text);
}
export function dev_info(dev: Device, text: string): void {
  dev.kernel.printk.dev_info(dev, text);
}
export function dev_dbg(dev: Device, text: string): void {
  dev.kernel.printk.dev_dbg(dev, text);
}
