// SPDX-License-Identifier: MIT
/** Two stages: which stage and which purpose a fault is attributed to (IHI 0070 §7.3.12 to §7.3.16, §7.3.22). */
import { describe, expect, test } from "vitest";
import { Outcome, Via } from "../../../../src/hw/smmuv3/transaction.ts";
import { PageTable } from "../../../../src/hw/smmuv3/tables/page-table.ts";
import { TableArena } from "../../../../src/hw/smmuv3/tables/memory.ts";
import { l1cd, nestedSte, stage1Cd } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { CdTable } from "../../../../src/hw/smmuv3/tables/stream-tables.ts";
import { Bench } from "./bench.ts";

const VA = 0x12_3456_7000;
/** The guest's memory: IPA = PA - 0x1000_0000 for its tables, CDs and data. */
const SHIFT = 0x1000_0000;
const GUEST = 0x7000_0000;
const DATA_IPA = 0x6800_0000;

interface Nested {
  readonly bench: Bench;
  readonly s1: PageTable;
  readonly s2: PageTable;
  /** Intermediate addresses. */
  readonly cd: number;
  readonly l1cd: number;
}

/** Guest tables live at IPAs 0x6000_0000 up, which stage 2 maps to physical 0x7000_0000 up, page by page. */
function nested(
  options: { format?: 0 | 1; ste?: Record<string, number>; cd?: Record<string, number>; leaf?: Record<string, number> } = {},
): Nested {
  const bench = new Bench();
  const guest = new TableArena(GUEST - SHIFT, 0x40_0000);
  const memory = {
    read32: (ipa: number): number => bench.bus.memory.read32(ipa + SHIFT),
    write32: (ipa: number, value: number): void => bench.bus.memory.write32(ipa + SHIFT, value),
  };
  const s1 = new PageTable({ memory, arena: guest, stage: 1, granule: 12 });
  s1.map(VA, DATA_IPA, 0x1000, options.leaf);
  const format = options.format ?? 0;
  const cds = new CdTable({ memory, arena: guest, cdMax: format === 0 ? 0 : 7, format });
  const cd = cds.write(0, stage1Cd({ ttb0: s1 }, options.cd));
  const s2 = bench.pageTable(2, 12, { inputBits: 40 });
  s2.map(GUEST - SHIFT, GUEST, 0x40_0000);
  s2.map(DATA_IPA, DATA_IPA + SHIFT, 0x1000);
  bench.streams.write(0, nestedSte(cds.base, s2, { ...cds.fields, S1DSS: 2, ...options.ste }));
  return { bench, s1, s2, cd, l1cd: format === 0 ? cds.base : cds.level1Address(0) };
}

test("VA goes to IPA goes to PA; CD and stage-1 tables are fetched through stage 2", () => {
  const { bench, cd } = nested();
  const { outcome, physical, tx } = bench.go(VA + 0x123);
  expect(outcome).toBe(Outcome.forward);
  expect(physical).toBe(DATA_IPA + SHIFT + 0x123);
  expect(tx.via).toBe(Via.nested);
  expect(bench.loads.find(({ kind }) => kind === "cd")?.address).toBe(cd + SHIFT);
  for (const { kind, address } of bench.loads) if (kind === "tt-s1") expect(address).toBeGreaterThanOrEqual(GUEST);
});

/** What the intermediate address is needed for, where it is, and the CLASS that events carry. */
const PURPOSES: readonly { name: string; CLASS: number; format: 0 | 1; ipa(n: Nested): number }[] = [
  { name: "CD", CLASS: 0, format: 0, ipa: (n) => n.cd },
  { name: "L1CD", CLASS: 0, format: 1, ipa: (n) => n.l1cd },
  { name: "CD behind an L1CD", CLASS: 0, format: 1, ipa: (n) => n.cd },
  { name: "level-0 descriptor", CLASS: 1, format: 0, ipa: (n) => n.s1.entryAddress(VA, 0) },
  { name: "level-1 descriptor", CLASS: 1, format: 0, ipa: (n) => n.s1.entryAddress(VA, 1) },
  { name: "level-2 descriptor", CLASS: 1, format: 0, ipa: (n) => n.s1.entryAddress(VA, 2) },
  { name: "level-3 descriptor", CLASS: 1, format: 0, ipa: (n) => n.s1.entryAddress(VA, 3) },
  { name: "output of stage 1", CLASS: 2, format: 0, ipa: () => DATA_IPA },
];

const page = (address: number): number => address - (address % 0x1000);

