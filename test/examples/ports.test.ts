// SPDX-License-Identifier: MIT
/** The example ports run, and say what a way down makes of a device whose driver has no hook, and of one that has. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { EDU } from "../../src/interop/index.ts";

const folder = join(import.meta.dirname, "..", "..", "examples", "ports");

function output(name: string): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, name)], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  for (const line of stdout.split("\n")) expect(line.length, line).toBeLessThanOrEqual(80);
  return stdout;
}

/** Rows of the table that is printed: words between two or more blanks. */
function rows(text: string): string[][] {
  const lines = text.split("\n").filter((line) => /^(reboot|kexec|kdump) /.test(line));
  return lines.map((line) => line.trim().split(/ +/));
}

describe("cyclic-dma.mjs", () => {
  const text = output("cyclic-dma.mjs");
  const row = (...key: string[]): string[] =>
    rows(text)
      .find((words) => key.every((word, index) => words[index] === word))!
      .slice(3);

  test("without a hook the engine copies on after the SMMU's shutdown, whatever that does", () => {
    for (const wayDown of ["reboot", "kexec"])
      for (const smmu of ["bypass", "abort"]) expect(Number(row(wayDown, smmu, "no-hook")[0])).toBeGreaterThan(0);
  });

  test("behind an SMMU that lets all through it writes memory of others; behind one that aborts it does no harm", () => {
    for (const wayDown of ["reboot", "kexec"]) {
      expect(Number(row(wayDown, "bypass", "no-hook")[1])).toBeGreaterThan(0);
      expect(row(wayDown, "abort", "no-hook").slice(1)).toEqual(["0", "contained,", "up"]);
    }
  });

  test("with a hook that stops it and waits, nothing comes after the SMMU's shutdown", () => {
    for (const wayDown of ["reboot", "kexec"])
      for (const smmu of ["bypass", "abort"]) expect(row(wayDown, smmu, "quiescing")).toEqual(["0", "0", "clean,", "up"]);
  });

  test("the worked example is short", () => {
    expect(readFileSync(join(folder, "cyclic-dma.mjs"), "utf8").split("\n").length).toBeLessThan(150);
  });
});

describe("edu.mjs", () => {
  const text = output("edu.mjs");
  const overwritten = rows(text)
    .filter((words) => words.at(-1) === "overwritten")
    .map((words) => words.join(" "));

  test("a transfer that outlives its kernel changes the next one's memory where no hook waited, and after a panic none runs", () => {
    expect(overwritten.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual(["kexec no-hook", "kdump no-hook", "kdump quiescing"]);
  });

  test("a probe that waits before the function is bus master keeps it away", () => {
    expect(overwritten.filter((line) => line.includes("waits first"))).toEqual([]);
  });

  test("the driver's register header and the device's registers are the same", () => {
    const header = /export const regs = \{([^}]*)\}/.exec(readFileSync(join(folder, "edu.mjs"), "utf8"))![1]!;
    const found = [...header.matchAll(/EDU_(\w+): (0x\w+)/g)];
    expect(found.length).toBeGreaterThan(5);
    for (const [, name, offset] of found) expect(EDU[name as keyof typeof EDU], name).toBe(Number(offset));
  });
});
