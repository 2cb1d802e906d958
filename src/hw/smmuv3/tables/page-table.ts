// SPDX-License-Identifier: MIT
/** Building VMSAv8-64 page tables of either stage in memory, for every granule. */
import { HostMisuseError } from "../../errors.ts";
import { hex, high32, low32 } from "../../bits/hex.ts";
import { type GranuleBits, levelShift, stage1StartLevel, strideOf } from "../address-size.ts";
import { swapBytes } from "../descriptor.ts";
import type { TableArena, TableMemory } from "./memory.ts";

export interface PageTableOptions {
  readonly memory: TableMemory;
  readonly arena: TableArena;
  readonly stage: 1 | 2;
  /** log2 of the granule. */
  readonly granule: GranuleBits;
  /** Bits of input address that the table translates. Default: 48. */
  readonly inputBits?: number;
  /** Stage 2 may start lower, with up to 16 concatenated tables. Default: as few levels as a single table needs. */
  readonly startLevel?: number;
  readonly bigEndian?: boolean;
}

/** Fields of a leaf. Those of the other stage are ignored. */
export interface LeafFields {
  /** AP[2:1] of stage 1 (1: all may read and write) or S2AP of stage 2 (3: read and write). Defaults: 1 and 3. */
  readonly ap?: number;
  /** Stage 1: AttrIndx. Default: 0. */
  readonly attrIndx?: number;
  /** Stage 2: MemAttr. Default: 15, Normal Write-Back. */
  readonly memAttr?: number;
  /** Default: 3, Inner Shareable. */
  readonly sh?: number;
  /** Access flag. Default: 1. */
  readonly af?: number;
  /** Stage 1. Default: 1. */
  readonly nG?: number;
  /** Stage 1. Defaults: 0. */
  readonly pxn?: number;
  readonly uxn?: number;
  /** Stage 2: XN[1:0]. Default: 0. */
  readonly xn?: number;
  readonly contiguous?: number;
  /** nT, blocks only. */
  readonly nT?: number;
}

/** Fields of the table descriptors that {@link PageTable.map} creates, stage 1 only. */
export interface TableFields {
  readonly apTable?: number;
  readonly pxnTable?: number;
  readonly uxnTable?: number;
}

/** The low and the high word of a descriptor. */
export type DescriptorWords = readonly [lo: number, hi: number];

/** A leaf descriptor. @param output for 64 KiB granules up to 52 bits, else up to 48 */
export function leafDescriptor(stage: 1 | 2, level: number, granule: GranuleBits, output: number, fields: LeafFields = {}): DescriptorWords {
  const { sh = 3, af = 1, contiguous = 0, nT = 0 } = fields;
  let lo = (level === 3 ? 3 : 1) | (sh << 8) | (af << 10) | (nT << 16);
  let hi = contiguous << 20;
  if (stage === 1) {
    lo |= ((fields.attrIndx ?? 0) << 2) | ((fields.ap ?? 1) << 6) | ((fields.nG ?? 1) << 11);
    hi |= ((fields.pxn ?? 0) << 21) | ((fields.uxn ?? 0) << 22);
  } else {
    lo |= ((fields.memAttr ?? 15) << 2) | ((fields.ap ?? 3) << 6);
    hi |= (fields.xn ?? 0) << 21;
  }
  return withAddress(lo, hi, output, granule);
}

/** A table descriptor. */
export function tableDescriptor(table: number, granule: GranuleBits, fields: TableFields = {}): DescriptorWords {
  const hi = ((fields.pxnTable ?? 0) << 27) | ((fields.uxnTable ?? 0) << 28) | ((fields.apTable ?? 0) << 29);
  return withAddress(3, hi, table, granule);
}

function withAddress(lo: number, hi: number, address: number, granule: GranuleBits): DescriptorWords {
  const top = Math.floor(address / 2 ** 48);
  const high4 = granule === 16 ? top << 12 : 0;
  return [(lo | low32(address) | high4) >>> 0, (hi | (high32(address) & 0xffff)) >>> 0];
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

  constructor(options: PageTableOptions) {
    const { memory, arena, stage, granule, inputBits = 48 } = options;
    this.#memory = memory;
    this.#arena = arena;
    this.stage = stage;
    this.granule = granule;
    this.inputBits = inputBits;
    this.startLevel = options.startLevel ?? stage1StartLevel(granule, inputBits);
    this.bigEndian = options.bigEndian ?? false;
    const entries = 2 ** (inputBits - levelShift(granule, this.startLevel));
    this.base = arena.take(Math.max(64, 8 * entries));
  }

  /** Bytes that one leaf at `level` maps. */
  leafSize(level: number): number {
    return 2 ** levelShift(this.granule, level);
  }

  /**
   * Maps `size` bytes with leaves of one level; levels above get tables as needed.
   * @param address in the half of the address space that the table translates, from 0 on
   * @param size a multiple of the leaf's size
   * @param level of the leaves. Default: 3
   * @throws HostMisuseError if addresses are not aligned to the leaves
   */
  map(address: number, output: number, size: number, fields: LeafFields = {}, level: number = 3, tables: TableFields = {}): void {
    const step = this.leafSize(level);
    if (address % step !== 0 || output % step !== 0 || size % step !== 0) {
      throw new HostMisuseError("MAP_ALIGNMENT", `mapping ${hex(address)} to ${hex(output)}, ${hex(size)} bytes: not aligned to leaves of ${hex(step)} bytes`);
    }
    for (let done = 0; done < size; done += step) {
      const at = this.entryAddress(address + done, level, tables);
      this.write(at, leafDescriptor(this.stage, level, this.granule, output + done, fields));
    }
  }

  /** Clears the leaf that maps an address. @returns where the descriptor is */
  unmap(address: number, level: number = 3): number {
    const at = this.entryAddress(address, level);
    this.write(at, [0, 0]);
    return at;
  }

  /** Where the entry for an address is at `level`; tables above it are made if they are missing. */
  entryAddress(address: number, level: number, tables: TableFields = {}): number {
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

  /** Writes a descriptor in the table's endianness. */
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
