// SPDX-License-Identifier: MIT
/** The matrix in a terminal: 80 columns, words with a legend, no colour of its own. */
import { expect, test } from "vitest";
import { type LayoutRow, layoutKeys, type Matrix, matrixText, type OrderRow } from "../../../src/lab/index.ts";
import { cells } from "./cells.ts";

const row: OrderRow = {
  board: "SMMU node last, all built in",
  arrangement: { nodes: "smmu-last", drivers: "built-in", fwDevlinkStrict: false, deviceLink: false },
  shutdownOrder: ["2b400000.iommu", "7ff60000.hdlcd"],
  smmuBeforeClients: ["7ff60000.hdlcd"],
};
const layoutRows: LayoutRow[] = layoutKeys(1).map((key) => ({
  ...key,
  ram: { base: "0x80000000", size: "0x40000000" },
  seed: `0x${key.seed.toString(16)}`,
  dma: { afterOwnShutdown: 1, afterSmmuShutdown: 1, translated: 0, bypassed: 0, aborted: 0, undecoded: 1 },
  foreignWriteBytes: 0,
  nextKernelBytesCorrupted: 0,
  staleWalks: 0,
  secondKernel: "up",
  verdict: key.layout === "2-3G" ? "contained" : key.seed === 2 ? "stray" : "corrupt",
  replay: "",
}));
const matrix: Matrix = {
  schema: "quiesce/matrix@1",
  seed: "0x1",
  complete: true,
  cells: cells(({ client, wayDown }) => (client === "tmc-etr" && wayDown === "kexec" ? { verdict: "corrupt" } : {})),
  order: [row],
  layout: layoutRows,
};
const plain = matrixText(matrix, (_style, text) => text);

test("no line is longer than 80 columns", () => {
  expect(plain.split("\n").filter((line) => line.length > 80)).toEqual([]);
});

test("each client has a row for each of its hooks", () => {
  expect(
    plain.split("\n").filter((line) => /^(e1000e|hdlcd|tmc-etr|) +(no-hook|mainline|quiescing)( +(ok|con|str|COR)){15}$/.test(line)),
  ).toHaveLength(9);
});

test("every code that stands in the matrix is explained", () => {
  expect(plain).toContain("ok clean: ");
  expect(plain).toContain("COR corrupt: ");
});

test("what the bearings mean is said", () => {
  expect(plain).toMatch(/^borne out: /m);
  expect(plain).toMatch(/in part: /);
});

test.each([
  [{ complete: false }, "PARTIAL: 134 of 135 cells, because the run was interrupted. No conclusion is drawn."],
  [
    { complete: false, only: "kexec" },
    'PARTIAL: 134 of 135 cells, because only cells with "kexec" in their names were asked for. No conclusion is drawn.',
  ],
])("a part of the matrix (%j) says so on top and at the end and concludes nothing", (change, note) => {
  const text = matrixText({ ...matrix, ...change, cells: matrix.cells.slice(1) }, (_style, words) => words);
  const parts = text.trimEnd().split("\n\n");
  expect(parts[0]!.replace("\n", " ")).toBe(note);
  expect(parts.at(-1)!.replace("\n", " ")).toBe(note);
  expect(text).not.toMatch(/What stops|borne out|in order/);
  expect(text.split("\n").filter((line) => line.length > 80)).toEqual([]);
});

test("a cell that was not run is a dash", () => {
  const text = matrixText({ ...matrix, complete: false, cells: matrix.cells.slice(1) }, (_style, words) => words);
  expect(text).toMatch(/^e1000e +no-hook +- /m);
});

test("a client that loses its SMMU first is named", () => {
  expect(plain).toMatch(/^smmu-last +built-in +hdlcd +- /m);
});

test("each cell of the layout experiment has a line with its tally", () => {
  expect(plain).toContain("none    e1000e   no-hook    corrupt 3, stray 1, contained 1 of 5\n");
});

test("paint sees each verdict as a style", () => {
  const styles = new Set<string>();
  matrixText(matrix, (style, text) => (styles.add(style), text));
  expect([...styles]).toEqual(expect.arrayContaining(["bold", "dim", "clean", "corrupt"]));
});
