// SPDX-License-Identifier: MIT
/** Kexec jumps in the lab: who has the machine when, what the shadow says of the region, and what comes of the SMMU. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseScenario, runScenario, runText, type RunResult, type Scenario, ScenarioError } from "../../../src/lab/index.ts";
import { stintsOf } from "../../../src/lab/run/chain.ts";

const folder = join(import.meta.dirname, "../../../scenarios");
const shipped = (name: string): Scenario => parseScenario(readFileSync(join(folder, `${name}.yaml`), "utf8"), name);
const run = (scenario: Scenario): RunResult => runScenario(scenario, { seed: 1, replay: "" });
const kernels = ({ kernels: all }: RunResult): unknown => all?.map(({ kernel, startedBy, state }) => [kernel, startedBy, state]);
const claim = (result: RunResult, name: string) => result.claims.find((other) => other.claim === name)!;

/** A scenario of further lines. */
const of = (...lines: string[]): Scenario =>
  parseScenario(["title: t", "story: s", "source: s", "machine: { devices: [{ name: d, kind: hdlcd }] }", ...lines].join("\n"), "s.yaml");

describe("who has the machine", () => {
  test("a jump boots a kernel, the next one goes back, and the one after that goes to the same kernel again", () => {
    expect(stintsOf(["jump", "jump", "jump"])).toEqual([
      { kernel: 0, back: false, waits: null },
      { kernel: 1, back: false, waits: 0 },
      { kernel: 0, back: true, waits: 1 },
      { kernel: 1, back: true, waits: 0 },
    ]);
  });

  test("whatever else happens, nobody waits any more", () => {
    expect(stintsOf(["jump", "firmware", "jump", null])).toEqual([
      { kernel: 0, back: false, waits: null },
      { kernel: 1, back: false, waits: 0 },
      { kernel: 2, back: false, waits: null },
      { kernel: 3, back: false, waits: 2 },
    ]);
  });
});

