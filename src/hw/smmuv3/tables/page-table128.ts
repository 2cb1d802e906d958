// SPDX-License-Identifier: MIT
/** Building VMSAv9-128 page tables of either stage in memory, for every granule (DDI 0487 D8.2.11, D8.3.2). */
import { HostMisuseError } from "../../errors.ts";
import { high32, low32 } from "../../bits/hex.ts";
import type { GranuleBits } from "../translation/address-size.ts";
import { levelShift128, startLevel128, strideOf128 } from "../translation/address-size128.ts";
import { swapBytes } from "../translation/descriptor.ts";
import { alternatives, checkFields, checkInteger, checkNames, checkOneOf, checkPlaces, shown } from "../../checks.ts";
import { checkGranule, checkStage } from "./descriptors.ts";
import type { TableArena, TableMemory } from "./memory.ts";

export interface PageTable128Options {
  readonly memory: TableMemory;
  readonly arena: TableArena;
  readonly stage: 1 | 2;
  /** log2 of the granule. */
  readonly granule: GranuleBits;
  /**
   * Bits of input address that the table translates: 16 to 56, with 64 KiB granules 17 to 56. More than 55 are for stage 2 alone,
   * and that ends with the output size of the SMMU. Default: 48.
   */
  readonly inputBits?: number;
  /** Levels that the walk skips at its start, as CD.SKL0, CD.SKL1 or STE.S2SKL: the first table is so much larger. Default: 0. */
  readonly skip?: number;
  readonly bigEndian?: boolean;
}

/** Fields of a leaf. Those of the other stage are ignored. */
export interface LeafFields128 {
  /** Stage 1: AttrIndx, with CD.AIE up to 15. Default: 0. */
  readonly attrIndx?: number;
  /** Stage 2: MemAttr. Default: 15, Normal Write-Back. */
  readonly memAttr?: number;
  /** Default: 3, Inner Shareable. */
  readonly sh?: number;
  /** Access flag. Default: 1. */
  readonly af?: number;
  /** Stage 1. Default: 1. */
  readonly nG?: number;
  /** Entry of CD.PIIP and CD.PIIU or of SMMU_S2PII. Default: 0. */
  readonly piIndex?: number;
  /** Stage 1. Default: 0. */
  readonly nDirty?: number;
  /** Stage 2. Default: 1. */
  readonly dirty?: number;
  /** Stage 2: entry of STE.S2POI. Default: 0. */
  readonly poIndex?: number;
  readonly contiguous?: number;
  /** Blocks only. */
  readonly nT?: number;
  /** Stage 1. Default: 0. */
  readonly protected?: number;
  /** Stage 2. Default: 0. */
  readonly assuredOnly?: number;
}

/** Fields of the table descriptors that `PageTable128.map` creates. */
export interface TableFields128 {
  /** SKL by the level of the descriptor. Default: no level is skipped. */
  readonly skl?: Readonly<Record<number, number>>;
  /** Stage 1: no Contiguous in the next table. Default: 0. */
  readonly disCH?: number;
  /** Stage 1. Default: 0. */
  readonly protected?: number;
  /** Where SKL is not 0. Default: 0. */
  readonly nT?: number;
  /** Access flag. Default: 0. */
  readonly af?: number;
}

/** The four words of a descriptor, the lowest first. */
export type DescriptorWords128 = readonly [number, number, number, number];

const OPTIONS: readonly (keyof PageTable128Options)[] = ["memory", "arena", "stage", "granule", "inputBits", "skip", "bigEndian"];
const LEAF_LIMITS: Readonly<Record<keyof LeafFields128, number>> = {
  attrIndx: 15,
  memAttr: 15,
  sh: 3,
  af: 1,
  nG: 1,
  piIndex: 15,
  nDirty: 1,
  dirty: 1,
  poIndex: 15,
  contiguous: 1,
  nT: 1,
  protected: 1,
  assuredOnly: 1,
};
const TABLE_LIMITS: Readonly<Record<Exclude<keyof TableFields128, "skl">, number>> = { disCH: 1, protected: 1, nT: 1, af: 1 };
const BAD_OPTION = "PAGE_TABLE_OPTIONS";
/** Addresses that this model has; descriptors hold four bits more. */
const OUTPUT_END = 2 ** 52;

/**
 * A leaf of any level: where the architecture has no block, one that the SMMU takes as invalid.
 * @param level 0 to 3
 * @param output a multiple of the granule below 2^56
 * @throws HostMisuseError for other values, an unknown field or a field's value that does not fit
 */
