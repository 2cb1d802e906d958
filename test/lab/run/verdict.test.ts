// SPDX-License-Identifier: MIT
/** Verdicts: the worst that applies, as the contract words them. */
import { expect, test } from "vitest";
import { type VerdictInput, verdictOf } from "../../../src/lab/index.ts";

const nothing: VerdictInput = { anyClaimBroken: false, strayAccesses: 0, nextKernelBytes: 0, ownedBytes: 0 };

test("clean: no claim broken", () => {
  expect(verdictOf(nothing)).toBe("clean");
});

test("contained: a claim is broken, nothing was harmed", () => {
  expect(verdictOf({ ...nothing, anyClaimBroken: true })).toBe("contained");
});

test("stray: memory was reached that nobody had granted", () => {
  expect(verdictOf({ ...nothing, anyClaimBroken: true, strayAccesses: 1 })).toBe("stray");
});

test("stray: a read is enough, even where no claim speaks of reads", () => {
  expect(verdictOf({ ...nothing, strayAccesses: 1 })).toBe("stray");
});

test("corrupt: the next kernel was changed", () => {
  expect(verdictOf({ ...nothing, anyClaimBroken: true, strayAccesses: 1, nextKernelBytes: 1 })).toBe("corrupt");
});

test("corrupt: memory given to someone else was changed", () => {
  expect(verdictOf({ ...nothing, anyClaimBroken: true, strayAccesses: 1, ownedBytes: 1 })).toBe("corrupt");
});
