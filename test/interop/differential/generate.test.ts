// SPDX-License-Identifier: MIT
/** Programs: the same from the same seed, harmless to the machine they run on, and complete in their maintenance. */
import { describe, expect, test } from "vitest";
import { Outcome, profiles, type SmmuConfig } from "../../../src/hw/index.ts";
import {
  DATA_BASE,
  DATA_SIZE,
  RAM_BASE,
  RAM_SIZE,
  STREAM_IDS,
  compileProgram,
  describeProgram,
  generateProgram,
  programSeed,
  runOnModel,
  tagOf,
} from "../../../src/interop/index.ts";

const PROGRAMS = 120;
const seeds = Array.from({ length: PROGRAMS }, (_, n) => programSeed(1, n));
const { qemu, max, tiny } = profiles;

describe("generated programs", () => {
  test("are a function of seed and configuration", () => {
    for (const seed of seeds.slice(0, 20)) {
      expect(generateProgram(seed, qemu)).toEqual(generateProgram(seed, qemu));
      expect(compileProgram(generateProgram(seed, qemu), qemu)).toEqual(compileProgram(generateProgram(seed, qemu), qemu));
    }
    expect(new Set(seeds).size).toBe(PROGRAMS);
    expect(new Set(seeds.map((seed) => describeProgram(generateProgram(seed, qemu)).join("\n"))).size).toBe(PROGRAMS);
  });
  test("have what the configuration has: formats, kinds of streams, granules, all kinds of steps", () => {
    const programs = seeds.map((seed) => generateProgram(seed, qemu));
    const all = <T>(choose: (program: (typeof programs)[number]) => readonly T[]): Set<T> => new Set(programs.flatMap(choose));
    expect(all(({ streamTable }) => [streamTable.split])).toEqual(new Set([undefined, 6, 8, 10]));
    expect(all(({ streams }) => streams.map(({ kind }) => kind))).toEqual(
      new Set(["invalid", "abort", "bypass", "stage1", "stage2", "nested"]),
    );
    expect(all(({ streams }) => streams.map(({ sid }) => sid))).toEqual(new Set(STREAM_IDS));
    expect(all(({ streams }) => streams.flatMap(({ ttb0, ttb1, stage2 }) => [ttb0, ttb1, stage2].map((table) => table?.granule)))).toEqual(
      new Set([undefined, 12, 14, 16]),
    );
    expect(all(({ steps }) => steps.map(({ op }) => op))).toEqual(new Set(["access", "map", "ste", "cd", "command", "enable", "read"]));
  });
  test("have global leaves: where each stream has a VMID, and without stage 2 where a stream is alone", () => {
    const globals = (config: SmmuConfig): { readonly streams: number; readonly global: boolean }[] =>
      seeds
        .map((seed) => generateProgram(seed, config).streams)
        .map((streams) => ({
          streams: streams.length,
          global: streams.some(({ ttb0, ttb1 }) => [ttb0, ttb1].some((table) => table?.mappings.some(({ nG }) => nG === 0))),
        }));
    expect(globals(qemu).filter(({ streams, global }) => global && streams > 1).length).toBeGreaterThan(5);
    const alone = globals({ ...qemu, stage2: false, xnx: false });
    expect(alone.filter(({ streams, global }) => global && streams > 1)).toEqual([]);
    expect(alone.filter(({ streams, global }) => global && streams === 1).length).toBeGreaterThan(2);
  });
  test("ask a part without stage 2, larger granules or two levels for none of them, but for an ILLEGAL STE now and then", () => {
    for (const seed of seeds) {
      const { streamTable, streams } = generateProgram(seed, tiny);
      expect(streamTable.split).toBeUndefined();
      for (const { ttb0, ttb1 } of streams) for (const table of [ttb0, ttb1]) expect(table?.granule ?? 12).toBe(12);
    }
  });
});

describe.each<[string, SmmuConfig]>([
  ["qemu", qemu],
  ["max", max],
  ["tiny", tiny],
])("programs on the profile %s", (_name, config) => {
  const runs = seeds.map((seed) => {
    const script = compileProgram(generateProgram(seed, config), config);
    return { script, run: runOnModel(script, config) };
  });
  test("come with all maintenance that their changes need, and the model loses none of it: nothing stale is ever used", () => {
    for (const [n, { run }] of runs.entries()) expect(run.staleUses, `program ${n}`).toBe(0);
  });
  test("reach data or nothing, never tables or devices", () => {
    for (const { run } of runs) {
      for (const { outcome, physical } of run.accesses.values()) {
        if (outcome !== Outcome.forward) continue;
        const address = Number(physical);
        const data = address >= DATA_BASE && address < DATA_BASE + DATA_SIZE;
        expect(data || address >= 2 ** 40, physical).toBe(true);
      }
    }
    expect(DATA_BASE + DATA_SIZE).toBe(RAM_BASE + RAM_SIZE);
  });
  test("wherever an access went, it is seen there", () => {
    let seen = 0;
    for (const { run } of runs) {
      for (const observation of run.observations) {
        if (observation.what !== "access") continue;
        const { outcome, physical } = run.accesses.get(observation.at)!;
        if (outcome !== Outcome.forward || Number(physical) >= 2 ** 40) continue;
        expect(observation.seen).toBe(Number(physical));
        seen++;
      }
    }
    expect(seen).toBeGreaterThan(PROGRAMS);
  });
});

test("what accesses write is different for each", () => {
  const tags = Array.from({ length: 400 }, (_, index) => tagOf(index));
  expect(new Set(tags).size).toBe(400);
});
