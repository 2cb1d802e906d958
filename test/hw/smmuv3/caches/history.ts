// SPDX-License-Identifier: MIT
/**
 * Which results the architecture allows, said without a cache: for each thing that may be cached, all the values that it may
 * have, each with the last moment at which it could be read from memory. Maintenance that began at a moment and is complete
 * leaves those that could be read since (IHI 0070 §3.21, §3.17, §4.7.3).
 */

/** Values of one thing that may be cached under one set of tags. */
export class History<T> {
  readonly #last = new Map<T, number>();

  /** `value` can be read from memory now. */
  readable(value: T, now: number): void {
    this.#last.set(value, now);
  }

  /** Maintenance that began at `since` is complete. */
  completed(since: number): void {
    for (const [value, last] of this.#last) if (last < since) this.#last.delete(value);
  }

  /** All that may be used. */
  get values(): readonly T[] {
    return [...this.#last.keys()];
  }

  /** Those that can be read now: what is not cached, such as a fault, is always one of these. */
  readableAt(now: number): readonly T[] {
    return [...this.#last].filter(([, last]) => last === now).map(([value]) => value);
  }
}
