// SPDX-License-Identifier: MIT
/** The differential test itself, in small: needs a packaged QEMU and says so where there is none. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
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

test.each([
  ["/nowhere/qemu-system-aarch64", /cannot be started \(ENOENT/],
  [process.execPath, /can be started, but is no QEMU/],
])("without a QEMU it says loudly that nothing was compared, and ends 4: %s", (command, why) => {
  const { status, stdout, stderr } = run("--qemu", command, "--json");
  expect(status).toBe(4);
  expect(stderr).toContain("NOTHING WAS COMPARED");
  expect(stderr).toMatch(why);
  expect(JSON.parse(stdout)).toEqual({ schema: "quiesce/differential@1", compared: false });
});

test.skipIf(!installed)("no programs: nothing was compared", () => {
  const { status, stderr } = run("--programs", "0");
  expect([status, stderr]).toEqual([4, expect.stringContaining("NOTHING WAS COMPARED")]);
});

test.skipIf(!installed).each(["SIGINT", "SIGTERM"] as const)(
  "%s: the partial result is printed, exit 130, no QEMU and no folder stays behind",
  async (signal) => {
    const folder = mkdtempSync(join(tmpdir(), "quiesce-differential-"));
    try {
      const child = spawn(process.execPath, [script, "--no-build", "--json", "--programs", "1000000"], {
        env: { ...process.env, TMPDIR: folder },
        stdio: ["ignore", "pipe", "ignore"],
      });
      let stdout = "";
      child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
      const ended = new Promise((resolve) => child.on("close", resolve));
      // A QEMU of this run names its socket, which lies in the folder.
      const running = (): string =>
        spawnSync("ps", ["-eo", "args"], { encoding: "utf8" })
          .stdout.split("\n")
          .filter((line) => line.includes(folder))
          .join();
      while (running() === "") await sleep(50);
      child.kill(signal);
      expect(await ended).toBe(130);
      expect(JSON.parse(stdout)).toMatchObject({ schema: "quiesce/differential@1", interrupted: true, failures: [] });
      for (let tries = 0; running() !== "" && tries < 100; tries++) await sleep(50);
      expect(running()).toBe("");
      expect(readdirSync(folder)).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

for (const args of [["--seed", "x"], ["--programs", "-1"], ["--nonsense"], ["--only", ""]]) {
  test(`${args.join(" ")} is bad usage`, () => {
    const { status, stderr } = run(...args);
    expect(status).toBe(2);
    expect(stderr).toContain("usage:");
  });
}
