// SPDX-License-Identifier: MIT
/** The matrix as one HTML file: no network, no assets, and no script needed to read it or to open a cell. */
import { partialNote } from "../matrix/text.ts";
import { foldOrder, LINK_KINDS } from "../matrix/order-table.ts";
import { BEARING_MEANING, conclusion, type Finding, type Position, positions } from "../matrix/thread.ts";
import { foldLayout, layoutSentences } from "../matrix/layout-table.ts";
import { LAYOUT_WORDS } from "../matrix/layout.ts";
import { LAYOUTS, type LayoutRow, type Matrix, type MatrixCell, type OrderBoard, type OrderRow } from "../matrix/types.ts";
import type { RunResult } from "../run/result.ts";
import {
  CLIENT_HOOKS,
  CLIENT_KINDS,
  SMMU_POLICIES,
  VERDICTS,
  type ClientHook,
  type ClientKind,
  type SmmuPolicy,
  type Verdict,
  WAYS_DOWN,
} from "../run/types.ts";
import { VERDICT_MEANING } from "../run/verdict.ts";
import { SHAPES, badge } from "./detail.ts";
import { cellLink, detailSection, frame } from "./frame.ts";
import { escape } from "./html.ts";

const POLICY_TITLES: Record<SmmuPolicy, string> = {
  none: "no SMMU hook: keeps translating",
  bypass: "SMMU hook disables: bypass",
  abort: "SMMU hook disables: abort",
};
const CLIENT_TITLES: Record<ClientKind, string> = {
  e1000e: "e1000e, a NIC receiving broadcasts",
  hdlcd: "hdlcd, a display scanning out",
  "tmc-etr": "tmc-etr, a trace sink capturing",
};
const HOOK_TITLES: Record<ClientHook, string> = { "no-hook": "no hook", mainline: "mainline's hook", quiescing: "quiescing hook" };

const NODES: Record<OrderBoard["nodes"], string> = { "smmu-first": "SMMU node first", "smmu-last": "SMMU node last" };
const DRIVERS: Record<OrderBoard["drivers"], string> = {
  "built-in": "all built in",
  "client-module": "clients as modules",
  "smmu-module": "SMMU as module",
};

const idOf = (cell: MatrixCell): string => `cell-${cell.smmuShutdown}-${cell.client}-${cell.clientShutdown}-${cell.wayDown}`;
const titleOf = (cell: MatrixCell): string =>
  `${cell.client}, ${HOOK_TITLES[cell.clientShutdown]}; SMMU ${cell.smmuShutdown === "none" ? "without a hook" : `to ${cell.smmuShutdown}`}; ${cell.wayDown}`;

function head(): string {
  const groups = SMMU_POLICIES.map(
    (policy) => `<th scope="colgroup" class="edge" colspan="${WAYS_DOWN.length}"><span class="stay">${POLICY_TITLES[policy]}</span></th>`,
  ).join("");
  const ways = SMMU_POLICIES.map(() =>
    WAYS_DOWN.map((way, index) => `<th scope="col" class="way${index === 0 ? " edge" : ""}">${way}</th>`).join(""),
  ).join("");
  return `<thead><tr><td class="corner"></td>${groups}</tr><tr><th class="corner" scope="col">client and its hook</th>${ways}</tr></thead>`;
}

function cellHtml(cell: MatrixCell | undefined, edge: string): string {
  if (cell === undefined) return `<td${edge}>not run</td>`;
  return `<td${edge}>${cellLink(idOf(cell), titleOf(cell), cell.verdict)}</td>`;
}

