// SPDX-License-Identifier: MIT
/** What every page of the report has: one file with style and script in it, a heading, and details that open by a link. */
import type { RunResult } from "../run/result.ts";
import type { Verdict } from "../run/types.ts";
import { SHAPES, badge, runDetail } from "./detail.ts";
import { escape } from "./html.ts";
import { SCRIPT, STYLE } from "./style.ts";

/** @param title,heading text @param intro,main HTML */
export function frame({ title, heading, intro, main }: Readonly<Record<"title" | "heading" | "intro" | "main", string>>): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>${escape(title)}</title><style>${STYLE}</style></head><body>
<header><h1>${escape(heading)}</h1>
${intro}</header>
<main>${main}</main>
<footer class="quiet"><p>Counts of DMA are accesses from the first step of the way down until a later kernel\u2019s driver owned the device.<span class="keys" hidden> Escape closes a cell; arrow keys move between cells.</span></p></footer>
<script>${SCRIPT}</script></body></html>
`;
}

/** A cell of a table: a link to its detail. */
export function cellLink(id: string, title: string, verdict: Verdict): string {
  return `<a class="cell ${verdict}" id="to-${id}" href="#${id}" aria-label="${escape(`${title}: ${verdict}`)}"><span class="mark" aria-hidden="true">${SHAPES[verdict]}</span>${verdict}</a>`;
}

/** The detail that such a link opens. */
export function detailSection(id: string, title: string, verdict: Verdict, run: RunResult): string {
  return (
    `<section class="detail" id="${id}" tabindex="-1" aria-labelledby="${id}-title"><div class="detail-head"><h3 id="${id}-title">${escape(title)}</h3>${badge(verdict)}<a class="close" href="#to-${id}">close</a></div>` +
    `${runDetail(run)}</section>`
  );
}
