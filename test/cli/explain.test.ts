// SPDX-License-Identifier: MIT
/** `quiesce explain` as a user runs it. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { FIXTURES, quiesce, widest } from "./tool.ts";

const EDU = join(FIXTURES, "q100-l612-4k-edu-faults.ndjson.gz");

describe("quiesce explain", () => {
  test("registers, structures, descriptors and the end, in 80 columns", () => {
    const { status, stdout, stderr } = quiesce(["explain", "--recording", EDU, "--record", "57"]);
    expect(status).toBe(0);
    expect(stderr).toBe("");
    for (const text of [
      "SMMUEN is 1",
      "STE at 0x6b260200",
      "CD at 0x44012000",
      "stage 1, level 3 at 0x45032fe8",
      "forwarded to 0x45037000",
    ])
      expect(stdout).toContain(text);
    expect(widest(stdout)).toBeLessThanOrEqual(80);
  });

  test("a fault: the record, and what differs from the recording", () => {
    const { stdout } = quiesce(["explain", "--recording", EDU, "--record", "333"]);
    expect(stdout).toContain("abort, F_TRANSLATION");
    expect(stdout).toContain("the recorded SMMU answered: fault, F_TRANSLATION");
  });

  test("--json is one document with the schema", () => {
    const { stdout } = quiesce(["explain", "--recording", EDU, "--record", "57", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({
      schema: "quiesce/explain@1",
      record: 57,
      differs: false,
      withCaches: { result: { physical: "0x45037000" } },
    });
  });

  const mistakes: readonly (readonly [name: string, args: readonly string[], message: RegExp])[] = [
    ["no record", ["--recording", EDU], /record/],
    ["a record that is no request", ["--recording", EDU, "--record", "1"], /record 1 is a read of register 0x0, not a translation request/],
    ["a record beyond the end", ["--recording", EDU, "--record", "99999"], /ends before record 99999/],
    ["a record that is no number", ["--recording", EDU, "--record", "-3"], /--record is the number of a record/],
    ["a file that is not there", ["--recording", "/nowhere/x", "--record", "1"], /\/nowhere\/x: no such file/],
  ];
  test.each(mistakes)("bad input is one line and exit 2: %s", (_name, args, message) => {
    const { status, stdout, stderr } = quiesce(["explain", ...args]);
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stderr).toMatch(message);
  });
});
