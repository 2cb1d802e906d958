// SPDX-License-Identifier: MIT
/** Mappings that are larger than all that may be output: what lies beyond faults, cached or not (IHI 0070 §3.4; DDI 0487 D8.7.1.2). */
import { describe, expect, test } from "vitest";
import { stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench } from "./bench.ts";

/** Size codes of IPS and S2PS. */
const BITS = [32, 36, 40, 42, 44, 48] as const;

const MAPPINGS = [
  { what: "a 512 GiB block", granule: 12, level: 0, ds: true, size: 2 ** 39, run: 1 },
  { what: "a 64 GiB block", granule: 14, level: 1, ds: true, size: 2 ** 36, run: 1 },
  { what: "a 4 TiB block", granule: 16, level: 1, ds: false, size: 2 ** 42, run: 1 },
  { what: "a run of 16 blocks of 1 GiB", granule: 12, level: 1, ds: false, size: 2 ** 30, run: 16 },
  { what: "a run of 32 blocks of 512 MiB", granule: 16, level: 2, ds: false, size: 2 ** 29, run: 32 },
] as const;

for (const stage of [1, 2] as const) {
  describe(`stage ${stage}`, () => {
    for (const { what, granule, level, ds, size, run } of MAPPINGS) {
      const whole = size * run;
      for (const [code, bits] of BITS.entries()) {
        if (whole <= 2 ** bits) continue;
        test(`${what} with an output size of ${bits} bits ends at 2^${bits}: F_ADDR_SIZE before and after it is cached`, () => {
          const bench = new Bench();
          const table = bench.pageTable(stage, granule, { inputBits: 48, ds, ...(granule === 14 && stage === 2 ? { startLevel: 1 } : {}) });
          table.map(0, 0, whole, { contiguous: run > 1 ? 1 : 0 }, level);
          if (stage === 1) bench.stage1(0, table, { IPS: code });
          else bench.streams.write(0, stage2Ste(table, { S2PS: code }));
          for (let round = 0; round < 2; round++) {
            expect(bench.go(2 ** bits).event).toMatchObject({ name: "F_ADDR_SIZE", fields: { S2: stage - 1, CLASS: 2 } });
            expect(bench.result(whole - 1)).toBe("F_ADDR_SIZE");
            expect(bench.result(0x123)).toBe(0x123);
            expect(bench.result(2 ** bits - 1)).toBe(2 ** bits - 1);
          }
        });
      }
    }
  });
}

describe("IHI 0070 §3.4: an input that no stage-1 translation limits", () => {
  for (const oas of [32, 36, 40, 42, 44, 48, 52] as const) {
    test(`OAS ${oas}: stage 2 alone takes 2^S2T0SZ bytes, beyond F_TRANSLATION of stage 2, from 2^${oas} on F_ADDR_SIZE of stage 1`, () => {
      const bench = new Bench({ oas });
      const table = bench.pageTable(2, 12, { inputBits: 31, startLevel: 2 });
      table.map(0, 0x5000_0000, 0x1000);
      bench.streams.write(0, stage2Ste(table));
      expect(bench.result(0)).toBe(0x5000_0000);
      for (const address of [2 ** 31, 2 ** oas - 1])
        expect(bench.go(address).event).toMatchObject({ name: "F_TRANSLATION", fields: { S2: 1, CLASS: 2 } });
      expect(bench.go(2 ** oas).event).toMatchObject({ name: "F_ADDR_SIZE", fields: { S2: 0, CLASS: 2 } });
    });
  }
});
