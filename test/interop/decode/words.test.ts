// SPDX-License-Identifier: MIT
/** Words as people paste them: every shape gives the same structure, and what is no word is named with its place. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DecodeError, parseWords, wordsOfBytes } from "../../../src/interop/index.ts";

/** An event record as eight 32-bit words. */
const EVENT = Uint32Array.of(0x10, 0x2100, 0, 0x200, 0x0800_0040, 0, 0, 0);
const STE = Uint32Array.of(0x4401_200b, 0, 0xd6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

const shapes: readonly (readonly [name: string, text: string])[] = [
  ["64-bit words with 0x", "0x0000210000000010 0x0000020000000000 0x0000000008000040 0x0000000000000000"],
  ["64-bit words without 0x", "0000210000000010 0000020000000000 0000000008000040 0000000000000000"],
  ["short 64-bit words", "0x210000000010, 0x20000000000, 0x8000040, 0x0"],
  ["64-bit words with a C suffix", "{ 0x210000000010ULL, 0x20000000000ULL, 0x8000040ULL, 0ULL }"],
  ["32-bit words", "00000010 00002100 00000000 00000200 08000040 00000000 00000000 00000000"],
  ["one word a line", "0x10\n0x2100\n0x0\n0x200\n0x8000040\n0\n0\n0\n"],
  ["one long run of bytes", "1000000000210000000000000002000040000008000000000000000000000000"],
  ["bytes", "10 00 00 00 00 21 00 00 00 00 00 00 00 02 00 00 40 00 00 08 00 00 00 00 00 00 00 00 00 00 00 00"],
  [
    "hexdump -C",
    "00000000  10 00 00 00 00 21 00 00  00 00 00 00 00 02 00 00  |.....!..........|\n" +
      "00000010  40 00 00 08 00 00 00 00  00 00 00 00 00 00 00 00  |@...............|\n00000020\n",
  ],
  ["hexdump", "0000000 0010 0000 2100 0000 0000 0000 0200 0000\n0000010 0040 0800 0000 0000 0000 0000 0000 0000\n0000020\n"],
  [
    "xxd",
    "00000000: 1000 0000 0021 0000 0000 0000 0002 0000  .....!..........\n00000010: 4000 0008 0000 0000 0000 0000 0000 0000  @...............\n",
  ],
  ["gdb", "0x6b260000:\t0x0000210000000010\t0x0000020000000000\n0x6b260010 <evtq+16>:\t0x0000000008000040\t0x0000000000000000\n"],
  [
    "crash",
    "ffff000012345000:  0000210000000010 0000020000000000   .....!..........\nffff000012345010:  0000000008000040 0000000000000000   @...............\n",
  ],
  [
    "U-Boot md",
    "6b260000: 00000010 00002100 00000000 00000200    .....!..........\n6b260010: 08000040 00000000 00000000 00000000    @...............\n",
  ],
  [
    "kernel log lines",
    "[  131.474962] arm-smmu-v3 fc900000.iommu: event 0x10 received:\n[  131.475699] arm-smmu-v3 fc900000.iommu: \t0x0000210000000010\n" +
      "[  131.476205] arm-smmu-v3 fc900000.iommu: \t0x0000020000000000\n[  131.476767] arm-smmu-v3 fc900000.iommu: \t0x0000000008000040\n" +
      "[  131.477597] arm-smmu-v3 fc900000.iommu: \t0x0000000000000000\n",
  ],
  [
    "a journal, quoted in a mail",
    "> Jan 02 03:04:05 host kernel: arm-smmu-v3 arm-smmu-v3.1.auto:         0x0000210000000010\n" +
      "> Jan 02 03:04:05 host kernel: arm-smmu-v3 arm-smmu-v3.1.auto:         0x0000020000000000\n" +
      "> Jan 02 03:04:05 host kernel: arm-smmu-v3 arm-smmu-v3.1.auto:         0x0000000008000040\n" +
      "> Jan 02 03:04:05 host kernel: arm-smmu-v3 arm-smmu-v3.1.auto:         0x0000000000000000\n",
  ],
  ["od -A x -t x8", "000000 0000210000000010 0000020000000000\n000010 0000000008000040 0000000000000000\n000020\n"],
  ["od -t x8", "0000000 0000210000000010 0000020000000000\n0000020 0000000008000040 0000000000000000\n0000040\n"],
  ["od -A x -t x4", "000000 00000010 00002100 00000000 00000200\n000010 08000040 00000000 00000000 00000000\n000020\n"],
  ["od -t x4", "0000000 00000010 00002100 00000000 00000200\n0000020 08000040 00000000 00000000 00000000\n0000040\n"],
  ["od -x", "0000000 0010 0000 2100 0000 0000 0000 0200 0000\n0000020 0040 0800 0000 0000 0000 0000 0000 0000\n0000040\n"],
  ["od -A x -x", "000000 0010 0000 2100 0000 0000 0000 0200 0000\n000010 0040 0800 0000 0000 0000 0000 0000 0000\n000020\n"],
  [
    "od -t x1",
    "0000000 10 00 00 00 00 21 00 00 00 00 00 00 00 02 00 00\n0000020 40 00 00 08 00 00 00 00 00 00 00 00 00 00 00 00\n0000040\n",
  ],
  [
    "od -A x -t x1z",
    "000000 10 00 00 00 00 21 00 00 00 00 00 00 00 02 00 00  >.....!..........<\n" +
      "000010 40 00 00 08 00 00 00 00 00 00 00 00 00 00 00 00  >@...............<\n000020\n",
  ],
  ["od -A n -t x8", " 0000210000000010 0000020000000000\n 0000000008000040 0000000000000000\n"],
  [
    "crash with its prompt",
    "crash> rd -64 ffff000012345000 4\nffff000012345000:  0000210000000010 0000020000000000   .....!..........\n" +
      "ffff000012345010:  0000000008000040 0000000000000000   @...............\n",
  ],
  ["gdb with its prompt", "(gdb) x/4gx 0x6b260000\n0x6b260000:\t0x0000210000000010\t0x0000020000000000\n0x6b260010:\t0x8000040\t0x0\n"],
  [
    "U-Boot with its prompt",
    "=> md.q 6b260000 4\n6b260000: 0000210000000010 0000020000000000\n6b260010: 0000000008000040 0000000000000000\n",
  ],
  [
    "a log of dmesg -H",
    ["210000000010", "20000000000", "8000040", "0"].map((word) => `[  +0.000004] arm-smmu-v3 a.smmu: \t0x${word}`).join("\n"),
  ],
  ["lines that end like on Windows", "0x210000000010\r\n0x20000000000\r\n0x8000040\r\n0x0\r\n"],
];

describe("shapes", () => {
  test.each(shapes)("%s", (_name, text) => {
    expect([...parseWords(text, 32)]).toEqual([...EVENT]);
  });

  test("a star in hexdump -C stands for repeated lines", () => {
    const dump =
      "00000000  0b 20 01 44 00 00 00 00  d6 00 00 00 00 00 00 00  |. .D............|\n" +
      "00000010  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n*\n00000040\n";
    expect([...parseWords(dump, 64)]).toEqual([...STE]);
  });

  test("a star of od stands for repeated lines", () => {
    const dump = "0000000 000000004401200b 00000000000000d6\n0000020 0000000000000000 0000000000000000\n*\n0000100\n";
    expect([...parseWords(dump, 64)]).toEqual([...STE]);
  });

  test("the structure's own bytes are little-endian; more or fewer are refused", () => {
    const bytes = Uint8Array.of(0x10, 0, 0, 0, 0, 0x21, 0, 0x80);
    expect([...wordsOfBytes(bytes, 8)]).toEqual([0x10, 0x8000_2100]);
    expect(() => wordsOfBytes(bytes, 64)).toThrow(/8 bytes of binary data were given; the structure has 64/);
  });

  test("one 64-bit word of 16 digits is a number, not bytes", () => {
    expect([...parseWords("0000000045031f47", 8)]).toEqual([0x4503_1f47, 0]);
  });

  test("any words survive being written as numbers of 64 bits, of 32 bits, and as bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff_ffff }), { minLength: 16, maxLength: 16 }), (words) => {
        const digits = (value: number): string => value.toString(16).padStart(8, "0");
        const wide = Array.from({ length: 8 }, (_, i) => `0x${digits(words[2 * i + 1]!)}${digits(words[2 * i]!)}`).join(" ");
        const narrow = words.map((word) => `0x${digits(word)}`).join("\n");
        const bytes = words.map((word) => digits(word).match(/../g)!.reverse().join(" ")).join(" ");
        for (const text of [wide, narrow, bytes, bytes.replaceAll(" ", "")]) expect([...parseWords(text, 64)]).toEqual(words);
      }),
      { numRuns: 50 },
    );
  });
});