function matrixTable(cells: readonly MatrixCell[]): string {
  const byId = new Map(cells.map((cell) => [idOf(cell), cell]));
  const bodies = CLIENT_KINDS.map((client) => {
    const rows = CLIENT_HOOKS.map((hook) => {
      const columns = SMMU_POLICIES.flatMap((policy) =>
        WAYS_DOWN.map((way, index) => cellHtml(byId.get(`cell-${policy}-${client}-${hook}-${way}`), index === 0 ? ' class="edge"' : "")),
      );
      return `<tr><th scope="row">${HOOK_TITLES[hook]}</th>${columns.join("")}</tr>`;
    });
    return `<tbody><tr><th scope="rowgroup">${client}</th><td colspan="${SMMU_POLICIES.length * WAYS_DOWN.length}" class="quiet"><span class="stay">${CLIENT_TITLES[client].replace(/^[^,]*, /, "")}</span></td></tr>${rows.join("")}</tbody>`;
  });
  return `<div class="box" tabindex="0" role="region" aria-label="The matrix"><table class="matrix">${head()}${bodies.join("")}</table></div>`;
}

function finding({ weight, count, of, text }: Finding): string {
  if (of === 0) return "";
  const tone: Verdict | "" = weight === "price" ? "" : (weight === "for" ? count === of : count === 0) ? "clean" : "corrupt";
  return `<li><span class="weight">${weight}</span><span class="count${tone === "" ? "" : ` badge ${tone}`}">${count} of ${of}</span><span>${escape(text)}</span></li>`;
}

const BEARING: Record<Position["bearing"], Verdict> = {
  "borne out": "clean",
  "in part": "stray",
  contradicted: "corrupt",
  "not measured": "contained",
};

function positionHtml(position: Position): string {
  return (
    `<li><h3>${escape(position.title)}</h3><p class="quiet">${escape(position.who)}: ${escape(position.says)}.</p>` +
    `<p><span class="badge ${BEARING[position.bearing]}">${position.bearing}</span></p><ul class="findings">${position.findings.map(finding).join("")}</ul></li>`
  );
}

const LINK_TITLES: Record<string, string> = {
  default: "as Linux does",
  strict: "fw_devlink.strict=1",
  link: "explicit device link",
  both: "both",
};

function orderTable(rows: readonly OrderRow[]): string {
  const head = LINK_KINDS.map(({ title }) => `<th scope="col">${LINK_TITLES[title] ?? title}</th>`).join("");
  const body = foldOrder(rows).map(({ nodes, drivers, results }) => {
    const columns = results.map((lost) => {
      if (lost === undefined) return "<td>not run</td>";
      return `<td>${lost.length === 0 ? badgeText("clean", "after its clients") : `${badgeText("stray", "first")} <span class="quiet">before ${escape(lost.join(", "))}</span>`}</td>`;
    });
    return `<tr><th scope="row">${NODES[nodes]}, ${DRIVERS[drivers]}</th>${columns.join("")}</tr>`;
  });
  const all = rows
    .map(({ board, shutdownOrder }) => `<li>${escape(board)}: <span class="quiet">${escape(shutdownOrder.join(" \u2192 "))}</span></li>`)
    .join("");
  return (
    `<div class="box" tabindex="0" role="region" aria-label="The order experiment"><table class="order"><thead><tr><th scope="col">board</th>${head}</tr></thead><tbody>${body.join("")}</tbody></table></div>` +
    `<details class="sans"><summary>The shutdown order of every board</summary><ol>${all}</ol></details>`
  );
}

