// SPDX-License-Identifier: MIT
/** Page tables: what no descriptor can say, and what a table does not translate, is refused. */
import { describe, expect, test } from "vitest";
import { PageTable, leafDescriptor, tableDescriptor } from "../../../../src/hw/index.ts";
import { BASE, type Untyped, misuse, places } from "./misuse.ts";

function table(options: object = {}): PageTable {
  return new PageTable({ ...places(), stage: 1, granule: 12, ...options } as Untyped);
}

describe("options of a PageTable", () => {
  const wrong: readonly (readonly [rule: string, options: object, parts: readonly string[]])[] = [
    ["DDI 0487 D8.1: granules are 2^12, 2^14 and 2^16 bytes", { granule: 13 }, ["granule", "13", "12, 14 or 16"]],
    ["a granule is no size", { granule: 4096 }, ["granule", "0x1000", "12, 14 or 16"]],
    ["a granule is a number", { granule: "12" }, ['"12"']],
    ["there are two stages", { stage: 3 }, ["stage", "3", "1 or 2"]],
    ["a stage has to be given", { stage: undefined }, ["stage", "undefined"]],
    ["DDI 0487 D8.2: at most 48 bits with 4 KiB granules", { inputBits: 49 }, ["inputBits", "49", "16 to 48"]],
    ["DDI 0487 D8.2: at most 52 bits with LPA2", { inputBits: 53, ds: true }, ["inputBits", "53", "16 to 52"]],
    ["IHI 0070 §5.2: S2DS is RES0 with 64 KiB granules", { granule: 16, ds: true }, ["ds with 64 KiB granules", "true"]],
    ["ds is true or false", { ds: 1 }, ["ds with 4 KiB granules", "1"]],
    ["DDI 0487 D8.2: at most 48 bits with 16 KiB granules", { granule: 14, inputBits: 52 }, ["inputBits", "16 to 48"]],
    ["DDI 0487 D8.2: at most 52 bits with 64 KiB granules", { granule: 16, inputBits: 70 }, ["inputBits", "70", "17 to 52"]],
    ["IHI 0070 §5.4.2: TxSZ is at most 48, so that a table translates at least 16 bits", { inputBits: 15 }, ["16 to 48"]],
    ["IHI 0070 §5.4.2: TxSZ is at most 47 with 64 KiB granules", { granule: 16, inputBits: 16 }, ["17 to 52"]],
    ["input bits are a whole number", { inputBits: 39.5 }, ["39.5"]],
    ["DDI 0487 D8.2: TxSZ alone decides where stage 1 starts", { inputBits: 39, startLevel: 0 }, ["startLevel", "has to be 1"]],
    [
      "DDI 0487 D8.2: at most 16 tables are concatenated",
      { stage: 2, inputBits: 44, startLevel: 1 },
      ["startLevel of stage 2", "has to be 0"],
    ],
    ["DDI 0487 D8.2: a first table has at least one index bit", { stage: 2, inputBits: 39, startLevel: 0 }, ["startLevel"]],
    ["a start level is 0 to 3", { stage: 2, inputBits: 40, startLevel: -1 }, ["startLevel", "0 or 1"]],
    ["bigEndian is true or false", { bigEndian: "no" }, ["bigEndian"]],
    ["an option of another name is refused", { inputbits: 39 }, ['"inputbits"', "inputBits"]],
    ["memory is needed", { memory: undefined }, ["memory"]],
    ["a function is told as one", { granule: () => 12 }, ["a function", "12, 14 or 16"]],
    ["null is told as it is", { granule: null }, ["null", "12, 14 or 16"]],
    ["an array is told as one", { granule: [12] }, ["an array", "12, 14 or 16"]],
    ["an arena is needed", { arena: undefined }, ["arena"]],
  ];
  for (const [rule, options, parts] of wrong)
    test(rule, () => expect(() => table(options)).toThrow(misuse("PAGE_TABLE_OPTIONS", ...parts)));

  test("no options at all", () =>
    expect(() => new PageTable(undefined as Untyped)).toThrow(misuse("PAGE_TABLE_OPTIONS", "undefined", "granule")));
  test("IHI 0070 §5.2: S2SL0 has no level 0 for 16 KiB granules: 48 bits of stage 2 start at level 1", () => {
    expect(table({ stage: 2, granule: 14, inputBits: 48 }).startLevel).toBe(1);
    expect(table({ stage: 1, granule: 14, inputBits: 48 }).startLevel).toBe(0);
  });
});

