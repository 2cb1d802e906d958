// SPDX-License-Identifier: MIT
/** Counts what clients and the SMMU do from the first step of the first way down on. */
import type { LabTrace } from "../events.ts";
import type { DmaCounts } from "./result.ts";

/** A device counts until a later kernel's driver has bound to it: what it does then is that kernel's wish. */
export class WayDownCounters {
  #translated = 0;
  #bypassed = 0;
  #aborted = 0;
  #undecoded = 0;
  recorded = 0;
  lost = 0;
  readonly kinds: Map<string, number> = new Map<string, number>();

  attach(trace: LabTrace): void {
    let counting = false;
    let goingDown = "";
    const taken = new Set<string>();
    trace.on("lab.machine", ({ data }) => {
      if (data.step !== "way-down") return;
      counting = true;
      goingDown = data.kernel;
      taken.clear();
    });
    trace.on("kernel.probe", ({ data }) => {
      if (data.result === "bound" && data.kernel !== goingDown) taken.add(data.device);
    });
    trace.on("lab.landing", ({ data }) => {
      if (!counting || taken.has(data.device)) return;
      if (data.outcome === "dropped" || data.outcome === "held") return;
      if (data.outcome !== "translated" && data.outcome !== "bypassed") this.#aborted++;
      else if (!data.reached) this.#undecoded++;
      else if (data.outcome === "translated") this.#translated++;
      else this.#bypassed++;
    });
    trace.on("smmu.event", ({ data }) => {
      if (!counting) return;
      if (data.recorded) this.recorded++;
      else this.lost++;
      const kind = data.text.split(/[\s:,(]/, 1)[0] ?? "";
      this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1);
    });
  }

  counts(afterOwnShutdown: number, afterSmmuShutdown: number): DmaCounts {
    return {
      afterOwnShutdown,
      afterSmmuShutdown,
      translated: this.#translated,
      bypassed: this.#bypassed,
      aborted: this.#aborted,
      undecoded: this.#undecoded,
    };
  }
}
