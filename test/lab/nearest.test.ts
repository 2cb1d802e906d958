// SPDX-License-Identifier: MIT
/** What somebody may have meant. */
import { expect, test } from "vitest";
import { nearest } from "../../src/lab/index.ts";

const KNOWN = ["matrix", "run", "replay", "wayDown"];

test.each([
  ["waydown", "wayDown"],
  ["matrx", "matrix"],
  ["rnu", "run"],
  ["repaly", "replay"],
])("%s is near %s", (word, meant) => {
  expect(nearest(word, KNOWN)).toBe(meant);
});

test.each([["explode"], [""], ["x".repeat(1000)]])("%j is near nothing", (word) => {
  expect(nearest(word, KNOWN)).toBeUndefined();
});