describe("PageTable.map: ranges", () => {
  const PAGE = 0x1000;
  const ranges: readonly (readonly [rule: string, args: readonly unknown[], parts: readonly string[]])[] = [
    ["an address beyond inputBits does not alias", [2 ** 39, 0, PAGE], ["0x8000000000", "inputBits 39"]],
    ["a range must not run over the end of the input", [2 ** 39 - PAGE, 0, 2 * PAGE], ["inputBits 39"]],
    ["addresses are not negative", [-PAGE, 0, PAGE], ["-0x1000", "address has to be"]],
    ["addresses are numbers", ["0x1000", 0, PAGE], ['"0x1000"', "address has to be"]],
    ["NaN is no address", [Number.NaN, 0, PAGE], ["NaN"]],
    ["an address has to be given", [undefined, 0, PAGE], ["undefined"]],
    ["outputs are not negative", [0, -PAGE, PAGE], ["output has to be"]],
    ["NaN is no output", [0, Number.NaN, PAGE], ["output has to be"]],
    ["DDI 0487 D8.3: 4 KiB granules output 48 bits", [0, 2 ** 48, PAGE], ["0x1000000000000"]],
    ["a range must not run over the end of the output", [0, 2 ** 48 - PAGE, 2 * PAGE], ["0x1000000000000"]],
    ["a size is not negative", [0, 0, -PAGE], ["size has to be"]],
    ["a size of 0 maps nothing and is a mistake", [0, 0, 0], ["nothing to map"]],
    ["a size has to be given", [0, 0], ["size has to be"]],
  ];
  for (const [rule, args, parts] of ranges) {
    test(rule, () =>
      expect(() => Reflect.apply(PageTable.prototype.map, table({ inputBits: 39 }), args)).toThrow(misuse("MAP_RANGE", ...parts)),
    );
  }
  for (const [what, args] of [
    ["address", [0x800, 0, PAGE]],
    ["output", [0, 0x10, PAGE]],
    ["size", [0, 0, PAGE + 8]],
    ["address of a block", [PAGE, 0, 0x20_0000, {}, 2]],
  ] as const) {
    test(`DDI 0487 D8.3: a leaf maps aligned ranges: ${what}`, () =>
      expect(() => Reflect.apply(PageTable.prototype.map, table(), args as never)).toThrow(misuse("MAP_ALIGNMENT", "not aligned")));
  }
  test("DDI 0487 D8.3: 64 KiB granules output 52 bits", () => {
    const wide = table({ granule: 16 });
    wide.map(0, 2 ** 52 - 0x1_0000, 0x1_0000);
    expect(wide.read(wide.entryAddress(0, 3))[0] & 0xf000).toBe(0xf000);
    expect(() => wide.map(0, 2 ** 52, 0x1_0000)).toThrow(misuse("MAP_RANGE", "0x10000000000000"));
  });
  test("what is refused has written nothing and taken nothing", () => {
    const { memory, arena } = places();
    const pages = new PageTable({ memory, arena, stage: 1, granule: 12, inputBits: 39 });
    expect(() => pages.map(0, 0, PAGE, { ap: 9 })).toThrow(misuse("LEAF_FIELDS", "ap"));
    expect(() => pages.map(2 ** 39 - PAGE, 0, 2 * PAGE)).toThrow(misuse("MAP_RANGE"));
    expect(memory.bytesInUse).toBe(0);
    expect(arena.take(64)).toBe(pages.base + 0x1000);
  });
  test("unmap and entryAddress refuse what the table does not translate", () => {
    for (const address of [2 ** 39, -1, Number.NaN, "0"] as Untyped[]) {
      expect(() => table({ inputBits: 39 }).unmap(address)).toThrow(misuse("MAP_RANGE", "39 input bits"));
      expect(() => table({ inputBits: 39 }).entryAddress(address, 3)).toThrow(misuse("MAP_RANGE", "39 input bits"));
    }
    for (const level of [0, 4, -1, 1.5, "3"] as Untyped[]) {
      expect(() => table({ inputBits: 39 }).entryAddress(0, level)).toThrow(misuse("MAP_LEVEL", "from 1 to 3"));
      expect(() => table({ inputBits: 39 }).unmap(0, level)).toThrow(misuse("MAP_LEVEL", "from 1 to 3"));
    }
  });
  test("the size of a leaf is asked for levels 0 to 3", () => {
    expect([0, 1, 2, 3].map((level) => table().leafSize(level))).toEqual([2 ** 39, 2 ** 30, 2 ** 21, 2 ** 12]);
    for (const level of [-1, 4, Number.NaN, "2"] as Untyped[])
      expect(() => table().leafSize(level)).toThrow(misuse("MAP_LEVEL", "from 0 to 3"));
  });
});

