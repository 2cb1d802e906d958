// SPDX-License-Identifier: MIT
/** From StreamID to STE: linear and two-level tables, ranges, fetch aborts (IHI 0070 §3.3.2, §5.1, §6.3.25). */
import { describe, expect, test } from "vitest";
import { Outcome } from "../../../../src/hw/smmuv3/transaction.ts";
import { l1std, bypassSte } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { StreamTables } from "../../../../src/hw/smmuv3/tables/stream-tables.ts";
import { Bench } from "../translation/bench.ts";

/** STRTAB_BASE_CFG said a second time, from §6.3.24, §6.3.25 and §3.3.2: the first access for a StreamID, or none. */
function firstAccess(sid: number, fmt: number, split: number, log2Size: number, sidSize: number, twoLevel: boolean): string {
  if (sid >= 2 ** Math.min(log2Size, sidSize)) return "C_BAD_STREAMID";
  const aligned = (bytes: number): number => BASE - (BASE % bytes);
  if (!twoLevel || fmt !== 1) return `ste ${aligned(64 * 2 ** log2Size) + 64 * sid}`;
  const bits = split === 8 || split === 10 ? split : 6;
  return `l1std ${aligned(Math.max(64, 8 * 2 ** (log2Size - bits))) + 8 * Math.floor(sid / 2 ** bits)}`;
}

/** All bits of STRTAB_BASE.ADDR that 52-bit addresses have. */
const BASE = 2 ** 52 - 64;
const SIZES = [0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 20, 24, 31, 32, 33, 40, 63];
const SPLITS = Array.from({ length: 32 }, (_, split) => split);

describe("STRTAB_BASE_CFG in every FMT and SPLIT: which descriptor or STE is fetched first, and which StreamIDs have none", () => {
  for (const [sidSize, twoLevelStreamTable] of [
    [0, false],
    [6, false],
    [6, true],
    [7, true],
    [16, true],
    [32, true],
  ] as const) {
    for (const fmt of [0, 1, 2, 3]) {
      test(`SIDSIZE ${sidSize}, ${twoLevelStreamTable ? "" : "no "}2-level tables, FMT ${fmt}`, () => {
        const bench = new Bench({ sidSize, twoLevelStreamTable, caches: { ste: 0, cd: 0, tlb: 0, walk: 0, replacement: "round-robin" } });
        bench.strtabBase = BASE;
        const wrong: string[] = [];
        for (const split of SPLITS) {
          for (const log2Size of SIZES) {
            bench.strtabBaseCfg = log2Size | (split << 6) | (fmt << 16);
            const end = 2 ** Math.min(log2Size, sidSize);
            for (const sid of new Set([0, 1, 63, 64, 2 ** 10, 2 ** 10 - 1, end - 1, end, 2 ** 32 - 1])) {
              if (sid >= 2 ** 32) continue;
              bench.loads.length = 0;
              const { event } = bench.go(0, { sid });
              const [first] = bench.loads;
              const got = first === undefined ? event?.name : `${first.kind} ${first.address}`;
              const expected = firstAccess(sid, fmt, split, log2Size, sidSize, twoLevelStreamTable);
              if (got !== expected) wrong.push(`SPLIT ${split}, LOG2SIZE ${log2Size}, StreamID ${sid}: ${got}, not ${expected}`);
            }
          }
        }
        expect(wrong).toEqual([]);
      });
    }
  }
});

describe("faults of the STE's fetch", () => {
  test("an external abort on the STE is F_STE_FETCH with its address", () => {
    const bench = new Bench();
    const at = bench.streams.write(5, bypassSte());
    bench.abortAt(at);
    const { outcome, event } = bench.go(0x1000, { sid: 5 });
    expect(outcome).toBe(Outcome.abort);
    expect(event?.name).toBe("F_STE_FETCH");
    expect(event?.fields).toMatchObject({ StreamID: 5, FetchAddr: at, GPCF: 0 });
  });

  test("choice strtab-beyond-oas: a base beyond the output address size is F_STE_FETCH", () => {
    const bench = new Bench({ oas: 40, vax: 48 });
    bench.strtabBase = 2 ** 41;
    const { event } = bench.go(0, { sid: 1 });
    expect(event?.name).toBe("F_STE_FETCH");
    expect(event?.fields["FetchAddr"]).toBe(64);
  });

  test("choice poisoned-fetch: poison counts as an external abort", () => {
    const bench = new Bench();
    const at = bench.streams.write(5, bypassSte());
    bench.bus.inject({ base: at, size: 64, status: 2, on: "read" });
    expect(bench.result(0, { sid: 5 })).toBe("F_STE_FETCH");
  });
});

