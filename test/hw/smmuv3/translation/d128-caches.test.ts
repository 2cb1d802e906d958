// SPDX-License-Identifier: MIT
/** VMSAv9-128 translations in the TLB and the walk cache: level hints, mixed formats, snapshots, stale uses (§3.17, §4.4.1.1). */
import { describe, expect, test } from "vitest";
import type { StaleUse } from "../../../../src/hw/smmuv3/ports.ts";
import { WalkCache } from "../../../../src/hw/smmuv3/caches/walk-cache.ts";
import { Tlb } from "../../../../src/hw/smmuv3/caches/tlb.ts";
import type { DescriptorWords128 } from "../../../../src/hw/smmuv3/tables/page-table128.ts";
import { nestedSte, stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { at, Bench } from "./bench.ts";
import { install128, nest128, PA, RW, table128 } from "./d128.ts";

const VA = 0x7000;
const TG = { 12: 1, 14: 2, 16: 3 } as const;

describe("§4.4.1.1: TTL128 tells of which descriptors TTL is a level", () => {
  /** Leaves of both formats at one address, under ASIDs 1 (64-bit) and 2 (128-bit), or VMIDs for stage 2. */
  for (const stage of [1, 2] as const) {
    for (const [granule, level] of [
      [12, 3],
      [12, 2],
      [12, 1],
      [14, 3],
      [14, 2],
      [14, 1],
      [16, 3],
      [16, 2],
      [16, 1],
    ] as const) {
      for (const ttl of [0, 1, 2, 3]) {
        for (const ttl128 of ttl === 0 ? [undefined] : [false, true]) {
          test(`stage ${stage}, ${2 ** (granule - 10)} KiB, level ${level}: TTL ${ttl}, TTL128 ${ttl128 ?? 0}`, () => {
            for (const d128 of [false, true]) {
              const bench = new Bench();
              const table = d128
                ? table128(bench, stage, granule, { inputBits: 48 })
                : bench.pageTable(stage, granule, granule === 16 ? { inputBits: 48 } : { inputBits: 52, ds: true });
              const size = 2 ** 42;
              table.map(size, 0, table.leafSize(level), {}, level);
              if (d128) install128(bench, table as ReturnType<typeof table128>);
              else if (stage === 1) bench.stage1(0, table as ReturnType<Bench["pageTable"]>);
              else bench.streams.write(0, stage2Ste(table));
              expect(bench.result(size)).toBe(0);
              expect(bench.translator.tlb.entriesInUse).toBe(1);
              const address = at(size, { tg: TG[granule], ttl, num: 1, ...(ttl128 === undefined ? {} : { ttl128 }) });
              if (stage === 1) bench.translator.tlbMaintenance.nhVa(0, 0, address);
              else bench.translator.tlbMaintenance.s2Ipa(0, address);
              const gone = ttl === 0 || (ttl === level && ttl128 === d128);
              expect(bench.translator.tlb.entriesInUse).toBe(gone ? 0 : 1);
            }
          });
        }
      }
    }
  }
});

describe("TLBI by address", () => {
  test("a block goes as a whole, from any address in it", () => {
    for (const [granule, level, bits] of [
      [12, 0, 36],
      [12, 1, 28],
      [14, 1, 34],
      [16, 1, 40],
    ] as const) {
      const bench = new Bench();
      const table = table128(bench, 1, granule, { inputBits: 48 });
      table.map(0, 0, 2 ** bits, {}, level);
      install128(bench, table);
      expect(bench.result(5)).toBe(5);
      bench.translator.tlbMaintenance.nhVa(0, 0, at(2 ** bits));
      expect(bench.translator.tlb.entriesInUse).toBe(1);
      bench.translator.tlbMaintenance.nhVa(0, 0, at(2 ** bits - 0x1000));
      expect(bench.translator.tlb.entriesInUse).toBe(0);
    }
  });
  test("a block that stage 2 has cut to pieces goes as a whole (DDI 0487 D8.17)", () => {
    const bench = new Bench();
    const s1 = table128(bench, 1, 12, { inputBits: 36 });
    s1.map(0, 0x4000_0000, 2 ** 28, {}, 1);
    const s2 = table128(bench, 2, 12, { inputBits: 36 });
    s2.map(0x4000_0000, 0x4000_0000, 0x10_0000);
    nest128(bench, s1, s2);
    expect(bench.result(0x1000)).toBe(0x4000_1000);
    bench.translator.tlbMaintenance.nhVa(0, 0, at(2 ** 28 - 0x1000));
    bench.loads.length = 0;
    bench.result(0x1000);
    expect(bench.loads.some(({ kind }) => kind === "tt-s1")).toBe(true);
    // Beyond the 256 MiB of the block, and within the 1 GiB that a 64-bit one of this level would have.
    bench.translator.tlbMaintenance.nhVa(0, 0, at(2 ** 28));
    bench.loads.length = 0;
    expect(bench.result(0x1000)).toBe(0x4000_1000);
    expect(bench.loads).toEqual([]);
  });
  test("table descriptors of level -2 are found among many entries, too", () => {
    const bench = new Bench();
    const table = table128(bench, 1, 12, { inputBits: 55 });
    for (let i = 0; i < 40; i++) {
      table.map(i * 2 ** 20, PA, 0x1000);
      if (i === 0) install128(bench, table);
      expect(bench.result(i * 2 ** 20)).toBe(PA);
    }
    expect(bench.translator.walks.entriesInUse).toBe(44);
    // An address that nothing but the descriptors of levels -2 and -1 cover.
    bench.translator.tlbMaintenance.nhVa(0, 0, at(2 ** 43, { leaf: false }));
    expect(bench.translator.walks.entriesInUse).toBe(42);
  });
  test("table descriptors of levels -2 and -1 go with Leaf 0, from any address that they cover", () => {
    for (const [granule, bits, tables] of [
      [12, 55, 5],
      [14, 55, 4],
      [16, 55, 3],
    ] as const) {
      const bench = new Bench();
      const table = table128(bench, 1, granule, { inputBits: bits });
      table.map(0, PA, 2 ** granule);
      install128(bench, table);
      expect(bench.result(0)).toBe(PA);
      expect(bench.translator.walks.entriesInUse).toBe(tables);
      const shift = granule + tables * (granule - 4);
      const far = 2 ** shift - 2 ** 40;
      bench.translator.tlbMaintenance.nhVa(0, 0, at(far, { leaf: true }));
      expect(bench.translator.walks.entriesInUse).toBe(tables);
      bench.translator.tlbMaintenance.nhVa(0, 0, at(far, { leaf: false }));
      expect(bench.translator.walks.entriesInUse).toBe(tables - 1);
      bench.translator.tlbMaintenance.nhVa(0, 0, at(0, { leaf: false }));
      expect(bench.translator.walks.entriesInUse).toBe(0);
    }
  });
});

test("tables of both formats under one VMID and ASID are told apart by what their entries cover", () => {
  for (const granule of [12, 14, 16] as const) {
    const bench = new Bench();
    const old = bench.pageTable(1, granule, { inputBits: 48 });
    const now = table128(bench, 1, granule, { inputBits: 48 });
    old.map(0, PA, 2 ** granule);
    now.map(2 ** granule, PA + 2 ** granule, 2 ** granule);
    bench.stage1(1, old);
    install128(bench, now);
    expect(bench.result(0, { sid: 1 })).toBe(PA);
    expect(bench.result(2 ** granule)).toBe(PA + 2 ** granule);
    expect(bench.result(2 ** (granule + 1), { sid: 1 })).toBe("F_TRANSLATION");
    expect(bench.result(2 ** (granule + 1))).toBe("F_TRANSLATION");
  }
});

test("an entry knows its own format, whatever was walked before", () => {
  for (const stage of [1, 2] as const) {
    for (const order of [
      [false, true],
      [true, false],
    ]) {
      const bench = new Bench();
      bench.s2pii[0] = RW;
      for (const [sid, d128] of order.entries()) {
        const table = d128 ? table128(bench, stage, 12, { inputBits: 40 }) : bench.pageTable(stage, 12, { inputBits: 40 });
        table.map(VA, PA, 0x1000);
        if (stage === 2) bench.streams.write(sid, stage2Ste(table, { S2VMID: sid }));
        else bench.streams.write(sid, stage1Ste(bench.placeCd(stage1Cd({ ttb0: table }, { ASID: sid })), { S1PIE: 1 }));
        expect(bench.result(VA, { sid })).toBe(PA);
      }
      for (const sid of [0, 1]) {
        const hint = (ttl128: boolean): void => {
          const address = at(VA, { tg: 1, ttl: 3, ttl128 });
          if (stage === 1) bench.translator.tlbMaintenance.nhVa(0, sid, address);
          else bench.translator.tlbMaintenance.s2Ipa(sid, address);
        };
        const before = bench.translator.tlb.entriesInUse;
        hint(!order[sid]!);
        expect(bench.translator.tlb.entriesInUse).toBe(before);
        hint(order[sid]!);
        expect(bench.translator.tlb.entriesInUse).toBe(before - 1);
      }
    }
  }
});

describe("stages of different formats", () => {
  for (const first of [false, true]) {
    for (const second of [false, true]) {
      test(`stage 1 of ${first ? 128 : 64} bits over stage 2 of ${second ? 128 : 64}`, () => {
        const bench = new Bench();
        bench.s2pii[0] = RW;
        const s1 = first ? table128(bench, 1, 12, { inputBits: 40 }) : bench.pageTable(1, 12, { inputBits: 39 });
        const s2 = second ? table128(bench, 2, 12, { inputBits: 40 }) : bench.pageTable(2, 12, { inputBits: 40 });
        s1.map(VA, 0x4800_0000, 0x1000);
        s2.map(0x4000_0000, 0x4000_0000, 0x10_0000);
        s2.map(0x4800_0000, PA, 0x1000);
        bench.streams.write(0, nestedSte(bench.placeCd(stage1Cd({ ttb0: s1 })), s2, { S1PIE: 1 }));
        for (let round = 0; round < 3; round++) {
          expect(bench.result(VA, { write: true })).toBe(PA);
          if (round === 1) bench.translator.tlb.reset();
        }
        expect(bench.result(VA + 0x1000)).toBe("F_TRANSLATION");
      });
    }
  }
});

test("entries that were saved and restored are the same, skipped levels and format included", () => {
  const bench = new Bench();
  const table = table128(bench, 1, 12, { inputBits: 44 });
  table.map(0, PA, 2 ** 20, {}, 2, { skl: { 0: 1 }, disCH: 1 });
  install128(bench, table);
  bench.result(0);
  const { tlb, walks } = bench.translator;
  const [entry] = [...tlb.entries()];
  expect(entry).toMatchObject({ d128: true, level: 2, size: 20 });
  const [walk] = [...walks.entries()];
  expect(walk).toMatchObject({ size: 36, granule: 12 });
  const otherTlb = new Tlb(4);
  otherTlb.insert(entry!);
  expect([...otherTlb.entries()]).toEqual([entry]);
  const other = new WalkCache(4);
  other.restore(walk!);
  expect([...other.entries()]).toEqual([walk]);
});

/** A descriptor with one bit the other way. */
function flipped(words: DescriptorWords128, bit: number): DescriptorWords128 {
  const word = (i: number): number => (i === bit >> 5 ? words[i]! ^ (1 << (bit & 31)) : words[i]!) >>> 0;
  return [word(0), word(1), word(2), word(3)];
}

describe("the stale-use detector", () => {
  const watched = (stage: 1 | 2, leaf = {}, fields = {}, bigEndian = false) => {
    const bench = new Bench({}, { detector: true });
    const uses: StaleUse[] = [];
    bench.trace.on("smmu.stale-use", ({ data }) => uses.push(data));
    const table = table128(bench, stage, 12, { inputBits: 36, bigEndian });
    table.map(VA, PA, 0x1000, leaf);
    install128(bench, table, fields);
    expect(bench.result(VA)).toBe(PA);
    return { bench, uses, table };
  };
  /** Bits of a page by meaning: some change is seen, or none is. */
  const SEEN: Readonly<Record<1 | 2, readonly number[]>> = {
    1: [0, 2, 3, 4, 7, 8, 9, 10, 11, 12, 55, 109, 110, 111, 115, 116, 117, 118],
    2: [0, 2, 3, 4, 5, 7, 8, 9, 10, 12, 55, 109, 110, 111, 115, 116, 117, 118],
  };
  const UNSEEN: Readonly<Record<1 | 2, readonly number[]>> = { 1: [1, 5, 91, 100, 112, 113, 127], 2: [1, 11, 91, 100, 121, 124, 127] };
  for (const stage of [1, 2] as const) {
    for (const [bits, seen] of [
      [SEEN[stage], true],
      [UNSEEN[stage], false],
    ] as const) {
      for (const bit of bits) {
        test(`stage ${stage}: bit ${bit} of a page changed is ${seen ? "reported" : "nothing"}`, () => {
          for (const bigEndian of [false, true]) {
            const { bench, uses, table } = watched(stage, {}, {}, bigEndian);
            const place = table.entryAddress(VA, 3);
            table.write(place, flipped(table.read(place), bit));
            bench.result(VA);
            expect(uses.map(({ structure }) => structure)).toEqual(seen ? [place] : []);
          }
        });
      }
    }
    test(`stage ${stage}: SKL of a table descriptor is seen, with both contents in 32 digits`, () => {
      const { bench, uses, table } = watched(stage);
      const place = table.entryAddress(VA, 2);
      const [lo, hi, lo2, hi2] = table.read(place);
      table.write(place, [lo, hi, lo2, hi2 | (1 << 13)]);
      bench.result(VA);
      const upper = (word: number): string => word.toString(16).padStart(8, "0");
      expect(uses[0]).toMatchObject({
        structure: place,
        cached: `0x${[hi2, lo2, hi, lo].map(upper).join("")}`,
        inMemory: `0x${[hi2 | (1 << 13), lo2, hi, lo].map(upper).join("")}`,
      });
    });
  }
  test("nested: what an entry of stage 2 came from is told apart from what stage 1 read", () => {
    const bench = new Bench({}, { detector: true });
    const uses: StaleUse[] = [];
    bench.trace.on("smmu.stale-use", ({ data }) => uses.push(data));
    const s1 = table128(bench, 1, 12, { inputBits: 36 });
    const s2 = table128(bench, 2, 12, { inputBits: 40 });
    s1.map(VA, 0x4800_0000, 0x1000, { piIndex: 0 });
    s1.map(VA + 0x1000, 0x4800_0000, 0x1000, { piIndex: 0 });
    s2.map(0x4000_0000, 0x4000_0000, 0x10_0000, { piIndex: 3 });
    s2.map(0x4800_0000, PA, 0x1000, { piIndex: 9 });
    nest128(bench, s1, s2);
    bench.s2pii = Array.from({ length: 16 }, () => RW);
    for (const address of [VA, VA + 0x1000, VA]) expect(bench.result(address)).toBe(PA);
    expect(uses).toEqual([]);
    const place = s2.entryAddress(0x4800_0000, 3);
    s2.write(place, flipped(s2.read(place), 118));
    bench.result(VA);
    expect(uses.map(({ structure }) => structure)).toEqual([place]);
  });
  test("bit 5 counts with CD.AIE, bits [124:121] with STE.S2POE", () => {
    for (const [stage, fields, bit] of [
      [1, { AIE: 1 }, 5],
      [2, { S2POE: 1, S2POI: 12 }, 121],
      [2, { S2POE: 1, S2POI: 12 }, 124],
    ] as const) {
      const { bench, uses, table } = watched(stage, {}, fields);
      const place = table.entryAddress(VA, 3);
      table.write(place, flipped(table.read(place), bit));
      bench.result(VA);
      expect(uses.length).toBe(1);
    }
  });
  test("a walk that begins at a cached table names it, too", () => {
    const { bench, uses, table } = watched(1);
    const place = table.entryAddress(VA, 1);
    table.map(VA + 0x1000, PA + 0x1000, 0x1000);
    const [lo, hi, lo2, hi2] = table.read(place);
    table.write(place, [lo, hi, lo2, hi2 | 0x1_0000]);
    expect(bench.result(VA + 0x1000)).toBe(PA + 0x1000);
    expect(uses[0]).toMatchObject({ what: "tlb", structure: place });
  });
  test("a CD's DisCH0 and SKL0 count, PnCH and DS do not", () => {
    for (const [change, seen] of [
      [{ DisCH0: 1 }, 1],
      [{ SKL0: 1 }, 1],
      [{ "TTB0[55:52]": 1 }, 1],
      [{ DS: 1, PnCH: 1, PIE: 1, DisCH1: 1, SKL1: 2 }, 0],
    ] as const) {
      const bench = new Bench({}, { detector: true });
      const uses: StaleUse[] = [];
      bench.trace.on("smmu.stale-use", ({ data }) => uses.push(data));
      const ttb0 = table128(bench, 1, 12, { inputBits: 36 });
      ttb0.map(VA, PA, 0x1000);
      const cd = bench.placeCd(stage1Cd({ ttb0 }));
      bench.streams.write(0, stage1Ste(cd, { S1PIE: 1 }));
      bench.result(VA);
      bench.write(cd, stage1Cd({ ttb0 }, change));
      bench.result(VA);
      expect(uses.length).toBe(seen);
    }
  });
});
