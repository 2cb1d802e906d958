// SPDX-License-Identifier: MIT
/** The configuration cache keeps structures, invalid ones too, until the matching CMD_CFGI drops them (IHI 0070 §3.21, §4.3). */
import { describe, expect, test } from "vitest";
import type { ConfigInvalidation } from "../../../../src/hw/smmuv3/ports.ts";
import { abortSte, bypassSte, buildSte, l1cd, stage1Cd, stage1Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { CdTable } from "../../../../src/hw/smmuv3/tables/stream-tables.ts";
import { Bench } from "./bench.ts";

const VA = 0x7000;
const SID = 0x105;

type Cfgi = readonly [string, (cache: ConfigInvalidation) => void];
const ALL: Cfgi = ["CFGI_ALL", (cache) => cache.invalidateAll()];
const STE = (sid: number, leaf: boolean): Cfgi => [
  `CFGI_STE ${sid.toString(16)} Leaf ${Number(leaf)}`,
  (cache) => cache.invalidateSte(sid, leaf),
];
const RANGE = (sid: number, range: number): Cfgi => [
  `CFGI_STE_RANGE ${sid.toString(16)} Range ${range}`,
  (cache) => cache.invalidateSteRange(sid, range),
];
const CD = (sid: number, ssid: number, leaf: boolean): Cfgi => [
  `CFGI_CD ${sid.toString(16)} ${ssid} Leaf ${Number(leaf)}`,
  (cache) => cache.invalidateCd(sid, ssid, leaf),
];
const CD_ALL = (sid: number): Cfgi => [`CFGI_CD_ALL ${sid.toString(16)}`, (cache) => cache.invalidateCdAll(sid)];

function check(
  what: string,
  make: () => { bench: Bench; before: unknown; after: unknown; change(): void; result(): unknown },
  drops: readonly Cfgi[],
  spares: readonly Cfgi[],
): void {
  describe(what, () => {
    for (const [command, cfgi] of drops) {
      test(`stale until ${command}`, () => {
        const { bench, before, after, change, result } = make();
        expect(result()).toEqual(before);
        change();
        expect(result()).toEqual(before);
        cfgi(bench.translator.configCache);
        expect(result()).toEqual(after);
      });
    }
    for (const [command, cfgi] of spares) {
      test(`still stale after ${command}`, () => {
        const { bench, before, change, result } = make();
        result();
        change();
        cfgi(bench.translator.configCache);
        expect(result()).toEqual(before);
      });
    }
  });
}

function twoLevel(): Bench {
  return new Bench({}, { log2Size: 16, split: 8 });
}

check(
  "an STE",
  () => {
    const bench = twoLevel();
    bench.streams.write(SID, bypassSte());
    return {
      bench,
      before: VA,
      after: "abort",
      change: () => bench.streams.write(SID, abortSte()),
      result: () => bench.result(VA, { sid: SID }),
    };
  },
  [ALL, STE(SID, true), STE(SID, false), RANGE(SID, 0), RANGE(0x107, 1), RANGE(0x1ff, 7), RANGE(0xffff_ffff, 31)],
  [STE(SID + 1, false), RANGE(0x106, 0), RANGE(0x101, 1), RANGE(0x200, 7), CD(SID, 0, false), CD_ALL(SID)],
);

check(
  "an invalid STE",
  () => {
    const bench = twoLevel();
    bench.streams.write(SID, buildSte({ V: 0 }));
    return {
      bench,
      before: "C_BAD_STE",
      after: VA,
      change: () => bench.streams.write(SID, bypassSte()),
      result: () => bench.result(VA, { sid: SID }),
    };
  },
  [ALL, STE(SID, true), RANGE(SID, 0)],
  [STE(SID + 1, true), CD_ALL(SID)],
);

check(
  "a level-1 descriptor with Span 0",
  () => {
    const bench = twoLevel();
    const change = (): void => {
      bench.streams.write(SID, bypassSte());
    };
    return { bench, before: "C_BAD_STREAMID", after: VA, change, result: () => bench.result(VA, { sid: SID }) };
  },
  [ALL, STE(SID, false), STE(0x1ff, false), RANGE(SID, 0)],
  [STE(SID, true), STE(0x205, false), RANGE(0x200, 7)],
);

const PA = 0x5000_0000;

/** A stream with 128 CDs in two levels; CD i maps VA to PA + i pages under ASID i. */
function contexts(): { bench: Bench; cds: CdTable; place(index: number, page: number): void } {
  const bench = new Bench({}, { log2Size: 16, split: 8 });
  const cds = new CdTable({ memory: bench.bus.memory, arena: bench.arena, cdMax: 7, format: 1 });
  const place = (index: number, page: number): void => {
    const table = bench.pageTable(1);
    table.map(VA, PA + 0x1000 * page, 0x1000);
    cds.write(index, stage1Cd({ ttb0: table }, { ASID: page }));
  };
  place(5, 5);
  bench.streams.write(SID, stage1Ste(cds.base, { ...cds.fields }));
  return { bench, cds, place };
}

check(
  "a CD",
  () => {
    const { bench, place } = contexts();
    return {
      bench,
      before: PA + 0x5000,
      after: PA + 0x9000,
      change: () => place(5, 9),
      result: () => bench.result(VA, { sid: SID, ssid: 5 }),
    };
  },
  [ALL, STE(SID, true), RANGE(SID, 0), CD(SID, 5, true), CD(SID, 5, false), CD_ALL(SID)],
  [STE(SID + 1, true), CD(SID, 6, false), CD(SID + 1, 5, false), CD_ALL(SID + 1)],
);

check(
  "an invalid CD",
  () => {
    const { bench, place } = contexts();
    return {
      bench,
      before: "C_BAD_CD",
      after: PA + 0x6000,
      change: () => place(6, 6),
      result: () => bench.result(VA, { sid: SID, ssid: 6 }),
    };
  },
  [CD(SID, 6, true), CD_ALL(SID)],
  [CD(SID, 5, true)],
);

check(
  "a level-1 CD descriptor with V 0",
  () => {
    const { bench, place } = contexts();
    return {
      bench,
      before: "C_BAD_SUBSTREAMID",
      after: PA + 0x6000,
      change: () => place(0x46, 6),
      result: () => bench.result(VA, { sid: SID, ssid: 0x46 }),
    };
  },
  [ALL, STE(SID, true), CD(SID, 0x46, false), CD(SID, 0x40, false), CD_ALL(SID)],
  [CD(SID, 0x46, true), CD(SID, 5, false)],
);

test("a CD reached through two StreamIDs is cached for each of them (§3.21.3)", () => {
  const { bench, cds, place } = contexts();
  bench.streams.write(SID + 1, stage1Ste(cds.base, { ...cds.fields }));
  const both = (): unknown[] => [SID, SID + 1].map((sid) => bench.result(VA, { sid, ssid: 5 }));
  both();
  place(5, 9);
  bench.translator.configCache.invalidateCd(SID, 5, true);
  expect(both()).toEqual([PA + 0x9000, PA + 0x5000]);
});

test("cacheInvalidLevel1 false: a level-2 table that appears is seen without maintenance", () => {
  const bench = new Bench({}, { log2Size: 16, split: 8, choices: { cacheInvalidLevel1: false } });
  expect(bench.result(VA, { sid: SID })).toBe("C_BAD_STREAMID");
  const cds = new CdTable({ memory: bench.bus.memory, arena: bench.arena, cdMax: 7, format: 1 });
  bench.streams.write(SID, stage1Ste(cds.base, cds.fields));
  expect(bench.result(VA, { sid: SID, ssid: 3 })).toBe("C_BAD_SUBSTREAMID");
  const table = bench.pageTable(1);
  table.map(VA, PA, 0x1000);
  cds.write(3, stage1Cd({ ttb0: table }));
  expect(bench.result(VA, { sid: SID, ssid: 3 })).toBe(PA);
});

test("a failed fetch is not cached", () => {
  const bench = new Bench();
  const at = bench.streams.write(1, bypassSte());
  const end = bench.abortAt(at);
  expect(bench.result(VA, { sid: 1 })).toBe("F_STE_FETCH");
  end();
  expect(bench.result(VA, { sid: 1 })).toBe(VA);
});

test("a failed CD fetch is not cached", () => {
  const { bench, cds } = contexts();
  const end = bench.abortAt(cds.cdAddress(5));
  expect(bench.result(VA, { sid: SID, ssid: 5 })).toBe("F_CD_FETCH");
  end();
  expect(bench.result(VA, { sid: SID, ssid: 5 })).toBe(PA + 0x5000);
});

test("a moved Stream table is not seen before CFGI_ALL", () => {
  const bench = new Bench();
  bench.streams.write(1, bypassSte());
  bench.go(VA, { sid: 1 });
  bench.strtabBase = bench.arena.take(0x4000);
  expect(bench.result(VA, { sid: 1 })).toBe(VA);
  bench.translator.configCache.invalidateAll();
  expect(bench.result(VA, { sid: 1 })).toBe("C_BAD_STE");
});

test("CR2.E2H is cached with the STE (§6.3.12)", () => {
  const bench = new Bench();
  const table = bench.pageTable(1);
  table.map(VA, PA, 0x1000, { ap: 0, uxn: 1 });
  bench.stage1(1, table, {}, { STRW: 2 });
  expect(bench.result(VA, { sid: 1 })).toBe(PA);
  bench.cr2 |= 1;
  expect(bench.result(VA, { sid: 1 })).toBe(PA);
  bench.translator.configCache.invalidateAll();
  expect(bench.result(VA, { sid: 1 })).toBe("F_PERMISSION");
});

describe("size and replacement", () => {
  test("0 entries: every transaction fetches STE and CD", () => {
    const bench = new Bench({ caches: { ste: 0, cd: 0, tlb: 4, walk: 0, replacement: "round-robin" } });
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000);
    bench.stage1(1, table);
    bench.go(VA, { sid: 1 });
    bench.loads.length = 0;
    bench.go(VA, { sid: 1 });
    expect(bench.loads.map(({ kind }) => kind)).toEqual(["ste", "cd"]);
  });

  test("choice config-cache-replacement: the STE cached longest ago goes, hits do not count", () => {
    const bench = new Bench({ caches: { ste: 2, cd: 2, tlb: 4, walk: 0, replacement: "round-robin" } });
    for (const sid of [1, 2, 3]) bench.streams.write(sid, bypassSte());
    for (const sid of [1, 2, 1, 3]) bench.go(VA, { sid });
    for (const sid of [1, 2, 3]) bench.streams.write(sid, abortSte());
    expect([2, 3, 1].map((sid) => bench.result(VA, { sid }))).toEqual([VA, VA, "abort"]);
  });

  test("the CD cached longest ago goes", () => {
    const bench = new Bench({ caches: { ste: 8, cd: 1, tlb: 0, walk: 0, replacement: "round-robin" } });
    const cds = new CdTable({ memory: bench.bus.memory, arena: bench.arena, cdMax: 1 });
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000);
    for (const index of [0, 1]) cds.write(index, stage1Cd({ ttb0: table }));
    bench.streams.write(1, stage1Ste(cds.base, cds.fields));
    for (const ssid of [0, 1]) bench.go(VA, { sid: 1, ssid });
    bench.loads.length = 0;
    bench.go(VA, { sid: 1, ssid: 1 });
    expect(bench.loads.filter(({ kind }) => kind === "cd")).toEqual([]);
    bench.go(VA, { sid: 1, ssid: 0 });
    expect(bench.loads.filter(({ kind }) => kind === "cd")).toHaveLength(1);
  });

  test("an L1CD that has changed its leaf is used after CFGI_CD with Leaf 0", () => {
    const { bench, cds } = contexts();
    expect(bench.result(VA, { sid: SID, ssid: 5 })).toBe(PA + 0x5000);
    const leaf = bench.arena.take(4096);
    const table = bench.pageTable(1);
    table.map(VA, PA + 0x8000, 0x1000);
    bench.write(leaf + 5 * 64, stage1Cd({ ttb0: table }, { ASID: 8 }));
    bench.write(cds.level1Address(5), l1cd(leaf));
    bench.translator.configCache.invalidateCd(SID, 5, true);
    expect(bench.result(VA, { sid: SID, ssid: 5 })).toBe(PA + 0x5000);
    bench.translator.configCache.invalidateCd(SID, 5, false);
    expect(bench.result(VA, { sid: SID, ssid: 5 })).toBe(PA + 0x8000);
  });
});
