// SPDX-License-Identifier: MIT
/** What counts as not expected: verdicts, claims, and kernels that fail by themselves. */
import { expect, test } from "vitest";
import { brokenExpectations, cellScenario, parseCell, runCell, type RunResult, type Scenario } from "../../../src/lab/index.ts";

const key = parseCell("none/hdlcd/quiescing/power-off")!;
const run = runCell(key, 1);
const scenario = (expected: Partial<Scenario["expect"]>): Scenario => ({
  ...cellScenario(key),
  expect: { holds: [], broken: [], ...expected },
});
const oopsed = (kernel: string, nextKernelBytesCorrupted: number): RunResult => ({
  ...run,
  nextKernelBytesCorrupted,
  oops: { kernel, time: 0, message: "BUG", task: "swapper/0", device: "nic" },
});

test("a run that is as expected breaks nothing", () => {
  expect(brokenExpectations(scenario({ verdict: "clean", holds: ["no-foreign-write"] }), run)).toEqual([]);
});

test("another verdict is not as expected", () => {
  expect(brokenExpectations(scenario({ verdict: "corrupt" }), run)).toEqual(["the verdict is clean, corrupt was expected"]);
});

test("a claim that holds although it should be broken is not as expected", () => {
  expect(brokenExpectations(scenario({ broken: ["no-stale-walk"] }), run)).toEqual(["no-stale-walk holds, it was expected to be broken"]);
});

test("an oops of the first kernel is never expected, and is told with task and device", () => {
  expect(brokenExpectations(scenario({}), oopsed("first", 0))).toEqual(["the first kernel oopsed in task swapper/0, device nic: BUG"]);
});

test("an oops of the second kernel is expected only where its memory was overwritten", () => {
  expect(brokenExpectations(scenario({}), oopsed("second", 0))).toHaveLength(1);
  expect(brokenExpectations(scenario({}), oopsed("second", 64))).toEqual([]);
});
