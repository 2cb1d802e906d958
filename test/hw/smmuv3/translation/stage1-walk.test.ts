// SPDX-License-Identifier: MIT
/** Stage-1 walks: every granule, every size of leaf, ranges and faults. */
import { describe, expect, test } from "vitest";
import type { GranuleBits } from "../../../../src/hw/smmuv3/translation/address-size.ts";
import { Outcome, Via } from "../../../../src/hw/smmuv3/transaction.ts";
import { leafDescriptor } from "../../../../src/hw/smmuv3/tables/page-table.ts";
import { stage1Cd, stage1Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench } from "./bench.ts";

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const TIB = 2 ** 40;

/** Leaf sizes of VMSAv8-64 (DDI 0487 D8.2). The level-1 block of 64 KiB tables needs 52-bit addresses. */
const leaves: readonly { granule: GranuleBits; level: number; size: number; contiguous: number }[] = [
  { granule: 12, level: 3, size: 4 * KIB, contiguous: 64 * KIB },
  { granule: 12, level: 2, size: 2 * MIB, contiguous: 32 * MIB },
  { granule: 12, level: 1, size: GIB, contiguous: 16 * GIB },
  { granule: 14, level: 3, size: 16 * KIB, contiguous: 2 * MIB },
  { granule: 14, level: 2, size: 32 * MIB, contiguous: GIB },
  { granule: 16, level: 3, size: 64 * KIB, contiguous: 2 * MIB },
  { granule: 16, level: 2, size: 512 * MIB, contiguous: 16 * GIB },
  { granule: 16, level: 1, size: 4 * TIB, contiguous: 4 * TIB },
];

describe("granule and leaf", () => {
  for (const { granule, level, size } of leaves) {
    for (const [where, offset] of [
      ["first", 0],
      ["middle", size / 2 + 0x123],
      ["last", size - 1],
    ] as const) {
      test(`${2 ** granule / KIB} KiB granule, level ${level} leaf of ${size / KIB} KiB: the ${where} byte keeps its offset`, () => {
        const bench = new Bench();
        const table = bench.pageTable(1, granule, { inputBits: 48 });
        const va = 7 * size < 2 ** 48 ? 7 * size : size;
        const pa = 3 * size;
        table.map(va, pa, size, {}, level);
        bench.stage1(0, table);
        const answer = bench.go(va + offset);
        expect(answer.event).toBeUndefined();
        expect(answer.outcome).toBe(Outcome.forward);
        expect(answer.physical).toBe(pa + offset);
        expect(answer.tx.via).toBe(Via.stage1);
      });
    }
    test(`${2 ** granule / KIB} KiB granule, level ${level}: the byte after the leaf is not mapped`, () => {
      const bench = new Bench();
      const table = bench.pageTable(1, granule);
      table.map(size, 0, size, {}, level);
      bench.stage1(0, table);
      expect(bench.result(2 * size)).toBe("F_TRANSLATION");
    });
  }

  for (const [granule, level] of [
    [12, 0],
    [14, 1],
    [14, 0],
  ] as const) {
    test(`${2 ** granule / KIB} KiB granule: a block at level ${level} is reserved`, () => {
      const bench = new Bench();
      const table = bench.pageTable(1, granule);
      table.write(table.entryAddress(0, level), leafDescriptor(1, level, granule, 0));
      bench.stage1(0, table);
      expect(bench.result(0x1000)).toBe("F_TRANSLATION");
    });
  }

  test("64 KiB granule: a block at level 1 is reserved without 52-bit addresses", () => {
    const bench = new Bench({ oas: 48, vax: 48 });
    const table = bench.pageTable(1, 16);
    table.map(0, 0, table.leafSize(1), {}, 1);
    bench.stage1(0, table);
    expect(bench.result(0x1000)).toBe("F_TRANSLATION");
  });

  test("bits [1:0] 0b01 at level 3 are reserved", () => {
    const bench = new Bench();
    const table = bench.pageTable(1);
    table.map(0, 0x5000_0000, 4096);
    const at = table.entryAddress(0, 3);
    const [lo, hi] = table.read(at);
    table.write(at, [lo & ~2, hi]);
    bench.stage1(0, table);
    expect(bench.result(0)).toBe("F_TRANSLATION");
  });

  for (const level of [0, 1, 2, 3]) {
    test(`an invalid descriptor at level ${level} faults with F_TRANSLATION`, () => {
      const bench = new Bench();
      const table = bench.pageTable(1);
      table.map(0x1000, 0x5000_0000, 4096);
      table.write(table.entryAddress(0x1000, level), [2, 0]);
      bench.stage1(0, table);
      const { event } = bench.go(0x1000, { write: true });
      expect(event?.name).toBe("F_TRANSLATION");
      expect(event?.fields).toMatchObject({ S2: 0, CLASS: 2, RnW: 0, IPA: 0 });
    });
  }
});

