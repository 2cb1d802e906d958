// SPDX-License-Identifier: MIT
/**
 * Who waited for whom while the kernels of a run booted: what Linux lists in debugfs as devices_deferred and logs as "deferred
 * probe pending", and which clients never came to work.
 *
 * A deferred device moves to the tail of the device list, so a supplier that nobody drives in a run moves its consumers, where
 * on a board with all its drivers it would not.
 */
import type { Kernel } from "../../kernel/index.ts";
import type { LabTrace } from "../events.ts";

/** A device that waited until `deferred_probe_timeout`. A device whose supplier came in time is none. */
export interface DeferredProbe {
  readonly kernel: string;
  readonly device: string;
  /** What Linux gives as the reason: `supplier regulator-panel not ready`; null: its driver gave none. */
  readonly reason: string | null;
  /** The supplier that the reason names; null: it names none. */
  readonly supplier: string | null;
  /** What there is of the supplier in this run; null where none is named. */
  readonly supplierState: "no-device" | "no-driver" | "not-bound" | "bound" | null;
  /** bound-after-timeout: it was probed once nobody waited any longer. pending: it is deferred to the end. */
  readonly outcome: "bound-after-timeout" | "pending";
}

/** An active client that did no DMA before its kernel went down. */
export interface IdleClient {
  readonly kernel: string;
  readonly device: string;
  readonly why: string;
}

const SUPPLIER = /^(?:wait for )?supplier (\S+)/;

function supplierState(kernel: Kernel, supplier: string): DeferredProbe["supplierState"] {
  const dev = kernel.base.findDevice(supplier);
  if (dev === null) return "no-device";
  if (dev.driver !== null) return "bound";
  return dev.can_match ? "not-bound" : "no-driver";
}

function deferral(kernel: Kernel, device: string, reason: string | null, outcome: DeferredProbe["outcome"]): DeferredProbe {
  const supplier = SUPPLIER.exec(reason ?? "")?.[1] ?? null;
  return {
    kernel: kernel.name,
    device,
    reason,
    supplier,
    supplierState: supplier === null ? null : supplierState(kernel, supplier),
    outcome,
  };
}

/** Probes of one kernel by device. */
interface Tries {
  readonly reasons: Map<string, string | null>;
  readonly errors: Map<string, number>;
}

export class ProbeBook {
  readonly deferred: DeferredProbe[] = [];
  readonly #tries = new Map<string, Tries>();
  readonly #booted = new Set<Kernel>();
  /** Devices whose last access was refused, and when. */
  readonly #refused = new Map<string, number>();
  readonly #kernels: readonly Kernel[];

  /** @param kernels those of the run, as they come */
  constructor(kernels: readonly Kernel[]) {
    this.#kernels = kernels;
  }

  #of(kernel: string): Tries {
    let found = this.#tries.get(kernel);
    if (!found) this.#tries.set(kernel, (found = { reasons: new Map(), errors: new Map() }));
    return found;
  }

  attach(trace: LabTrace): void {
    trace.on("kernel.probe", ({ data: { kernel: name, device, result, error, reason } }) => {
      const tries = this.#of(name);
      if (result === "deferred") tries.reasons.set(device, reason);
      else if (result === "failed") tries.errors.set(device, error);
      const kernel = this.#kernels.find((one) => one.name === name);
      if (result === "bound" && kernel?.base.deferred.timed_out && tries.reasons.has(device))
        this.deferred.push(deferral(kernel, device, tries.reasons.get(device) ?? null, "bound-after-timeout"));
    });
    trace.on("lab.landing", ({ time, data: { device, outcome } }) => {
      if (outcome === "aborted") this.#refused.set(device, time);
      else this.#refused.delete(device);
    });
    // Booting is over, and nobody waits any longer. Shutdown empties the list of devices, so look now.
    trace.on("kernel.state", ({ data: { kernel: name, state } }) => {
      const kernel = this.#kernels.find((one) => one.name === name);
      // A kernel that comes back from a jump has booted before.
      if (state !== "running" || !kernel || this.#booted.has(kernel)) return;
      this.#booted.add(kernel);
      for (const dev of kernel.base.deferred.pending) this.deferred.push(deferral(kernel, dev.name, dev.deferred_probe_reason, "pending"));
    });
  }

  /**
   * Why a client of a kernel that is up does no DMA.
   * @param host name of the host bridge that a PCI function hangs below
   * @param origin when the way down began, virtual ns
   */
  why(kernel: Kernel, device: string, host: string | undefined, origin: number): string {
    const dev = kernel.base.findDevice(device);
    if (dev === null) {
      const above = host === undefined ? "" : `: its host bridge ${host} ${this.#unbound(kernel, host)}`;
      return `the kernel has no such device${above}`;
    }
    if (dev.driver === null) return `it ${this.#unbound(kernel, device)}`;
    const refused = this.#refused.get(device);
    const before = refused === undefined ? "" : `; its last access, at +${((refused - origin) / 1e6).toFixed(3)} ms, was refused`;
    return `${dev.driver.name} is bound to it, and it never began${before}`;
  }

  #unbound(kernel: Kernel, device: string): string {
    const dev = kernel.base.findDevice(device);
    if (dev?.driver) return `has a driver, ${dev.driver.name}`;
    if (dev?.deferred_node.linked) return `waits to be probed (${dev.deferred_probe_reason ?? "reason unknown"})`;
    const error = this.#of(kernel.name).errors.get(device);
    if (error !== undefined) return `has no driver: its probe failed with error ${error}`;
    return "has no driver in this kernel";
  }
}
