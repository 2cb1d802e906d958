// SPDX-License-Identifier: MIT
/** Configurations that the types forbid: each is refused with the property, what it holds and what it can hold. */
import { describe, expect, test } from "vitest";
import { HostMisuseError, type SmmuConfig, profiles, validateConfig } from "../../../../src/hw/index.ts";
import { type Untyped, misuse } from "../tables/misuse.ts";

const { max } = profiles;
const { caches, timing } = max;

/** Which of `parts` the refusal does not say. */
function unsaid(change: object, ...parts: readonly string[]): string[] {
  try {
    validateConfig({ ...max, ...change } as Untyped);
  } catch (error) {
    if (!(error instanceof HostMisuseError) || error.code !== "SMMU_CONFIG") throw error;
    return ["configuration max: ", ...parts].filter((part) => !error.message.includes(part));
  }
  return ["is not refused"];
}

/** All properties of a type. */
function keysOf(type: string): (keyof SmmuConfig)[] {
  return (Object.keys(max) as (keyof SmmuConfig)[]).filter((key) => typeof max[key] === type);
}

describe("each property has its type", () => {
  test.each(keysOf("boolean"))("%s is true or false", (key) => {
    for (const value of ["no", 1, 0, null, undefined])
      expect(unsaid({ [key]: value }, `${key} is ${JSON.stringify(value)}`, "true or false")).toEqual([]);
  });
  test.each(keysOf("number"))("%s is a number", (key) => {
    for (const value of ["4", true, null, undefined, NaN])
      expect(unsaid({ [key]: value }, `${key} is `, "it has to be a number")).toEqual([]);
  });
  test.each([
    ["ttf", '"aarch64", "aarch32" or "both"'],
    ["ttEndian", '"little", "big" or "mixed"'],
    ["stallModel", '"terminate", "both" or "force"'],
  ])("%s is one of its words", (key, words) => {
    for (const value of ["bogus", true, null, undefined]) expect(unsaid({ [key]: value }, `${key} is `, words)).toEqual([]);
  });
  test("pidr is an array", () => {
    for (const value of ["00000000", null, { length: 8 }])
      expect(unsaid({ pidr: value }, "pidr is ", "an array of eight bytes")).toEqual([]);
  });
  test("name is a string", () => {
    for (const name of [undefined, 3, null])
      expect(() => validateConfig({ ...max, name } as Untyped)).toThrow(misuse("SMMU_CONFIG", `name is ${name}: it has to be a string`));
  });
});

describe("caches", () => {
  test.each(["ste", "cd", "tlb", "walk", "replacement"])("%s must not be missing", (name) => {
    const { [name as "ste"]: _, ...rest } = caches;
    expect(unsaid({ caches: rest }, `caches.${name} is missing`)).toEqual([]);
  });
  test.each(["ste", "cd", "tlb", "walk"])("%s is 0 to 2^22 entries, which a process can hold", (name) => {
    for (const value of ["64", 1e9, 4_194_305, -1, 0.5, NaN, undefined])
      expect(unsaid({ caches: { ...caches, [name]: value } }, `caches.${name} is `, "a whole number from 0 to 0x400000")).toEqual([]);
    for (const value of [0, 4_194_304]) expect(() => validateConfig({ ...max, caches: { ...caches, [name]: value } })).not.toThrow();
  });
  test("what replaces entries is one of two ways", () => {
    expect(unsaid({ caches: { ...caches, replacement: "lru" } }, 'caches.replacement is "lru"', '"round-robin" or "random"')).toEqual([]);
  });
  test("an unknown cache is named, and the one that is meant", () => {
    expect(unsaid({ caches: { ...caches, walks: 4 } }, "caches.walks is unknown, walk may be meant")).toEqual([]);
  });
  test("there are caches", () => {
    for (const value of [null, undefined, 64, []])
      expect(unsaid({ caches: value }, "caches is ", "an object with ste, cd, tlb, walk, replacement")).toEqual([]);
  });
});

describe("timing", () => {
  test.each(["commandNs", "updateNs"])("%s is a number of nanoseconds", (name) => {
    for (const value of [-1, NaN, Infinity, "0", undefined])
      expect(unsaid({ timing: { ...timing, [name]: value } }, `timing.${name} is `, "at least 0")).toEqual([]);
  });
  test("nothing else, and nothing less", () => {
    expect(unsaid({ timing: { ...timing, commandNS: 1 } }, "timing.commandNS is unknown, commandNs is meant")).toEqual([]);
    expect(unsaid({ timing: { updateNs: 0 } }, "timing.commandNs is missing")).toEqual([]);
    for (const value of [null, undefined, 0])
      expect(unsaid({ timing: value }, "timing is ", "an object with commandNs, updateNs")).toEqual([]);
  });
});

describe("presets", () => {
  const queue = { base: 0, log2Size: 0 };
  const queues = { cmdq: queue, eventq: queue, attributes: 0 };
  const tables = { base: 0, config: 0, attributes: 0 };
  test.each<[string, unknown, string]>([
    ["a string", "x", 'presets is "x": it has to be an object with tables, queues, relativeTo'],
    ["null", null, "presets is null"],
    ["an unknown property", { table: {} }, "presets.table is unknown, tables may be meant"],
    ["a table without attributes", { tables: { base: 0, config: 0 } }, "presets.tables.attributes is missing"],
    ["a table whose base is a string", { tables: { ...tables, base: "0" } }, 'presets.tables.base is "0": it has to be a number'],
    ["a table of 33 bits", { tables: { ...tables, config: 2 ** 32 } }, "presets.tables.config is 0x100000000"],
    ["tables that are null", { tables: null }, "presets.tables is null"],
    ["queues without eventq", { queues: { cmdq: queue, attributes: 0 } }, "presets.queues.eventq is missing"],
    ["a queue without size", { queues: { ...queues, eventq: { base: 0 } } }, "presets.queues.eventq.log2Size is missing"],
    [
      "a queue that is a number",
      { queues: { ...queues, cmdq: 0 } },
      "presets.queues.cmdq is 0: it has to be an object with base, log2Size",
    ],
    ["a base of page 0 that is null", { tables, relativeTo: null }, "presets.relativeTo is null: it has to be a number"],
  ])("%s", (_what, presets, said) => expect(unsaid({ presets }, said)).toEqual([]));
  test("of right shape, they are taken", () => {
    expect(() => validateConfig({ ...max, presets: { tables, queues: { ...queues, priq: queue }, relativeTo: 0 } })).not.toThrow();
  });
});

describe("beyond", () => {
  test("features of known names, true or false", () => {
    expect(unsaid({ beyond: { secured: true } }, "beyond.secured is unknown, secure may be meant")).toEqual([]);
    expect(unsaid({ beyond: { mpam: "yes" } }, 'beyond.mpam is "yes": it has to be true or false')).toEqual([]);
    expect(unsaid({ beyond: null }, "beyond is null")).toEqual([]);
  });
});

test("a misspelt property says which one is meant, and all that is missing and unknown stands in one line", () => {
  expect(unsaid({ sidsize: 8 }, "unknown is sidsize (sidSize is meant)")).toEqual([]);
  const { ssidSize: _, ...rest } = max;
  expect(() => validateConfig({ ...rest, ssidsize: 8 } as Untyped)).toThrow(
    misuse("SMMU_CONFIG", "without ssidSize; unknown is ssidsize (ssidSize is meant)"),
  );
});
