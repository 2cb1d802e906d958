// SPDX-License-Identifier: MIT
/** Every stage-2 start level with every size, legal or not, and the walks of all legal ones (IHI 0070 §5.2; DDI 0487 D8.2). */
import { describe, expect, test } from "vitest";
import type { GranuleBits } from "../../../../src/hw/smmuv3/translation/address-size.ts";
import { type AddressSize, profiles, type SmmuConfig } from "../../../../src/hw/smmuv3/config/config.ts";
import { SteFields } from "../../../../src/hw/smmuv3/config/ste-fields.ts";
import { brokenSteRule } from "../../../../src/hw/smmuv3/config/ste-rules.ts";
import { buildSte, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench } from "./bench.ts";

type Need = "DS" | "STT" | undefined;

/**
 * Tables D8-20 to D8-24, D8-30 to D8-33 and D8-39 to D8-41 of DDI 0487, one row of permitted configurations each: granule, start
 * level, S2T0SZ from and to, what they need. S2T0SZ below 16 with 64 KiB needs FEAT_LPA, which the range of S2T0SZ by OAS covers.
 */
const PERMITTED: readonly (readonly [granule: GranuleBits, level: number, from: number, to: number, need: Need])[] = [
  [12, -1, 12, 15, "DS"],
  [12, 0, 16, 24, undefined],
  [12, 0, 12, 15, "DS"],
  [12, 1, 21, 33, undefined],
  [12, 2, 40, 42, "STT"],
  [12, 2, 30, 39, undefined],
  [12, 3, 39, 48, "STT"],
  [14, 0, 12, 16, "DS"],
  [14, 1, 16, 27, undefined],
  [14, 1, 13, 15, "DS"],
  [14, 2, 24, 38, undefined],
  [14, 3, 40, 48, "STT"],
  [14, 3, 35, 39, undefined],
  [16, 1, 12, 21, undefined],
  [16, 2, 18, 34, undefined],
  [16, 3, 40, 47, "STT"],
  [16, 3, 31, 39, undefined],
];

/** Tables D8-19, D8-29, D8-38: SL2 and SL0 to level; "" is reserved. */
const LEVELS: Readonly<Record<GranuleBits, Readonly<Record<string, number>>>> = {
  12: { "000": 2, "001": 1, "010": 0, "011": 3, "100": -1 },
  14: { "000": 3, "001": 2, "010": 1, "011": 0 },
  16: { "000": 3, "001": 2, "010": 1 },
};

/** AArch64.S2InvalidSL of DDI 0487: start levels that an implemented PA size is too small for. */
const SMALLEST_PA: Readonly<Record<string, number>> = { "12 0": 44, "12 -1": 52, "14 1": 42, "14 0": 52, "16 1": 44 };

const GRANULES: readonly (GranuleBits | undefined)[] = [12, 16, 14, undefined];
const SIZES: readonly AddressSize[] = [32, 36, 40, 42, 44, 48, 52];

interface Fields {
  readonly S2TG: number;
  readonly S2SL0: number;
  readonly S2SL0_2: number;
  readonly S2DS: number;
  readonly S2T0SZ: number;
}

function legal({ S2TG, S2SL0, S2SL0_2, S2DS, S2T0SZ }: Fields, { oas, stt, ds }: SmmuConfig): boolean {
  const granule = GRANULES[S2TG];
  if (granule === undefined) return false;
  // §5.2 S2DS: RES0 with 64 KiB granules and where IDR5.DS is 0. S2SL0: S2SL0_2 counts with 4 KiB granules and S2DS.
  const large = ds && S2DS === 1 && granule !== 16;
  const code = `${granule === 12 && large ? S2SL0_2 : 0}${S2SL0.toString(2).padStart(2, "0")}`;
  const level = LEVELS[granule][code];
  if (level === undefined || oas < (SMALLEST_PA[`${granule} ${level}`] ?? 0)) return false;
  // §5.2 S2T0SZ: IAS is OAS, for there are VMSAv8-64 tables only.
  if (S2T0SZ < Math.max(granule === 16 || large ? 12 : 16, 64 - oas)) return false;
  return PERMITTED.some(
    ([g, l, from, to, need]) =>
      g === granule && l === level && S2T0SZ >= from && S2T0SZ <= to && (need === undefined || (need === "DS" ? large : stt)),
  );
}

