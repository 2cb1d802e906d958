// SPDX-License-Identifier: MIT
/** The bytes of a caller as 32-bit words, where that pays: for a buffer that comes again and again, as those of devices do. */

export class WordView {
  /** The buffer that came last, and its words once it has come twice in a row. */
  #bytes: Uint8Array | undefined = undefined;
  #words: Uint32Array | undefined = undefined;

  /**
   * @param end of what is to be accessed, in bytes
   * @returns undefined for a buffer that is new, does not lie on a border of words, or ends before
   */
  of(bytes: Uint8Array, end: number): Uint32Array | undefined {
    const words = bytes === this.#bytes && this.#words !== undefined ? this.#words : this.#make(bytes);
    return words !== undefined && end <= 4 * words.length && end <= bytes.length ? words : undefined;
  }

  #make(bytes: Uint8Array): Uint32Array | undefined {
    const again = bytes === this.#bytes && (bytes.byteOffset & 3) === 0;
    this.#bytes = bytes;
    this.#words = again ? new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2) : undefined;
    return this.#words;
  }
}
