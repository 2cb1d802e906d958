// SPDX-License-Identifier: MIT
/** VMSAv9-128 walks: start levels, strides, skipped levels, kinds of descriptor, sizes (DDI 0487 D8.2.11, D8.3; IHI 0070 §3.4). */
import { describe, expect, test } from "vitest";
import { TableArena } from "../../../../src/hw/smmuv3/tables/memory.ts";
import { leafDescriptor128 } from "../../../../src/hw/smmuv3/tables/page-table128.ts";
import { stage1Cd, stage1Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench } from "./bench.ts";
import { install128, PA, table128, words128 } from "./d128.ts";

const STAGES = [1, 2] as const;
const GRANULES = [12, 14, 16] as const;
const KIB = { 12: "4 KiB", 14: "16 KiB", 16: "64 KiB" } as const;
/** Address bits that one table resolves (Table D8-43). */
const STRIDE = { 12: 8, 14: 10, 16: 12 } as const;

/** Fetches of translation descriptors since the last look. */
function fetches(bench: Bench): number[] {
  const found = bench.loads.filter(({ kind }) => kind.startsWith("tt-")).map(({ address }) => address);
  bench.loads.length = 0;
  return found;
}

/** Regular start levels by TxSZ (Table D8-44). */
const START: Readonly<Record<12 | 14 | 16, readonly (readonly [most: number, least: number, level: number])[]>> = {
  12: [
    [11, 9, -2],
    [19, 12, -1],
    [27, 20, 0],
    [35, 28, 1],
    [43, 36, 2],
    [48, 44, 3],
  ],
  14: [
    [9, 9, -1],
    [19, 10, 0],
    [29, 20, 1],
    [39, 30, 2],
    [48, 40, 3],
  ],
  16: [
    [11, 9, 0],
    [23, 12, 1],
    [35, 24, 2],
    [47, 36, 3],
  ],
};

describe("DDI 0487 D8.2.11.1: the regular start level", () => {
  for (const stage of STAGES) {
    for (const granule of GRANULES) {
      for (const [most, least, level] of START[granule]) {
        for (const txsz of new Set([most, least])) {
          // The input of stage 2 ends with the output size.
          if (stage === 2 && txsz < 12) continue;
          test(`stage ${stage}, ${KIB[granule]}, TxSZ ${txsz}: level ${level}`, () => {
            const bench = new Bench();
            const bits = 64 - txsz;
            const table = table128(bench, stage, granule, { inputBits: bits });
            const last = 2 ** bits - 2 ** granule;
            table.map(last, PA, 2 ** granule);
            install128(bench, table);
            expect(bench.result(last)).toBe(PA);
            expect(fetches(bench).length).toBe(4 - level);
            expect(bench.result(0)).toBe("F_TRANSLATION");
          });
        }
      }
    }
  }
});

