// SPDX-License-Identifier: MIT
/** The page of variants, and what a detail shows of kernels that complained: escaped, by links, and only where there is something. */
import { expect, test } from "vitest";
import {
  assembleMatrix,
  assembleVariants,
  matrixPage,
  parseCell,
  runCell,
  type RunResult,
  type VariantCell,
  variantKeys,
  variantsPage,
} from "../../../src/lab/index.ts";
import { escape } from "../../../src/lab/report/html.ts";

const evil = '<img src=x onerror="alert(1)">&\'';
const keys = variantKeys().filter(
  ({ smmuShutdown, client, wayDown }) => smmuShutdown === "audit" && client === "hdlcd" && wayDown === "kexec",
);
const run = runCell(keys[0]!, 1);
const variants = assembleVariants(1, keys, [run], "audit/hdlcd");
const page = (result: RunResult): string => variantsPage(variants, new Map<VariantCell, RunResult>([[variants.cells[0]!, result]]));

/** Elements that are opened and not closed, or closed and not open. */
function unbalanced(html: string): string[] {
  const open: string[] = [];
  const wrong: string[] = [];
  const body = html.replace(/<(style|script)>[^]*?<\/\1>/g, "");
  for (const [, close, name, self] of body.matchAll(/<(\/?)([a-z][a-z0-9]*)\b[^>]*?(\/?)>/g)) {
    if (self === "/" || ["meta", "br"].includes(name!)) continue;
    if (close === "") open.push(name!);
    else if (open.at(-1) === name) open.pop();
    else wrong.push(name!);
  }
  return [...open, ...wrong];
}

test("the page has a cell for each variant that ran, which a plain link opens", () => {
  const html = page(run);
  expect(html).toContain('href="#cell-audit-hdlcd-no-hook-kexec"');
  expect(html).toContain('<section class="detail" id="cell-audit-hdlcd-no-hook-kexec"');
  expect(html).toContain("proposed as an aid in March 2024");
  expect(html).toContain("PARTIAL: 1 of 48 cells, because only cells with &quot;audit/hdlcd&quot; in their names were asked for.");
  expect(unbalanced(html)).toEqual([]);
});

test("variants and clients that were not asked for are not on it", () => {
  const main = page(run).replace(/<style>[^]*<\/style>/, "");
  expect(main).not.toMatch(/gbpa-bypass|leave-on|tmc-etr|e1000e/);
});

test("the whole table is on the page of all", () => {
  const html = variantsPage(
    assembleVariants(
      1,
      variantKeys(),
      variantKeys().map(() => run),
    ),
    new Map(),
  );
  expect(html.match(/class="cell /g)).toHaveLength(48);
  for (const name of ["remove", "gbpa-bypass", "audit", "blocked", "leave-on", "kdump: adopt"])
    expect(html).toContain(`<th scope="row">${name}</th>`);
  expect(html).not.toContain("PARTIAL");
  expect(unbalanced(html)).toEqual([]);
});

const complaint = {
  kernel: "second",
  time: run.wayDownAt + 1_500_000,
  check: "lockdep",
  message: evil,
  task: evil,
  device: evil,
  details: [evil],
} as const;
const complaining: RunResult = {
  ...run,
  kernelChecks: { warnings: Array.from({ length: 11 }, () => complaint), count: 12, leftAtEnd: [] },
  deferredProbes: [{ kernel: "first", device: evil, reason: evil, supplier: null, supplierState: null, outcome: "pending" }],
  idleClients: [{ kernel: "first", device: evil, why: evil }],
};

test.each(["variants", "matrix"])("a detail of the %s has what the kernels said of themselves, escaped, the first ten", (which) => {
  const key = parseCell("bypass/hdlcd/no-hook/kexec")!;
  const { document, runsByCell } = assembleMatrix(1, [key], [complaining], [], []);
  const html = which === "variants" ? page(complaining) : matrixPage(document, runsByCell);
  expect(html).toContain("<h4>Kernel checks</h4>");
  expect(html).toContain(`+1.500 ms</span> second kernel, lockdep: ${escape(evil)}`);
  expect(html.match(/second kernel, lockdep/g)).toHaveLength(10);
  expect(html).toContain("and 2 more");
  expect(html).toContain("<h4>Who waited, or never worked</h4>");
  expect(html).not.toContain("<img");
  expect(unbalanced(html)).toEqual([]);
});

test("a detail without complaints has no such heading", () => {
  expect(page(run)).not.toMatch(/Kernel checks|Who waited/);
});
