// SPDX-License-Identifier: MIT
/** The builder of VMSAv9-128 tables: what it refuses, and that its descriptors have their fields in place (DDI 0487 D8.3.2). */
import { describe, expect, test } from "vitest";
import {
  HostMisuseError,
  type LeafFields128,
  PageTable,
  PageTable128,
  type PageTable128Options,
  PhysicalMemory,
  TableArena,
  leafDescriptor128,
  stage1Cd,
  stage2Fields,
  tableDescriptor128,
} from "../../../../src/hw/index.ts";

function table(options: Partial<PageTable128Options> = {}): PageTable128 {
  const memory = new PhysicalMemory();
  return new PageTable128({ memory, arena: new TableArena(0x4000_0000, 0x1000_0000), stage: 1, granule: 12, ...options });
}

function message(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(HostMisuseError);
    return (error as Error).message;
  }
  throw new Error("nothing was thrown");
}

/** A descriptor as one number. */
function value(words: readonly number[]): bigint {
  return words.reduce((sum, word, i) => sum | (BigInt(word >>> 0) << BigInt(32 * i)), 0n);
}

describe("fields are where Tables D8-57 to D8-59 have them", () => {
  const fields: readonly (readonly [1 | 2, keyof LeafFields128, number, number])[] = [
    [1, "attrIndx", 2, 15],
    [2, "memAttr", 2, 15],
    [1, "nDirty", 7, 1],
    [2, "dirty", 7, 1],
    [1, "sh", 8, 3],
    [2, "sh", 8, 3],
    [1, "af", 10, 1],
    [2, "af", 10, 1],
    [1, "nG", 11, 1],
    [1, "contiguous", 111, 1],
    [2, "contiguous", 111, 1],
    [1, "protected", 114, 1],
    [2, "assuredOnly", 114, 1],
    [1, "piIndex", 115, 15],
    [2, "piIndex", 115, 15],
    [2, "poIndex", 121, 15],
    [1, "nT", 6, 1],
    [2, "nT", 6, 1],
  ];
  const none: LeafFields128 = { attrIndx: 0, memAttr: 0, sh: 0, af: 0, nG: 0, dirty: 0 };
  test.each(fields)("stage %i: %s", (stage, name, bit, largest) => {
    const level = name === "nT" ? 2 : 3;
    const bare = value(leafDescriptor128(stage, level, 0, none));
    expect(value(leafDescriptor128(stage, level, 0, { ...none, [name]: largest })) ^ bare).toBe(BigInt(largest) << BigInt(bit));
    expect(message(() => leafDescriptor128(stage, level, 0, { [name]: largest + 1 }))).toContain(name);
  });
  test("SKL of a leaf is 3 less its level; the address is bits [55:12]", () => {
    for (const level of [0, 1, 2, 3])
      expect(value(leafDescriptor128(1, level, 2 ** 55 + 2 ** 40, none))).toBe(
        (BigInt(3 - level) << 109n) | (1n << 55n) | (1n << 40n) | 1n,
      );
  });
  test("table descriptors: SKL, DisCH, Protected, nT, AF", () => {
    expect(value(tableDescriptor128(2 ** 50, 2))).toBe((2n << 109n) | (1n << 50n) | 1n);
    expect(value(tableDescriptor128(0, 0, { disCH: 1 }))).toBe((1n << 112n) | 1n);
    expect(value(tableDescriptor128(0, 0, { protected: 1 }))).toBe((1n << 114n) | 1n);
    expect(value(tableDescriptor128(0, 1, { nT: 1, af: 1 }))).toBe((1n << 109n) | 0x441n);
  });
});

describe("refusals", () => {
  test.each<readonly [string, () => unknown, RegExp]>([
    ["an unknown option", () => table({ ds: true } as Partial<PageTable128Options>), /"ds" is unknown/],
    ["57 input bits", () => table({ inputBits: 57 }), /inputBits.*16 to 56/],
    ["16 input bits with 64 KiB granules", () => table({ granule: 16, inputBits: 16 }), /inputBits.*17 to 56/],
    ["more skipped levels than there are", () => table({ inputBits: 28, skip: 2 }), /skip.*level 2.*0 to 1/],
    ["a leaf above the start level", () => table({ inputBits: 28 }).map(0, 0, 2 ** 28, {}, 1), /level of leaves/],
    ["a level-0 leaf with 16 KiB granules", () => table({ granule: 14, inputBits: 48 }).map(0, 0, 2 ** 44, {}, 0), /level of leaves/],
    ["a misaligned address", () => table().map(0x800, 0, 0x1000), /address.*multiple/],
    ["a misaligned output", () => table().map(0, 0x10_0000 / 2, 0x10_0000, {}, 2), /output.*multiple/],
    ["an address beyond the input", () => table({ inputBits: 36 }).map(2 ** 36, 0, 0x1000), /address/],
    ["an output beyond 2^52", () => table().map(0, 2 ** 52, 0x1000), /output/],
    ["nothing to map", () => table().map(0, 0, 0), /size/],
    ["an unknown field", () => table().map(0, 0, 0x1000, { ap: 1 } as LeafFields128), /"ap" is unknown/],
    ["nT of a page", () => table().map(0, 0, 0x1000, { nT: 1 }), /nT.*only blocks/],
    ["SKL 4", () => tableDescriptor128(0, 4), /SKL/],
    ["a skipped level", () => table({ inputBits: 36 }).map(0, 0, 2 ** 20, {}, 2, { skl: { 1: 1 } }), /SKL at level 1 is 1.*has to be 0/],
  ])("%s", (_what, action, expected) => expect(message(action)).toMatch(expected));

  test("a table of either format beside the other in a CD", () => {
    const memory = new PhysicalMemory();
    const arena = new TableArena(0x4000_0000, 0x1000_0000);
    const ttb0 = new PageTable128({ memory, arena, stage: 1, granule: 12 });
    const ttb1 = new PageTable({ memory, arena, stage: 1, granule: 12 });
    expect(message(() => stage1Cd({ ttb0, ttb1 }))).toMatch(/AA64 is one for both/);
    expect(message(() => stage2Fields(ttb0))).toMatch(/stage 2.*stage 1/);
  });
});

test("unmap clears 16 bytes, of either endianness", () => {
  for (const bigEndian of [false, true]) {
    const pages = table({ bigEndian, inputBits: 36 });
    pages.map(0x5000, 0x1234_5000, 0x1000, { piIndex: 9 });
    const at = pages.entryAddress(0x5000, 3);
    expect(pages.read(at)).toEqual(leafDescriptor128(1, 3, 0x1234_5000, { piIndex: 9 }));
    expect(pages.unmap(0x5000)).toBe(at);
    expect(pages.read(at)).toEqual([0, 0, 0, 0]);
  }
});
