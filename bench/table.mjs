// SPDX-License-Identifier: MIT
// The report for a terminal of 80 columns.

/** What stands at the beginning, once. */
export const LEGEND = `median: of the rounds, and for a ratio of the rounds' ratios; it decides on targets.
least: the least sample, or the ratio of two; a busy machine disturbs it least.
`;

export function time(ns) {
  if (ns < 1e4) return ns.toFixed(ns < 100 ? 1 : 0);
  if (ns < 1e6) return `${(ns / 1e3).toFixed(1)} us`;
  return ns < 1e9 ? `${(ns / 1e6).toFixed(1)} ms` : `${(ns / 1e9).toFixed(1)} s`;
}

const WIDTHS = [44, 9, 9, 9, 9];
/** Characters of a label that its column takes, between two blanks before it and one behind. */
export const LABEL_WIDTH = WIDTHS[0] - 3;

function line(first, ...others) {
  return `${first.padEnd(WIDTHS[0])}${others.map((value, index) => value.padStart(WIDTHS[index + 1])).join("")}\n`;
}

export function groupTable({ title, unit, results }) {
  const head = `${title}\n${line(`  ns per ${unit}`, "median", "least", "1st q.", "3rd q.")}`;
  const rows = results.map(({ label, medianNs, leastNs, firstQuartileNs, thirdQuartileNs }) =>
    line(`  ${label}`, ...[medianNs, leastNs, firstQuartileNs, thirdQuartileNs].map(time)),
  );
  return `${head}${rows.join("")}\n`;
}

export function memoryTable(memory) {
  const rows = [
    ["cached translation", `${memory.bytesPerTranslation.toFixed(0)} B`],
    ["stream in the configuration cache", `${memory.bytesPerStream.toFixed(0)} B`],
    ["idle SMMU with its bus", `${(memory.bytesPerIdleSmmu / 1024).toFixed(0)} KiB`],
    ["machine of 16 GiB and 65,536 streams, resident", `${(memory.startRss / 1e6).toFixed(0)} MB`],
    ["  of which Node alone", `${(memory.nodeRss / 1e6).toFixed(0)} MB`],
    ["  its start", `${memory.startMs.toFixed(0)} ms`],
  ];
  return `Memory\n${rows.map(([name, value]) => `  ${name.padEnd(50)}${value.padStart(12)}\n`).join("")}\n`;
}

const FIGURE_WIDTH = 46;

export function targetTable(rows) {
  const mark = (met) => (met === undefined ? "" : met ? "met" : "MISSED");
  const head = `${"Figures with a target".padEnd(FIGURE_WIDTH + 2)}${"median".padStart(9)}${"least".padStart(9)}\n`;
  const text = rows.flatMap(({ label, shown, leastShown = "", target, met, aim, aimMet }) => {
    // A label that is too long for its column has a line of its own.
    const long = label.length >= FIGURE_WIDTH;
    const values = `${shown.padStart(9)}${leastShown.padStart(9)}  ${mark(met)}`.trimEnd();
    const lines = long ? [`  ${label}`, `${" ".repeat(FIGURE_WIDTH + 2)}${values}`] : [`  ${label.padEnd(FIGURE_WIDTH)}${values}`];
    if (target !== undefined) lines.push(`      ${target}${aim === undefined ? "" : `; aim ${aim}: ${aimMet ? "met" : "missed"}`}`);
    return lines;
  });
  return `${head}${text.join("\n")}\n`;
}
