// SPDX-License-Identifier: MIT
/** Memory attributes of translations, against tables written from IHI 0070 §13.1 and §13.5; overrides are in structures/overrides.test.ts. */
import { describe, expect, test } from "vitest";
import type { SmmuConfig } from "../../../../src/hw/smmuv3/config/config.ts";
import { nestedSte, stage1Cd, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench } from "./bench.ts";

const VA = 0x7000;
const PA = 0x5000_0000;

/** MAIR bytes. */
const nGnRnE = 0x00;
const nGnRE = 0x04;
const nGRE = 0x08;
const GRE = 0x0c;
const NC = 0x44;
const WT = 0xbb;
const WB = 0xff;
/** Outer WB, inner NC. */
const oWB_iNC = 0xf4;
const OSH = 2;
const ISH = 3;
const NSH = 0;

function out(bench: Bench): [type: number, shareability: number] {
  const { tx, event } = bench.go(VA);
  expect(event).toBeUndefined();
  return [tx.attributes, tx.shareability];
}

describe("stage 1: MAIR and the descriptor's SH", () => {
  function stage1(mair: number, sh: number, ste: Record<string, number> = {}): Bench {
    const bench = new Bench();
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000, { attrIndx: 0, sh });
    bench.stage1(0, table, { MAIR0: mair }, ste);
    return bench;
  }
  for (const [mair, type, sh, shareability] of [
    [WB, WB, 3, ISH],
    [WB, WB, 0, NSH],
    [WB, WB, 1, NSH],
    [WT, WT, 2, OSH],
    [NC, NC, 3, OSH],
    [oWB_iNC, oWB_iNC, 3, ISH],
    [nGnRE, nGnRE, 0, OSH],
    [0x77, 0x77, 3, ISH],
    [0x33, 0x33, 3, ISH],
    [0xcc, 0xcc, 3, ISH],
  ] as const) {
    test(`MAIR 0x${mair.toString(16)}, SH ${sh}`, () => expect(out(stage1(mair, sh))).toEqual([type, shareability]));
  }
  for (const [mair, type] of [
    [0x01, nGnRnE],
    [0x07, nGnRE],
    [0x0b, nGRE],
    [0x0f, GRE],
  ] as const) {
    test(`the UNPREDICTABLE MAIR 0x${mair.toString(16)} is Device 0x${type.toString(16)} (§5.4)`, () =>
      expect(out(stage1(mair, 3))[0]).toBe(type));
  }
  for (const mair of [0x40, 0xf0, 0x80]) {
    test(`the UNPREDICTABLE MAIR 0x${mair.toString(16)} has inner Write-Through transient (§5.4)`, () =>
      expect(out(stage1(mair, 3))[0]).toBe(mair | 3));
  }
  for (const [AIE, config] of [
    [1, {}],
    [0, {}],
    [1, { aie: false }],
  ] as const) {
    for (const index of [0, 3, 7, 8, 11, 15]) {
      const byte = AIE === 1 && !("aie" in config) ? Math.min(index, 7) : index & 7;
      const name = `§5.4 MAIR: AIE ${AIE}${"aie" in config ? ", not implemented" : ""}: AttrIndx ${index} is byte ${byte}`;
      test(`${name}, also from the TLB`, () => {
        const bench = new Bench(config);
        const table = bench.pageTable(1);
        table.map(VA, PA, 0x1000, { attrIndx: index });
        const mair = [0, 0];
        mair[byte >> 2] = (0xbb << (8 * (byte & 3))) >>> 0;
        bench.stage1(0, table, { MAIR0: mair[0]!, MAIR1: mair[1]!, AIE });
        expect([out(bench), out(bench)]).toEqual([
          [WT, ISH],
          [WT, ISH],
        ]);
      });
    }
  }
  for (const index of [0, 1, 2, 3, 4, 5, 6, 7]) {
    test(`AttrIndx ${index} picks byte ${index} of MAIR`, () => {
      const bench = new Bench();
      const table = bench.pageTable(1);
      table.map(VA, PA, 0x1000, { attrIndx: index });
      const mair = [0, 0];
      mair[index >> 2] = (0xbb << (8 * (index & 3))) >>> 0;
      bench.stage1(0, table, { MAIR0: mair[0]!, MAIR1: mair[1]! });
      expect(out(bench)).toEqual([WT, ISH]);
    });
  }
  test("STE type and shareability overrides have no effect on translated traffic", () => {
    expect(out(stage1(WB, 3, { MTCFG: 1, MemAttr: 15, SHCFG: 0 }))).toEqual([WB, ISH]);
  });
});

/** Type of stage 1 (MAIR) and MemAttr of stage 2: the stronger wins, each cache level for itself (§13.1.5). */
const COMBINED: readonly (readonly [s1: number, memAttr: number, type: number])[] = [
  [WB, 15, WB],
  [WB, 10, WT],
  [WB, 5, NC],
  [WB, 1, nGnRE],
  [WT, 15, WT],
  [NC, 15, NC],
  [oWB_iNC, 15, oWB_iNC],
  [WB, 13, oWB_iNC],
  [oWB_iNC, 6, 0x44],
  [nGnRE, 15, nGnRE],
  [nGnRE, 0, nGnRnE],
  [nGnRnE, 3, nGnRnE],
  [GRE, 2, nGRE],
  [0x77, 15, 0x77],
  [0xee, 10, 0xaa],
  [WB, 8, nGnRnE],
];

