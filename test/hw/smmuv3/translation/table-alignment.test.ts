// SPDX-License-Identifier: MIT
/** The least alignment of a first table (IHI 0070 §5.2 S2TTB, §5.4 TTB0): 64 bytes where the effective output size is 52 bits. */
import { describe, expect, test } from "vitest";
import { stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench } from "./bench.ts";

const PA = 0x5000_0000;

/** A first table of two entries, 16 bytes. */
const SMALL = 31;

describe.each([
  [6, 52, 0x30, "bits [5:4] do not count"],
  [5, 52, 0, "bits [5:4] count"],
  [6, 48, 0, "bits [5:4] count"],
])("size code %i and an OAS of %i bits", (code, oas, ignored, says) => {
  const base = (bench: Bench, table: number): number => {
    // The same two entries at each of the four places that a 64-byte block has.
    const words = new Uint32Array(4);
    bench.bus.memory.loadWords(table, words, 4);
    const block = bench.arena.take(64, 64);
    const at = ignored === 0 ? block + 0x30 : block;
    bench.write(at, words);
    return block + 0x30;
  };

  test(`TTB0: ${says}`, () => {
    const bench = new Bench({ oas: oas as 48 | 52 });
    const table = bench.pageTable(1, 12, { inputBits: SMALL });
    table.map(0x7000, PA, 0x1000);
    const at = base(bench, table.base);
    const cd = stage1Cd({ ttb0: table }, { IPS: code });
    // TTB0 is bits [115:68]: address bits [31:4] are in word 2 as they stand.
    cd[2] = (cd[2]! & 15) | (at & ~15);
    bench.streams.write(0, stage1Ste(bench.placeCd(cd)));
    expect(bench.result(0x7000)).toBe(PA);
  });

  test(`S2TTB: ${says}`, () => {
    const bench = new Bench({ oas: oas as 48 | 52 });
    const table = bench.pageTable(2, 12, { inputBits: SMALL });
    table.map(0x7000, PA, 0x1000);
    const at = base(bench, table.base);
    const ste = stage2Ste(table, { S2PS: code });
    // S2TTB is bits [243:196].
    ste[6] = (ste[6]! & 15) | (at & ~15);
    bench.streams.write(0, ste);
    expect(bench.result(0x7000)).toBe(PA);
  });
});
