// SPDX-License-Identifier: MIT
/**
 * Speed that must not get lost: a tiny part of `npm run bench`, in a process of its own. Only ratios within that process
 * count, and the limits are generous: they catch what was lost, not what is noise.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";

// As bench/native.mjs reads it: CC may have arguments, and an empty one is none.
const [compiler = ""] = (process.env["CC"] ?? "cc").trim().split(/\s+/);
const compiled = compiler !== "" && spawnSync(compiler, ["--version"]).status === 0;

describe("speed", () => {
  let ratios: Record<string, number> = {};

  beforeAll(() => {
    const gate = join(import.meta.dirname, "..", "..", "bench", "gate.mjs");
    const { status, stdout, stderr } = spawnSync(process.execPath, [gate], { encoding: "utf8" });
    if (status !== 0) throw new Error(`bench/gate.mjs ended with ${status}: ${stderr}`);
    ({ ratios } = JSON.parse(stdout) as { ratios: Record<string, number> });
  }, 60_000);

  test("a TLBI by ASID costs the same with 64 times as many translations cached", () => {
    expect(ratios["flatAsid"]).toBeLessThan(6);
  });

  test("a step of a task costs a small multiple of a bare generator's", () => {
    expect(ratios["stepOverBare"]).toBeLessThan(10);
  });

  test("a hit is cheaper than a walk", () => {
    expect(ratios["walkOverHit"]).toBeGreaterThan(2);
  });

  test.skipIf(!compiled)("a TLB hit stays within reach of hand-tuned C", () => {
    expect(ratios["hitOverC"]).toBeLessThan(25);
  });

  test.skipIf(!compiled)("a TLB hit is cheaper than one of a hash-table TLB in C", () => {
    expect(ratios["hashOverHit"]).toBeGreaterThan(1.5);
  });
});
