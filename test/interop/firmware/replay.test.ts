// SPDX-License-Identifier: MIT
/** The recordings of firmware drivers: what they do is carried out right, and their mistakes are named. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Outcome, Transaction } from "../../../src/hw/index.ts";
import {
  type FirmwareReport,
  type FirmwareRunReport,
  RunReplay,
  configOfFirmware,
  isFirmwareRecording,
  parseFirmware,
  replayFirmware,
} from "../../../src/interop/index.ts";

function recording(name: string): string[] {
  return readFileSync(join(import.meta.dirname, "recordings", name), "utf8").split("\n");
}

const MU = recording("client-mmio-mu-smmudxe.txt");
const TFA = recording("client-mmio-tfa.txt");
const mu: FirmwareReport = replayFirmware(MU);
const tfa: FirmwareReport = replayFirmware(TFA);

const rules = (run: FirmwareRunReport | undefined): string[] => run!.diagnostics.map(({ rule, line }) => `${line}: ${rule}`);

describe("SmmuDxe of Mu", () => {
  const [whole, unaligned, lostWrap] = mu.runs;
  test("is recognised", () => expect(isFirmwareRecording(MU.slice(0, 12))).toBe(true));
  test("nothing in it shows the model to be wrong", () => {
    expect(mu.wrong).toBe(0);
    expect(mu.runs.map(({ kind }) => kind)).toEqual(["whole", "overlay", "excerpt"]);
  });
  test("the first run is equal in everything: 54 reads and 7 commands; 7 reads only identify the part", () => {
    expect(whole).toMatchObject({ records: 84, equal: 61, deviations: {}, wrong: 0, identification: 7, notModelled: {} });
  });
  test("its one mistake is named: errors are to be acknowledged in GERRORN, GERROR is read-only (§6.3.19)", () => {
    expect(rules(whole)).toEqual(["5: write-read-only"]);
    expect(whole!.diagnostics[0]!.detail).toContain("SMMU_GERROR");
  });
  test("second run: the queue's base lost its low bits, so the SMMU finds a command of zeros where none was written (§3.5.1), and nobody looks at the error (§7.5)", () => {
    expect(rules(unaligned)).toEqual([
      "5: write-read-only",
      "32: command-empty",
      "101: cmdqen-cleared-with-work",
      "106: gerror-unacknowledged",
    ]);
  });
  test("second run: the stub executed illegal commands; the SMMU stops at the first (§7.1)", () => {
    expect(Object.keys(unaligned!.deviations)).toEqual(["stub-executes-anything"]);
    const commands = unaligned!.findings.filter(({ difference }) => difference.what === "commands");
    // The first one was fetched by both; six more were the stub's alone.
    expect(commands.map(({ difference }) => difference.ours)).toEqual([[], [], [], [], [], []]);
  });
  test("third run: PROD lost its wrap flag after a lap; that is named once, and the queue is idle (§3.5.1)", () => {
    expect(lostWrap).toMatchObject({ wrong: 0, standIns: 0xfe - 7, deviations: { "stub-ignores-wrap": 1 } });
    expect(rules(lostWrap)).toEqual(["134: prod-inconsistent"]);
    expect(lostWrap!.diagnostics[0]!.detail).toContain("CMDQ_PROD 0x1 is inconsistent with CMDQ_CONS 0x100");
  });
  test("what the model answers otherwise about itself is told: 16 StreamID bits need two levels, stalling needs STALL_MAX", () => {
    expect(mu.identification).toEqual([
      { register: "SMMU_IDR0", ours: "0x000000000c44121b", theirs: "0x000000000044121b" },
      { register: "SMMU_IDR5", ours: "0x0000000000010075", theirs: "0x0000000000000075" },
    ]);
  });
  test("its tables work: after Map and SetAttribute DMA of the first and the last stream reaches the page and its neighbour stays closed", () => {
    const runs = parseFirmware(MU);
    const end = runs[0]!.steps.findIndex((step) => step.kind === "note" && step.text.startsWith("SetAttribute(0)"));
    const replay = new RunReplay({ ...runs[0]!, steps: runs[0]!.steps.slice(0, end) }, configOfFirmware("mu", runs));
    expect(replay.replay().wrong).toBe(0);
    const tx = new Transaction();
    const dma = (streamId: number, address: number): number | string => {
      tx.streamId = streamId;
      tx.setAddress(address);
      tx.write = true;
      return replay.machine.smmu.translate(tx) === Outcome.forward ? tx.physical : `event ${tx.event}`;
    };
    replay.machine.takeDiagnostics();
    expect(dma(0, 0x8002_1234)).toBe(0x8002_1234);
    // Its table descriptors have the attributes of its leaves: three on the way to a page (DDI 0487 D8.3.1).
    expect(replay.machine.takeDiagnostics().map(({ rule }) => rule)).toEqual(["table-leaf-bits", "table-leaf-bits", "table-leaf-bits"]);
    expect(dma(255, 0x8002_1ffc)).toBe(0x8002_1ffc);
    expect(dma(0, 0x8002_0000)).toBe("event 16");
    // STRTAB_BASE_CFG.LOG2SIZE is 8.
    expect(dma(256, 0x8002_1000)).toBe("event 2");
  });
  test("after ExitBootServices the SMMU lets everything through: GBPA.ABORT is 0", () => {
    const runs = parseFirmware(MU);
    const replay = new RunReplay(runs[0]!, configOfFirmware("mu", runs));
    replay.replay();
    const tx = new Transaction();
    tx.setAddress(0x1234);
    expect(replay.machine.smmu.translate(tx)).toBe(Outcome.forward);
  });
});

describe("Trusted Firmware-A", () => {
  test("is recognised", () => expect(isFirmwareRecording(TFA.slice(0, 12))).toBe(true));
  test("is equal in every Non-secure access of both runs, and breaks no rule", () => {
    expect(tfa).toMatchObject({ wrong: 0, deviations: {}, findings: [], lint: {} });
    expect(tfa.runs.map(({ kind, equal }) => `${kind} ${equal}`)).toEqual(["whole 8", "whole 8"]);
  });
  test("Secure and Root accesses are counted by name, never skipped silently", () => {
    const [plain, rme] = tfa.runs;
    expect(plain!.notModelled).toEqual({
      "Secure state: read of SMMU_S_IDR1": 1,
      "Secure state: read of SMMU_S_GBPA": 3,
      "Secure state: write of SMMU_S_GBPA": 1,
      "Secure state: write of SMMU_S_INIT": 1,
      "Secure state: read of SMMU_S_INIT": 1,
    });
    expect(rme!.notModelled).toMatchObject({
      "Root state: write of SMMU_ROOT_GPT_BASE_CFG": 1,
      "Root state: write of SMMU_ROOT_GPT_BASE": 1,
      "Root state: write of SMMU_ROOT_CR0": 2,
      "Root state: read of SMMU_ROOT_CR0ACK": 2,
    });
    for (const run of tfa.runs) {
      const others = Object.values(run.notModelled).reduce((sum, times) => sum + times, 0);
      expect(run.records).toBeGreaterThan(others);
    }
  });
  test("leaves the SMMU aborting: GBPA.ABORT with SMMUEN 0 (§6.3.14)", () => {
    const runs = parseFirmware(TFA);
    const replay = new RunReplay(runs[0]!, configOfFirmware("tf-a", runs));
    replay.replay();
    expect(replay.machine.smmu.translate(new Transaction())).toBe(Outcome.abort);
  });
});

describe("the comparison can fail", () => {
  const changed = (lines: readonly string[], from: string, to: string): FirmwareReport => {
    expect(lines.filter((line) => line === from).length).toBeGreaterThan(0);
    const at = lines.indexOf(from);
    return replayFirmware(lines.with(at, to));
  };
  test("a register read that no rule explains is ours", () => {
    const report = changed(MU, "R4 000024 0000000d", "R4 000024 00000009");
    expect(report.wrong).toBe(2); // In the first run, and in the second, which stands on it.
    expect(report.findings.find(({ deviation }) => deviation === undefined)).toEqual({
      line: 53,
      deviation: undefined,
      difference: { what: "read", offset: 0x24, ours: "0x000000000000000d", theirs: "0x0000000000000009" },
    });
  });
  test("a command that the stub did not consume is ours", () => {
    const report = replayFirmware(MU.filter((line) => line !== "CMD idx=6 op=46 0000000000000046 0000000000000000"));
    expect(report.runs[0]!.wrong).toBe(1);
  });
  test("GERROR is explained by the stub only where a command error is active, and only in its own bit", () => {
    expect(changed(MU, "R4 000060 00000000", "R4 000060 00000001").runs[0]!.wrong).toBe(1);
  });
});
