// SPDX-License-Identifier: MIT
/**
 * Hardware update of descriptors (IHI 0070 §3.13; DDI 0487 D8.5). The oracle writes into a layer above memory, so that the model can
 * be asked about the same memory afterwards.
 *
 * A stage updates what it used when it has granted the access, from its first table down, before the next stage is looked at; a
 * stage that faults updates nothing (choice "update-on-fault").
 */
import { littleEndian } from "./bits.ts";
import type { Memory } from "./types.ts";

/** Memory with the updates of one transaction on top. */
export class Layer implements Memory {
  readonly #below: Memory;
  readonly #written = new Map<bigint, Uint8Array>();

  constructor(below: Memory) {
    this.#below = below;
  }

  read(address: bigint, bytes: number): Uint8Array | undefined {
    const below = this.#below.read(address, bytes);
    if (below === undefined || this.#written.size === 0) return below;
    const out = below.slice();
    for (const [at, descriptor] of this.#written) {
      const offset = Number(at - address);
      if (offset >= 0 && offset + 8 <= bytes) out.set(descriptor, offset);
    }
    return out;
  }

  write(address: bigint, bytes: Uint8Array): void {
    this.#written.set(address, bytes);
  }

  get updates(): [bigint, string][] {
    return updateList(this.#written);
  }
}

export function updateList(written: ReadonlyMap<bigint, Uint8Array>): [bigint, string][] {
  return [...written].map(([at, bytes]): [bigint, string] => [at, littleEndian(bytes).toString(16)]).sort((a, b) => (a[0] < b[0] ? -1 : 1));
}

/** One descriptor that a walk has used and what it has to become. */
export interface Update {
  /** As the walk addresses it. */
  readonly address: bigint;
  readonly from: bigint;
  readonly to: bigint;
}

/** Access flag, bit 10; AP[2], nDirty, S2AP[1] and Dirty are all bit 7. */
export const withAccess = (descriptor: bigint): bigint => descriptor | 0x400n;
export const madeDirty = (descriptor: bigint): bigint => descriptor ^ 0x80n;

export function encode(descriptor: bigint, bigEndian: boolean): Uint8Array {
  const bytes = Uint8Array.from({ length: 8 }, (_, i) => Number((descriptor >> BigInt(8 * i)) & 0xffn));
  return bigEndian ? bytes.reverse() : bytes;
}
