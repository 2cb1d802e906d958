// SPDX-License-Identifier: MIT
/** Where the table builders write, and where they take room from. */
import { HostMisuseError } from "../../errors.ts";
import { hex } from "../../bits/hex.ts";
import { checkInteger, checkWords, shown } from "../../checks.ts";

/** Physical memory by 32-bit words, as `PhysicalMemory` has it. Addresses are multiples of 4. */
export interface TableMemory {
  read32(address: number): number;
  write32(address: number, value: number): void;
}

/** No physical address of the architecture is as large as this. */
const ADDRESS_END = 2 ** 52;

/** Gives out pieces of a range of memory, one after the other. */
export class TableArena {
  readonly #end: number;
  #next: number;

  /**
   * @param base first address
   * @param size in bytes; the range ends at or below 2^52
   * @throws HostMisuseError for another range
   */
  constructor(base: number, size: number) {
    checkInteger("ARENA_RANGE", "base of a TableArena", base, 0, ADDRESS_END - 1);
    checkInteger("ARENA_RANGE", `size of a TableArena at ${hex(base)}`, size, 1, ADDRESS_END - base);
    this.#next = base;
    this.#end = base + size;
  }

  /**
   * @param bytes of the piece, at least 1
   * @param alignment a power of two; default: the smallest one that is not below `bytes`
   * @throws HostMisuseError for other arguments, or if the range is used up
   */
  take(bytes: number, alignment: number = powerOfTwoFrom(bytes)): number {
    checkInteger("ARENA_PIECE", "size of a piece of a TableArena", bytes, 1, ADDRESS_END);
    checkInteger("ARENA_PIECE", "alignment in a TableArena", alignment, 1, ADDRESS_END);
    if (powerOfTwoFrom(alignment) !== alignment) {
      throw new HostMisuseError("ARENA_PIECE", `alignment in a TableArena is ${shown(alignment)}: it has to be a power of two`);
    }
    const at = Math.ceil(this.#next / alignment) * alignment;
    if (at + bytes > this.#end) {
      throw new HostMisuseError(
        "TABLE_ARENA_FULL",
        `no room for ${hex(bytes)} bytes of tables, aligned to ${hex(alignment)}, between ${hex(this.#next)} and ${hex(this.#end)}`,
      );
    }
    this.#next = at + bytes;
    return at;
  }
}

/** The smallest power of two that is not below `value`. */
function powerOfTwoFrom(value: number): number {
  let power = 1;
  while (power < value && power < ADDRESS_END) power *= 2;
  return power;
}

/**
 * Writes words one after the other.
 * @param address a multiple of 4
 * @throws HostMisuseError for another address, or if `words` is no list of 32-bit words
 */
export function writeWords(memory: TableMemory, address: number, words: ArrayLike<number>): void {
  checkInteger("WORDS", "address of words", address, 0, ADDRESS_END - 4, 4);
  checkWords("words to write", words);
  for (let i = 0; i < words.length; i++) memory.write32(address + 4 * i, words[i]!);
}
