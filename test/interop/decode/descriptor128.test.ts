// SPDX-License-Identifier: MIT
/** VMSAv9-128 descriptors in words, and walks through them as steps (DDI 0487 D8.3.2). */
import { describe, expect, test } from "vitest";
import {
  BusStatus,
  PageTable128,
  TableArena,
  leafDescriptor128,
  nestedSte,
  profiles,
  stage1Cd,
  stage1Ste,
  stage2Ste,
  tableDescriptor128,
} from "../../../src/hw/index.ts";
import { decodeCd, decodePte128, decodeSte } from "../../../src/interop/index.ts";
import { type Fetch, stepsOf } from "../../../src/interop/explain/steps.ts";
import { Images } from "../explain/machine.ts";

const { max } = profiles;
const place = (level: number | undefined, stage: 1 | 2 = 1, granule: 12 | 14 | 16 = 12) => ({ stage, level, granule, d128: true }) as const;

describe("decodePte128", () => {
  const summary = (words: readonly number[], ...where: Parameters<typeof place>): string =>
    decodePte128(Uint32Array.from(words), place(...where), max).summary;
  test("level and SKL tell the kind", () => {
    expect(summary(tableDescriptor128(0x4000_0000, 1), 0)).toBe("table at level 0, next table 0x40000000, of level 2");
    expect(summary(leafDescriptor128(1, 1, 0x4000_0000, { piIndex: 3 }), 1)).toBe(
      "block of 256 MiB at level 1, output 0x40000000, permissions of entry 3 of CD.PIIP and CD.PIIU",
    );
    expect(summary(leafDescriptor128(2, 3, 0x4000_0000, { piIndex: 5 }), 3, 2)).toBe(
      "page of 4 KiB at level 3, output 0x40000000, permissions of entry 5 of SMMU_S2PII",
    );
    expect(summary(tableDescriptor128(0, 2), 2)).toMatch(/^invalid at level 2, SKL is 2.*F_TRANSLATION/);
    expect(summary(tableDescriptor128(0, 3), -1, 1, 14)).toMatch(/^invalid.*SKL is 3, reserved with this granule/);
    expect(summary([0, 0, 0, 0], 3)).toMatch(/^invalid.*bit 0 is 0/);
  });
  test("fields by name; nT only where SKL is not 0", () => {
    const block = decodePte128(Uint32Array.from(leafDescriptor128(2, 2, 2 ** 50, { poIndex: 6, nT: 1 })), place(2, 2), max);
    const values = Object.fromEntries(block.fields.map(({ name, value }) => [name, value]));
    expect(values).toMatchObject({ POIndex: "0x6", nT: "0x1", SKL: "0x1", MemAttr: "0xf", Dirty: "0x1", AF: "0x1" });
    expect(block.fields.find(({ name }) => name === "OA[55:12]")?.address).toBe("0x4000000000000");
    const page = decodePte128(Uint32Array.from(leafDescriptor128(1, 3, 0)), place(3), max);
    expect(page.fields.some(({ name }) => name === "nT")).toBe(false);
  });
  test("an SMMU without IDR5.D128 is told of", () => {
    const decoded = decodePte128(Uint32Array.from(leafDescriptor128(1, 3, 0)), place(3), profiles["linux-typical"]!);
    expect(decoded.notes.join()).toContain("IDR5.D128 is 0");
  });
});

describe("CDs and STEs over such tables", () => {
  const memory = new Images();
  const arena = new TableArena(0x4000_0000, 0x1000_0000);
  const ttb0 = new PageTable128({ memory, arena, stage: 1, granule: 12, inputBits: 44, skip: 1 });
  const s2 = new PageTable128({ memory, arena, stage: 2, granule: 14, inputBits: 40 });
  test("the shape of the walk, and the fields of the format alone", () => {
    const cd = decodeCd(stage1Cd({ ttb0 }), max, stage1Ste(0, { S1PIE: 1 }));
    expect(cd.legal).toBe(true);
    expect(cd.notes.join()).toContain("TTB0: 44-bit input, 4 KiB granule, 128-bit descriptors, start level 1, 52-bit output");
    const names = cd.fields.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["SKL0", "DisCH0", "TTB0[55:52]"]));
    for (const gone of ["HAD0", "PnCH", "DS", "PIE"]) expect(names).not.toContain(gone);
    const ste = decodeSte(nestedSte(0x4000, s2, { S1PIE: 1 }), max);
    expect(ste.legal).toBe(true);
    expect(ste.notes.join()).toContain("stage 2: 40-bit input, 16 KiB granule, 128-bit descriptors, start level 1, 52-bit output");
    expect(ste.fields.map(({ name }) => name)).toContain("S2SKL");
    expect(ste.fields.map(({ name }) => name)).not.toContain("S2SL0");
  });
});

describe("steps of a walk", () => {
  const IA = 0xfed_cba9_8000;
  for (const stage of [1, 2] as const) {
    for (const bigEndian of [false, true]) {
      test(`stage ${stage}, ${bigEndian ? "big" : "little"}-endian, with a skipped level`, () => {
        const memory = new Images();
        const arena = new TableArena(0x4000_0000, 0x1000_0000);
        const table = new PageTable128({ memory, arena, stage, granule: 12, inputBits: 44, bigEndian });
        table.map(IA, 2 ** 51 + 0x5000, 0x1000, {}, 3, { skl: { 0: 1 } });
        const fetches = [0, 2, 3].map((level): Fetch => {
          const address = table.entryAddress(IA, level);
          const words = Uint32Array.from([0, 4, 8, 12], (offset) => memory.read32(address + offset));
          return { kind: stage === 1 ? "tt-s1" : "tt-s2", address, level, words, status: BusStatus.ok };
        });
        const steps = stepsOf(fetches, {
          config: max,
          streamId: 0,
          index: 0,
          addressHi: Math.floor(IA / 2 ** 32),
          addressLo: IA % 2 ** 32,
          split: undefined,
          e2h: false,
          ste: stage === 1 ? stage1Ste(0, { S1PIE: 1 }) : stage2Ste(table, { S2PS: 5 }),
          cd: stage === 1 ? stage1Cd({ ttb0: table }, { IPS: 5 }) : undefined,
        });
        expect(steps.map(({ title }) => title.slice(0, 16))).toEqual([0, 2, 3].map((level) => `stage ${stage}, level ${level}`));
        if (stage === 1)
          expect(steps.map(({ says }) => says[0])).toEqual([
            "entry 0xfe of the table of TTB0",
            "entry 0xdcba of the next table",
            "entry 0x98 of the next table",
          ]);
        expect(steps.at(-1)!.decoded!.summary).toContain("output 0x8000000005000");
        expect(steps.at(-1)!.says.join()).toContain("beyond the output size of 48 bits: F_ADDR_SIZE");
      });
    }
  }
});