export function leafDescriptor128(stage: 1 | 2, level: number, output: number, fields: LeafFields128 = {}): DescriptorWords128 {
  checkStage(stage);
  checkInteger("MAP_LEVEL", "level of a descriptor", level, 0, 3);
  checkInteger("MAP_RANGE", "output of a leaf", output, 0, 2 ** 56 - 4096, 4096);
  checkFields("LEAF_FIELDS", "fields of a leaf", fields, LEAF_LIMITS);
  const { sh = 3, af = 1, contiguous = 0, nT = 0, piIndex = 0, attrIndx = 0, memAttr = 15 } = fields;
  if (nT === 1 && level === 3) throw new HostMisuseError("LEAF_FIELDS", "fields of a leaf: nT is 1 at level 3: only blocks have nT");
  const first = stage === 1;
  const bit7 = first ? (fields.nDirty ?? 0) : (fields.dirty ?? 1);
  const lo = 1 | ((first ? attrIndx : memAttr) << 2) | (nT << 6) | (bit7 << 7) | (sh << 8) | (af << 10);
  const hardened = first ? (fields.protected ?? 0) : (fields.assuredOnly ?? 0);
  const top = ((3 - level) << 13) | (contiguous << 15) | (hardened << 18) | (piIndex << 19) | (first ? 0 : (fields.poIndex ?? 0) << 25);
  return [(lo | (first ? (fields.nG ?? 1) << 11 : 0) | low32(output)) >>> 0, high32(output), 0, top >>> 0];
}

/**
 * A table descriptor.
 * @param table a multiple of 4096 below 2^56
 * @param skl levels that are skipped, 0 to 3
 * @throws HostMisuseError for other values, an unknown field or a field's value that does not fit
 */
export function tableDescriptor128(table: number, skl: number = 0, fields: TableFields128 = {}): DescriptorWords128 {
  checkInteger("MAP_RANGE", "next-level table", table, 0, 2 ** 56 - 4096, 4096);
  checkInteger("TABLE_FIELDS", "SKL of a table descriptor", skl, 0, 3);
  const { skl: _skl, ...bits } = fields;
  checkFields("TABLE_FIELDS", "fields of table descriptors", bits, TABLE_LIMITS);
  const { disCH = 0, nT = 0, af = 0 } = bits;
  const lo = 1 | (nT << 6) | (af << 10) | low32(table);
  return [lo >>> 0, high32(table), 0, (skl << 13) | (disCH << 16) | ((bits.protected ?? 0) << 18)];
}

/** Levels that have leaves: pages and blocks. */
function leafLevels(granule: GranuleBits, startLevel: number): readonly number[] {
  return [0, 1, 2, 3].filter((level) => level >= (granule === 12 ? 0 : 1) && level >= startLevel);
}

export class PageTable128 {
  readonly stage: 1 | 2;
  readonly granule: GranuleBits;
  readonly inputBits: number;
  readonly skip: number;
  readonly startLevel: number;
  readonly bigEndian: boolean;
  /** Address of the first table, as a TTB field holds it. */
  readonly base: number;
  readonly #memory: TableMemory;
  readonly #arena: TableArena;

  /** @throws HostMisuseError for an option out of its range, or if the arena is used up */
  constructor(options: PageTable128Options) {
    checkNames(BAD_OPTION, "options of a PageTable128", options, OPTIONS);
    const { memory, arena, stage, granule, inputBits = 48, skip = 0, bigEndian = false } = options;
    checkPlaces(BAD_OPTION, "a PageTable128", memory, arena);
    checkStage(stage);
    checkGranule(granule);
    checkInteger(BAD_OPTION, `inputBits of a table with ${2 ** (granule - 10)} KiB granules`, inputBits, granule === 16 ? 17 : 16, 56);
    const usual = startLevel128(granule, inputBits, 0);
    checkInteger(BAD_OPTION, `skip of a table that starts at level ${usual} without it`, skip, 0, Math.min(3, 3 - usual));
    checkOneOf(BAD_OPTION, "bigEndian", bigEndian, [false, true]);
    this.#memory = memory;
    this.#arena = arena;
    this.stage = stage;
    this.granule = granule;
    this.inputBits = inputBits;
    this.skip = skip;
    this.startLevel = usual + skip;
    this.bigEndian = bigEndian;
    this.base = arena.take(Math.max(32, 16 * 2 ** (inputBits - levelShift128(granule, this.startLevel))));
  }

  /** Bytes that one leaf at `level` (0 to 3) maps. */
  leafSize(level: number): number {
    checkInteger("MAP_LEVEL", "level", level, 0, 3);
    return 2 ** levelShift128(this.granule, level);
  }

