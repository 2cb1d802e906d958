// SPDX-License-Identifier: MIT
/** suppliers-last: a supplier is shut down after each of its consumers. */
import type { LabTrace } from "../events.ts";
import { Monitor } from "./monitor.ts";

export class SuppliersLast extends Monitor {
  readonly claim = "suppliers-last";
  readonly #suppliersOf: ReadonlyMap<string, readonly string[]>;

  /** @param suppliersOf the suppliers of each consumer, by the kernel's names */
  constructor(suppliersOf: ReadonlyMap<string, readonly string[]>) {
    super();
    this.#suppliersOf = suppliersOf;
  }

  attach(trace: LabTrace): void {
    let kernel = "";
    let begun = new Set<string>();
    trace.on("kernel.shutdown", ({ time, data }) => {
      if (data.phase !== "begin") return;
      if (data.kernel !== kernel) {
        kernel = data.kernel;
        begun = new Set();
      }
      begun.add(data.device);
      for (const supplier of this.#suppliersOf.get(data.device) ?? []) {
        if (begun.has(supplier))
          this.broken({ time, who: data.device, text: `${supplier} was shut down before its consumer ${data.device}` });
      }
    });
  }
}
