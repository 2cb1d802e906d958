// SPDX-License-Identifier: MIT
/** What a run says of devices that waited for suppliers, of clients that never worked, and of how its kernels ended. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { dtNode, type DtNode, fdt_read, of_walk, unflatten_device_tree } from "../../../src/kernel/index.ts";
import {
  BASE_SCENARIO,
  boardDevice,
  machineOnBoard,
  parseScenario,
  runScenario,
  runText,
  type RunResult,
  type Scenario,
  shutdownOrder,
} from "../../../src/lab/index.ts";

const root = join(import.meta.dirname, "../../..");
const board = (): DtNode => unflatten_device_tree(fdt_read(readFileSync(join(root, "test/fixtures/dtb/board.dtb"))));
const display = boardDevice("hdlcd", { name: "display" });
const shipped = (name: string): Scenario => parseScenario(readFileSync(join(root, `scenarios/${name}.yaml`), "utf8"), name);

function onBoard(tree: DtNode, change: Partial<Scenario> = {}): Scenario {
  const machine = { ...BASE_SCENARIO.machine, devices: [display], smmuNode: 0 };
  return { ...BASE_SCENARIO, title: "on a board", wayDown: "kexec", machine: machineOnBoard(tree, machine), ...change };
}
const run = (scenario: Scenario): RunResult => runScenario(scenario, { seed: 1, replay: "node quiesce.js" });
const text = (scenario: Scenario, result: RunResult): string => runText(scenario, result, [], (_style, words) => words);
/** Without the line breaks. */
const flat = (words: string): string => words.replace(/\s+/g, " ");

/** The board with a supplier of the display below a bus whose driver no run has: it never becomes a device. */
function withPmic(): DtNode {
  const tree = board();
  const pmic = dtNode({ name: "pmic", label: "pmic", compatible: ["test,pmic"], properties: { "regulator-name": "panel" } });
  const i2c = dtNode({ name: "i2c@1000", compatible: ["test,i2c"], reg: [{ base: 0x1000, size: 0x1000 }], children: [pmic] });
  const changed = (node: DtNode): DtNode => ({
    ...node,
    children: node.children.map(changed),
    properties: node.name.startsWith("display@") ? { ...node.properties, "vdd-supply": [{ label: "pmic", args: [] }] } : node.properties,
  });
  const result = changed(tree);
  expect([...of_walk(result)].some(({ name }) => name.startsWith("display@"))).toBe(true);
  return { ...result, children: [...result.children, i2c] };
}

describe("a supplier without a driver in the run", () => {
  const scenario = onBoard(board());
  const result = run(scenario);

  test("is named, with who waited for it until booting was over, in each kernel", () => {
    const [first, second] = result.deferredProbes;
    expect(first).toEqual({
      kernel: "first",
      device: "7ff60000.display",
      reason: "supplier regulator-panel not ready",
      supplier: "regulator-panel",
      supplierState: "no-driver",
      outcome: "bound-after-timeout",
    });
    expect(second).toEqual({ ...first, kernel: "second" });
    expect(result.deferredProbes).toHaveLength(2);
    expect(result.idleClients).toEqual([]);
  });

  test("moves its consumer to the tail of the list, which quiesce order does not: the text says so", () => {
    const places = (names: readonly string[]): boolean => names.indexOf("7ff60000.display") < names.indexOf("2b400000.iommu");
    const order = shutdownOrder(board(), { fwDevlink: "rpm", strict: false, modules: [], builtIn: ["hdlcd"] });
    expect(places(result.shutdownOrder.filter(({ kernel }) => kernel === "first").map(({ device }) => device))).toBe(true);
    expect(places(order.shutdownOrder.map(({ name }) => name))).toBe(false);
    expect(flat(text(scenario, result))).toContain(
      "first, second: 7ff60000.display: supplier regulator-panel not ready; regulator-panel has no driver in this run; probed when booting was over",
    );
    expect(flat(text(scenario, result))).toContain("its order can differ");
  });
});

test("a client whose supplier never becomes a device stays deferred, and the run says that it never worked", () => {
  const scenario = onBoard(withPmic());
  const result = run(scenario);
  expect(result.deferredProbes[0]).toEqual({
    kernel: "first",
    device: "7ff60000.display",
    reason: "wait for supplier pmic",
    supplier: "pmic",
    supplierState: "no-device",
    outcome: "pending",
  });
  expect(result.idleClients).toEqual([
    { kernel: "first", device: "7ff60000.display", why: "it waits to be probed (wait for supplier pmic)" },
  ]);
  const says = text(scenario, result);
  expect(flat(says)).toContain("wait for supplier pmic; pmic is no device in this run; deferred probe pending");
  expect(flat(says)).toContain("active and did no DMA: nothing is shown of them first: 7ff60000.display: it waits to be probed");
  expect(says).toContain("shutdown of 7ff60000.display: no driver is bound");
  for (const line of says.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
});

test("where every supplier has a driver, nothing is listed", () => {
  const result = run({ ...BASE_SCENARIO, title: "", machine: { ...BASE_SCENARIO.machine, devices: [display] }, wayDown: "reboot" });
  expect([result.deferredProbes, result.idleClients]).toEqual([[], []]);
});

describe("how the kernels ended", () => {
  test("a first kernel that died is called the first", () => {
    const scenario = shipped("reboot-remove-display");
    const result = run(scenario);
    expect(result.kernelStates).toEqual([{ kernel: "first", state: "oops" }]);
    expect(text(scenario, result)).toMatch(/^first kernel {2}oops: no second one came$/m);
    expect(text(scenario, result)).not.toContain("second kernel");
  });

  test("a chain is told kernel by kernel", () => {
    const scenario = shipped("chain-kexec-three");
    expect(text(scenario, run(scenario))).toMatch(/^kernels {7}first up, second up, third up, fourth up$/m);
  });

  test("a kernel that comes back from a jump is told where it goes on, and what it does then", () => {
    const scenario = shipped("kexec-jump-display");
    const result = run(scenario);
    expect(text(scenario, result)).toMatch(/^kernels {7}first up, second up, first up$/m);
    const waits = result.milestones.filter(({ text: words }) => words.startsWith("works until"));
    expect(waits.map(({ kernel }) => kernel)).toEqual(["second"]);
    expect(result.idleClients).toEqual([]);
  });

  test("what a kernel of a chain waits for before it goes down is in the list of what happened", () => {
    const scenario = shipped("chain-kexec-three");
    const result = run(scenario);
    const waits = result.milestones.filter(({ text: words }) => /works until|waited for/.test(words));
    expect(waits.map(({ kernel, text: words }) => `${kernel}: ${words}`)).toEqual([
      "second: works until its way down, 25.855 ms: 20 as the scenario says, the rest by the seed",
      // Its trace router stopped at a refused write under the second kernel, with TraceCaptEn still set.
      expect.stringMatching(/^third: 20070000\.etr was waited for 500 ms and did no DMA: coresight-tmc is bound to it.*was refused$/),
      "third: works until its way down, 25.855 ms: 20 as the scenario says, the rest by the seed",
    ]);
    expect(result.idleClients.map(({ kernel, device }) => [kernel, device])).toEqual([["third", "20070000.etr"]]);
  });
});
