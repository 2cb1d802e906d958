// SPDX-License-Identifier: MIT
// The report for a terminal of 80 columns.

export function time(ns) {
  if (ns < 1e4) return ns.toFixed(ns < 100 ? 1 : 0);
  if (ns < 1e6) return `${(ns / 1e3).toFixed(1)} us`;
  return ns < 1e9 ? `${(ns / 1e6).toFixed(1)} ms` : `${(ns / 1e9).toFixed(1)} s`;
}

const WIDTHS = [44, 9, 9, 9, 9];

function line(first, ...others) {
  const text = first.length > WIDTHS[0] - 1 ? `${first.slice(0, WIDTHS[0] - 2)}\u2026` : first;
  return `${text.padEnd(WIDTHS[0])}${others.map((value, index) => value.padStart(WIDTHS[index + 1])).join("")}\n`;
}

export function groupTable({ title, unit, results }) {
  const head = `${title}\n${line(`  ns per ${unit}`, "median", "min", "1st q.", "3rd q.")}`;
  const rows = results.map(({ label, medianNs, minNs, firstQuartileNs, thirdQuartileNs }) =>
    line(`  ${label}`, ...[medianNs, minNs, firstQuartileNs, thirdQuartileNs].map(time)),
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

export function targetTable(rows) {
  const mark = (met) => (met === undefined ? "" : met ? "met" : "MISSED");
  const head = `${"Figures with a target".padEnd(48)}${"median".padStart(9)}${"quiet".padStart(9)}\n`;
  const text = rows.flatMap(({ label, shown, quietShown = "", target, met, aim, aimMet }) => {
    const name = label.length > 45 ? `${label.slice(0, 44)}\u2026` : label;
    const line = `  ${name.padEnd(46)}${shown.padStart(9)}${quietShown.padStart(9)}  ${mark(met)}`.trimEnd();
    if (target === undefined) return [line];
    return [line, `      ${target}${aim === undefined ? "" : `, aim ${aim}${aimMet ? ": met" : ""}`}`];
  });
  return `${head}${text.join("\n")}\n`;
}
