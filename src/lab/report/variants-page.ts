// SPDX-License-Identifier: MIT
/** The table of variants as one HTML file, made like that of the matrix. */
import { COUNTS, labelOf, meaningOf, shown, variantsNote } from "../matrix/variants-table.ts";
import { cellWords } from "../matrix/cells.ts";
import type { VariantCell, Variants } from "../matrix/types.ts";
import { VARIANT_WAYS } from "../matrix/variants.ts";
import type { RunResult } from "../run/result.ts";
import { VERDICTS } from "../run/types.ts";
import { VERDICT_MEANING } from "../run/verdict.ts";
import { badge } from "./detail.ts";
import { cellLink, detailSection, frame } from "./frame.ts";
import { escape, group } from "./html.ts";

const idOf = (cell: VariantCell): string => `cell-${cellWords(cell).replaceAll("/", "-")}`;
const titleOf = (cell: VariantCell): string => `${cell.client}, no hook; ${labelOf(cell)}; ${cell.wayDown}`;

function verdicts(variants: Variants): string {
  const { rows, clients } = shown(variants);
  const edge = (index: number): string => (index === 0 ? " edge" : "");
  const groups = clients.map(
    (client) => `<th scope="colgroup" class="edge" colspan="${VARIANT_WAYS.length}"><span class="stay">${client}</span></th>`,
  );
  const ways = clients.flatMap(() => VARIANT_WAYS.map((way, index) => `<th scope="col" class="way${edge(index)}">${way}</th>`));
  const body = rows.map((row) => {
    const columns = clients.flatMap((client) =>
      VARIANT_WAYS.map((way, index) => {
        const cell = variants.cells.find((one) => labelOf(one) === labelOf(row) && one.client === client && one.wayDown === way);
        const what = cell ? cellLink(idOf(cell), titleOf(cell), cell.verdict) : '<span class="quiet">not run</span>';
        return `<td${edge(index) === "" ? "" : ' class="edge"'}>${what}</td>`;
      }),
    );
    return `<tr><th scope="row">${escape(labelOf(row))}</th>${columns.join("")}</tr>`;
  });
  return (
    `<div class="box" tabindex="0" role="region" aria-label="The variants"><table class="matrix"><thead><tr><td class="corner"></td>${groups.join("")}</tr>` +
    `<tr><th class="corner" scope="col">SMMU at shutdown</th>${ways.join("")}</tr></thead><tbody>${body.join("")}</tbody></table></div>`
  );
}

/** What each row does, and what was counted over its cells. */
function meanings(variants: Variants): string {
  const heads = COUNTS.map(([title]) => `<th scope="col">${title}</th>`).join("");
  const body = shown(variants).rows.map((row) => {
    const own = variants.cells.filter((cell) => labelOf(cell) === labelOf(row));
    const counts = COUNTS.map(([, count]) => `<td class="count">${group(own.reduce((sum, cell) => sum + count(cell), 0))}</td>`);
    return `<tr><th scope="row">${escape(labelOf(row))}</th>${counts.join("")}<td>${escape(meaningOf(row))}</td></tr>`;
  });
  return (
    `<h2>What each does, and what was counted</h2><p class="quiet">Over each row\u2019s cells: accesses of clients, events recorded, walks of the SMMU in memory given away, bytes written where nobody granted it.</p>` +
    `<div class="box" tabindex="0" role="region" aria-label="What was counted"><table class="order"><thead><tr><th scope="col">variant</th>${heads}<th scope="col">what it does</th></tr></thead><tbody>${body.join("")}</tbody></table></div>`
  );
}

/** The whole page. @param runs what was measured in each cell; a cell without a run has no detail */
export function variantsPage(variants: Variants, runs: ReadonlyMap<VariantCell, RunResult>): string {
  const note = variantsNote(variants);
  const partial = note === undefined ? "" : `<p class="partial"><strong>${escape(note)}</strong></p>`;
  const legend = VERDICTS.map((verdict) => `<li>${badge(verdict)} ${VERDICT_MEANING[verdict]}</li>`).join("");
  const details = variants.cells.map((cell) => {
    const run = runs.get(cell);
    return run ? detailSection(idOf(cell), titleOf(cell), cell.verdict, run) : "";
  });
  return frame({
    title: "Quiesce: variants of the SMMU's driver",
    heading: "What else did SMMU drivers do, or should they do?",
    intro:
      `<p>Each cell is one run: an Arm SMMUv3 whose driver does something else than the three ways of the matrix, one busy client whose driver has no shutdown hook, and the kernel that comes next.</p>\n` +
      `<p class="quiet">Seed ${escape(variants.seed)}. ${variants.cells.length} cells. Times are virtual.</p>${partial}`,
    main:
      `<h2 id="matrix">The variants</h2><div class="wide">${verdicts(variants)}</div><ul class="legend">${legend}</ul>\n` +
      `<p class="quiet hint">Choose a cell to see who was shut down when, which DMA landed where, and the evidence for each claim.</p>\n` +
      `<div id="details">${details.join("\n")}</div>\n${meanings(variants)}`,
  });
}
