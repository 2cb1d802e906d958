// SPDX-License-Identifier: MIT
/** The range of TxSZ with and without small tables, and where first tables lie (IHI 0070 §5.4 T0SZ, TTB0; §5.2 S2TTB). */
import { describe, expect, test } from "vitest";
import type { GranuleBits } from "../../../../src/hw/smmuv3/translation/address-size.ts";
import { buildCd, stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench } from "./bench.ts";

const PA = 0x5000_0000;
const TG = { 12: [0, 2], 14: [2, 1], 16: [1, 3] } as const;
const GRANULES = [12, 14, 16] as const;
const kib = (granule: number): string => `${2 ** granule / 1024} KiB`;

describe("IHI 0070 §5.4: which TxSZ is legal, for each granule, DS, IDR3.STT, IDR5.DS and IDR5.VAX", () => {
  for (const granule of GRANULES) {
    for (const half of [0, 1] as const) {
      for (const stt of [false, true]) {
        for (const [vax, ds, DS] of [
          [48, false, 0],
          [48, false, 1],
          [52, false, 0],
          [52, false, 1],
          [52, true, 0],
          [52, true, 1],
        ] as const) {
          const largest = stt ? (granule === 16 ? 47 : 48) : 39;
          const smallest = vax === 52 && (granule === 16 || (ds && DS === 1)) ? 12 : 16;
          test(`${kib(granule)}, T${half}SZ, STT ${Number(stt)}, VAX ${vax}, IDR5.DS ${Number(ds)}, CD.DS ${DS}: ${smallest} to ${largest}`, () => {
            const bench = new Bench({ stt, vax, ds });
            const legal: number[] = [];
            for (let txsz = 0; txsz < 64; txsz++) {
              const fields = { [`T${half}SZ`]: txsz, [`TG${half}`]: TG[granule][half], [`TTB${half}`]: 0x4800_0000, [`EPD${1 - half}`]: 1 };
              const cd = buildCd({ V: 1, AA64: 1, A: 1, R: 1, IPS: 5, DS, ...fields });
              bench.streams.write(txsz, stage1Ste(bench.placeCd(cd)));
              // The table is empty: a legal CD ends in F_TRANSLATION.
              const result = bench.result(0, { sid: txsz, ...(half === 1 ? { hi: 0xffff_ffff } : {}) });
              if (result === "F_TRANSLATION") legal.push(txsz);
              else expect(result).toBe("C_BAD_CD");
            }
            expect(legal).toEqual(Array.from({ length: largest - smallest + 1 }, (_, i) => smallest + i));
          });
        }
      }
    }
  }
});

/** Tables D8-18, D8-28 and D8-37: TxSZ from and to, and the level at which stage 1 starts. */
const START: readonly (readonly [granule: GranuleBits, level: number, from: number, to: number])[] = [
  [12, 2, 34, 42],
  [12, 3, 43, 48],
  [14, 2, 28, 38],
  [14, 3, 39, 48],
  [16, 2, 22, 34],
  [16, 3, 35, 47],
];

describe("DDI 0487 D8.2: stage-1 walks of small tables", () => {
  for (const [granule, level, from, to] of START) {
    for (let txsz = Math.max(from, 31); txsz <= to; txsz++) {
      const inputBits = 64 - txsz;
      const page = 2 ** granule;
      test(`${kib(granule)}, T0SZ ${txsz}: starts at level ${level}, ends after 2^${inputBits} bytes`, () => {
        const bench = new Bench();
        const table = bench.pageTable(1, granule, { inputBits });
        table.map(2 ** inputBits - page, PA, page);
        bench.stage1(0, table);
        expect(bench.result(2 ** inputBits - 1)).toBe(PA + page - 1);
        expect(bench.loads.filter(({ kind }) => kind === "tt-s1")).toHaveLength(4 - level);
        for (const address of [2 ** inputBits, 2 ** 32 + 2 ** inputBits - 1, 2 ** 52]) expect(bench.result(address)).toBe("F_TRANSLATION");
      });
      test(`${kib(granule)}, T1SZ ${txsz}: the top 2^${inputBits} bytes, TBI1 frees bits [63:56] only`, () => {
        const bench = new Bench();
        const table = bench.pageTable(1, granule, { inputBits });
        table.map(0, PA, page);
        const start = (2 ** 32 - (2 ** inputBits % 2 ** 32)) % 2 ** 32;
        const hi = inputBits > 32 ? 2 ** 32 - 2 ** (inputBits - 32) : 0xffff_ffff;
        for (const [sid, TBI1] of [0, 1].entries()) bench.streams.write(sid, stage1Ste(bench.placeCd(stage1Cd({ ttb1: table }, { TBI1 }))));
        expect(bench.result(start + 4, { hi })).toBe(PA + 4);
        const below = start === 0 ? { lo: 0xffff_ffff, hi: hi - 1 } : { lo: start - 1, hi };
        expect(bench.result(below.lo, { hi: below.hi })).toBe("F_TRANSLATION");
        const tagged = (hi & 0x00ff_ffff) >>> 0;
        expect(bench.result(start + 4, { hi: (tagged | 0x1200_0000) >>> 0 })).toBe("F_TRANSLATION");
        expect(bench.result(start + 4, { hi: (tagged | 0x1200_0000) >>> 0, sid: 1 })).toBe(PA + 4);
        expect(bench.result(start + 4, { hi: (tagged ^ 0x1240_0000) >>> 0, sid: 1 })).toBe("F_TRANSLATION");
      });
    }
  }
});

describe("IHI 0070 §5.4 TTB0, §5.2 S2TTB: first tables are aligned to their size, to 64 bytes at least where the output size is 52 bits", () => {
  for (const stage of [1, 2] as const) {
    for (const granule of GRANULES) {
      // 2 to 32 entries in the first table, at the levels that have so few.
      for (let indexBits = 1; indexBits <= 5; indexBits++) {
        const level = granule === 16 || indexBits > 1 ? 3 : 2;
        const inputBits = granule + (3 - level) * (granule - 3) + indexBits;
        if (inputBits < (granule === 16 ? 17 : 16)) continue;
        for (const [code, oas, minimum] of [
          [5, 52, 16],
          [6, 52, 64],
          [7, 52, 64],
          [6, 48, 16],
        ] as const) {
          const bytes = Math.max(8 * 2 ** indexBits, minimum);
          test(`stage ${stage}, ${kib(granule)}, ${2 ** indexBits} entries, output size code ${code}, OAS ${oas}: ${bytes} bytes`, () => {
            const bench = new Bench({ oas });
            const table = bench.pageTable(stage, granule, { inputBits, startLevel: level });
            // An odd multiple of the alignment, and all the bits below it that the field has.
            const where = 0x4800_0000 + bytes;
            const field = where + bytes - 16;
            if (stage === 1) bench.stage1(0, table, { TTB0: field, IPS: code });
            else bench.streams.write(0, stage2Ste(table, { S2TTB: field, S2PS: code }));
            bench.loads.length = 0;
            expect(bench.result(0)).toBe("F_TRANSLATION");
            expect(bench.loads.at(-1)).toEqual({ kind: `tt-s${stage}`, address: where });
          });
        }
      }
    }
  }

  test("sixteen concatenated tables of 64 KiB granules are aligned to 1 MiB", () => {
    const bench = new Bench();
    const table = bench.pageTable(2, 16, { inputBits: 46, startLevel: 2 });
    bench.streams.write(0, stage2Ste(table, { S2TTB: 0x480f_fff0 }));
    bench.result(0);
    expect(bench.loads.at(-1)).toEqual({ kind: "tt-s2", address: 0x4800_0000 });
  });
});
