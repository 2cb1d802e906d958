// SPDX-License-Identifier: MIT
/** Verdicts: the worst that applies, as the contract words them. */
import { expect, test } from "vitest";
import { CLAIMS, type ClaimName, type RunResult, type VerdictInput, verdictOf, verdictReason } from "../../../src/lab/index.ts";

const nothing: VerdictInput = { anyClaimBroken: false, kernelFailed: false, strayAccesses: 0, nextKernelBytes: 0, ownedBytes: 0 };

test("clean: no claim broken", () => {
  expect(verdictOf(nothing)).toBe("clean");
});

test("contained: a claim is broken, nothing was harmed", () => {
  expect(verdictOf({ ...nothing, anyClaimBroken: true })).toBe("contained");
});

test("never clean: a kernel oopsed or hung", () => {
  expect(verdictOf({ ...nothing, kernelFailed: true })).toBe("contained");
});

test("the reason of a contained run says whether DMA went on", () => {
  const run = (change: Partial<RunResult>, ...broken: ClaimName[]): string =>
    verdictReason({
      verdict: "contained",
      claims: CLAIMS.map((claim) => ({ claim, holds: !broken.includes(claim), count: 0, evidence: [] })),
      dma: { afterOwnShutdown: 0, afterSmmuShutdown: 0, translated: 0, bypassed: 0, aborted: 0, undecoded: 0 },
      secondKernel: "up",
      oops: null,
      ...change,
    });
  const dma = { afterOwnShutdown: 1, afterSmmuShutdown: 0, translated: 1, bypassed: 0, aborted: 0, undecoded: 0 };
  expect(run({ dma }, "no-dma-after-own-shutdown")).toBe("DMA went on, nothing was harmed");
  expect(run({}, "suppliers-last")).toBe("broken: suppliers-last; no DMA went on after a shutdown, nothing was harmed");
  expect(run({ secondKernel: "hung" })).toContain("a kernel hung");
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
