// SPDX-License-Identifier: MIT
/** The matrix in a terminal: 80 columns, words with a legend, no colour of its own. */
import { expect, test } from "vitest";
import { type Matrix, matrixText, type OrderRow } from "../../../src/lab/index.ts";
import { cells } from "./cells.ts";

const row: OrderRow = {
  board: "SMMU node last, all built in",
  arrangement: { nodes: "smmu-last", drivers: "built-in", fwDevlinkStrict: false, deviceLink: false },
  shutdownOrder: ["2b400000.iommu", "7ff60000.hdlcd"],
  smmuBeforeClients: ["7ff60000.hdlcd"],
};
const matrix: Matrix = {
  schema: "quiesce/matrix@1",
  seed: "0x1",
  complete: true,
  cells: cells(({ client, wayDown }) => (client === "tmc-etr" && wayDown === "kexec" ? { verdict: "corrupt" } : {})),
  order: [row],
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

test("a cell that was not run is a dash", () => {
  const text = matrixText({ ...matrix, cells: matrix.cells.slice(1) }, (_style, words) => words);
  expect(text).toMatch(/^e1000e +no-hook +- /m);
});

test("a client that loses its SMMU first is named", () => {
  expect(plain).toMatch(/^smmu-last +built-in +hdlcd +- /m);
});

test("paint sees each verdict as a style", () => {
  const styles = new Set<string>();
  matrixText(matrix, (style, text) => (styles.add(style), text));
  expect([...styles]).toEqual(expect.arrayContaining(["bold", "dim", "clean", "corrupt"]));
});
