// SPDX-License-Identifier: MIT
/** `quiesce replay` as a user runs it: the report, JSON, exit codes, files that are cut short, corrupt or something else. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FIXTURES, quiesce, startWithInput, widest } from "./tool.ts";

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

describe("a recording that comes in another way", () => {
  const verdict = "no difference is the model's";

  test("packed or not on standard input", () => {
    expect(quiesce(["replay", "-"], readFileSync(SMALL)).stdout).toContain(verdict);
    expect(quiesce(["replay", "-"], gunzipSync(readFileSync(SMALL))).stdout).toContain(verdict);
  });

  test("a pipe by its name", () => {
    const program = join(import.meta.dirname, "..", "..", "bin", "quiesce.js");
    const { stdout } = spawnSync("sh", ["-c", 'cat "$1" | "$2" "$3" replay /dev/stdin', "sh", SMALL, process.execPath, program], {
      encoding: "utf8",
    });
    expect(stdout).toContain(verdict);
  });

  test("nothing at all is no recording: one line, exit 2", () => {
    const { status, stderr } = quiesce(["replay", "-"], "");
    expect(status).toBe(2);
    expect(stderr).toBe("quiesce: standard input: line 1: this is no recording that quiesce knows (smmuv3-trace, firmware)\n");
  });
});

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
  const packed = (): Buffer => Buffer.from(gzipSync(lines.join("\n")));
  /** The first request is without something. */
  const without = (key: string): string => {
    const at = lines.findIndex((line) => line.includes('"t":"x"'));
    const { [key]: _gone, ...rest } = JSON.parse(lines[at]!) as Record<string, unknown>;
    return lines.with(at, JSON.stringify(rest)).join("\n");
  };
  const cases: readonly (readonly [name: string, content: (() => string | Uint8Array) | undefined, message: RegExp])[] = [
    ["not there", undefined, /no such file/],
    ["empty", () => "", /no recording/],
    ["something else", () => "hello\nworld\n", /line 1: this is no recording that quiesce knows/],
    [
      "another format version",
      () => lines[0]!.replace("smmuv3-trace/1", "smmuv3-trace/9"),
      /line 1: format "smmuv3-trace\/9" is not known/,
    ],
    ["a line that is cut", () => [...lines.slice(0, 9), lines[9]!.slice(0, 20)].join("\n"), /line 10: is not JSON \(cut short\?\)/],
    ["records missing at the end", () => lines.slice(0, 100).join("\n"), /after line 100: the recording is cut short: 99 of \d+ records/],
    ["a record missing in the middle", () => lines.toSpliced(50, 1).join("\n"), /line 51: record 49 was expected, 50 is there/],
    ["a record of an unknown type", () => lines.with(5, '{"n":4,"t":"zz"}').join("\n"), /line 6: record 4: is of the unknown type "zz"/],
    ["a packed file that is cut short", () => packed().subarray(0, packed().length / 2), /packed file is cut short/],
    ["a packed file that is corrupt", () => packed().fill(0xff, 200, 300), /packed file is corrupt|is not JSON/],
    ["a request without its answer", () => without("r"), /line \d+: record \d+: "r" is not a JSON object/],
    [
      "a state that is null",
      () => lines.map((line) => line.replace(/"st":\{[^}]*\}/, '"st":null')).join("\n"),
      /record \d+: "st" is not a JSON object/,
    ],
    [
      "ID registers that the architecture does not allow",
      () => lines.with(1, lines[1]!.replace(/"idr":\["0x[0-9a-f]+"/, '"idr":["0x0"')).join("\n"),
      /line 2: .*§6\.3\.1/,
    ],
  ];

  test.each(cases)("%s", (name, content, message) => {
    const path = content === undefined ? join(folder, "missing") : file(name.replaceAll(" ", "-"), content());
    const { status, stdout, stderr } = quiesce(["replay", path]);
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stderr).toContain(path);
    expect(stderr).toMatch(message);
  });

  // Whatever the flipped byte makes of it: the line that cannot be read comes first, then the reader finds the checksum wrong.
  test.each([300, 2000, 2700, 3400, 4100])("byte %d of a packed file flipped: one line from replay and from explain", (at) => {
    const bytes = readFileSync(SMALL);
    bytes[at]! ^= 0xff;
    const path = file(`flipped-${at}.gz`, bytes);
    for (const words of [
      ["replay", path],
      ["explain", "--recording", path, "--record", "463"],
    ]) {
      const { status, stdout, stderr } = quiesce(words);
      expect({ status, stdout, lines: stderr.trimEnd().split("\n").length }, stderr).toEqual({ status: 2, stdout: "", lines: 1 });
      expect(stderr).toContain(path);
    }
  });

  test("a folder", () => {
    expect(quiesce(["replay", folder])).toMatchObject({ status: 2, stdout: "", stderr: `quiesce: ${folder}: is a directory\n` });
  });
});

test("firmware recordings are recognised by their first lines", () => {
  const path = join(FIXTURES, "..", "..", "interop", "firmware", "recordings", "client-mmio-tfa.txt");
  const { status, stdout } = quiesce(["replay", path, "--json"]);
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ schema: "quiesce/replay@1", format: "firmware", wrong: 0 });
});

test("an interrupt ends the replay with the report so far and exit 130", async () => {
  const child = startWithInput(["replay", "-", "--json"], gunzipSync(readFileSync(EDU)).toString("utf8"));
  await child.reading;
  child.kill("SIGINT");
  const { status, stdout } = await child.ended;
  expect(status).toBe(130);
  expect(JSON.parse(stdout)).toMatchObject({ schema: "quiesce/replay@1", complete: false, wrong: 0 });
});