function layoutSection(rows: readonly LayoutRow[]): string {
  const cells = foldLayout(rows);
  const [first] = cells;
  if (first === undefined) return "";
  const heads = first.rows.map(
    ({ layout, seed }) => `<th scope="col">${escape(layout)}<br><span class="quiet">seed ${escape(seed)}</span></th>`,
  );
  const body = cells.map((cell) => {
    const name = `${cell.smmuShutdown}, ${cell.client}, ${HOOK_TITLES[cell.clientShutdown]}`;
    return `<tr><th scope="row">${escape(name)}</th>${cell.rows.map(({ verdict }) => `<td>${badge(verdict)}</td>`).join("")}</tr>`;
  });
  const words = LAYOUTS.map((name) => `<li>${escape(name)}: ${escape(LAYOUT_WORDS[name])}</li>`).join("");
  return (
    `<h2>Does it depend on where memory lies?</h2><p>The same cells under kexec where RAM ends elsewhere, and with other seeds: a seed picks where buffers lie and when the way down begins.</p>` +
    `<div class="box" tabindex="0" role="region" aria-label="The layout experiment"><table class="order layout"><thead><tr><th scope="col">SMMU policy, client, hook</th>${heads.join("")}</tr></thead><tbody>${body.join("")}</tbody></table></div>` +
    `<ul class="answer">${layoutSentences(rows)
      .map((sentence) => `<li>${escape(sentence)}</li>`)
      .join("")}</ul><ul class="quiet">${words}</ul>`
  );
}

function badgeText(verdict: Verdict, text: string): string {
  return `<span class="badge ${verdict}"><span class="mark" aria-hidden="true">${SHAPES[verdict]}</span>${escape(text)}</span>`;
}

function details(matrix: Matrix, runs: ReadonlyMap<MatrixCell, RunResult>): string {
  return matrix.cells
    .map((cell) => {
      const run = runs.get(cell);
      return run === undefined ? "" : detailSection(idOf(cell), titleOf(cell), cell.verdict, run);
    })
    .join("\n");
}

/** What follows from a whole matrix. */
function answers(matrix: Matrix): string {
  return `<h2>Which shutdown design stops it?</h2><ul class="answer">${conclusion(matrix.cells)
    .map((sentence) => `<li>${escape(sentence)}</li>`)
    .join("")}</ul>
<h2>The thread of June 2020, put to these cells</h2><p>Everybody argued from experience with crashes that nobody could replay. These are counts of the cells above; reboot, kexec and power-off unless said otherwise.</p>
<p class="quiet">${BEARING_MEANING.map((line) => `${escape(line)}.`).join(" ")}</p>
<ul class="positions">${positions(matrix.cells).map(positionHtml).join("")}</ul>
<h2>Is the SMMU shut down after its clients?</h2><p>The same board with its nodes, drivers and links arranged differently. A client that is shut down after its SMMU loses translation while it may still run.</p>
${orderTable(matrix.order)}${layoutSection(matrix.layout)}`;
}

/** The whole page. @param runs what was measured in each cell; a cell without a run has no detail */
export function matrixPage(matrix: Matrix, runs: ReadonlyMap<MatrixCell, RunResult>): string {
  const legend = VERDICTS.map((verdict) => `<li>${badge(verdict)} ${VERDICT_MEANING[verdict]}</li>`).join("");
  const note = partialNote(matrix);
  const partial = note === undefined ? "" : `<p class="partial"><strong>${escape(note)}</strong></p>`;
  return frame({
    title: "Quiesce: the shutdown matrix",
    heading: "When this machine goes down, which device still does DMA?",
    intro: `<p>Each cell is one run of the same simulated machine: an Arm SMMUv3, one busy client, a kernel that goes down one of five ways, and the kernel that comes next. A cell\u2019s verdict follows from every access that was traced, judged against who owned the memory at that instant.</p>
<p class="quiet">Seed ${escape(matrix.seed)}. ${matrix.cells.length} cells. Times are virtual. In the details, <i>first</i> is the kernel that goes down and <i>second</i> the next one.</p>${partial}`,
    main: `<h2 id="matrix">The matrix</h2><p class="quiet scrolls">The matrix is wider than this window and scrolls sideways.</p><div class="wide">${matrixTable(matrix.cells)}</div><ul class="legend">${legend}</ul>
<p class="quiet hint">Choose a cell to see who was shut down when, which DMA landed where, and the evidence for each claim.</p>
<div id="details">${details(matrix, runs)}</div>
${note === undefined ? answers(matrix) : partial}`,
  });
}
