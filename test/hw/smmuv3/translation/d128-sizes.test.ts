// SPDX-License-Identifier: MIT
/** Address sizes with VMSAv9-128 tables (IHI 0070 §3.4, §5.2, §5.4; DDI 0487 D8.2.11). */
import { describe, expect, test } from "vitest";
import { stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench } from "./bench.ts";
import { install128, PA, RW, table128, words128 } from "./d128.ts";

const STAGES = [1, 2] as const;

describe("§3.4: output beyond the effective IPS or S2PS is F_ADDR_SIZE", () => {
  for (const stage of STAGES) {
    const name = stage === 1 ? "IPS" : "S2PS";
    for (const [code, bits] of [32, 36, 40, 42, 44, 48, 52, 52].entries()) {
      test(`${name} ${code}: 2^${bits} and bits [55:52] of a page and of a table`, () => {
        const bench = new Bench();
        const table = table128(bench, stage, 12, { inputBits: 36 });
        table.map(0, 2 ** bits - 0x1000, 0x1000);
        for (const [i, output] of [2 ** bits, 2 ** 52, 2 ** 55].entries()) {
          bench.write(table.entryAddress(0x1000 * (i + 1), 3), words128(BigInt(output) | 0x701n));
        }
        for (const [i, output] of [2 ** bits, 2 ** 52, 2 ** 55].entries()) {
          bench.write(table.entryAddress(2 ** 20 * (i + 1), 2), words128(BigInt(output) | 1n));
        }
        install128(bench, table, { [name]: code });
        expect(bench.result(0x123)).toBe(2 ** bits - 0x1000 + 0x123);
        for (const address of [0x1000, 0x2000, 0x3000, 2 ** 20, 2 ** 21, 3 * 2 ** 20])
          expect(bench.go(address).event).toMatchObject({ name: "F_ADDR_SIZE", fields: { S2: stage - 1, CLASS: 2 } });
      });
    }
    test(`stage ${stage}: no granule and no DS is needed for 52 bits`, () => {
      const bench = new Bench({ ds: false, gran64k: false, vax: 48 });
      const table = table128(bench, stage, 12, { inputBits: 36 });
      table.map(0, 2 ** 51, 0x1000);
      install128(bench, table);
      expect(bench.result(1)).toBe(2 ** 51 + 1);
    });
    test(`stage ${stage}: ${name} 6 is capped to an OAS of 44 bits`, () => {
      const bench = new Bench({ oas: 44 });
      const table = table128(bench, stage, 12, { inputBits: 36 });
      table.map(0, 2 ** 44, 0x1000);
      install128(bench, table, { [name]: 6 });
      expect(bench.result(0)).toBe("F_ADDR_SIZE");
    });
    test(`stage ${stage}: a block larger than the output size may be used up to that size`, () => {
      const bench = new Bench();
      const table = table128(bench, stage, 12, { inputBits: 40 });
      table.map(0, 0, 2 ** 36, {}, 0);
      install128(bench, table, { [name]: 0 });
      expect(bench.result(0xffff_f000)).toBe(0xffff_f000);
      expect(bench.result(2 ** 32)).toBe("F_ADDR_SIZE");
    });
    test(`stage ${stage}: a first table larger than the output size faults where its entries are beyond it (D8.2.11.1)`, () => {
      const bench = new Bench();
      // 2^28 entries of 16 bytes from address 0 on, where entry 2^28 - 1 is at 2^32 - 16; of them RAM has a part.
      const base = 0;
      const bits = 12 + 29;
      const place = 0x4000_0000 + 0x1000_0000;
      bench.write(place, words128(BigInt(PA) | 0x701n));
      const address = (place / 16) * 0x1000;
      const first = stage === 1 ? { TTB0: base, T0SZ: 64 - bits, SKL0: 3 } : { S2TTB: base, S2T0SZ: 64 - bits, S2SKL: 3 };
      const table = table128(bench, stage, 12, { inputBits: 20 });
      bench.s2pii[0] = RW;
      if (stage === 1) bench.streams.write(0, stage1Ste(bench.placeCd(stage1Cd({ ttb0: table }, { ...first, IPS: 0 })), { S1PIE: 1 }));
      else bench.streams.write(0, stage2Ste(table, { ...first, S2PS: 0 }));
      expect(bench.result(address + 5)).toBe(PA + 5);
      expect(bench.result(2 ** (bits - 1))).toBe("F_ADDR_SIZE");
    });
  }
});

