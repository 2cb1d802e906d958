// SPDX-License-Identifier: MIT
/** `quiesce explain` as a user runs it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { FIXTURES, quiesce, widest } from "./tool.ts";

const EDU = join(FIXTURES, "q100-l612-4k-edu-faults.ndjson.gz");

test("a recording of firmware holds no translations, and that is said", () => {
  const file = join(import.meta.dirname, "../interop/firmware/recordings/client-mmio-tfa.txt");
  expect(quiesce(["explain", "--recording", file, "--record", "1"])).toMatchObject({
    status: 2,
    stderr: `quiesce: ${file}: a recording of firmware holds register accesses and no translations; quiesce replay compares it\n`,
  });
});

describe("quiesce explain of a state that a run saved", () => {
  const folder = mkdtempSync(join(tmpdir(), "quiesce-"));
  const file = join(folder, "state.gz");
  afterAll(() => rmSync(folder, { recursive: true }));
  const cell = ["run", "--cell", "none/tmc-etr/no-hook/kexec"];

  test("run --save-state writes it and prints what it prints without", () => {
    const plain = quiesce(cell);
    const saving = quiesce([...cell, "--save-state", file, "--at", "+0.455"]);
    expect(saving.status).toBe(plain.status);
    expect(saving.stdout).toBe(plain.stdout);
    expect(saving.stderr).toBe(`saved ${file}\n`);
  });

  test("a device by its name: what the caches say, and what memory says, in 80 columns", () => {
    const { status, stdout } = quiesce(["explain", "--state", file, "--stream", "etr", "--address", "0xfff29680", "--write"]);
    expect(status).toBe(0);
    expect(stdout).toContain("none/tmc-etr/no-hook/kexec, +0.455 ms: write of 0x00000000fff29680 by StreamID");
    expect(stdout).toContain("memory says something else than the caches");
    expect(widest(stdout)).toBeLessThanOrEqual(80);
  });

  test("--json is one document with the schema", () => {
    const { stdout } = quiesce(["explain", "--state", file, "--stream", "0x21", "--address", "4096", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ schema: "quiesce/explain@1", moment: "+0.455 ms", recorded: null });
  });

  const mistakes: readonly (readonly [name: string, args: readonly string[], message: RegExp])[] = [
    ["neither a recording nor a state", ["explain"], /name a --recording or a --state/],
    [
      "a device that is not there",
      ["explain", "--state", file, "--stream", "ert", "--address", "0"],
      /--stream ert: no such device; meant etr\?/,
    ],
    ["an address that is none", ["explain", "--state", file, "--stream", "etr", "--address", "-1"], /--address -1: a decimal or 0x number/],
    ["no address", ["explain", "--state", file, "--stream", "etr"], /--state goes with --stream and --address/],
    [
      "a file that is no state",
      ["explain", "--state", "package.json", "--stream", "etr", "--address", "0"],
      /package.json: is no quiesce\/state@1/,
    ],
    ["a moment after the end", [...cell, "--save-state", file, "--at", "99999"], /--at 99999: the run is over before that/],
    ["a moment that is none", [...cell, "--save-state", file, "--at", "soon"], /--at soon: a moment is a number of ms/],
    ["a moment without a file", [...cell, "--at", "1"], /--at goes with --save-state/],
  ];
  test.each(mistakes)("bad input is one line and exit 2: %s", (_name, args, message) => {
    const { status, stderr } = quiesce(args);
    expect(status).toBe(2);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stderr).toMatch(message);
  });
});

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