describe("a walk by hand", () => {
  /** Bits of an address. */
  const field = (address: bigint, high: number, low: number): number =>
    Number((address >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n));

  for (const granule of GRANULES) {
    test(`${KIB[granule]}: each level takes ${STRIDE[granule]} bits, each entry 16 bytes, the address is bits [55:12]`, () => {
      const bench = new Bench();
      const stride = STRIDE[granule];
      const address = 0x0054_3216_5432_1000n & ~((1n << BigInt(granule)) - 1n);
      // 55 bits of input.
      const tables = { 12: 6, 14: 5, 16: 4 }[granule];
      const first = bench.arena.take(16 * 2 ** 12, 2 ** 16);
      const bases = Array.from({ length: tables }, (_, i) => (i === 0 ? first : bench.arena.take(2 ** granule, 2 ** 16)));
      const expected: number[] = [];
      for (let level = 4 - tables; level <= 3; level++) {
        const low = granule + (3 - level) * stride;
        const high = level === 4 - tables ? 54 : low + stride - 1;
        const at = bases[level - 4 + tables]! + 16 * field(address, high, low);
        expected.push(at);
        const next = level === 3 ? PA : bases[level - 3 + tables]!;
        // Valid; of the page AF, SH and nG.
        bench.write(at, words128(BigInt(next) | 1n | (level === 3 ? 0xf00n : 0n)));
      }
      const cd = stage1Cd({}, { EPD0: 0, AA64: 0, T0SZ: 9, TG0: { 12: 0, 14: 2, 16: 1 }[granule], TTB0: first, IPS: 6, PIIP: 1, PIIU: 1 });
      bench.streams.write(0, stage1Ste(bench.placeCd(cd), { S1PIE: 1 }));
      const { physical, tx } = bench.go(Number(address & 0xffff_ffffn), { hi: Number(address >> 32n) });
      expect(physical).toBe(PA);
      expect(tx.event).toBe(0);
      expect(fetches(bench)).toEqual(expected);
    });
  }

  test("a big-endian descriptor is 16 bytes the other way round", () => {
    for (const stage of STAGES) {
      const bench = new Bench();
      const table = table128(bench, stage, 12, { bigEndian: true, inputBits: 40 });
      table.map(0x1000, PA, 0x1000);
      install128(bench, table);
      expect(bench.result(0x1234)).toBe(PA + 0x234);
      const at = table.entryAddress(0x1000, 3);
      expect(bench.bus.memory.read32(at + 12)).not.toBe(0);
      // Bit 0 is bit 0 of the last byte.
      expect((bench.bus.memory.read32(at + 12) >>> 24) & 1).toBe(1);
    }
  });
});

describe("IHI 0070 §3.4, §5.4: VAs of 55 bits", () => {
  const made = (vax: 52 | 56, txsz: number): Bench => {
    const bench = new Bench({ vax });
    const ttb0 = table128(bench, 1, 12, { inputBits: 55 });
    const ttb1 = table128(bench, 1, 12, { inputBits: 55 });
    ttb0.map(2 ** 55 - 0x1000, PA, 0x1000);
    ttb1.map(0, PA + 0x1000, 0x1000);
    const cd = bench.placeCd(stage1Cd({ ttb0, ttb1 }, { T0SZ: txsz, T1SZ: txsz }));
    bench.streams.write(0, stage1Ste(cd, { S1PIE: 1 }));
    return bench;
  };
  test("TTB0 reaches up to 2^55, TTB1 down to -2^55, chosen by VA[55]", () => {
    const bench = made(56, 9);
    expect(bench.result(0xffff_f000, { hi: 0x007f_ffff })).toBe(PA);
    expect(bench.result(0, { hi: 0xff80_0000 })).toBe(PA + 0x1000);
  });
  test("bits above must be copies of bit 55", () => {
    const bench = made(56, 9);
    for (const hi of [0x017f_ffff, 0x807f_ffff]) expect(bench.result(0xffff_f000, { hi })).toBe("F_TRANSLATION");
    for (const hi of [0xfe80_0000, 0x0080_0000]) expect(bench.result(0, { hi })).toBe("F_TRANSLATION");
  });
  test("VAX 0b01: TxSZ below 12 is ILLEGAL", () => {
    expect(made(52, 9).result(0)).toBe("C_BAD_CD");
    expect(made(52, 12).result(0)).toBe("F_TRANSLATION");
  });
});

