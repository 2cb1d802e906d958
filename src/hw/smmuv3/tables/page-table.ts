// SPDX-License-Identifier: MIT
/** Building VMSAv8-64 page tables of either stage in memory, for every granule. */
import { HostMisuseError } from "../../errors.ts";
import { hex } from "../../bits/hex.ts";
import { type GranuleBits, levelShift, stage1StartLevel, strideOf } from "../translation/address-size.ts";
import { swapBytes } from "../translation/descriptor.ts";
import { checkInteger, checkNames, checkOneOf, checkPlaces, shown } from "../../checks.ts";
import {
  checkDs,
  checkGranule,
  checkStage,
  checkTableFields,
  type DescriptorWords,
  leafBits,
  type LeafFields,
  outputEnd,
  tableAddress,
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
  /**
   * Bits of input address that the table translates: 16 to 48, with `ds` to 52, with 64 KiB granules 17 to 52. Fewer than 25 are
   * for SMMUs with small tables (IDR3.STT). Default: 48.
   */
  readonly inputBits?: number;
  /**
   * Stage 2 may start lower, with up to 16 concatenated tables. Default: as few levels as a single table needs, where the
   * architecture has that start level; with `ds` that may be one that only an SMMU of 52-bit output addresses has.
   */
  readonly startLevel?: number;
  readonly bigEndian?: boolean;
  /** 4 and 16 KiB granules: descriptors with 52-bit addresses (LPA2), for CD.DS or STE.S2DS 1. Default: false. */
  readonly ds?: boolean;
}

const OPTIONS: readonly (keyof PageTableOptions)[] = ["memory", "arena", "stage", "granule", "inputBits", "startLevel", "bigEndian", "ds"];
const BAD_OPTION = "PAGE_TABLE_OPTIONS";

/** The levels at which a walk may start, the usual one first. */
function startLevels(stage: 1 | 2, granule: GranuleBits, inputBits: number, ds: boolean): readonly number[] {
  const usual = stage1StartLevel(granule, inputBits);
  if (stage === 1) return [usual];
  // S2SL0 has a lowest level; there is at least one index bit, and at most 16 tables are concatenated.
  const lowest = (granule === 12 ? 0 : 1) - (ds ? 1 : 0);
  const fits = [-1, 0, 1, 2, 3].filter((level) => {
    if (level < lowest) return false;
    const indexBits = inputBits - levelShift(granule, level);
    return indexBits >= 1 && indexBits <= strideOf(granule) + 4;
  });
  return fits.includes(usual) ? [usual, ...fits.filter((level) => level !== usual)] : fits;
}

/** Levels that have leaves: pages, and blocks (those of level 1 with 64 KiB granules need 52-bit addresses). */
function leafLevels(granule: GranuleBits, startLevel: number, ds: boolean): readonly number[] {
  const lowest = (granule === 14 ? 2 : 1) - (ds ? 1 : 0);
  return [0, 1, 2, 3].filter((level) => level >= lowest && level >= startLevel);
}

/** A VMSAv8-64 page table of one stage in memory, and what leads to it. */
export class PageTable {
  readonly stage: 1 | 2;
  readonly granule: GranuleBits;
  readonly inputBits: number;
  readonly startLevel: number;
  readonly bigEndian: boolean;
  readonly ds: boolean;
  /** Address of the first table, as a TTB register or field holds it. */
  readonly base: number;
  readonly #memory: TableMemory;
  readonly #arena: TableArena;

  /** @throws HostMisuseError for an option out of its range, or if the arena is used up */
  constructor(options: PageTableOptions) {
    checkNames(BAD_OPTION, "options of a PageTable", options, OPTIONS);
    const { memory, arena, stage, granule, inputBits = 48, bigEndian = false, ds = false } = options;
    checkPlaces(BAD_OPTION, "a PageTable", memory, arena);
    checkStage(stage);
    checkGranule(granule);
    checkDs(granule, ds);
    const [fewest, most] = granule === 16 ? [17, 52] : [16, ds ? 52 : 48];
    checkInteger(BAD_OPTION, `inputBits of a table with ${2 ** (granule - 10)} KiB granules`, inputBits, fewest, most);
    checkOneOf(BAD_OPTION, "bigEndian", bigEndian, [false, true]);
    const levels = startLevels(stage, granule, inputBits, ds);
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
    this.ds = ds;
    const entries = 2 ** (inputBits - levelShift(granule, startLevel));
    this.base = arena.take(Math.max(64, 8 * entries));
    checkInteger("MAP_RANGE", "address of the first table", this.base, 0, outputEnd(granule, ds) - 1);
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
   * @param output up to 48 bits, with 64 KiB granules or `ds` up to 52
   * @param size a multiple of the leaf's size, at least one leaf
   * @param level of the leaves, one that has pages or blocks. Default: 3
   * @throws HostMisuseError if addresses are out of range or not aligned to the leaves, for a level that has no leaves, for an
   *   unknown field or a field's value that does not fit, or if the arena is used up
   */
  map(address: number, output: number, size: number, fields: LeafFields = {}, level: number = 3, tables: TableFields = {}): void {
    const { granule, startLevel, ds } = this;
    const place = `leaves of a table with ${2 ** (granule - 10)} KiB granules that starts at level ${startLevel}`;
    checkOneOf("MAP_LEVEL", `level of ${place}`, level, leafLevels(granule, startLevel, ds));
    this.#checkRange(address, output, size);
    const step = this.leafSize(level);
    if (address % step !== 0 || output % step !== 0 || size % step !== 0) {
      throw new HostMisuseError("MAP_ALIGNMENT", `${mapping(address, output, size)}: not aligned to leaves of ${hex(step)} bytes`);
    }
    const bits = leafBits(this.stage, level, fields, ds);
    checkTableFields(tables);
    for (let done = 0; done < size; done += step) {
      this.write(this.#entry(address + done, level, tables), withAddress(bits, output + done, granule, ds));
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
    const largest = outputEnd(this.granule, this.ds);
    if (output + size > largest) {
      throw new HostMisuseError("MAP_RANGE", `${mapping(address, output, size)}: descriptors hold output addresses below ${hex(largest)}`);
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
      const found = this.read(at);
      if ((found[0] & 3) === 3) {
        table = tableAddress(found, this.granule, this.ds);
        continue;
      }
      table = this.#arena.take(2 ** this.granule);
      this.write(at, tableDescriptor(table, this.granule, tables, this.ds));
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
