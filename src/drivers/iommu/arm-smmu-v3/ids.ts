// SPDX-License-Identifier: GPL-2.0-only
/** ASIDs and VMIDs: the lowest number that nobody uses, as Linux's xarray and IDA give them. */

export class IdAllocator {
  readonly #first: number;
  readonly #used = new Set<number>();

  constructor(first: number) {
    this.#first = first;
  }

  /** @param last the highest number allowed. @returns null when all are in use */
  alloc(last: number): number | null {
    for (let id = this.#first; id <= last; id++) {
      if (this.#used.has(id)) continue;
      this.#used.add(id);
      return id;
    }
    return null;
  }

  /** Takes a number out of use; it may be in use already. */
  reserve(id: number): void {
    this.#used.add(id);
  }

  free(id: number): void {
    this.#used.delete(id);
  }
}