describe("IHI 0070 §5.2.2: S2TG, S2DS, S2SL0_2, S2SL0 and S2T0SZ in every combination", () => {
  for (const oas of SIZES) {
    for (const stt of [false, true]) {
      for (const ds of [false, true]) {
        const config: SmmuConfig = { ...profiles.max, oas, stt, ds };
        test(`OAS ${oas}, ${stt ? "" : "no "}small tables, ${ds ? "" : "no "}LPA2: exactly those of DDI 0487 D8.2 are legal`, () => {
          const wrong: Fields[] = [];
          for (let code = 0; code < 64; code++) {
            const some = { S2TG: code & 3, S2SL0: (code >> 2) & 3, S2SL0_2: (code >> 4) & 1, S2DS: code >> 5 };
            const fields = new SteFields(buildSte({ V: 1, Config: 6, S2AA64: 1, S2PS: 5, ...some }));
            for (let S2T0SZ = 0; S2T0SZ < 64; S2T0SZ++) {
              const judged = Object.assign(Object.create(SteFields.prototype) as SteFields, fields, { S2T0SZ });
              if ((brokenSteRule(judged, config) === undefined) !== legal({ ...some, S2T0SZ }, config)) wrong.push({ ...some, S2T0SZ });
            }
          }
          expect(wrong).toEqual([]);
        });
      }
    }
  }

  test("S2DS 0: S2SL0_2 has no effect, 4 KiB walks of {1, 0b00} start at level 2", () => {
    const bench = new Bench();
    const table = bench.pageTable(2, 12, { inputBits: 34, startLevel: 2 });
    table.map(2 ** 34 - 0x1000, 0x5000_0000, 0x1000);
    bench.streams.write(0, stage2Ste(table, { S2SL0_2: 1 }));
    expect(bench.result(2 ** 34 - 1)).toBe(0x5000_0fff);
  });

  test("64 KiB granules: S2DS and S2SL0_2 have no effect, 4 TiB blocks and shareability stay", () => {
    const bench = new Bench();
    const table = bench.pageTable(2, 16, { inputBits: 52 });
    table.map(0, 2 ** 51, 2 ** 42, { sh: 2 }, 1);
    bench.streams.write(0, stage2Ste(table, { S2DS: 1, S2SL0_2: 1, S2SH0: 3 }));
    const { physical, tx } = bench.go(0x10);
    expect([physical, tx.shareability]).toEqual([2 ** 51 + 0x10, 2]);
  });
});

describe("DDI 0487 D8.2: the walk of every legal configuration", () => {
  for (const [granule, startLevel, from, to, need] of PERMITTED) {
    for (let S2T0SZ = from; S2T0SZ <= to; S2T0SZ++) {
      for (const ds of need === "DS" ? [true] : granule === 16 ? [false] : [false, true]) {
        const inputBits = 64 - S2T0SZ;
        test(`${2 ** granule / 1024} KiB${ds ? " with S2DS" : ""}, level ${startLevel}, S2T0SZ ${S2T0SZ}: first page, last page, none beyond`, () => {
          const bench = new Bench();
          const page = 2 ** granule;
          const table = bench.pageTable(2, granule, { inputBits, startLevel, ds });
          const top = 2 ** (ds || granule === 16 ? 52 : 48) - page;
          table.map(0, top, page);
          table.map(2 ** inputBits - page, 0x5000_0000, page);
          bench.streams.write(0, stage2Ste(table));
          expect(bench.result(page - 1)).toBe(top + page - 1);
          bench.loads.length = 0;
          expect(bench.result(2 ** inputBits - 1)).toBe(0x5000_0000 + page - 1);
          expect(bench.loads.map(({ kind }) => kind)).toEqual(Array(4 - startLevel).fill("tt-s2"));
          expect(bench.loads[0]!.address).toBe(table.base + 8 * 2 ** (inputBits - granule - (3 - startLevel) * (granule - 3)) - 8);
          if (inputBits < 52) expect(bench.go(2 ** inputBits).event).toMatchObject({ name: "F_TRANSLATION", fields: { S2: 1, CLASS: 2 } });
        });
      }
    }
  }
});
