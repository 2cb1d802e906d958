// SPDX-License-Identifier: MIT
/** The report of a firmware replay in words. */
import { expect, test } from "vitest";
import { firmwareText, replayFirmware } from "../../../src/interop/index.ts";

const plain = (_style: string, text: string): string => text;
const ACCESS = "R4 000044 00001000";

test("a recording without a title does not begin with an empty line", () => {
  expect(firmwareText(replayFirmware([ACCESS]), plain)).toMatch(/^1 record, /);
  expect(firmwareText(replayFirmware(["# TF-A smmu_v3.c", ACCESS]), plain)).toMatch(/^\S/);
});

test("one is one", () => {
  const text = firmwareText(replayFirmware([ACCESS]), plain);
  expect(text).toContain("  1 access: 1 comparison equal");
  expect(text).not.toMatch(/\b1 (?:accesses|comparisons|records)\b/);
});
