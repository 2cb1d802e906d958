// SPDX-License-Identifier: MIT
/** Each deviation of QEMU: a difference that is one, and differences next to it that are not. */
import { describe, expect, test } from "vitest";
import { deviationOf, qemuDeviations } from "../../../src/interop/index.ts";
import { cases } from "./deviation-cases.ts";

describe.each(cases)("$id: $what", ({ id, difference, context, not }) => {
  test("is that deviation", () => expect(deviationOf(difference, context)?.id).toBe(id));
  test.each(Object.entries(not))("%s is none", (_what, { d = difference, c = context }) => {
    expect(deviationOf(d, c)?.id).toBeUndefined();
  });
});

test("every deviation has such a case", () => {
  const tested = new Set(cases.map(({ id }) => id));
  expect(qemuDeviations.map(({ id }) => id).filter((id) => !tested.has(id))).toEqual([]);
});
test("every case names at least one that is none", () => {
  for (const { id, not } of cases) expect(Object.keys(not).length, id).toBeGreaterThan(0);
});
