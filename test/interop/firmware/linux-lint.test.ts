// SPDX-License-Identifier: MIT
/** Linux is a correct driver: the lint has nothing to say about it but what was broken on purpose. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { RecordingReader, Replayer } from "../../../src/interop/index.ts";

const folder = join(import.meta.dirname, "..", "..", "fixtures", "recordings");

/** Rules that a recording of Linux breaks. */
function lintOf(name: string): string[] {
  const text = gunzipSync(readFileSync(join(folder, `${name}.ndjson.gz`))).toString("utf8");
  const [first = "", ...lines] = text.split("\n").filter((line) => line !== "");
  const reader = new RecordingReader();
  const replayer = new Replayer(reader.header(first));
  for (const line of lines) replayer.apply(reader.record(line));
  expect(replayer.report().wrong).toBe(0);
  return Object.keys(replayer.report().lint);
}

test.each(["q72-l61-4k-passthrough-edu", "q100-l612-4k-edu-faults"])("%s: no rule is broken", (name) => {
  expect(lintOf(name)).toEqual([]);
});

test("q100-l612-4k-inject-stage1: only the STEs and CDs that were made ILLEGAL under the driver are named", () => {
  const rules = lintOf("q100-l612-4k-inject-stage1");
  expect(rules.length).toBeGreaterThan(5);
  expect(rules.filter((rule) => !/^(ste|cd)-/.test(rule))).toEqual([]);
  expect(rules.filter((rule) => rule.startsWith("cd-table"))).toEqual([]);
});
