// SPDX-License-Identifier: MIT
/** Stream tables, CD tables and the arena: what lies outside a table is refused, and never written. */
import { describe, expect, test } from "vitest";
import { CdTable, StreamTables, TableArena, buildCd, bypassSte, writeWords } from "../../../../src/hw/index.ts";
import { BASE, SIZE, type Untyped, misuse, places } from "./misuse.ts";

const CD_WORDS = buildCd({ V: 1 });

function streams(options: object): StreamTables {
  return new StreamTables({ ...places(), ...options } as Untyped);
}

describe("StreamTables", () => {
  for (const id of [16, -1, 0.5, Number.NaN, "3", undefined, 2 ** 32] as Untyped[]) {
    test(`a linear table of 16 streams refuses StreamID ${id} and leaves its neighbours alone`, () => {
      const { memory, arena } = places();
      const before = arena.take(64);
      const table = new StreamTables({ memory, arena, log2Size: 4 });
      const after = arena.take(64);
      expect(() => table.write(id, bypassSte())).toThrow(misuse("STREAM_ID_RANGE", "log2Size 4", /from 0 to 15$/));
      expect(memory.read32(before)).toBe(0);
      expect(memory.read32(after)).toBe(0);
    });
  }
  test("the last stream of the table is written where it belongs", () => {
    const { memory, arena } = places();
    const table = new StreamTables({ memory, arena, log2Size: 4 });
    expect(table.write(15, bypassSte())).toBe(table.base + 15 * 64);
    expect(memory.read32(table.base + 15 * 64)).toBe(9);
  });
  test("a two-level table ends at 2^log2Size, inside a level-2 array too", () => {
    const table = streams({ log2Size: 7, split: 6 });
    expect(table.steAddress(127)).toBeGreaterThan(BASE);
    for (const call of [() => table.steAddress(128), () => table.level1Address(128), () => table.setArray(-1, 7)])
      expect(call).toThrow(misuse("STREAM_ID_RANGE", "127"));
    expect(() => streams({ log2Size: 4, split: 8 }).steAddress(16)).toThrow(misuse("STREAM_ID_RANGE", "0 to 15"));
  });
  test("IHI 0070 §5.1: an array of Span 3 has 4 STEs; the fifth StreamID is refused", () => {
    const table = streams({ log2Size: 8, split: 6 });
    const array = table.setArray(64, 3);
    expect(table.steAddress(67)).toBe(array + 3 * 64);
    expect(() => table.write(68, bypassSte())).toThrow(misuse("STREAM_ID_RANGE", "StreamID 68", "4 STEs"));
  });
  test("IHI 0070 §5.1: an array of Span 0 has no STEs", () => {
    const table = streams({ log2Size: 8, split: 6 });
    table.setArray(64, 0);
    expect(() => table.write(64, bypassSte())).toThrow(misuse("STREAM_ID_RANGE", "StreamID 64", "0 STEs"));
  });
  for (const span of [-1, 32, 1.5, "3", Number.NaN] as Untyped[]) {
    test(`IHI 0070 §5.1: Span has five bits: ${span} is refused`, () => {
      expect(() => streams({ log2Size: 8, split: 6 }).setArray(0, span)).toThrow(misuse("STREAM_TABLE_SPAN", /from 0 to 31$/));
    });
  }
  for (const log2Size of [-1, 33, 2.5, Number.NaN, "4", undefined]) {
    test(`log2Size is 0 to 32: ${log2Size} is refused`, () =>
      expect(() => streams({ log2Size })).toThrow(misuse("STREAM_TABLE_OPTIONS", "log2Size", /from 0 to 32$/)));
  }
  test("a linear table larger than the arena says how much room there is", () => {
    expect(() => streams({ log2Size: 32 })).toThrow(misuse("TABLE_ARENA_FULL", "0x4000000000 bytes", "0x41000000"));
  });
  for (const split of [0, 5, 7, 9, 11, 16, "6", null]) {
    test(`IHI 0070 §6.3.25: SPLIT is 6, 8 or 10: ${split} is refused`, () =>
      expect(() => streams({ log2Size: 12, split })).toThrow(misuse("STREAM_TABLE_OPTIONS", "split", "6, 8 or 10")));
  }
  test("an option of another name is refused with the names that there are", () => {
    expect(() => streams({ logSize: 4 })).toThrow(misuse("STREAM_TABLE_OPTIONS", '"logSize"', "log2Size"));
  });
  test("memory and arena are needed", () => {
    expect(() => streams({ log2Size: 4, memory: undefined })).toThrow(misuse("STREAM_TABLE_OPTIONS", "memory", "undefined"));
    expect(() => streams({ log2Size: 4, arena: 0x1000 })).toThrow(misuse("STREAM_TABLE_OPTIONS", "TableArena"));
  });
  for (const [what, ste] of [
    ["3 words", new Uint32Array(3)],
    ["17 words", new Uint32Array(17)],
    ["no words", []],
    ["undefined", undefined],
    ["a number", 9],
    ["64 bytes", new Uint8Array(64)],
    ["33-bit words", Array.from({ length: 16 }, () => 2 ** 32)],
  ] as const) {
    test(`IHI 0070 §5.2: an STE is 16 words of 32 bits: ${what} are refused`, () => {
      expect(() => streams({ log2Size: 4 }).write(0, ste as Untyped)).toThrow(misuse("WORDS", "STE"));
    });
  }
  test("a linear table has no level-1 descriptors", () => {
    expect(() => streams({ log2Size: 4 }).level1Address(0)).toThrow(misuse("LINEAR_STREAM_TABLE", "linear"));
    expect(() => streams({ log2Size: 4 }).setArray(0, 1)).toThrow(misuse("LINEAR_STREAM_TABLE", "linear"));
  });
});

