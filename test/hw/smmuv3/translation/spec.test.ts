// SPDX-License-Identifier: MIT
/** The tables of fields against facts from elsewhere: Linux's masks and QEMU's images, and against themselves. */
import { describe, expect, test } from "vitest";
import { fieldNamed } from "../../../../src/hw/bits/fields.ts";
import { choices } from "../../../../src/hw/smmuv3/choices.ts";
import { CD, L1CD } from "../../../../src/hw/smmuv3/spec/cd.ts";
import { EVENTS } from "../../../../src/hw/smmuv3/spec/events.ts";
import { LEAF_S1, LEAF_S2, TABLE_S1, TABLE_S2 } from "../../../../src/hw/smmuv3/spec/pte.ts";
import { L1STD, STE } from "../../../../src/hw/smmuv3/spec/ste.ts";
import type { Structure } from "../../../../src/hw/smmuv3/spec/structure.ts";
import { Bench } from "./bench.ts";

/** Masks of drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.h, as doubleword and bits. */
const LINUX: readonly (readonly [structure: Structure, field: string, dword: number, hi: number, lo: number])[] = [
  [L1STD, "Span", 0, 4, 0],
  [L1STD, "L2Ptr", 0, 51, 6],
  [STE, "V", 0, 0, 0],
  [STE, "Config", 0, 3, 1],
  [STE, "S1Fmt", 0, 5, 4],
  [STE, "S1ContextPtr", 0, 51, 6],
  [STE, "S1CDMax", 0, 63, 59],
  [STE, "S1DSS", 1, 1, 0],
  [STE, "S1CIR", 1, 3, 2],
  [STE, "S1COR", 1, 5, 4],
  [STE, "S1CSH", 1, 7, 6],
  [STE, "MEV", 1, 19, 19],
  [STE, "S2FWB", 1, 25, 25],
  [STE, "S1STALLD", 1, 27, 27],
  [STE, "EATS", 1, 29, 28],
  [STE, "STRW", 1, 31, 30],
  [STE, "SHCFG", 1, 45, 44],
  [STE, "S2VMID", 2, 15, 0],
  [STE, "S2T0SZ", 2, 37, 32],
  [STE, "S2SL0", 2, 39, 38],
  [STE, "S2IR0", 2, 41, 40],
  [STE, "S2OR0", 2, 43, 42],
  [STE, "S2SH0", 2, 45, 44],
  [STE, "S2TG", 2, 47, 46],
  [STE, "S2PS", 2, 50, 48],
  [STE, "S2AA64", 2, 51, 51],
  [STE, "S2ENDI", 2, 52, 52],
  [STE, "S2PTW", 2, 54, 54],
  [STE, "S2S", 2, 57, 57],
  [STE, "S2R", 2, 58, 58],
  [STE, "S2TTB", 3, 51, 4],
  [L1CD, "V", 0, 0, 0],
  [L1CD, "L2Ptr", 0, 51, 12],
  [CD, "T0SZ", 0, 5, 0],
  [CD, "TG0", 0, 7, 6],
  [CD, "IR0", 0, 9, 8],
  [CD, "OR0", 0, 11, 10],
  [CD, "SH0", 0, 13, 12],
  [CD, "EPD0", 0, 14, 14],
  [CD, "ENDI", 0, 15, 15],
  [CD, "EPD1", 0, 30, 30],
  [CD, "V", 0, 31, 31],
  [CD, "IPS", 0, 34, 32],
  [CD, "TBI0", 0, 38, 38],
  [CD, "AA64", 0, 41, 41],
  [CD, "HD", 0, 42, 42],
  [CD, "HA", 0, 43, 43],
  [CD, "S", 0, 44, 44],
  [CD, "R", 0, 45, 45],
  [CD, "A", 0, 46, 46],
  [CD, "ASET", 0, 47, 47],
  [CD, "ASID", 0, 63, 48],
  [CD, "TTB0", 1, 51, 4],
  [CD, "MAIR0", 3, 31, 0],
  [CD, "MAIR1", 3, 63, 32],
];

describe("Linux's masks", () => {
  for (const [structure, name, dword, hi, lo] of LINUX) {
    test(`${structure.name}.${name} starts at bit ${lo} of doubleword ${dword} and covers [${hi}:${lo}]`, () => {
      const field = fieldNamed(structure.fields, name);
      expect(field.lo).toBe(64 * dword + lo);
      expect(field.hi).toBeGreaterThanOrEqual(64 * dword + hi);
      // Linux stops at the addresses it uses; the architecture's pointers reach up to bit 55.
      if (!name.endsWith("Ptr")) expect(field.hi).toBe(64 * dword + hi);
    });
  }
  // Values of enum event_id and its masks: SSID [31:12], SSV 11, SID [63:32], STAG, Stall, PnU, InD, RnW, S2, CLASS, IPA.
  for (const [number, name] of [
    [0x02, "C_BAD_STREAMID"],
    [0x03, "F_STE_FETCH"],
    [0x04, "C_BAD_STE"],
    [0x06, "F_STREAM_DISABLED"],
    [0x08, "C_BAD_SUBSTREAMID"],
    [0x09, "F_CD_FETCH"],
    [0x0a, "C_BAD_CD"],
    [0x10, "F_TRANSLATION"],
    [0x11, "F_ADDR_SIZE"],
    [0x12, "F_ACCESS"],
    [0x13, "F_PERMISSION"],
    [0x25, "F_VMS_FETCH"],
  ] as const) {
    test(`event 0x${number.toString(16)} is ${name}`, () => expect(EVENTS.find((event) => event.name === name)?.number).toBe(number));
  }
});

