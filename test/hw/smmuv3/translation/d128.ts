// SPDX-License-Identifier: MIT
/** VMSAv9-128 tables on a bench: streams over them, and descriptors written by hand. */
import type { GranuleBits } from "../../../../src/hw/smmuv3/translation/address-size.ts";
import { PageTable128, type PageTable128Options } from "../../../../src/hw/smmuv3/tables/page-table128.ts";
import { nestedSte, stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import type { Bench } from "./bench.ts";

export const PA = 0x6000_0000;
/** SMMU_S2PII and STE.S2POI code: read and write, no execution. */
export const RW = 12;

type Fields = Record<string, number>;

export function table128(bench: Bench, stage: 1 | 2, granule: GranuleBits = 12, more: Partial<PageTable128Options> = {}): PageTable128 {
  return new PageTable128({ memory: bench.bus.memory, arena: bench.arena, stage, granule, ...more });
}

/** Stream 0 over one table, by its stage. Entry 0 of the permissions grants reads and writes. */
export function install128(bench: Bench, table: PageTable128, fields: Fields = {}, ste: Fields = {}): void {
  if (table.stage === 1) {
    bench.streams.write(0, stage1Ste(bench.placeCd(stage1Cd({ ttb0: table }, fields)), { S1PIE: 1, ...ste }));
  } else {
    bench.s2pii[0] = RW;
    bench.streams.write(0, stage2Ste(table, fields));
  }
}

/** Stream 0 over both stages; the CD lies where stage 2 maps its own address. */
export function nest128(bench: Bench, first: PageTable128, second: PageTable128, cd: Fields = {}, ste: Fields = {}): void {
  bench.s2pii[0] = RW;
  bench.streams.write(0, nestedSte(bench.placeCd(stage1Cd({ ttb0: first }, cd)), second, { S1PIE: 1, ...ste }));
}

/** Four words of a descriptor from a 128-bit number. */
export function words128(value: bigint): readonly [number, number, number, number] {
  const word = (i: bigint): number => Number((value >> (32n * i)) & 0xffff_ffffn);
  return [word(0n), word(1n), word(2n), word(3n)];
}
