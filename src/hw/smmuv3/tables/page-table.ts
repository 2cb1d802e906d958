// SPDX-License-Identifier: MIT
/** Building VMSAv8-64 page tables of either stage in memory, for every granule. */
import { HostMisuseError } from "../../errors.ts";
import { hex } from "../../bits/hex.ts";
import { type GranuleBits, levelShift, stage1StartLevel, strideOf } from "../address-size.ts";
import { swapBytes } from "../descriptor.ts";
import { checkInteger, checkNames, checkOneOf, checkPlaces, shown } from "./checks.ts";
import {
  checkGranule,
  checkStage,
  checkTableFields,
  type DescriptorWords,
  leafBits,
  type LeafFields,
  outputEnd,
  tableDescriptor,
  type TableFields,
  withAddress,
} from "./descriptors.ts";
import type { TableArena, TableMemory } from "./memory.ts";

export { type DescriptorWords, leafDescriptor, type LeafFields, tableDescriptor, type TableFields } from "./descriptors.ts";

export interface PageTableOptions {
  readonly memory: TableMemory;
  readonly arena: TableArena;
  readonly stage: 1 | 2;
  /** log2 of the granule. */
  readonly granule: GranuleBits;
  /** Bits of input address that the table translates: 25 to 48, with 64 KiB granules to 52. Default: 48. */
  readonly inputBits?: number;
  /**
   * Stage 2 may start lower, with up to 16 concatenated tables. Default: as few levels as a single table needs, where the
   * architecture has that start level.
   */
  readonly startLevel?: number;
  readonly bigEndian?: boolean;
}

const OPTIONS: readonly (keyof PageTableOptions)[] = ["memory", "arena", "stage", "granule", "inputBits", "startLevel", "bigEndian"];
const BAD_OPTION = "PAGE_TABLE_OPTIONS";

/** The levels at which a walk may start, the usual one first. */
function startLevels(stage: 1 | 2, granule: GranuleBits, inputBits: number): readonly number[] {
  const usual = stage1StartLevel(granule, inputBits);
  if (stage === 1) return [usual];
  // S2SL0 names three levels; there is at least one index bit, and at most 16 tables are concatenated.
  const fits = (granule === 12 ? [0, 1, 2] : [1, 2, 3]).filter((level) => {
    const indexBits = inputBits - levelShift(granule, level);
    return indexBits >= 1 && indexBits <= strideOf(granule) + 4;
  });
  return fits.includes(usual) ? [usual, ...fits.filter((level) => level !== usual)] : fits;
}

/** Levels that have leaves: pages, and blocks (those of level 1 with 64 KiB granules need 52-bit addresses). */
function leafLevels(granule: GranuleBits, startLevel: number): readonly number[] {
  return (granule === 14 ? [2, 3] : [1, 2, 3]).filter((level) => level >= startLevel);
}

export class PageTable {
  readonly stage: 1 | 2;
  readonly granule: GranuleBits;
  readonly inputBits: number;
  readonly startLevel: number;
  readonly bigEndian: boolean;
  /** Address of the first table, as a TTB register or field holds it. */
  readonly base: number;
  readonly #memory: TableMemory;
  readonly #arena: TableArena;

  /** @throws HostMisuseError for an option out of its range, or if the arena is used up */
  constructor(options: PageTableOptions) {
    checkNames(BAD_OPTION, "options of a PageTable", options, OPTIONS);
    const { memory, arena, stage, granule, inputBits = 48, bigEndian = false } = options;
    checkPlaces(BAD_OPTION, "a PageTable", memory, arena);
    checkStage(stage);
    checkGranule(granule);
    checkInteger(BAD_OPTION, `inputBits of a table with ${2 ** (granule - 10)} KiB granules`, inputBits, 25, granule === 16 ? 52 : 48);
    checkOneOf(BAD_OPTION, "bigEndian", bigEndian, [false, true]);
    const levels = startLevels(stage, granule, inputBits);
    const { startLevel = levels[0]! } = options;
    checkOneOf(
      BAD_OPTION,
      `startLevel of stage ${stage} with ${2 ** (granule - 10)} KiB granules and ${inputBits} input bits`,
      startLevel,
      levels,
    );
    this.#memory = memory;
    this.#arena = arena;
    this.stage = stage;
    this.granule = granule;
    this.inputBits = inputBits;
    this.startLevel = startLevel;
    this.bigEndian = bigEndian;
    const entries = 2 ** (inputBits - levelShift(granule, startLevel));
    this.base = arena.take(Math.max(64, 8 * entries));
    checkInteger("MAP_RANGE", "address of the first table", this.base, 0, outputEnd(granule) - 1);
  }

  /** Bytes that one leaf at `level` (0 to 3) maps. */
  leafSize(level: number): number {
    checkInteger("MAP_LEVEL", "level", level, 0, 3);
    return 2 ** levelShift(this.granule, level);
  }

