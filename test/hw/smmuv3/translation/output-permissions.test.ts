// SPDX-License-Identifier: MIT
/** INST and PRIV of forwarded transactions: how they came in, what STE or GBPA made of them, and v3.4 (IHI 0070 §13.1.2). */
import { describe, expect, test } from "vitest";
import type { SmmuConfig } from "../../../../src/hw/index.ts";
import { Outcome } from "../../../../src/hw/smmuv3/transaction.ts";
import { bypassSte } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench, RAM, type Request } from "./bench.ts";

const DATA = 2;
const INSTRUCTION = 3;
const UNPRIVILEGED = 2;
const PRIVILEGED = 3;

/** A stream that passes unchanged: by GBPA, by its STE, or through stage 1. */
type Path = "global bypass" | "STE bypass" | "stage 1";
const paths: readonly Path[] = ["global bypass", "STE bypass", "stage 1"];

function out(path: Path, config: Partial<SmmuConfig>, instCfg: number, privCfg: number, request: Request): string {
  const bench = new Bench(config);
  const fields = { INSTCFG: instCfg, PRIVCFG: privCfg };
  if (path === "global bypass") {
    bench.enabled = false;
    bench.gbpa = 0x1000 | (instCfg << 18) | (privCfg << 16);
  } else if (path === "STE bypass") {
    bench.streams.write(0, bypassSte(fields));
  } else {
    const table = bench.pageTable(1);
    // Pages that unprivileged software may write are not for privileged fetches.
    table.map(RAM, RAM, 4096, { ap: request.write ? 1 : 3 });
    bench.stage1(0, table, {}, fields);
  }
  const { outcome, tx } = bench.go(RAM, request);
  expect(outcome).toBe(Outcome.forward);
  return `${tx.outputPrivileged ? "privileged" : "unprivileged"} ${tx.outputInstruction ? "instruction" : "data"}`;
}

describe.each(paths)("%s", (path) => {
  const cases: readonly (readonly [string, inst: number, priv: number, Request, string])[] = [
    ["use incoming", 0, 0, { privileged: true }, "privileged data"],
    ["use incoming", 0, 0, {}, "unprivileged data"],
    ["use incoming", 0, 0, { instruction: true }, "unprivileged instruction"],
    ["0b01 is reserved: use incoming", 1, 1, { instruction: true, privileged: true }, "privileged instruction"],
    ["made data", DATA, 0, { instruction: true }, "unprivileged data"],
    ["made instruction", INSTRUCTION, 0, {}, "unprivileged instruction"],
    ["made privileged", 0, PRIVILEGED, {}, "privileged data"],
    ["made unprivileged", 0, UNPRIVILEGED, { privileged: true }, "unprivileged data"],
    ["a write is always data", INSTRUCTION, 0, { write: true, instruction: true }, "unprivileged data"],
  ];

  test.each(cases)("IHI 0070 §13.1.2: up to v3.3: %s (INSTCFG %i, PRIVCFG %i)", (_what, inst, priv, request, expected) => {
    expect(out(path, { version: 3 }, inst, priv, request)).toBe(expected);
  });

  test.each(cases)("IHI 0070 §13.1.2: from v3.4 on always privileged data: %s (INSTCFG %i, PRIVCFG %i)", (_what, inst, priv, request) => {
    expect(out(path, { version: 4 }, inst, priv, request)).toBe("privileged data");
  });

  test("IHI 0070 §6.3.14, §5.2: without ATTR_PERMS_OVR nothing is overridden", () => {
    expect(out(path, { version: 3, attrPermsOvr: false }, INSTRUCTION, PRIVILEGED, {})).toBe("unprivileged data");
  });
});
