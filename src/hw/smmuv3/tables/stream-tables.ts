// SPDX-License-Identifier: MIT
/** Building Stream tables and CD tables in memory. */
import { HostMisuseError } from "../../errors.ts";
import { checkInteger, checkNames, checkOneOf, checkPlaces, checkWords, shown } from "../../checks.ts";
import { type TableArena, type TableMemory, writeWords } from "./memory.ts";
import { l1cd, l1std } from "./structures.ts";

export interface StreamTableOptions {
  readonly memory: TableMemory;
  readonly arena: TableArena;
  /** log2 of the StreamIDs that the table covers, 0 to 32. */
  readonly log2Size: number;
  /** Two levels, split at this StreamID bit. Default: linear. */
  readonly split?: 6 | 8 | 10;
}

const STREAM_OPTIONS: readonly (keyof StreamTableOptions)[] = ["memory", "arena", "log2Size", "split"];
const BAD_STREAM_OPTION = "STREAM_TABLE_OPTIONS";

/** A level-2 array: its address, and how many STEs are in it. */
interface SteArray {
  readonly address: number;
  readonly count: number;
}

/** A Stream table with the register values that lead to it. StreamIDs are 0 to 2^log2Size - 1. */
export class StreamTables {
  /** STRTAB_BASE.ADDR. */
  readonly base: number;
  /** STRTAB_BASE_CFG. */
  readonly config: number;
  readonly #memory: TableMemory;
  readonly #arena: TableArena;
  readonly #log2Size: number;
  readonly #split: number | undefined;
  readonly #arrays = new Map<number, SteArray>();

  /** @throws HostMisuseError for an option out of its range, or if the arena has no room for the table */
  constructor(options: StreamTableOptions) {
    checkNames(BAD_STREAM_OPTION, "options of StreamTables", options, STREAM_OPTIONS);
    const { memory, arena, log2Size, split } = options;
    checkPlaces(BAD_STREAM_OPTION, "StreamTables", memory, arena);
    checkInteger(BAD_STREAM_OPTION, "log2Size of a Stream table", log2Size, 0, 32);
    if (split !== undefined) checkOneOf(BAD_STREAM_OPTION, "split of a Stream table", split, [6, 8, 10]);
    this.#memory = memory;
    this.#arena = arena;
    this.#log2Size = log2Size;
    this.#split = split;
    this.base = arena.take(split === undefined ? 64 * 2 ** log2Size : Math.max(64, 8 * 2 ** (log2Size - split)));
    this.config = log2Size | (split === undefined ? 0 : (split << 6) | (1 << 16));
  }