describe("there and back", () => {
  const display = run(shipped("kexec-jump-display"));

  test("the first kernel goes on after the second one's jump", () => {
    expect(kernels(display)).toEqual([
      ["first", "firmware", "up"],
      ["second", "jump", "up"],
      ["first", "return", "up"],
    ]);
    const told = display.milestones.map(({ kernel, text }) => `${kernel}: ${text}`);
    expect(told.filter((line) => / jump|goes on|is up/.test(line))).toEqual([
      "first: jump to the next kernel, to come back",
      "second: a kernel is entered that can jump back",
      "second: the second kernel is up",
      "second: jump back",
      "first: the kernel that had jumped away goes on",
      "first: the first kernel is up",
    ]);
  });

  test("no device is shut down, and the log tells no oops and no hung task of the kernel that waits", () => {
    expect(display.shutdownOrder).toEqual([]);
    expect(display.oops).toBeNull();
    expect(display.kernelChecks.count).toBe(0);
    expect(display.stuck).toEqual([]);
  });

  test("the SMMU looks for its tables where the second kernel had them, and writes its records where that one had its queue", () => {
    const walk = claim(display, "no-stale-walk").evidence[0]!;
    expect(walk.text).toBe(
      "l1std fetched from memory that was 2b400000.iommu (smmu-table) of the second kernel, given away by the jump back",
    );
    const record = claim(display, "no-foreign-write").evidence[0]!;
    expect(record.who).toBe("2b400000.iommu");
    expect(record.text).toContain("of the second kernel, given away by the jump back");
    expect(display.kernels?.at(-1)?.smmuFound).toEqual({ enabled: true, aborting: true });
  });

  test("with caches the display goes on by translations of the second kernel's tables, which nobody invalidated", () => {
    const scenario = shipped("kexec-jump-display");
    const { machine } = scenario;
    const cached = run({ ...scenario, machine: { ...machine, smmu: { ...machine.smmu, caches: "configured" } } });
    expect(claim(cached, "no-missed-maintenance").holds).toBe(false);
    expect(claim(cached, "no-stale-walk").holds).toBe(true);
    expect(cached.timeline.bins.ungranted.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
  });

  test("the report names each time at the machine", () => {
    const text = runText(shipped("kexec-jump-display"), display, [], (_, words) => words);
    expect(text).toContain("second        up, started by a kexec jump; found the SMMU on");
    expect(text).toContain("first         up, started by the jump back; found the SMMU on");
  });

  test("and once more: the third jump goes on in the second kernel, which boots once", () => {
    const twice = run(
      of(
        "boot: { pagesBefore: 0 }",
        "wayDown: kexec-jump",
        "then: [{ wayDown: kexec-jump }, { wayDown: kexec-jump }, { wayDown: reboot }]",
      ),
    );
    expect(kernels(twice)).toEqual([
      ["first", "firmware", "up"],
      ["second", "jump", "up"],
      ["first", "return", "up"],
      ["second", "return", "up"],
      ["third", "firmware", "up"],
    ]);
  });

  test("a kernel that has come back may start another in its place by a plain kexec", () => {
    const gone = run(of("wayDown: kexec-jump", "then: [{ wayDown: kexec-jump }, { wayDown: kexec }]"));
    expect(kernels(gone)).toEqual([
      ["first", "firmware", "up"],
      ["second", "jump", "up"],
      ["first", "return", "up"],
      ["third", "kexec", "up"],
    ]);
  });

  test("is the same each time", () => {
    expect(run(shipped("kexec-jump-display"))).toEqual(display);
  });
});

test("a device that is not frozen writes into the region: memory of the first kernel that was put by", () => {
  const trace = run(shipped("kexec-jump-trace"));
  const { evidence, count } = claim(trace, "no-foreign-write");
  expect(count).toBeGreaterThan(0);
  for (const { who, text } of evidence) {
    expect(who).toBe("20070000.etr");
    expect(text).toContain("of the first kernel, given away by the kexec jump, once granted to it");
  }
  expect(trace.shutdownOrder).toEqual([]);
});

describe("what cannot be is refused at its place", () => {
  const cases: readonly (readonly [string, readonly string[], string])[] = [
    [
      "kexec out of a region",
      ["wayDown: kexec-jump", "then: [{ wayDown: kexec }]"],
      "a kexec jump's kernel has its region only: there is no memory for the kernel that a kexec would start",
    ],
    [
      "a jump of a crash kernel",
      ["wayDown: kdump", "then: [{ wayDown: kexec-jump }]"],
      "a crash kernel has its reserve only: there is no memory for the kernel that a kexec-jump would start",
    ],
    [
      "kdump of a kernel that has come back",
      ["wayDown: kexec-jump", "then: [{ wayDown: kexec-jump }, { wayDown: kdump }]"],
      "a kernel that has come back keeps the other kernel where the crash kernel's reserve would be",
    ],
    [
      "other drivers for a kernel that has come back",
      ["wayDown: kexec-jump", "then: [{ wayDown: kexec-jump }, { wayDown: reboot, hook: no-hook }]"],
      "a kernel that has come back has the drivers that it had",
    ],
    [
      "a region without room for its copy",
      ["kernel: { crashReserve: { mib: 1024 } }", "wayDown: kexec-jump"],
      "a kexec jump keeps a copy of its region of 1024 MiB: RAM of 2048 MiB has no place for it",
    ],
    [
      "a region over the first kernel",
      ["kernel: { crashReserve: { base: 0x80000000 } }", "wayDown: kexec-jump"],
      "the region of a kexec jump's kernel at 0x80000000 does not lie in RAM behind the first kernel",
    ],
  ];
  test.each(cases)("%s", (_, lines, message) => {
    expect(() => of(...lines)).toThrow(ScenarioError);
    expect(() => of(...lines)).toThrow(message);
  });

  test("a network controller, whose driver's callbacks are not modelled", () => {
    const text = [
      "title: t",
      "story: s",
      "source: s",
      "machine: { pci: {}, devices: [{ name: nic, kind: e1000e }] }",
      "wayDown: kexec-jump",
    ].join("\n");
    expect(() => parseScenario(text, "s.yaml")).toThrow("the callbacks for system sleep of the driver of e1000e are not modelled");
  });

  test("the least RAM has room for a jump", () => {
    const least = of("wayDown: kexec-jump", "then: [{ wayDown: kexec-jump }]");
    const machine = { ...least.machine, memory: { base: 0x8000_0000, size: 0x400_0000 } };
    const pages = { ...least.boot, pagesBefore: 4096 };
    expect(run({ ...least, machine, boot: pages }).kernels).toHaveLength(3);
  });
});
