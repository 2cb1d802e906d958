// SPDX-License-Identifier: MIT
/** Stage 2 alone: granules, leaves, concatenated tables, faults (IHI 0070 §3.4, §5.2; DDI 0487 D8.2). */
import { describe, expect, test } from "vitest";
import { Outcome } from "../../../../src/hw/smmuv3/transaction.ts";
import type { GranuleBits } from "../../../../src/hw/smmuv3/translation/address-size.ts";
import { nestedSte, stage1Cd, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench } from "./bench.ts";

const PA = 0x5000_0000;

describe("granule and leaf", () => {
  for (const [granule, level, inputBits] of [
    [12, 3, 40],
    [12, 2, 40],
    [12, 1, 40],
    [14, 3, 40],
    [14, 2, 40],
    [16, 3, 42],
    [16, 2, 42],
    [16, 1, 52],
  ] as const) {
    for (const where of ["first", "last"] as const) {
      test(`${2 ** granule / 1024} KiB granule, level ${level}: the ${where} byte of a leaf`, () => {
        const bench = new Bench();
        const table = bench.pageTable(2, granule, { inputBits });
        const size = table.leafSize(level);
        table.map(size, 2 * size, size, {}, level);
        bench.streams.write(0, stage2Ste(table));
        const offset = where === "first" ? 0 : size - 1;
        expect(bench.result(size + offset)).toBe(2 * size + offset);
        expect(bench.result(2 * size)).toBe("F_TRANSLATION");
      });
    }
  }
});

describe("concatenated first tables", () => {
  for (const [granule, startLevel, inputBits] of [
    [12, 1, 40],
    [12, 1, 43],
    [12, 2, 34],
    [14, 2, 40],
    [14, 3, 29],
    [16, 2, 46],
    [16, 3, 33],
  ] as const satisfies readonly (readonly [GranuleBits, number, number])[]) {
    test(`${2 ** granule / 1024} KiB granule, ${inputBits} bits from level ${startLevel}: the last page of the last table`, () => {
      const bench = new Bench();
      const page = 2 ** granule;
      const table = bench.pageTable(2, granule, { inputBits, startLevel });
      table.map(2 ** inputBits - page, PA, page);
      table.map(0, PA + page, page);
      bench.streams.write(0, stage2Ste(table));
      expect(bench.result(2 ** inputBits - 1)).toBe(PA + page - 1);
      expect(bench.result(0)).toBe(PA + page);
    });
  }

  test("16 KiB granule, 48 bits: S2SL0 has no level 0, so that the table starts at level 1 by itself and leads to a legal STE", () => {
    const bench = new Bench();
    const table = bench.pageTable(2, 14, { inputBits: 48 });
    table.map(2 ** 48 - 0x4000, PA, 0x4000);
    bench.streams.write(0, stage2Ste(table));
    expect(bench.result(2 ** 48 - 1)).toBe(PA + 0x3fff);
  });
});