  /**
   * Where the STE of a stream is; a missing level-2 array is made, as large as the split allows.
   * @throws HostMisuseError for a StreamID beyond the table or beyond the array that {@link setArray} made
   */
  steAddress(streamId: number): number {
    this.#check(streamId);
    const split = this.#split;
    if (split === undefined) return this.base + streamId * 64;
    const slot = Math.floor(streamId / 2 ** split);
    if (!this.#arrays.has(slot)) this.setArray(streamId, split + 1);
    const { address, count } = this.#arrays.get(slot)!;
    const index = streamId % 2 ** split;
    if (index >= count) {
      throw new HostMisuseError(
        "STREAM_ID_RANGE",
        `StreamID ${shown(streamId)} is number ${index} of its level-2 array, which has ${count} STEs by the Span that was set`,
      );
    }
    return address + index * 64;
  }

  /**
   * Writes the level-1 descriptor of a stream.
   * @param span the field, 0 to 31: 2^(span-1) STEs; 0 and what is reserved (above 11 or above the split + 1) mean none to the SMMU
   * @returns the new array's address
   * @throws HostMisuseError for a StreamID beyond the table, another span, or a linear table
   */
  setArray(streamId: number, span: number): number {
    this.#check(streamId);
    checkInteger("STREAM_TABLE_SPAN", "Span of a level-1 Stream table descriptor", span, 0, 31);
    const split = this.#split;
    if (split === undefined) throw new HostMisuseError("LINEAR_STREAM_TABLE", "a linear Stream table has no level-2 arrays");
    const room = 2 ** Math.max(0, Math.min(span, 11) - 1);
    const address = this.#arena.take(64 * room);
    writeWords(this.#memory, this.level1Address(streamId), l1std(address, span));
    this.#arrays.set(Math.floor(streamId / 2 ** split), { address, count: span === 0 ? 0 : Math.min(room, 2 ** split) });
    return address;
  }

  /** Where the level-1 descriptor of a stream is. @throws HostMisuseError for a StreamID beyond the table, or a linear table */
  level1Address(streamId: number): number {
    this.#check(streamId);
    if (this.#split === undefined) throw new HostMisuseError("LINEAR_STREAM_TABLE", "a linear Stream table has no level-1 descriptors");
    return this.base + 8 * Math.floor(streamId / 2 ** this.#split);
  }

  /**
   * Writes an STE.
   * @param ste 16 words
   * @returns its address
   * @throws HostMisuseError as {@link steAddress}, or for another number of words
   */
  write(streamId: number, ste: Uint32Array): number {
    checkWords("an STE", ste, 16);
    const at = this.steAddress(streamId);
    writeWords(this.#memory, at, ste);
    return at;
  }

  #check(streamId: number): void {
    checkInteger("STREAM_ID_RANGE", `StreamID in a table of log2Size ${this.#log2Size}`, streamId, 0, 2 ** this.#log2Size - 1);
  }
}

export interface CdTableOptions {
  readonly memory: TableMemory;
  readonly arena: TableArena;
  /** S1CDMax: log2 of the CDs, 0 to 20; 0 is a single CD, whatever the format. */
  readonly cdMax: number;
  /** S1Fmt: 0 linear, 1 two-level with 4 KiB leaves, 2 with 64 KiB leaves. */
  readonly format?: 0 | 1 | 2;
}

const CD_OPTIONS: readonly (keyof CdTableOptions)[] = ["memory", "arena", "cdMax", "format"];
const BAD_CD_OPTION = "CD_TABLE_OPTIONS";

/** A CD table. Addresses are those in which the arena gives out memory; indexes are 0 to 2^cdMax - 1. */
export class CdTable {
  /** STE.S1ContextPtr. */
  readonly base: number;
  /** STE.S1CDMax and STE.S1Fmt. */
  readonly fields: { readonly S1CDMax: number; readonly S1Fmt: number };
  readonly #memory: TableMemory;
  readonly #arena: TableArena;
  readonly #leafBits: number;
  readonly #leaves = new Map<number, number>();

  /** @throws HostMisuseError for an option out of its range, or if the arena has no room for the table */
  constructor(options: CdTableOptions) {
    checkNames(BAD_CD_OPTION, "options of a CdTable", options, CD_OPTIONS);
    const { memory, arena, cdMax, format = 0 } = options;
    checkPlaces(BAD_CD_OPTION, "a CdTable", memory, arena);
    checkInteger(BAD_CD_OPTION, "cdMax of a CD table", cdMax, 0, 20);
    checkOneOf(BAD_CD_OPTION, "format of a CD table", format, [0, 1, 2]);
    this.#memory = memory;
    this.#arena = arena;
    this.#leafBits = cdMax === 0 || format === 0 ? 0 : format === 1 ? 6 : 10;
    this.fields = { S1CDMax: cdMax, S1Fmt: format };
    this.base = arena.take(this.#leafBits === 0 ? 64 * 2 ** cdMax : Math.max(64, 8 * 2 ** (cdMax - this.#leafBits)));
  }

  /** Where the CD at an index is; a missing leaf table is made. @throws HostMisuseError for an index beyond the table */
  cdAddress(index: number): number {
    this.#check(index);
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

  /** Where the level-1 descriptor for an index is. @throws HostMisuseError for an index beyond the table, or a linear table */
  level1Address(index: number): number {
    this.#check(index);
    if (this.#leafBits === 0) throw new HostMisuseError("LINEAR_CD_TABLE", "a linear CD table has no level-1 descriptors");
    return this.base + 8 * (index >>> this.#leafBits);
  }

  /**
   * Writes a CD.
   * @param cd 16 words
   * @returns its address
   * @throws HostMisuseError for an index beyond the table or another number of words
   */
  write(index: number, cd: Uint32Array): number {
    checkWords("a CD", cd, 16);
    const at = this.cdAddress(index);
    writeWords(this.#memory, at, cd);
    return at;
  }

  #check(index: number): void {
    checkInteger("CD_INDEX_RANGE", `index in a CD table of cdMax ${this.fields.S1CDMax}`, index, 0, 2 ** this.fields.S1CDMax - 1);
  }
}
