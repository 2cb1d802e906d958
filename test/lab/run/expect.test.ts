// SPDX-License-Identifier: MIT
/** What counts as not expected: verdicts, claims, and kernels that fail by themselves. */
import { expect, test } from "vitest";
import { type DriverModule, platform_driver_register } from "../../../src/kernel/index.ts";
import {
  brokenExpectations,
  cellScenario,
  parseCell,
  runCell,
  runScenario,
  type RunResult,
  type Scenario,
} from "../../../src/lab/index.ts";
import { type Coroutine, never } from "../../../src/sim/index.ts";

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

const reboot = cellScenario(parseCell("none/hdlcd/no-hook/reboot")!);

/** A reboot with a driver whose hook is this. */
function runFaulty(shutdown: () => Coroutine<void>): RunResult {
  const devices = reboot.machine.devices.map((device) => ({ ...device, driver: "absent" as const }));
  const faulty: DriverModule = {
    name: "faulty",
    initcall: "device",
    linkOrder: 999,
    *init(kernel) {
      yield* platform_driver_register(kernel, {
        name: "faulty",
        of_match_table: ["arm,hdlcd"],
        *probe() {
          return 0;
        },
        shutdown,
      });
    },
  };
  return runScenario({ ...reboot, machine: { ...reboot.machine, devices } }, { seed: 1, replay: "", drivers: [faulty] });
}

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

test("a hook that never returns hangs the first kernel: told as hung, with who waits for what, and never clean", () => {
  const result = runFaulty(function* () {
    yield* never("a bit that never comes");
  });
  expect(result.secondKernel).toBe("hung");
  expect(result.verdict).not.toBe("clean");
  expect(result.stuck).toContainEqual({ kernel: "first", task: "reboot:1", reason: "a bit that never comes" });
  expect(brokenExpectations(reboot, result)).toEqual(["the first kernel hung: reboot:1 waits: a bit that never comes"]);
});

test("a driver that throws is an oops of the simulated kernel, with the device whose hook it was", () => {
  const result = runFaulty(function* () {
    throw new TypeError("drvdata is null");
  });
  expect(result.oops).toMatchObject({ kernel: "first", device: "7ff60000.hdlcd", task: "reboot:1" });
  expect(result.oops?.message).toContain("drvdata is null");
  expect(result.secondKernel).toBe("oops");
  expect(result.verdict).not.toBe("clean");
  expect(brokenExpectations(reboot, result)).toHaveLength(1);
});
