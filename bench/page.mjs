// SPDX-License-Identifier: MIT
// The report as one HTML file in the look of the matrix page: curves as inline SVG, no network, no script.
import { STYLE } from "../dist/lab/report/style.js";
import { escape } from "../dist/lab/report/html.js";
import { chart } from "./chart.mjs";
import { time } from "./table.mjs";

const OWN = `
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(34rem,100%),1fr));gap:1.6rem 2rem;margin:1rem 0}
figure{margin:0}figcaption{max-width:60ch;font-size:.92rem;margin-bottom:.4rem}
.chart{width:100%;height:auto;background:var(--panel);border:1px solid var(--rule);border-radius:6px}
.chart text{font:12px system-ui,"Segoe UI",Roboto,Arial,sans-serif;fill:var(--soft)}
.chart .name{fill:var(--ink)}
.chart .grid{stroke:var(--rule);stroke-width:1}
.chart .curve{fill:none;stroke-width:2}
.chart .spread{stroke-width:1;opacity:.65}
.s0{--c:var(--c-granted)}.s1{--c:var(--c-aborted)}.s2{--c:var(--c-ungranted)}.s3{--c:var(--c-bypassed)}
.s4{--c:var(--c-undecoded)}.s5{--c:var(--c-dropped)}.s6{--c:var(--ink)}
.curve,.spread{stroke:var(--c)}.dot{fill:var(--c)}
.native .curve{stroke-dasharray:5 4}
.figures td,.figures th{padding:.25rem .8rem;text-align:left;font-weight:400}
.figures td.n,.figures th.n{text-align:right;white-space:nowrap}
.figures thead th{color:var(--soft);border-bottom:1px solid var(--rule)}
.figures{width:100%}
.bound{display:flex;flex-wrap:wrap;gap:.1rem .4rem;align-items:baseline}
@media (max-width:44rem){
.figures td,.figures th{padding:.25rem .4rem}
.targets thead{display:none}
.targets,.targets tbody,.targets th{display:block}
.targets tr{display:flex;flex-wrap:wrap;gap:0 1.2rem;padding:.45rem .4rem;border-bottom:1px solid var(--rule)}
.targets tr:last-child{border-bottom:0}
.targets th{flex:1 0 100%}
.targets td{text-align:left}
.targets td:empty{display:none}
.targets td::before{content:attr(data-is) " ";color:var(--soft)}
.targets .bound{display:inline-flex}
}
`;

/** Points of one curve: the results whose axes say so. */
function curve(results, name, axis, matches) {
  const points = results
    .filter(({ axes }) => axes[axis] !== undefined && matches(axes))
    .map(({ axes, medianNs, firstQuartileNs, thirdQuartileNs }) => ({
      x: axes[axis],
      y: medianNs,
      low: firstQuartileNs,
      high: thirdQuartileNs,
    }))
    .sort((a, b) => a.x - b.x);
  const native = results.some(({ axes }) => axes.native && matches(axes));
  return { name, points, native };
}

function figure(caption, axisTitle, curves, options = {}) {
  const drawn = curves.filter(({ points }) => points.length > 1);
  if (drawn.length === 0) return "";
  return `<figure><figcaption>${escape(caption)}</figcaption>${chart({ title: caption, axisTitle, curves: drawn, ...options })}</figure>`;
}

function charts(results) {
  const is = (kind, pattern) => (axes) => axes.kind === kind && (pattern === undefined || axes.pattern === pattern);
  const pages = [
    ["hit, sequential", is("hit", "seq")],
    ["hit, random", is("hit", "rnd")],
    ["hit, strided", is("hit", "str")],
    ["C, hand-tuned", is("C limit")],
    ["hash table of 256", is("hash-table TLB")],
  ];
  const misses = [
    ["stage 1, in order", is("miss", "seq")],
    ["stage 1, random", is("miss", "rnd")],
    ["nested, in order", is("nested-miss", "seq")],
    ["nested, random", is("nested-miss", "rnd")],
  ];
  const entries = [
    ...["asid", "vmid", "va", "range", "all"].map((kind) => [`by ${kind}`.replace("by all", "all"), is(`tlbi ${kind}`)]),
    ["hash table, ASID", is("hash-table TLB, ASID")],
    ["hash table, VA", is("hash-table TLB, VA")],
  ];
  const of = (list, axis) => list.map(([name, matches]) => curve(results, name, axis, matches));
  const ofStreams = [curve(results, "TLB hit", "streams", is("hit"))];
  const ofLeaves = [curve(results, "TLB hit", "leaf", is("leaf-hit")), curve(results, "no caches", "leaf", is("leaf-walk"))];
  return [
    figure(
      "A hit, by how many pages are in use. The hash-table TLB in C has 256 entries: where more pages are in use, it misses",
      "pages",
      of(pages, "pages"),
    ),
    figure("A miss of a TLB of 256 entries, by how many pages are in use", "pages", of(misses, "pages")),
    figure(
      "An invalidation, by how many translations are cached. The hash table in C is as large as our TLB here; emulators cap it at 256 entries",
      "cached translations",
      of(entries, "entries"),
    ),
    figure("A hit, by how many streams are in use (4K pages in all)", "streams", ofStreams),
    figure("A hit and a walk, by what one leaf maps (64 leaves, random addresses within)", "bytes of a leaf", ofLeaves),
  ].join("");
}

