// SPDX-License-Identifier: MIT
/** What each kind of transaction makes of Access flag and dirty state (IHI 0070 §3.13.8, §3.14, §3.22.2, §16.7.2.2, §16.7.6). */
import { describe, expect, test } from "vitest";
import { Outcome, TransactionKind as K, nestedSte, type PageTable, stage1Cd, stage2Ste } from "../../../../src/hw/index.ts";
import { ALL_KINDS, KindBench } from "./bench.ts";

const VA = 0x7000;
const IPA = 0x5000_0000;
const PA = 0x6000_0000;
/** Bit 10 of a descriptor; AP[2] of stage 1; S2AP[1]. */
const AF = 1 << 10;
const AP2 = 1 << 7;

/** Kinds that write. */
const DIRTY: readonly K[] = [K.atomic, K.writeDirectedPrefetch];
/** Kinds that go through translation, and do not write. */
const CLEAN: readonly K[] = [
  K.ordinary,
  K.clean,
  K.cleanInvalidate,
  K.cleanToPersistence,
  K.invalidate,
  K.destructiveHint,
  K.readCleanInvalidate,
  K.destructiveRead,
  K.directedPrefetch,
  K.speculative,
];
const pick = (kinds: readonly K[]): readonly (readonly [string, K])[] => ALL_KINDS.filter(([, kind]) => kinds.includes(kind));

function low(bench: KindBench, table: PageTable, address: number): number {
  const words = new Uint32Array(2);
  bench.bus.memory.loadWords(table.entryAddress(address, 3), words, 2);
  return words[0]!;
}

/** Stage 1, writable-clean and not accessed, under hardware's care. */
function stage1(leaf: Record<string, number> = {}, ste: Record<string, number> = { DRE: 1, DCP: 1 }) {
  const bench = new KindBench();
  const table = bench.pageTable(1);
  table.map(VA, PA, 0x1000, { ap: 3, dbm: 1, af: 0, ...leaf });
  bench.stage1(0, table, { HA: 1, HD: 1 }, ste);
  return { bench, leaf: () => low(bench, table, VA) };
}

function stage2(leaf: Record<string, number> = {}, ste: Record<string, number> = { DRE: 1, DCP: 1 }) {
  const bench = new KindBench();
  const table = bench.pageTable(2, 12, { inputBits: 40 });
  table.map(VA, PA, 0x1000, { ap: 1, dbm: 1, af: 0, ...leaf });
  bench.streams.write(0, stage2Ste(table, { S2HA: 1, S2HD: 1, S2R: 1, ...ste }));
  return { bench, leaf: () => low(bench, table, VA) };
}

describe("§3.13: kinds that write mark memory dirty", () => {
  test.each(pick(DIRTY))("%s, at stage 1 and stage 2", (_, kind) => {
    const one = stage1();
    expect(one.bench.send(kind, VA)).toMatchObject({ outcome: Outcome.forward, physical: PA });
    expect(one.leaf() & (AF | AP2)).toBe(AF);
    const two = stage2();
    expect(two.bench.send(kind, VA)).toMatchObject({ outcome: Outcome.forward, physical: PA });
    expect(two.leaf() & (AF | AP2)).toBe(AF | AP2);
  });

  test.each(pick(DIRTY))("%s, where a read has cached the translation before", (_, kind) => {
    const { bench, leaf } = stage1();
    bench.send(K.clean, VA);
    bench.send(K.ordinary, VA);
    expect(leaf() & AP2).toBe(AP2);
    expect(bench.send(kind, VA).outcome).toBe(Outcome.forward);
    expect(leaf() & AP2).toBe(0);
  });
});

