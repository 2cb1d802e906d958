// SPDX-License-Identifier: MIT
/** Every scenario that is shipped runs, and comes out as its file says. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { brokenExpectations, parseScenario, runScenario } from "../../../src/lab/index.ts";

const folder = join(import.meta.dirname, "../../../scenarios");
const files = readdirSync(folder).filter((name) => name.endsWith(".yaml"));

test("there are scenarios", () => {
  expect(files.length).toBeGreaterThanOrEqual(5);
});

describe.each(files)("scenarios/%s", (file) => {
  const scenario = parseScenario(readFileSync(join(folder, file), "utf8"), file);

  test("says what it expects", () => {
    expect(scenario.expect.verdict).toBeDefined();
  });

  test("comes out as it expects", () => {
    const run = runScenario(scenario, { seed: 1, replay: "" });
    expect(brokenExpectations(scenario, run)).toEqual([]);
    expect(run.inconclusive).toBe(false);
  });
});
