// SPDX-License-Identifier: MIT
/** Recordings with anything wrong in them: what cannot be read is a RecordingError that names the record, never another error. */
import { describe, expect, test } from "vitest";
import { RecordingError, RecordingReader, Replayer } from "../../../src/interop/index.ts";
import { type Line, copy, fixture } from "./mutate.ts";

const SOURCES = ["q100-l612-4k-edu-faults", "q100-l612-4k-inject-stage1", "q100-l612-4k-stage2-edu"].map(fixture);

/** What any value may be instead. */
const VALUES: readonly unknown[] = [
  null,
  true,
  -1,
  3,
  1.5,
  2 ** 60,
  "",
  "x",
  "0x",
  "0xzz",
  "0x3",
  "-0x1",
  "0x10000000000000",
  "0x8000000000000000",
  `0x${"f".repeat(16)}`,
  `0x${"f".repeat(17)}`,
  [],
  [null],
  [1, 2, 3],
  [["c"]],
  [["zz", "0x0", "00"]],
  [["P", "0x8", "0"]],
  [["P", "0x9", "00"]],
  {},
  { s: "ok" },
];

/** One record of each form: the keys and the kinds of effects say what a form is. */
function forms(): { readonly name: string; readonly source: (typeof SOURCES)[number]; readonly n: number }[] {
  const known = new Map<string, { name: string; source: (typeof SOURCES)[number]; n: number }>();
  for (const source of SOURCES) {
    for (const [n, record] of source.records.entries()) {
      const kinds = new Set(((record.fx ?? []) as unknown[][]).map(([kind]) => kind));
      const status = record.t === "x" ? record.r.s : "";
      const optional = ["m", "u", "arch", "inj"].filter((key) => key in record);
      const name = [record.t, status, ...optional, ...[...kinds].sort()].join(" ");
      if (!known.has(name)) known.set(name, { name, source, n });
    }
  }
  return [...known.values()];
}

/** Every place in a value: the path to each of its members, and to theirs. */
function* places(value: unknown, path: readonly (string | number)[] = []): Generator<readonly (string | number)[]> {
  if (typeof value !== "object" || value === null) return;
  for (const key of Object.keys(value)) {
    yield [...path, key];
    yield* places((value as Record<string, unknown>)[key], [...path, key]);
  }
}

function altered(record: Line, path: readonly (string | number)[], value: unknown): string {
  const changed = copy(record);
  let at = changed as unknown as Record<string | number, unknown>;
  for (const key of path.slice(0, -1)) at = at[key] as typeof at;
  const last = path.at(-1)!;
  if (value !== undefined) at[last] = value;
  else if (Array.isArray(at)) at.splice(Number(last), 1);
  else delete at[last];
  return JSON.stringify(changed);
}

/** Reads and carries out one line on an SMMU that has come as far as the one before it. @returns the error, if there is one */
function errorOf(source: (typeof SOURCES)[number], n: number, lines: readonly string[]): unknown[] {
  const errors: unknown[] = [];
  const reset = source.lines[0]!;
  for (const line of lines) {
    try {
      const reader = new RecordingReader();
      const header = reader.header(source.header);
      const first = n > 0 ? reader.record(reset) : undefined;
      const record = reader.record(n > 1 ? line.replace(/"n":\d+/, '"n":1') : line);
      const replayer = new Replayer(header);
      if (first) replayer.apply(first);
      replayer.apply(record);
      replayer.report();
    } catch (error) {
      errors.push(error);
    }
  }
  return errors;
}

describe.each(forms())("a record with $name", ({ source, n }) => {
  const record = source.records[n]!;
  test("each of its values left out or changed", () => {
    const lines = [...places(record)].flatMap((path) => [undefined, ...VALUES].map((value) => altered(record, path, value)));
    const errors = errorOf(source, n, lines);
    const others = errors.filter((error) => !(error instanceof RecordingError));
    expect(others).toEqual([]);
    // Most of that is seen.
    expect(errors.length).toBeGreaterThan(lines.length / 4);
    for (const error of errors as RecordingError[]) expect(error.message).toMatch(/^line [12345]+: /);
  });
});

describe("a message names line and record", () => {
  const { header, lines } = SOURCES[0]!;
  const message = (line: string): string => {
    const reader = new RecordingReader();
    reader.header(header);
    reader.record(lines[0]!);
    try {
      reader.record(line);
      return "";
    } catch (error) {
      return String((error as Error).message);
    }
  };
  test.each([
    ["a request without an answer", '{"n":1,"t":"x","sid":1,"iova":"0x0","f":"r","h":[0,0]}', 'line 3: record 1: "r" is not a JSON object'],
    ["st that is null", '{"n":1,"t":"w","o":"0x20","s":4,"v":"0x0","st":null}', 'line 3: record 1: "st" is not a JSON object'],
    ["st that is a text", '{"n":1,"t":"w","o":"0x20","s":4,"v":"0x0","st":"x"}', 'line 3: record 1: "st" is not a JSON object'],
    ["no hits", '{"n":1,"t":"x","sid":1,"iova":"0x0","f":"r","r":{"s":"abort"}}', 'line 3: record 1: "h" is not a list'],
    [
      "a translation without its size",
      '{"n":1,"t":"x","sid":1,"iova":"0x0","f":"r","h":[0,0],"r":{"s":"ok","pa":"0x0","perm":"r"}}',
      'line 3: record 1: "mask" is not a number: undefined',
    ],
    [
      "an offset that no register has",
      '{"n":1,"t":"r","o":"0x3","s":4,"v":"0x0"}',
      'line 3: record 1: "o": "0x3" is no offset of a register',
    ],
  ])("%s", (_what, line, expected) => expect(message(line)).toBe(expected));
  test("a recording that does not begin with a reset", () => {
    const reader = new RecordingReader();
    const replayer = new Replayer(reader.header(header));
    const record = reader.record('{"n":0,"t":"r","o":"0x0","s":4,"v":"0x0"}');
    expect(() => replayer.apply(record)).toThrow(new RecordingError(2, "record 0: comes before the first reset"));
  });
});
