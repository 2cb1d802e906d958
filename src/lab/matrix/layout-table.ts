// SPDX-License-Identifier: MIT
/** The layout experiment as a table: a line for each cell with how its verdicts spread, and what that says, by counting. */
import { CLIENT_KINDS, type ClientHook, type ClientKind, type SmmuPolicy, type Verdict, VERDICTS } from "../run/types.ts";
import { LAYOUT_GROUPS } from "./layout.ts";
import type { LayoutRow } from "./types.ts";

/** One cell over all layouts. */
export interface FoldedLayout {
  readonly smmuShutdown: SmmuPolicy;
  readonly client: ClientKind;
  readonly clientShutdown: ClientHook;
  readonly rows: readonly LayoutRow[];
  /** How often each verdict came, the worst first; verdicts that did not come are left out. */
  readonly tally: readonly { readonly verdict: Verdict; readonly count: number }[];
}

/** Cells in the order of the experiment; those without a run are left out. */
export function foldLayout(rows: readonly LayoutRow[]): FoldedLayout[] {
  const cells = LAYOUT_GROUPS.flatMap((group) => CLIENT_KINDS.map((client) => ({ ...group, client })));
  return cells.flatMap((cell) => {
    const own = rows.filter(
      (row) => row.smmuShutdown === cell.smmuShutdown && row.client === cell.client && row.clientShutdown === cell.clientShutdown,
    );
    const tally = VERDICTS.toReversed()
      .map((verdict) => ({ verdict, count: own.filter((row) => row.verdict === verdict).length }))
      .filter(({ count }) => count > 0);
    return own.length === 0 ? [] : [{ ...cell, rows: own, tally }];
  });
}

/** How the verdicts of one cell spread: `corrupt 2, stray 1 of 3`. */
export function tallyWords({ tally, rows }: FoldedLayout): string {
  return `${tally.map(({ verdict, count }) => `${verdict} ${count}`).join(", ")} of ${rows.length}`;
}

function join(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)!}`;
}

/** What depends on the layout and what does not, and where a raw address did no harm by luck alone. */
export function layoutSentences(rows: readonly LayoutRow[]): string[] {
  const cells = foldLayout(rows);
  const groups = LAYOUT_GROUPS.map(({ smmuShutdown, clientShutdown }) => {
    const own = cells.filter((cell) => cell.smmuShutdown === smmuShutdown && cell.clientShutdown === clientShutdown);
    const name = clientShutdown === "no-hook" ? smmuShutdown : `${clientShutdown} clients under ${smmuShutdown}`;
    const swayed = own.filter(({ tally }) => tally.length > 1).length;
    const worst = VERDICTS.findLast((verdict) => own.some(({ tally }) => tally.some((part) => part.verdict === verdict)));
    return { name, swayed, of: own.length, worst };
  }).filter(({ of }) => of > 0);
  if (groups.length === 0) return [];
  const depends = groups
    .filter(({ swayed }) => swayed > 0)
    .map(({ name, swayed, of, worst }) => `${name} (${swayed} of ${of} clients, at worst ${worst})`);
  const stands = groups.filter(({ swayed }) => swayed === 0).map(({ name, worst }) => `${name} (at worst ${worst})`);
  const sentence = [
    ...(depends.length > 0 ? [`the verdict depends on the layout with ${join(depends)}`] : []),
    ...(stands.length > 0 ? [`it does not with ${join(stands)}`] : []),
  ].join("; ");
  const raw = rows.filter(({ dma }) => dma.bypassed + dma.undecoded > 0);
  const luck = raw.filter(({ dma }) => dma.bypassed === 0).length;
  return [
    `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}.`,
    ...(raw.length > 0
      ? [`In ${luck} of the ${raw.length} runs with raw addresses nothing decoded any of them: that is luck, not safety.`]
      : []),
  ];
}
