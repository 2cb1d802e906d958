// SPDX-License-Identifier: MIT
/**
 * no-dma-after-own-shutdown: once the device core has passed a device (hook run, or none to run), it issues no DMA.
 *
 * The duty ends when the machine is reset or loses power, and when a later kernel's driver has bound to the device: from
 * then on its DMA is that kernel's. What the later kernel granted while it was still probing is its own as well. An
 * access that never left the device's bus, because bus mastering is off, was not issued.
 */
import type { LabTrace } from "../events.ts";
import { describeTrespass } from "../shadow/ownership.ts";
import { Monitor } from "./monitor.ts";

export class QuietAfterShutdown extends Monitor {
  readonly claim = "no-dma-after-own-shutdown";
  /** The kernel whose device core passed the device, by device. */
  readonly #passed = new Map<string, { readonly kernel: string; readonly hook: string; readonly driver: string | null }>();
  #accesses = 0;

  /** Accesses that a device issued after the device core had passed it. */
  get accesses(): number {
    return this.#accesses;
  }

  attach(trace: LabTrace): void {
    let running = "";
    trace.on("kernel.shutdown", ({ data }) => {
      if (data.phase === "end") this.#passed.set(data.device, { kernel: data.kernel, hook: data.hook, driver: data.driver });
    });
    trace.on("kernel.probe", ({ data }) => {
      const passed = this.#passed.get(data.device);
      if (data.result === "bound" && passed && passed.kernel !== data.kernel) this.#passed.delete(data.device);
    });
    trace.on("lab.machine", ({ data }) => {
      running = data.kernel;
      if (data.step === "hardware-reset" || data.step === "power-cut") this.#passed.clear();
    });
    trace.on("lab.landing", ({ time, data }) => {
      const passed = this.#passed.get(data.device);
      if (!passed || data.outcome === "dropped" || data.outcome === "held") return;
      if (running !== passed.kernel && data.reached && data.trespasses.length === 0) return;
      this.#accesses++;
      const [trespass] = data.trespasses;
      const where = trespass ? `, into ${describeTrespass(trespass, data.device)}` : "";
      const none = passed.driver === null ? "no driver was bound, so no hook ran" : "had no hook to run";
      const hook = passed.hook === "none" ? none : `its hook (${passed.hook}) had returned`;
      this.broken({
        time,
        who: data.device,
        text: `${data.write ? "write" : "read"} of ${data.length} bytes, ${data.outcome}${where}; ${hook}`,
        address: data.address,
        ...(data.physical === undefined ? {} : { physical: data.physical }),
      });
    });
  }
}