describe("level-1 descriptors: every Span at every split (§5.1)", () => {
  for (const split of [6, 8, 10] as const) {
    for (const span of SPLITS) {
      const count = span >= 1 && span <= split + 1 ? 2 ** (span - 1) : 0;
      test(`SPLIT ${split}, Span ${span}: ${count} STEs`, () => {
        const bench = new Bench({}, { log2Size: 12, split });
        const base = 2 ** split;
        const array = bench.streams.setArray(base, span);
        // Bits below the array's size count as zero, and so do those beside [55:6] and [4:0].
        const [lo, hi] = l1std(array + 64 * Math.max(0, count - 1), span);
        bench.write(bench.streams.level1Address(base), [(lo! | 0x20) >>> 0, (hi! | 0xff00_0000) >>> 0]);
        for (const index of [0, count - 1]) {
          if (index >= count || index < 0) continue;
          bench.write(array + 64 * index, bypassSte());
          expect(bench.result(0x1234, { sid: base + index })).toBe(0x1234);
        }
        for (const index of [count, base - 1]) {
          if (index >= count && index < base) expect(bench.result(0x1234, { sid: base + index })).toBe("C_BAD_STREAMID");
        }
        // The descriptor of its neighbours is another one.
        expect(bench.result(0x1234, { sid: base - 1 })).toBe("C_BAD_STREAMID");
      });
    }
  }

  test("StreamIDs of 32 bits", () => {
    const bench = new Bench({}, { log2Size: 12, split: 10 });
    const table = new StreamTables({ memory: bench.bus.memory, arena: bench.arena, log2Size: 32, split: 10 });
    bench.use(table);
    table.write(0xffff_fffe, bypassSte());
    const { event } = bench.go(0x77, { sid: 0xffff_ffff });
    expect(bench.result(0x77, { sid: 0xffff_fffe })).toBe(0x77);
    expect(event?.name).toBe("C_BAD_STE");
    expect(event?.fields["StreamID"]).toBe(0xffff_ffff);
  });

  test("an external abort on the level-1 descriptor is F_STE_FETCH with its address", () => {
    const bench = new Bench({}, { log2Size: 12, split: 8 });
    bench.streams.write(0x200, bypassSte());
    const at = bench.streams.level1Address(0x200);
    bench.abortAt(at);
    const { event } = bench.go(0, { sid: 0x200 });
    expect(event?.name).toBe("F_STE_FETCH");
    expect(event?.fields["FetchAddr"]).toBe(at);
  });

  test("an L2Ptr beyond the output address size is F_STE_FETCH", () => {
    const bench = new Bench({ oas: 40, vax: 48 }, { log2Size: 12, split: 8 });
    bench.write(bench.streams.level1Address(0), l1std(2 ** 40, 9));
    expect(bench.result(0, { sid: 3 })).toBe("F_STE_FETCH");
  });
});

describe("CR2.RECINVSID", () => {
  test("0: C_BAD_STREAMID aborts and is not recorded", () => {
    const bench = new Bench();
    bench.cr2 = 0;
    const { outcome, event, tx } = bench.go(0, { sid: 0x100 });
    expect(outcome).toBe(Outcome.abort);
    expect(event).toBeUndefined();
    expect(tx.event).toBe(2);
    expect(tx.recorded).toBe(false);
  });
  test("0: other configuration errors are recorded", () => {
    const bench = new Bench();
    bench.cr2 = 0;
    expect(bench.result(0, { sid: 1 })).toBe("C_BAD_STE");
  });
});
