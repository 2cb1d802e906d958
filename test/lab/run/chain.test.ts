// SPDX-License-Identifier: MIT
/** Chains of kernels: each is a full kernel, each is looked after, and what one leaves in the machine the next one finds. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  brokenExpectations,
  cellScenario,
  parseCell,
  parseScenario,
  runScenario,
  runText,
  type RunResult,
  type Scenario,
  ScenarioError,
} from "../../../src/lab/index.ts";

const folder = join(import.meta.dirname, "../../../scenarios");
const shipped = (name: string): Scenario => parseScenario(readFileSync(join(folder, `${name}.yaml`), "utf8"), name);
const cache = new Map<string, RunResult>();

function run(name: string, change: (scenario: Scenario) => Scenario = (scenario) => scenario, variant: string = ""): RunResult {
  const key = name + variant;
  let result = cache.get(key);
  if (!result) cache.set(key, (result = runScenario(change(shipped(name)), { seed: 1, replay: "" })));
  return result;
}

const plain = (text: string): string =>
  ["title: t", "story: s", "source: s", "machine: { devices: [{ name: d, kind: hdlcd }] }", text].join("\n");

describe("three kexecs in a row", () => {
  const three = (): RunResult => run("chain-kexec-three");
  /** The same machine with a first kernel that clears CR0 as Linux does. */
  const tidy = (): RunResult =>
    run(
      "chain-kexec-three",
      (scenario) => ({ ...scenario, machine: { ...scenario.machine, smmu: { ...scenario.machine.smmu, shutdown: "bypass" } } }),
      " tidy",
    );

  test("four kernels come up, three of them by kexec", () => {
    expect(three().kernels?.map(({ kernel, startedBy, state }) => [kernel, startedBy, state])).toEqual([
      ["first", "firmware", "up"],
      ["second", "kexec", "up"],
      ["third", "kexec", "up"],
      ["fourth", "kexec", "up"],
    ]);
  });

  test("each jump goes through kernel_kexec and machine_kexec, and shuts devices down with the hooks of that kernel", () => {
    const steps = three().milestones.filter(({ text }) => text === "machine_kexec");
    expect(steps.map(({ kernel }) => kernel)).toEqual(["first", "second", "third"]);
    const etr = three().shutdownOrder.filter(({ device }) => device.endsWith(".etr"));
    expect(etr.map(({ kernel, hook }) => [kernel, hook])).toEqual([
      ["first", "driver coresight-tmc"],
      ["second", "none"],
      ["third", "none"],
    ]);
  });

  test("GBPA aborts from the second boot on if that kernel found SMMUEN set, although later shutdowns clear CR0 only", () => {
    expect(three().kernels?.map(({ smmuFound }) => smmuFound)).toMatchObject([
      { enabled: false, aborting: false },
      { enabled: true, aborting: false },
      { enabled: false, aborting: true },
      { enabled: false, aborting: true },
    ]);
  });

  test("GBPA bypasses after every boot if each kernel cleared CR0 before it left", () => {
    for (const { smmuFound } of tidy().kernels ?? []) expect(smmuFound).toEqual({ enabled: false, aborting: false });
  });

  test("the image of each kernel keeps its checksum where DMA is refused, and not where it is bypassed", () => {
    expect(three().kernels?.map(({ imageBytesChanged }) => imageBytesChanged)).toEqual([0, 0, 0, 0]);
    expect(
      tidy()
        .kernels?.slice(1)
        .some(({ imageBytesChanged }) => imageBytesChanged > 0),
    ).toBe(true);
    expect(tidy().verdict).toBe("corrupt");
  });

  test("each way down has its own counts of DMA, and they add up to the run's", () => {
    const { kernels = [], dma } = three();
    expect(kernels[1]?.dma?.aborted).toBeGreaterThan(0);
    expect(kernels[2]?.dma?.aborted).toBeGreaterThan(0);
    expect(kernels[3]).toMatchObject({ wayDown: null, dma: null });
    expect(kernels.reduce((sum, kernel) => sum + (kernel.dma?.aborted ?? 0), 0)).toBe(dma.aborted);
    expect(kernels.reduce((sum, kernel) => sum + (kernel.dma?.translated ?? 0), 0)).toBe(dma.translated);
  });

  test("a kernel whose memory was overwritten ends the chain", () => {
    expect(tidy().kernels?.at(-1)).toMatchObject({ kernel: "third", state: "oops" });
  });

  test("the text tells of each kernel", () => {
    const text = runText(shipped("chain-kexec-three"), three(), [], (_style, words) => words);
    expect(text).toContain("third         up, started by kexec; found the SMMU off and aborting");
    expect(text.split("\n").filter((line) => line.length > 80 && !line.startsWith("node "))).toEqual([]);
  });
});

