// SPDX-License-Identifier: MIT
/** The stale-use detector: what it reports, what it leaves alone, and that it hears of late maintenance. */
import { describe, expect, test } from "vitest";
import type { StaleUse } from "../../../../src/hw/smmuv3/ports.ts";
import { bypassSte, nestedSte, stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { CdTable } from "../../../../src/hw/smmuv3/tables/stream-tables.ts";
import { at, Bench } from "./bench.ts";

const VA = 0x12_3456_7000;
const IPA = 0x4800_0000;
const PA = 0x5000_0000;

interface Watched {
  readonly bench: Bench;
  readonly uses: StaleUse[];
  readonly dropped: number[];
}

function watch(bench: Bench): Watched {
  const uses: StaleUse[] = [];
  const dropped: number[] = [];
  bench.trace.on("smmu.stale-use", ({ data }) => uses.push(data));
  bench.trace.on("smmu.stale-dropped", ({ data }) => dropped.push(data.entry));
  return { bench, uses, dropped };
}

function stage1(
  ste: Record<string, number> = {},
  leaf: Record<string, number> = {},
): Watched & { table: ReturnType<Bench["pageTable"]>; at: { ste: number; cd: number } } {
  const bench = new Bench({}, { detector: true });
  const table = bench.pageTable(1);
  table.map(VA, PA, 0x1000, leaf);
  const places = bench.stage1(0, table, { ASID: 7 }, { S2VMID: 3, ...ste });
  bench.go(VA);
  return { ...watch(bench), table, at: places };
}

test("nothing changed: no report", () => {
  const { bench, uses } = stage1();
  bench.go(VA + 8);
  expect(uses).toEqual([]);
});

describe("translations", () => {
  test("a cleared page descriptor: CMD_TLBI_NH_VA with its tags, the descriptor and both contents", () => {
    const { bench, uses, table } = stage1();
    const [lo, hi] = table.read(table.entryAddress(VA, 3));
    const structure = table.unmap(VA);
    bench.go(VA + 0x10, { write: true });
    expect(uses).toEqual([
      {
        what: "tlb",
        streamId: 0,
        addressHi: 0x12,
        addressLo: 0x3456_7010,
        structure,
        cached: `0x${hi.toString(16).padStart(8, "0")}${lo.toString(16).padStart(8, "0")}`,
        inMemory: "0x0000000000000000",
        missing: "CMD_TLBI_NH_VA VMID 3 ASID 7 address 0x0000001234567010",
        entry: uses[0]?.entry,
      },
    ]);
  });
  test("a changed table descriptor needs Leaf 0", () => {
    const { bench, uses, table } = stage1();
    table.write(table.entryAddress(VA, 2), [0, 0]);
    bench.go(VA);
    expect(uses[0]?.missing).toBe("CMD_TLBI_NH_VA VMID 3 ASID 7 address 0x0000001234567000 Leaf 0");
  });
  for (const ds of [false, true]) {
    test(`LPA2 ${ds ? "on" : "off"}: bits [9:8] of a table descriptor and [49:48] of any ${ds ? "are addresses" : "do not count"}`, () => {
      for (const [level, lo, hi] of [
        [2, 0x100, 0],
        [2, 0, 0x1_0000],
        [3, 0, 0x2_0000],
      ] as const) {
        const bench = new Bench({}, { detector: true });
        const table = bench.pageTable(1, 12, { ds });
        table.map(VA, PA, 0x1000);
        bench.stage1(0, table);
        bench.go(VA);
        const { uses } = watch(bench);
        const entry = table.entryAddress(VA, level);
        const [before, above] = table.read(entry);
        table.write(entry, [before ^ lo, above ^ hi]);
        bench.go(VA);
        expect(uses).toHaveLength(ds ? 1 : 0);
      }
    });
  }
  test("a global page needs CMD_TLBI_NH_VAA", () => {
    const { bench, uses, table } = stage1({}, { nG: 0 });
    table.unmap(VA);
    bench.go(VA);
    expect(uses[0]?.missing).toBe("CMD_TLBI_NH_VAA VMID 3 address 0x0000001234567000");
  });
  test("an EL2 stream needs CMD_TLBI_EL2_VAA", () => {
    const { bench, uses, table } = stage1({ STRW: 2 });
    table.unmap(VA);
    bench.go(VA);
    expect(uses[0]?.missing).toBe("CMD_TLBI_EL2_VAA address 0x0000001234567000");
  });
  test("software bits of a descriptor may change", () => {
    const { bench, uses, table } = stage1();
    const entry = table.entryAddress(VA, 3);
    const [lo, hi] = table.read(entry);
    table.write(entry, [lo, (hi | 0x0780_0000) >>> 0]);
    bench.go(VA);
    expect(uses).toEqual([]);
  });
  test("an entry is reported once", () => {
    const { bench, uses, table } = stage1();
    table.unmap(VA);
    bench.go(VA);
    bench.go(VA);
    expect(uses).toHaveLength(1);
  });
  test("maintenance that drops the entry is told; other maintenance is not", () => {
    const { bench, uses, dropped, table } = stage1();
    table.unmap(VA);
    bench.go(VA);
    bench.translator.tlbMaintenance.nhVa(3, 7, at(VA + 0x1000));
    expect(dropped).toEqual([]);
    bench.translator.tlbMaintenance.nhVa(3, 7, at(VA));
    expect(dropped).toEqual([uses[0]?.entry]);
  });
  test("dropping an entry that was never used stale is not told", () => {
    const { bench, dropped, table } = stage1();
    table.unmap(VA);
    bench.translator.tlbMaintenance.nhAll(3);
    expect(dropped).toEqual([]);
  });
  test("a recycled ASID: the CD has another table by now", () => {
    const { bench, uses, at: places, table } = stage1();
    const other = bench.pageTable(1);
    other.map(VA, PA + 0x10_0000, 0x1000);
    bench.write(places.cd, stage1Cd({ ttb0: other }, { ASID: 7 }));
    bench.translator.configCache.invalidateCd(0, 0, true);
    expect(bench.result(VA)).toBe(PA);
    expect(uses).toMatchObject([{ what: "tlb", structure: table.base, missing: "CMD_TLBI_NH_ASID VMID 3 ASID 7" }]);
  });
});

describe("stage 2", () => {
  test("stage 2 only: CMD_TLBI_S2_IPA", () => {
    const bench = new Bench({}, { detector: true });
    const table = bench.pageTable(2, 12, { inputBits: 40 });
    table.map(IPA, PA, 0x1000);
    bench.streams.write(0, stage2Ste(table, { S2VMID: 4 }));
    bench.go(IPA);
    const { uses } = watch(bench);
    table.unmap(IPA);
    bench.go(IPA + 4);
    expect(uses[0]?.missing).toBe("CMD_TLBI_S2_IPA VMID 4 address 0x48000004");
  });
  test("a combined entry over a changed stage-2 page needs both commands", () => {
    const bench = new Bench({}, { detector: true });
    const s1 = bench.pageTable(1);
    s1.map(VA, IPA, 0x1000);
    const s2 = bench.pageTable(2, 12, { inputBits: 40 });
    s2.map(0x4000_0000, 0x4000_0000, 0x20_0000);
    s2.map(IPA, PA, 0x1000);
    bench.streams.write(0, nestedSte(bench.placeCd(stage1Cd({ ttb0: s1 })), s2, { S2VMID: 4 }));
    bench.go(VA);
    const { uses } = watch(bench);
    s2.unmap(IPA);
    bench.go(VA);
    expect(uses[0]?.missing).toBe("CMD_TLBI_S2_IPA VMID 4 address 0x48000000 and CMD_TLBI_NH_ALL VMID 4");
  });
  test("a changed stage-2 page below a cached walk is found in the combined entry too", () => {
    const bench = new Bench({}, { detector: true });
    const s1 = bench.pageTable(1);
    s1.map(VA, IPA, 0x1000);
    s1.map(VA + 0x1000, IPA + 0x1000, 0x1000);
    const s2 = bench.pageTable(2, 12, { inputBits: 40 });
    s2.map(0x4000_0000, 0x4000_0000, 0x20_0000);
    s2.map(IPA, PA, 0x2000);
    bench.streams.write(0, nestedSte(bench.placeCd(stage1Cd({ ttb0: s1 })), s2, { S2VMID: 4 }));
    bench.go(VA);
    // The second walk takes the stage-2 translations of the tables from the TLB; its entry knows where they came from.
    bench.go(VA + 0x1000);
    bench.translator.tlbMaintenance.s2Ipa(4, at(s1.base));
    const { uses } = watch(bench);
    s2.unmap(s1.base);
    bench.go(VA + 0x1000);
    expect(uses).toMatchObject([{ what: "tlb", structure: s2.entryAddress(s1.base, 3) }]);
  });
});

test("nested: a changed stage-2 page under the CD is no matter of the data's translation", () => {
  const bench = new Bench({}, { detector: true });
  const s1 = bench.pageTable(1);
  s1.map(VA, IPA, 0x1000);
  const cd = bench.arena.take(0x1000);
  bench.write(cd, stage1Cd({ ttb0: s1 }));
  const s2 = bench.pageTable(2, 12, { inputBits: 40 });
  s2.map(0x4000_0000, 0x4000_0000, 0x20_0000);
  s2.map(IPA, PA, 0x1000);
  bench.streams.write(0, nestedSte(cd, s2));
  bench.go(VA);
  const { uses } = watch(bench);
  s2.unmap(cd);
  expect(bench.result(VA)).toBe(PA);
  expect(uses).toEqual([]);
});

describe("configuration", () => {
  test("a changed STE: CMD_CFGI_STE", () => {
    const { bench, uses, at: places } = stage1();
    bench.bus.memory.write32(places.ste, 0);
    bench.go(VA);
    expect(uses).toMatchObject([{ what: "ste", structure: places.ste, missing: "CMD_CFGI_STE StreamID 0x0" }]);
  });
  test("fields that the STE in use ignores may be prepared", () => {
    const bench = new Bench({}, { detector: true });
    const place = bench.streams.write(0, bypassSte());
    bench.go(VA);
    const { uses } = watch(bench);
    const prepared = stage1Ste(0x4100_0000, { S1CDMax: 4, S2VMID: 9 });
    bench.write(place, [((prepared[0]! & ~15) | 9) >>> 0, ...prepared.subarray(1, 3), bypassSte()[3]!, prepared[4]!]);
    bench.go(VA);
    expect(uses).toEqual([]);
  });
  test("a changed CD: CMD_CFGI_CD", () => {
    const { bench, uses, at: places } = stage1();
    bench.bus.memory.write32(places.cd + 4, bench.bus.memory.read32(places.cd + 4) ^ (1 << 13));
    bench.go(VA);
    expect(uses).toMatchObject([{ what: "cd", structure: places.cd, missing: "CMD_CFGI_CD StreamID 0x0 SubstreamID 0x0" }]);
  });
  test("fields behind EPD1 may change", () => {
    const { bench, uses, at: places } = stage1();
    bench.bus.memory.write32(places.cd, (bench.bus.memory.read32(places.cd) | (17 << 16)) >>> 0);
    bench.go(VA);
    expect(uses).toEqual([]);
  });
  test("a moved linear Stream table: CMD_CFGI_ALL", () => {
    const { bench, uses } = stage1();
    bench.strtabBase = bench.arena.take(0x4000);
    bench.go(VA);
    expect(uses[0]?.missing).toBe("CMD_CFGI_ALL");
  });
  test("a changed level-1 descriptor: CMD_CFGI_STE with Leaf 0", () => {
    const bench = new Bench({}, { detector: true, log2Size: 12, split: 6 });
    bench.streams.write(0x41, bypassSte());
    bench.go(VA, { sid: 0x41 });
    const { uses } = watch(bench);
    bench.write(bench.streams.level1Address(0x41), [0, 0]);
    bench.go(VA, { sid: 0x41 });
    expect(uses[0]?.missing).toBe("CMD_CFGI_STE StreamID 0x41 Leaf 0");
  });
  test("a stale level-1 descriptor that leads to another STE is reported and dropped", () => {
    const bench = new Bench({}, { detector: true, log2Size: 12, split: 6 });
    expect(bench.result(VA, { sid: 0x41 })).toBe("C_BAD_STREAMID");
    const { uses, dropped } = watch(bench);
    bench.streams.write(0x42, bypassSte());
    expect(bench.result(VA, { sid: 0x42 })).toBe("C_BAD_STREAMID");
    expect(uses[0]?.missing).toBe("CMD_CFGI_STE StreamID 0x42 Leaf 0");
    bench.translator.configCache.invalidateSte(0x42, false);
    expect(dropped).toEqual([uses[0]?.entry]);
  });
  test("a changed level-1 CD descriptor: CMD_CFGI_CD with Leaf 0", () => {
    const bench = new Bench({}, { detector: true });
    const cds = new CdTable({ memory: bench.bus.memory, arena: bench.arena, cdMax: 8, format: 1 });
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000);
    cds.write(5, stage1Cd({ ttb0: table }));
    bench.streams.write(0, stage1Ste(cds.base, cds.fields));
    bench.go(VA, { ssid: 5 });
    const { uses } = watch(bench);
    bench.write(cds.level1Address(5), [0, 0]);
    bench.go(VA, { ssid: 5 });
    expect(uses[0]?.missing).toBe("CMD_CFGI_CD StreamID 0x0 SubstreamID 0x5 Leaf 0");
  });
});

