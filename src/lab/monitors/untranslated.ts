// SPDX-License-Identifier: MIT
/**
 * no-dma-after-smmu-shutdown: nothing reaches memory untranslated once the device core has passed the SMMU.
 *
 * Memory is the word: an access whose raw address nothing decodes left the SMMU untranslated and reached nothing, so it does
 * not break the claim. That was luck, and `dma.undecoded` counts it.
 *
 * The claim ends when the machine is reset or loses power, and when a later kernel's driver owns the SMMU.
 */
import type { LabTrace } from "../events.ts";
import { describeTrespass } from "../shadow/ownership.ts";
import { Monitor } from "./monitor.ts";

export class TranslatedAfterSmmu extends Monitor {
  readonly claim = "no-dma-after-smmu-shutdown";
  readonly #smmu: string;
  #accesses = 0;

  /** @param smmu the kernel's name of the SMMU */
  constructor(smmu: string) {
    super();
    this.#smmu = smmu;
  }

  /** Accesses of any outcome that devices issued after the SMMU's shutdown. */
  get accesses(): number {
    return this.#accesses;
  }

  attach(trace: LabTrace): void {
    let shutDownBy: string | null = null;
    trace.on("kernel.shutdown", ({ data }) => {
      if (data.device === this.#smmu && data.phase === "end") shutDownBy = data.kernel;
    });
    trace.on("kernel.probe", ({ data }) => {
      if (data.device === this.#smmu && data.result === "bound" && data.kernel !== shutDownBy) shutDownBy = null;
    });
    trace.on("lab.machine", ({ data }) => {
      if (data.step === "hardware-reset" || data.step === "power-cut") shutDownBy = null;
    });
    trace.on("lab.landing", ({ time, data }) => {
      if (shutDownBy === null || data.outcome === "dropped" || data.outcome === "held") return;
      this.#accesses++;
      if (data.outcome !== "bypassed" || !data.reached) return;
      const [trespass] = data.trespasses;
      this.broken({
        time,
        who: data.device,
        text: `${data.write ? "write" : "read"} of ${data.length} bytes by raw address${trespass ? `, into ${describeTrespass(trespass, data.device)}` : ""}`,
        address: data.address,
        ...(data.physical === undefined ? {} : { physical: data.physical }),
      });
    });
  }
}
