// SPDX-License-Identifier: MIT
/** quiesce run --cell … --layout: a run of the layout experiment once more. */
import { expect, test } from "vitest";
import { layoutKeys, runLayout } from "../../src/lab/index.ts";
import { quiesce } from "./program.ts";

test("a layout's replay command gives its verdict", async () => {
  const key = layoutKeys(5).find(
    ({ layout, smmuShutdown, client }) => layout === "2-3G" && smmuShutdown === "bypass" && client === "tmc-etr",
  )!;
  const row = runLayout(key);
  const { stdout } = await quiesce(row.replay.split(" ").slice(2));
  expect(stdout).toContain(`verdict: ${row.verdict} (`);
  // Behind a backslash the command goes on.
  expect(stdout.replaceAll(/ \\\n +/g, " ")).toContain(row.replay);
});

test.each([
  [["--cell", "bypass/hdlcd/no-hook/kexec", "--layout", "moon"], "--layout is moon; possible: 2-4G, 2-3G, 2-8G"],
  [["scenarios/kexec-abort-trace.yaml", "--layout", "2-3G"], "--layout goes with --cell"],
])("%j is bad usage", async (words, says) => {
  const { code, stderr, stdout } = await quiesce(["run", ...words]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(says);
});