describe("DDI 0487 D8.3: levels that have leaves", () => {
  for (const [granule, has] of [
    [12, [1, 2, 3]],
    [14, [2, 3]],
    [16, [1, 2, 3]],
  ] as const) {
    for (const level of [-1, 0, 1, 2, 3, 4]) {
      const allowed = has.some((one) => one === level);
      test(`${2 ** (granule - 10)} KiB granules, level ${level}: ${allowed ? "leaves" : "none"}`, () => {
        const pages = table({ granule });
        const size = 2 ** (granule + (3 - level) * (granule - 3));
        if (allowed) {
          pages.map(0, 0, size, {}, level);
          expect(pages.read(pages.entryAddress(0, level))[0] & 3).toBe(level === 3 ? 3 : 1);
        } else {
          expect(() => pages.map(0, 0, size, {}, level)).toThrow(misuse("MAP_LEVEL", "level", has.slice(0, -1).join(", ")));
        }
      });
    }
  }
  for (const [granule, has] of [
    [12, [0, 1, 2, 3]],
    [14, [1, 2, 3]],
  ] as const) {
    test(`${2 ** (granule - 10)} KiB granules with ds have one level of leaves more`, () => {
      for (const level of [-1, 0, 1, 2, 3]) {
        const pages = table({ granule, inputBits: 52, ds: true });
        const map = (): void => pages.map(0, 0, 2 ** (granule + (3 - level) * (granule - 3)), {}, level);
        if (has.some((one) => one === level)) map();
        else expect(map).toThrow(misuse("MAP_LEVEL", "level"));
      }
    });
  }
  test("no leaf above the start level: a table of 30 bits starts at level 2", () => {
    expect(() => table({ inputBits: 30 }).map(0, 0, 2 ** 30, {}, 1)).toThrow(misuse("MAP_LEVEL", "2 or 3"));
  });
});