  /**
   * Maps `size` bytes with leaves of one level; levels above get tables as needed. Nothing is written if it throws for an
   * argument.
   * @param address in the half of the address space that the table translates, from 0 on
   * @param output up to 48 bits, with 64 KiB granules up to 52
   * @param size a multiple of the leaf's size, at least one leaf
   * @param level of the leaves, one that has pages or blocks. Default: 3
   * @throws HostMisuseError if addresses are out of range or not aligned to the leaves, for a level that has no leaves, for an
   *   unknown field or a field's value that does not fit, or if the arena is used up
   */
  map(address: number, output: number, size: number, fields: LeafFields = {}, level: number = 3, tables: TableFields = {}): void {
    const { granule, startLevel } = this;
    const place = `leaves of a table with ${2 ** (granule - 10)} KiB granules that starts at level ${startLevel}`;
    checkOneOf("MAP_LEVEL", `level of ${place}`, level, leafLevels(granule, startLevel));
    this.#checkRange(address, output, size);
    const step = this.leafSize(level);
    if (address % step !== 0 || output % step !== 0 || size % step !== 0) {
      throw new HostMisuseError("MAP_ALIGNMENT", `${mapping(address, output, size)}: not aligned to leaves of ${hex(step)} bytes`);
    }
    const bits = leafBits(this.stage, level, fields);
    checkTableFields(tables);
    for (let done = 0; done < size; done += step) {
      this.write(this.#entry(address + done, level, tables), withAddress(bits, output + done, granule));
    }
  }

  #checkRange(address: number, output: number, size: number): void {
    for (const [what, value] of Object.entries({ address, output, size })) {
      if (!Number.isSafeInteger(value) || value < 0) {
        throw new HostMisuseError("MAP_RANGE", `${mapping(address, output, size)}: ${what} has to be a whole number of at least 0`);
      }
    }
    if (size === 0) throw new HostMisuseError("MAP_RANGE", `${mapping(address, output, size)}: there is nothing to map`);
    const end = 2 ** this.inputBits;
    if (address + size > end) {
      throw new HostMisuseError(
        "MAP_RANGE",
        `${mapping(address, output, size)}: the table translates addresses below ${hex(end)} (inputBits ${this.inputBits}), and those of TTB1 ` +
          "from the start of their half on",
      );
    }
    if (output + size > outputEnd(this.granule)) {
      throw new HostMisuseError(
        "MAP_RANGE",
        `${mapping(address, output, size)}: descriptors hold output addresses below ${hex(outputEnd(this.granule))}`,
      );
    }
  }

  /**
   * Clears the leaf that maps an address.
   * @returns where the descriptor is
   * @throws HostMisuseError as {@link entryAddress}
   */
  unmap(address: number, level: number = 3): number {
    const at = this.entryAddress(address, level);
    this.write(at, [0, 0]);
    return at;
  }

  /**
   * Where the entry for an address is at `level`; tables above it are made if they are missing.
   * @throws HostMisuseError if the table does not translate the address, has no such level, or needs a table and the arena is
   *   used up
   */
  entryAddress(address: number, level: number, tables: TableFields = {}): number {
    checkInteger("MAP_RANGE", `address in a table of ${this.inputBits} input bits`, address, 0, 2 ** this.inputBits - 1);
    checkInteger("MAP_LEVEL", "level of the entry", level, this.startLevel, 3);
    checkTableFields(tables);
    return this.#entry(address, level, tables);
  }

  #entry(address: number, level: number, tables: TableFields): number {
    let table = this.base;
    for (let above = this.startLevel; above < level; above++) {
      const at = table + 8 * this.#index(address, above);
      const [lo, hi] = this.read(at);
      if ((lo & 3) === 3) {
        table = (hi & 0xffff) * 2 ** 32 + ((lo & -(2 ** this.granule)) >>> 0) + (this.granule === 16 ? ((lo >>> 12) & 15) * 2 ** 48 : 0);
        continue;
      }
      table = this.#arena.take(2 ** this.granule);
      this.write(at, tableDescriptor(table, this.granule, tables));
    }
    return table + 8 * this.#index(address, level);
  }

  #index(address: number, level: number): number {
    const shift = levelShift(this.granule, level);
    const width = level === this.startLevel ? this.inputBits - shift : strideOf(this.granule);
    return Math.floor(address / 2 ** shift) % 2 ** width;
  }

  /** Writes a descriptor, any two words, in the table's endianness. */
  write(at: number, [lo, hi]: DescriptorWords): void {
    this.#memory.write32(at, this.bigEndian ? swapBytes(hi) : lo);
    this.#memory.write32(at + 4, this.bigEndian ? swapBytes(lo) : hi);
  }

  /** Reads a descriptor in the table's endianness. */
  read(at: number): DescriptorWords {
    const first = this.#memory.read32(at);
    const second = this.#memory.read32(at + 4);
    return this.bigEndian ? [swapBytes(second), swapBytes(first)] : [first, second];
  }
}

function mapping(address: unknown, output: unknown, size: unknown): string {
  return `mapping ${shown(address)} to ${shown(output)}, ${shown(size)} bytes`;
}
