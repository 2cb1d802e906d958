// SPDX-License-Identifier: MIT
/** A set of physical byte addresses: which bytes were changed, each counted once however often it is written. */

const PAGE = 4096;

export class ByteSet {
  readonly #pages = new Map<number, Uint8Array>();
  #size = 0;

  /** How many different bytes were added. */
  get size(): number {
    return this.#size;
  }

  /** Adds `length` bytes from `address` on. */
  add(address: number, length: number): void {
    for (let done = 0; done < length;) {
      const page = Math.floor((address + done) / PAGE);
      const start = (address + done) % PAGE;
      const end = Math.min(PAGE, start + length - done);
      this.#addInPage(page, start, end);
      done += end - start;
    }
  }

  #addInPage(page: number, start: number, end: number): void {
    let bits = this.#pages.get(page);
    if (bits === undefined) {
      bits = new Uint8Array(PAGE / 8);
      this.#pages.set(page, bits);
    }
    for (let byte = start; byte < end; byte++) {
      const mask = 1 << (byte & 7);
      if ((bits[byte >> 3]! & mask) !== 0) continue;
      bits[byte >> 3]! |= mask;
      this.#size++;
    }
  }
}