describe("Contiguous", () => {
  for (const { granule, level, size, contiguous } of leaves) {
    if (contiguous === size) continue;
    test(`${2 ** granule / KIB} KiB granule, level ${level}: one TLB entry serves the run of ${contiguous / KIB} KiB`, () => {
      const bench = new Bench();
      const table = bench.pageTable(1, granule);
      table.map(0, 0, contiguous, { contiguous: 1 }, level);
      bench.stage1(0, table);
      expect(bench.result(0)).toBe(0);
      bench.loads.length = 0;
      expect(bench.result(contiguous - 1)).toBe(contiguous - 1);
      expect(bench.loads).toEqual([]);
    });
    test(`${2 ** granule / KIB} KiB granule, level ${level}: the run ends after ${contiguous / KIB} KiB`, () => {
      const bench = new Bench();
      const table = bench.pageTable(1, granule);
      table.map(0, 0, contiguous, { contiguous: 1 }, level);
      bench.stage1(0, table);
      bench.go(0);
      expect(bench.result(contiguous)).toBe("F_TRANSLATION");
    });
  }

  test("an output address out of its place in the run makes the bit have no effect", () => {
    const bench = new Bench();
    const table = bench.pageTable(1);
    table.map(0, 0x5000_3000, 4096, { contiguous: 1 });
    bench.stage1(0, table);
    expect(bench.result(0x10)).toBe(0x5000_3010);
    expect(bench.result(0x1000)).toBe("F_TRANSLATION");
  });
});

describe("IHI 0070 §3.4.1: input range", () => {
  for (const granule of [12, 14, 16] as const) {
    for (const inputBits of [25, 32, 33, 39, 42, 47, 48, ...(granule === 16 ? [49, 52] : [])]) {
      test(`${2 ** granule / KIB} KiB granule, TxSZ ${64 - inputBits}: the last page of TTB0 translates, the next address faults`, () => {
        const bench = new Bench();
        const table = bench.pageTable(1, granule, { inputBits });
        const page = 2 ** granule;
        table.map(2 ** inputBits - page, 0x5000_0000, page);
        bench.stage1(0, table);
        expect(bench.result(2 ** inputBits - 1)).toBe(0x5000_0000 + page - 1);
        expect(bench.result(2 ** inputBits)).toBe("F_TRANSLATION");
      });
    }
  }

  test("a TTB1 address is the all-ones continuation of the half", () => {
    const bench = new Bench();
    const table = bench.pageTable(1, 12, { inputBits: 39 });
    table.map(2 ** 39 - 0x1000, 0x5000_0000, 0x1000);
    upperHalf(bench, table);
    expect(bench.result(0xffff_f123, { hi: 0xffff_ffff })).toBe(0x5000_0123);
  });

  for (const inputBits of [25, 32, 39, 48]) {
    test(`TTB1 with T1SZ ${64 - inputBits}: the address below the half faults`, () => {
      const bench = new Bench();
      const table = bench.pageTable(1, 12, { inputBits });
      table.map(0, 0x5000_0000, 0x1000);
      upperHalf(bench, table);
      const start = 2 ** 64 - 2 ** inputBits;
      const hi = Math.floor(start / 2 ** 32);
      expect(bench.result((start % 2 ** 32) + 8, { hi })).toBe(0x5000_0008);
      const below = BigInt(start) - 1n;
      expect(bench.result(Number(below & 0xffff_ffffn), { hi: Number(below >> 32n) })).toBe("F_TRANSLATION");
    });
  }

  test("VA[55] selects the table: a TTB0 address in a TTB1-only context faults", () => {
    const bench = new Bench();
    const table = bench.pageTable(1, 12);
    table.map(0, 0x5000_0000, 0x1000);
    upperHalf(bench, table);
    expect(bench.result(0)).toBe("F_TRANSLATION");
  });
});

