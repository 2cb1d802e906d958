// SPDX-License-Identifier: MIT
/** Records where DMA landed over time, small enough to keep for every cell of a matrix. */
import type { Landing, LabTrace } from "../events.ts";
import { describeTrespass } from "../shadow/ownership.ts";
import { LANDING_CLASSES, type LandingClass, type LandingSite, type Timeline } from "./result.ts";

/** Slices in a finished timeline. */
const BINS = 120;
/** Slices while the end is unknown. */
const FINE_NS = 50_000;
/** Distinct sites kept. */
const SITES = 12;

export function classify(landing: Landing): LandingClass {
  if (landing.outcome === "dropped" || landing.outcome === "held") return "dropped";
  if (landing.outcome !== "translated" && landing.outcome !== "bypassed") return "aborted";
  if (!landing.reached) return "undecoded";
  if (landing.outcome === "bypassed") return "bypassed";
  return landing.trespasses.length === 0 ? "granted" : "ungranted";
}

export class TimelineRecorder {
  readonly #fine = new Map<number, Record<LandingClass, number>>();
  readonly #sites = new Map<string, { who: string; what: string; writes: number; reads: number; first: number }>();

  attach(trace: LabTrace): void {
    trace.on("lab.landing", ({ time, data }) => {
      const index = Math.floor(time / FINE_NS);
      let bin = this.#fine.get(index);
      if (bin === undefined) {
        bin = { granted: 0, ungranted: 0, bypassed: 0, undecoded: 0, aborted: 0, dropped: 0 };
        this.#fine.set(index, bin);
      }
      bin[classify(data)]++;
      this.#note(time, data);
    });
    trace.on("lab.smmu-access", ({ time, data }) => this.#note(time, data));
  }

  #note(time: number, landing: Landing): void {
    for (const trespass of landing.trespasses) this.#noteSite(time, landing, describeTrespass(trespass, landing.device));
  }

  #noteSite(time: number, landing: Landing, what: string): void {
    const key = `${landing.device}\n${what}`;
    let site = this.#sites.get(key);
    if (site === undefined) {
      if (this.#sites.size >= SITES) return;
      site = { who: landing.device, what, writes: 0, reads: 0, first: time };
      this.#sites.set(key, site);
    }
    if (landing.write) site.writes++;
    else site.reads++;
  }

  get sites(): LandingSite[] {
    return [...this.#sites.values()];
  }

  /** @param start first instant shown, virtual ns @param end last instant shown */
  timeline(start: number, end: number): Timeline {
    const binNs = Math.max(FINE_NS, Math.ceil((end - start) / BINS / FINE_NS) * FINE_NS);
    const count = Math.max(1, Math.ceil((end - start + 1) / binNs));
    const bins = Object.fromEntries(LANDING_CLASSES.map((kind) => [kind, Array.from({ length: count }, () => 0)])) as Record<
      LandingClass,
      number[]
    >;
    for (const [index, fine] of this.#fine) {
      const bin = Math.floor((index * FINE_NS - start) / binNs);
      if (bin < 0 || bin >= count) continue;
      for (const kind of LANDING_CLASSES) bins[kind][bin]! += fine[kind];
    }
    return { start, binNs, bins };
  }
}
