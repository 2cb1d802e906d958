// SPDX-License-Identifier: MIT
/**
 * no-missed-maintenance: no cached configuration or translation is used after its memory changed without invalidation.
 *
 * Between the change of a descriptor and the command that invalidates it, hardware may use either: a use of the old one is
 * a miss only if no maintenance drops the entry within a window of {@link WINDOW_NS}.
 */
import type { LabTrace } from "../events.ts";
import { Monitor, type Evidence } from "./monitor.ts";

/** Long enough for a driver's map, sync and unlock, short against any reuse of memory. */
export const WINDOW_NS = 1_000_000;

export class NoMissedMaintenance extends Monitor {
  readonly claim = "no-missed-maintenance";
  /** First stale use of each cache entry, while its window is open. */
  readonly #open = new Map<number, Evidence>();

  attach(trace: LabTrace): void {
    trace.on("smmu.stale-use", ({ time, data }) => {
      this.#expire(time);
      if (this.#open.has(data.entry)) return;
      this.#open.set(data.entry, {
        time,
        who: `stream ${data.streamId}`,
        text: `cached ${data.what} used: memory says ${data.inMemory}, the cache ${data.cached}; missing ${data.missing}`,
        address: data.addressHi * 0x1_0000_0000 + data.addressLo,
        physical: data.structure,
      });
    });
    trace.on("smmu.stale-dropped", ({ time, data }) => {
      this.#expire(time);
      this.#open.delete(data.entry);
    });
    trace.on("lab.machine", ({ time, data }) => {
      this.#expire(time);
      if (data.step === "hardware-reset" || data.step === "power-cut") this.#open.clear();
    });
  }

  #expire(now: number): void {
    for (const [entry, evidence] of this.#open) {
      if (now - evidence.time < WINDOW_NS) continue;
      this.#open.delete(entry);
      this.broken(evidence);
    }
  }

  override finish(now: number): void {
    this.#expire(now);
  }
}
