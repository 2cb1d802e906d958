// SPDX-License-Identifier: MIT
/** From StreamID to STE: linear and two-level tables, ranges, fetch aborts (IHI 0070 §3.3.2, §5.1, §6.3.25). */
import { describe, expect, test } from "vitest";
import { Outcome } from "../../../../src/hw/smmuv3/ports.ts";
import { l1std, bypassSte } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { StreamTables } from "../../../../src/hw/smmuv3/tables/stream-tables.ts";
import { Bench } from "./bench.ts";

describe("linear table", () => {
  for (const log2Size of [0, 1, 6, 8]) {
    test(`LOG2SIZE ${log2Size}: the last StreamID is found, the next is C_BAD_STREAMID`, () => {
      const bench = new Bench({}, { log2Size });
      const last = 2 ** log2Size - 1;
      bench.streams.write(last, bypassSte());
      expect(bench.result(0x1234, { sid: last })).toBe(0x1234);
      expect(bench.result(0x1234, { sid: last + 1 })).toBe("C_BAD_STREAMID");
    });
  }

  test("LOG2SIZE beyond SIDSIZE is capped", () => {
    const bench = new Bench({ sidSize: 4 });
    bench.streams.write(15, bypassSte());
    expect(bench.result(0, { sid: 15 })).toBe(0);
    expect(bench.result(0, { sid: 16 })).toBe("C_BAD_STREAMID");
  });

  test("STRTAB_BASE bits below the table's size count as zero", () => {
    const bench = new Bench({}, { log2Size: 4 });
    bench.streams.write(3, bypassSte());
    bench.strtabBase += 0x3c0;
    expect(bench.result(0x88, { sid: 3 })).toBe(0x88);
  });

  test("FMT 2 and 3 are reserved and act as linear", () => {
    for (const fmt of [2, 3]) {
      const bench = new Bench();
      bench.streams.write(3, bypassSte());
      bench.strtabBaseCfg |= fmt << 16;
      expect(bench.result(0x88, { sid: 3 })).toBe(0x88);
    }
  });

  test("FMT 1 acts as linear where two-level tables are not implemented", () => {
    const bench = new Bench({ twoLevelStreamTable: false, sidSize: 6 });
    bench.streams.write(3, bypassSte());
    bench.strtabBaseCfg |= 1 << 16;
    expect(bench.result(0x88, { sid: 3 })).toBe(0x88);
  });

  test("an external abort on the STE is F_STE_FETCH with its address", () => {
    const bench = new Bench();
    const at = bench.streams.write(5, bypassSte());
    bench.abortAt(at);
    const { outcome, event } = bench.go(0x1000, { sid: 5 });
    expect(outcome).toBe(Outcome.abort);
    expect(event?.name).toBe("F_STE_FETCH");
    expect(event?.fields).toMatchObject({ StreamID: 5, FetchAddr: at, GPCF: 0 });
  });

  test("choice strtab-beyond-oas: a base beyond the output address size is F_STE_FETCH", () => {
    const bench = new Bench({ oas: 40, vax: 48 });
    bench.strtabBase = 2 ** 41;
    const { event } = bench.go(0, { sid: 1 });
    expect(event?.name).toBe("F_STE_FETCH");
    expect(event?.fields["FetchAddr"]).toBe(64);
  });

  test("choice poisoned-fetch: poison counts as an external abort", () => {
    const bench = new Bench();
    const at = bench.streams.write(5, bypassSte());
    bench.bus.inject({ base: at, size: 64, status: 2, on: "read" });
    expect(bench.result(0, { sid: 5 })).toBe("F_STE_FETCH");
  });
});