test("without the detector nothing is reported", () => {
  const bench = new Bench();
  const table = bench.pageTable(1);
  table.map(VA, PA, 0x1000);
  bench.stage1(0, table);
  bench.go(VA);
  const { uses } = watch(bench);
  table.unmap(VA);
  bench.go(VA);
  expect(uses).toEqual([]);
});

describe("bits that have a meaning only with a feature in use", () => {
  /** A leaf changes in one field, without maintenance. */
  function changedLeaf(stage: 1 | 2, before: object, after: object, cd: Record<string, number>, ste: Record<string, number>): number {
    const bench = new Bench({}, { detector: true });
    bench.s2pii.fill(15);
    const table = bench.pageTable(stage, 12, { inputBits: 40 });
    table.map(0x7000, PA, 0x1000, before);
    if (stage === 1) bench.stage1(0, table, cd, ste);
    else {
      const words = stage2Ste(table, ste);
      words.fill(0xffff_ffff, 14);
      bench.streams.write(0, words);
    }
    const { uses } = watch(bench);
    expect(bench.result(0x7000)).toBe(PA);
    table.map(0x7000, PA, 0x1000, after);
    bench.go(0x7000);
    return uses.length;
  }
  for (const [name, stage, before, after, cd, ste, stale] of [
    ["AttrIndx[3] with AIE", 1, { attrIndx: 0 }, { attrIndx: 8 }, { AIE: 1 }, {}, 1],
    ["bit 59 without AIE", 1, { attrIndx: 0 }, { attrIndx: 8 }, {}, {}, 0],
    ["PIIndex[1] with PIE", 1, { piIndex: 1 }, { piIndex: 3 }, { PIE: 1, PIIU: 0o1111 }, { S1PIE: 1 }, 1],
    ["bit 51 without PIE", 1, { dbm: 0 }, { dbm: 1 }, {}, {}, 0],
    ["nDirty with PIE and HD 0", 1, { piIndex: 1, nDirty: 1 }, { piIndex: 1 }, { PIE: 1, PIIU: 0o55 }, { S1PIE: 1 }, 1],
    ["nDirty with PIE and HD 1", 1, { piIndex: 1, nDirty: 1 }, { piIndex: 1 }, { PIE: 1, PIIU: 0o55, HA: 1, HD: 1 }, { S1PIE: 1 }, 0],
    ["POIndex with S2POE", 2, { piIndex: 1 }, { piIndex: 1, poIndex: 3 }, {}, { S2PIE: 1, S2POE: 1 }, 1],
    ["bits 62 to 59 without S2POE", 2, { piIndex: 1 }, { piIndex: 1, poIndex: 3 }, {}, { S2PIE: 1 }, 0],
    ["AssuredOnly with STE.AssuredOnly", 2, { piIndex: 1 }, { piIndex: 1, assuredOnly: 1 }, {}, { S2PIE: 1, AssuredOnly: 1 }, 1],
    ["bit 58 without STE.AssuredOnly", 2, { piIndex: 1 }, { piIndex: 1, assuredOnly: 1 }, {}, { S2PIE: 1 }, 0],
    ["Dirty with S2PIE and S2HD 0", 2, { piIndex: 1, dirty: 0 }, { piIndex: 1 }, {}, { S2PIE: 1 }, 1],
    ["Dirty with S2PIE and S2HD 1", 2, { piIndex: 1, dirty: 0 }, { piIndex: 1 }, {}, { S2PIE: 1, S2HA: 1, S2HD: 1 }, 0],
  ] as const) {
    test(`${name}: ${stale === 1 ? "stale" : "nothing is stale"}`, () => {
      expect(changedLeaf(stage, before, after, cd, ste)).toBe(stale);
    });
  }

  for (const [PIE, stale] of [
    [0, 0],
    [1, 1],
  ] as const) {
    test(`PIIP with PIE ${PIE}: ${stale === 1 ? "stale" : "nothing is stale"}`, () => {
      const bench = new Bench({}, { detector: true });
      const table = bench.pageTable(1);
      table.map(VA, PA, 0x1000, PIE === 1 ? { piIndex: 0 } : {});
      const places = bench.stage1(0, table, { PIE, PIIU: 1 }, { S1PIE: 1 });
      bench.go(VA);
      const { uses } = watch(bench);
      bench.write(places.cd, stage1Cd({ ttb0: table }, { PIE, PIIU: 1, PIIP: 1 }));
      bench.go(VA);
      expect(uses).toHaveLength(stale);
    });

    test(`S2POI with S2POE ${PIE}: ${stale === 1 ? "stale" : "nothing is stale"}`, () => {
      const bench = new Bench({}, { detector: true });
      bench.s2pii.fill(15);
      const table = bench.pageTable(2, 12, { inputBits: 40 });
      table.map(0x7000, PA, 0x1000, { piIndex: 0 });
      const place = bench.streams.write(0, stage2Ste(table, { S2PIE: 1, S2POE: PIE, S2POI: 8 }));
      bench.go(0x7000);
      const { uses } = watch(bench);
      bench.write(place, stage2Ste(table, { S2PIE: 1, S2POE: PIE, S2POI: 0x88 }));
      bench.go(0x7000);
      expect(uses).toHaveLength(stale);
    });
  }
});