describe("fields of descriptors", () => {
  const limits = {
    ap: 3,
    attrIndx: 15,
    memAttr: 15,
    sh: 3,
    af: 1,
    nG: 1,
    pxn: 1,
    uxn: 1,
    xn: 3,
    contiguous: 1,
    dbm: 1,
    piIndex: 15,
    nDirty: 1,
    dirty: 1,
    poIndex: 15,
    assuredOnly: 1,
  } as const;
  for (const [name, largest] of Object.entries(limits)) {
    test(`${name} is 0 to ${largest}`, () => {
      for (const value of [largest + 1, -1, 0.5, Number.NaN, "1", true, null] as Untyped[]) {
        expect(() => table().map(0, 0, 0x1000, { [name]: value })).toThrow(misuse("LEAF_FIELDS", name, new RegExp(`0 to ${largest}$`)));
        expect(() => leafDescriptor(2, 3, 12, 0, { [name]: value })).toThrow(misuse("LEAF_FIELDS", name));
      }
      table().map(0, 0, 0x1000, { [name]: largest });
    });
  }
  test("an unknown field is refused with the names that there are", () => {
    expect(() => table().map(0, 0, 0x1000, { apx: 1 } as Untyped)).toThrow(misuse("LEAF_FIELDS", '"apx"', "attrIndx"));
    expect(() => table().map(0, 0, 0x1000, null as Untyped)).toThrow(misuse("LEAF_FIELDS", "null"));
    expect(() => table().map(0, 0, 0x1000, 3 as Untyped)).toThrow(misuse("LEAF_FIELDS", "3 where an object"));
  });
  test("DDI 0487 D8.3: nT is a bit of blocks; in a page the bit is one of the address", () => {
    expect(() => table().map(0, 0, 0x1000, { nT: 1 })).toThrow(misuse("LEAF_FIELDS", "nT"));
    expect(leafDescriptor(1, 2, 12, 0, { nT: 1 })[0] & 0x1_0000).toBe(0x1_0000);
  });
  test("fields of table descriptors: apTable is 0 to 3, the others are bits, other names are unknown", () => {
    const wrong: readonly object[] = [{ apTable: 4 }, { pxnTable: 2 }, { uxnTable: -1 }, { nsTable: 1 }];
    for (const fields of wrong) {
      expect(() => table().map(0, 0, 0x1000, {}, 3, fields)).toThrow(misuse("TABLE_FIELDS", Object.keys(fields)[0]!));
      expect(() => tableDescriptor(BASE, 12, fields)).toThrow(misuse("TABLE_FIELDS", Object.keys(fields)[0]!));
    }
  });
  test("IHI 0070 §5.4 DS: with ds the bits of sh are of the address, and CD or STE give the shareability", () => {
    expect(() => table({ ds: true }).map(0, 0, 0x1000, { sh: 3 })).toThrow(misuse("LEAF_FIELDS", "sh with ds", "CD.SH0"));
    expect(() => leafDescriptor(2, 3, 12, 0, { sh: 0 }, true)).toThrow(misuse("LEAF_FIELDS", "sh with ds", "STE.S2SH0"));
    expect(leafDescriptor(1, 3, 12, 0xd_0000_0000_0000, {}, true)).toEqual([0x300 | 0x400 | 0x800 | 0x40 | 3, 0x1_0000]);
    expect(tableDescriptor(0x6_0000_0000_0000, 14, {}, true)).toEqual([0x100 | 3, 0x2_0000]);
    expect(() => leafDescriptor(1, 3, 12, 2 ** 52, {}, true)).toThrow(misuse("MAP_RANGE", "0x1000"));
    expect(() => leafDescriptor(1, 3, 16, 0, {}, true)).toThrow(misuse("PAGE_TABLE_OPTIONS", "ds with 64 KiB granules"));
  });
  test("addresses in descriptors are multiples of the granule, in the range that it can hold", () => {
    for (const output of [0x800, -0x1000, 2 ** 48, Number.NaN, "0"] as Untyped[]) {
      expect(() => leafDescriptor(1, 3, 12, output)).toThrow(misuse("MAP_RANGE", "multiple of 0x1000"));
      expect(() => tableDescriptor(output, 12)).toThrow(misuse("MAP_RANGE", "next-level table"));
    }
    expect(() => leafDescriptor(1, 3, 16, 0x1000)).toThrow(misuse("MAP_RANGE", "0x10000 "));
  });
  test("a raw leaf descriptor may stand at a level that has no blocks, to see the SMMU refuse it", () => {
    expect(leafDescriptor(1, 0, 12, 0)[0] & 3).toBe(1);
    expect(() => leafDescriptor(1, 4, 12, 0)).toThrow(misuse("MAP_LEVEL", "0 to 3"));
    expect(() => leafDescriptor(3 as Untyped, 3, 12, 0)).toThrow(misuse("PAGE_TABLE_OPTIONS", "stage"));
    expect(() => leafDescriptor(1, 3, 13 as Untyped, 0)).toThrow(misuse("PAGE_TABLE_OPTIONS", "granule"));
  });
});
