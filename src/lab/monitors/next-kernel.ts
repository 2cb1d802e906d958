// SPDX-License-Identifier: MIT
/**
 * next-kernel-intact: the next kernel's image and early allocations keep their checksums, and so do those of each kernel that
 * comes after it.
 *
 * Two witnesses: a device write that lands in memory of a next kernel without a grant, seen as it happens; and the checksum of
 * the image's bytes, taken when it was loaded and again when that kernel is left or the run is over.
 */
import type { Landing, LabTrace } from "../events.ts";
import { ByteSet } from "../shadow/byte-set.ts";
import { describePage, isForeign, type PageRecord } from "../shadow/ownership.ts";
import { Monitor, rawAddress } from "./monitor.ts";

/** How a next kernel's memory differs from what was loaded. */
export interface ImageDamage {
  readonly kernel: string;
  /** Bytes that differ; 0 if nothing does or nothing was loaded. */
  readonly bytes: number;
  /** The first difference in words, for evidence. */
  readonly first: string;
}

export class NextKernelIntact extends Monitor {
  readonly claim = "next-kernel-intact";
  readonly #kernels: readonly string[];
  readonly #damage: () => readonly ImageDamage[];
  /** Bytes of each kernel that a device was seen to change, by the kernel's name. */
  readonly #written = new Map<string, ByteSet>();
  /** Bytes of each kernel that differ from what was loaded. */
  readonly #changed = new Map<string, number>();

  /**
   * @param kernels the names of all kernels that a run can have, in order: all but the first are next kernels
   * @param damage compares the memory of those that there were with what was loaded
   */
  constructor(kernels: readonly string[], damage: () => readonly ImageDamage[]) {
    super();
    this.#kernels = kernels;
    this.#damage = damage;
  }

  /** Different bytes of all next kernels that a device changed. */
  get bytes(): number {
    return this.#kernels.reduce((sum, kernel) => sum + this.bytesOf(kernel), 0);
  }

  /** Different bytes of one kernel that a device changed. */
  bytesOf(kernel: string): number {
    return Math.max(this.#written.get(kernel)?.size ?? 0, this.#changed.get(kernel) ?? 0);
  }

  attach(trace: LabTrace): void {
    trace.on("lab.landing", ({ time, data }) => this.#judge(time, data));
    trace.on("lab.smmu-access", ({ time, data }) => this.#judge(time, data));
  }

  /** The next kernel whose memory a page is: its own, or where its image waits in the memory of the kernel before it. */
  #nextKernelOf({ kernel, kind }: PageRecord): string | undefined {
    const index = this.#kernels.indexOf(kernel);
    return kind === "kexec-segment" ? this.#kernels[index + 1] : index > 0 ? kernel : undefined;
  }

  #judge(time: number, landing: Landing): void {
    if (!landing.write) return;
    for (const trespass of landing.trespasses) {
      const { address, length, page } = trespass;
      if (page === undefined || !isForeign(page, landing.device)) continue;
      const next = this.#nextKernelOf(page);
      if (next === undefined) continue;
      let bytes = this.#written.get(next);
      if (bytes === undefined) this.#written.set(next, (bytes = new ByteSet()));
      bytes.add(address, length);
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
    const damages = this.#damage();
    for (const { kernel, bytes, first } of damages) {
      this.#changed.set(kernel, bytes);
      if (bytes === 0) continue;
      const whose = damages.length > 1 ? ` of the ${kernel} kernel` : "";
      this.broken({ time: now, who: "checksum", text: `${bytes} bytes${whose} differ from what was loaded: ${first}` });
    }
  }
}