describe("stage-2 faults carry S2 1, CLASS and IPA", () => {
  for (const { name, CLASS, format, ipa } of PURPOSES) {
    for (const write of [false, true]) {
      const way = write ? "write" : "read";
      test(`${name}, ${way}: not mapped is F_TRANSLATION; RnW is the transaction's`, () => {
        const n = nested({ format });
        n.s2.unmap(ipa(n));
        const { event, outcome } = n.bench.go(VA, { write });
        expect(outcome).toBe(Outcome.abort);
        expect(event).toMatchObject({ name: "F_TRANSLATION", fields: { S2: 1, CLASS, IPA: page(ipa(n)), RnW: write ? 0 : 1 } });
        expect(event?.inputAddress).toBe("0x0000001234567000");
      });
    }
    test(`${name}: AF 0 is F_ACCESS`, () => {
      const n = nested({ format });
      n.s2.map(page(ipa(n)), page(ipa(n)) + SHIFT, 0x1000, { af: 0 });
      expect(n.bench.go(VA).event).toMatchObject({ name: "F_ACCESS", fields: { S2: 1, CLASS, IPA: page(ipa(n)) } });
    });
    test(`${name}: no read permission is F_PERMISSION, TTRnW 1 for walks`, () => {
      const n = nested({ format });
      n.s2.map(page(ipa(n)), page(ipa(n)) + SHIFT, 0x1000, { ap: 2 });
      expect(n.bench.go(VA).event).toMatchObject({
        name: "F_PERMISSION",
        fields: { S2: 1, CLASS, IPA: page(ipa(n)), TTRnW: CLASS === 1 ? 1 : 0 },
      });
    });
    test(`${name}: an output beyond S2PS is F_ADDR_SIZE`, () => {
      const n = nested({ format, ste: { S2PS: 1 } });
      n.s2.map(page(ipa(n)), 2 ** 36, 0x1000);
      expect(n.bench.go(VA).event).toMatchObject({ name: "F_ADDR_SIZE", fields: { S2: 1, CLASS, IPA: page(ipa(n)) } });
    });
    test(`${name}: an external abort on the stage-2 descriptor is F_WALK_EABT with S2 1`, () => {
      const n = nested({ format });
      // A page of its own in stage 2, so that nothing before it uses the descriptor.
      const at = n.s2.entryAddress(ipa(n), 3);
      n.bench.abortAt(at, 8);
      expect(n.bench.go(VA).event).toMatchObject({ name: "F_WALK_EABT", fields: { S2: 1, CLASS, FetchAddr: at } });
    });
    test(`${name}: S2R 0 leaves no event, and CD.A 0 does not turn the abort into RAZ/WI`, () => {
      const n = nested({ format, ste: { S2R: 0 }, cd: { A: 0, R: 1 } });
      n.s2.unmap(ipa(n));
      const { event, outcome } = n.bench.go(VA);
      expect(event).toBeUndefined();
      expect(outcome).toBe(Outcome.abort);
    });
  }
});

describe("IHI 0070 §7.3.22: intermediate addresses beyond S2T0SZ are stage-2 F_TRANSLATION", () => {
  const FAR = 2 ** 40 + 0x5000;
  test("S1ContextPtr of a single CD", () => {
    const n = nested({ ste: { S1ContextPtr: FAR } });
    expect(n.bench.go(VA).event).toMatchObject({ name: "F_TRANSLATION", fields: { S2: 1, CLASS: 0, IPA: FAR } });
  });
  test("S1ContextPtr of a 2-level table", () => {
    const n = nested({ format: 1, ste: { S1ContextPtr: FAR } });
    expect(n.bench.go(VA).event).toMatchObject({ name: "F_TRANSLATION", fields: { S2: 1, CLASS: 0, IPA: FAR } });
  });
  test("L1CD.L2Ptr", () => {
    const n = nested({ format: 1 });
    n.bench.write(n.l1cd + SHIFT, l1cd(FAR));
    expect(n.bench.go(VA).event).toMatchObject({ name: "F_TRANSLATION", fields: { S2: 1, CLASS: 0, IPA: FAR } });
  });
  test("choice l2ptr-beyond-ias: L1CD.L2Ptr beyond the IAS is C_BAD_SUBSTREAMID", () => {
    const n = nested({ format: 1 });
    n.bench.write(n.l1cd + SHIFT, l1cd(2 ** 52));
    expect(n.bench.result(VA)).toBe("C_BAD_SUBSTREAMID");
  });
});

describe("walks read: a read-only stage 2 is enough for tables and CDs", () => {
  test("a write passes over read-only CD and table pages", () => {
    const n = nested();
    n.s2.map(GUEST - SHIFT, GUEST, 0x40_0000, { ap: 1 });
    expect(n.bench.result(VA, { write: true })).toBe(DATA_IPA + SHIFT);
  });
  test("an instruction fetch passes over tables that stage 2 makes execute-never", () => {
    const n = nested();
    n.s2.map(GUEST - SHIFT, GUEST, 0x40_0000, { ap: 1, xn: 2 });
    expect(n.bench.result(VA, { instruction: true })).toBe(DATA_IPA + SHIFT);
  });
});

