// SPDX-License-Identifier: MIT
/**
 * no-foreign-write: no device write lands in memory that its driver no longer owns (or never did). Writes of the SMMU
 * itself count too: event records go to a queue in memory as well.
 */
import type { Landing, LabTrace } from "../events.ts";
import { ByteSet } from "../shadow/byte-set.ts";
import { describeTrespass, isForeign } from "../shadow/ownership.ts";
import { Monitor, rawAddress } from "./monitor.ts";

export class NoForeignWrite extends Monitor {
  readonly claim = "no-foreign-write";
  readonly #bytes = new ByteSet();
  readonly #owned = new ByteSet();
  #strayAccesses = 0;

  /** Different bytes that were written without a grant. */
  get bytes(): number {
    return this.#bytes.size;
  }

  /** Those of them that belonged to somebody else at that time: see {@link isForeign}. */
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
    const { trespasses, device } = landing;
    if (trespasses.length === 0) return;
    this.#strayAccesses++;
    if (!landing.write) return;
    for (const trespass of trespasses) {
      const { address, length, page } = trespass;
      this.#bytes.add(address, length);
      if (isForeign(page, device)) this.#owned.add(address, length);
      this.broken({
        time,
        who: device,
        text: `${length} bytes written into ${describeTrespass(trespass, device)}`,
        address: rawAddress(landing, trespass),
        physical: address,
        ...(page && page.state !== "owned" ? { givenUpBy: page.endedBy } : {}),
      });
    }
  }
}
