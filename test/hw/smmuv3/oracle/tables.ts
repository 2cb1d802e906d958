// SPDX-License-Identifier: MIT
/**
 * Writes translation tables along the way of single addresses: at each level what is there is followed, what is not there is
 * chosen at random. Everything written is remembered, so that a test can spoil any of it later.
 */
import type { PhysicalMemory } from "../../../../src/hw/index.ts";
import type { Draw } from "./draw.ts";
import { addressOf, blockLevels, decodeBytes, descriptorAddress, firstTable, kindOf, shiftOf, type Walk, withAddress } from "./walk.ts";
import type { Features } from "./features.ts";
import { HIGH_RAM, LOW_RAM } from "./machine.ts";
import { pow2 } from "./bits.ts";

/** Something of the SMMU's in memory. */
export interface Placed {
  readonly kind: "l1std" | "ste" | "l1cd" | "cd" | "tt-s1" | "tt-s2";
  readonly address: bigint;
  readonly bytes: number;
}

/** No memory is left: the scenario goes on with what it has. */
export class Exhausted {
  readonly name = "Exhausted";
}

/** Hands out physical memory, at low and at high addresses. */
export class Arena {
  readonly memory: PhysicalMemory;
  readonly highBase: bigint;
  readonly placed: Placed[] = [];
  readonly #known = new Set<bigint>();
  #low = 0x1000n;
  #high: bigint;

  constructor(memory: PhysicalMemory, highBase: number) {
    this.memory = memory;
    this.highBase = BigInt(highBase);
    this.#high = this.highBase;
  }

  /** @param bytes a power of two, to which the memory is aligned */
  take(bytes: bigint, high: boolean): bigint {
    const next = high ? this.#high : this.#low;
    const address = ((next + bytes - 1n) / bytes) * bytes;
    const end = address + bytes;
    if (end > (high ? this.highBase + BigInt(HIGH_RAM) : BigInt(LOW_RAM - 0x1000))) throw new Exhausted();
    if (high) this.#high = end;
    else this.#low = end;
    return address;
  }

  /** Writes a little-endian structure and remembers where. */
  put(kind: Placed["kind"], address: bigint, bytes: number, value: bigint): void {
    if (!this.#known.has(address)) this.placed.push({ kind, address, bytes });
    this.#known.add(address);
    for (let i = 0; i < bytes; i += 4) this.memory.write32(Number(address) + i, Number((value >> BigInt(8 * i)) & 0xffff_ffffn));
  }

  read(address: bigint, bytes: number): Uint8Array {
    const words = new Uint32Array(bytes / 4);
    this.memory.loadWords(Number(address), words, words.length);
    return new Uint8Array(words.buffer);
  }

  isRam(address: bigint): boolean {
    return address < BigInt(LOW_RAM) || (address >= this.highBase && address < this.highBase + BigInt(HIGH_RAM));
  }
}

/** How one stage of a scenario writes its tables. */
export interface Stage {
  readonly kind: "tt-s1" | "tt-s2";
  readonly walk: Walk;
  readonly arena: Arena;
  readonly f: Features;
  readonly draw: Draw;
  /** Where an address of this stage's tables is in physical memory. Stage 1 under stage 2 sees to the mapping as well. */
  toPhysical(address: bigint): bigint | undefined;
  /** Memory for a table, as this stage addresses it. */
  takeTable(bytes: bigint): bigint;
  /** Bits of a table descriptor besides type and address. */
  tableBits(): bigint;
}

/** An output wanted by a walk: exactly this address, or any. */
export interface Leaf {
  readonly bits: bigint;
  /** The output for the input address, undefined: a random one. */
  readonly output: bigint | undefined;
}

function swapped(value: bigint): bigint {
  let out = 0n;
  for (let i = 0n; i < 8n; i++) out |= ((value >> (8n * i)) & 0xffn) << (8n * (7n - i));
  return out;
}

function put(stage: Stage, address: bigint, descriptor: bigint): void {
  stage.arena.put(stage.kind, address, 8, stage.walk.bigEndian ? swapped(descriptor) : descriptor);
}

/** Makes a walk of `address` end in a leaf. @returns where the leaf sends the address; undefined if the tables are out of reach */
export function plant(stage: Stage, address: bigint, leaf: Leaf): bigint | undefined {
  const { walk, f, draw } = stage;
  let table = firstTable(walk);
  for (let level = walk.startLevel; level <= 3; level++) {
    const at = stage.toPhysical(descriptorAddress(walk, table, level, address));
    if (at === undefined || !stage.arena.isRam(at)) return undefined;
    const found = decodeBytes(stage.arena.read(at, 8), walk);
    const kind = kindOf(walk, level, found, f);
    const shift = shiftOf(walk.granule, level);
    const offset = address % pow2(shift);
    if (kind === "leaf") return addressOf(walk, shift, found, f) | offset;
    if (kind === "table") {
      table = addressOf(walk, walk.granule, found, f);
      continue;
    }
    const fits = leaf.output === undefined || leaf.output % pow2(shift) === offset;
    if (level === 3 || (fits && blockLevels(walk, f).includes(level) && draw.oneIn(3))) {
      const output = (leaf.output ?? draw.bits(Math.min(walk.outputBits, walk.wide || walk.granule === 16 ? 52 : 48))) - 0n;
      const base = (output >> BigInt(shift)) << BigInt(shift);
      put(stage, at, leaf.bits | withAddress(walk, shift, base) | (level === 3 ? 3n : 1n));
      return base | offset;
    }
    table = stage.takeTable(pow2(walk.granule));
    put(stage, at, stage.tableBits() | withAddress(walk, walk.granule, table) | 3n);
  }
  return undefined;
}
