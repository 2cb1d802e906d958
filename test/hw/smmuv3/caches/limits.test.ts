// SPDX-License-Identifier: MIT
/** Caches that are full: what makes room, and that it changes no answer (choice config-cache-replacement; IHI 0070 §3.17, §3.21). */
import { describe, expect, test } from "vitest";
import type { CacheSizes } from "../../../../src/hw/smmuv3/config/config.ts";
import { bypassSte, stage1Cd, stage1Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { CdTable } from "../../../../src/hw/smmuv3/tables/stream-tables.ts";
import { Bench, type Request } from "../translation/bench.ts";

const VA = 0x7000;
const PA = 0x5000_0000;
const sizes = (more: Partial<CacheSizes>): CacheSizes => ({ ste: 8, cd: 8, tlb: 0, walk: 0, replacement: "round-robin", ...more });

/** What the SMMU reads for an access, by kind, without descriptors of page tables. */
function reads(bench: Bench, request: Request): string {
  bench.loads.length = 0;
  bench.go(VA, request);
  return bench.loads
    .map(({ kind }) => kind)
    .filter((kind) => !kind.startsWith("tt"))
    .join(" ");
}

describe("configuration caches of two entries: the one cached longest ago goes", () => {
  test("STEs and the level-1 descriptors that lead to them", () => {
    const bench = new Bench({ caches: sizes({ ste: 2 }) }, { log2Size: 12, split: 6 });
    for (const sid of [0, 64, 128]) bench.streams.write(sid, bypassSte());
    for (const sid of [0, 64, 128]) expect(reads(bench, { sid })).toBe("l1std ste");
    expect(reads(bench, { sid: 64 })).toBe("");
    expect(reads(bench, { sid: 128 })).toBe("");
    expect(reads(bench, { sid: 0 })).toBe("l1std ste");
    expect(reads(bench, { sid: 128 })).toBe("");
    expect(reads(bench, { sid: 64 })).toBe("l1std ste");
  });
  function substreams(caches: Partial<CacheSizes>): Bench {
    const bench = new Bench({ caches: sizes(caches) });
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000);
    const cds = new CdTable({ memory: bench.bus.memory, arena: bench.arena, cdMax: 8, format: 1 });
    for (const ssid of [0, 64, 128]) cds.write(ssid, stage1Cd({ ttb0: table }));
    for (const sid of [0, 1, 2]) bench.streams.write(sid, stage1Ste(cds.base, cds.fields));
    return bench;
  }
  test("CDs and the level-1 descriptors that lead to them", () => {
    const bench = substreams({ cd: 2 });
    expect(reads(bench, { ssid: 0 })).toBe("ste l1cd cd");
    for (const ssid of [64, 128, 0]) expect(reads(bench, { ssid })).toBe("l1cd cd");
    expect(reads(bench, { ssid: 128 })).toBe("");
    expect(reads(bench, { ssid: 64 })).toBe("l1cd cd");
  });
  test("an STE takes its CDs and their descriptors along", () => {
    const bench = substreams({ ste: 2 });
    for (const sid of [0, 1, 2]) for (const ssid of [0, 64]) reads(bench, { sid, ssid });
    expect(bench.translator.configCache.counts).toEqual({ stes: 2, cds: 4, level1: 4 });
    expect(reads(bench, { sid: 0, ssid: 64 })).toBe("ste l1cd cd");
    expect(reads(bench, { sid: 2, ssid: 64 })).toBe("");
  });
});

describe("address spaces that come and go", () => {
  /** Stream 0 with another ASID. */
  function use(bench: Bench, cd: number, asid: number, table: ReturnType<Bench["pageTable"]>): void {
    bench.write(cd, stage1Cd({ ttb0: table }, { ASID: asid }));
    bench.translator.configCache.invalidateCd(0, 0, true);
  }
  // More than the front tier tells apart (16384), and far more than a small TLB has entries for.
  for (const [tlb, walk, spaces] of [
    [4, 0, 3001],
    [4, 4, 3001],
    [1024, 0, 17_001],
  ] as const) {
    test(`${spaces} ASIDs, a TLB of ${tlb} and a walk cache of ${walk} entries: each has its own translation`, () => {
      const bench = new Bench({ caches: sizes({ tlb, walk }) });
      const tables = [0, 1].map((i) => {
        const table = bench.pageTable(1);
        table.map(VA, PA + i * 0x1000, 0x1000);
        return table;
      });
      const { cd } = bench.stage1(0, tables[0]!);
      for (let asid = 1; asid <= spaces; asid++) {
        use(bench, cd, asid, tables[asid % 2]!);
        expect(bench.result(VA)).toBe(PA + (asid % 2) * 0x1000);
      }
      bench.loads.length = 0;
      expect(bench.result(VA)).toBe(PA + 0x1000);
      expect(bench.loads).toEqual([]);
    });
  }
  test("address spaces without a translation do not push out those with one", () => {
    const bench = new Bench({ caches: sizes({ tlb: 4 }) });
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000);
    const { cd } = bench.stage1(0, table);
    use(bench, cd, 1, table);
    bench.go(VA);
    const empty = bench.pageTable(1);
    for (let asid = 2; asid < 500; asid++) {
      use(bench, cd, asid, empty);
      expect(bench.result(VA)).toBe("F_TRANSLATION");
    }
    use(bench, cd, 1, empty);
    expect(bench.result(VA)).toBe(PA);
  });
});

test("hundreds of streams that differ in ASID, hints and privileges: each keeps its address and its attributes", () => {
  const bench = new Bench({ caches: { ste: 1024, cd: 1024, tlb: 1024, walk: 0, replacement: "round-robin" } }, { log2Size: 10 });
  const table = bench.pageTable(1);
  table.map(VA, PA, 0x1000);
  const answers: string[] = [];
  const answer = (sid: number): string => {
    const { physical, tx } = bench.go(VA, { sid });
    return `${physical} ${tx.attributes} ${tx.outputInstruction}`;
  };
  for (let sid = 0; sid < 600; sid++) {
    const hints = 8 + (sid % 8);
    bench.stage1(sid, table, { ASID: sid }, { S2VMID: 1, ALLOCCFG: hints, INSTCFG: sid % 2 === 0 ? 2 : 0 });
    answers.push(answer(sid));
  }
  for (const round of [1, 2]) {
    for (let sid = 0; sid < 600; sid++) expect(`${round}: ${answer(sid)}`).toBe(`${round}: ${answers[sid]}`);
  }
  expect(new Set(answers).size).toBeGreaterThan(5);
});
