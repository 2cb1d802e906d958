// SPDX-License-Identifier: MIT
/**
 * Where the memory for a crash kernel is: where the scenario says, else where arm64 puts it (`reserve_crashkernel_generic`):
 * the highest place below 4 GiB, at a multiple of 2 MiB. On the lab's board that is where raw IOVAs point to.
 */
import type { Scenario } from "./types.ts";

const MIB = 0x10_0000;
/** Enough for the lab's crash kernel. */
const USUAL = 64 * MIB;
/** `CRASH_ALIGN` of arm64. */
const ALIGN = 2 * MIB;
/** `CRASH_ADDR_LOW_MAX` of arm64 where DMA reaches 32 bits. RAM that begins above it is searched to its end. */
const LOW_MAX = 0x1_0000_0000;

/** Bytes from `base` on; not checked to lie in RAM. */
export function crashReserve({ machine, kernel }: Pick<Scenario, "machine" | "kernel">): { readonly base: number; readonly size: number } {
  const { memory } = machine;
  const { mib, base } = kernel.crashReserve;
  const size = mib === undefined ? Math.min(USUAL, Math.floor(memory.size / 4 / ALIGN) * ALIGN) : Math.ceil((mib * MIB) / ALIGN) * ALIGN;
  const end = memory.base + memory.size;
  const limit = memory.base < LOW_MAX ? Math.min(end, LOW_MAX) : end;
  return { base: base ?? Math.floor((limit - size) / ALIGN) * ALIGN, size };
}