describe("§3.13.8, §3.14: the others set the Access flag and mark nothing dirty", () => {
  test.each(pick(CLEAN))("%s, at stage 1 and stage 2, cached or not", (_, kind) => {
    const one = stage1();
    const two = stage2();
    for (const round of [1, 2]) {
      one.bench.send(kind, VA);
      two.bench.send(kind, VA);
      expect([round, one.leaf() & (AF | AP2), two.leaf() & (AF | AP2)]).toEqual([round, AF | AP2, AF]);
    }
  });

  const downgraded: readonly (readonly [string, K, Outcome, K])[] = [
    ["Invalidate to CleanInvalidate", K.invalidate, Outcome.forward, K.cleanInvalidate],
    ["a destructive read to a read", K.destructiveRead, Outcome.forward, K.ordinary],
    ["a destructive hint to nothing", K.destructiveHint, Outcome.razWi, K.destructiveHint],
  ];
  for (const [name, kind, outcome, as] of downgraded) {
    test(`a writable-clean page downgrades ${name}, until a write has made it dirty`, () => {
      for (const { bench } of [stage1(), stage2()]) {
        const first = bench.send(kind, VA);
        expect([first.outcome, first.tx.outputKind]).toEqual([outcome, as]);
        expect(bench.send(K.ordinary, VA, { write: true }).outcome).toBe(Outcome.forward);
        const second = bench.send(kind, VA);
        expect([second.outcome, second.tx.outputKind]).toEqual([Outcome.forward, kind]);
      }
    });
  }

  test("of nested stages either one downgrades", () => {
    for (const [ap1, ap2] of [
      [1, 1],
      [3, 3],
      [1, 3],
    ] as const) {
      const bench = new KindBench();
      const first = bench.pageTable(1);
      const second = bench.pageTable(2, 12, { inputBits: 40 });
      first.map(VA, IPA, 0x1000, { ap: ap1, dbm: 1 });
      second.map(IPA, PA, 0x1000, { ap: ap2, dbm: 1 });
      second.map(0x4000_0000, 0x4000_0000, 0x1000_0000);
      const cd = bench.placeCd(stage1Cd({ ttb0: first }, { HA: 1, HD: 1 }));
      bench.streams.write(0, nestedSte(cd, second, { S2HA: 1, S2HD: 1, DRE: 1 }));
      // Stage 1 has AP[2] 0 and stage 2 S2AP[1] 1 where they are dirty.
      const dirty = ap1 === 1 && ap2 === 3;
      for (const round of [1, 2]) {
        expect([round, bench.send(K.invalidate, VA).tx.outputKind]).toEqual([round, dirty ? K.invalidate : K.cleanInvalidate]);
      }
    }
  });

  test("§3.22.2: a prefetch needs some permission; one that would have to make memory dirty is none", () => {
    // S2AP 0b00 with DBM is writable-clean and nothing else, once execution is taken away.
    const clean = stage2({ ap: 0, xn: 2 });
    expect(clean.bench.send(K.directedPrefetch, VA).outcome).toBe(Outcome.razWi);
    const dirty = stage2({ ap: 2, xn: 2 });
    expect(dirty.bench.send(K.directedPrefetch, VA).outcome).toBe(Outcome.forward);
  });
});

describe("§13.1.1, §16.7.6: an atomic that may not read", () => {
  test("faults with RnW 1 also where memory is writable-clean, and makes nothing dirty", () => {
    for (const ap of [0, 2]) {
      const { bench, leaf } = stage2({ ap, xn: 2, af: 1 });
      for (const round of [1, 2]) {
        const { outcome, event } = bench.send(K.atomic, VA);
        expect([round, outcome]).toEqual([round, Outcome.abort]);
        expect(event).toMatchObject({ name: "F_PERMISSION", fields: { RnW: 1, S2: 1, CLASS: 2 } });
      }
      expect(leaf() & AP2).toBe(ap === 2 ? AP2 : 0);
    }
  });

  test("one that may neither write nor read faults with RnW 0", () => {
    const { bench } = stage2({ ap: 0, dbm: 0, xn: 2, af: 1 });
    expect(bench.send(K.atomic, VA).event).toMatchObject({ name: "F_PERMISSION", fields: { RnW: 0, S2: 1 } });
  });
});

describe("§3.14: a speculative read that faults", () => {
  test("records nothing and leaves the Access flag alone without hardware's care", () => {
    const bench = new KindBench();
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000, { af: 0 });
    bench.stage1(0, table);
    expect(bench.send(K.speculative, VA).outcome).toBe(Outcome.abort);
    expect(low(bench, table, VA) & AF).toBe(0);
    expect(bench.records).toEqual([]);
  });
});