describe("kdump and back", () => {
  test("the crash kernel reboots, and firmware starts a kernel with an SMMU as after reset", () => {
    const { kernels } = run("chain-kdump-and-back");
    expect(kernels).toMatchObject([
      { kernel: "first", wayDown: "kdump", state: "up" },
      { kernel: "second", startedBy: "crash", wayDown: "reboot", smmuFound: { enabled: true, aborting: false }, state: "up" },
      { kernel: "third", startedBy: "firmware", smmuFound: { enabled: false, aborting: false }, state: "up" },
    ]);
  });

  test("only the crash kernel shuts devices down", () => {
    expect(new Set(run("chain-kdump-and-back").shutdownOrder.map(({ kernel }) => kernel))).toEqual(new Set(["second"]));
  });

  test("the crashed kernel's grants end with the reset: nothing lands by them afterwards", () => {
    const { claims } = run("chain-kdump-and-back");
    expect(claims.filter(({ holds }) => !holds)).toEqual([]);
  });
});

describe("kexec, then kdump", () => {
  test("a kernel that came by kexec reserves memory and loads a crash kernel of its own", () => {
    const { kernels } = run("chain-kexec-then-kdump");
    expect(kernels?.map(({ startedBy, state }) => [startedBy, state])).toEqual([
      ["firmware", "up"],
      ["kexec", "up"],
      ["crash", "up"],
    ]);
    expect(kernels?.map(({ imageBytesChanged }) => imageBytesChanged)).toEqual([0, 0, 0]);
  });

  test("a crash leaves the SMMU on, a kexec leaves it off", () => {
    expect(run("chain-kexec-then-kdump").kernels?.map(({ smmuFound }) => smmuFound.enabled)).toEqual([false, false, true]);
  });
});

describe("halt", () => {
  const cell = cellScenario(parseCell("none/hdlcd/no-hook/power-off")!);
  const halted = runScenario({ ...cell, wayDown: "halt" }, { seed: 1, replay: "" });

  test("shuts devices down, stops the CPU and starts no other kernel", () => {
    expect(halted.secondKernel).toBe("none");
    expect(halted.milestones.map(({ text }) => text)).toEqual(
      expect.arrayContaining(["reboot_notifier_list SYS_HALT", "machine_halt", "the CPU halts, power stays on"]),
    );
  });

  test("leaves the power on: a device without a hook does DMA as long as anybody looks", () => {
    const last = halted.timeline.bins.granted.findLastIndex((count) => count > 0);
    const halt = halted.milestones.find(({ text }) => text.startsWith("the CPU halts"))!;
    expect(halted.timeline.start + last * halted.timeline.binNs).toBeGreaterThan(halt.time + 10_000_000);
    expect(halted.dma.afterOwnShutdown).toBeGreaterThan(0);
  });
});

