// SPDX-License-Identifier: MIT
/** Structures taken apart: values, meanings, what has no effect, what is illegal. Expectations come from IHI 0070 §5 and DDI 0487 D8.3. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CD,
  STE,
  bypassSte,
  buildCd,
  buildSte,
  l1cd,
  l1std,
  leafDescriptor,
  profiles,
  stage1Ste,
  tableDescriptor,
} from "../../../src/hw/index.ts";
import { type Decoded, type DecodedField, decodeCd, decodeL1cd, decodeL1std, decodePte, decodeSte } from "../../../src/interop/index.ts";

const { max, tiny } = profiles;

function field({ fields }: Decoded, name: string): DecodedField {
  const found = fields.find((candidate) => candidate.name === name);
  if (!found) throw new Error(`no field ${name}`);
  return found;
}

const STAGE2 = { V: 1, Config: 6, S2T0SZ: 16, S2SL0: 2, S2PS: 5, S2AA64: 1, S2R: 1, S2VMID: 5, S2TTB: 0x8000_1000 };

describe("STE (IHI 0070 §5.2)", () => {
  test("Config 0b101 is stage 1, and a pointer is shown as a whole address", () => {
    const decoded = decodeSte(stage1Ste(0x4401_2000), max);
    expect(field(decoded, "Config")).toMatchObject({ hi: 3, lo: 1, value: "0x5", says: "stage 1" });
    expect(field(decoded, "S1ContextPtr")).toMatchObject({ value: "0x1100480", address: "0x44012000" });
    expect(decoded).toMatchObject({ legal: true, event: undefined, summary: "Config 0b101, stage 1" });
  });

  test("fields of stage 2 have no effect in a stage-1 STE, with the reason", () => {
    expect(field(decodeSte(stage1Ste(0), max), "S2TTB").ignored).toBe("Config is stage 1");
  });

  test("the incoming-attribute fields have an effect with bypass, the stage-1 ones do not", () => {
    const decoded = decodeSte(bypassSte(), max);
    expect(field(decoded, "SHCFG")).toMatchObject({ ignored: undefined, says: "incoming" });
    expect(field(decoded, "S1DSS").ignored).toBe("Config is bypass");
  });

  test("with S1DSS 0b01 and substreams, transactions may skip stage 1: bypass attributes count", () => {
    expect(field(decodeSte(stage1Ste(0, { S1CDMax: 4, S1DSS: 1 }), max), "SHCFG").ignored).toBeUndefined();
  });

  test("an invalid STE is C_BAD_STE and only V and Config count", () => {
    const decoded = decodeSte(new Uint32Array(16), max);
    expect(decoded).toMatchObject({ legal: false, event: "C_BAD_STE" });
    expect(field(decoded, "S1Fmt").ignored).toBe("V is 0");
    expect(field(decoded, "V").illegal).toBe("V is 0");
  });

  test("Config 0b0xx aborts and is legal whatever the rest says", () => {
    expect(decodeSte(buildSte({ V: 1, Config: 3, S2T0SZ: 63 }), max).legal).toBe(true);
  });

  test("the stage-2 walk is told in words: input, granule, start level, output, table, VMID", () => {
    const { notes } = decodeSte(buildSte(STAGE2), max);
    expect(notes).toContain("stage 2: 48-bit input, 4 KiB granule, start level 0, 48-bit output, table at 0x80001000, VMID 5");
  });

  test("S2SL0 is a start level that depends on S2TG", () => {
    expect(field(decodeSte(buildSte(STAGE2), max), "S2SL0").says).toBe("walks start at level 0");
    expect(field(decodeSte(buildSte({ ...STAGE2, S2TG: 1 }), max), "S2SL0").says).toBe("walks start at level 1");
    expect(field(decodeSte(buildSte({ ...STAGE2, S2SL0: 3 }), max), "S2SL0").says).toBe("walks start at level 3");
    for (const S2TG of [1, 2]) expect(field(decodeSte(buildSte({ ...STAGE2, S2TG, S2SL0: 3 }), max), "S2SL0").says).toBe("reserved");
  });

  test("S2DS gives 4 KiB granules a level -1, by S2SL0_2, and 16 KiB granules a level 0", () => {
    const says = (more: Record<string, number>): string | undefined =>
      field(decodeSte(buildSte({ ...STAGE2, S2DS: 1, ...more }), max), "S2SL0").says;
    expect(says({ S2SL0_2: 1, S2SL0: 0 })).toBe("walks start at level -1");
    expect(says({ S2SL0_2: 1, S2SL0: 1 })).toBe("reserved");
    expect(says({ S2TG: 2, S2SL0: 3 })).toBe("walks start at level 0");
    expect(says({ S2TG: 1, S2SL0: 3 })).toBe("reserved");
  });

  test("a stage-2 walk with LPA2 is told in words; S2DS has no effect where IDR5.DS is 0", () => {
    const words = buildSte({ ...STAGE2, S2DS: 1, S2SL0_2: 1, S2SL0: 0, S2T0SZ: 12, S2PS: 6 });
    expect(decodeSte(words, max).notes).toContain(
      "stage 2: 52-bit input, 4 KiB granule with LPA2, start level -1, 52-bit output, table at 0x80001000, VMID 5",
    );
    expect(decodeSte(words, { ...max, ds: false }).notes[0]).toContain("52-bit input, 4 KiB granule, start level 2");
  });

  test("concatenated first tables are named", () => {
    const { notes } = decodeSte(buildSte({ ...STAGE2, S2T0SZ: 24, S2SL0: 1 }), max);
    expect(notes[0]).toContain("40-bit input, 4 KiB granule, start level 1, 48-bit output, 2 concatenated tables");
  });

  test("an illegal field carries the rule that it breaks", () => {
    const decoded = decodeSte(buildSte({ ...STAGE2, S2T0SZ: 63 }), max);
    expect(field(decoded, "S2T0SZ").illegal).toBe("S2T0SZ is out of range");
    expect(decoded.summary).toContain("C_BAD_STE");
  });

  test("the profile decides: stage 2 is illegal where it is not implemented", () => {
    expect(decodeSte(buildSte(STAGE2), tiny).objections.map(({ id }) => id)).toContain("S2P");
  });

  test("ALLOCCFG is 0b1RWT: a bit that is 1 sets its hint", () => {
    const says = (ALLOCCFG: number): string | undefined => field(decodeSte(bypassSte({ ALLOCCFG }), max), "ALLOCCFG").says;
    expect(says(0b0111)).toBe("incoming");
    expect(says(0b1000)).toBe("no read-allocate, no write-allocate, not transient");
    expect(says(0b1100)).toBe("read-allocate, no write-allocate, not transient");
    expect(says(0b1010)).toBe("no read-allocate, write-allocate, not transient");
    expect(says(0b1111)).toBe("read-allocate, write-allocate, transient");
  });

  test("S1CIR and S1COR tell of read allocation only", () => {
    const says = [0, 1, 2, 3].map((S1CIR) => field(decodeSte(stage1Ste(0, { S1CIR, S1COR: S1CIR }), max), "S1CIR").says);
    expect(says).toEqual(["Non-cacheable", "Write-Back, Read-Allocate", "Write-Through, Read-Allocate", "Write-Back, no Read-Allocate"]);
    expect(field(decodeSte(stage1Ste(0, { S1COR: 3 }), max), "S1COR").says).toBe("Write-Back, no Read-Allocate");
  });

  test("the reserved codes of MemAttr behave as Device-nGnRnE", () => {
    for (const MemAttr of [4, 8, 12])
      expect(field(decodeSte(bypassSte({ MTCFG: 1, MemAttr }), max), "MemAttr").says).toBe("reserved, as Device-nGnRnE");
    expect(field(decodeSte(bypassSte({ MTCFG: 1, MemAttr: 5 }), max), "MemAttr").says).toBe("Normal Non-cacheable");
  });

  test("without SubstreamIDs S1CDMax, S1Fmt and S1DSS are IGNORED, with S1CDMax 0 the two others", () => {
    const ignored = (decoded: Decoded): (string | undefined)[] => ["S1CDMax", "S1Fmt", "S1DSS"].map((name) => field(decoded, name).ignored);
    const words = stage1Ste(0, { S1CDMax: 4, S1DSS: 2 });
    expect(ignored(decodeSte(words, max))).toEqual([undefined, undefined, undefined]);
    expect(ignored(decodeSte(stage1Ste(0), max))).toEqual([undefined, "S1CDMax is 0", "S1CDMax is 0"]);
    for (const reason of ignored(decodeSte(words, profiles["qemu"]!))) expect(reason).toContain("SSIDSIZE is 0");
    expect(decodeSte(words, profiles["qemu"]!).notes).toContain("stage 1: one CD at 0x0");
  });

  test("IMPLEMENTATION DEFINED fields are not reserved bits", () => {
    const words = stage1Ste(0);
    words[3]! |= 1 << 20; // 116
    words[4]! |= 1 << 16; // 144
    words[8]! |= 1; // 256
    const { notes, fields } = decodeSte(words, max);
    expect(notes.join()).not.toContain("reserved bits");
    expect(fields.filter(({ name }) => name === "IMPDEF").map(({ hi, lo, value, ignored }) => [hi, lo, value, ignored])).toEqual([
      [127, 116, "0x1", undefined],
      [159, 144, "0x1", undefined],
      [271, 256, "0x1", undefined],
    ]);
    expect(field(decodeSte(stage1Ste(0), max), "IMPDEF").ignored).toBe("IMPLEMENTATION DEFINED");
  });

  test("reserved bits that are not zero are named", () => {
    const words = stage1Ste(0);
    words[1]! |= 1 << 24;
    expect(decodeSte(words, max).notes.join()).toContain("reserved bits are not zero: 56");
  });
});

describe("CD (IHI 0070 §5.4)", () => {
  const LINUX = Uint32Array.of(0xc000_3510, 0x0002_e204, 0x4401_1000, 0, 0, 0, 0xf404_ff44, 0xffff_ffff, 0, 0, 0, 0, 0, 0, 0, 0);

  test("a CD as Linux writes it: sizes, granule, ASID, fault bits, table", () => {
    const decoded = decodeCd(LINUX, max);
    expect(decoded).toMatchObject({ legal: true, summary: "ASID 0x2, walks through TTB0" });
    expect(decoded.notes).toContain("TTB0: 48-bit input, 4 KiB granule, start level 0, 44-bit output, table at 0x44011000");
    expect(field(decoded, "TTB0").address).toBe("0x44011000");
    expect(field(decoded, "A").says).toBe("faulting transactions: abort");
    expect(field(decoded, "ASET").says).toBe("ASID private to the SMMU");
  });

  test("bytes of MAIR are memory types", () => {
    expect(field(decodeCd(LINUX, max), "MAIR0").says).toBe(
      "0: Normal Non-cacheable; 1: Normal Write-Back, read/write-allocate; 2: Device-nGnRE; 3: Normal outer Write-Back, read/write-allocate; inner Non-cacheable",
    );
  });

  test("TG0 and TG1 are encoded differently", () => {
    const decoded = decodeCd(buildCd({ V: 1, AA64: 1, A: 1, T0SZ: 16, T1SZ: 16, TG0: 1, TG1: 1 }), max);
    expect(field(decoded, "TG0").says).toBe("64 KiB granule");
    expect(field(decoded, "TG1").says).toBe("16 KiB granule");
  });

  test("EPD1 takes the effect from every field of the TTB1 half", () => {
    const decoded = decodeCd(LINUX, max);
    for (const name of ["T1SZ", "TG1", "IR1", "OR1", "SH1", "TBI1", "HAD1", "E0PD1", "TTB1"])
      expect(field(decoded, name).ignored).toBe("EPD1 is 1");
  });

  test("the judgement is made under the STE that leads to the CD: S under S1STALLD is illegal", () => {
    const words = buildCd({ V: 1, AA64: 1, A: 1, EPD0: 1, EPD1: 1, S: 1 });
    const judged = decodeCd(words, { ...max, stallModel: "both" }, stage1Ste(0, { S1STALLD: 1 }));
    expect(judged.objections.map(({ id }) => id)).toContain("S1STALLD");
    expect(judged.notes.join()).not.toContain("plain stage-1 STE");
  });

  test("bits [351:320] are IMPLEMENTATION DEFINED, not reserved", () => {
    const words = LINUX.slice();
    words[10] = 0x8000_0001;
    expect(decodeCd(words, max).notes.join()).not.toContain("reserved bits");
    expect(field(decodeCd(words, max), "IMPDEF")).toMatchObject({ hi: 351, lo: 320, value: "0x80000001" });
  });

  test("a half without a granule is not one without walks: only EPDx says that", () => {
    const open = LINUX.slice();
    open[0]! &= ~(1 << 30);
    expect(decodeCd(open, max).notes.join()).toMatch(/TTB1: EPD1 is 0 and TG1 is reserved, which is ILLEGAL/);
    expect(decodeCd(LINUX, max).notes).toContain("TTB1: no walks (EPD1 is 1)");
  });

  test("R 0 and S 0 is said: faults leave no event", () => {
    expect(decodeCd(buildCd({ V: 1, AA64: 1, A: 1, EPD0: 1, EPD1: 1 }), max).notes).toContain("R is 0: stage-1 faults leave no event");
  });
});

describe("level-1 descriptors (IHI 0070 §5.1, §5.3)", () => {
  test("Span n is an array of 2^(n-1) STEs; 0 and 12 are no array", () => {
    expect(decodeL1std(l1std(0x6b26_0000, 9))).toMatchObject({ summary: "level-2 array of 256 STEs", legal: true });
    expect(decodeL1std(l1std(0, 0))).toMatchObject({ legal: false, event: "C_BAD_STREAMID" });
    expect(decodeL1std(l1std(0x1000, 12))).toMatchObject({ legal: false, event: "C_BAD_STREAMID" });
  });

  test("L2Ptr counts as aligned to the array's size, and that is said where it is not", () => {
    const { notes } = decodeL1std(Uint32Array.of(0x6b26_010b, 0));
    expect(notes[0]).toBe("the array is at 0x6b260000, 64 KiB");
    expect(notes[1]).toMatch(/warning: L2Ptr is not aligned.*0x6b260100/);
    expect(decodeL1std(l1std(0x6b26_0000, 9)).notes).toEqual(["the array is at 0x6b260000, 16 KiB"]);
  });

  test("an invalid L1CD is C_BAD_SUBSTREAMID", () => {
    expect(decodeL1cd(l1cd(0x9000))).toMatchObject({ legal: true });
    expect(decodeL1cd(new Uint32Array(2))).toMatchObject({ legal: false, event: "C_BAD_SUBSTREAMID" });
  });
});

describe("translation table descriptors (DDI 0487 D8.3)", () => {
  const pte = (words: readonly [number, number], stage: 1 | 2, level: number | undefined, granule: 12 | 14 | 16 = 12): Decoded =>
    decodePte(Uint32Array.from(words), { stage, level, granule }, max);

  test("bit 16 is nT in a block and part of the address in a page", () => {
    const names = (level: number, type: number): string[] => pte([0x4501_0740 | type, 0], 1, level).fields.map(({ name }) => name);
    expect(names(3, 3)).not.toContain("nT");
    expect(names(2, 1)).toContain("nT");
  });

  test("bits [1:0] = 0b11 are a table below level 3 and a page at level 3", () => {
    const words = tableDescriptor(0x4503_3000, 12);
    expect(pte(words, 1, 1).summary).toBe("table at level 1, next table 0x45033000");
    expect(pte(words, 1, 3).summary).toContain("page of 4 KiB at level 3, output 0x45033000");
  });

  test("a block maps what one entry of its level covers", () => {
    expect(pte(leafDescriptor(1, 2, 12, 0x4020_0000), 1, 2).summary).toContain("block of 2 MiB at level 2, output 0x40200000");
    expect(pte(leafDescriptor(2, 2, 16, 0x6000_0000), 2, 2, 16).summary).toContain("block of 512 MiB at level 2");
  });

  test("0b01 is reserved at level 3 and at level 0 with 4 KiB", () => {
    for (const level of [0, 3]) expect(pte([1, 0], 1, level)).toMatchObject({ legal: false, event: "F_TRANSLATION" });
  });

  test("bit 0 = 0 is invalid: F_TRANSLATION", () => {
    expect(pte([0xffff_fffe, 0xffff], 1, 2)).toMatchObject({ legal: false, event: "F_TRANSLATION", fields: [] });
  });

  test("AP of stage 1 and S2AP of stage 2 mean different things", () => {
    expect(pte(leafDescriptor(1, 3, 12, 0, { ap: 3 }), 1, 3).summary).toContain("read-only");
    expect(pte(leafDescriptor(2, 3, 12, 0, { ap: 2 }), 2, 3).summary).toContain("write-only");
  });

  test("an Access flag of 0 is said, with the bit that makes it harmless", () => {
    expect(pte(leafDescriptor(1, 3, 12, 0, { af: 0 }), 1, 3).notes[0]).toContain("F_ACCESS unless CD.AFFD");
    expect(pte(leafDescriptor(2, 3, 12, 0, { af: 0 }), 2, 3).notes[0]).toContain("F_ACCESS unless STE.S2AFFD");
  });

  test("LPA2: bits [9:8] and [49:48] are address bits, there is no SH, and blocks have one level more", () => {
    const at = (words: readonly [number, number], stage: 1 | 2, level: number, granule: 12 | 14): Decoded =>
      decodePte(Uint32Array.from(words), { stage, level, granule, ds: true }, max);
    for (const stage of [1, 2] as const) {
      const page = at(leafDescriptor(stage, 3, 12, 0xd_0000_5000_0000, {}, true), stage, 3, 12);
      expect(page.summary).toContain("page of 4 KiB at level 3, output 0xd000050000000");
      expect(page.fields.map(({ name }) => name)).not.toContain("SH");
      expect([field(page, "OA[51:50]").value, field(page, "OA[49:48]").value, field(page, "OA[47:12]").address]).toEqual([
        "0x3",
        "0x1",
        "0xd000050000000",
      ]);
      expect(at(leafDescriptor(stage, 0, 12, 2 ** 50, {}, true), stage, 0, 12).summary).toContain("block of 512 GiB at level 0");
      expect(at(leafDescriptor(stage, 1, 14, 2 ** 50, {}, true), stage, 1, 14).summary).toContain("block of 64 GiB at level 1");
      expect(at(leafDescriptor(stage, 0, 14, 0, {}, true), stage, 0, 14).legal).toBe(false);
      expect(at(tableDescriptor(2 ** 51 + 0x5000, 12, {}, true), stage, -1, 12).summary).toBe(
        "table at level -1, next table 0x8000000005000",
      );
    }
    expect(pte(leafDescriptor(1, 3, 12, 0x5000), 1, 3).fields.map(({ name }) => name)).not.toContain("OA[51:50]");
  });

  test("with 64 KiB granules bits [15:12] are address bits [51:48]", () => {
    expect(pte(leafDescriptor(1, 3, 16, 2 ** 50 + 0x1_0000), 1, 3, 16).summary).toContain("output 0x4000000010000");
  });
});

describe("any structure that the table builders make decodes to the values that it was made of", () => {
  const valuesOf = (structure: typeof STE, d128: boolean): fc.Arbitrary<Record<string, number>> =>
    fc.record(
      Object.fromEntries(
        structure.fields
          .filter((row) => (row.d128 ?? d128) === d128)
          .filter(({ name, hi, lo }) => hi - lo < 32 && !["S1ContextPtr", "S2TTB", "TTB0", "TTB1"].includes(name))
          .map(({ name, hi, lo }) => [name, fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 ** (hi - lo + 1) - 1 }))]),
      ),
    );

  /** Fields that say something else than what the structure was built from. */
  const wrongFields = (decoded: Decoded, values: Readonly<Record<string, number>>): DecodedField[] =>
    decoded.fields.filter(({ name, value }) => value !== `0x${(values[name] ?? 0).toString(16)}`);

  for (const d128 of [false, true]) {
    const format = d128 ? "VMSAv9-128" : "VMSAv8-64";
    test(`STE, stage 2 of ${format} tables`, () => {
      fc.assert(
        fc.property(valuesOf(STE, d128), (some) => {
          const values = { ...some, ...(d128 ? { V: 1, Config: 6 } : {}), S2AA64: d128 ? 0 : 1 };
          expect(wrongFields(decodeSte(buildSte(values), max), values)).toEqual([]);
        }),
        { numRuns: 60 },
      );
    });

    test(`CD of ${format} tables`, () => {
      fc.assert(
        fc.property(valuesOf(CD, d128), (some) => {
          const values = { ...some, AA64: d128 ? 0 : 1 };
          expect(wrongFields(decodeCd(buildCd(values), max), values)).toEqual([]);
        }),
        { numRuns: 60 },
      );
    });
  }

  test("pointers of both, as whole addresses", () => {
    const pointer = fc.integer({ min: 0, max: 2 ** 46 - 1 }).map((page) => page * 64);
    fc.assert(
      fc.property(pointer, pointer, (a, b) => {
        expect(field(decodeSte(buildSte({ V: 1, Config: 7, S1ContextPtr: a, S2TTB: b }), max), "S1ContextPtr").address).toBe(
          `0x${a.toString(16)}`,
        );
        expect(field(decodeSte(buildSte({ V: 1, Config: 7, S1ContextPtr: a, S2TTB: b }), max), "S2TTB").address).toBe(
          `0x${b.toString(16)}`,
        );
        expect(field(decodeCd(buildCd({ V: 1, TTB0: a, TTB1: b }), max), "TTB1").address).toBe(`0x${b.toString(16)}`);
      }),
      { numRuns: 40 },
    );
  });

  test("leaf descriptors of both stages, all granules and levels", () => {
    const cases = fc.record({
      stage: fc.constantFrom(1, 2) as fc.Arbitrary<1 | 2>,
      place: fc.constantFrom([12, 1], [12, 2], [12, 3], [14, 2], [14, 3], [16, 1], [16, 2], [16, 3]) as fc.Arbitrary<
        readonly [12 | 14 | 16, number]
      >,
      page: fc.integer({ min: 0, max: 2 ** 20 }),
      ap: fc.integer({ min: 0, max: 3 }),
      sh: fc.integer({ min: 0, max: 3 }),
      af: fc.integer({ min: 0, max: 1 }),
    });
    fc.assert(
      fc.property(cases, ({ stage, place: [granule, level], page, ap, sh, af }) => {
        const size = 2 ** (granule + (3 - level) * (granule - 3));
        const output = (page % 2 ** 6) * size;
        const decoded = decodePte(
          Uint32Array.from(leafDescriptor(stage, level, granule, output, { ap, sh, af })),
          { stage, level, granule },
          max,
        );
        expect(field(decoded, "OA[47:12]").address).toBe(`0x${output.toString(16)}`);
        expect(field(decoded, stage === 1 ? "AP" : "S2AP").value).toBe(`0x${ap}`);
        expect(field(decoded, "SH").value).toBe(`0x${sh}`);
        expect(field(decoded, "AF").value).toBe(`0x${af}`);
      }),
      { numRuns: 80 },
    );
  });
});
