// SPDX-License-Identifier: MIT
/** LPA2: 52-bit addresses with 4 and 16 KiB granules (IHI 0070 §3.4, §5.2 S2DS, §5.4 DS; DDI 0487 D8.2, D8.3). */
import { describe, expect, test } from "vitest";
import { RAM, Bench } from "./bench.ts";
import { type LeafFields, leafDescriptor, type PageTable } from "../../../../src/hw/smmuv3/tables/page-table.ts";
import { nestedSte, stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { TableArena } from "../../../../src/hw/smmuv3/tables/memory.ts";

const PA = 0x5000_0000;
const STAGES = [1, 2] as const;
type Fields = Record<string, number>;

/** Puts a table to use; `fields` are of the CD or the STE. */
function install(bench: Bench, table: PageTable, fields: Fields = {}): void {
  if (table.stage === 1) bench.stage1(0, table, fields);
  else bench.streams.write(0, stage2Ste(table, fields));
}

/** Where walks start with `inputBits` (tables D8-18 and D8-28; D8-20 and D8-30 for a single table of stage 2). */
const START: readonly (readonly [granule: 12 | 14, inputBits: number, level: number])[] = [
  [12, 52, -1],
  [12, 49, -1],
  [12, 48, 0],
  [14, 52, 0],
  [14, 49, 0],
  [14, 48, 0],
  [14, 47, 1],
];

describe("52 bits of input", () => {
  for (const [granule, inputBits, level] of START) {
    for (const stage of STAGES) {
      test(`stage ${stage}, ${2 ** granule / 1024} KiB, ${inputBits} bits: the walk starts at level ${level}`, () => {
        const bench = new Bench();
        const page = 2 ** granule;
        const table = bench.pageTable(stage, granule, { inputBits, ds: true });
        table.map(2 ** inputBits - page, PA, page);
        install(bench, table);
        expect(bench.result(2 ** inputBits - 1)).toBe(PA + page - 1);
        expect(bench.loads.filter(({ kind }) => kind === `tt-s${stage}`)).toHaveLength(4 - level);
        expect(bench.result(0)).toBe("F_TRANSLATION");
        if (stage === 1 || inputBits < 52) expect(bench.result(2 ** inputBits)).toBe("F_TRANSLATION");
      });
    }
  }

  test("TTB1 with T1SZ 12: the upper half starts at 0xFFF0000000000000", () => {
    const bench = new Bench();
    const table = bench.pageTable(1, 12, { inputBits: 52, ds: true });
    table.map(0, PA, 0x1000);
    bench.streams.write(0, stage1Ste(bench.placeCd(stage1Cd({ ttb1: table }))));
    expect(bench.result(8, { hi: 0xfff0_0000 })).toBe(PA + 8);
    expect(bench.result(0xffff_ffff, { hi: 0xffef_ffff })).toBe("F_TRANSLATION");
  });

  test("TBI0 with T0SZ 12: bits [63:56] are ignored, bits [55:52] are not", () => {
    const bench = new Bench();
    const table = bench.pageTable(1, 14, { inputBits: 52, ds: true });
    table.map(0, PA, 0x4000);
    bench.stage1(0, table, { TBI0: 1 });
    expect(bench.result(8, { hi: 0xa500_0000 })).toBe(PA + 8);
    expect(bench.result(8, { hi: 0xa510_0000 })).toBe("F_TRANSLATION");
  });

  test("one CD.DS serves 4 KiB and 16 KiB halves; a half of 64 KiB granules does not heed it", () => {
    for (const granule of [14, 16] as const) {
      const bench = new Bench();
      const ttb0 = bench.pageTable(1, 12, { inputBits: 52, ds: true });
      const ttb1 = bench.pageTable(1, granule, { inputBits: 52, ds: granule === 14 });
      ttb0.map(0, 2 ** 51, 0x1000);
      ttb1.map(0, 2 ** 50, 2 ** granule, granule === 16 ? { sh: 2 } : {});
      bench.streams.write(0, stage1Ste(bench.placeCd(stage1Cd({ ttb0, ttb1 }))));
      expect(bench.go(4)).toMatchObject({ physical: 2 ** 51 + 4, tx: { shareability: 3 } });
      expect(bench.go(4, { hi: 0xfff0_0000 })).toMatchObject({ physical: 2 ** 50 + 4, tx: { shareability: granule === 16 ? 2 : 3 } });
    }
  });

  test("§3.17: a walk in the same 256 TiB begins below the table of level -1 if that is cached", () => {
    for (const stage of STAGES) {
      const bench = new Bench();
      const table = bench.pageTable(stage, 12, { inputBits: 52, startLevel: -1, ds: true });
      for (const [i, address] of [2 ** 51, 2 ** 51 + 2 ** 39, 2 ** 50].entries()) table.map(address, PA + i * 0x1000, 0x1000);
      install(bench, table);
      const levels = (address: number): number => {
        bench.loads.length = 0;
        bench.go(address);
        return bench.loads.filter(({ kind }) => kind === `tt-s${stage}`).length;
      };
      expect([levels(2 ** 51), levels(2 ** 51 + 2 ** 39), levels(2 ** 50)]).toEqual([5, 4, 5]);
      expect([bench.result(2 ** 51 + 2 ** 39), bench.result(2 ** 50)]).toEqual([PA + 0x1000, PA + 0x2000]);
    }
  });

  test("both stages: 52 bits of VA, IPA and PA, with five levels each", () => {
    const bench = new Bench();
    const s1 = bench.pageTable(1, 12, { inputBits: 52, ds: true });
    const s2 = bench.pageTable(2, 12, { inputBits: 52, startLevel: -1, ds: true });
    s1.map(2 ** 52 - 0x1000, 2 ** 51 + 2 ** 49, 0x1000);
    s2.map(2 ** 51 + 2 ** 49, 2 ** 50 + 2 ** 48, 0x1000);
    s2.map(RAM, RAM, 0x1000_0000, {}, 2);
    bench.streams.write(0, nestedSte(bench.placeCd(stage1Cd({ ttb0: s1 })), s2));
    expect(bench.result(2 ** 52 - 1)).toBe(2 ** 50 + 2 ** 48 + 0xfff);
  });
});

describe("DDI 0487 D8.2: blocks of 512 GiB (4 KiB, level 0) and 64 GiB (16 KiB, level 1)", () => {
  for (const [granule, level, size] of [
    [12, 0, 2 ** 39],
    [14, 1, 2 ** 36],
  ] as const) {
    const what = `${2 ** granule / 1024} KiB, level ${level}`;
    for (const stage of STAGES) {
      const made = (config: object = {}, leaf: LeafFields = {}, fields: Fields = {}): Bench => {
        const bench = new Bench(config);
        const table = bench.pageTable(stage, granule, { inputBits: 48, ds: true, startLevel: granule === 14 && stage === 2 ? 1 : 0 });
        table.map(size, 33 * size, size, leaf, level);
        install(bench, table, fields);
        return bench;
      };
      test(`stage ${stage}, ${what}: every byte keeps its offset, one TLB entry serves the block and no more`, () => {
        const bench = made();
        expect(bench.result(size)).toBe(33 * size);
        bench.loads.length = 0;
        expect(bench.result(size + 0x1_2345_6789)).toBe(33 * size + 0x1_2345_6789);
        expect(bench.result(2 * size - 1)).toBe(34 * size - 1);
        expect(bench.loads).toEqual([]);
        expect([...bench.translator.tlb.entries()]).toMatchObject([{ level, size: Math.log2(size) }]);
        expect(bench.result(2 * size)).toBe("F_TRANSLATION");
        expect(bench.result(size - 1)).toBe("F_TRANSLATION");
      });
      test(`stage ${stage}, ${what}: without ${stage === 1 ? "DS" : "S2DS"} the block is reserved`, () => {
        expect(made({}, {}, stage === 1 ? { DS: 0 } : { S2DS: 0, ...(granule === 14 ? { S2SL0: 2 } : {}) }).result(size)).toBe(
          "F_TRANSLATION",
        );
      });
      test(`stage ${stage}, ${what}: where IDR5.DS is 0 the bit of the ${stage === 1 ? "CD" : "STE"} has no effect and the block is reserved`, () => {
        expect(made({ ds: false }).result(size)).toBe("F_TRANSLATION");
      });
      test(`stage ${stage}, ${what}: Contiguous is RES0, the next block is not taken along (DDI 0487 D8.7.1)`, () => {
        const bench = made({}, { contiguous: 1 });
        expect(bench.result(size)).toBe(33 * size);
        expect([...bench.translator.tlb.entries()]).toMatchObject([{ size: Math.log2(size) }]);
      });
      test(`stage ${stage}, ${what}: nT keeps the block out of the TLB with BBML 1 only`, () => {
        for (const bbml of [0, 1, 2] as const) {
          const bench = made({ bbml }, { nT: 1 });
          bench.go(size);
          expect(bench.translator.tlb.entriesInUse).toBe(bbml === 1 ? 0 : 1);
        }
      });
    }
  }
  for (const [granule, level] of [
    [12, -1],
    [14, 0],
  ] as const) {
    for (const stage of STAGES) {
      test(`stage ${stage}, ${2 ** granule / 1024} KiB: a block at level ${level} is reserved with LPA2 too`, () => {
        const bench = new Bench();
        const table = bench.pageTable(stage, granule, { inputBits: 52, startLevel: level, ds: true });
        table.write(table.entryAddress(0, level), leafDescriptor(stage, 1, granule, 0, {}, true));
        install(bench, table);
        expect(bench.result(0)).toBe("F_TRANSLATION");
      });
    }
  }
});

describe("DDI 0487 D8.7.1: runs of Contiguous are those of 48-bit addresses", () => {
  for (const [granule, level, size, entries] of [
    [12, 1, 2 ** 30, 16],
    [12, 2, 2 ** 21, 16],
    [12, 3, 2 ** 12, 16],
    [14, 2, 2 ** 25, 32],
    [14, 3, 2 ** 14, 128],
  ] as const) {
    for (const stage of STAGES) {
      test(`stage ${stage}, ${2 ** granule / 1024} KiB, level ${level}: ${entries} entries, above 2^48 too`, () => {
        const bench = new Bench();
        const table = bench.pageTable(stage, granule, { inputBits: 52, ds: true });
        table.map(2 ** 51, 2 ** 50, size * entries, { contiguous: 1 }, level);
        install(bench, table);
        expect(bench.result(2 ** 51)).toBe(2 ** 50);
        bench.loads.length = 0;
        expect(bench.result(2 ** 51 + size * entries - 1)).toBe(2 ** 50 + size * entries - 1);
        expect(bench.loads).toEqual([]);
        expect(bench.result(2 ** 51 + size * entries)).toBe("F_TRANSLATION");
      });
    }
  }
});

describe("DDI 0487 D8.3: address bits [51:50] are descriptor bits [9:8], [49:48] are [49:48]", () => {
  for (const granule of [12, 14] as const) {
    for (const stage of STAGES) {
      for (const [bit, lo, hi] of [
        [48, 0, 0x1_0000],
        [49, 0, 0x2_0000],
        [50, 0x100, 0],
        [51, 0x200, 0],
      ] as const) {
        const page = 2 ** granule;
        const made = (ds: boolean): Bench => {
          const bench = new Bench();
          const table = bench.pageTable(stage, granule, { inputBits: 44, ds, ...(stage === 2 && granule === 14 ? { startLevel: 1 } : {}) });
          table.map(0, PA, page, ds ? {} : { sh: 0 });
          const at = table.entryAddress(0, 3);
          const [before, above] = table.read(at);
          table.write(at, [before | lo, above | hi]);
          install(bench, table);
          return bench;
        };
        test(`stage ${stage}, ${2 ** granule / 1024} KiB: bit ${bit} of a page with DS`, () =>
          expect(made(true).result(1)).toBe(2 ** bit + PA + 1));
        test(`stage ${stage}, ${2 ** granule / 1024} KiB: the same bit of a page is no address bit without DS`, () => {
          expect(made(false).result(1)).toBe(PA + 1);
        });
        test(`stage ${stage}, ${2 ** granule / 1024} KiB: bit ${bit} of the next table's address`, () => {
          const bench = new Bench();
          const base = 2 ** bit + 0x1000_0000;
          bench.bus.addRam({ name: "high", base, size: 0x100_0000 });
          const arena = new TableArena(base, 0x100_0000);
          const table = bench.pageTable(stage, granule, {
            inputBits: 44,
            ds: true,
            arena,
            ...(stage === 2 && granule === 14 ? { startLevel: 1 } : {}),
          });
          table.map(0, PA, page);
          install(bench, table);
          expect(bench.result(1)).toBe(PA + 1);
          expect(bench.loads.filter(({ kind }) => kind.startsWith("tt")).every(({ address }) => address >= base)).toBe(true);
        });
      }
    }
  }

  test("§5.4 TTB0, §5.2 S2TTB: a table above 2^48 without DS makes CD and STE ILLEGAL", () => {
    for (const stage of STAGES) {
      const bench = new Bench();
      const table = bench.pageTable(stage, 12, { inputBits: 44, ds: true, arena: new TableArena(2 ** 48, 0x100_0000) });
      install(bench, table, stage === 1 ? { DS: 0 } : { S2DS: 0 });
      expect(bench.result(0)).toBe(stage === 1 ? "C_BAD_CD" : "C_BAD_STE");
    }
  });
});

describe("IHI 0070 §3.4: output size with LPA2", () => {
  const CODES = [32, 36, 40, 42, 44, 48] as const;
  for (const stage of STAGES) {
    const name = stage === 1 ? "IPS" : "S2PS";
    for (const [code, bits] of CODES.entries()) {
      test(`${name} ${code}: a page below 2^${bits} passes, a page at 2^${bits} and a table at 2^51 are F_ADDR_SIZE`, () => {
        const bench = new Bench();
        const table = bench.pageTable(stage, 12, { inputBits: 44, ds: true });
        table.map(0, 2 ** bits - 0x1000, 0x1000);
        table.map(0x1000, 2 ** bits, 0x1000);
        table.map(2 ** 40, PA, 0x1000);
        const at = table.entryAddress(2 ** 40, 1);
        const [lo, hi] = table.read(at);
        table.write(at, [lo | 0x200, hi]);
        install(bench, table, { [name]: code });
        expect(bench.result(1)).toBe(2 ** bits - 0x1000 + 1);
        for (const address of [0x1000, 2 ** 40])
          expect(bench.go(address).event).toMatchObject({ name: "F_ADDR_SIZE", fields: { S2: stage - 1, CLASS: 2 } });
      });
    }
    test(`stage ${stage}: ${name} 6 is capped to an OAS of 48 bits, descriptors still have 52`, () => {
      const bench = new Bench({ oas: 48 });
      const table = bench.pageTable(stage, 12, { inputBits: 44, ds: true });
      table.map(0, 2 ** 51, 0x1000);
      install(bench, table, { [name]: 6 });
      expect(bench.result(0)).toBe("F_ADDR_SIZE");
    });
  }
});

describe("shareability comes from CD.SHx and STE.S2SH0 (IHI 0070 §5.4 DS, §5.2 S2DS)", () => {
  // Code 1 behaves as 0.
  for (const [code, expected] of [0, 0, 2, 3].entries()) {
    test(`code ${code} of SH0 and SH1, each for its half`, () => {
      const bench = new Bench();
      const [ttb0, ttb1] = [12, 14].map((granule) => bench.pageTable(1, granule as 12 | 14, { ds: true }));
      ttb0!.map(0, 2 ** 50, 0x1000);
      ttb1!.map(0, 2 ** 50, 0x4000);
      for (const half of [0, 1] as const) {
        const cd = stage1Cd({ ttb0: ttb0!, ttb1: ttb1! }, { [`SH${half}`]: code, [`SH${1 - half}`]: code ^ 2 });
        bench.streams.write(half, stage1Ste(bench.placeCd(cd)));
        const { tx } = bench.go(0, { sid: half, ...(half === 1 ? { hi: 0xffff_0000 } : {}) });
        expect([tx.physical, tx.shareability]).toEqual([2 ** 50, expected]);
        bench.translator.tlb.reset();
      }
    });
    test(`code ${code} of S2SH0`, () => {
      const bench = new Bench();
      const table = bench.pageTable(2, 12, { inputBits: 44, ds: true });
      table.map(0, 2 ** 50, 0x1000);
      bench.streams.write(0, stage2Ste(table, { S2SH0: code, SHCFG: 0 }));
      expect([bench.go(0).tx.shareability, bench.go(8).tx.shareability]).toEqual([expected, expected]);
    });
  }
  test("Device memory is Outer Shareable whatever SH0 says", () => {
    const bench = new Bench();
    const table = bench.pageTable(1, 12, { ds: true });
    table.map(0, PA, 0x1000, { attrIndx: 1 });
    bench.stage1(0, table, { SH0: 0 });
    expect(bench.go(0).tx.shareability).toBe(2);
  });
});
