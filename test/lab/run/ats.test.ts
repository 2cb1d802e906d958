// SPDX-License-Identifier: MIT
/** A NIC that keeps translations: under load, after each way in which its SMMU is shut down, and in the next kernel. */
import { describe, expect, test } from "vitest";
import {
  claimWords,
  parseScenario,
  type RunResult,
  runScenario,
  ScenarioError,
  SMMU_VARIANTS,
  type SmmuVariant,
} from "../../../src/lab/index.ts";

interface Choice {
  readonly nic?: string;
  readonly smmu?: string;
  readonly pci?: string;
  readonly rest?: string;
}

function run({ nic = "hook: no-hook, ats: true", smmu = "", pci = "", rest = "wayDown: reboot" }: Choice): RunResult {
  const machine = `machine: { smmu: { ${smmu} }, pci: { ${pci} }, devices: [{ name: nic, kind: e1000e, ${nic} }] }`;
  const text = ["title: t", "story: s", "source: s", machine, rest].join("\n");
  return runScenario(parseScenario(text, "f"), { seed: 1, replay: "" });
}

const KEEPS = "hook: no-hook, ats: true, atsRefused: keep";

function devices(text: string): string {
  return ["title: t", "story: s", "source: s", `machine: { pci: {}, devices: [${text}] }`, "wayDown: reboot"].join("\n");
}

describe("scenario keys", () => {
  test("a platform device has no ATS", () => {
    expect(() => parseScenario(devices("{ name: d, kind: hdlcd, ats: true }"), "f")).toThrow(
      new ScenarioError("f:4:60: d is no PCI function: ATS is a service of PCI Express"),
    );
  });

  test("a function without ATS is refused no translation", () => {
    expect(() => parseScenario(devices("{ name: d, kind: e1000e, atsRefused: keep }"), "f")).toThrow(
      new ScenarioError("f:4:68: d asks for no translations: it has no ATS"),
    );
  });
});

describe("under load", () => {
  test("buffers that are unmapped are forgotten in time: no claim is broken, nothing faults", () => {
    const result = run({ nic: "hook: quiescing, ats: true", rest: "workload: { frames: { periodUs: 20 } }\nwayDown: reboot" });
    expect([result.verdict, result.events.recorded]).toEqual(["clean", 0]);
  });
});

/** What becomes of accesses after the NIC's own shutdown. */
function after(result: RunResult): string {
  const { translated, bypassed, aborted } = result.dma;
  return [translated > 0 ? "translated" : "", bypassed > 0 ? "bypassed" : "", aborted > 0 ? "aborted" : ""].filter(Boolean).join(" and ");
}

describe("after the SMMU's shutdown, while ATS is enabled in the NIC", () => {
  /** With SMMUEN 0 translated requests are aborted (IHI 0070 §3.9.1, F_TRANSL_FORBIDDEN), others are as GBPA says (§3.11). */
  const KEPT: Readonly<Record<SmmuVariant, string>> = {
    none: "translated",
    "leave-on": "translated",
    bypass: "bypassed and aborted",
    "gbpa-bypass": "bypassed and aborted",
    abort: "aborted",
    audit: "aborted",
    // Its endpoint's ATS goes off before.
    blocked: "aborted",
    // Unregistering takes the NIC from its domain, and so turns off its ATS, before the SMMU is disabled.
    remove: "bypassed",
  };

  test.each(SMMU_VARIANTS)("%s: a NIC that keeps its translations", (variant) => {
    expect(after(run({ nic: KEEPS, smmu: `shutdown: ${variant}` }))).toBe(KEPT[variant]);
  });

  test.each<[SmmuVariant, string]>([
    ["none", "translated"],
    ["leave-on", "translated"],
    ["bypass", "bypassed"],
    ["gbpa-bypass", "bypassed"],
    ["abort", "aborted"],
    ["audit", "aborted"],
    ["blocked", "aborted"],
    ["remove", "bypassed"],
  ])("%s: one that uses none once a translation was refused fares as one without ATS", (variant, fate) => {
    const smmu = `shutdown: ${variant}`;
    const [without, disables] = [run({ nic: "hook: no-hook", smmu }), run({ smmu })];
    expect([after(without), after(disables)]).toEqual([fate, fate]);
    expect(disables.verdict).toBe(without.verdict);
  });
});

describe("in the next kernel, with requests held back until it turns bus mastering on", () => {
  const pci = "busMasterOff: hold";
  const rest = (next: string): string => `wayDown: kexec\nnext: ${next}`;

  test("with CONFIG_PCI_ATS: what the old kernel granted is refused or forgotten", () => {
    const result = run({ nic: KEEPS, pci, rest: rest("{}") });
    expect([after(result), result.foreignWriteBytes]).toEqual(["aborted", 0]);
  });

  test("without it: translated requests pass a stage table that would have them fault", () => {
    const result = run({ nic: KEEPS, pci, rest: rest("{ pciAts: false }") });
    expect(after(result)).toBe("translated and aborted");
    expect(claimWords(result.claims)["no-foreign-write"]).toBe("broken");
    expect(result.events.kinds).toMatchObject({ F_TRANSLATION: expect.any(Number), F_BAD_ATS_TREQ: expect.any(Number) });
  });

  test("without it, a NIC that lets go of its translations writes nowhere", () => {
    const result = run({ pci, rest: rest("{ pciAts: false }") });
    expect([after(result), result.foreignWriteBytes]).toEqual(["aborted", 0]);
  });

  test("without ATS in the NIC all of it faults", () => {
    const result = run({ nic: "hook: no-hook", pci, rest: rest("{ pciAts: false }") });
    expect([after(result), result.foreignWriteBytes]).toEqual(["aborted", 0]);
  });
});