/** With S2FWB (§13.1.6): 0xx Device, 101 NC, 110 WB, 111 as stage 1. */
const FORCED: readonly (readonly [s1: number, memAttr: number, type: number])[] = [
  [WB, 0, nGnRnE],
  [WB, 3, GRE],
  [nGnRnE, 3, nGnRnE],
  [GRE, 1, nGnRE],
  [WB, 5, NC],
  [nGnRE, 5, nGnRE],
  [WB, 6, WB],
  [NC, 6, WB],
  [nGnRnE, 6, WB],
  [WT, 6, WB],
  [0x77, 6, 0x77],
  [0xee, 6, 0xee],
  [WB, 7, WB],
  [NC, 7, NC],
  [nGnRE, 7, nGnRE],
  [0x33, 7, 0x33],
];

describe("two stages", () => {
  function nested(mair: number, sh1: number, memAttr: number, sh2: number, fwb: number, config: Partial<SmmuConfig> = {}): Bench {
    const bench = new Bench(config);
    const s1 = bench.pageTable(1);
    s1.map(VA, 0x4800_0000, 0x1000, { sh: sh1 });
    const s2 = bench.pageTable(2, 12, { inputBits: 40 });
    s2.map(0x4000_0000, 0x4000_0000, 0x20_0000);
    s2.map(0x4800_0000, PA, 0x1000, { memAttr, sh: sh2 });
    bench.streams.write(0, nestedSte(bench.placeCd(stage1Cd({ ttb0: s1 }, { MAIR0: mair })), s2, { S2FWB: fwb }));
    return bench;
  }
  for (const [rows, fwb] of [
    [COMBINED, 0],
    [FORCED, 1],
  ] as const) {
    for (const [s1, memAttr, type] of rows) {
      test(`S2FWB ${fwb}: stage 1 0x${s1.toString(16)}, MemAttr ${memAttr}: 0x${type.toString(16)}, also from the TLB`, () => {
        const bench = nested(s1, 3, memAttr, 3, fwb);
        expect(out(bench)[0]).toBe(type);
        expect(out(bench)[0]).toBe(type);
      });
    }
  }
  // §3.23.1: codes that have the NoTagAccess attribute count as the ones of the same type without it.
  for (const [fwb, code, same] of [
    [0, 4, 15],
    [1, 14, 6],
    [1, 15, 7],
  ] as const) {
    for (const s1 of [WB, WT, NC, 0x77, nGnRE, nGnRnE]) {
      test(`MTEPERM, S2FWB ${fwb}: MemAttr ${code} over 0x${s1.toString(16)} is as ${same}, also from the TLB`, () => {
        const [type] = out(nested(s1, 3, same, 3, fwb));
        const bench = nested(s1, 3, code, 3, fwb);
        expect([out(bench)[0], out(bench)[0]]).toEqual([type, type]);
      });
    }
  }
  test("without MTEPERM MemAttr 4 is reserved: Device-nGnRnE (choice)", () => {
    expect(out(nested(WB, 3, 4, 3, 0, { mteperm: false, version: 3 }))[0]).toBe(nGnRnE);
  });
  for (const [a, b, expected] of [
    [0, 0, NSH],
    [0, 3, ISH],
    [3, 0, ISH],
    [3, 3, ISH],
    [0, 2, OSH],
    [2, 0, OSH],
    [2, 3, OSH],
    [3, 2, OSH],
    [2, 2, OSH],
    [1, 0, NSH],
  ] as const) {
    test(`SH ${a} and ${b}: ${expected}`, () => expect(out(nested(WB, a, 15, b, 0))).toEqual([WB, expected]));
  }
});

describe("stage 2 only: the incoming attributes, overridden, combine with stage 2 (§13.5)", () => {
  function stage2(memAttr: number, sh: number, ste: Record<string, number>): Bench {
    const bench = new Bench();
    const table = bench.pageTable(2, 12, { inputBits: 40 });
    table.map(VA, PA, 0x1000, { memAttr, sh });
    bench.streams.write(0, stage2Ste(table, ste));
    return bench;
  }
  for (const [name, memAttr, sh, ste, type, shareability] of [
    ["incoming", 15, 3, {}, WB, ISH],
    ["stage 2 Device", 1, 0, {}, nGnRE, OSH],
    ["override NC", 15, 3, { MTCFG: 1, MemAttr: 5 }, NC, OSH],
    ["override SHCFG 2", 15, 3, { SHCFG: 2 }, WB, OSH],
    ["ALLOCCFG read-allocate", 15, 3, { ALLOCCFG: 12 }, 0xee, ISH],
    [
      "S2FWB 110 over an overriding Device: Outer Shareable as such an input is (§13.1.4)",
      6,
      3,
      { S2FWB: 1, MTCFG: 1, MemAttr: 0 },
      WB,
      OSH,
    ],
    ["S2FWB 110 over an overriding Non-cacheable: likewise", 6, 0, { S2FWB: 1, MTCFG: 1, MemAttr: 5, SHCFG: 0 }, WB, OSH],
    ["S2FWB 110 over an overriding Write-through: SHCFG counts", 6, 0, { S2FWB: 1, MTCFG: 1, MemAttr: 10, SHCFG: 3 }, WB, ISH],
  ] as const) {
    test(name, () => expect(out(stage2(memAttr, sh, ste))).toEqual([type, shareability]));
  }
});