describe("faults of a stage-2-only stream", () => {
  function bench(fields: Record<string, number> = {}, leaf: Record<string, number> = {}): Bench {
    const made = new Bench();
    const table = made.pageTable(2, 12, { inputBits: 40 });
    table.map(0x2000, PA, 0x1000, leaf);
    made.streams.write(0, stage2Ste(table, fields));
    return made;
  }
  test("an unmapped IPA is F_TRANSLATION with S2 1, CLASS IN and the IPA's page", () => {
    const { outcome, event } = bench().go(0x3456);
    expect(outcome).toBe(Outcome.abort);
    expect(event?.name).toBe("F_TRANSLATION");
    expect(event?.fields).toMatchObject({ S2: 1, CLASS: 2, IPA: 0x3000 });
  });
  test("an IPA beyond S2T0SZ is F_TRANSLATION", () => {
    const { event } = bench().go(2 ** 40);
    expect(event?.name).toBe("F_TRANSLATION");
    expect(event?.fields).toMatchObject({ S2: 1, CLASS: 2, IPA: 2 ** 40 });
  });
  test("AF 0 is F_ACCESS, S2AFFD takes it as 1", () => {
    expect(bench({}, { af: 0 }).go(0x2000).event).toMatchObject({ name: "F_ACCESS", fields: { S2: 1, CLASS: 2, IPA: 0x2000 } });
    expect(bench({ S2AFFD: 1 }, { af: 0 }).result(0x2000)).toBe(PA);
  });
  test("an output beyond S2PS is F_ADDR_SIZE", () => {
    const made = new Bench();
    const table = made.pageTable(2, 12, { inputBits: 40 });
    table.map(0, 2 ** 36, 0x1000);
    made.streams.write(0, stage2Ste(table, { S2PS: 1 }));
    expect(made.go(0).event).toMatchObject({ name: "F_ADDR_SIZE", fields: { S2: 1, CLASS: 2 } });
  });
  test("an external abort on a descriptor is F_WALK_EABT with S2 1 and its address", () => {
    const made = new Bench();
    const table = made.pageTable(2, 12, { inputBits: 40 });
    table.map(0x2000, PA, 0x1000);
    made.streams.write(0, stage2Ste(table));
    const at = table.entryAddress(0x2000, 2);
    made.abortAt(at, 8);
    expect(made.go(0x2000).event).toMatchObject({ name: "F_WALK_EABT", fields: { S2: 1, CLASS: 2, FetchAddr: at } });
  });
  test("S2R 0: a translation fault aborts without an event", () => {
    const { outcome, event, tx } = bench({ S2R: 0 }).go(0x3000);
    expect(outcome).toBe(Outcome.abort);
    expect(event).toBeUndefined();
    expect(tx.event).toBe(0x10);
  });
  test("S2R 0: an external abort is recorded nevertheless", () => {
    const made = new Bench();
    const table = made.pageTable(2, 12, { inputBits: 40 });
    table.map(0x2000, PA, 0x1000);
    made.streams.write(0, stage2Ste(table, { S2R: 0 }));
    made.abortAt(table.entryAddress(0x2000, 3), 8);
    expect(made.result(0x2000)).toBe("F_WALK_EABT");
  });
  test("big-endian tables (S2ENDI)", () => {
    const made = new Bench();
    const table = made.pageTable(2, 12, { inputBits: 40, bigEndian: true });
    table.map(0x2000, PA, 0x1000);
    made.streams.write(0, stage2Ste(table));
    expect(made.result(0x2008)).toBe(PA + 8);
  });
  test("bits [63:59] of table descriptors, hierarchical attributes in stage 1, are ignored", () => {
    const made = new Bench();
    const table = made.pageTable(2, 12, { inputBits: 40 });
    table.map(0x2000, PA, 0x1000);
    const at = table.entryAddress(0x2000, 2);
    const [lo, hi] = table.read(at);
    table.write(at, [lo, (hi | 0xf800_0000) >>> 0]);
    made.streams.write(0, stage2Ste(table));
    expect(made.result(0x2000, { write: true })).toBe(PA);
  });
});

describe("S2PTW: walks and CD fetches that stage 2 maps as Device", () => {
  function bench(fields: Record<string, number>, device: "cd" | "tt" | "data", memAttr: number): Bench {
    const made = new Bench();
    const s1 = made.pageTable(1);
    s1.map(0x7000, PA, 0x1000);
    const cd = made.arena.take(0x1000);
    made.write(cd, stage1Cd({ ttb0: s1 }));
    const s2 = made.pageTable(2, 12, { inputBits: 40 });
    s2.map(0x4000_0000, 0x4000_0000, 0x20_0000);
    s2.map(PA, PA, 0x1000);
    const page = { cd, tt: s1.base, data: PA }[device];
    s2.map(page - (page % 0x1000), page - (page % 0x1000), 0x1000, { memAttr });
    made.streams.write(0, nestedSte(cd, s2, fields));
    return made;
  }
  test("S2PTW 1, CD on Device: stage-2 F_PERMISSION CLASS CD", () => {
    expect(bench({ S2PTW: 1 }, "cd", 1).go(0x7000).event).toMatchObject({ name: "F_PERMISSION", fields: { S2: 1, CLASS: 0 } });
  });
  test("S2PTW 1, stage-1 table on Device: stage-2 F_PERMISSION CLASS TT", () => {
    expect(bench({ S2PTW: 1 }, "tt", 1).go(0x7000).event).toMatchObject({ name: "F_PERMISSION", fields: { S2: 1, CLASS: 1, TTRnW: 1 } });
  });
  test("S2PTW 1 does not touch the data page", () => {
    expect(bench({ S2PTW: 1 }, "data", 1).result(0x7000)).toBe(PA);
  });
  test("S2PTW 1, Normal memory passes", () => {
    expect(bench({ S2PTW: 1 }, "tt", 5).result(0x7000)).toBe(PA);
  });
  test("S2PTW 0 allows Device", () => {
    expect(bench({ S2PTW: 0 }, "tt", 1).result(0x7000)).toBe(PA);
  });
  test("with S2FWB, MemAttr 0b0101 is Normal and 0b0001 Device", () => {
    expect(bench({ S2PTW: 1, S2FWB: 1 }, "tt", 5).result(0x7000)).toBe(PA);
    expect(bench({ S2PTW: 1, S2FWB: 1 }, "tt", 1).result(0x7000)).toBe("F_PERMISSION");
  });
});
