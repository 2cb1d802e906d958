// SPDX-License-Identifier: MIT
/** Keeps the books of a run by kernel: how each came, what it found, how it went down, and what its way down cost. */
import { registerField, registerOffset } from "../../hw/index.ts";
import type { Kernel } from "../../kernel/index.ts";
import type { Machine } from "../machine/machine.ts";
import type { Monitors } from "../monitors/all.ts";
import type { Leg } from "./chain.ts";
import type { WayDownCounters } from "./counters.ts";
import type { Images } from "./images.ts";
import type { DmaCounts, KernelResult, StartedBy } from "./result.ts";
import type { SecondKernel } from "./types.ts";

type Found = KernelResult["smmuFound"];

interface Entry {
  readonly kernel: Kernel;
  readonly startedBy: StartedBy;
  readonly startedAt: number;
  readonly smmuFound: Found;
  failure: "oops" | "hung" | null;
  leg: { readonly wayDown: Leg["wayDown"]; readonly at: number; readonly before: DmaCounts } | null;
}

function difference(after: DmaCounts, before: DmaCounts): DmaCounts {
  return Object.fromEntries(
    Object.entries(after).map(([key, count]) => [key, count - before[key as keyof DmaCounts]]),
  ) as unknown as DmaCounts;
}

export class KernelLedger {
  readonly #machine: Machine;
  readonly #counters: WayDownCounters;
  readonly #monitors: Monitors;
  readonly #entries: Entry[] = [];

  constructor(machine: Machine, counters: WayDownCounters, monitors: Monitors) {
    this.#machine = machine;
    this.#counters = counters;
    this.#monitors = monitors;
  }

  /** When the last way down began, virtual ns; 0 if none did. */
  get lastWayDownAt(): number {
    return this.#entries.findLast(({ leg }) => leg !== null)?.leg?.at ?? 0;
  }

  /** Everything up to now, from the first way down on. */
  counts(): DmaCounts {
    return this.#counters.counts(this.#monitors.quiet.accesses, this.#monitors.untranslated.accesses);
  }

  entered(kernel: Kernel, startedBy: StartedBy): void {
    const { simulation } = this.#machine;
    this.#entries.push({
      kernel,
      startedBy,
      startedAt: simulation.now,
      smmuFound: this.#smmu(),
      failure: null,
      leg: null,
    });
  }

  #smmu(): Found {
    const set = (register: string, field: string): boolean =>
      (this.#machine.smmu.read(registerOffset(register), 4) & registerField(register, field)) !== 0;
    return { enabled: set("CR0", "SMMUEN"), aborting: set("GBPA", "ABORT") };
  }

  goesDown(kernel: Kernel, { wayDown }: Leg): void {
    const entry = this.#entries.findLast((other) => other.kernel === kernel);
    if (entry) entry.leg = { wayDown, at: this.#machine.simulation.now, before: this.counts() };
  }

  /** What a way down, or the first boot, led to: a failure is the last kernel's that there was. */
  outcome(outcome: SecondKernel): void {
    const last = this.#entries.at(-1);
    if (last && (outcome === "oops" || outcome === "hung")) last.failure = outcome;
  }

  /** How a kernel is at the end. One that came up and oopsed later is not up. */
  #state({ failure, kernel }: Entry): KernelResult["state"] {
    return failure ?? (kernel.oopses.length > 0 ? "oops" : "up");
  }

  /** How the second kernel ended; a first one that never came to its end stands for it. */
  secondKernel(): SecondKernel {
    const [first, second] = this.#entries;
    if (second) return this.#state(second);
    return first?.failure ?? "none";
  }

  /** How each kernel that there was is at the end. */
  states(): Pick<KernelResult, "kernel" | "state">[] {
    return this.#entries.map((entry) => ({ kernel: entry.kernel.name, state: this.#state(entry) }));
  }

  /** True if a kernel behind the first way down failed, or one that never came to its end. */
  get failed(): boolean {
    return this.#entries.some((entry, index) => entry.failure !== null || (index > 0 && this.#state(entry) !== "up"));
  }

  results(images: Images): KernelResult[] {
    return this.#entries.map((entry, index): KernelResult => {
      const { kernel, startedBy, startedAt, smmuFound, leg } = entry;
      const after = this.#entries[index + 1]?.leg?.before ?? this.counts();
      return {
        kernel: kernel.name,
        startedBy,
        startedAt,
        state: this.#state(entry),
        smmuFound,
        imageBytesChanged: kernel === this.#entries[0]?.kernel ? images.damageOf(kernel).bytes : this.#monitors.next.bytesOf(kernel.name),
        wayDown: leg?.wayDown ?? null,
        wayDownAt: leg?.at ?? null,
        dma: leg === null ? null : difference(after, leg.before),
      };
    });
  }
}
