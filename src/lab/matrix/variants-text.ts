// SPDX-License-Identifier: MIT
/** The table of variants as text for a terminal of 80 columns: verdicts, what was counted, and what each variant does. */
import { CLIENT_KINDS, type ClientKind } from "../run/types.ts";
import { type Paint, wrap } from "../text.ts";
import { CODES, legend, WAY_CODES } from "./text.ts";
import type { VariantCell, Variants } from "./types.ts";
import { VARIANT_ROWS, VARIANT_WAYS, variantKeys, type VariantRow } from "./variants.ts";

const WIDTH = 80;
const LABEL = 18;
const GROUP = 20;
const COUNT = 10;

/** What each row does, and who did or proposed it. */
const WORDS: Readonly<Record<string, string>> = {
  remove: "Linux 5.8 to 6.1.6: the hook is the remove function; devices are released under their drivers, then CR0 <- 0",
  "gbpa-bypass": "as arm-smmu (SMMUv2) does: bypass whatever was set before, then CR0 <- 0",
  audit: "proposed as an aid in March 2024: refuse all, record who still comes, for 50 ms and on",
  blocked: "each client's stream is made to abort; translation stays on for the rest",
  "leave-on": "translation stays on; event queue and interrupts end, for a next kernel that adopts",
  "kdump: adopt": "proposed in 2026: the crash kernel takes the crashed one's stream table over",
};

function labelOf({ smmuShutdown, kdumpPolicy }: Pick<VariantRow, "smmuShutdown" | "kdumpPolicy">): string {
  return kdumpPolicy === "reset-abort" ? smmuShutdown : `kdump: ${kdumpPolicy}`;
}

/** The rows and clients of a table; of a part that was asked for, those that have a cell in it. */
function shown({ only, cells }: Variants): { rows: readonly VariantRow[]; clients: readonly ClientKind[] } {
  if (only === undefined) return { rows: VARIANT_ROWS, clients: CLIENT_KINDS };
  return {
    rows: VARIANT_ROWS.filter((row) => cells.some((cell) => labelOf(cell) === labelOf(row))),
    clients: CLIENT_KINDS.filter((client) => cells.some((cell) => cell.client === client)),
  };
}

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

const COUNTS: readonly (readonly [title: string, count: (cell: VariantCell) => number])[] = [
  ["translated", ({ dma }) => dma.translated],
  ["bypassed", ({ dma }) => dma.bypassed],
  ["aborted", ({ dma }) => dma.aborted],
  ["events", ({ events, eventsLost }) => events - eventsLost],
  ["walks", ({ staleWalks }) => staleWalks],
  ["bytes", ({ foreignWriteBytes }) => foreignWriteBytes],
];

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
    const [first = "", ...rest] = wrap(WORDS[labelOf(row)] ?? "", WIDTH - LABEL);
    return [`${labelOf(row).padEnd(LABEL)}${first}`, ...rest.map((line) => `${" ".repeat(LABEL)}${line}`)];
  });
}

/** What is said of a table that is not whole; undefined if it is. */
function partialNote({ complete, only, cells }: Variants): string | undefined {
  if (complete) return undefined;
  const why = only === undefined ? "the run was interrupted" : `only cells with "${only}" in their names were asked for`;
  return `PARTIAL: ${cells.length} of ${variantKeys().length} cells, because ${why}.`;
}

/** The whole of what `quiesce matrix --variants` prints. */
export function variantsText(variants: Variants, paint: Paint): string {
  const note = partialNote(variants);
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
