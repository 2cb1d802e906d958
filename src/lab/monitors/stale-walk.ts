// SPDX-License-Identifier: MIT
/** no-stale-walk: the SMMU fetches no table (and reads no queue) from memory that was given away. */
import type { LabTrace } from "../events.ts";
import { describePage } from "../shadow/ownership.ts";
import { Monitor } from "./monitor.ts";

/** Accesses of the SMMU that are fetches of tables it was told to use. */
const FETCHES: ReadonlySet<string> = new Set(["l1std", "ste", "l1cd", "cd", "tt-s1", "tt-s2", "httu", "cmdq"]);

export class NoStaleWalk extends Monitor {
  readonly claim = "no-stale-walk";
  #walks = 0;

  get walks(): number {
    return this.#walks;
  }

  attach(trace: LabTrace): void {
    trace.on("lab.smmu-access", ({ time, data }) => {
      const [trespass] = data.trespasses;
      if (trespass === undefined || !FETCHES.has(data.access)) return;
      this.#walks++;
      const page = trespass.page;
      this.broken({
        time,
        who: data.device,
        text: `${data.access} fetched from ${describePage(page)}`,
        physical: data.address,
        ...(page && page.state !== "owned" ? { givenUpBy: page.endedBy } : {}),
      });
    });
  }
}