describe("stage-1 faults of a nested stream carry S2 0 and no IPA", () => {
  test("F_TRANSLATION of stage 1", () => {
    expect(nested().bench.go(VA + 0x1000).event).toMatchObject({ name: "F_TRANSLATION", fields: { S2: 0, CLASS: 2, IPA: 0 } });
  });
  test("F_PERMISSION of stage 1 comes before any look at stage 2 for the output", () => {
    const n = nested({ leaf: { ap: 3 } });
    n.s2.unmap(DATA_IPA);
    expect(n.bench.go(VA, { write: true }).event).toMatchObject({ name: "F_PERMISSION", fields: { S2: 0, CLASS: 2 } });
  });
  test("F_ACCESS of stage 1 comes before stage 2 of the output", () => {
    const n = nested({ leaf: { af: 0 } });
    n.s2.unmap(DATA_IPA);
    expect(n.bench.go(VA).event).toMatchObject({ name: "F_ACCESS", fields: { S2: 0 } });
  });
  test("an external abort on a stage-1 descriptor is F_WALK_EABT with S2 0, CLASS TT and its physical address", () => {
    const n = nested();
    const at = n.s1.entryAddress(VA, 3) + SHIFT;
    n.bench.abortAt(at, 8);
    expect(n.bench.go(VA).event).toMatchObject({ name: "F_WALK_EABT", fields: { S2: 0, CLASS: 1, FetchAddr: at } });
  });
  test("an external abort on the CD itself is F_CD_FETCH with its physical address", () => {
    const n = nested();
    n.bench.abortAt(n.cd + SHIFT);
    expect(n.bench.go(VA).event).toMatchObject({ name: "F_CD_FETCH", fields: { FetchAddr: n.cd + SHIFT } });
  });
});

describe("permissions of both stages", () => {
  for (const [ap1, ap2, expected1, expected2] of [
    [1, 3, "forward", "forward"],
    [1, 1, "forward", 1],
    [3, 3, "forward", 0],
    [1, 2, 1, "forward"],
  ] as const) {
    for (const cached of [false, true]) {
      test(`AP ${ap1}, S2AP ${ap2}${cached ? ", from the TLB" : ""}: read ${expected1}, write ${expected2}`, () => {
        const n = nested({ leaf: { ap: ap1 } });
        n.s2.map(DATA_IPA, DATA_IPA + SHIFT, 0x1000, { ap: ap2 });
        if (cached) n.bench.go(VA, { write: expected1 !== "forward" });
        for (const [write, expected] of [
          [false, expected1],
          [true, expected2],
        ] as const) {
          const { outcome, event } = n.bench.go(VA, { write });
          if (expected === "forward") expect(outcome).toBe(Outcome.forward);
          else
            expect(event).toMatchObject({ name: "F_PERMISSION", fields: { S2: expected, CLASS: 2, IPA: expected === 1 ? DATA_IPA : 0 } });
        }
      });
    }
  }
});

describe("combined mappings have the smaller size", () => {
  test("a 2 MiB stage-1 block over 4 KiB stage-2 pages", () => {
    const n = nested();
    n.s1.map(0x4000_0000, 0x6000_0000 + 0x60_0000, 0x20_0000, {}, 2);
    n.s2.map(0x6060_0000, 0x7800_0000, 0x1000);
    n.s2.map(0x6060_1000, 0x7900_0000, 0x1000);
    expect(n.bench.result(0x4000_0ff8)).toBe(0x7800_0ff8);
    expect(n.bench.result(0x4000_1008)).toBe(0x7900_0008);
    expect(n.bench.result(0x4000_2000)).toBe("F_TRANSLATION");
  });
  test("4 KiB stage-1 pages over a 2 MiB stage-2 block", () => {
    const n = nested();
    n.s1.map(0x4000_0000, 0x6060_3000, 0x1000);
    n.s1.map(0x4000_1000, 0x6060_0000, 0x1000);
    n.s2.map(0x6060_0000, 0x7800_0000, 0x20_0000, {}, 2);
    expect(n.bench.result(0x4000_0008)).toBe(0x7800_3008);
    expect(n.bench.result(0x4000_1008)).toBe(0x7800_0008);
  });
  test("different granules", () => {
    const bench = new Bench();
    const s1 = bench.pageTable(1, 14);
    s1.map(0x1_0000, 0x8004_4000, 0x4000);
    const cd = bench.placeCd(stage1Cd({ ttb0: s1 }));
    const s2 = bench.pageTable(2, 16, { inputBits: 42 });
    s2.map(0x4000_0000, 0x4000_0000, 0x100_0000);
    s2.map(0x8004_0000, 0x5000_0000, 0x1_0000);
    bench.streams.write(0, nestedSte(cd, s2));
    expect(bench.result(0x1_3ff8)).toBe(0x5000_7ff8);
  });
});