describe("two-level table: SPLIT and Span", () => {
  for (const split of [6, 8, 10] as const) {
    for (const span of [0, 1, 2, split, split + 1, split + 2, 11, 12, 31]) {
      const valid = span >= 1 && span <= split + 1;
      test(`SPLIT ${split}, Span ${span}: ${valid ? `2^${span - 1} STEs` : "no STEs"}`, () => {
        const bench = new Bench({}, { log2Size: 12, split });
        const base = 2 ** split;
        const array = bench.streams.setArray(base, span);
        const count = valid ? 2 ** (span - 1) : 0;
        if (count > 0) {
          bench.write(array + 64 * (count - 1), bypassSte());
          expect(bench.result(0x1234, { sid: base + count - 1 })).toBe(0x1234);
        }
        if (count < base) expect(bench.result(0x1234, { sid: base + count })).toBe("C_BAD_STREAMID");
      });
    }
  }

  for (const field of [0, 1, 7, 9, 11, 31]) {
    test(`SPLIT ${field} is reserved and acts as 6`, () => {
      const bench = new Bench({}, { log2Size: 12, split: 6 });
      bench.streams.write(0x4a, bypassSte());
      bench.strtabBaseCfg = (bench.strtabBaseCfg & ~(31 << 6)) | (field << 6);
      expect(bench.result(0x77, { sid: 0x4a })).toBe(0x77);
    });
  }

  test("LOG2SIZE below SPLIT: one descriptor, and the range still ends at 2^LOG2SIZE", () => {
    const bench = new Bench({}, { log2Size: 4, split: 8 });
    bench.streams.setArray(0, 9);
    bench.streams.write(15, bypassSte());
    expect(bench.result(0x77, { sid: 15 })).toBe(0x77);
    expect(bench.result(0x77, { sid: 16 })).toBe("C_BAD_STREAMID");
  });

  test("L2Ptr bits below the array's size count as zero", () => {
    const bench = new Bench({}, { log2Size: 12, split: 8 });
    const array = bench.streams.setArray(0, 9);
    bench.write(bench.streams.level1Address(0), l1std(array + 0x40, 9));
    bench.write(array + 64, bypassSte());
    expect(bench.result(0x77, { sid: 1 })).toBe(0x77);
  });

  test("StreamIDs of 32 bits", () => {
    const bench = new Bench({}, { log2Size: 12, split: 10 });
    const table = new StreamTables({ memory: bench.bus.memory, arena: bench.arena, log2Size: 32, split: 10 });
    bench.use(table);
    table.write(0xffff_fffe, bypassSte());
    const { event } = bench.go(0x77, { sid: 0xffff_ffff });
    expect(bench.result(0x77, { sid: 0xffff_fffe })).toBe(0x77);
    expect(event?.name).toBe("C_BAD_STE");
    expect(event?.fields["StreamID"]).toBe(0xffff_ffff);
  });

  test("an external abort on the level-1 descriptor is F_STE_FETCH with its address", () => {
    const bench = new Bench({}, { log2Size: 12, split: 8 });
    bench.streams.write(0x200, bypassSte());
    const at = bench.streams.level1Address(0x200);
    bench.abortAt(at);
    const { event } = bench.go(0, { sid: 0x200 });
    expect(event?.name).toBe("F_STE_FETCH");
    expect(event?.fields["FetchAddr"]).toBe(at);
  });

  test("an L2Ptr beyond the output address size is F_STE_FETCH", () => {
    const bench = new Bench({ oas: 40, vax: 48 }, { log2Size: 12, split: 8 });
    bench.write(bench.streams.level1Address(0), l1std(2 ** 40, 9));
    expect(bench.result(0, { sid: 3 })).toBe("F_STE_FETCH");
  });
});

describe("CR2.RECINVSID", () => {
  test("0: C_BAD_STREAMID aborts and is not recorded", () => {
    const bench = new Bench();
    bench.cr2 = 0;
    const { outcome, event, tx } = bench.go(0, { sid: 0x100 });
    expect(outcome).toBe(Outcome.abort);
    expect(event).toBeUndefined();
    expect(tx.event).toBe(2);
    expect(tx.recorded).toBe(false);
  });
  test("0: other configuration errors are recorded", () => {
    const bench = new Bench();
    bench.cr2 = 0;
    expect(bench.result(0, { sid: 1 })).toBe("C_BAD_STE");
  });
});