describe("SKL at the start: CD.SKL0, CD.SKL1, STE.S2SKL", () => {
  for (const stage of STAGES) {
    for (const [granule, bits, skip, level] of [
      [12, 36, 1, 2],
      [12, 36, 2, 3],
      [12, 28, 1, 3],
      [14, 40, 1, 2],
      [14, 34, 1, 3],
      [16, 41, 1, 2],
    ] as const) {
      test(`stage ${stage}, ${KIB[granule]}, ${bits} bits: ${skip} skipped, the first table is at level ${level}`, () => {
        const bench = new Bench();
        const arena = new TableArena(0x4800_0000, 0x3000_0000);
        const table = table128(bench, stage, granule, { inputBits: bits, skip, arena });
        const last = 2 ** bits - 2 ** granule;
        table.map(last, PA, 2 ** granule);
        install128(bench, table);
        expect(bench.result(last)).toBe(PA);
        const found = fetches(bench);
        expect(found.length).toBe(4 - level);
        // Its last entry.
        expect(found[0]).toBe(table.base + 16 * 2 ** (bits - granule - (3 - level) * STRIDE[granule]) - 16);
      });
    }
  }
  test("SKL1 is for TTB1 alone", () => {
    const bench = new Bench();
    const ttb0 = table128(bench, 1, 12, { inputBits: 36 });
    const ttb1 = table128(bench, 1, 12, { inputBits: 36, skip: 1 });
    ttb0.map(0x1000, PA, 0x1000);
    ttb1.map(2 ** 36 - 0x1000, PA + 0x1000, 0x1000);
    bench.streams.write(0, stage1Ste(bench.placeCd(stage1Cd({ ttb0, ttb1 })), { S1PIE: 1 }));
    expect(bench.result(0x1000)).toBe(PA);
    expect(fetches(bench).length).toBe(3);
    expect(bench.result(0xffff_f000, { hi: 0xffff_ffff })).toBe(PA + 0x1000);
    expect(fetches(bench).length).toBe(2);
  });
});

describe("SKL in a table descriptor: the next level and the size of the next table (DDI 0487 D8.2.11.2)", () => {
  for (const stage of STAGES) {
    for (const [granule, at, skl] of [
      [12, 0, 1],
      [12, 1, 1],
      [12, 0, 2],
      [14, 1, 1],
      [16, 1, 1],
    ] as const) {
      test(`stage ${stage}, ${KIB[granule]}: SKL ${skl} at level ${at}`, () => {
        const bench = new Bench();
        const arena = new TableArena(0x4800_0000, 0x3000_0000);
        const bits = granule + (4 - at) * STRIDE[granule];
        const table = table128(bench, stage, granule, { inputBits: Math.min(bits, 52), arena });
        const last = 2 ** Math.min(bits, 52) - 2 ** granule;
        table.map(last, PA, 2 ** granule, {}, 3, { skl: { [at]: skl } });
        // As far away as the last table reaches, so that all of its index counts.
        const width = (at + skl + 1 === 3 ? skl + 1 : 1) * STRIDE[granule];
        const near = last - 2 ** (granule + width - 1);
        table.map(near, PA + 2 ** granule, 2 ** granule);
        install128(bench, table);
        expect(bench.result(last)).toBe(PA);
        const found = fetches(bench);
        expect(found.length).toBe(4 - at - skl);
        // The table has 2^((SKL+1)*stride) entries of 16 bytes, and is as much aligned.
        const size = 16 * 2 ** ((skl + 1) * STRIDE[granule]);
        expect(found[1]! % size).toBe(at + skl + 1 === 3 ? size - 16 : (size - 16) % size);
        // Through the walk cache too: a page of the same last table, and one that is not mapped.
        expect(bench.result(near)).toBe(PA + 2 ** granule);
        expect(fetches(bench).length).toBe(1);
        expect(bench.result(near - 2 ** granule)).toBe("F_TRANSLATION");
        expect(fetches(bench).length).toBe(1);
      });
    }
  }
  test("bits of the address below the size of the next table count as zero", () => {
    const bench = new Bench();
    const table = table128(bench, 1, 12, { inputBits: 36 });
    table.map(0x1000, PA, 0x1000, {}, 3, { skl: { 1: 1 } });
    const [lo, hi, lo2, hi2] = table.read(table.base);
    table.write(table.base, [lo | 0x8_0000, hi, lo2, hi2]);
    install128(bench, table);
    expect(bench.result(0x1000)).toBe(PA);
  });
});

