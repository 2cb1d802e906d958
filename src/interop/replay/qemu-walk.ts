// SPDX-License-Identifier: MIT
/** Descriptors as QEMU's walk of stage 1 takes them, where that is not as the architecture does. */
import type { ReadDescriptor } from "./probe.ts";
import { type TranslationAnswer, physicalText } from "./recording.ts";

/** Bits 1:0 of a block descriptor, and of a table or page. */
export const BLOCK = 1;
const TABLE = 3;
/** AP[2]. */
export const READ_ONLY = 0x80;
/** log2 of the bytes that a block at level 0 of the 4KB granule maps. */
export const LEVEL0_BITS = 39;

/** True for what has the form of a table descriptor; at level 3 that is a page. */
export function isTable({ lo }: ReadDescriptor): boolean {
  return (lo & 3) === TABLE;
}

/** Bits 47:12 of a descriptor. */
export function outputOf({ hi, lo }: ReadDescriptor): number {
  return (hi & 0xffff) * 2 ** 32 + ((lo & ~0xfff) >>> 0);
}

/** What comes of a block, taken at its word. @param bits log2 of the bytes that it maps, more than 32 */
export function blockAnswer(
  { addressHi, addressLo }: { readonly addressHi: number; readonly addressLo: number },
  descriptor: ReadDescriptor,
  bits: number,
): TranslationAnswer {
  const inside = 2 ** (bits - 32) - 1;
  const hi = ((descriptor.hi & 0xffff & ~inside) | (addressHi & inside)) >>> 0;
  const perm = (descriptor.lo & READ_ONLY) !== 0 ? "r" : "rw";
  return { status: "ok", physical: physicalText(hi, addressLo), mask: 2 ** bits - 1, perm };
}
