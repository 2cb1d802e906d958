// SPDX-License-Identifier: MIT
/** The comparison and the shrinker, with an SMMU of our own that makes a mistake in place of QEMU. */
import { describe, expect, test } from "vitest";
import { profiles } from "../../../src/hw/index.ts";
import {
  type Comparison,
  type Observation,
  type Operation,
  type Program,
  type Script,
  Shrinker,
  type Step,
  compareRuns,
  compileProgram,
  generateProgram,
  programSeed,
  runOnModel,
} from "../../../src/interop/index.ts";

const config = profiles.qemu;
const other = { qemu: 10, config };
const SYNC = [0x46, 0, 0, 0] as const;

const program = (n: number): Program => generateProgram(programSeed(2, n), config);

/** Both sides of a program, theirs from a script or observations that were tampered with. */
function compare(
  subject: Program,
  script: (script: Script) => Script = (same) => same,
  observations: (observations: readonly Observation[]) => readonly Observation[] = (same) => same,
): Comparison {
  const ours = compileProgram(subject, config);
  const theirs = runOnModel(script(ours), config);
  return compareRuns(ours, runOnModel(ours, config), observations(theirs.observations), other);
}

/** A part whose TLB keeps everything: each TLBI of a change is a CMD_SYNC. The first batch of commands is the reset's. */
function forgetsTlbi(script: Script): Script {
  let batch = 0;
  const operations = script.operations.map((operation): Operation => {
    if (operation.op !== "commands" || batch++ === 0) return operation;
    return {
      ...operation,
      commands: operation.commands.map((words) => ((words[0] & 0xff) >= 0x10 && (words[0] & 0xff) <= 0x30 ? SYNC : words)),
    };
  });
  return { ...script, operations };
}

describe("the comparison", () => {
  test("finds a part equal to itself", () => {
    for (let n = 0; n < 30; n++) {
      const { equal, findings } = compare(program(n));
      expect(findings).toEqual([]);
      expect(equal).toBeGreaterThan(0);
    }
  });
  test("finds a part that forgets TLBIs, and no deviation of QEMU explains it", () => {
    const wrong = Array.from({ length: 60 }, (_, n) => compare(program(n), forgetsTlbi).wrong);
    expect(wrong.filter((count) => count > 0).length).toBeGreaterThan(3);
  });

  const accesses = (n: number): Extract<Observation, { what: "access" }>[] =>
    runOnModel(compileProgram(program(n), config), config).observations.filter((observation) => observation.what === "access");
  const first = (wanted: (observation: Extract<Observation, { what: "access" }>) => boolean): number => {
    const found = Array.from({ length: 60 }, (_, n) => n).find((n) => accesses(n).some(wanted));
    expect(found).toBeDefined();
    return found!;
  };
  /** Tampers with the first access that is wanted. */
  const tampered = (
    wanted: (observation: Extract<Observation, { what: "access" }>) => boolean,
    change: (observation: Extract<Observation, { what: "access" }>) => Observation,
  ): Comparison => {
    let done = false;
    return compare(program(first(wanted)), undefined, (observations) =>
      observations.map((observation) => {
        if (done || observation.what !== "access" || !wanted(observation)) return observation;
        done = true;
        return change(observation);
      }),
    );
  };
  test("an access that reached another place is unexplained", () => {
    const { findings, wrong } = tampered(
      ({ seen }) => seen !== undefined,
      (observation) => ({ ...observation, seen: observation.seen! + 0x1000 }),
    );
    expect(wrong).toBe(1);
    expect(findings[0]!.difference.what).toBe("translation");
  });
  test("an event record that is off by one bit is unexplained", () => {
    const { findings, wrong } = tampered(
      ({ events }) => events.length === 1,
      (observation) => ({ ...observation, events: [observation.events[0]!.with(1, observation.events[0]![1]! ^ 1)] }),
    );
    expect(wrong).toBe(1);
    expect(findings[0]!.difference.what).toBe("event");
  });
  test("an event record that nobody asked for is unexplained", () => {
    const { wrong } = tampered(
      ({ seen }) => seen !== undefined,
      (observation) => ({ ...observation, events: [[0x10, 8, 0, 0, 0, 0, 0, 0]] }),
    );
    expect(wrong).toBeGreaterThan(0);
  });
  test("a register and a command error that differ are unexplained", () => {
    const steps: Step[] = [
      { op: "read", offset: 0x24, width: 4 },
      { op: "command", words: [0xff, 0, 0, 0] },
    ];
    const subject = { ...program(0), steps };
    expect(compare(subject).wrong).toBe(0);
    const reads = compare(subject, undefined, (all) => all.map((one) => (one.what === "read" ? { ...one, lo: one.lo ^ 8 } : one)));
    expect(reads.findings.map(({ difference, deviation, step }) => [difference.what, deviation, step])).toEqual([["read", undefined, 0]]);
    const errors = compare(subject, undefined, (all) =>
      all.map((one) => (one.what === "commands" && one.error !== 0 ? { ...one, error: 2 } : one)),
    );
    expect(errors.findings.map(({ difference, deviation, step }) => [difference.what, deviation, step])).toEqual([
      ["commands", undefined, 1],
    ]);
  });
  test("observations of another script are refused", () => {
    expect(() => compare(program(0), undefined, (all) => all.slice(1))).toThrow(RangeError);
  });
});

describe("the shrinker", () => {
  test("makes a failing program as small as the failure allows", () => {
    const failing = Array.from({ length: 60 }, (_, n) => program(n)).find((candidate) => compare(candidate, forgetsTlbi).wrong > 0)!;
    const shrinker = new Shrinker(failing, 1000);
    for (let next = shrinker.next(); next !== undefined; next = shrinker.next()) shrinker.report(compare(next, forgetsTlbi).wrong > 0);
    const { best } = shrinker;
    expect(compare(best, forgetsTlbi).wrong).toBeGreaterThan(0);
    // Something enters the TLB, it changes, it is used: no step can go.
    expect(best.steps.length).toBeLessThanOrEqual(3);
    expect(best.streams).toHaveLength(1);
    for (let gone = 0; gone < best.steps.length; gone++) {
      expect(compare({ ...best, steps: best.steps.filter((_, index) => index !== gone) }, forgetsTlbi).wrong).toBe(0);
    }
  });
  test("keeps the program if nothing simpler fails, and stops at its limit of tries", () => {
    const shrinker = new Shrinker(program(3), 25);
    let tries = 0;
    for (let next = shrinker.next(); next !== undefined; next = shrinker.next()) {
      tries++;
      shrinker.report(false);
    }
    expect(tries).toBe(25);
    expect(shrinker.best).toBe(shrinker.best);
    expect(shrinker.best).toEqual(program(3));
  });
  test("ends by itself when everything fails, with next to nothing left", () => {
    const shrinker = new Shrinker(program(3), 100_000);
    for (let next = shrinker.next(); next !== undefined; next = shrinker.next()) shrinker.report(true);
    const { steps, streams, streamTable } = shrinker.best;
    expect(steps).toEqual([]);
    expect(streams).toHaveLength(1);
    expect(streamTable).toEqual({ log2Size: 8, split: undefined });
  });
  test("tries programs in the same order every time", () => {
    const order = (): string[] => {
      const shrinker = new Shrinker(program(5), 200);
      const tried: string[] = [];
      for (let next = shrinker.next(); next !== undefined; next = shrinker.next()) {
        tried.push(JSON.stringify(next));
        shrinker.report(tried.length % 3 === 0);
      }
      return tried;
    };
    expect(order()).toEqual(order());
  });
});
