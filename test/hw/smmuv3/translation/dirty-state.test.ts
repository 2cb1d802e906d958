// SPDX-License-Identifier: MIT
/** Hardware update of dirty state under direct permissions (IHI 0070 §3.13.3.1, §3.13.5; DDI 0487 D8.5.2). */
import { describe, expect, test } from "vitest";
import { Outcome } from "../../../../src/hw/smmuv3/transaction.ts";
import type { PageTable } from "../../../../src/hw/smmuv3/tables/page-table.ts";
import { nestedSte, stage1Cd, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { at, Bench, type BenchOptions } from "./bench.ts";

const VA = 0x7000;
const PA = 0x5000_0000;
const IPA = 0x4800_0000;
const HD = { HA: 1, HD: 1 };
const S2HD = { S2HA: 1, S2HD: 1 };
const WRITE = { write: true };

/** AP[2:1] or S2AP[1:0] of the leaf at an address. */
function ap(table: PageTable, address: number): number {
  return (table.read(table.entryAddress(address, 3))[0] >>> 6) & 3;
}

function low(table: PageTable, address: number): number {
  return table.read(table.entryAddress(address, 3))[0];
}

interface Made {
  readonly bench: Bench;
  readonly table: PageTable;
}

function stage1(leaf: Record<string, number>, cd: Record<string, number> = HD, ste = {}, tables = {}, options: BenchOptions = {}): Made {
  const bench = new Bench({}, options);
  const table = bench.pageTable(1);
  table.map(VA, PA, 0x1000, leaf, 3, tables);
  bench.stage1(0, table, cd, ste);
  return { bench, table };
}

function stage2(leaf: Record<string, number>, ste: Record<string, number> = S2HD, options: BenchOptions = {}): Made {
  const bench = new Bench({}, options);
  const table = bench.pageTable(2, 12, { inputBits: 40 });
  table.map(VA, PA, 0x1000, leaf);
  bench.streams.write(0, stage2Ste(table, ste));
  return { bench, table };
}

interface Nested {
  readonly bench: Bench;
  readonly s1: PageTable;
  readonly s2: PageTable;
}

function nested(leaf1: Record<string, number>, leaf2: Record<string, number>, cd = {}, ste = {}): Nested {
  const bench = new Bench();
  const s1 = bench.pageTable(1);
  s1.map(VA, IPA, 0x1000, leaf1);
  const s2 = bench.pageTable(2, 12, { inputBits: 40 });
  s2.map(0x4000_0000, 0x4000_0000, 0x10_0000, leaf2);
  s2.map(IPA, PA, 0x1000, leaf2);
  bench.streams.write(0, nestedSte(bench.placeCd(stage1Cd({ ttb0: s1 }, cd)), s2, ste));
  return { bench, s1, s2 };
}

describe("stage 1", () => {
  // AP, DBM, HD; whether a privileged and an unprivileged write pass.
  for (const AP of [0, 1, 2, 3]) {
    for (const dbm of [0, 1]) {
      for (const on of [0, 1]) {
        for (const privileged of [true, false]) {
          const dirty = (AP & 2) === 0;
          const clean = !dirty && dbm === 1 && on === 1;
          const passes = (dirty || clean) && (privileged || (AP & 1) === 1);
          const after = passes ? AP & 1 : AP;
          const who = privileged ? "privileged" : "unprivileged";
          test(`AP ${AP}, DBM ${dbm}, HD ${on}: a ${who} write ${passes ? `passes and leaves AP ${after}` : "is refused"}`, () => {
            const { bench, table } = stage1({ ap: AP, dbm }, { HA: 1, HD: on });
            const before = low(table, VA);
            expect(bench.result(VA, { ...WRITE, privileged })).toBe(passes ? PA : "F_PERMISSION");
            expect(low(table, VA)).toBe((before & ~0xc0) | (after << 6));
          });
        }
      }
    }
  }

  test("reads and instruction reads leave a clean leaf clean", () => {
    const { bench, table } = stage1({ ap: 3, dbm: 1 });
    expect([bench.result(VA), bench.result(VA, { instruction: true })]).toEqual([PA, PA]);
    expect(ap(table, VA)).toBe(3);
    expect(bench.stores).toEqual([]);
  });

  test("§3.13.3.1: DBM itself is never changed, and the Access flag comes along", () => {
    const { bench, table } = stage1({ ap: 3, dbm: 1, af: 0 });
    expect(bench.result(VA, WRITE)).toBe(PA);
    expect(low(table, VA) & 0x4c0).toBe(0x440);
    expect(table.read(table.entryAddress(VA, 3))[1] & 0x8_0000).toBe(0x8_0000);
    expect(bench.stores).toHaveLength(1);
  });

  test("§3.13.3.1: APTable that forbids writing makes DBM meaningless: F_PERMISSION, no update", () => {
    const { bench, table } = stage1({ ap: 3, dbm: 1, af: 0 }, HD, {}, { apTable: 2 });
    expect(bench.result(VA, { ...WRITE, privileged: true })).toBe("F_PERMISSION");
    expect(low(table, VA) & 0x480).toBe(0x80);
  });

  test("§3.13.3.1: with HAD0 1 APTable does not matter", () => {
    const { bench, table } = stage1({ ap: 3, dbm: 1 }, { ...HD, HAD0: 1 }, {}, { apTable: 2 });
    expect(bench.result(VA, WRITE)).toBe(PA);
    expect(ap(table, VA)).toBe(1);
  });

  test("§3.13.3.1: PAN refuses a privileged write: F_PERMISSION, no update", () => {
    const { bench, table } = stage1({ ap: 3, dbm: 1 }, { ...HD, PAN: 1 });
    expect(bench.result(VA, { ...WRITE, privileged: true })).toBe("F_PERMISSION");
    expect(ap(table, VA)).toBe(3);
  });

  for (const wxn of [0, 1]) {
    test(`DDI 0487 D8.5.2.2: with WXN ${wxn} writable-clean counts as writable for execution`, () => {
      const { bench } = stage1({ ap: 2, dbm: 1 }, { ...HD, WXN: wxn });
      expect(bench.result(VA, { instruction: true, privileged: true })).toBe(wxn ? "F_PERMISSION" : PA);
    });
  }

  test("DDI 0487 D8.5.2.2: what unprivileged software may make writable is not privileged-executable", () => {
    expect(stage1({ ap: 3, dbm: 1 }).bench.result(VA, { instruction: true, privileged: true })).toBe("F_PERMISSION");
    expect(stage1({ ap: 3, dbm: 1 }, { HA: 1 }).bench.result(VA, { instruction: true, privileged: true })).toBe(PA);
  });

  test("EL2: the same with one privilege", () => {
    const { bench, table } = stage1({ ap: 3, dbm: 1 }, HD, { STRW: 2 });
    expect(bench.result(VA, WRITE)).toBe(PA);
    expect(ap(table, VA)).toBe(1);
  });

  test("a write abort of the update is F_WALK_EABT, and the transaction does not pass", () => {
    const { bench, table } = stage1({ ap: 3, dbm: 1 });
    bench.abortAt(table.entryAddress(VA, 3), 8, "write");
    const { outcome, event } = bench.go(VA, WRITE);
    expect(outcome).toBe(Outcome.abort);
    expect(event?.name).toBe("F_WALK_EABT");
    expect(event?.fields).toMatchObject({ S2: 0, CLASS: 1, RnW: 0 });
  });
});

describe("stage 2", () => {
  for (const s2ap of [0, 1, 2, 3]) {
    for (const dbm of [0, 1]) {
      for (const on of [0, 1]) {
        const clean = (s2ap & 2) === 0 && dbm === 1 && on === 1;
        const passes = (s2ap & 2) !== 0 || clean;
        test(`S2AP ${s2ap}, DBM ${dbm}, S2HD ${on}: a write ${passes ? "passes and sets S2AP[1]" : "is refused"}`, () => {
          const { bench, table } = stage2({ ap: s2ap, dbm }, { S2HA: 1, S2HD: on });
          const before = low(table, VA);
          expect(bench.result(VA, WRITE)).toBe(passes ? PA : "F_PERMISSION");
          expect(low(table, VA)).toBe(passes ? before | 0x80 : before);
        });
      }
    }
  }

  test("reads leave a clean leaf clean", () => {
    const { bench, table } = stage2({ ap: 1, dbm: 1 });
    expect(bench.result(VA)).toBe(PA);
    expect(ap(table, VA)).toBe(1);
  });
});

describe("§3.17: entries made of a writable-clean leaf do not make it dirty unseen", () => {
  test("stage 1: a write that hits after a read marks the leaf dirty; the next one needs nothing", () => {
    const { bench, table } = stage1({ ap: 3, dbm: 1 });
    bench.go(VA);
    expect(ap(table, VA)).toBe(3);
    expect(bench.result(VA, WRITE)).toBe(PA);
    expect(ap(table, VA)).toBe(1);
    const { length } = bench.loads;
    expect(bench.result(VA, WRITE)).toBe(PA);
    expect(bench.loads).toHaveLength(length);
    expect(bench.translator.tlb.entriesInUse).toBe(1);
  });

  test("stage 2: likewise", () => {
    const { bench, table } = stage2({ ap: 1, dbm: 1 });
    bench.go(VA);
    expect(bench.result(VA, WRITE)).toBe(PA);
    expect(ap(table, VA)).toBe(3);
    const { length } = bench.loads;
    bench.go(VA, WRITE);
    expect(bench.loads).toHaveLength(length);
    expect(bench.translator.tlb.entriesInUse).toBe(1);
  });

  test("both stages: a write that hits marks both", () => {
    const { bench, s1, s2 } = nested({ ap: 3, dbm: 1 }, { ap: 1, dbm: 1 }, HD, S2HD);
    expect(bench.result(VA)).toBe(PA);
    expect([ap(s1, VA), ap(s2, IPA)]).toEqual([3, 1]);
    expect(bench.result(VA, WRITE)).toBe(PA);
    expect([ap(s1, VA), ap(s2, IPA)]).toEqual([1, 3]);
    const { length } = bench.loads;
    expect(bench.result(VA, WRITE)).toBe(PA);
    expect(bench.loads).toHaveLength(length);
  });

  test("a dirty stage 1 over a clean stage 2: a write that hits marks stage 2", () => {
    const { bench, s2 } = nested({ ap: 1 }, { ap: 1, dbm: 1 }, HD, S2HD);
    bench.go(VA);
    expect(bench.result(VA, WRITE)).toBe(PA);
    expect(ap(s2, IPA)).toBe(3);
  });

  test("DDI 0487 D8.5.2.1: a write that hits a clean entry goes by the descriptor as it is now", () => {
    const { bench, table } = stage1({ ap: 3, dbm: 1 });
    bench.go(VA);
    table.unmap(VA);
    expect(bench.result(VA)).toBe(PA);
    expect(bench.result(VA, WRITE)).toBe("F_TRANSLATION");
  });

  test("a write that the entry refuses anyway leaves it cached", () => {
    const { bench } = stage1({ ap: 2, dbm: 1 });
    bench.go(VA, { privileged: true });
    const { length } = bench.loads;
    expect(bench.result(VA, WRITE)).toBe("F_PERMISSION");
    expect(bench.result(VA, { privileged: true })).toBe(PA);
    expect(bench.loads).toHaveLength(length);
  });

  test("software that cleans a leaf and invalidates sees the next write", () => {
    const { bench, table } = stage1({ ap: 3, dbm: 1 });
    bench.go(VA, WRITE);
    table.map(VA, PA, 0x1000, { ap: 3, dbm: 1 });
    bench.translator.tlbMaintenance.nhVa(0, 0, at(VA));
    bench.go(VA, WRITE);
    expect(ap(table, VA)).toBe(1);
  });

  test("software that cleans a leaf and does not invalidate sees no write", () => {
    const { bench, table } = stage1({ ap: 3, dbm: 1 });
    bench.go(VA, WRITE);
    table.map(VA, PA, 0x1000, { ap: 3, dbm: 1 });
    bench.go(VA, WRITE);
    expect(ap(table, VA)).toBe(3);
  });
});

describe("§3.13.5: two stages", () => {
  test("the update of a stage-1 leaf makes the page of its table dirty at stage 2, also when a read causes it", () => {
    const { bench, s1, s2 } = nested({ af: 0 }, { ap: 1, dbm: 1 }, HD, S2HD);
    expect(bench.result(VA)).toBe(PA);
    expect(ap(s2, s1.entryAddress(VA, 3))).toBe(3);
    for (const level of [0, 1, 2]) expect(ap(s2, s1.entryAddress(VA, level))).toBe(1);
    expect(ap(s2, IPA)).toBe(1);
  });

  test("a CD fetch never makes stage 2 dirty", () => {
    const { bench, s2 } = nested({}, { ap: 1, dbm: 1, af: 0 }, HD, S2HD);
    bench.go(VA, WRITE);
    const cd = bench.loads.find(({ kind }) => kind === "cd")!.address;
    expect(low(s2, cd) & 0x4c0).toBe(0x440);
    expect(ap(s2, IPA)).toBe(3);
  });

  test("§3.4 order: a write refused by stage 1 touches stage 2 of the output not at all", () => {
    const { bench, s2 } = nested({ ap: 3 }, { ap: 1, dbm: 1, af: 0 }, HD, S2HD);
    expect(bench.result(VA, WRITE)).toBe("F_PERMISSION");
    expect(low(s2, IPA) & 0x4c0).toBe(0x40);
  });

  test("DDI 0487 D8.5.2.1 (choice): a write that stage 2 refuses has made stage 1 dirty", () => {
    const { bench, s1, s2 } = nested({ ap: 3, dbm: 1 }, { ap: 3 }, HD, S2HD);
    s2.map(IPA, PA, 0x1000, { ap: 1 });
    expect(bench.result(VA, WRITE)).toBe("F_PERMISSION");
    expect(ap(s1, VA)).toBe(1);
  });

  test("a stage-1 update that stage 2 refuses is F_PERMISSION S2 CLASS TT TTRnW 0, and stage 1 stays", () => {
    const { bench, s1 } = nested({ ap: 3, dbm: 1 }, { ap: 1 }, HD, S2HD);
    const { outcome, event } = bench.go(VA, WRITE);
    expect(outcome).toBe(Outcome.abort);
    expect(event?.name).toBe("F_PERMISSION");
    expect(event?.fields).toMatchObject({ S2: 1, CLASS: 1, TTRnW: 0, RnW: 0, DirtyBit: 0, IPA: s1.entryAddress(VA, 3) & ~0xfff });
    expect(ap(s1, VA)).toBe(3);
  });
});

describe("the stale-use detector", () => {
  function stale({ bench }: Made): string[] {
    const found: string[] = [];
    bench.trace.on("smmu.stale-use", ({ data }) => found.push(data.missing));
    return found;
  }

  test("DDI 0487 D8.5.2.1: an update by hardware needs no invalidation: nothing is stale", () => {
    const made = stage1({ ap: 3, dbm: 1, af: 0 }, { ...HD, HAFT: 1 }, {}, {}, { detector: true });
    const found = stale(made);
    for (const request of [{}, WRITE, {}, WRITE]) expect(made.bench.result(VA, request)).toBe(PA);
    expect(found).toEqual([]);
  });

  test("nothing is stale after an update that had to be tried again", () => {
    const made = stage2({ ap: 1, dbm: 1, af: 0 }, S2HD, { detector: true });
    const found = stale(made);
    let first = true;
    made.bench.onLoad = (kind) => {
      if (kind === "httu" && first) made.table.map(VA, PA + 0x1000, 0x1000, { ap: 1, dbm: 1, af: 0 });
      first &&= kind !== "httu";
    };
    for (let i = 0; i < 2; i++) expect(made.bench.result(VA, WRITE)).toBe(PA + 0x1000);
    expect(found).toEqual([]);
  });

  test("a leaf that another agent makes dirty is not stale", () => {
    const made = stage1({ ap: 3, dbm: 1 }, HD, {}, {}, { detector: true });
    const found = stale(made);
    made.bench.go(VA);
    made.table.map(VA, PA, 0x1000, { ap: 1, dbm: 1 });
    made.bench.go(VA);
    expect(found).toEqual([]);
  });

  test("a leaf that software cleans without invalidation is", () => {
    const made = stage1({ ap: 3, dbm: 1 }, HD, {}, {}, { detector: true });
    const found = stale(made);
    made.bench.go(VA, WRITE);
    made.table.map(VA, PA, 0x1000, { ap: 3, dbm: 1 });
    made.bench.go(VA);
    expect(found).toEqual(["CMD_TLBI_NH_VA VMID 0 ASID 0 address 0x0000000000007000"]);
  });

  test("a DBM that software clears without invalidation is", () => {
    const made = stage1({ ap: 3, dbm: 1 }, HD, {}, {}, { detector: true });
    const found = stale(made);
    made.bench.go(VA);
    made.table.map(VA, PA, 0x1000, { ap: 3 });
    made.bench.go(VA);
    expect(found).toHaveLength(1);
  });

  test("a DBM that changes where HD is 0 is not", () => {
    const made = stage1({ ap: 3, dbm: 1 }, { HA: 1 }, {}, {}, { detector: true });
    const found = stale(made);
    made.bench.go(VA);
    made.table.map(VA, PA, 0x1000, { ap: 3 });
    made.bench.go(VA);
    expect(found).toEqual([]);
  });
});
