// SPDX-License-Identifier: MIT
/** The random numbers of SMMUv3TestEngine: the 48-bit linear congruential generator of drand48, seeded as srand48 does. */

/** The multiplier 0x5DEECE66D in halves of 24 bits, and the increment. */
const MULTIPLIER_HIGH = 0x5de;
const MULTIPLIER_LOW = 0xec_e66d;
const INCREMENT = 0xb;
const HALF = 2 ** 24;
/** The lower 16 bits of the state after seeding. */
const SEED_LOW = 0x330e;

class Rand48 {
  #high: number;
  #low: number;

  /** @param seed 32 bits */
  constructor(seed: number) {
    this.#high = seed >>> 8;
    this.#low = ((seed & 0xff) << 16) | SEED_LOW;
  }

  #step(): void {
    const low = this.#low * MULTIPLIER_LOW + INCREMENT;
    this.#high = (this.#high * MULTIPLIER_LOW + this.#low * MULTIPLIER_HIGH + Math.floor(low / HALF)) % HALF;
    this.#low = low % HALF;
  }

  /** 32 random bits: 31 of one step, the topmost one of a second. */
  next(): number {
    this.#step();
    const low31 = Math.floor((this.#high * HALF + this.#low) / 2 ** 17) % 2 ** 31;
    this.#step();
    return (low31 | ((this.#high & 0x80) << 24)) >>> 0;
  }
}

/** Fair choices from a seed. */
export class RandomBits {
  readonly #random: Rand48;

  constructor(seed: number) {
    this.#random = new Rand48(seed);
  }

  next(): boolean {
    return (this.#random.next() & 1) !== 0;
  }
}

/**
 * What RAND48 writes: one byte per random number, from a generator that is seeded anew with the command's seed and the
 * address at the start of each transaction. A transaction does not cross 4 KiB.
 */
export function fillRandom(bytes: Uint8Array, seed: number, address: bigint): void {
  const random = new Rand48((seed ^ Number(address >> 32n) ^ Number(address & 0xffff_ffffn)) >>> 0);
  for (let i = 0; i < bytes.length; i++) bytes[i] = random.next();
}