describe("IHI 0070 §5.4: TBI", () => {
  for (const [half, tag] of [
    ["TTB0", 0x5a00_0000],
    ["TTB1", 0xa5ff_ffff],
  ] as const) {
    const upper = half === "TTB1";
    const address = upper ? 0xffff_f010 : 0xf010;
    function bench(tbi: Record<string, number>): Bench {
      const made = new Bench();
      const table = made.pageTable(1, 12);
      table.map(upper ? 2 ** 48 - 0x1000 : 0xf000, 0x5000_0000, 0x1000);
      if (upper) upperHalf(made, table, tbi);
      else made.stage1(0, table, tbi);
      return made;
    }
    const name = upper ? "TBI1" : "TBI0";
    const other = upper ? "TBI0" : "TBI1";
    test(`${name} 1 ignores VA[63:56] in the ${half} half`, () => {
      expect(bench({ [name]: 1 }).result(address, { hi: tag })).toBe(0x5000_0010);
    });
    test(`${name} 0 makes VA[63:56] count`, () => {
      expect(bench({ [name]: 0 }).result(address, { hi: tag })).toBe("F_TRANSLATION");
    });
    test(`${other} has no effect on the ${half} half`, () => {
      expect(bench({ [other]: 1 }).result(address, { hi: tag })).toBe("F_TRANSLATION");
    });
    test(`${name} 1: bits [55:48] still count`, () => {
      expect(bench({ [name]: 1 }).result(address, { hi: (tag ^ 0x0010_0000) >>> 0 })).toBe("F_TRANSLATION");
    });
    test(`${name} 1: the tag stays in the event's InputAddr`, () => {
      const { event } = bench({ [name]: 1 }).go(address ^ 0x2000, { hi: tag });
      expect(event?.name).toBe("F_TRANSLATION");
      expect(event?.fields["InputAddr[63:32]"]).toBe(tag);
    });
    test(`${name} 1: one TLB entry serves all tags`, () => {
      const made = bench({ [name]: 1 });
      made.go(address, { hi: tag });
      made.loads.length = 0;
      expect(made.result(address, { hi: (tag ^ 0xff00_0000) >>> 0 })).toBe(0x5000_0010);
      expect(made.loads).toEqual([]);
    });
  }
});

describe("IHI 0070 §5.4: EPD and E0PD", () => {
  test("EPD0 1: a TLB miss in the TTB0 half faults with F_TRANSLATION", () => {
    const bench = new Bench();
    const table = bench.pageTable(1, 12);
    table.map(0, 0x5000_0000, 0x1000);
    bench.stage1(0, table, { EPD0: 1 });
    expect(bench.result(0)).toBe("F_TRANSLATION");
  });

  test("EPD0 1: a translation that is in the TLB is still used", () => {
    const bench = new Bench();
    const table = bench.pageTable(1, 12);
    table.map(0, 0x5000_0000, 0x1000);
    const { cd } = bench.stage1(0, table);
    expect(bench.result(0)).toBe(0x5000_0000);
    bench.bus.memory.write32(cd, bench.bus.memory.read32(cd) | (1 << 14));
    bench.translator.configCache.invalidateAll();
    expect(bench.result(0)).toBe(0x5000_0000);
  });

  test("E0PD0 1: an unprivileged access faults with F_TRANSLATION, a privileged one passes", () => {
    const bench = new Bench();
    const table = bench.pageTable(1, 12);
    table.map(0, 0x5000_0000, 0x1000);
    bench.stage1(0, table, { E0PD0: 1 });
    expect(bench.result(0, { privileged: true })).toBe(0x5000_0000);
    expect(bench.result(0)).toBe("F_TRANSLATION");
  });

  test("E0PD0 has no effect where IDR3.E0PD is 0", () => {
    const bench = new Bench({ e0pd: false, version: 2 });
    const table = bench.pageTable(1, 12);
    table.map(0, 0x5000_0000, 0x1000);
    bench.stage1(0, table, { E0PD0: 1 });
    expect(bench.result(0)).toBe(0x5000_0000);
  });
});

