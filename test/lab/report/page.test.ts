// SPDX-License-Identifier: MIT
/** The page: one file, no network, readable without script, and every text in it escaped. */
import { describe, expect, test } from "vitest";
import { type MatrixCell, matrixPage, parseCell, runCell, type RunResult, assembleMatrix } from "../../../src/lab/index.ts";
import { escape, group, milliseconds } from "../../../src/lab/report/html.ts";
import { cells } from "../matrix/cells.ts";

const key = parseCell("bypass/tmc-etr/no-hook/kexec")!;
const evil = '<img src=x onerror="alert(1)">&\'';
const measured = runCell(key, 1);
const run: RunResult = { ...measured, oops: { ...measured.oops!, message: evil, task: evil }, replay: evil };
const { document, runsByCell } = assembleMatrix(1, [key], [run], [], []);
const html = matrixPage(document, runsByCell);

test("text that looks like markup stays text", () => {
  expect(html).not.toContain(evil);
  expect(html).not.toContain("<img");
  expect(html).toContain(escape(evil));
});

test("nothing is fetched: no address of another place, no asset", () => {
  expect(html).not.toMatch(/https?:\/\//);
  expect(html).not.toMatch(/<(link|img|iframe|object|embed)\b/);
  expect(html.replaceAll(escape(evil), "")).not.toMatch(/\bsrc(set)?=|@import|url\(/);
});

test("a cell leads to its detail by a plain link, so no script is needed", () => {
  expect(html).toContain('href="#cell-bypass-tmc-etr-no-hook-kexec"');
  expect(html).toContain('id="cell-bypass-tmc-etr-no-hook-kexec"');
});

test("a verdict is told by word and shape, not by colour alone", () => {
  expect(html).toMatch(/<span class="mark" aria-hidden="true">\u25a0<\/span>corrupt<\/a>/);
});

test("the table has real headers for columns, column groups, rows and row groups", () => {
  for (const scope of ["col", "colgroup", "row", "rowgroup"]) expect(html).toContain(`scope="${scope}"`);
});

test("a detail has timeline, evidence and the replay command", () => {
  expect(html).toContain("<svg");
  expect(html).toContain("next-kernel-intact");
  expect(html).toContain("the next kernel is entered");
});

test("a page of a whole matrix without runs is still a page", () => {
  const page = matrixPage(
    { schema: "quiesce/matrix@1", seed: "0x1", complete: false, cells: cells(), order: [], layout: [] },
    new Map<MatrixCell, RunResult>(),
  );
  expect(page.match(/class="cell /g)).toHaveLength(135);
  expect(page).toContain("PARTIAL: 135 of 135 cells");
});

test("a page of a part of the matrix says so on top and at the end, and concludes nothing", () => {
  const note = "PARTIAL: 1 of 135 cells, because the run was interrupted. No conclusion is drawn.";
  expect(html.split(note)).toHaveLength(3);
  expect(html).not.toMatch(/What stops|borne out|The thread of June/);
});

test("closing a detail leads back to its cell, without a script too", () => {
  expect(html).toContain('class="close" href="#to-cell-bypass-tmc-etr-no-hook-kexec"');
  expect(html).toContain('id="to-cell-bypass-tmc-etr-no-hook-kexec"');
});

test("print shows the open detail, and only that", () => {
  const print = html.slice(html.indexOf("@media print"), html.indexOf("</style>"));
  expect(print).not.toMatch(/\.detail\s*\{[^}]*display:\s*none/);
  expect(html).toContain(".detail{display:none;");
  expect(html).toContain(".detail:target{display:block}");
});

test("keys are named only where the script that serves them runs", () => {
  expect(html).toMatch(/<span class="keys" hidden>[^<]*Escape/);
  expect(html.slice(html.indexOf("<script>"))).toContain('".keys").hidden=false');
});

test("a window that is narrower than the matrix is told that it scrolls", () => {
  expect(html.indexOf('class="quiet scrolls"')).toBeLessThan(html.indexOf('class="matrix"'));
});

describe("tools", () => {
  test("times are milliseconds with sign, relative to the way down", () => {
    expect(milliseconds(1_500_000, 1_000_000)).toBe("+0.500 ms");
    expect(milliseconds(0, 2_000_000)).toBe("\u22122.000 ms");
  });

  test("digits are grouped by three", () => {
    expect(group(1234567)).toBe("1\u202f234\u202f567");
    expect(group(12)).toBe("12");
  });
});