describe("what is no word is named with its place", () => {
  const cases: readonly (readonly [name: string, text: string, line: number, column: number, message: RegExp])[] = [
    ["no words", "", 1, 1, /no words/],
    ["a word that is no number", "0x10 zz", 1, 6, /"zz" is not a hexadecimal number/],
    ["a word on a later line", "0x10\n0x11 0xgg", 2, 6, /"0xgg"/],
    ["too few words", "0x10 0x11", 1, 6, /2 words were given; a structure of 32 bytes is 4 words of 64 bits, 8 of 32 bits, or 32 bytes/],
    ["a number of more than 64 bits", "0x10 0x20 0x123456789abcdef01 0", 1, 11, /more than 64 bits/],
    ["a long word, which is cut", "z".repeat(5000), 1, 1, /^"z{40}…" is not a hexadecimal number$/],
    ["a word with an escape sequence, which is not obeyed", "0x\u009b2Jzz", 1, 1, /^"0x\\x9b2Jzz"/],
    ["a long number, which is cut", `0x10 0x20 0x${"1".repeat(500)} 0`, 1, 11, /^"1{40}…" has more than 64 bits$/],
    ["half a structure in padded 32-bit words", "00000010 00002100 00000000 00000200", 1, 28, /4 words were given/],
    ["a bad word behind a log's prefix", "[    1.0] arm-smmu-v3 a.smmu: \t0xqq", 1, 32, /"0xqq"/],
  ];

  test.each(cases)("%s", (_name, text, line, column, message) => {
    let error: unknown;
    try {
      parseWords(text, 32);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(DecodeError);
    expect(error).toMatchObject({ line, column, message: expect.stringMatching(message) as string });
  });

  test("two stars in a dump cannot be told apart", () => {
    const line = "00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|";
    expect(() => parseWords(`${line}\n*\n${line}\n*\n`, 64)).toThrow(/second "\*"/);
  });
});
