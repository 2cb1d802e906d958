// SPDX-License-Identifier: MIT
/** Building Stream tables and CD tables in memory. */
import { HostMisuseError } from "../../errors.ts";
import { type TableArena, type TableMemory, writeWords } from "./memory.ts";
import { l1cd, l1std } from "./structures.ts";

export interface StreamTableOptions {
  readonly memory: TableMemory;
  readonly arena: TableArena;
  /** log2 of the StreamIDs that the table covers. */
  readonly log2Size: number;
  /** Two levels, split at this StreamID bit. Default: linear. */
  readonly split?: 6 | 8 | 10;
}

/** A Stream table with the register values that lead to it. */
export class StreamTables {
  /** STRTAB_BASE.ADDR. */
  readonly base: number;
  /** STRTAB_BASE_CFG. */
  readonly config: number;
  readonly #memory: TableMemory;
  readonly #arena: TableArena;
  readonly #split: number | undefined;
  readonly #leaves = new Map<number, number>();

  constructor(options: StreamTableOptions) {
    const { memory, arena, log2Size, split } = options;
    this.#memory = memory;
    this.#arena = arena;
    this.#split = split;
    this.base = arena.take(split === undefined ? 64 * 2 ** log2Size : Math.max(64, 8 * 2 ** (log2Size - split)));
    this.config = log2Size | (split === undefined ? 0 : (split << 6) | (1 << 16));
  }

  /** Where the STE of a stream is; a missing level-2 array is made, as large as the split allows. */
  steAddress(streamId: number): number {
    const split = this.#split;
    if (split === undefined) return this.base + streamId * 64;
    const index = Math.floor(streamId / 2 ** split);
    const array = this.#leaves.get(index) ?? this.setArray(streamId, split + 1);
    return array + (streamId % 2 ** split) * 64;
  }

  /** Writes the level-1 descriptor of a stream. @param span 2^(span-1) STEs @returns the new array's address */
  setArray(streamId: number, span: number): number {
    const split = this.#split;
    if (split === undefined) throw new HostMisuseError("LINEAR_STREAM_TABLE", "a linear Stream table has no level-2 arrays");
    const array = this.#arena.take(64 * 2 ** Math.max(0, Math.min(span, 11) - 1));
    writeWords(this.#memory, this.level1Address(streamId), l1std(array, span));
    this.#leaves.set(Math.floor(streamId / 2 ** split), array);
    return array;
  }

  /** Where the level-1 descriptor of a stream is. */
  level1Address(streamId: number): number {
    return this.base + 8 * Math.floor(streamId / 2 ** (this.#split ?? 0));
  }

  /** Writes an STE. @returns its address */
  write(streamId: number, ste: Uint32Array): number {
    const at = this.steAddress(streamId);
    writeWords(this.#memory, at, ste);
    return at;
  }
}

export interface CdTableOptions {
  readonly memory: TableMemory;
  readonly arena: TableArena;
  /** S1CDMax: log2 of the CDs; 0 is a single CD. */
  readonly cdMax: number;
  /** S1Fmt: 0 linear, 1 two-level with 4 KiB leaves, 2 with 64 KiB leaves. */
  readonly format?: 0 | 1 | 2;
}

/** A CD table. Addresses are those in which the arena gives out memory. */
export class CdTable {
  /** STE.S1ContextPtr. */
  readonly base: number;
  /** STE.S1CDMax and STE.S1Fmt. */
  readonly fields: { readonly S1CDMax: number; readonly S1Fmt: number };
  readonly #memory: TableMemory;
  readonly #arena: TableArena;
  readonly #leafBits: number;
  readonly #leaves = new Map<number, number>();

  constructor(options: CdTableOptions) {
    const { memory, arena, cdMax, format = 0 } = options;
    this.#memory = memory;
    this.#arena = arena;
    this.#leafBits = format === 0 ? 0 : format === 1 ? 6 : 10;
    this.fields = { S1CDMax: cdMax, S1Fmt: format };
    this.base = arena.take(format === 0 ? 64 * 2 ** cdMax : Math.max(64, 8 * 2 ** (cdMax - this.#leafBits)));
  }

  /** Where the CD at an index is; a missing leaf table is made. */
  cdAddress(index: number): number {
    if (this.#leafBits === 0) return this.base + index * 64;
    const slot = index >>> this.#leafBits;
    let leaf = this.#leaves.get(slot);
    if (leaf === undefined) {
      leaf = this.#arena.take(64 * 2 ** this.#leafBits);
      this.#leaves.set(slot, leaf);
      writeWords(this.#memory, this.level1Address(index), l1cd(leaf));
    }
    return leaf + (index % 2 ** this.#leafBits) * 64;
  }

  /** Where the level-1 descriptor for an index is. */
  level1Address(index: number): number {
    return this.base + 8 * (index >>> this.#leafBits);
  }

  /** Writes a CD. @returns its address */
  write(index: number, cd: Uint32Array): number {
    const at = this.cdAddress(index);
    writeWords(this.#memory, at, cd);
    return at;
  }
}