describe("CdTable", () => {
  const cds = (options: object): CdTable => new CdTable({ ...places(), ...options } as Untyped);
  for (const format of [0, 1, 2]) {
    for (const index of [128, -1, 1.5, "3", Number.NaN] as Untyped[]) {
      test(`format ${format}, cdMax 7: index ${index} is refused`, () => {
        const table = cds({ cdMax: 7, format });
        expect(() => table.write(index, CD_WORDS)).toThrow(misuse("CD_INDEX_RANGE", "cdMax 7", /from 0 to 127$/));
        expect(() => table.cdAddress(index)).toThrow(misuse("CD_INDEX_RANGE", /from 0 to 127$/));
      });
    }
  }
  test("a CD has 16 words", () => {
    for (const cd of [new Uint32Array(8), new Uint32Array(32), undefined] as Untyped[])
      expect(() => cds({ cdMax: 0 }).write(0, cd)).toThrow(misuse("WORDS", "CD", "16"));
  });
  test("IHI 0070 §6.3.2: SubstreamIDs have at most 20 bits, and so cdMax is 0 to 20", () => {
    for (const cdMax of [-1, 21, 0.5, "1", undefined])
      expect(() => cds({ cdMax })).toThrow(misuse("CD_TABLE_OPTIONS", "cdMax", /from 0 to 20$/));
  });
  test("IHI 0070 §5.2: S1Fmt is 0, 1 or 2; 3 is reserved", () => {
    for (const format of [3, -1, "1"]) expect(() => cds({ cdMax: 8, format })).toThrow(misuse("CD_TABLE_OPTIONS", "0, 1 or 2"));
  });
  test("IHI 0070 §5.2: with S1CDMax 0 there is one CD at the base, whatever S1Fmt says", () => {
    for (const format of [0, 1, 2]) {
      const table = cds({ cdMax: 0, format });
      expect(table.cdAddress(0)).toBe(table.base);
      expect(() => table.cdAddress(1)).toThrow(misuse("CD_INDEX_RANGE", "from 0 to 0"));
    }
  });
  test("a linear CD table has no level-1 descriptors", () =>
    expect(() => cds({ cdMax: 7 }).level1Address(0)).toThrow(misuse("LINEAR_CD_TABLE", "linear")));
});

describe("TableArena", () => {
  for (const bytes of [0, -64, Number.NaN, 1.5, "64", undefined, Number.POSITIVE_INFINITY] as Untyped[]) {
    test(`a piece of ${bytes} bytes is refused, and the next piece comes as if nothing had been`, () => {
      const { arena } = places();
      expect(() => arena.take(bytes)).toThrow(misuse("ARENA_PIECE", "size of a piece", "from 1 "));
      expect(arena.take(64)).toBe(BASE);
    });
  }
  for (const alignment of [0, -4096, 48, 3, Number.NaN, 0.5, "64", null] as Untyped[]) {
    test(`an alignment of ${alignment} is refused: it is a power of two`, () => {
      const { arena } = places();
      expect(() => arena.take(64, alignment)).toThrow(misuse("ARENA_PIECE", "alignment"));
      expect(arena.take(64)).toBe(BASE);
    });
  }
  test("a piece that leaves no room names the size and what is left", () => {
    expect(() => places().arena.take(SIZE + 1, 1)).toThrow(misuse("TABLE_ARENA_FULL", "0x1000001", "0x41000000"));
    expect(places().arena.take(SIZE)).toBe(BASE);
  });
  test("the range lies below 2^52 and has at least one byte", () => {
    for (const base of [-1, 0.5, Number.NaN, 2 ** 52, "0", undefined] as Untyped[])
      expect(() => new TableArena(base, 4096)).toThrow(misuse("ARENA_RANGE", "base"));
    for (const size of [0, -1, Number.NaN, 2 ** 52, "4096", undefined] as Untyped[])
      expect(() => new TableArena(BASE, size)).toThrow(misuse("ARENA_RANGE", "size"));
  });
});

describe("writeWords", () => {
  test("the address is a multiple of 4 below 2^52, the words are a list of 32-bit words", () => {
    const { memory } = places();
    for (const address of [2, -4, Number.NaN, 2 ** 52, "0"] as Untyped[])
      expect(() => writeWords(memory, address, [1])).toThrow(misuse("WORDS", "address"));
    for (const words of [undefined, 5, [Number.NaN], [2 ** 32], ["1"]] as Untyped[])
      expect(() => writeWords(memory, BASE, words)).toThrow(misuse("WORDS", "word"));
  });
  test("words may be signed, as bit operations leave them", () => {
    const { memory } = places();
    writeWords(memory, BASE, [1 << 31, -1]);
    expect([memory.read32(BASE), memory.read32(BASE + 4)]).toEqual([0x8000_0000, 0xffff_ffff]);
  });
});
