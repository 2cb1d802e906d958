// SPDX-License-Identifier: GPL-2.0-only
/** What a kernel traces. `kernel` is always the name of the kernel; devices, drivers and tasks are given by name. */

import type { KernelCheck } from "./debug/checks.ts";

export type LogLevel = "emerg" | "err" | "warn" | "notice" | "info" | "debug";

/** A kernel's life: `gone` once no CPU runs it any more. */
export type KernelState = "booting" | "running" | "restart" | "power-off" | "halt" | "crashed" | "gone";

export interface KernelEvents {
  /** A line of the kernel log, with its device prefix. */
  "kernel.log": { readonly kernel: string; readonly level: LogLevel; readonly text: string };
  /** A driver was tried on a device. */
  "kernel.probe": {
    readonly kernel: string;
    readonly device: string;
    readonly driver: string;
    readonly result: "bound" | "deferred" | "failed";
    /** 0 or -errno. */
    readonly error: number;
  };
  /** A driver let go of a device. */
  "kernel.unbind": { readonly kernel: string; readonly device: string; readonly driver: string };
  /** A device joined the device list, left it, or moved to its tail. */
  "kernel.device": { readonly kernel: string; readonly device: string; readonly what: "added" | "removed" | "moved-to-tail" };
  /** device_shutdown passes a device, with the hook it runs: `driver hdlcd`, `bus pci`, `class tpm shutdown_pre`, or `none`. */
  "kernel.shutdown": {
    readonly kernel: string;
    readonly device: string;
    readonly hook: string;
    readonly phase: "begin" | "end";
  };
  /** Runtime PM moved a device. */
  "kernel.rpm": { readonly kernel: string; readonly device: string; readonly status: "active" | "resuming" | "suspended" | "suspending" };
  /** A step of a way down (a reboot, a kexec, a panic), by the name of Linux's function. */
  "kernel.path": { readonly kernel: string; readonly step: string };
  "kernel.oops": { readonly kernel: string; readonly message: string; readonly task: string; readonly device: string | null };
  /** Something is wrong that the kernel survives: WARN, lockdep, the DMA API's debug checks and their like. */
  "kernel.warn": {
    readonly kernel: string;
    readonly message: string;
    readonly task: string;
    readonly device: string | null;
    /** Which check of a debug kernel found it; null: none, the code itself warned. */
    readonly check: KernelCheck | null;
    readonly details: readonly string[];
  };
  /** The CPU leaves this kernel for another. jump: to one that boots, to come back. return: to one that waits for that. */
  "kernel.jump": { readonly from: string; readonly to: "kexec" | "crash" | "jump" | "return" };
  "kernel.state": { readonly kernel: string; readonly state: KernelState };
  /** An interrupt handler ran. */
  "kernel.irq": {
    readonly kernel: string;
    readonly intid: number;
    readonly name: string;
    readonly what: "hard" | "thread" | "spurious" | "disabled";
  };
}
