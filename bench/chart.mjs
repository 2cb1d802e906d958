// SPDX-License-Identifier: MIT
// Curves over two logarithmic axes, as inline SVG with the page's colours.
import { escape } from "../dist/lab/report/html.js";

const WIDTH = 640;
const HEIGHT = 340;
const LEFT = 64;
const RIGHT = 150;
const TOP = 16;
const BOTTOM = 44;

const UNITS = [
  [2 ** 30, "G"],
  [2 ** 20, "M"],
  [2 ** 10, "K"],
];

function count(value) {
  const unit = UNITS.find(([size]) => value >= size && value % size === 0);
  return unit === undefined ? String(value) : `${value / unit[0]}${unit[1]}`;
}

function time(ns) {
  if (ns < 1e3) return `${ns} ns`;
  return ns < 1e6 ? `${ns / 1e3} us` : `${ns / 1e6} ms`;
}

/** Where labels go so that none covers another: in their order, at least `gap` apart, and none below the curves. */
function spread(wanted, gap) {
  const places = wanted.map((y, index) => ({ y, index })).sort((a, b) => a.y - b.y);
  for (let i = 1; i < places.length; i++) places[i].y = Math.max(places[i].y, places[i - 1].y + gap);
  for (let i = places.length - 1, limit = HEIGHT - BOTTOM; i >= 0; i--, limit -= gap) places[i].y = Math.min(places[i].y, limit);
  const result = [];
  for (const { y, index } of places) result[index] = y;
  return result;
}

/** Ticks with room for their text. */
function ticks(xs, px) {
  const kept = [];
  for (const x of xs) if (kept.length === 0 || px(x) - px(kept.at(-1)) >= 30) kept.push(x);
  return kept;
}

/** @param curves each with a name and points {x, y, low, high}, in nanoseconds, sorted by x */
export function chart({ title, axisTitle, curves }) {
  const all = curves.flatMap(({ points }) => points);
  const xs = [...new Set(all.map(({ x }) => x))].sort((a, b) => a - b);
  const low = 10 ** Math.floor(Math.log10(Math.min(...all.map((point) => point.low))));
  const high = 10 ** Math.ceil(Math.log10(Math.max(...all.map((point) => point.high))));
  const [first, last] = [Math.log2(xs[0]), Math.log2(xs.at(-1))];
  const px = (x) => LEFT + ((Math.log2(x) - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
  const py = (y) => TOP + (1 - Math.log10(y / low) / Math.log10(high / low)) * (HEIGHT - TOP - BOTTOM);
  const at = (value) => value.toFixed(1);
  let grid = "";
  for (let y = low; y <= high * 1.001; y *= 10) {
    grid += `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at(py(y))}" y2="${at(py(y))}"/><text x="${LEFT - 8}" y="${at(py(y) + 4)}" text-anchor="end">${time(Number(y.toPrecision(3)))}</text>`;
  }
  for (const x of ticks(xs, px)) grid += `<text x="${at(px(x))}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${count(x)}</text>`;
  const labels = spread(
    curves.map(({ points }) => py(points.at(-1).y)),
    15,
  );
  const drawn = curves.map(({ name, points, native }, index) => {
    const path = points.map(({ x, y }, i) => `${i === 0 ? "M" : "L"}${at(px(x))} ${at(py(y))}`).join("");
    const marks = points
      .map(
        (point) =>
          `<line class="spread" x1="${at(px(point.x))}" x2="${at(px(point.x))}" y1="${at(py(point.low))}" y2="${at(py(point.high))}"/><circle class="dot" cx="${at(px(point.x))}" cy="${at(py(point.y))}" r="3"/>`,
      )
      .join("");
    const end = points.at(-1);
    const label = `<line class="spread" x1="${at(px(end.x) + 4)}" y1="${at(py(end.y))}" x2="${WIDTH - RIGHT + 12}" y2="${at(labels[index])}"/><text class="name" x="${WIDTH - RIGHT + 16}" y="${at(labels[index] + 4)}">${escape(name)}</text>`;
    return `<g class="s${index}${native ? " native" : ""}"><path class="curve" d="${path}"/>${marks}${label}</g>`;
  });
  return `<svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escape(title)}">${grid}<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 8}" text-anchor="middle">${escape(axisTitle)}</text>${drawn.join("")}</svg>`;
}
