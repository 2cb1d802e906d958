// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import { isFirmwareRecording, parseFirmware, RecordingError } from "../../../src/interop/index.ts";

/** The message for a recording that is bad. */
function complaint(...lines: string[]): string {
  try {
    parseFirmware(lines);
  } catch (error) {
    if (error instanceof RecordingError) return error.message;
    throw error;
  }
  return "none";
}

describe("lines of a firmware recording", () => {
  test("accesses of 32 and 64 bits, commands, memory, notes", () => {
    const [run] = parseFirmware([
      "# a driver",
      "R4 000024 0000000d",
      "W8 000080 4000000080004000",
      "CMD idx=254 op=46 0000000000000046 0000000100000002",
      "MEM STE[0] @80004000: 000000000000000d 0000100000000000",
    ]);
    expect(run).toMatchObject({ title: "a driver", line: 1, kind: "whole" });
    expect(run!.steps).toEqual([
      { kind: "note", line: 1, text: "a driver" },
      { kind: "read", line: 2, width: 4, offset: 0x24, lo: 0xd, hi: 0 },
      { kind: "write", line: 3, width: 8, offset: 0x80, lo: 0x8000_4000, hi: 0x4000_0000 },
      { kind: "command", line: 4, index: 254, words: Uint32Array.of(0x46, 0, 2, 1) },
      { kind: "memory", line: 5, name: "STE[0]", address: 0x8000_4000, words: Uint32Array.of(0xd, 0, 0, 0x1000) },
    ]);
  });
  test("a read that was repeated is there as often as it was made", () => {
    const [run] = parseFirmware(["R4 000044 00001000", "#   (last read repeated 2 more times)"]);
    expect(run!.steps.filter(({ kind }) => kind === "read")).toHaveLength(3);
  });
  test("upper case, blank lines and trailing blanks do no harm", () => {
    expect(parseFirmware(["", "r4 000044 0000100A  ", ""])[0]!.steps).toEqual([
      { kind: "read", line: 2, width: 4, offset: 0x44, lo: 0x100a, hi: 0 },
    ]);
  });
  test("an access that the stub made is none of the driver's", () => {
    expect(
      parseFirmware(["W4 020000 00000001", "# line above is the stub setting ROOT_IDR0", "R4 000020 00000000"])[0]!.steps.map(
        ({ kind }) => kind,
      ),
    ).toEqual(["note", "read"]);
  });

  for (const [what, lines, message] of [
    [
      "a word that is none of the format's",
      ["R4 000020 00000000", "X4 000020 0"],
      'line 2: is neither an access, a command, memory nor a note: "X4 000020 0"',
    ],
    ["a value that is cut off", ["R4 000020"], 'line 1: is neither an access, a command, memory nor a note: "R4 000020"'],
    ["a value too wide for its access", ["W4 000020 123456789"], "line 1: the value 123456789 has more than 32 bits"],
    ["an offset that is not aligned", ["W8 000084 0000000000000000"], "line 1: offset 000084 is not a multiple of 8"],
    [
      "an opcode that contradicts the command",
      ["CMD idx=0 op=04 0000000000000046 0000000000000000"],
      "line 1: op=04 is not the low byte of 0000000000000046",
    ],
    [
      "a repetition of nothing",
      ["W4 000020 00000000", "# (last read repeated 1 more times)"],
      "line 2: the line before is no read that could be repeated",
    ],
    ["a recording without an access", ["# nothing"], "line 1: the recording holds no access"],
    ["a numbered line without a first run", ["7:W4 000020 00000000"], "line 1: line 7 of the first run, which it replaces, is not there"],
    [
      "a numbered line that replaces another kind of line",
      ["W4 000020 00000000", "# ---- second run", "1:R4 000020 00000000"],
      "line 3: line 1 of the first run, which it replaces, is a write of 32, not a read of 32",
    ],
  ] as const) {
    test(`${what} is named with its line`, () => expect(complaint(...lines)).toBe(message));
  }
});

describe("further runs", () => {
  const first = ["# one", "W4 000020 00000008", "W4 000098 00000001", "CMD idx=0 op=46 0000000000000046 0000000000000000"];
  test("numbered lines take the place of the first run's lines of those numbers", () => {
    const runs = parseFirmware([...first, "# ---- two", "4:CMD idx=0 op=00 0000000000000000 0000000000000000"]);
    expect(runs.map(({ kind, title }) => `${kind} ${title}`)).toEqual(["whole one", "overlay two"]);
    expect(runs[1]!.steps).toHaveLength(4);
    expect(runs[1]!.steps[3]).toMatchObject({ kind: "command", words: new Uint32Array(4) });
  });
  test("lines that use a queue which they never set up are an excerpt; a lone dash says that lines are left out", () => {
    const runs = parseFirmware([
      ...first,
      "# ---- two",
      "W4 000098 00000009",
      "CMD idx=8 op=46 0000000000000046 0000000000000000",
      "-",
      "R4 000098 00000009",
    ]);
    expect(runs[1]!.kind).toBe("excerpt");
    expect(runs[1]!.steps.map(({ kind }) => kind)).toEqual(["write", "command", "gap", "read"]);
  });
  test("anything else begins at a reset", () => {
    expect(parseFirmware([...first, "# ---- two", "R4 000020 00000000"])[1]!.kind).toBe("whole");
  });
});

describe("recognising a firmware recording", () => {
  test("by its first lines", () => {
    expect(isFirmwareRecording(["# a driver", "R4 000020 00000000", "W8 000080 4000000080004000"])).toBe(true);
    expect(isFirmwareRecording(["#", "MEM PTE @80008000: 00000000800234c3"])).toBe(true);
  });
  test("a recording of another format, notes alone and an empty file are none", () => {
    expect(isFirmwareRecording(['{"t":"hdr","format":"smmuv3-trace/1"}'])).toBe(false);
    expect(isFirmwareRecording(["# only", "# notes"])).toBe(false);
    expect(isFirmwareRecording([])).toBe(false);
    expect(isFirmwareRecording(["[    1.0] arm-smmu-v3: a console log", "R4 000020 00000000"])).toBe(false);
  });
  test("a bad line further down does not hide what the file is", () => {
    expect(isFirmwareRecording(["R4 000020 00000000", "R4 000020"])).toBe(true);
  });
});
