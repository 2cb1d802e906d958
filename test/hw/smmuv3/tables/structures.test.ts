// SPDX-License-Identifier: MIT
/** STEs, CDs, level-1 descriptors, commands and events: wrong arguments are refused with a word on what is expected. */
import { describe, expect, test } from "vitest";
import {
  PageTable,
  buildCd,
  buildCommand,
  buildSte,
  decodeEvent,
  describeEvent,
  judgeCd,
  judgeCommand,
  judgeSte,
  l1cd,
  l1std,
  nestedSte,
  profiles,
  stage1Cd,
  stage1Ste,
  stage2Fields,
  stage2Ste,
} from "../../../../src/hw/index.ts";
import { type Untyped, misuse, places } from "./misuse.ts";

const one = new PageTable({ ...places(), stage: 1, granule: 12 });
const two = new PageTable({ ...places(), stage: 2, granule: 12, inputBits: 40 });

describe("STE and CD", () => {
  test("a field is named as in the specification; another spelling is told the right one", () => {
    expect(() => buildSte({ config: 4 })).toThrow(misuse("UNKNOWN_FIELD", 'STE has no field "config"', "Config is meant"));
    expect(() => buildCd({ nothing: 1 })).toThrow(misuse("UNKNOWN_FIELD", "CD has no field", "T0SZ"));
  });
  test("a value that does not fit its field is refused with the field's range", () => {
    for (const value of [8, -1, 0.5, Number.NaN, "4", undefined] as Untyped[])
      expect(() => buildSte({ Config: value })).toThrow(misuse("FIELD_VALUE", "STE.Config", "0 to 7"));
    expect(() => buildCd({ ASID: 0x1_0000 })).toThrow(misuse("FIELD_VALUE", "CD.ASID", "0x10000", "0xffff"));
  });
  test("IHI 0070 §5.2: a pointer is a whole address, a multiple of its unit", () => {
    expect(buildSte({ S1ContextPtr: 0x8000_0040 })[0]).toBe(0x8000_0040);
    expect(() => buildSte({ S1ContextPtr: 0x8000_0020 })).toThrow(misuse("FIELD_VALUE", "S1ContextPtr", "multiple of 64"));
    expect(() => buildCd({ TTB0: 8 })).toThrow(misuse("FIELD_VALUE", "TTB0", "multiple of 16"));
    expect(() => buildSte({ S2TTB: 2 ** 52 })).toThrow(misuse("FIELD_VALUE", "S2TTB", "0xffffffffffff0"));
  });
  test("the fields are an object", () => {
    for (const values of [null, 3, "V"] as Untyped[]) expect(() => buildSte(values)).toThrow(misuse("FIELD_VALUE", "object"));
  });
  test("stage1Ste takes the address of the CD table", () => {
    expect(() => stage1Ste({ base: 64 } as Untyped)).toThrow(misuse("FIELD_VALUE", "S1ContextPtr", "an object"));
    expect(() => stage1Ste(undefined as Untyped)).toThrow(misuse("FIELD_VALUE", "S1ContextPtr", "undefined"));
  });
  for (const [name, make] of [
    ["stage2Ste", stage2Ste],
    ["nestedSte", (table: PageTable) => nestedSte(0x1000, table)],
    ["stage2Fields", stage2Fields],
  ] as const) {
    test(`${name} takes a table of stage 2`, () => {
      expect(() => make(one)).toThrow(misuse("WRONG_TABLE", "stage 2; it is one of stage 1"));
      expect(() => make(0x1000 as Untyped)).toThrow(misuse("WRONG_TABLE", "PageTable of stage 2; it is 0x1000"));
      expect(() => make(undefined as Untyped)).toThrow(misuse("WRONG_TABLE", "undefined"));
      make(two);
    });
  }
  test("stage1Cd takes { ttb0, ttb1 }, tables of stage 1, and says so", () => {
    expect(() => stage1Cd(one as Untyped)).toThrow(misuse("WRONG_TABLE", "stage1Cd({ ttb0: table })"));
    expect(() => stage1Cd({ ttb0: two })).toThrow(misuse("WRONG_TABLE", "ttb0", "stage 1; it is one of stage 2"));
    expect(() => stage1Cd({ ttb1: two })).toThrow(misuse("WRONG_TABLE", "ttb1", "stage 1"));
    expect(() => stage1Cd({ ttbo: one } as Untyped)).toThrow(misuse("WRONG_TABLE", '"ttbo"', "ttb0, ttb1"));
    expect(() => stage1Cd(undefined as Untyped)).toThrow(misuse("WRONG_TABLE", "undefined"));
    expect(() => stage1Cd({ ttb0: 0x1000 } as Untyped)).toThrow(misuse("WRONG_TABLE", "ttb0", "0x1000"));
  });
  test("IHI 0070 §5.4: one ENDI serves both tables of a CD", () => {
    const big = new PageTable({ ...places(), stage: 1, granule: 12, bigEndian: true });
    expect(() => stage1Cd({ ttb0: one, ttb1: big })).toThrow(misuse("WRONG_TABLE", "ENDI"));
  });
  test("IHI 0070 §5.4: one DS serves both tables of a CD, but for 64 KiB granules, which do not heed it", () => {
    const large = new PageTable({ ...places(), stage: 1, granule: 12, ds: true });
    const wide = new PageTable({ ...places(), stage: 1, granule: 16 });
    expect(() => stage1Cd({ ttb0: one, ttb1: large })).toThrow(misuse("WRONG_TABLE", "ds is false of ttb0 and true of ttb1", "CD.DS"));
    expect((stage1Cd({ ttb0: wide, ttb1: large })[5]! >>> 26) & 1).toBe(1);
    expect((stage1Cd({ ttb0: wide, ttb1: one })[5]! >>> 26) & 1).toBe(0);
  });
  test("IHI 0070 §5.1, §5.3: level-1 descriptors point to multiples of 64 and of 4096", () => {
    expect([...l1std(0x1_8000_0040, 7)]).toEqual([0x8000_0047, 1]);
    expect([...l1cd(0x1_8000_1000)]).toEqual([0x8000_1001, 1]);
    expect(() => l1std(0x20, 1)).toThrow(misuse("FIELD_VALUE", "L1STD.L2Ptr", "multiple of 64"));
    expect(() => l1std(0x40, 32)).toThrow(misuse("FIELD_VALUE", "L1STD.Span", "0 to 31"));
    expect(() => l1cd(0x40)).toThrow(misuse("FIELD_VALUE", "L1CD.L2Ptr", "multiple of 0x1000"));
  });
  test("structures to judge have their number of words", () => {
    const ste = new Uint32Array(16);
    expect(() => judgeSte(new Uint32Array(8), profiles.max)).toThrow(misuse("WORDS", "STE", "16"));
    expect(() => judgeCd(new Uint32Array(2), ste, profiles.max)).toThrow(misuse("WORDS", "CD", "16"));
    expect(() => judgeCd(ste, new Uint32Array(2), profiles.max)).toThrow(misuse("WORDS", "STE", "16"));
    expect(() => judgeCommand([1, 2], profiles.max)).toThrow(misuse("WORDS", "command", "4"));
  });
});

