// SPDX-License-Identifier: MIT
/** Where the table builders write, and where they take room from. */
import { HostMisuseError } from "../../errors.ts";
import { hex } from "../../bits/hex.ts";

/** Physical memory by 32-bit words, as `PhysicalMemory` has it. Addresses are multiples of 4. */
export interface TableMemory {
  read32(address: number): number;
  write32(address: number, value: number): void;
}

/** Gives out pieces of a range of memory, one after the other. */
export class TableArena {
  readonly #end: number;
  #next: number;

  constructor(base: number, size: number) {
    this.#next = base;
    this.#end = base + size;
  }

  /**
   * @param bytes of the piece
   * @param alignment a power of two; default: the smallest one that is not below `bytes`
   * @throws HostMisuseError if the range is used up
   */
  take(bytes: number, alignment: number = 2 ** Math.ceil(Math.log2(bytes))): number {
    const at = Math.ceil(this.#next / alignment) * alignment;
    if (at + bytes > this.#end) throw new HostMisuseError("TABLE_ARENA_FULL", `no room for ${bytes} bytes of tables below ${hex(this.#end)}`);
    this.#next = at + bytes;
    return at;
  }
}

/** Writes words one after the other. */
export function writeWords(memory: TableMemory, address: number, words: ArrayLike<number>): void {
  for (let i = 0; i < words.length; i++) memory.write32(address + 4 * i, words[i]!);
}
