// SPDX-License-Identifier: MIT
/**
 * Table descriptors that software has not meant as such (DDI 0487 D8.3.1). Nothing of it faults: bits 11:2 are ignored in a
 * table descriptor, and reserved bits do nothing. But both say that a descriptor was made for another place.
 */
import type { TraceSink } from "../../../sim/index.ts";
import { hex, hex64 } from "../../bits/hex.ts";
import type { GranuleBits } from "./address-size.ts";
import type { Descriptor } from "./descriptor.ts";
import { type Lint, lintTo } from "../lint.ts";
import type { SmmuEvents } from "../ports.ts";

/** Access flag, and what stands beside it in a leaf: AttrIndx or MemAttr, NS, AP or S2AP. */
const AF = 0x400;
const LEAF_ATTRIBUTES = 0xfc;
/** Bits 63:32. Bit 50 is RES0 in both stages, 62:59 in stage 2: stage 1 has its hierarchical attributes there. */
const RESERVED = 0x4_0000;
const RESERVED_STAGE2 = 0x7800_0000;

/** Bits between 12 and the granule, which are no part of the address; 52-bit addresses of the 64KB granule use them. */
function belowGranule(granule: GranuleBits, wide: boolean): number {
  return granule === 14 ? 0x3000 : granule === 16 && !wide ? 0xf000 : 0;
}

export class TableLint {
  readonly #lint: Lint;

  constructor(trace: TraceSink<SmmuEvents>) {
    this.#lint = lintTo(trace);
  }

  /**
   * @param descriptor a table descriptor that a walk has read at `address`
   * @param upper true: bits 62:59 are attributes, or ignored because permissions are indirect
   */
  check(descriptor: Descriptor, stage: 1 | 2, granule: GranuleBits, wide: boolean, upper: boolean, address: number): void {
    const { hi, lo } = descriptor;
    const low = lo & belowGranule(granule, wide);
    const high = hi & (upper ? RESERVED : RESERVED | RESERVED_STAGE2);
    const leaf = (lo & AF) === 0 ? 0 : lo & LEAF_ATTRIBUTES;
    if ((low | high | leaf) !== 0) this.#name(`the stage-${stage} table descriptor ${hex64(hi, lo)} at ${hex(address)}`, low, high, leaf);
  }

  #name(what: string, low: number, high: number, leaf: number): void {
    if (leaf !== 0) this.#lint("table-leaf-bits", () => `${what} has the Access flag and attributes ${hex(leaf)} of a leaf`);
    if ((low | high) !== 0) this.#lint("table-reserved-bits", () => `${what} has reserved bits set: ${hex64(high, low)}`);
  }
}
