// SPDX-License-Identifier: MIT
/**
 * next-kernel-intact: the next kernel's image and early allocations keep their checksums.
 *
 * Two witnesses: a device write that lands in memory of the next kernel without a grant, seen as it happens; and the
 * checksum of the image's bytes, taken when it was loaded and again when the run is over.
 */
import type { Landing, LabTrace } from "../events.ts";
import { ByteSet } from "../shadow/byte-set.ts";
import { describePage, isForeign } from "../shadow/ownership.ts";
import { Monitor, rawAddress } from "./monitor.ts";

/** How the next kernel's memory differs from what was loaded. */
export interface ImageDamage {
  /** Bytes that differ; 0 if nothing does or nothing was loaded. */
  readonly bytes: number;
  /** The first difference in words, for evidence. */
  readonly first: string;
}

export class NextKernelIntact extends Monitor {
  readonly claim = "next-kernel-intact";
  readonly #next: string;
  readonly #damage: () => ImageDamage;
  readonly #bytes = new ByteSet();
  #changed = 0;

  /**
   * @param next the name of the next kernel
   * @param damage compares its memory with what was loaded
   */
  constructor(next: string, damage: () => ImageDamage) {
    super();
    this.#next = next;
    this.#damage = damage;
  }

  /** Different bytes of the next kernel that a device changed. */
  get bytes(): number {
    return Math.max(this.#bytes.size, this.#changed);
  }

  attach(trace: LabTrace): void {
    trace.on("lab.landing", ({ time, data }) => this.#judge(time, data));
    trace.on("lab.smmu-access", ({ time, data }) => this.#judge(time, data));
  }

  #judge(time: number, landing: Landing): void {
    if (!landing.write) return;
    for (const trespass of landing.trespasses) {
      const { address, length, page } = trespass;
      if (page === undefined || !isForeign(page, landing.device)) continue;
      if (page.kernel !== this.#next && page.kind !== "kexec-segment") continue;
      this.#bytes.add(address, length);
      this.broken({
        time,
        who: landing.device,
        text: `${length} bytes of ${describePage(page)} overwritten`,
        address: rawAddress(landing, trespass),
        physical: address,
      });
    }
  }

  override finish(now: number): void {
    const { bytes, first } = this.#damage();
    this.#changed = bytes;
    if (bytes > 0) this.broken({ time: now, who: "checksum", text: `${bytes} bytes differ from what was loaded: ${first}` });
  }
}
