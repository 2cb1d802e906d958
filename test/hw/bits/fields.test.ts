// SPDX-License-Identifier: MIT
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fieldMask32, getField, hex, hex64, join64, setField, high32, low32 } from "../../../src/hw/index.ts";

/** The same by BigInt: an independent reading of "bits hi … lo of a little-endian array of words". */
function reference(words: Uint32Array, hi: number, lo: number): bigint {
  let all = 0n;
  words.forEach((word, index) => (all |= BigInt(word) << BigInt(32 * index)));
  return (all >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n);
}

const anyField = fc.tuple(fc.nat(127), fc.nat(52)).map(([lo, width]) => ({ name: "F", lo, hi: Math.min(127, lo + width) }));
const anyWords = fc.array(fc.integer({ min: 0, max: 0xffff_ffff }), { minLength: 4, maxLength: 4 });

describe("fields", () => {
  test("getField reads bits hi … lo across word boundaries", () => {
    fc.assert(
      fc.property(anyWords, anyField, (numbers, field) => {
        const words = Uint32Array.from(numbers);
        expect(BigInt(getField(words, field))).toBe(reference(words, field.hi, field.lo));
      }),
    );
  });

  test("setField changes its bits and no others", () => {
    fc.assert(
      fc.property(anyWords, anyField, fc.bigInt({ min: 0n, max: (1n << 53n) - 1n }), (numbers, field, any) => {
        const value = Number(any & ((1n << BigInt(field.hi - field.lo + 1)) - 1n));
        const before = Uint32Array.from(numbers);
        const words = Uint32Array.from(numbers);
        setField(words, field, value);
        const mask = ((1n << BigInt(field.hi - field.lo + 1)) - 1n) << BigInt(field.lo);
        expect(getField(words, field)).toBe(value);
        expect(reference(words, 127, 0) & ~mask).toBe(reference(before, 127, 0) & ~mask);
      }),
    );
  });

  test("a value that does not fit is refused", () => {
    const field = { name: "F", hi: 3, lo: 1 };
    for (const value of [8, -1, 0.5, Number.NaN]) expect(() => setField([0], field, value)).toThrow(RangeError);
  });

  test("a field wider than 53 bits must be read in parts", () => {
    expect(() => getField([0, 0], { name: "wide", hi: 63, lo: 0 })).toThrow(/wide/);
  });

  test("fieldMask32 covers the field", () => {
    expect(fieldMask32({ name: "F", hi: 31, lo: 0 })).toBe(0xffff_ffff);
    expect(fieldMask32({ name: "F", hi: 31, lo: 31 })).toBe(0x8000_0000);
    expect(fieldMask32({ name: "F", hi: 5, lo: 2 })).toBe(0x3c);
  });
});

describe("hex", () => {
  test("numbers and halves read as the specification writes them", () => {
    expect(hex(0x2b40_0000)).toBe("0x2b400000");
    expect(hex(5, 4)).toBe("0x0005");
    expect(hex64(0xdead_beef, 1)).toBe("0xdeadbeef00000001");
  });

  test("join64 undoes high32 and low32", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        expect(join64(high32(value), low32(value))).toBe(value);
      }),
    );
  });
});
