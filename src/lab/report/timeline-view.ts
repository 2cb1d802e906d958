// SPDX-License-Identifier: MIT
/** One run on a time axis: numbered marks for what happened, and a lane of bars for each kind of landing. */
import { LANDING_CLASSES, type LandingClass, type RunResult } from "../run/result.ts";
import { type Happening, narrative } from "../run/narrative.ts";
import { escape, group, milliseconds } from "./html.ts";

/** Units of the drawing's width; the page stretches it. */
const WIDTH = 1000;
const HEIGHT = 32;

const LANES: Record<LandingClass, string> = {
  granted: "translated, granted",
  ungranted: "translated, not granted",
  bypassed: "bypassed: raw address",
  undecoded: "nothing at that address",
  aborted: "aborted by the SMMU",
  dropped: "dropped at the bus",
};

function lane(kind: LandingClass, run: RunResult, cursor: string): string {
  const counts = run.timeline.bins[kind];
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return "";
  const most = Math.max(...counts);
  const width = WIDTH / counts.length;
  const path = counts
    .map((count, index) => {
      if (count === 0) return "";
      const height = Math.max(3, Math.sqrt(count / most) * HEIGHT);
      return `M${(index * width).toFixed(1)} ${HEIGHT}v-${height.toFixed(1)}h${width.toFixed(1)}V${HEIGHT}z`;
    })
    .join("");
  return (
    `<div class="lane"><span>${LANES[kind]} <span class="n">${group(total)}</span></span>` +
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${LANES[kind]}: ${total} accesses">${cursor}<path class="${kind}" d="${path}"/></svg></div>`
  );
}

/** Numbers over the axis; those that would collide are drawn as one range. */
function numbers(marks: readonly Happening[], x: (time: number) => number): string {
  const groups: { x: number; first: number; last: number }[] = [];
  marks.forEach((mark, index) => {
    const at = x(mark.time);
    const open = groups.at(-1);
    if (open && at - open.x < 4.5) open.last = index + 1;
    else groups.push({ x: at, first: index + 1, last: index + 1 });
  });
  return groups
    .map(({ x: at, first, last }) => {
      const side = at > 95 ? ' text-anchor="end"' : "";
      return `<text x="${at.toFixed(2)}%" y="13"${side}>${first === last ? first : `${first}\u2013${last}`}</text>`;
    })
    .join("");
}

/** The drawing and the list that explains its numbers. */
export function timelineView(run: RunResult): string {
  const { start, binNs, bins } = run.timeline;
  const span = binNs * bins.granted.length;
  const x = (time: number): number => Math.min(100, Math.max(0, ((time - start) / span) * 100));
  const marks = narrative(run);
  const lines = marks.map(
    ({ time }) => `<line class="cursor" x1="${(x(time) * 10).toFixed(1)}" x2="${(x(time) * 10).toFixed(1)}" y1="0" y2="${HEIGHT}"/>`,
  );
  const cursor = [...new Set(lines)].join("");
  const lanes = LANDING_CLASSES.map((kind) => lane(kind, run, cursor)).join("");
  const steps = marks
    .map(
      ({ time, kernel, text }) =>
        `<li><time>${milliseconds(time, run.wayDownAt)}</time><span class="quiet">${escape(kernel)}</span> ${escape(text)}</li>`,
    )
    .join("");
  return (
    `<div class="timeline"><div class="lane marks"><span>steps below</span><svg role="presentation">${numbers(marks, x)}</svg></div>` +
    `${lanes === "" ? '<p class="quiet">No DMA at all in this time.</p>' : lanes}` +
    `<div class="lane"><span></span><span class="axis"><span>${milliseconds(start, run.wayDownAt)}</span><span>${milliseconds(start + span, run.wayDownAt)}</span></span></div></div>` +
    `<ol class="steps">${steps}</ol>`
  );
}