describe("Access flag", () => {
  test("AF 0 faults with F_ACCESS", () => {
    const bench = new Bench();
    const table = bench.pageTable(1);
    table.map(0, 0x5000_0000, 0x1000, { af: 0 });
    bench.stage1(0, table);
    const { event } = bench.go(0x18);
    expect(event?.name).toBe("F_ACCESS");
    expect(event?.fields).toMatchObject({ S2: 0, CLASS: 2 });
  });

  test("AFFD 1 takes AF as 1", () => {
    const bench = new Bench();
    const table = bench.pageTable(1);
    table.map(0, 0x5000_0000, 0x1000, { af: 0 });
    bench.stage1(0, table, { AFFD: 1 });
    expect(bench.result(0x18)).toBe(0x5000_0018);
  });

  test("a page with AF 0 is not cached: setting AF needs no invalidation", () => {
    const bench = new Bench();
    const table = bench.pageTable(1);
    table.map(0, 0x5000_0000, 0x1000, { af: 0 });
    bench.stage1(0, table);
    bench.go(0);
    table.map(0, 0x5000_0000, 0x1000, { af: 1 });
    expect(bench.result(0)).toBe(0x5000_0000);
  });
});

describe("IHI 0070 §3.4.3: output address size", () => {
  for (const [code, bits] of [
    [0, 32],
    [1, 36],
    [2, 40],
    [3, 42],
    [4, 44],
    [5, 48],
  ] as const) {
    test(`IPS ${code}: the last page below 2^${bits} passes, a leaf at 2^${bits} faults with F_ADDR_SIZE`, () => {
      const bench = new Bench();
      const table = bench.pageTable(1, 16);
      table.map(0, 2 ** bits - 0x1_0000, 0x1_0000);
      table.map(0x1_0000, 2 ** bits, 0x1_0000);
      bench.stage1(0, table, { IPS: code });
      expect(bench.result(0x10)).toBe(2 ** bits - 0x1_0000 + 0x10);
      const { event } = bench.go(0x1_0000);
      expect(event?.name).toBe("F_ADDR_SIZE");
      expect(event?.fields).toMatchObject({ S2: 0, CLASS: 2 });
    });
  }

  test("a table address beyond IPS faults with F_ADDR_SIZE", () => {
    const bench = new Bench();
    const table = bench.pageTable(1);
    table.map(0, 0x5000_0000, 0x1000);
    const entry = table.entryAddress(0, 1);
    const [lo, hi] = table.read(entry);
    table.write(entry, [lo, hi | 0x10]);
    bench.stage1(0, table, { IPS: 1 });
    expect(bench.result(0)).toBe("F_ADDR_SIZE");
  });

  test("IPS beyond the output address size counts as the output address size", () => {
    const bench = new Bench({ oas: 40, vax: 48 });
    const table = bench.pageTable(1);
    table.map(0, 2 ** 40, 0x1000);
    table.map(0x1000, 2 ** 40 - 0x1000, 0x1000);
    bench.stage1(0, table, { IPS: 6 });
    expect(bench.result(0)).toBe("F_ADDR_SIZE");
    expect(bench.result(0x1000)).toBe(2 ** 40 - 0x1000);
  });

  test("64 KiB granule: descriptor bits [15:12] are address bits [51:48]", () => {
    const bench = new Bench();
    const table = bench.pageTable(1, 16);
    table.map(0, 0xa_0000_0000_0000, 0x1_0000);
    bench.stage1(0, table, { IPS: 6 });
    expect(bench.result(0x77)).toBe(0xa_0000_0000_0077);
  });

  test("64 KiB granule without 52-bit addresses: descriptor bits [15:12] are ignored", () => {
    const bench = new Bench({ oas: 48, vax: 48 });
    const table = bench.pageTable(1, 16);
    table.map(0, 0x5000_0000, 0x1_0000);
    const entry = table.entryAddress(0, 3);
    const [lo, hi] = table.read(entry);
    table.write(entry, [lo | 0xf000, hi]);
    bench.stage1(0, table);
    expect(bench.result(0x77)).toBe(0x5000_0077);
  });
});

describe("IHI 0070 §5.4: endianness", () => {
  test("ENDI 1 reads big-endian tables", () => {
    const bench = new Bench();
    const table = bench.pageTable(1, 12, { bigEndian: true });
    table.map(0x1234_5000, 0x5000_0000, 0x1000);
    bench.stage1(0, table);
    expect(bench.result(0x1234_5678)).toBe(0x5000_0678);
  });
});

function upperHalf(bench: Bench, table: ReturnType<Bench["pageTable"]>, fields: Record<string, number> = {}): void {
  const at = bench.placeCd(stage1Cd({ ttb1: table }, fields));
  bench.streams.write(0, stage1Ste(at));
}
