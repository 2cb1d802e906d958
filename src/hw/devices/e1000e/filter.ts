// SPDX-License-Identifier: MIT
/** Which frames the receive engine takes, by destination address: exact match, multicast hash table, broadcast, promiscuous. */
import type { NicCore } from "./core.ts";
import { RAH_AV, RCTL, REG } from "./registers.ts";

const HEADER_BYTES = 14;
/** How far the 12 hash bits are shifted within the last two address bytes, by RCTL.MO. */
const HASH_SHIFT = [4, 3, 2, 0] as const;

export function isBroadcast(frame: Uint8Array): boolean {
  return frame.length >= 6 && frame.subarray(0, 6).every((byte) => byte === 0xff);
}

/** The group bit of the destination address. */
export function isMulticast(frame: Uint8Array): boolean {
  return (frame[0]! & 1) !== 0;
}

/** True if the filters let the frame in. */
export function accepts(nic: NicCore, frame: Uint8Array): boolean {
  if (frame.length < HEADER_BYTES) return false;
  const control = nic.get(REG.RCTL);
  if (isBroadcast(frame)) return (control & (RCTL.BAM | RCTL.MPE)) !== 0;
  if (isMulticast(frame)) return (control & RCTL.MPE) !== 0 || exactMatch(nic, frame) || hashMatch(nic, frame, (control >>> 12) & 3);
  return (control & RCTL.UPE) !== 0 || exactMatch(nic, frame);
}

function exactMatch(nic: NicCore, frame: Uint8Array): boolean {
  const low = (frame[0]! | (frame[1]! << 8) | (frame[2]! << 16) | (frame[3]! << 24)) >>> 0;
  const high = frame[4]! | (frame[5]! << 8);
  for (let i = 0; i < 16; i++) {
    const rah = nic.get(REG.RAH + 8 * i);
    if ((rah & RAH_AV) !== 0 && (rah & 0xffff) === high && nic.get(REG.RAL + 8 * i) === low) return true;
  }
  return false;
}

function hashMatch(nic: NicCore, frame: Uint8Array, offset: number): boolean {
  const hash = ((frame[4]! | (frame[5]! << 8)) >>> HASH_SHIFT[offset as 0 | 1 | 2 | 3]) & 0xfff;
  return ((nic.get(REG.MTA + 4 * (hash >>> 5)) >>> (hash & 31)) & 1) !== 0;
}
