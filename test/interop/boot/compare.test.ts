// SPDX-License-Identifier: MIT
/** The comparison of boots itself: that it hears what is missing, what is new, and what moved. */
import { describe, expect, test } from "vitest";
import {
  type BootFacts,
  compareBoots,
  differentLines,
  type RecordedBoot,
  RecordedBoots,
  type TraceRecord,
} from "../../../src/interop/index.ts";
import { modelBoot } from "../../../src/interop/index.ts";
import { fixtureBoots } from "./boots.ts";

describe("differentLines", () => {
  test("equal lines differ in nothing", () => {
    expect(differentLines(["a", "b"], ["a", "b"])).toEqual({ recorded: [], ours: [] });
  });

  test("a line that one side has more is that side's", () => {
    expect(differentLines(["a", "b", "c"], ["a", "c"])).toEqual({ recorded: ["b"], ours: [] });
    expect(differentLines(["a"], ["a", "a"])).toEqual({ recorded: [], ours: ["a"] });
  });

  test("a line that moved is both sides'", () => {
    expect(differentLines(["x", "a", "b", "c"], ["a", "b", "c", "x"])).toEqual({ recorded: ["x"], ours: ["x"] });
  });
});

describe("compareBoots", () => {
  const found = fixtureBoots().find(({ where }) => where.includes("q100-l612-4k-edu-faults 0"))!;
  const { boot, linux } = found;
  const facts: BootFacts = { linux, passthrough: false, crash: false, structures: true, idr: boot.idr };
  const recorded = [...boot.lines, ...boot.structures];
  const model = modelBoot("recorded", boot, {});
  const ours = [...model.lines, ...model.structures];
  const NONE = { recorded: [], ours: [] };

  test("is satisfied with the boot as it is", () => {
    expect(compareBoots(recorded, ours, facts)).toMatchObject({ unlisted: NONE, absent: [] });
  });

  test.each(ours.map((line, index) => [line, index] as const))("misses the line %s (%i) if ours leaves it out", (_line, index) => {
    const { unlisted, absent } = compareBoots(recorded, ours.toSpliced(index, 1), facts);
    expect(unlisted.recorded.length + absent.length).toBeGreaterThan(0);
  });

  test("hears a command too many, and two commands in another order", () => {
    const extra = ours.toSpliced(ours.length - 5, 0, "CMD_CFGI_ALL");
    expect(compareBoots(recorded, extra, facts).unlisted.ours).toEqual(["CMD_CFGI_ALL"]);
    const index = ours.findIndex((line) => line.startsWith("CMD_CFGI_CD"));
    const last = ours.findLastIndex((line) => line.startsWith("CMD_CFGI_STE"));
    const swapped = ours.with(index, ours[last]!).with(last, ours[index]!);
    expect(compareBoots(recorded, swapped, facts).unlisted).not.toEqual(NONE);
  });

  test("a row that should occur and does not is absent", () => {
    const without = recorded.filter((line) => !line.startsWith("CMD_TLBI_NH_ASID"));
    expect(compareBoots(without, ours, facts).absent).toEqual(["flush after direct mappings"]);
  });
});

describe("RecordedBoots", () => {
  function read(records: readonly TraceRecord[]): readonly RecordedBoot[] {
    const boots = new RecordedBoots();
    for (const record of records) boots.apply(record);
    return boots.boots;
  }
  const reset: TraceRecord = { t: "reset", n: 0, idr: [1, 2, 0, 3, 0, 4], iidr: 0, aidr: 1 };
  const reads = (offset: number, lo: number): TraceRecord => ({ t: "r", n: 0, offset, size: 4, hi: 0, lo });
  const writes = (offset: number, lo: number): TraceRecord => ({
    t: "w",
    n: 0,
    offset,
    size: 4,
    hi: 0,
    lo,
    memory: [],
    effects: [],
    state: undefined,
  });

  test("a boot begins where IDR0 is read, and knows what was written before it", () => {
    const boots = read([reset, reads(0, 1), writes(0x20, 1), writes(0x44, 5), writes(0x20, 0), reads(0, 1), writes(0x2c, 6)]);
    expect(boots.map(({ lines }) => lines)).toEqual([
      ["SMMU_IDR0 reads 0x1", "SMMU_CR0 <- 0x1", "SMMU_GBPA <- 0x5", "SMMU_CR0 <- 0x0"],
      ["SMMU_IDR0 reads 0x1", "SMMU_CR2 <- 0x6"],
    ]);
    expect(boots[0]!.before).toEqual([]);
    expect(boots[1]!.before.map(({ offset, lo }) => [offset, lo])).toEqual([
      [0x44, 5],
      [0x20, 0],
    ]);
  });

  test("a boot that finds SMMUEN set is a crash kernel's", () => {
    expect(read([reset, reads(0, 1), reads(0x20, 0xd)])[0]!.crash).toBe(true);
    expect(read([reset, reads(0, 1), reads(0x20, 0xc)])[0]!.crash).toBe(false);
  });

  test("a reset forgets what was written", () => {
    expect(read([reset, writes(0x20, 1), reset, reads(0, 1)])[0]!.before).toEqual([]);
  });
});
