// SPDX-License-Identifier: MIT
/** Access flags of table descriptors and the walk cache (IHI 0070 §3.13.6; DDI 0487 R_CGKWB, R_JFCYB). */
import { expect, test } from "vitest";
import type { PageTable } from "../../../../src/hw/smmuv3/tables/page-table.ts";
import { stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench } from "./bench.ts";

const VA = 0x7000;
const PA = 0x5000_0000;
const AF = 0x400;

/** Sets the Access flags of all tables but the first. */
function usedBelow(bench: Bench, table: PageTable, first: number): void {
  for (let level = first + 1; level < 3; level++) {
    const at = table.entryAddress(VA, level);
    bench.write(at, [(table.read(at)[0] | AF) >>> 0]);
  }
}

const firstFlag = (table: PageTable, first: number): boolean => (table.read(table.entryAddress(VA, first))[0] & AF) !== 0;

test("stage 1: an access that is refused leaves nothing behind by which the next one would pass a table without its Access flag", () => {
  const bench = new Bench();
  const table = bench.pageTable(1);
  table.map(VA, PA, 0x1000, { ap: 3 });
  usedBelow(bench, table, 0);
  bench.stage1(0, table, { HA: 1, HAFT: 1 });
  expect(bench.result(VA, { write: true })).toBe("F_PERMISSION");
  expect(firstFlag(table, 0)).toBe(false);
  expect(bench.result(VA)).toBe(PA);
  expect(firstFlag(table, 0)).toBe(true);
});

test("stage 2: likewise", () => {
  const bench = new Bench();
  const table = bench.pageTable(2, 12, { inputBits: 44 });
  table.map(VA, PA, 0x1000, { ap: 1 });
  usedBelow(bench, table, 0);
  bench.streams.write(0, stage2Ste(table, { S2HA: 1, S2HAFT: 1 }));
  expect(bench.result(VA, { write: true })).toBe("F_PERMISSION");
  expect(firstFlag(table, 0)).toBe(false);
  expect(bench.result(VA)).toBe(PA);
  expect(firstFlag(table, 0)).toBe(true);
});
