// SPDX-License-Identifier: MIT
/** Hand-made traces for monitors. */
import type { ClaimResult, LabEvents, LabTrace, Landing, MachineStep, Monitor, PageRecord, Trespass } from "../../../src/lab/index.ts";
import { Trace } from "../../../src/sim/index.ts";

/** A trace with one monitor on it, and short ways to say what happens. */
export class Story<M extends Monitor> {
  readonly trace: LabTrace = new Trace<LabEvents>();
  readonly monitor: M;
  now = 0;

  constructor(monitor: M) {
    this.monitor = monitor;
    this.trace.setClock(() => this.now);
    monitor.attach(this.trace);
  }

  machine(step: MachineStep, kernel: string): this {
    this.trace.emit("lab.machine", { step, kernel });
    return this;
  }

  shutdown(device: string, hook: string = "none", kernel: string = "first"): this {
    this.trace.emit("kernel.shutdown", { kernel, device, hook, driver: "driver", phase: "begin" });
    this.trace.emit("kernel.shutdown", { kernel, device, hook, driver: "driver", phase: "end" });
    return this;
  }

  bound(device: string, kernel: string): this {
    this.trace.emit("kernel.probe", { kernel, device, driver: "driver", result: "bound", error: 0, reason: null });
    return this;
  }

  dma(device: string, access: Partial<Landing> = {}): this {
    this.trace.emit("lab.landing", {
      device,
      write: true,
      address: 0xffff_0000,
      physical: 0x8000_0000,
      length: 64,
      outcome: "translated",
      reached: true,
      trespasses: [],
      ...access,
    });
    return this;
  }

  result(): ClaimResult {
    this.monitor.finish(this.now);
    return this.monitor.result();
  }
}

export function page(record: Partial<PageRecord> = {}): PageRecord {
  return {
    page: 0x80000,
    state: "owned",
    kernel: "first",
    owner: "somebody",
    kind: "kernel",
    endedBy: "",
    endedAt: 0,
    grants: null,
    grantees: null,
    ...record,
  };
}

/** The 64 bytes at 0x8000_0000 of a synthetic access, in a page that was not granted. */
export function trespass(record: PageRecord | undefined): Trespass {
  return { address: 0x8000_0000, length: 64, page: record };
}
