// SPDX-License-Identifier: MIT
/** Table geometry and descriptors of VMSAv8-64 (DDI 0487 D8.2, D8.3), the same for both stages. */
import { bit, bits, bigEndian, littleEndian, pow2 } from "./bits.ts";
import type { Features, Granule } from "./features.ts";

/** One stage's walk as its registers describe it. */
export interface Walk {
  readonly granule: Granule;
  /** Bits of input address. */
  readonly inputBits: number;
  readonly startLevel: number;
  /** Base of the first table, not yet aligned. */
  readonly base: bigint;
  /** Effective IPS or S2PS. */
  readonly outputBits: number;
  readonly bigEndian: boolean;
  /** DS: 52-bit addresses with a small granule. */
  readonly wide: boolean;
}

export const stride = (granule: Granule): number => granule - 3;

/** Bits of address below what a level resolves. */
export const shiftOf = (granule: Granule, level: number): number => granule + (3 - level) * stride(granule);

export const stage1StartLevel = (granule: Granule, inputBits: number): number => 4 - Math.ceil((inputBits - granule) / stride(granule));

/**
 * Base of the first table, as aligned (D8.2.5.2): its own size, which concatenation can make several tables; 64 bytes at least
 * where the effective output size is 52 bits (IHI 0070 §5.2 S2TTB, §5.4 TTB0).
 */
export function firstTable(walk: Walk): bigint {
  const log2 = walk.inputBits - shiftOf(walk.granule, walk.startLevel) + 3;
  const alignment = BigInt(Math.max(log2, walk.outputBits === 52 ? 6 : 0));
  return (walk.base >> alignment) << alignment;
}

/** Address of the descriptor of `address` in a table at `level`. */
export function descriptorAddress(walk: Walk, table: bigint, level: number, address: bigint): bigint {
  const low = shiftOf(walk.granule, level);
  const high = level === walk.startLevel ? walk.inputBits - 1 : low + stride(walk.granule) - 1;
  return table + 8n * bits(address, high, low);
}

export function decodeBytes(bytes: Uint8Array, walk: Walk): bigint {
  return walk.bigEndian ? bigEndian(bytes) : littleEndian(bytes);
}

export type Kind = "invalid" | "table" | "leaf";

/** Descriptor types by level; blocks exist at some levels only. */
export function kindOf(walk: Walk, level: number, descriptor: bigint, f: Features): Kind {
  if (!bit(descriptor, 0)) return "invalid";
  if (bit(descriptor, 1)) return level === 3 ? "leaf" : "table";
  return blockLevels(walk, f).includes(level) ? "leaf" : "invalid";
}

export function blockLevels(walk: Walk, f: Features): number[] {
  if (walk.granule === 12) return walk.wide ? [0, 1, 2] : [1, 2];
  if (walk.granule === 14) return walk.wide ? [1, 2] : [2];
  return f.OAS >= 52 ? [1, 2] : [2];
}

/** The address in a descriptor: next table or output, its low bits dropped. */
export function addressOf(walk: Walk, shift: number, descriptor: bigint, f: Features): bigint {
  let address = bits(descriptor, 47, shift) << BigInt(shift);
  if (walk.granule === 16) {
    if (f.OAS >= 52) address |= bits(descriptor, 15, 12) << 48n;
  } else if (walk.wide) {
    address |= (bits(descriptor, 9, 8) << 50n) | (bits(descriptor, 49, 48) << 48n);
  }
  return address;
}

export const outOfRange = (address: bigint, walk: Walk): boolean => address >= pow2(walk.outputBits);

/** Puts an address into a descriptor: the inverse of {@link addressOf}, for tests that write tables. */
export function withAddress(walk: Walk, shift: number, address: bigint): bigint {
  let descriptor = bits(address, 47, shift) << BigInt(shift);
  if (walk.granule === 16) descriptor |= bits(address, 51, 48) << 12n;
  else if (walk.wide) descriptor |= (bits(address, 51, 50) << 8n) | (bits(address, 49, 48) << 48n);
  return descriptor;
}
