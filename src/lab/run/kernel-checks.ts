// SPDX-License-Identifier: MIT
/** What the kernels of a run said of themselves: warnings, and what their drivers still had when they ended. */
import type { Kernel, KernelCheck, Leftover } from "../../kernel/index.ts";
import type { LabTrace } from "../events.ts";

/** Warnings kept. */
const KEPT = 50;

export interface KernelWarning {
  readonly kernel: string;
  readonly time: number;
  /** Which check of a debug kernel found it; null: code itself warned. */
  readonly check: KernelCheck | null;
  readonly message: string;
  readonly task: string;
  readonly device: string | null;
  readonly details: readonly string[];
}

export interface KernelChecksResult {
  /** The first of them. */
  readonly warnings: readonly KernelWarning[];
  readonly count: number;
  /** By device: mappings, interrupts and memory in force when its kernel ended. No mistake by itself: shutdown unbinds nothing. */
  readonly leftAtEnd: readonly (Leftover & { readonly kernel: string })[];
}

export class KernelChecks {
  readonly #warnings: KernelWarning[] = [];
  #count = 0;

  attach(trace: LabTrace): void {
    // A report that names no device belongs to the one whose hook runs, if one does.
    const shutting = new Map<string, string>();
    trace.on("kernel.shutdown", ({ data: { kernel, device, phase } }) => {
      if (phase === "begin") shutting.set(kernel, device);
      else shutting.delete(kernel);
    });
    trace.on("kernel.warn", ({ time, data }) => {
      this.#count++;
      const device = data.device ?? shutting.get(data.kernel) ?? null;
      if (this.#warnings.length < KEPT) this.#warnings.push({ ...data, time, device });
    });
  }

  result(kernels: readonly Kernel[]): KernelChecksResult {
    const leftAtEnd = kernels.flatMap(({ name, debug }) => (debug.leftAtEnd ?? []).map((left) => ({ kernel: name, ...left })));
    return { warnings: this.#warnings, count: this.#count, leftAtEnd };
  }
}
