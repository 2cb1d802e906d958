// SPDX-License-Identifier: MIT
/** Seeded choices in words. */
import { Prng } from "../../sim/index.ts";

export class Dice {
  readonly #prng: Prng;

  constructor(seed: number) {
    this.#prng = new Prng(seed);
  }

  /** 0 … `bound` - 1. @param bound 1 … 2^53 */
  below(bound: number): number {
    if (bound <= 2 ** 32) return this.#prng.below(bound);
    const high = this.#prng.below(Math.ceil(bound / 2 ** 32));
    return (high * 2 ** 32 + this.#prng.nextU32()) % bound;
  }

  /** True in so many of a hundred cases. */
  chance(percent: number): boolean {
    return this.#prng.below(100) < percent;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.#prng.below(list.length)]!;
  }

  /** Picks by weights. */
  weighted<T>(list: readonly (readonly [weight: number, value: T])[]): T {
    let at = this.#prng.below(list.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, value] of list) {
      if (at < weight) return value;
      at -= weight;
    }
    throw new RangeError("no weights");
  }
}
