// SPDX-License-Identifier: MIT
/** Memory types in words: bytes of MAIR, and the four bits of STE.MemAttr and stage-2 descriptors (IHI 0070 §13.1; DDI 0487). */
import { hex } from "../../hw/index.ts";

const DEVICES = ["Device-nGnRnE", "Device-nGnRE", "Device-nGRE", "Device-GRE"];

/** One nibble of a Normal type. */
function nibble(value: number): string {
  if (value === 4) return "Non-cacheable";
  const allocate = ["no allocate", "write-allocate", "read-allocate", "read/write-allocate"][value & 3]!;
  const kind = ["Write-Through transient", "Write-Back transient", "Write-Through", "Write-Back"][value >> 2]!;
  return `${kind}, ${allocate}`;
}

/** A byte of MAIR. */
export function mairText(byte: number): string {
  if (byte < 0x10) return (byte & 3) === 0 ? DEVICES[byte >> 2]! : `${DEVICES[byte >> 2]!} (UNPREDICTABLE code)`;
  if ((byte & 15) === 0) return "UNPREDICTABLE";
  const outer = nibble(byte >> 4);
  const inner = nibble(byte & 15);
  return outer === inner ? `Normal ${outer}` : `Normal outer ${outer}; inner ${inner}`;
}

/** Four bytes of MAIR, the first with AttrIndx `first`. */
export function mairWordText(word: number, first: 0 | 4): string {
  return [0, 1, 2, 3].map((i) => `${first + i}: ${mairText((word >>> (8 * i)) & 0xff)}`).join("; ");
}

const CACHEABILITY = ["", "Non-cacheable", "Write-Through", "Write-Back"];

/** The bits of a MemAttr without forced write-back. */
export function memAttrText(bits: number): string {
  const outer = bits >> 2;
  const inner = bits & 3;
  if (outer === 0) return DEVICES[inner]!;
  if (inner === 0) return "reserved";
  return outer === inner ? `Normal ${CACHEABILITY[outer]}` : `Normal outer ${CACHEABILITY[outer]}, inner ${CACHEABILITY[inner]}`;
}

const SHAREABILITY = ["Non-shareable", "Non-shareable (reserved code)", "Outer Shareable", "Inner Shareable"];

/** A memory type and a shareability as they leave the SMMU. */
export function attributesText(type: number, shareability: number): string {
  return `${mairText(type)} (${hex(type, 2)}), ${SHAREABILITY[shareability & 3]!}`;
}
