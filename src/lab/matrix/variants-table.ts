// SPDX-License-Identifier: MIT
/** What the table of variants says of its rows, on the terminal and on the page. */
import { CLIENT_KINDS, type ClientKind } from "../run/types.ts";
import type { VariantCell, Variants } from "./types.ts";
import { VARIANT_ROWS, variantKeys, type VariantRow } from "./variants.ts";

/** What each row does, and who did or proposed it. */
const WORDS: Readonly<Record<string, string>> = {
  remove: "Linux 5.8 to 6.1.6: the hook is the remove function; devices are released under their drivers, then CR0 <- 0",
  "gbpa-bypass": "as arm-smmu (SMMUv2) does: bypass whatever was set before, then CR0 <- 0",
  audit: "proposed as an aid in March 2024: refuse all, record who still comes, for 50 ms and on",
  blocked: "each client's stream is made to abort; translation stays on for the rest",
  "leave-on": "translation stays on; event queue and interrupts end, for a next kernel that adopts",
  "kdump: adopt": "proposed in 2026: the crash kernel takes the crashed one's stream table over",
};

/** What a row is called. */
export function labelOf({ smmuShutdown, kdumpPolicy }: Pick<VariantRow, "smmuShutdown" | "kdumpPolicy">): string {
  return kdumpPolicy === "reset-abort" ? smmuShutdown : `kdump: ${kdumpPolicy}`;
}

/** What a row does, and who did or proposed it. */
export function meaningOf(row: VariantRow): string {
  return WORDS[labelOf(row)] ?? "";
}

/** The rows and clients of a table; of a part that was asked for, those that have a cell in it. */
export function shown({ only, cells }: Variants): { rows: readonly VariantRow[]; clients: readonly ClientKind[] } {
  if (only === undefined) return { rows: VARIANT_ROWS, clients: CLIENT_KINDS };
  return {
    rows: VARIANT_ROWS.filter((row) => cells.some((cell) => labelOf(cell) === labelOf(row))),
    clients: CLIENT_KINDS.filter((client) => cells.some((cell) => cell.client === client)),
  };
}

/** What is counted over a row's cells. */
export const COUNTS: readonly (readonly [title: string, count: (cell: VariantCell) => number])[] = [
  ["translated", ({ dma }) => dma.translated],
  ["bypassed", ({ dma }) => dma.bypassed],
  ["aborted", ({ dma }) => dma.aborted],
  ["events", ({ events, eventsLost }) => events - eventsLost],
  ["walks", ({ staleWalks }) => staleWalks],
  ["bytes", ({ foreignWriteBytes }) => foreignWriteBytes],
];

/** What is said of a table that is not whole; undefined if it is. */
export function variantsNote({ complete, only, cells }: Variants): string | undefined {
  if (complete) return undefined;
  const why = only === undefined ? "the run was interrupted" : `only cells with "${only}" in their names were asked for`;
  return `PARTIAL: ${cells.length} of ${variantKeys().length} cells, because ${why}.`;
}
