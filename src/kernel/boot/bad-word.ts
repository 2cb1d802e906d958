// SPDX-License-Identifier: GPL-2.0-only
/** Whether memory still holds what was put there. */
import type { Kernel } from "../kernel.ts";
import { PAGE_ALIGN } from "../mm/page-allocator.ts";
import type { LoadedBlob } from "./boot-info.ts";

/** Where a region's memory first differs from what belongs there; null if nowhere. */
export interface BadWord {
  readonly pa: number;
  readonly found: number;
  readonly expected: number;
}

/** Compares memory with what belongs there, word by word. @param length a multiple of 4 */
export function firstBadWord(kernel: Kernel, blob: LoadedBlob, offset: number = 0, length: number = blob.size - offset): BadWord | null {
  const bytes = new Uint8Array(PAGE_ALIGN(length));
  kernel.platform.bus.readBytes(blob.base + offset, bytes.subarray(0, length));
  const found = new DataView(bytes.buffer);
  const expected = new DataView(blob.contents.buffer, blob.contents.byteOffset + offset, length);
  for (let at = 0; at + 4 <= length; at += 4) {
    if (found.getUint32(at, true) !== expected.getUint32(at, true)) {
      return { pa: blob.base + offset + at, found: found.getUint32(at, true), expected: expected.getUint32(at, true) };
    }
  }
  return null;
}
