// SPDX-License-Identifier: MIT
/** Translation hardening: Protected, AssuredOnly, TopLevel (IHI 0070 §3.27, §5.2 TL0, TL1, AssuredOnly; DDI 0487 D8.2.7). */
import { describe, expect, test } from "vitest";
import type { SmmuConfig } from "../../../../src/hw/smmuv3/config/config.ts";
import { PageTable } from "../../../../src/hw/smmuv3/tables/page-table.ts";
import { TableArena } from "../../../../src/hw/smmuv3/tables/memory.ts";
import { nestedSte, stage1Cd, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { CdTable } from "../../../../src/hw/smmuv3/tables/stream-tables.ts";
import { Bench } from "./bench.ts";

const VA = 0x7000;
const IPA = 0x4800_0000;
const PA = 0x5000_0000;
const PAGE = 0x1000;
/** Stage-2 codes; PIIndex p has code p. */
const MRO = 2;
const MRO_TL1 = 3;
const MRO_TL0 = 6;
const MRO_TL01 = 7;
const RO = 8;
const RW = 15;
const PROTECTED = 0x10_0000;

interface Options {
  readonly config?: Partial<SmmuConfig>;
  readonly upper?: boolean;
  /** Codes of the first table's page, of the others', and the overlay of the first one's (POIndex 1). */
  readonly first?: number;
  readonly tables?: number;
  readonly overlay?: number;
  /** AssuredOnly of the pages of L1CD, CD, tables below the first one, output. */
  readonly l1cd?: number;
  readonly cdPage?: number;
  readonly nextTables?: number;
  readonly output?: number;
  /** Levels whose descriptor is not Protected. */
  readonly bare?: readonly number[];
  readonly cd?: Record<string, number>;
  readonly ste?: Record<string, number>;
}

interface Made {
  readonly bench: Bench;
  readonly s1: PageTable;
  readonly va: number;
}

/** Everything is as an assured translation of its half needs it, but for what the options say. */
function nested(options: Options = {}): Made {
  const { upper = false, first = upper ? MRO_TL1 : MRO_TL0, tables = MRO, overlay, bare = [] } = options;
  const { l1cd = 1, cdPage = 1, nextTables = 0, output = 1 } = options;
  const bench = new Bench(options.config);
  bench.s2pii = Array.from({ length: 16 }, (_, index) => index);
  const memory = bench.bus.memory;
  const s1 = new PageTable({ memory, arena: new TableArena(0x4010_0000, 0x10_0000), stage: 1, granule: 12 });
  s1.map(VA, IPA, PAGE);
  for (const level of [0, 1, 2, 3].filter((each) => !bare.includes(each))) {
    const at = s1.entryAddress(VA, level);
    const [lo, hi] = s1.read(at);
    s1.write(at, [lo, hi | PROTECTED]);
  }
  const half = upper ? { ttb1: s1 } : { ttb0: s1 };
  const cds = new CdTable({ memory, arena: new TableArena(0x4020_0000, 0x10_0000), cdMax: 7, format: 1 });
  const cd = cds.write(0, stage1Cd(half, { PnCH: 1, ...options.cd }));
  const s2 = bench.pageTable(2, 12, { inputBits: 40 });
  s2.map(0x4010_0000, 0x4010_0000, 0x2_0000, { piIndex: tables, assuredOnly: nextTables, poIndex: 2 });
  s2.map(s1.base, s1.base, PAGE, { piIndex: first, poIndex: 1 });
  s2.map(cds.base & ~0xfff, cds.base & ~0xfff, PAGE, { piIndex: RW, assuredOnly: l1cd, poIndex: 2 });
  s2.map(cd & ~0xfff, cd & ~0xfff, PAGE, { piIndex: RW, assuredOnly: cdPage, poIndex: 2 });
  s2.map(IPA, PA, PAGE, { piIndex: RW, assuredOnly: output, poIndex: 2 });
  const fields = { S2PIE: 1, AssuredOnly: 1, TL0: 1, TL1: 1, S2POE: overlay === undefined ? 0 : 1 };
  const ste = nestedSte(cds.base, s2, { ...cds.fields, S1DSS: 2, ...fields, ...options.ste });
  ste[14] = overlay === undefined ? 0 : (0xffff_ff0f | (overlay << 4)) >>> 0;
  ste[15] = overlay === undefined ? 0 : 0xffff_ffff;
  bench.streams.write(0, ste);
  return { bench, s1, va: VA };
}

/** The same access twice: from memory and from whatever is cached. */
function outcome({ bench, va }: Made, upper = false): unknown {
  const request = upper ? { hi: 0xffff_0000 } : {};
  const answers = [0, 1].map(() => {
    const { event, physical } = bench.go(va, request);
    return event === undefined
      ? physical
      : `${event.name} S2 ${event.fields["S2"]} CLASS ${event.fields["CLASS"]} A ${event.fields["AssuredOnly"]}`;
  });
  expect(answers[1]).toBe(answers[0]);
  return answers[0];
}

const REFUSED = "F_PERMISSION S2 1 CLASS 2 A 1";
const TABLE_REFUSED = "F_PERMISSION S2 1 CLASS 1 A 1";
const TOP_REFUSED = "F_PERMISSION S2 1 CLASS 1 A 0";

describe("§3.27.2: memory marked AssuredOnly", () => {
  for (const upper of [false, true]) {
    test(`an assured translation of TTB${upper ? 1 : 0} may use it`, () => expect(outcome(nested({ upper }), upper)).toBe(PA));
  }
  for (const [name, options] of [
    ["a CD from other memory", { cdPage: 0 }],
    ["an L1CD from other memory", { l1cd: 0 }],
    ["TL0 is 0", { ste: { TL0: 0, TL1: 0 }, first: MRO }],
    ["PnCH is 0", { cd: { PnCH: 0 } }],
    ["a level-1 descriptor that is not Protected", { bare: [1] }],
    ["a level-2 descriptor that is not Protected", { bare: [2] }],
    ["a page descriptor that is not Protected", { bare: [3] }],
    ["tables in memory that is read-only, not mostly", { tables: RO }],
    ["tables in memory that may be written", { tables: RW }],
  ] as const) {
    test(`${name}: F_PERMISSION with AssuredOnly 1`, () => expect(outcome(nested(options))).toBe(REFUSED));
    test(`${name}: other memory may be used`, () => expect(outcome(nested({ ...options, output: 0 }))).toBe(PA));
  }

  test("the initial level is assured by TL0 and needs no Protected descriptor (DDI 0487 D8.2.7.3)", () => {
    expect(outcome(nested({ bare: [0] }))).toBe(PA);
  });

  test("next-level tables in it need an assured walk: CLASS TT", () => {
    expect(outcome(nested({ nextTables: 1 }))).toBe(PA);
    expect(outcome(nested({ nextTables: 1, cdPage: 0 }))).toBe(TABLE_REFUSED);
    expect(outcome(nested({ nextTables: 1, bare: [1] }))).toBe(TABLE_REFUSED);
  });

  test("the check comes before base permissions", () => {
    const { bench } = nested({ cdPage: 0 });
    bench.s2pii[RW] = RO;
    expect(bench.go(VA, { write: true }).event?.fields).toMatchObject({ AssuredOnly: 1 });
  });

  test("STE.AssuredOnly 0, or IDR3.THE 0: no check", () => {
    expect(outcome(nested({ ste: { AssuredOnly: 0 }, cdPage: 0 }))).toBe(PA);
    expect(outcome(nested({ config: { the: false }, cdPage: 0 }))).toBe(PA);
  });

  test("stage 1 skipped or off: always refused", () => {
    expect(outcome({ ...nested({ ste: { S1DSS: 1 } }), va: IPA })).toBe(REFUSED);
    const bench = new Bench();
    bench.s2pii.fill(RW);
    const s2 = bench.pageTable(2, 12, { inputBits: 40 });
    s2.map(VA, PA, PAGE, { piIndex: 1, assuredOnly: 1 });
    bench.streams.write(0, stage2Ste(s2, { S2PIE: 1, AssuredOnly: 1 }));
    expect(bench.go(VA).event).toMatchObject({ name: "F_PERMISSION", fields: { S2: 1, CLASS: 2, AssuredOnly: 1 } });
  });

  test("a cached walk stays as assured as it was: another page of the same table", () => {
    for (const [bare, expected] of [
      [[], PA],
      [[1], "F_PERMISSION"],
    ] as const) {
      const { bench, s1 } = nested({ bare });
      s1.map(VA + PAGE, IPA, PAGE);
      const at = s1.entryAddress(VA + PAGE, 3);
      const [lo, hi] = s1.read(at);
      s1.write(at, [lo, hi | PROTECTED]);
      bench.go(VA);
      expect(bench.translator.walks.entriesInUse).toBeGreaterThan(0);
      expect(bench.result(VA + PAGE)).toBe(expected);
    }
  });
});

describe("DDI 0487 D8.2.7.4: where first tables may be", () => {
  // TL0, TL1, whether the half is refused for a page of {TopLevel0, TopLevel1}, of TTB0 and of TTB1.
  const found = [MRO, MRO_TL1, MRO_TL0, MRO_TL01, RW] as const;
  const has0: Readonly<Record<number, boolean>> = { [MRO_TL0]: true, [MRO_TL01]: true };
  const has1: Readonly<Record<number, boolean>> = { [MRO_TL1]: true, [MRO_TL01]: true };
  for (const TL0 of [0, 1]) {
    for (const TL1 of [0, 1]) {
      for (const code of found) {
        for (const upper of [false, true]) {
          const [own, other, ownOn, otherOn] = upper ? [has1, has0, TL1, TL0] : [has0, has1, TL0, TL1];
          const refused = ownOn === 1 ? !own[code] : otherOn === 1 && !own[code] && other[code] === true;
          test(`TL0 ${TL0}, TL1 ${TL1}: TTB${upper ? 1 : 0} in memory of code ${code} is ${refused ? "F_PERMISSION, CLASS TT" : "fine"}`, () => {
            expect(outcome(nested({ upper, first: code, output: 0, ste: { TL0, TL1 } }), upper)).toBe(refused ? TOP_REFUSED : PA);
          });
        }
      }
    }
  }

  // DDI 0487 D8.4.2.2.4, of base and overlay.
  for (const [base, overlay, refused] of [
    [MRO_TL0, MRO, false],
    [MRO_TL0, MRO_TL1, false],
    [MRO, MRO_TL0, false],
    [MRO_TL0, RW, false],
    [RW, MRO_TL0, false],
    [MRO_TL0, RO, true],
    [RO, MRO_TL01, true],
    [RW, RW, true],
    [MRO, MRO_TL1, true],
  ] as const) {
    test(`base ${base} under overlay ${overlay}: TTB0 is ${refused ? "refused" : "fine"}`, () => {
      expect(outcome(nested({ first: base, overlay, output: 0 }))).toBe(refused ? TOP_REFUSED : PA);
    });
  }

  test("tables below the first one need no such attribute", () => {
    expect(outcome(nested({ tables: RW, output: 0 }))).toBe(PA);
  });

  test("without IDR3.THE TL0 and TL1 are RES0", () => {
    expect(outcome(nested({ config: { the: false }, first: RW }))).toBe(PA);
  });
});

describe("§3.27.1: PnCH takes bit 52 for Protected", () => {
  for (const [PnCH, sizes] of [
    [0, 16],
    [1, 12],
  ] as const) {
    test(`PnCH ${PnCH}: 16 leaves with bit 52 are cached as ${PnCH === 1 ? "pages" : "one run"}`, () => {
      const bench = new Bench();
      const table = bench.pageTable(1);
      table.map(0x1_0000, PA, 0x1_0000, { contiguous: 1 });
      bench.stage1(0, table, { PnCH });
      bench.go(0x1_0000);
      expect([...bench.translator.tlb.entries()].map(({ size }) => size)).toEqual([sizes]);
    });
  }
});
