// SPDX-License-Identifier: MIT
/** Fields whose feature a profile has not got are marked as without effect; bits of table descriptors that are software's are not reserved. */
import { describe, expect, test } from "vitest";
import { profiles, stage1Ste, nestedSte, PageTable, PhysicalMemory, TableArena, stage1Cd } from "../../../src/hw/index.ts";
import { decodeCd, decodePte, decodeSte } from "../../../src/interop/index.ts";

const memory = new PhysicalMemory();
const arena = new TableArena(0x1_0000, 0x10_0000);
const stage2 = new PageTable({ memory, arena, stage: 2, granule: 12, inputBits: 40, startLevel: 1 });
const stage1 = new PageTable({ memory, arena, stage: 1, granule: 12 });

describe("fields of features that are not there (IHI 0070 §5.2, §5.4)", () => {
  const ste = decodeSte(nestedSte(0x1000, stage2, { S1PIE: 1, S2HAFT: 0, TL1: 1, PRIVCFG: 2, SHCFG: 2 }), profiles.qemu);
  const why = (name: string): string | undefined => ste.fields.find((field) => field.name === name)?.ignored;

  test.each([
    ["S1PIE", "IDR3.S1PI"],
    ["TL1", "IDR3.THE"],
    ["PRIVCFG", "IDR1.ATTR_PERMS_OVR"],
    ["S2DS", "IDR5.DS"],
  ])("STE.%s has no effect without %s", (name, bits) => expect(why(name)).toContain(bits));

  test("STRW has no effect without IDR0.Hyp", () => {
    const { fields } = decodeSte(stage1Ste(0x1000, { STRW: 2 }), profiles.qemu);
    expect(fields.find(({ name }) => name === "STRW")?.ignored).toContain("IDR0.Hyp");
  });

  test("CD.EPAN has no effect without IDR3.EPAN, and has one where it is", () => {
    const words = stage1Cd({ ttb0: stage1 }, { EPAN: 1 });
    const of = (profile: "qemu" | "max"): string | undefined =>
      decodeCd(words, profiles[profile]).fields.find(({ name }) => name === "EPAN")?.ignored;
    expect(of("qemu")).toContain("IDR3.EPAN");
    expect(of("max")).toBeUndefined();
  });
});

describe("table descriptors (DDI 0487 D8.3.1)", () => {
  const place = { level: 1, granule: 12 } as const;
  const objections = (stage: 1 | 2, lo: number, hi: number): string =>
    JSON.stringify(decodePte(Uint32Array.of(lo, hi), { ...place, stage }, profiles.max));

  test.each([
    ["bits 7:2", 1, 0x1_00ff, 0],
    ["bits 9:8 and 11 without LPA2", 1, 0x1_0b03, 0],
    ["bit 51", 1, 0x1_0003, 0x8_0000],
    ["bits 58:53", 1, 0x1_0003, 0x07e0_0000],
    ["bits 58:51 of stage 2", 2, 0x1_00ff, 0x07f8_0000],
  ] as const)("%s are for software", (_name, stage, lo, hi) => expect(objections(stage, lo, hi)).not.toContain("reserved"));

  test("bit 50 is reserved", () => expect(objections(1, 0x1_0003, 0x4_0000)).toContain("reserved"));
});