describe("what cannot be", () => {
  test.each([
    ["wayDown: power-off\nthen: [{ wayDown: reboot }]", "no kernel comes after the power-off before it"],
    ["wayDown: halt\nthen: [{ wayDown: reboot }]", "no kernel comes after the halt before it"],
    ["wayDown: kdump\nthen: [{ wayDown: kexec }]", "a crash kernel has its reserve only"],
    ["wayDown: kexec\nthen: []", "has no way down"],
    [`wayDown: kexec\nthen: [${Array.from({ length: 5 }, () => "{ wayDown: kexec }").join(", ")}]`, "has more than 4 ways down"],
  ])("%s", (text, message) => {
    expect(() => parseScenario(plain(text), "f")).toThrow(ScenarioError);
    expect(() => parseScenario(plain(text), "f")).toThrow(message);
  });
});

test("without further ways down a result says nothing of a chain", () => {
  expect("kernels" in runScenario(cellScenario(parseCell("bypass/hdlcd/quiescing/kexec")!), { seed: 1, replay: "" })).toBe(false);
});

test("an oops of any kernel but the first is expected only where memory was overwritten", () => {
  const base = run("chain-kdump-and-back");
  const oops = { kernel: "third", time: 0, message: "BUG", task: "swapper/0", device: null };
  expect(brokenExpectations(shipped("chain-kdump-and-back"), { ...base, oops })).toHaveLength(1);
  expect(brokenExpectations(shipped("chain-kdump-and-back"), { ...base, oops, nextKernelBytesCorrupted: 8 })).toEqual([]);
});

describe("kernels of a chain that shut their devices down in parallel", () => {
  const text = (kernel: string): string =>
    [
      "title: t",
      "story: s",
      "source: s",
      "machine:",
      "  pci: {}",
      "  devices:",
      "    - { name: one, kind: e1000e, hook: quiescing }",
      "    - { name: two, kind: e1000e, hook: quiescing }",
      `kernel: { ${kernel} }`,
      "wayDown: kexec",
      "then: [{ wayDown: kexec, hook: quiescing }, { wayDown: reboot, hook: quiescing }]",
    ].join("\n");
  const runOf = (kernel: string): RunResult => runScenario(parseScenario(text(kernel), "t"), { seed: 1, replay: "" });
  let kept: RunResult | undefined;
  const parallel = (): RunResult => (kept ??= runOf("asyncShutdown: v16"));
  /** The kernels in which the second NIC's hook began before the first one's was over, or the other way round. */
  const overlapping = ({ shutdownOrder }: RunResult): string[] => {
    const nics = shutdownOrder.filter(({ device }) => /^0000:0[12]:00/.test(device));
    return nics.flatMap(({ kernel, begin, end }, index) =>
      nics.some((other, at) => at > index && other.kernel === kernel && other.begin < end! && begin < other.end!) ? [kernel] : [],
    );
  };
  const started = ({ kernels }: RunResult): string[][] | undefined =>
    kernels?.map(({ kernel, startedBy, state }) => [kernel, startedBy, state]);
  const FOUR = [
    ["first", "firmware", "up"],
    ["second", "kexec", "up"],
    ["third", "kexec", "up"],
    ["fourth", "firmware", "up"],
  ];

  test("in every kernel the hooks of two NICs overlap, and each NIC is quiet after its own", () => {
    const result = parallel();
    expect(started(result)).toEqual(FOUR);
    expect(overlapping(result)).toEqual(["first", "second", "third"]);
    expect(result.claims.find(({ claim }) => claim === "no-dma-after-own-shutdown")?.holds).toBe(true);
    expect(result.verdict).toBe("clean");
  });

  test("without the key they go one by one", () => {
    const result = runOf("");
    expect(started(result)).toEqual(FOUR);
    expect(overlapping(result)).toEqual([]);
  });

  test("nothing orders the SMMU behind a NIC in one kernel or the other: only the host bridge, which waits for both, does", () => {
    const { shutdownOrder } = parallel();
    for (const kernel of ["first", "second", "third"]) {
      const at = (suffix: string): number => shutdownOrder.findIndex((step) => step.kernel === kernel && step.device.endsWith(suffix));
      expect(at(".pcie")).toBeGreaterThan(Math.max(at("0000:01:00.0"), at("0000:02:00.0")));
    }
  });
});
