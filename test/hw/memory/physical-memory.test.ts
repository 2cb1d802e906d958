// SPDX-License-Identifier: MIT
/** RAM as an array of bytes: whatever the way in which a block is copied, it is copied as it is. */
import { describe, expect, test } from "vitest";
import { PhysicalMemory } from "../../../src/hw/memory/physical-memory.ts";

const BASE = 0x12_8000_0000;
/** More than two of the pieces in which the memory is kept. */
const SIZE = 0x2_4000;
const LENGTHS = [0, 1, 2, 3, 4, 7, 8, 12, 16, 17, 32, 64, 100, 128, 129, 256, 4095, 4096, 4097, 0x1_0000, 0x1_0004];
/** Around borders of words, pages and pieces. */
const OFFSETS = [0, 1, 2, 4, 60, 0xffc, 0xffe, 0x1000, 0x7ff8, 0xfffc, 0xffff, 0x1_0000, 0x1_0fff];

function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (Math.imul(i + seed, 0x9e37_79b1) >>> 24) | 1);
}

/** A memory and what is in it. */
function filled(): { memory: PhysicalMemory; contents: Uint8Array } {
  const memory = new PhysicalMemory();
  const contents = pattern(SIZE, 1);
  for (let at = 0; at < SIZE; at += 1) memory.write8(BASE + at, contents[at]!);
  return { memory, contents };
}

/** Compares quickly: these are many. */
function differ(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) !== 0;
}

const BUFFERS = [
  ["a new buffer", (length: number) => () => new Uint8Array(length)],
  [
    "one that comes again",
    (length: number) => {
      const buffer = new Uint8Array(length);
      return () => buffer.fill(0);
    },
  ],
] as const;

describe.each(BUFFERS)("a block of bytes and %s", (_, bufferOf) => {
  test.each(LENGTHS)("%i bytes are read from any address", (length) => {
    const { memory, contents } = filled();
    const next = bufferOf(length);
    const wrong = OFFSETS.filter((offset) => {
      const buffer = next();
      memory.readBytes(BASE + offset, buffer);
      return differ(buffer, contents.subarray(offset, offset + length));
    });
    expect(wrong).toEqual([]);
  });

  test.each(LENGTHS)("%i bytes are written to any address", (length) => {
    const { memory, contents } = filled();
    const next = bufferOf(length);
    for (const [turn, offset] of OFFSETS.entries()) {
      const buffer = next();
      buffer.set(pattern(length, turn + 2));
      memory.writeBytes(BASE + offset, buffer);
      contents.set(buffer, offset);
    }
    const all = new Uint8Array(SIZE);
    memory.readBytes(BASE, all);
    expect(differ(all, contents)).toBe(false);
  });
});

describe("a part of a buffer", () => {
  test.each([1, 4, 6])("that begins %i bytes after a border takes no byte more than was asked for", (start) => {
    const { memory, contents } = filled();
    const buffer = new Uint8Array(0x3000).subarray(start);
    for (const length of [4, 16, 64, 128, 4096]) {
      for (let turn = 0; turn < 3; turn++) {
        buffer.fill(0);
        memory.readBytes(BASE + 0x1000, buffer, start, length);
        expect(differ(buffer.subarray(start, start + length), contents.subarray(0x1000, 0x1000 + length))).toBe(false);
        expect([buffer[start - 1], buffer[start + length]]).toEqual([0, 0]);
      }
    }
  });
});

describe("memory that was never written", () => {
  test("reads as zero page by page, and as what was written once it is", () => {
    const memory = new PhysicalMemory();
    const page = pattern(4096, 0);
    memory.readBytes(BASE, page);
    expect(page).toEqual(new Uint8Array(4096));
    memory.write8(BASE + 5, 7);
    memory.readBytes(BASE, page);
    expect(page[5]).toBe(7);
  });

  test("is what clear() leaves behind, also for pages that were read before", () => {
    const { memory } = filled();
    const page = new Uint8Array(4096);
    memory.readBytes(BASE, page);
    memory.clear();
    memory.readBytes(BASE, page);
    expect(page).toEqual(new Uint8Array(4096));
    memory.write8(BASE, 9);
    memory.readBytes(BASE, page);
    expect(page[0]).toBe(9);
  });
});
