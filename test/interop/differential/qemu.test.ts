// SPDX-License-Identifier: MIT
/** The differential test itself, in small: needs a packaged QEMU and says so where there is none. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

const script = join(import.meta.dirname, "..", "..", "..", "scripts", "differential.mjs");
const QEMU = "qemu-system-aarch64";
const installed = spawnSync(QEMU, ["--version"]).error === undefined;

function run(...args: readonly string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync(process.execPath, [script, "--no-build", ...args], { encoding: "utf8" });
}

test.skipIf(!installed)(`the model and ${QEMU} differ only where QEMU is known to (skipped where it is not installed)`, () => {
  const { status, stdout, stderr } = run("--seed", "0x1", "--programs", "30", "--json");
  expect(status, stderr).toBe(0);
  const report = JSON.parse(stdout) as Record<string, unknown>;
  expect(report).toMatchObject({ schema: "quiesce/differential@1", compared: true, programs: 30, wrong: 0, staleUses: 0, failures: [] });
  expect(report["equal"]).toBeGreaterThan(200);
});

test("without a QEMU it says loudly that nothing was compared, and ends 0", () => {
  const { status, stdout, stderr } = run("--qemu", "/nowhere/qemu-system-aarch64", "--json");
  expect(status).toBe(0);
  expect(stderr).toContain("NOTHING WAS COMPARED");
  expect(JSON.parse(stdout)).toEqual({ schema: "quiesce/differential@1", compared: false });
});

for (const args of [["--seed", "x"], ["--programs", "-1"], ["--nonsense"], ["--only", ""]]) {
  test(`${args.join(" ")} is bad usage`, () => {
    const { status, stderr } = run(...args);
    expect(status).toBe(2);
    expect(stderr).toContain("usage:");
  });
}
