// SPDX-License-Identifier: MIT
/** Real drivers on a real emulator: the model never differs without an explanation. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { replayText } from "../../../src/interop/index.ts";
import { FIXTURES, replay, sharedRecordings } from "./machine.ts";

const plain = (_style: string, text: string): string => text;

describe("fixtures", () => {
  test.each(readdirSync(FIXTURES))("%s replays without an unexplained difference", (name) => {
    const report = replay(join(FIXTURES, name));
    expect(report.findings.filter(({ deviation }) => deviation === undefined)).toEqual([]);
    expect(report.wrong).toBe(0);
    expect(report.equal).toBeGreaterThan(report.records);
    for (const line of replayText(report, plain).split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });
});

const { folder, files } = sharedRecordings();

describe(`recordings in ${folder}`, () => {
  test.skipIf(files.length === 0)("the folder is there (QUIESCE_RECORDINGS names another; QUIESCE_SLOW adds the large ones)", () => {
    expect(files.length).toBeGreaterThan(0);
  });

  test.each(files)("%s replays without an unexplained difference", (name) => {
    const { findings, wrong } = replay(join(folder, name));
    expect(findings.filter(({ deviation }) => deviation === undefined)).toEqual([]);
    expect(wrong).toBe(0);
  });
});
