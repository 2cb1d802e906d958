// SPDX-License-Identifier: MIT
/** How the short way through a TLB miss reads descriptors of translation tables: with an address in halves, which costs no allocation. */
import type { BusStatus } from "../memory/system-bus.ts";
import type { SmmuHost } from "./ports.ts";

/** `SmmuHost.load` of the two words of a descriptor of the last level. @param hi,lo of its address, signed; @param out gets both words */
export type DescriptorLoad = (kind: "tt-s1" | "tt-s2", hi: number, lo: number, out: Int32Array) => BusStatus;

/** By the `load` that does the same: whoever puts another `load` before a host gets every access there. */
export const descriptorLoads: WeakMap<SmmuHost["load"], DescriptorLoad> = new WeakMap<SmmuHost["load"], DescriptorLoad>();

const LAST_LEVEL = 3;

/** That of a host, or one by its `load`: asked each time, for the `load` of a host may become another one. */
export function descriptorLoadOf(host: SmmuHost): DescriptorLoad {
  const words = new Uint32Array(2);
  const slow: DescriptorLoad = (kind, hi, lo, out) => {
    const status = host.load(kind, hi * 0x1_0000_0000 + (lo >>> 0), words, 2, LAST_LEVEL);
    out.set(words);
    return status;
  };
  const { load: known } = host;
  const quick = descriptorLoads.get(known);
  if (quick === undefined) return slow;
  return (kind, hi, lo, out) => (host.load === known ? quick(kind, hi, lo, out) : slow(kind, hi, lo, out));
}