describe("commands", () => {
  test("an unknown command is refused with the names that there are", () => {
    expect(() => buildCommand("CFGI_STE")).toThrow(misuse("UNKNOWN_COMMAND", '"CFGI_STE"', "CMD_CFGI_STE"));
    expect(() => buildCommand(undefined as Untyped)).toThrow(misuse("UNKNOWN_COMMAND", "undefined"));
    for (const near of ["SYNC", "sync", "cmd_sync"])
      expect(() => buildCommand(near)).toThrow(misuse("UNKNOWN_COMMAND", `"${near}", CMD_SYNC is meant`));
    expect(() => buildCommand("CMD_TLBI_NH_VAAA")).toThrow(misuse("UNKNOWN_COMMAND", "CMD_TLBI_NH_VAA may be meant"));
  });
  test("an unknown field is refused with the command's fields", () => {
    expect(() => buildCommand("CMD_CFGI_STE", { SID: 1 })).toThrow(misuse("UNKNOWN_FIELD", "CMD_CFGI_STE", '"SID"', "StreamID, Leaf"));
    expect(() => buildCommand("CMD_CFGI_STE", { Address: 0x1000 })).toThrow(misuse("UNKNOWN_FIELD", "Address"));
    expect(() => buildCommand("CMD_CFGI_STE", { StreamIDHi: 1 })).toThrow(misuse("UNKNOWN_FIELD", "StreamIDHi"));
  });
  test("a value that does not fit is refused with the range", () => {
    expect(() => buildCommand("CMD_CFGI_STE", { Leaf: 2 })).toThrow(misuse("FIELD_VALUE", "CMD_CFGI_STE.Leaf", "0 to 1"));
    expect(() => buildCommand("CMD_TLBI_NH_VA", { Address: 0x1234 })).toThrow(
      misuse("FIELD_VALUE", "CMD_TLBI_NH_VA.Address", "multiple of"),
    );
    expect(() => buildCommand("CMD_TLBI_NH_VA", { AddressLo: 0x123 })).toThrow(misuse("FIELD_VALUE", "AddressLo"));
    expect(() => buildCommand("CMD_TLBI_NH_VA", { AddressHi: 2 ** 32 })).toThrow(misuse("FIELD_VALUE", "AddressHi"));
  });
  test("IHI 0070 §4.4, §4.7.3: addresses are whole, in one value or in two", () => {
    expect([...buildCommand("CMD_TLBI_NH_VA", { Address: 0x12_3456_7000, Leaf: 1 })].slice(2)).toEqual([0x3456_7001, 0x12]);
    expect([...buildCommand("CMD_TLBI_NH_VA", { AddressHi: 0xffff_0000, AddressLo: 0x1000, Leaf: 1 })].slice(2)).toEqual([
      0x1001, 0xffff_0000,
    ]);
    expect([...buildCommand("CMD_TLBI_NH_VA", { Address: 2 ** 64 - 0x1000 })].slice(2)).toEqual([0xffff_f000, 0xffff_ffff]);
    expect([...buildCommand("CMD_SYNC", { CS: 1, MSIData: 5, MSIAddress: 0x1_4010_0004 })]).toEqual([0x1046, 5, 0x4010_0004, 1]);
  });
});

describe("events", () => {
  for (const [what, words] of [
    ["no words", []],
    ["1 word", [0x10]],
    ["7 words", new Uint32Array(7)],
    ["9 words", new Uint32Array(9)],
    ["nothing", undefined],
    ["a text", "0x10"],
    ["a number", 16],
  ] as const) {
    test(`IHI 0070 §7.2: a record has 8 words: ${what} will not do`, () => {
      expect(() => decodeEvent(words as Untyped)).toThrow(misuse("WORDS", "event record", "8"));
      expect(() => describeEvent(words as Untyped)).toThrow(misuse("WORDS", "event record", "8"));
    });
  }
});
