// SPDX-License-Identifier: MIT
/**
 * no-foreign-write: no device write lands in memory that its driver no longer owns (or never did). Writes of the SMMU
 * itself count too: event records go to a queue in memory as well.
 */
import type { Landing, LabTrace } from "../events.ts";
import { ByteSet } from "../shadow/byte-set.ts";
import { describePage } from "../shadow/ownership.ts";
import { Monitor } from "./monitor.ts";

export class NoForeignWrite extends Monitor {
  readonly claim = "no-foreign-write";
  readonly #bytes = new ByteSet();
  readonly #owned = new ByteSet();
  #strayAccesses = 0;

  /** Different bytes that were written without a grant. */
  get bytes(): number {
    return this.#bytes.size;
  }

  /** Those of them that belonged to somebody else at that time. */
  get ownedBytes(): number {
    return this.#owned.size;
  }

  /** Accesses, reads too, that reached memory which was not granted. */
  get strayAccesses(): number {
    return this.#strayAccesses;
  }

  attach(trace: LabTrace): void {
    trace.on("lab.landing", ({ time, data }) => this.#judge(time, data));
    trace.on("lab.smmu-access", ({ time, data }) => this.#judge(time, data));
  }

  #judge(time: number, landing: Landing): void {
    const { trespass, physical, length } = landing;
    if (trespass === undefined || physical === undefined) return;
    this.#strayAccesses++;
    if (!landing.write) return;
    this.#bytes.add(physical, length);
    if (trespass.page?.state === "owned") this.#owned.add(physical, length);
    this.broken({
      time,
      who: landing.device,
      text: `${length} bytes written into ${describePage(trespass.page)}`,
      address: landing.address,
      physical,
      ...(trespass.page && trespass.page.state !== "owned" ? { givenUpBy: trespass.page.endedBy } : {}),
    });
  }
}