describe("DDI 0487 D8.3: level plus SKL tell the kind, the size decides whether it exists", () => {
  /** Levels of blocks and pages (Table D8-46). */
  const LEAVES = { 12: [0, 1, 2, 3], 14: [1, 2, 3], 16: [1, 2, 3] } as const;
  const LOWEST = { 12: -1, 14: 0, 16: 1 } as const;
  for (const stage of STAGES) {
    for (const granule of GRANULES) {
      for (let level: number = LOWEST[granule]; level <= 3; level++) {
        for (const skl of [0, 1, 2, 3]) {
          const sum = level + skl;
          const kind =
            sum > 3 || (skl === 3 && granule !== 12)
              ? "invalid"
              : sum < 3
                ? "table"
                : LEAVES[granule].some((one) => one === level)
                  ? "leaf"
                  : "invalid";
          test(`stage ${stage}, ${KIB[granule]}, level ${level}, SKL ${skl}: ${kind}`, () => {
            const bench = new Bench();
            // 52 bits, which start at the lowest level that stage 2 can have.
            const table = table128(bench, stage, granule, { inputBits: 52 });
            const at = table.entryAddress(0, level);
            bench.write(at, words128(1n | 0x700n | (BigInt(skl) << 109n)));
            install128(bench, table, {}, {});
            const got = bench.result(0x123);
            // A table at address 0 is in no memory: the fetch aborts.
            expect(got).toBe({ leaf: 0x123, table: "F_WALK_EABT", invalid: "F_TRANSLATION" }[kind]);
          });
        }
      }
    }
  }
  test("bit 0 is 0: invalid, whatever else it says", () => {
    for (const stage of STAGES) {
      const bench = new Bench();
      const table = table128(bench, stage, 12, { inputBits: 40 });
      bench.write(table.entryAddress(0, 3), words128((1n << 128n) - 2n));
      install128(bench, table);
      expect(bench.result(0)).toBe("F_TRANSLATION");
    }
  });
  test("bit 1 is RES0: it does not make a page", () => {
    const bench = new Bench();
    const table = table128(bench, 1, 12, { inputBits: 40 });
    bench.write(table.entryAddress(0, 3), words128(BigInt(PA) | 0x703n));
    install128(bench, table);
    expect(bench.result(5)).toBe(PA + 5);
  });
});

describe("blocks map what Table D8-46 says", () => {
  for (const stage of STAGES) {
    for (const [granule, level, bits] of [
      [12, 0, 36],
      [12, 1, 28],
      [12, 2, 20],
      [12, 3, 12],
      [14, 1, 34],
      [14, 2, 24],
      [14, 3, 14],
      [16, 1, 40],
      [16, 2, 28],
      [16, 3, 16],
    ] as const) {
      test(`stage ${stage}, ${KIB[granule]}, level ${level}: 2^${bits} bytes`, () => {
        const bench = new Bench();
        const table = table128(bench, stage, granule, { inputBits: 48 });
        table.write(table.entryAddress(2 ** bits, level), leafDescriptor128(stage, level, 2 ** 45));
        install128(bench, table);
        expect(bench.result(2 ** bits)).toBe(2 ** 45);
        bench.loads.length = 0;
        expect(bench.result(2 ** (bits + 1) - 1)).toBe(2 ** 45 + 2 ** bits - 1);
        expect(bench.loads).toEqual([]);
        expect(bench.result(2 ** (bits + 1))).toBe("F_TRANSLATION");
        expect(bench.result(2 ** bits - 1)).toBe("F_TRANSLATION");
      });
      if (level < 3)
        test(`stage ${stage}, ${KIB[granule]}, level ${level}: address bits below 2^${bits} of the descriptor count as zero`, () => {
          const bench = new Bench();
          const table = table128(bench, stage, granule, { inputBits: 48 });
          table.write(table.entryAddress(0, level), leafDescriptor128(stage, level, 2 ** 45 + 2 ** (bits - 1)));
          install128(bench, table);
          expect(bench.result(0x777)).toBe(2 ** 45 + 0x777);
        });
    }
  }
});
