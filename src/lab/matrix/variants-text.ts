// SPDX-License-Identifier: MIT
/** The table of variants as text for a terminal of 80 columns: verdicts, what was counted, and what each variant does. */
import { type Paint, wrap } from "../text.ts";
import { CODES, legend, WAY_CODES } from "./text.ts";
import type { VariantCell, Variants } from "./types.ts";
import { COUNTS, labelOf, meaningOf, shown, variantsNote } from "./variants-table.ts";
import { VARIANT_ROWS, VARIANT_WAYS } from "./variants.ts";

const WIDTH = 80;
const LABEL = 18;
const GROUP = 20;
const COUNT = 10;

function verdictLines(variants: Variants, paint: Paint): string[] {
  const { cells } = variants;
  const { rows: variantRows, clients } = shown(variants);
  const groups = clients.map((client) => ` ${client}`.padEnd(GROUP)).join("");
  const ways = clients
    .map(() =>
      VARIANT_WAYS.map((way) => ` ${WAY_CODES[way]}`)
        .join("")
        .padEnd(GROUP),
    )
    .join("");
  const rows = variantRows.map((row) => {
    const columns = clients.map((client) => {
      const group = VARIANT_WAYS.map((way) => {
        const cell = cells.find((one) => labelOf(one) === labelOf(row) && one.client === client && one.wayDown === way);
        return cell === undefined ? "   -" : paint(cell.verdict, CODES[cell.verdict].padStart(4));
      });
      return `${group.join("")}${" ".repeat(GROUP - 4 * VARIANT_WAYS.length)}`;
    });
    return `${labelOf(row).padEnd(LABEL)}${columns.join("")}`.trimEnd();
  });
  return [
    `${"SMMU at shutdown".padEnd(LABEL)}${paint("bold", groups.trimEnd())}`,
    `${"clients: no hook".padEnd(LABEL)}${paint("dim", ways.trimEnd())}`,
    ...rows,
  ];
}

function countLines(cells: readonly VariantCell[], paint: Paint): string[] {
  const rows = VARIANT_ROWS.flatMap((row) => {
    const own = cells.filter((cell) => labelOf(cell) === labelOf(row));
    if (own.length === 0) return [];
    const counts = COUNTS.map(([, count]) => String(own.reduce((sum, cell) => sum + count(cell), 0)).padStart(COUNT));
    return [`${labelOf(row).padEnd(LABEL)}${counts.join("")}`];
  });
  return [
    paint("bold", "Over each row's cells: accesses of clients, events recorded, walks and writes"),
    paint("dim", "walks: of the SMMU in memory given away; bytes: written where nobody granted it"),
    paint("dim", `${" ".repeat(LABEL)}${COUNTS.map(([title]) => title.padStart(COUNT)).join("")}`),
    ...rows,
  ];
}

function meaningLines(variants: Variants): string[] {
  return shown(variants).rows.flatMap((row) => {
    const [first = "", ...rest] = wrap(meaningOf(row), WIDTH - LABEL);
    return [`${labelOf(row).padEnd(LABEL)}${first}`, ...rest.map((line) => `${" ".repeat(LABEL)}${line}`)];
  });
}

/** The whole of what `quiesce matrix --variants` prints. */
export function variantsText(variants: Variants, paint: Paint): string {
  const note = variantsNote(variants);
  const parts = [
    ...(note === undefined ? [] : [wrap(note, WIDTH).map((line) => paint("stray", line))]),
    [paint("dim", `seed ${variants.seed}, one client active in each cell, without a hook; -: not run`)],
    verdictLines(variants, paint),
    legend(paint, VARIANT_WAYS),
    countLines(variants.cells, paint),
    meaningLines(variants),
  ];
  return `${parts.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}
