// SPDX-License-Identifier: MIT
/**
 * Seeded pseudo-random numbers: the only randomness below the command line.
 *
 * The generator is xoshiro128** (Blackman and Vigna), seeded through splitmix32: 32-bit integer arithmetic only, so the
 * same seed gives the same sequence on every engine.
 */
export class Prng {
  readonly #s = new Int32Array(4);

  /** @param seed any integer of magnitude below 2^53; its low and high 32 bits both count. */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed)) throw new RangeError(`seed ${seed} is not a safe integer`);
    let x = (seed | 0) ^ Math.imul(Math.floor(seed / 0x1_0000_0000) | 0, 0x9e3779b1 | 0);
    for (let i = 0; i < 4; i++) {
      x = (x + 0x9e3779b9) | 0;
      let z = x;
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      this.#s[i] = z ^ (z >>> 16);
    }
    if (this.#s.every((word) => word === 0)) this.#s[0] = 1;
  }

  /** The next unsigned 32-bit integer. */
  nextU32(): number {
    const s = this.#s;
    const s1 = s[1]!;
    const times5 = Math.imul(s1, 5);
    const result = Math.imul((times5 << 7) | (times5 >>> 25), 9);
    s[2]! ^= s[0]!;
    s[3]! ^= s1;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= s1 << 9;
    s[3] = (s[3]! << 11) | (s[3]! >>> 21);
    return result >>> 0;
  }

  /**
   * A uniform integer in 0 … `bound` - 1, without modulo bias.
   * @param bound 1 … 2^32
   * @throws RangeError for a bound outside that range
   */
  below(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > 0x1_0000_0000) {
      throw new RangeError(`bound ${bound} is not an integer in 1 … 2^32`);
    }
    if (bound === 0x1_0000_0000) return this.nextU32();
    // In 32 bits, where a remainder is one instruction: what is above `last` would favour the small numbers.
    const divisor = bound >>> 0;
    const last = 0xffff_ffff - ((((0xffff_ffff % divisor) + 1) >>> 0) % divisor);
    let value = this.nextU32();
    while (value > last) value = this.nextU32();
    return (value >>> 0) % divisor;
  }

  /** A generator of its own for `name`, so that one consumer's draws do not shift another's. Does not advance this one's caller-visible sequence beyond one draw. */
  fork(name: string): Prng {
    let hash = 0x811c9dc5;
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
    return new Prng((this.nextU32() ^ hash) >>> 0);
  }
}
