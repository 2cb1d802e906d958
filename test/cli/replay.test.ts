// SPDX-License-Identifier: MIT
/** `quiesce replay` as a user runs it: the report, JSON, exit codes, files that are cut short, corrupt or something else. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FIXTURES, quiesce, widest } from "./tool.ts";

const EDU = join(FIXTURES, "q100-l612-4k-edu-faults.ndjson.gz");
const SMALL = join(FIXTURES, "q72-l61-4k-passthrough-edu.ndjson.gz");

let folder: string;
let lines: string[];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "quiesce-replay-"));
  lines = gunzipSync(readFileSync(SMALL)).toString("utf8").trimEnd().split("\n");
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe("a recording that holds", () => {
  test("the report in words: equal, deviations with title, section and count, verdict; exit 0; 80 columns", () => {
    const { status, stdout, stderr } = quiesce(["replay", EDU]);
    expect(status).toBe(0);
    expect(stderr).toBe("");
    expect(stdout).toMatch(/1480 records: \d+ comparisons equal, 254 where the recorded SMMU deviates, 0\s+unexplained/);
    expect(stdout).toMatch(/254 {2}the Event queue interrupt is pulsed for every record/);
    expect(stdout).toContain("§3.18.2");
    expect(stdout).toContain("first in record 333: interrupts: none, recorded evtq");
    expect(stdout).toContain("no difference is the model's");
    expect(widest(stdout)).toBeLessThanOrEqual(80);
  });

  test("--json is one document with the schema", () => {
    const { status, stdout } = quiesce(["replay", EDU, "--json"]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      schema: "quiesce/replay@1",
      format: "smmuv3-trace/1",
      complete: true,
      records: 1480,
      wrong: 0,
      deviations: [{ id: "eventq-irq-each", section: "3.18.2", count: 254 }],
    });
  });

  test("packed, plain and from standard input are the same", () => {
    const plain = file("plain.ndjson", `${lines.join("\n")}\n`);
    const packed = quiesce(["replay", SMALL]).stdout;
    expect(quiesce(["replay", plain]).stdout).toBe(packed);
    expect(quiesce(["replay", "-"], lines.join("\n")).stdout).toBe(packed);
  });
});

describe("a recording that says something else", () => {
  test("a changed answer is an unexplained difference, shown from both sides; exit 1", () => {
    const at = lines.findIndex((line) => line.includes('"t":"r"') && line.includes('"o":"0x0"'));
    const changed = lines.with(at, lines[at]!.replace(/"v":"0x[0-9a-f]+"/, '"v":"0x12345678"'));
    const { status, stdout } = quiesce(["replay", file("changed.ndjson", changed.join("\n"))]);
    expect(status).toBe(1);
    expect(stdout).toMatch(/, 1\s+unexplained/);
    expect(stdout).toMatch(/SMMU_IDR0: 0x[0-9a-f]+, recorded 0x12345678/);
  });
});

describe("a file that cannot be replayed: one line that names file and place, exit 2", () => {
  const fails = (path: string, message: RegExp): void => {
    const { status, stdout, stderr } = quiesce(["replay", path]);
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stderr).toContain(path);
    expect(stderr).toMatch(message);
  };

  test("not there", () => fails(join(folder, "missing"), /no such file/));
  test("a folder", () => fails(folder, /is a directory/));
  test("empty", () => fails(file("empty", ""), /no recording/));
  test("something else", () => fails(file("text", "hello\nworld\n"), /line 1: this is no recording that quiesce knows/));
  test("another format version", () => fails(file("version", lines[0]!.replace("smmuv3-trace/1", "smmuv3-trace/9")), /line 1: format "smmuv3-trace\/9" is not known/));
  test("a line that is cut", () => fails(file("cut", [...lines.slice(0, 9), lines[9]!.slice(0, 20)].join("\n")), /line 10: is not JSON \(cut short\?\)/));
  test("records missing at the end", () => fails(file("short", lines.slice(0, 100).join("\n")), /after line 100: the recording is cut short: 99 of \d+ records/));
  test("a record missing in the middle", () => fails(file("gap", lines.toSpliced(50, 1).join("\n")), /line 51: record 49 was expected, 50 is there/));
  test("a record of an unknown type", () => fails(file("type", lines.with(5, '{"n":4,"t":"zz"}').join("\n")), /line 6: record 4 is of the unknown type "zz"/));
  test("a packed file that is cut short", () => {
    const packed = gzipSync(lines.join("\n"));
    fails(file("cut.gz", packed.subarray(0, packed.length / 2)), /packed file is cut short/);
  });
  test("a packed file that is corrupt", () => {
    const packed = Buffer.from(gzipSync(lines.join("\n")));
    packed.fill(0xff, 200, 300);
    fails(file("corrupt.gz", packed), /packed file is corrupt|is not JSON/);
  });
  test("ID registers of a part that the architecture does not allow", () => {
    const reset = lines.findIndex((line) => line.includes('"t":"reset"'));
    const changed = lines.with(reset, lines[reset]!.replace(/"idr":\["0x[0-9a-f]+"/, '"idr":["0x0"'));
    fails(file("ids", changed.join("\n")), /line 2: .*§6\.3\.1/);
  });
});

test("firmware recordings are recognised by their first lines", () => {
  const { status, stdout } = quiesce(["replay", file("firmware.txt", "# a stub\nR4 000000 00000000\nW4 000044 80101000\nR4 000044 00101000\n")]);
  expect([0, 1, 2]).toContain(status);
  expect(stdout).not.toContain("this is no recording");
});
