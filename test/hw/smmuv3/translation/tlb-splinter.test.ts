// SPDX-License-Identifier: MIT
/** Leaves that were cached in pieces: maintenance by address reaches all of them (DDI 0487 D8.17, IHI 0070 §4.4). */
import { describe, expect, test } from "vitest";
import { nestedSte, stage1Cd } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { at, Bench } from "./bench.ts";

const VA = 0x12_3460_0000;
const IPA = 0x6800_0000;
const PA = 0x7800_0000;
const VMID = 3;
const ASID = 7;

interface Made {
  readonly bench: Bench;
  /** Clears the stage-1 leaf. */
  readonly unmap: () => void;
}

/** One stage-1 leaf over `pages` 4 KiB pages of stage 2. */
function nested(granule: 12 | 14 | 16, level: number, pages: number): Made {
  const bench = new Bench();
  const s1 = bench.pageTable(1, granule);
  s1.map(VA, IPA, s1.leafSize(level), {}, level);
  const s2 = bench.pageTable(2, 12, { inputBits: 40 });
  s2.map(IPA, PA, pages * 0x1000);
  s2.map(0x4000_0000, 0x4000_0000, 0x1000_0000, {}, 2);
  const cd = bench.placeCd(stage1Cd({ ttb0: s1 }, { ASID }));
  bench.streams.write(0, nestedSte(cd, s2, { S2VMID: VMID }));
  return { bench, unmap: () => s1.unmap(VA, level) };
}

describe("a stage-1 leaf in pieces of stage 2", () => {
  for (const [what, granule, level, pages] of [
    ["a 64KB page", 16, 3, 16],
    ["a 16KB page", 14, 3, 4],
    ["a 2MB block", 12, 2, 512],
  ] as const) {
    for (const named of [0, 1, pages - 1]) {
      test(`${what}: CMD_TLBI_NH_VA of page ${named} invalidates what was kept of any page`, () => {
        const { bench, unmap } = nested(granule, level, pages);
        const used = [0, 2, pages - 1];
        for (const page of used) expect(bench.result(VA + page * 0x1000)).toBe(PA + page * 0x1000);
        unmap();
        bench.translator.tlbMaintenance.nhVa(VMID, ASID, at(VA + named * 0x1000));
        for (const page of used) expect(bench.result(VA + page * 0x1000)).toBe("F_TRANSLATION");
      });
    }
    test(`${what}: a level hint names the level of the leaf, not of the pieces (§4.4.1.1)`, () => {
      const { bench, unmap } = nested(granule, level, pages);
      expect(bench.result(VA + 0x2000)).toBe(PA + 0x2000);
      unmap();
      bench.translator.tlbMaintenance.nhVa(VMID, ASID, at(VA, { tg: granule === 12 ? 1 : granule === 14 ? 2 : 3, ttl: level }));
      expect(bench.result(VA + 0x2000)).toBe("F_TRANSLATION");
    });
  }
  test("the leaf beside it stays", () => {
    const { bench, unmap } = nested(16, 3, 16);
    expect(bench.result(VA + 0x2000)).toBe(PA + 0x2000);
    unmap();
    bench.translator.tlbMaintenance.nhVa(VMID, ASID, at(VA + 0x1_0000));
    expect(bench.result(VA + 0x2000)).toBe(PA + 0x2000);
  });
});
