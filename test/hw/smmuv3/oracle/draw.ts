// SPDX-License-Identifier: MIT
/**
 * Random choices out of an array of random words that fast-check gives and shrinks: 0, and the end of the array, stand for the
 * first, plainest choice.
 */
import fc from "fast-check";

export class Draw {
  readonly #words: Uint32Array;
  #next = 0;

  constructor(words: Uint32Array) {
    this.#words = words;
  }

  word(): number {
    return this.#words[this.#next++] ?? 0;
  }

  /** 0 … max. */
  nat(max: number): number {
    return this.word() % (max + 1);
  }

  /** True once in `n`. */
  oneIn(n: number): boolean {
    return this.nat(n - 1) === n - 1;
  }

  one<T>(list: readonly T[]): T {
    return list[this.nat(list.length - 1)]!;
  }

  /** A number of up to `width` bits. */
  bits(width: number): bigint {
    const value = (BigInt(this.word()) << 32n) | BigInt(width > 32 ? this.word() : 0);
    return (width > 32 ? value : value >> 32n) & ((1n << BigInt(width)) - 1n);
  }
}

/** @param length words; a scenario that needs more goes on with the plainest choices */
export function draws(length: number): fc.Arbitrary<Draw> {
  return fc.uint32Array({ minLength: length, maxLength: length }).map((words) => new Draw(words));
}