describe("§5.4 TTB0, §5.2 S2TTB: bits [55:4], of which those of the first table's size count as zero", () => {
  for (const stage of STAGES) {
    const field = stage === 1 ? "TTB0" : "S2TTB";
    for (const [bits, entries] of [
      [16, 16],
      [18, 64],
      [20, 256],
    ] as const) {
      test(`stage ${stage}, ${bits} bits: ${16 * entries} bytes`, () => {
        const bench = new Bench();
        const table = table128(bench, stage, 12, { inputBits: bits });
        table.map(0, PA, 0x1000);
        install128(bench, table, { [field]: table.base + 8 * entries });
        expect(bench.result(9)).toBe(PA + 9);
      });
    }
    test(`stage ${stage}: bit 4 of the base never counts: the smallest first table has two entries`, () => {
      const bench = new Bench();
      const table = table128(bench, stage, 16, { inputBits: 17 });
      table.map(0, PA, 0x1_0000);
      install128(bench, table, { [field]: table.base + 16 });
      expect(bench.result(9)).toBe(PA + 9);
    });
    test(`stage ${stage}: a base beyond the output size is ILLEGAL`, () => {
      const bench = new Bench();
      const table = table128(bench, stage, 12, { inputBits: 20 });
      install128(bench, table, { [field]: 2 ** 40, [stage === 1 ? "IPS" : "S2PS"]: 2 });
      expect(bench.result(0)).toBe(stage === 1 ? "C_BAD_CD" : "C_BAD_STE");
    });
    for (const bit of [52, 53, 54, 55]) {
      test(`stage ${stage}: bit ${bit} of the base is ILLEGAL; with VMSAv8-64 tables it is RES0`, () => {
        const bench = new Bench();
        const table = table128(bench, stage, 12, { inputBits: 20 });
        install128(bench, table, { [`${field}[55:52]`]: 2 ** (bit - 52) });
        expect(bench.result(0)).toBe(stage === 1 ? "C_BAD_CD" : "C_BAD_STE");
        const plain = new Bench();
        const old = plain.pageTable(stage, 12, { inputBits: 39 });
        old.map(0, PA, 0x1000);
        const fields = { [`${field}[55:52]`]: 2 ** (bit - 52) };
        if (stage === 1) plain.stage1(0, old, fields);
        else plain.streams.write(0, stage2Ste(old, fields));
        expect(plain.result(0)).toBe(PA);
      });
    }
  }
});

describe("§5.2 S2T0SZ: 64 - IAS to 48, with 64 KiB granules 47", () => {
  for (const [oas, least] of [
    [52, 12],
    [48, 16],
    [44, 20],
    [32, 32],
  ] as const) {
    for (const granule of [12, 16] as const) {
      const most = granule === 16 ? 47 : 48;
      test(`OAS ${oas}, ${2 ** (granule - 10)} KiB granules`, () => {
        const judged = (S2T0SZ: number): unknown => {
          const bench = new Bench({ oas, vax: 52 });
          const table = table128(bench, 2, granule, { inputBits: 32 });
          install128(bench, table, { S2T0SZ, S2TTB: 0x4000_0000 });
          return bench.result(0);
        };
        expect([judged(least - 1), judged(most + 1)]).toEqual(["C_BAD_STE", "C_BAD_STE"]);
        expect([judged(least), judged(most)]).not.toContain("C_BAD_STE");
      });
    }
  }
  test("an input beyond 64 - S2T0SZ bits is F_TRANSLATION of stage 2", () => {
    const bench = new Bench();
    const table = table128(bench, 2, 12, { inputBits: 36 });
    install128(bench, table);
    expect(bench.go(2 ** 36).event).toMatchObject({ name: "F_TRANSLATION", fields: { S2: 1, CLASS: 2 } });
  });
});

describe("§5.2 S2SKL, §5.4 SKLx: a start level beyond 3 is ILLEGAL", () => {
  /** Regular start levels by input bits, 4 KiB granules (Table D8-44). */
  for (const [bits, regular] of [
    [52, -1],
    [44, 0],
    [36, 1],
    [28, 2],
    [20, 3],
  ] as const) {
    for (const skip of [0, 1, 2, 3]) {
      const legal = regular + skip <= 3;
      test(`${bits} bits, SKL ${skip}: ${legal ? "legal" : "ILLEGAL"}`, () => {
        for (const stage of STAGES) {
          const bench = new Bench();
          const table = table128(bench, stage, 12, { inputBits: 20 });
          const fields =
            stage === 1 ? { T0SZ: 64 - bits, SKL0: skip, TTB0: 0x4000_0000 } : { S2T0SZ: 64 - bits, S2SKL: skip, S2TTB: 0x4000_0000 };
          install128(bench, table, fields);
          const bad = stage === 1 ? "C_BAD_CD" : "C_BAD_STE";
          if (legal) expect(bench.result(0)).not.toBe(bad);
          else expect(bench.result(0)).toBe(bad);
        }
      });
    }
  }
  test("SKL0 is IGNORED where EPD0 is 1, and with VMSAv8-64 tables", () => {
    const bench = new Bench();
    const ttb1 = table128(bench, 1, 12, { inputBits: 36 });
    ttb1.map(0, PA, 0x1000);
    bench.streams.write(0, stage1Ste(bench.placeCd(stage1Cd({ ttb1 }, { SKL0: 3, T0SZ: 44 })), { S1PIE: 1 }));
    expect(bench.result(0, { hi: 0xffff_fff0 })).toBe(PA);
    const old = bench.pageTable(1, 12, { inputBits: 30 });
    old.map(0, PA, 0x1000);
    bench.stage1(1, old, { SKL0: 3, SKL1: 3 });
    expect(bench.result(0, { sid: 1 })).toBe(PA);
  });
});