  /**
   * Maps `size` bytes with leaves of one level; levels above get tables as needed. Nothing is written if it throws for an
   * argument.
   * @param address in the half of the address space that the table translates, from 0 on
   * @param output below 2^52
   * @param size a multiple of the leaf's size, at least one leaf
   * @param level of the leaves, one that has pages or blocks. Default: 3
   * @throws HostMisuseError if addresses are out of range or not aligned to the leaves, for a level that has no leaves or that is
   *   skipped, for an unknown field or a field's value that does not fit, or if the arena is used up
   */
  map(address: number, output: number, size: number, fields: LeafFields128 = {}, level: number = 3, tables: TableFields128 = {}): void {
    const { granule, stage, startLevel, inputBits } = this;
    const place = `leaves of a table with ${2 ** (granule - 10)} KiB granules that starts at level ${startLevel}`;
    checkOneOf("MAP_LEVEL", `level of ${place}`, level, leafLevels(granule, startLevel));
    const step = this.leafSize(level);
    const what = `mapping ${shown(address)} to ${shown(output)}, ${shown(size)} bytes`;
    checkInteger("MAP_RANGE", `${what}: size`, size, step, 2 ** inputBits, step);
    checkInteger("MAP_RANGE", `${what}: address`, address, 0, 2 ** inputBits - size, step);
    checkInteger("MAP_RANGE", `${what}: output`, output, 0, OUTPUT_END - size, step);
    leafDescriptor128(stage, level, 0, fields);
    tableDescriptor128(0, 0, tables);
    for (let done = 0; done < size; done += step) {
      this.write(this.#entry(address + done, level, tables), leafDescriptor128(stage, level, output + done, fields));
    }
  }

  /** Clears the leaf that maps an address. @returns where the descriptor is @throws HostMisuseError as {@link entryAddress} */
  unmap(address: number, level: number = 3): number {
    const at = this.entryAddress(address, level);
    this.write(at, [0, 0, 0, 0]);
    return at;
  }

  /**
   * Where the entry for an address is at `level`; tables above it are made if they are missing.
   * @throws HostMisuseError if the table does not translate the address, has no such level, or needs a table and the arena is
   *   used up
   */
  entryAddress(address: number, level: number, tables: TableFields128 = {}): number {
    checkInteger("MAP_RANGE", `address in a table of ${this.inputBits} input bits`, address, 0, 2 ** this.inputBits - 1);
    checkInteger("MAP_LEVEL", "level of the entry", level, this.startLevel, 3);
    tableDescriptor128(0, 0, tables);
    return this.#entry(address, level, tables);
  }

  #entry(address: number, level: number, tables: TableFields128): number {
    const { granule } = this;
    const stride = strideOf128(granule);
    let table = this.base;
    let at = this.startLevel;
    let width = this.inputBits - levelShift128(granule, at);
    while (at < level) {
      const place = table + 16 * this.#index(address, at, width);
      const [lo, hi, , top] = this.read(place);
      const known = (lo & 1) !== 0 && at + ((top >>> 13) & 3) < 3;
      const skl = known ? (top >>> 13) & 3 : (tables.skl?.[at] ?? 0);
      if (at + skl + 1 > level) {
        const levels = Array.from({ length: level - at }, (_, skipped) => skipped);
        throw new HostMisuseError(
          "MAP_LEVEL",
          `SKL at level ${at} is ${skl}: for an entry at level ${level} it has to be ${alternatives(levels)}`,
        );
      }
      if (known) {
        table = (hi & 0xff_ffff) * 2 ** 32 + ((lo & -4096) >>> 0);
      } else {
        table = this.#arena.take(16 * 2 ** ((skl + 1) * stride));
        this.write(place, tableDescriptor128(table, skl, tables));
      }
      at += skl + 1;
      width = (skl + 1) * stride;
    }
    return table + 16 * this.#index(address, level, width);
  }

  #index(address: number, level: number, width: number): number {
    return Math.floor(address / 2 ** levelShift128(this.granule, level)) % 2 ** width;
  }

  /** Writes a descriptor, any four words, in the table's endianness. */
  write(at: number, words: DescriptorWords128): void {
    for (const [i, word] of words.entries()) {
      this.#memory.write32(at + 4 * (this.bigEndian ? 3 - i : i), this.bigEndian ? swapBytes(word) : word);
    }
  }

  /** Reads a descriptor in the table's endianness. */
  read(at: number): DescriptorWords128 {
    const word = (i: number): number => this.#memory.read32(at + 4 * (this.bigEndian ? 3 - i : i));
    const inOrder = [word(0), word(1), word(2), word(3)] as const;
    return this.bigEndian ? [swapBytes(inOrder[0]), swapBytes(inOrder[1]), swapBytes(inOrder[2]), swapBytes(inOrder[3])] : inOrder;
  }
}
