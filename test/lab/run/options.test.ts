// SPDX-License-Identifier: MIT
/** Keys of a scenario that change one thing about its machine or its kernels. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseScenario, runScenario, type RunResult, ScenarioError } from "../../../src/lab/index.ts";

const folder = join(import.meta.dirname, "../../../scenarios");
const shipped = (name: string): string => readFileSync(join(folder, `${name}.yaml`), "utf8");
const run = (text: string): RunResult => runScenario(parseScenario(text, "f"), { seed: 1, replay: "" });
const steps = ({ milestones }: RunResult): string[] => milestones.map(({ text }) => text);

/** @param keys further top-level keys */
const plain = (devices: string, keys: string): string =>
  ["title: t", "story: s", "source: s", `machine: { pci: {}, devices: [${devices}] }`, keys].join("\n");
const DISPLAY = "{ name: d, kind: hdlcd, hook: no-hook }";

describe("busMasterOff of one device", () => {
  const held = shipped("kexec-held-reception");
  const nic = "{ name: nic, kind: e1000e, hook: no-hook }";

  test("a function holds its requests although the machine's others drop them", () => {
    const text = held.replace("busMasterOff: hold", "busMasterOff: drop").replace(nic, nic.replace(" }", ", busMasterOff: hold }"));
    expect(run(text)).toEqual(run(held));
  });

  test("a function drops its requests although the machine's others hold them", () => {
    const text = held.replace(nic, nic.replace(" }", ", busMasterOff: drop }"));
    expect(run(text).nextKernelBytesCorrupted).toBe(0);
    expect(run(held).nextKernelBytesCorrupted).toBeGreaterThan(0);
  });

  test("of two functions on one link only the one that holds its requests writes into the next kernel", () => {
    const two = held.replace(`- ${nic}`, `- ${nic.replace(" }", ", busMasterOff: drop }")}\n    - ${nic.replace("nic", "other")}`);
    const foreign = run(two).claims.find(({ claim }) => claim === "no-foreign-write")!;
    expect(new Set(foreign.evidence.map(({ who }) => who))).toEqual(new Set(["0000:02:00.0"]));
  });

  test("a platform device has none", () => {
    expect(() => parseScenario(plain("{ name: d, kind: hdlcd, busMasterOff: hold }", "wayDown: reboot"), "f")).toThrow(
      new ScenarioError("f:4:69: d is no PCI function: it has no bus mastering to turn off"),
    );
  });
});

describe("a panic without a crash kernel", () => {
  const forEver = run(plain(DISPLAY, "wayDown: panic"));

  test("shuts no device down and starts no other kernel", () => {
    expect(forEver.shutdownOrder).toEqual([]);
    expect(forEver.secondKernel).toBe("none");
    expect(steps(forEver)).toEqual(
      expect.arrayContaining([
        "panic",
        "smp_send_stop",
        "panic_notifier_list",
        "the CPU goes round in the loop that ends a panic, power stays on",
      ]),
    );
  });

  test("leaves translation on and memory its own: devices do their DMA as before", () => {
    expect(forEver.verdict).toBe("clean");
    const last = forEver.timeline.bins.granted.findLastIndex((count) => count > 0);
    expect(forEver.timeline.start + last * forEver.timeline.binNs).toBeGreaterThan(forEver.wayDownAt + 10_000_000);
  });

  test.each([
    [2, 2_000],
    [-1, 0],
  ])("with panicTimeoutSec %i restarts the machine after %i ms", (seconds, ms) => {
    const result = run(plain(DISPLAY, `kernel: { panicTimeoutSec: ${seconds} }\nwayDown: panic`));
    const reset = result.milestones.find(({ text }) => text.includes("reset"))!;
    expect(Math.trunc((reset.time - result.wayDownAt) / 1e6 / 1000) * 1000).toBe(ms);
    expect(result.secondKernel).toBe("up");
    expect(result.shutdownOrder).toEqual([]);
  });

  test("goes on to a further kernel only with a time-out", () => {
    const then = "wayDown: panic\nthen: [{ wayDown: reboot }]";
    expect(() => parseScenario(plain(DISPLAY, then), "f")).toThrow(
      "no kernel comes after the panic before it, which has no panicTimeoutSec",
    );
    expect(run(plain(DISPLAY, `kernel: { panicTimeoutSec: 1 }\n${then}`)).secondKernel).toBe("up");
  });
});

describe("devicesKset", () => {
  const text = shipped("reboot-smmu-before-clients");
  const [SMMU, DISPLAY_NODE] = ["2b400000.iommu", "7ff60000.hdlcd"];
  const order = ({ shutdownOrder }: RunResult): string[] =>
    shutdownOrder.map(({ device }) => device).filter((device) => device === SMMU || device === DISPLAY_NODE);

  test("by registration the SMMU goes before clients that were registered before it, without links", () => {
    expect(order(run(text))).toEqual([SMMU, DISPLAY_NODE]);
  });

  test("moved at each probe, as until 2018, it goes after them: it probed first", () => {
    const moved = run(text.replace("wayDown:", "kernel: { devicesKset: probe-4.3 }\nwayDown:"));
    expect(order(moved)).toEqual([DISPLAY_NODE, SMMU]);
  });
});

describe("cpus", () => {
  test("others are brought up at boot and stopped on the way down", () => {
    const result = run(plain(DISPLAY, "kernel: { cpus: 4 }\nwayDown: reboot"));
    expect(result.log.map(({ text }) => text)).toContain("smp: Brought up 1 node, 4 CPUs");
  });
});

describe("asyncShutdown", () => {
  const devices = "{ name: a, kind: e1000e }, { name: b, kind: e1000e }";
  const down = (keys: string): RunResult => run(plain(devices, `${keys}wayDown: reboot`));
  const took = (result: RunResult): number => result.milestones.find(({ text }) => text.includes("reset"))!.time - result.wayDownAt;

  test("the hooks of PCI functions run side by side", () => {
    expect(took(down("kernel: { asyncShutdown: v16 }\n"))).toBeLessThan(took(down("")));
  });
});
