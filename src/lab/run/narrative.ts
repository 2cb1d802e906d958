// SPDX-License-Identifier: MIT
/** What happened in a run, in order and in words: the same list for the terminal and the page. */
import type { RunResult } from "./result.ts";

export interface Happening {
  /** Virtual ns. */
  readonly time: number;
  readonly kernel: string;
  readonly text: string;
}

interface Entry extends Happening {
  readonly seq: number;
  /** A step of the way down by the name of a function: neighbours are told in one breath. */
  readonly step: boolean;
}

function entries(run: RunResult): Entry[] {
  const shown = new Set(run.interestingDevices);
  const shutdowns = run.shutdownOrder
    .filter(({ device }) => shown.has(device))
    .map(({ seq, kernel, device, hook, driver, begin, end }): Entry => {
      const bound = driver === null ? "no driver is bound" : "no hook to run";
      const what = hook === "none" ? bound : driver === null ? `${hook}, ${bound}` : hook;
      const took =
        end === undefined ? ", which never returned" : end - begin >= 1000 ? `, took ${((end - begin) / 1e6).toFixed(3)} ms` : "";
      return { seq, time: begin, kernel, text: `shutdown of ${device}: ${what}${took}`, step: false };
    });
  const milestones = run.milestones.map(({ seq, time, kernel, text, what }): Entry => ({ seq, time, kernel, text, step: what === "path" }));
  return [...milestones, ...shutdowns].sort((a, b) => a.seq - b.seq);
}

/** Steps so far apart are told apart: something was waited for. In ns. */
const BREATH = 1_000_000;

/** Everything worth telling, in order of time; consecutive steps of one kernel are joined. */
export function narrative(run: RunResult): Happening[] {
  const told: Entry[] = [];
  let before: Entry | undefined;
  for (const entry of entries(run)) {
    const joins = before?.step && entry.step && before.kernel === entry.kernel && entry.time - before.time < BREATH;
    const last = told.at(-1);
    if (joins && last) told[told.length - 1] = { ...last, text: `${last.text}, ${entry.text}` };
    else told.push(entry);
    before = entry;
  }
  return told;
}
