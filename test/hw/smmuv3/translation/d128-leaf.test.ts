// SPDX-License-Identifier: MIT
/** What VMSAv9-128 leaves say besides the address (DDI 0487 D8.3.2.2, D8.7.1; IHI 0070 §5.4, §5.2). */
import { describe, expect, test } from "vitest";
import type { SmmuConfig } from "../../../../src/hw/smmuv3/config/config.ts";
import type { LeafFields128, PageTable128 } from "../../../../src/hw/smmuv3/tables/page-table128.ts";
import { stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { at, Bench } from "./bench.ts";
import { install128, PA, RW, table128, words128 } from "./d128.ts";

const STAGES = [1, 2] as const;
const VA = 0x7000;

/** A page at VA, and what else its descriptor has set. */
function page(stage: 1 | 2, leaf: LeafFields128 = {}, fields = {}, more = 0n, config: Partial<SmmuConfig> = {}, ste = {}): Bench {
  const bench = new Bench(config);
  const table = table128(bench, stage, 12, { inputBits: 40 });
  table.map(VA, PA, 0x1000, leaf);
  const place = table.entryAddress(VA, 3);
  table.write(place, words128(table.read(place).reduce((sum, word, i) => sum | (BigInt(word) << BigInt(32 * i)), 0n) | more));
  install128(bench, table, fields, ste);
  return bench;
}

describe("permissions are indirect: PIIndex is bits [118:115] (DDI 0487 D8.4.1, D8.4.2)", () => {
  for (let index = 0; index < 16; index++) {
    const bits = BigInt(index) << 115n;
    test(`stage 1: PIIndex ${index}, without CD.PIE and whatever CD.WXN says`, () => {
      // One entry may be read and written by all; the others by nobody.
      const bench = page(1, {}, { PIIP: 5 * 8 ** index, PIIU: 5 * 8 ** index, WXN: 1, PIE: 0 }, bits);
      expect([bench.result(VA), bench.result(VA, { write: true }), bench.result(VA, { instruction: true })]).toEqual([
        PA,
        PA,
        "F_PERMISSION",
      ]);
      expect(page(1, {}, { PIIP: 5 * 8 ** ((index + 1) % 16), PIIU: 0 }, bits).result(VA)).toBe("F_PERMISSION");
    });
    test(`stage 2: PIIndex ${index} names an entry of SMMU_S2PII, without STE.S2PIE`, () => {
      const bench = page(2, {}, { S2PIE: 0 }, bits);
      bench.s2pii = Array.from({ length: 16 }, (_, i) => (i === index ? RW : 0));
      expect([bench.result(VA), bench.result(VA, { write: true }), bench.result(VA, { instruction: true })]).toEqual([
        PA,
        PA,
        "F_PERMISSION",
      ]);
      bench.translator.tlb.reset();
      bench.s2pii = Array.from({ length: 16 }, (_, i) => (i === index ? 0 : RW));
      expect(bench.result(VA)).toBe("F_PERMISSION");
    });
    test(`stage 2: POIndex ${index} is bits [124:121]`, () => {
      const made = (granted: number): Bench => {
        const bench = new Bench();
        const table = table128(bench, 2, 12, { inputBits: 40 });
        table.map(VA, PA, 0x1000, { poIndex: 0 });
        const place = table.entryAddress(VA, 3);
        const [lo, hi, lo2, hi2] = table.read(place);
        table.write(place, [lo, hi, lo2, hi2 | (index << 25)]);
        install128(bench, table);
        const ste = stage2Ste(table, { S2POE: 1 });
        ste[14 + (index >> 3)] = (granted << (4 * (index & 7))) >>> 0;
        bench.streams.write(0, ste);
        return bench;
      };
      const readOnly = made(8);
      expect([readOnly.result(VA), readOnly.result(VA, { write: true })]).toEqual([PA, "F_PERMISSION"]);
      expect(made(RW).result(VA, { write: true })).toBe(PA);
    });
  }
  test("§5.4: reserved entries of PIIP and PIIU are C_BAD_CD without CD.PIE", () => {
    expect(page(1, {}, { PIIP: 4 }).result(VA)).toBe("C_BAD_CD");
    expect(page(1, {}, { PIIU: 6 }).result(VA)).toBe("C_BAD_CD");
    expect(page(1, {}, { PIIP: 3, PIIU: 5 }).result(VA)).toBe("C_BAD_CD");
  });
  test("table descriptors do not limit permissions: bits [63:59] are RES0 there", () => {
    const bench = new Bench();
    const table = table128(bench, 1, 12, { inputBits: 40 });
    table.map(VA, PA, 0x1000);
    const [lo, hi, lo2, hi2] = table.read(table.base);
    table.write(table.base, [lo, (hi | 0xf800_0000) >>> 0, lo2, hi2]);
    install128(bench, table);
    expect(bench.result(VA, { write: true })).toBe(PA);
  });
});

describe("Access flag: bit 10", () => {
  for (const stage of STAGES) {
    const [off, ignored] = stage === 1 ? ["CD.AFFD", { AFFD: 1 }] : ["STE.S2AFFD", { S2AFFD: 1 }];
    test(`stage ${stage}: 0 is F_ACCESS, with ${off} it is not`, () => {
      expect(page(stage, { af: 0 }).result(VA)).toBe("F_ACCESS");
      expect(page(stage, { af: 0 }, ignored).result(VA)).toBe(PA);
      expect(page(stage, { af: 0 }, {}, 0x400n).result(VA)).toBe(PA);
    });
  }
});

describe("dirty state is software's without hardware update: bit 7 (DDI 0487 D8.5)", () => {
  for (const [stage, clean, dirty] of [
    [1, { nDirty: 1 }, { nDirty: 0 }],
    [2, { dirty: 0 }, { dirty: 1 }],
  ] as const) {
    test(`stage ${stage}: a write to clean memory is F_PERMISSION with DirtyBit, a read is not`, () => {
      const bench = page(stage, clean);
      expect(bench.result(VA)).toBe(PA);
      expect(bench.go(VA, { write: true }).event).toMatchObject({ name: "F_PERMISSION", fields: { S2: stage - 1, DirtyBit: 1 } });
      expect(page(stage, dirty).result(VA, { write: true })).toBe(PA);
    });
  }
});

describe("memory attributes", () => {
  const MAIR = { MAIR0: 0x4411_bb04, MAIR1: 0x00ff_ee77 };
  const TYPES = [0x04, 0xbb, 0x11, 0x44, 0x77, 0xee, 0xff, 0x00];
  for (let index = 0; index < 16; index++) {
    test(`AttrIndx ${index}: bits [4:2], with CD.AIE bits [5:2] (§5.4 MAIR)`, () => {
      const bits = BigInt(index) << 2n;
      expect(page(1, {}, { ...MAIR, AIE: 0 }, bits).go(VA).tx.attributes).toBe(TYPES[index & 7]);
      expect(page(1, {}, { ...MAIR, AIE: 1 }, bits).go(VA).tx.attributes).toBe(index > 7 ? 0x00 : TYPES[index]);
    });
  }
  for (const [code, expected] of [0, 0, 2, 3].entries()) {
    test(`SH ${code}: bits [9:8] of either stage, CD.DS and STE.S2DS do not matter`, () => {
      for (const stage of STAGES) {
        const bench = page(stage, { sh: 0 }, stage === 1 ? { DS: 1, SH0: 2 } : { S2DS: 1, S2SH0: 2, SHCFG: 0 }, BigInt(code) << 8n);
        expect(bench.go(VA).tx.shareability).toBe(expected);
      }
    });
  }
  for (const [code, type] of [
    [0, 0x00],
    [1, 0x04],
    [5, 0x44],
    [15, 0xff],
  ] as const) {
    test(`stage 2: MemAttr ${code} is bits [5:2]`, () => {
      expect(page(2, { memAttr: 0 }, {}, BigInt(code) << 2n).go(VA).tx.attributes).toBe(type);
    });
  }
  test("stage 2 with S2FWB: 0b0101 is Normal Non-cacheable", () => {
    expect(page(2, { memAttr: 5 }, { S2FWB: 1 }).go(VA).tx.attributes).toBe(0x44);
  });
});

test("nG is bit 11: without it an entry serves other ASIDs", () => {
  for (const nG of [0, 1]) {
    const bench = page(1, { nG }, { ASID: 5 });
    expect(bench.result(VA)).toBe(PA);
    const empty = table128(bench, 1, 12, { inputBits: 40 });
    bench.streams.write(1, stage1Ste(bench.placeCd(stage1Cd({ ttb0: empty }, { ASID: 6 })), { S1PIE: 1 }));
    expect(bench.result(VA, { sid: 1 })).toBe(nG === 0 ? PA : "F_TRANSLATION");
  }
});

describe("Contiguous: bit 111 (Table D8-105)", () => {
  const RUNS = [
    [12, 1, 28, 4],
    [12, 2, 20, 16],
    [12, 3, 12, 16],
    [14, 1, 34, 4],
    [14, 2, 24, 16],
    [14, 3, 14, 64],
    [16, 2, 28, 64],
    [16, 3, 16, 16],
  ] as const;
  const run = (
    stage: 1 | 2,
    granule: 12 | 14 | 16,
    level: number,
    bits: number,
    entries: number,
  ): { bench: Bench; table: PageTable128 } => {
    const bench = new Bench();
    const table = table128(bench, stage, granule, { inputBits: 48 });
    // The middle of three runs.
    const size = 2 ** bits;
    table.map(size * entries, 2 ** 46, size * entries, { contiguous: 1 }, level);
    install128(bench, table);
    return { bench, table };
  };
  for (const stage of STAGES) {
    for (const [granule, level, bits, entries] of RUNS) {
      test(`stage ${stage}, ${2 ** (granule - 10)} KiB, level ${level}: ${entries} entries`, () => {
        const { bench } = run(stage, granule, level, bits, entries);
        const size = 2 ** bits;
        expect(bench.result(size * entries)).toBe(2 ** 46);
        bench.loads.length = 0;
        expect(bench.result(2 * size * entries - 1)).toBe(2 ** 46 + size * entries - 1);
        expect(bench.loads).toEqual([]);
        expect(bench.result(2 * size * entries)).toBe("F_TRANSLATION");
      });
    }
    for (const [granule, level, bits] of [
      [12, 0, 36],
      [16, 1, 40],
    ] as const) {
      test(`stage ${stage}, ${2 ** (granule - 10)} KiB, level ${level}: RES0 and 0`, () => {
        const { bench } = run(stage, granule, level, bits, 4);
        expect(bench.result(2 ** (bits + 2))).toBe(2 ** 46);
        bench.loads.length = 0;
        expect(bench.result(2 ** (bits + 2) + 2 ** bits)).toBe(2 ** 46 + 2 ** bits);
        expect(bench.loads.length).toBeGreaterThan(0);
      });
    }
  }

  /** Whether two pages of a run are one entry of the TLB. */
  const joined = (bench: Bench): boolean => {
    expect(bench.result(0)).toBe(PA);
    bench.loads.length = 0;
    expect(bench.result(0x1000)).toBe(PA + 0x1000);
    return bench.loads.length === 0;
  };
  test("DisCH of a table descriptor (bit 112) disables it in the next table alone, also through the walk cache", () => {
    const made = (levels: readonly number[]): Bench => {
      const bench = new Bench();
      const table = table128(bench, 1, 12, { inputBits: 44 });
      table.map(0, PA, 0x1_0000, { contiguous: 1 });
      for (const level of levels) {
        const place = table.entryAddress(0, level);
        const [lo, hi, lo2, hi2] = table.read(place);
        table.write(place, [lo, hi, lo2, hi2 | 0x1_0000]);
      }
      install128(bench, table);
      return bench;
    };
    expect(joined(made([]))).toBe(true);
    expect(joined(made([0, 1]))).toBe(true);
    const bench = made([2]);
    expect(joined(bench)).toBe(false);
    bench.translator.tlb.reset();
    expect(joined(bench)).toBe(false);
  });
  test("CD.DisCH0 and CD.DisCH1 disable it in the first table of their half alone", () => {
    const small = (fields: Record<string, number>, inputBits: number): Bench => {
      const bench = new Bench();
      const table = table128(bench, 1, 12, { inputBits });
      table.map(0, PA, 0x1_0000, { contiguous: 1 });
      install128(bench, table, fields);
      return bench;
    };
    expect(joined(small({}, 20))).toBe(true);
    expect(joined(small({ DisCH0: 1 }, 20))).toBe(false);
    expect(joined(small({ DisCH1: 1 }, 20))).toBe(true);
    expect(joined(small({ DisCH0: 1 }, 28))).toBe(true);
  });
  test("choice had-or-disch: with VMSAv8-64 tables bit 65 is HAD0", () => {
    const bench = new Bench();
    const table = bench.pageTable(1, 12, { inputBits: 30 });
    table.map(0, PA, 0x1_0000, { contiguous: 1 }, 3, { apTable: 2 });
    bench.stage1(0, table, { HAD0: 1 });
    expect(bench.result(0, { write: true })).toBe(PA);
    expect(joined(bench)).toBe(true);
  });
});

describe("nT is bit 6 where SKL is not 0 (IHI 0070 §3.21.1)", () => {
  for (const stage of STAGES) {
    for (const bbml of [1, 2] as const) {
      test(`stage ${stage}, BBML ${bbml}: a block with nT is ${bbml === 1 ? "not cached" : "cached"}`, () => {
        const bench = new Bench({ bbml });
        const table = table128(bench, stage, 12, { inputBits: 40 });
        table.map(0, 2 ** 40, 2 ** 20, { nT: 1 }, 2);
        install128(bench, table);
        expect(bench.result(1)).toBe(2 ** 40 + 1);
        expect(bench.translator.tlb.entriesInUse).toBe(bbml === 1 ? 0 : 1);
      });
      test(`stage ${stage}, BBML ${bbml}: a table with nT and SKL 1 is ${bbml === 1 ? "not cached" : "cached"}, with SKL 0 it is no nT`, () => {
        for (const skl of [0, 1]) {
          const bench = new Bench({ bbml });
          const table = table128(bench, stage, 12, { inputBits: 36 });
          table.map(0, PA, 0x1000, {}, 3, { skl: { 1: skl }, nT: skl });
          if (skl === 0) {
            const [lo, hi, lo2, hi2] = table.read(table.base);
            table.write(table.base, [lo | 0x40, hi, lo2, hi2]);
          }
          install128(bench, table);
          expect(bench.result(1)).toBe(PA + 1);
          expect(bench.translator.walks.entriesInUse).toBe(skl === 0 ? 2 : bbml === 1 ? 0 : 1);
        }
      });
    }
  }
});

test("§4.4.3: an entry of a stage-2 page goes with CMD_TLBI_S2_IPA", () => {
  const bench = page(2);
  expect(bench.result(VA)).toBe(PA);
  bench.translator.tlbMaintenance.s2Ipa(0, at(VA));
  expect(bench.translator.tlb.entriesInUse).toBe(0);
});