describe("every structure", () => {
  for (const structure of [L1STD, STE, L1CD, CD, TABLE_S1, LEAF_S1, TABLE_S2, LEAF_S2]) {
    test(`${structure.name}: fields lie inside, in order, named once`, () => {
      const names = structure.fields.map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
      for (const field of structure.fields) expect(field.hi < structure.words * 32 && field.lo <= field.hi).toBe(true);
    });
  }
  for (const structure of [L1STD, STE, L1CD, CD]) {
    for (const d128 of [false, true]) {
      test(`${structure.name}: fields do not overlap ${d128 ? "with" : "without"} VMSAv9-128 tables`, () => {
        const sorted = structure.fields.filter((field) => (field.d128 ?? d128) === d128).sort((a, b) => a.lo - b.lo);
        expect(sorted.filter((field, i) => i > 0 && field.lo <= sorted[i - 1]!.hi)).toEqual([]);
      });
    }
  }
});

/**
 * The structures of QEMU's iommu-smmuv3-test, word for word: one STE, one CD and one set of tables for both stages. IOVA
 * 0x8080604567 becomes 0x4ECBA567 by stage 1, by stage 2 and by both.
 */
describe("QEMU's test image", () => {
  const leaf = 0x0000_0763;
  for (const [name, config, last] of [
    ["ns-s1-only", 0xb, 0x4ecb_a763],
    ["ns-s2-only", 0xd, 0x4ecb_a7e3],
    ["ns-nested", 0xf, 0x4ecb_a763],
  ] as const) {
    test(name, () => {
      const bench = new Bench({ oas: 44, vax: 48 });
      bench.strtabBase = 0x4e17_9000;
      bench.strtabBaseCfg = 5;
      const ste = new Uint32Array(16);
      ste[0] = (0x4e17_8fc0 | config) >>> 0;
      ste[5] = 0x000d_0094;
      ste[6] = 0x4e4d_0000;
      bench.write(0x4e17_9000 + 64 * 8, ste);
      const cd = new Uint32Array(16);
      cd.set([0xc000_0010, 0x1e20_6204, 0x4e4d_0001, 0, 1]);
      bench.write(0x4e17_8fc0, cd);
      const [l0, l1, l2, l3] = [0x4e4d_0000, 0x4e4d_1000, 0x4e4d_2000, 0x4e4d_3000];
      bench.write(l0 + 8 * 1, [l1 | 3, 0x8000_0000]);
      bench.write(l1 + 8 * 2, [l2 | 3, 0x8000_0000]);
      bench.write(l2 + 8 * 3, [l3 | 3, 0x8000_0000]);
      bench.write(l3 + 8 * 4, [last, 0x0400_0000]);
      // Stage 2 maps tables, CD and target to themselves.
      bench.write(l0, [l1 | 3, 0x8000_0000]);
      bench.write(l1 + 8 * 1, [l2 | 3, 0x8000_0000]);
      for (const [index, address] of [
        [0xd0, l0],
        [0xd1, l1],
        [0xd2, l2],
        [0xd3, l3],
      ] as const) {
        bench.write(l2 + 8 * ((0x4e4d_0000 >>> 21) & 511), [l3 | 3, 0x8000_0000]);
        bench.write(l3 + 8 * index, [(address | leaf) >>> 0, 0x0400_0000]);
      }
      bench.write(l2 + 8 * ((0x4e17_8000 >>> 21) & 511), [l3 | 3, 0x8000_0000]);
      bench.write(l3 + 8 * 0x178, [0x4e17_8763, 0x0400_0000]);
      bench.write(l2 + 8 * ((0x4ecb_a000 >>> 21) & 511), [l3 | 3, 0x8000_0000]);
      bench.write(l3 + 8 * 0xba, [0x4ecb_a7e3, 0x0400_0000]);
      const { physical, event } = bench.go(0x80_8060_4567, { sid: 8, write: true });
      expect(event).toBeUndefined();
      expect(physical).toBe(0x4ecb_a567);
    });
  }
});

describe("choices", () => {
  test("ids are unique, sections and texts are given", () => {
    expect(new Set(choices.map(({ id }) => id)).size).toBe(choices.length);
    for (const choice of choices) {
      expect(choice.section).toMatch(/^§/);
      expect(choice.options.length * choice.ours.length * choice.why.length).toBeGreaterThan(0);
    }
  });
});