function resultTable({ title, unit, results }) {
  const rows = results.map(
    ({ label, medianNs, leastNs, firstQuartileNs, thirdQuartileNs, bytes }) =>
      `<tr><th scope="row">${escape(label)}</th>${[medianNs, leastNs, firstQuartileNs, thirdQuartileNs].map((value) => `<td class="n">${time(value)}</td>`).join("")}<td class="n">${bytes === undefined ? "" : `${(bytes / medianNs).toFixed(1)} GB/s`}</td></tr>`,
  );
  return `<h3>${escape(title)}</h3><div class="box" tabindex="0" role="region" aria-label="${escape(title)}"><table class="figures"><thead><tr><th scope="col">nanoseconds per ${escape(unit)}</th><th scope="col" class="n">median</th><th scope="col" class="n">least</th><th scope="col" class="n">1st quartile</th><th scope="col" class="n">3rd quartile</th><th scope="col" class="n"></th></tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

function badge(met) {
  return met === undefined ? "" : `<span class="badge ${met ? "clean" : "stray"}">${met ? "met" : "missed"}</span>`;
}

function bound(name, text, met) {
  if (text === undefined) return "<td></td>";
  return `<td data-is="${name}"><span class="bound"><span>${text}</span>${badge(met)}</span></td>`;
}

function figureTable(figures) {
  const number = (name, text) => `<td class="n" data-is="${name}">${text}</td>`;
  const rows = figures.map(
    ({ label, shown, leastShown, target, met, aim, aimMet }) =>
      `<tr><th scope="row">${escape(label)}</th>${number("median", shown)}${leastShown === undefined ? "<td></td>" : number("least", leastShown)}${bound("target", target, met)}${bound("aim", aim, aimMet)}</tr>`,
  );
  return `<div class="box" tabindex="0" role="region" aria-label="Figures with a target"><table class="figures targets"><thead><tr><th scope="col">figure</th><th scope="col" class="n">median</th><th scope="col" class="n">least</th><th scope="col">target</th><th scope="col">aim</th></tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

function memorySection(memory) {
  if (memory === undefined) return "";
  const rows = [
    ["a cached translation", `${memory.bytesPerTranslation.toFixed(0)} bytes`],
    ["a stream in the configuration cache", `${memory.bytesPerStream.toFixed(0)} bytes`],
    ["an idle SMMU with its bus", `${(memory.bytesPerIdleSmmu / 1024).toFixed(0)} KiB`],
    [
      "a machine of 16 GiB with 65,536 streams, resident",
      `${(memory.startRss / 1e6).toFixed(0)} MB, of which Node alone ${(memory.nodeRss / 1e6).toFixed(0)} MB`,
    ],
    ["its start", `${memory.startMs.toFixed(0)} ms`],
  ];
  return `<h2>Memory</h2><div class="box"><table class="figures"><tbody>${rows.map(([name, value]) => `<tr><th scope="row">${name}</th><td class="n">${value}</td></tr>`).join("")}</tbody></table></div>`;
}

/** The whole page. @param report what out/bench.json or out/bench-part.json holds */
export function benchPage(report) {
  const { groups, figures, memory, native, node, platform, cpu, quick, only } = report;
  const results = groups.flatMap((group) => group.results);
  const drawn = charts(results);
  const beside =
    native.missing === undefined
      ? `Dashed curves are the C program of bench/native, built by ${native.compiler}, in the same rounds; its hash table is ${native.hashTable}.`
      : `Nothing is compared with C: ${native.missing}.`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>Quiesce: what a translation costs</title><style>${STYLE}${OWN}</style></head><body>
<header><h1>What does a translation cost?</h1>
<p>Every subject was warmed up, then all of a group took turns, round after round. Medians are shown with the quartiles of the rounds; ratios are medians of the rounds\u2019 ratios. \u201cLeast\u201d is the least sample, or the ratio of two: a busy machine disturbs it least. ${escape(beside)}</p>
<p class="quiet">Node ${escape(node)}, ${escape(platform)}, ${escape(cpu)}.${quick ? " A quick run: fewer subjects and rounds." : ""}${only.length === 0 ? "" : ` Only what matches ${only.map((pattern) => escape(pattern)).join(" or ")}.`}</p></header>
<main>${figures.length === 0 ? "" : `<h2>Figures with a target</h2>${figureTable(figures)}`}
${drawn === "" ? "" : `<h2>Curves</h2><p class="quiet">Both axes are logarithmic. Bars span the quartiles.</p><div class="wide"><div class="charts">${drawn}</div></div>`}
${memorySection(memory)}
<h2>All figures</h2>${groups.map(resultTable).join("\n")}</main>
<footer class="quiet"><p>docs/performance.md says how this is measured and what it means.</p></footer></body></html>
`;
}
