// SPDX-License-Identifier: MIT
/** Hardware update of the Access flag, in leaves and in table descriptors, of both stages (IHI 0070 §3.13.2, §3.13.5, §3.13.6). */
import { describe, expect, test } from "vitest";
import { profiles } from "../../../../src/hw/smmuv3/config/profiles.ts";
import { Outcome } from "../../../../src/hw/smmuv3/transaction.ts";
import type { PageTable } from "../../../../src/hw/smmuv3/tables/page-table.ts";
import { nestedSte, stage1Cd, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench, type Request } from "./bench.ts";

const VA = 0x7000;
const PA = 0x5000_0000;
const IPA = 0x4800_0000;
const AF = 0x400;

/** Whether the Access flag of the descriptor at a level is 1. */
function flag(table: PageTable, address: number, level: number): boolean {
  return (table.read(table.entryAddress(address, level))[0] & AF) !== 0;
}

interface Made {
  readonly bench: Bench;
  readonly s1: PageTable;
  readonly s2: PageTable;
}

interface Options {
  readonly cd?: Record<string, number>;
  readonly ste?: Record<string, number>;
  readonly leaf1?: Record<string, number>;
  readonly leaf2?: Record<string, number>;
  readonly bigEndian?: boolean;
  readonly tlb?: number;
  readonly httu?: 0 | 1 | 2 | 3;
}

function stage1({ cd, leaf1 = { af: 0 }, bigEndian = false, httu = 3 }: Options = {}): Made {
  const bench = new Bench({ httu });
  const s1 = bench.pageTable(1, 12, { bigEndian });
  s1.map(VA, PA, 0x1000, leaf1);
  bench.stage1(0, s1, cd);
  return { bench, s1, s2: s1 };
}

function stage2({ ste, leaf2 = { af: 0 }, bigEndian = false, httu = 3 }: Options = {}): Made {
  const bench = new Bench({ httu });
  const s2 = bench.pageTable(2, 12, { inputBits: 40, bigEndian });
  s2.map(VA, PA, 0x1000, leaf2);
  bench.streams.write(0, stage2Ste(s2, ste));
  return { bench, s1: s2, s2 };
}

/** Stage-1 tables and the CD are at intermediate addresses that equal physical ones, mapped page by page. */
function nested({ cd, ste, leaf1, leaf2, tlb }: Options = {}): Made {
  const bench = new Bench(tlb === undefined ? {} : { caches: { ...profiles.max.caches, tlb, walk: tlb } });
  const s1 = bench.pageTable(1);
  s1.map(VA, IPA, 0x1000, leaf1);
  const at = bench.placeCd(stage1Cd({ ttb0: s1 }, cd));
  const s2 = bench.pageTable(2, 12, { inputBits: 40 });
  s2.map(0x4000_0000, 0x4000_0000, 0x10_0000, leaf2);
  s2.map(IPA, PA, 0x1000, leaf2);
  bench.streams.write(0, nestedSte(at, s2, ste));
  return { bench, s1, s2 };
}

describe("a leaf with Access flag 0", () => {
  for (const bigEndian of [false, true]) {
    const endian = bigEndian ? "big-endian" : "little-endian";
    for (const request of [{}, { write: true }, { instruction: true }] as const) {
      const access = JSON.stringify(request);
      test(`§3.13.2: CD.HA 1, ${endian}: an access ${access} sets the flag in memory, without F_ACCESS`, () => {
        const { bench, s1 } = stage1({ cd: { HA: 1 }, bigEndian });
        const before = s1.read(s1.entryAddress(VA, 3));
        expect(bench.result(VA, { ...request, privileged: false })).toBe(PA);
        expect(s1.read(s1.entryAddress(VA, 3))).toEqual([before[0] | AF, before[1]]);
        expect(bench.records).toEqual([]);
      });
      test(`§3.13.2: STE.S2HA 1, ${endian}: an access ${access} sets the flag in memory, without F_ACCESS`, () => {
        const { bench, s2 } = stage2({ ste: { S2HA: 1 }, bigEndian });
        const before = s2.read(s2.entryAddress(VA, 3));
        expect(bench.result(VA, request)).toBe(PA);
        expect(s2.read(s2.entryAddress(VA, 3))).toEqual([before[0] | AF, before[1]]);
      });
    }
  }

  test("§3.13.2: HA 0 and AFFD 0 is F_ACCESS, and the descriptor stays", () => {
    const one = stage1();
    expect(one.bench.result(VA)).toBe("F_ACCESS");
    expect(flag(one.s1, VA, 3)).toBe(false);
    const two = stage2();
    expect(two.bench.result(VA)).toBe("F_ACCESS");
    expect(flag(two.s2, VA, 3)).toBe(false);
  });

  test("§5.4: AFFD is ignored where HA is 1: the flag is set", () => {
    const { bench, s1 } = stage1({ cd: { HA: 1, AFFD: 1 } });
    expect(bench.result(VA)).toBe(PA);
    expect(flag(s1, VA, 3)).toBe(true);
  });

  test("§5.2: S2AFFD is ignored where S2HA is 1: the flag is set", () => {
    const { bench, s2 } = stage2({ ste: { S2HA: 1, S2AFFD: 1 } });
    expect(bench.result(VA)).toBe(PA);
    expect(flag(s2, VA, 3)).toBe(true);
  });

  test("§3.13.1: AFFD 1 without HA uses the translation and leaves the flag alone", () => {
    const { bench, s1 } = stage1({ cd: { AFFD: 1 } });
    expect(bench.result(VA)).toBe(PA);
    expect(flag(s1, VA, 3)).toBe(false);
    expect(bench.stores).toEqual([]);
  });

  test("§5.4: HD without HA acts as neither: F_ACCESS", () => {
    const { bench } = stage1({ cd: { HD: 1 } });
    expect(bench.result(VA)).toBe("F_ACCESS");
  });

  test("§5.2: S2HD without S2HA acts as neither: F_ACCESS", () => {
    expect(stage2({ ste: { S2HD: 1 } }).bench.result(VA)).toBe("F_ACCESS");
  });

  test("§6.3.1: HTTU 1 is enough for HA and S2HA", () => {
    expect(stage1({ cd: { HA: 1 }, httu: 1 }).bench.result(VA)).toBe(PA);
    expect(stage2({ ste: { S2HA: 1 }, httu: 1 }).bench.result(VA)).toBe(PA);
  });

  test("a second access needs no second update, from the TLB or from memory", () => {
    const { bench } = stage1({ cd: { HA: 1 } });
    bench.go(VA);
    bench.go(VA);
    bench.translator.tlbMaintenance.everything();
    bench.go(VA);
    expect(bench.stores).toHaveLength(1);
  });

  test("§3.13.4: the update is one write of the whole descriptor", () => {
    const { bench, s1 } = stage1({ cd: { HA: 1 } });
    bench.go(VA);
    expect(bench.stores).toEqual([{ kind: "httu", address: s1.entryAddress(VA, 3) }]);
  });
});

describe("faults come before updates", () => {
  test("§3.13.2 (choice): a permission fault leaves the Access flag alone", () => {
    const { bench, s1 } = stage1({ cd: { HA: 1 }, leaf1: { af: 0, ap: 3 } });
    expect(bench.result(VA, { write: true })).toBe("F_PERMISSION");
    expect(flag(s1, VA, 3)).toBe(false);
  });

  test("§3.13.2 (choice): a permission fault of stage 2 leaves its Access flag alone", () => {
    const { bench, s2 } = stage2({ ste: { S2HA: 1 }, leaf2: { af: 0, ap: 1 } });
    expect(bench.result(VA, { write: true })).toBe("F_PERMISSION");
    expect(flag(s2, VA, 3)).toBe(false);
  });

  test("§3.13.1: without HA an Access flag fault comes before a permission fault", () => {
    expect(stage1({ leaf1: { af: 0, ap: 3 } }).bench.result(VA, { write: true })).toBe("F_ACCESS");
  });

  test("§7.3.12: an external abort of the update is F_WALK_EABT, stage 1", () => {
    const { bench, s1 } = stage1({ cd: { HA: 1 } });
    const at = s1.entryAddress(VA, 3);
    bench.abortAt(at, 8, "write");
    const { outcome, event } = bench.go(VA);
    expect(outcome).toBe(Outcome.abort);
    expect(event?.name).toBe("F_WALK_EABT");
    expect(event?.fields).toMatchObject({ S2: 0, CLASS: 1, FetchAddr: at });
  });

  test("§7.3.12: an external abort of the update is F_WALK_EABT, stage 2", () => {
    const { bench, s2 } = stage2({ ste: { S2HA: 1 } });
    const at = s2.entryAddress(VA, 3);
    bench.abortAt(at, 8, "write");
    const { event } = bench.go(VA);
    expect(event?.name).toBe("F_WALK_EABT");
    expect(event?.fields).toMatchObject({ S2: 1, CLASS: 2, FetchAddr: at });
  });

  test("§3.17: what ends in an abort of the update is not cached", () => {
    const { bench, s1 } = stage1({ cd: { HA: 1 } });
    const end = bench.abortAt(s1.entryAddress(VA, 3), 8, "write");
    bench.go(VA);
    expect(bench.translator.tlb.entriesInUse).toBe(0);
    end();
    expect(bench.result(VA)).toBe(PA);
  });
});

describe("§3.13.5: two stages", () => {
  test("the CD fetch, each step of the stage-1 walk and the output set stage-2 Access flags", () => {
    const { bench, s1, s2 } = nested({ ste: { S2HA: 1 }, leaf2: { af: 0 } });
    expect(bench.result(VA)).toBe(PA);
    expect(flag(s2, IPA, 3)).toBe(true);
    for (const level of [0, 1, 2, 3]) expect(flag(s2, s1.entryAddress(VA, level), 3)).toBe(true);
    const cd = bench.loads.find(({ kind }) => kind === "cd");
    expect(flag(s2, cd!.address, 3)).toBe(true);
  });

  test("a page that nothing used keeps its flag at 0", () => {
    const { bench, s2 } = nested({ ste: { S2HA: 1 }, leaf2: { af: 0 } });
    bench.go(VA);
    expect(flag(s2, 0x400f_f000, 3)).toBe(false);
  });

  test("a write of a stage-1 descriptor needs stage-2 write permission: F_PERMISSION S2 CLASS TT TTRnW 0, for a read too", () => {
    const { bench, s1 } = nested({ cd: { HA: 1 }, leaf1: { af: 0 }, leaf2: { ap: 1 } });
    const { outcome, event } = bench.go(VA);
    expect(outcome).toBe(Outcome.abort);
    expect(event?.name).toBe("F_PERMISSION");
    expect(event?.fields).toMatchObject({ S2: 1, CLASS: 1, TTRnW: 0, RnW: 1, IPA: s1.entryAddress(VA, 3) & ~0xfff });
    expect(flag(s1, VA, 3)).toBe(false);
  });

  test("a read of a stage-1 descriptor that stage 2 refuses has TTRnW 1", () => {
    const { bench, s1, s2 } = nested({ cd: { HA: 1 }, leaf1: { af: 0 } });
    const page = s1.entryAddress(VA, 3) & ~0xfff;
    s2.map(page, page, 0x1000, { ap: 2 });
    const { event } = bench.go(VA);
    expect(event?.name).toBe("F_PERMISSION");
    expect(event?.fields).toMatchObject({ S2: 1, CLASS: 1, TTRnW: 1 });
  });

  test("the write goes to the physical address of the descriptor", () => {
    const { bench, s1, s2 } = nested({ cd: { HA: 1 }, leaf1: { af: 0 } });
    const at = s1.entryAddress(VA, 3);
    const page = at - (at % 0x1000);
    const copy = 0x4f00_0000;
    for (let offset = 0; offset < 0x1000; offset += 4) bench.bus.memory.write32(copy + offset, bench.bus.memory.read32(page + offset));
    s2.map(page, copy, 0x1000);
    expect(bench.result(VA)).toBe(PA);
    expect(bench.stores).toEqual([{ kind: "httu", address: copy + (at % 0x1000) }]);
    expect(flag(s1, VA, 3)).toBe(false);
  });

  for (const tlb of [0, 1, 64]) {
    test(`with ${tlb} TLB entries everything comes out alike`, () => {
      const { bench, s1, s2 } = nested({ cd: { HA: 1, HAFT: 1 }, ste: { S2HA: 1, S2HAFT: 1 }, leaf1: { af: 0 }, leaf2: { af: 0 }, tlb });
      expect(bench.result(VA)).toBe(PA);
      for (const level of [0, 1, 2, 3]) expect(flag(s1, VA, level)).toBe(true);
      for (const level of [0, 1, 2, 3]) expect(flag(s2, IPA, level)).toBe(true);
    });
  }
});

describe("§3.13.6: Access flag of table descriptors", () => {
  test("HAFT 1: all tables on the way get it, from the first one down, before the leaf", () => {
    const { bench, s1 } = stage1({ cd: { HA: 1, HAFT: 1 } });
    expect(bench.result(VA)).toBe(PA);
    expect(bench.stores.map(({ address }) => address)).toEqual([0, 1, 2, 3].map((level) => s1.entryAddress(VA, level)));
    for (const level of [0, 1, 2, 3]) expect(flag(s1, VA, level)).toBe(true);
  });

  test("HAFT 1: tables get it under a leaf that has its flag already", () => {
    const { bench, s1 } = stage1({ cd: { HA: 1, HAFT: 1 }, leaf1: { af: 1 } });
    bench.go(VA);
    for (const level of [0, 1, 2]) expect(flag(s1, VA, level)).toBe(true);
  });

  test("HAFT 0: tables stay", () => {
    const { bench, s1 } = stage1({ cd: { HA: 1 } });
    bench.go(VA);
    for (const level of [0, 1, 2]) expect(flag(s1, VA, level)).toBe(false);
  });

  test("S2HAFT 1: stage-2 tables on the way get it", () => {
    const { bench, s2 } = stage2({ ste: { S2HA: 1, S2HAFT: 1 } });
    expect(bench.result(VA)).toBe(PA);
    expect(s2.startLevel).toBe(0);
    expect(bench.stores.map(({ address }) => address)).toEqual([0, 1, 2, 3].map((level) => s2.entryAddress(VA, level)));
  });

  for (const httu of [1, 2] as const) {
    test(`§5.4, §5.2: HAFT and S2HAFT are RES0 where HTTU is ${httu}`, () => {
      const one = stage1({ cd: { HA: 1, HAFT: 1 }, httu });
      expect(one.bench.result(VA)).toBe(PA);
      expect(flag(one.s1, VA, 2)).toBe(false);
      const two = stage2({ ste: { S2HA: 1, S2HAFT: 1 }, httu });
      expect(two.bench.result(VA)).toBe(PA);
      expect(flag(two.s2, VA, 2)).toBe(false);
    });
  }

  for (const HAFT of [0, 1]) {
    const cached = HAFT === 1 ? "not cached" : "cached";
    test(`DDI 0487 D8.5.1.3: with HAFT ${HAFT} table descriptors with Access flag 0 are ${cached}`, () => {
      const one = stage1({ cd: { HA: 1, HAFT } });
      one.s1.unmap(VA);
      expect(one.bench.result(VA)).toBe("F_TRANSLATION");
      expect(one.bench.translator.walks.entriesInUse).toBe(HAFT === 1 ? 0 : 3);
      const two = stage2({ ste: { S2HA: 1, S2HAFT: HAFT } });
      two.s2.unmap(VA);
      expect(two.bench.result(VA)).toBe("F_TRANSLATION");
      expect(two.bench.translator.walks.entriesInUse).toBe(HAFT === 1 ? 0 : 3);
    });
  }

  test("a table descriptor never faults for its Access flag, with HAFT or without", () => {
    expect(stage1({ leaf1: { af: 1 } }).bench.result(VA)).toBe(PA);
  });
});

describe("§3.13.4: an update is a compare-and-update", () => {
  /** Another agent changes the descriptor between the walk and the update. */
  function disturbed(made: Made, change: (bench: Bench) => void, times = 1): Bench {
    let left = times;
    made.bench.onLoad = (kind) => {
      if (kind === "httu" && left-- > 0) change(made.bench);
    };
    return made.bench;
  }

  test("a new output address that appears meanwhile is the one that counts", () => {
    const made = stage1({ cd: { HA: 1 } });
    const bench = disturbed(made, () => made.s1.map(VA, PA + 0x10_0000, 0x1000, { af: 0 }));
    expect(bench.result(VA)).toBe(PA + 0x10_0000);
    expect(flag(made.s1, VA, 3)).toBe(true);
  });

  test("a leaf that becomes invalid meanwhile is F_TRANSLATION, and stays as it is", () => {
    const made = stage1({ cd: { HA: 1 } });
    const bench = disturbed(made, () => made.s1.unmap(VA));
    expect(bench.result(VA)).toBe("F_TRANSLATION");
    expect(made.s1.read(made.s1.entryAddress(VA, 3))).toEqual([0, 0]);
  });

  test("stage 2 likewise", () => {
    const made = stage2({ ste: { S2HA: 1 } });
    const bench = disturbed(made, () => made.s2.map(VA, PA + 0x10_0000, 0x1000, { af: 0 }));
    expect(bench.result(VA)).toBe(PA + 0x10_0000);
  });

  for (const bigEndian of [false, true]) {
    test(`what an agent changes meanwhile in the upper word is kept, ${bigEndian ? "big" : "little"}-endian`, () => {
      for (const made of [stage1({ cd: { HA: 1 }, bigEndian }), stage2({ ste: { S2HA: 1 }, bigEndian })]) {
        const at = made.s1.entryAddress(VA, 3);
        const [lo, hi] = made.s1.read(at);
        const bench = disturbed(made, () => made.s1.write(at, [lo, hi | 0x0080_0000]));
        expect(bench.result(VA)).toBe(PA);
        expect(made.s1.read(at)).toEqual([lo | AF, hi | 0x0080_0000]);
      }
    });
  }

  for (const bigEndian of [false, true]) {
    test(`execute-never that appears meanwhile is the one that counts, ${bigEndian ? "big" : "little"}-endian`, () => {
      for (const made of [stage1({ cd: { HA: 1 }, bigEndian }), stage2({ ste: { S2HA: 1 }, bigEndian })]) {
        const at = made.s1.entryAddress(VA, 3);
        const [lo, hi] = made.s1.read(at);
        const bench = disturbed(made, () => made.s1.write(at, [lo, hi | 0x0040_0000]));
        expect(bench.result(VA, { instruction: true })).toBe("F_PERMISSION");
        expect(made.s1.read(at)[0]).toBe(lo);
      }
    });
  }

  test("an agent that sets the same flag first makes no difference", () => {
    const made = stage1({ cd: { HA: 1 } });
    const bench = disturbed(made, () => made.s1.map(VA, PA, 0x1000, { af: 1 }));
    expect(bench.result(VA)).toBe(PA);
    expect(bench.stores).toEqual([]);
  });

  test("memory that never reads the same twice ends in F_WALK_EABT (choice)", () => {
    let round = 0;
    for (const made of [stage1({ cd: { HA: 1 } }), stage2({ ste: { S2HA: 1 } })]) {
      const bench = disturbed(made, () => made.s1.map(VA, PA + 0x1000 * ++round, 0x1000, { af: 0 }), Infinity);
      expect(bench.result(VA)).toBe("F_WALK_EABT");
    }
  });

  test("stage 1 and stage 2 that share one descriptor come to an end", () => {
    const bench = new Bench();
    const s1 = bench.pageTable(1, 12, { inputBits: 40 });
    s1.map(VA, 0x4000_0000, 0x1000, { af: 0, ap: 1, dbm: 1 });
    const at = bench.placeCd(stage1Cd({ ttb0: s1 }, { HA: 1, HD: 1, HAFT: 1 }));
    const s2 = bench.pageTable(2, 12, { inputBits: 40 });
    s2.map(0x4000_0000, 0x4000_0000, 0x10_0000, { af: 0, ap: 1, dbm: 1 });
    // The stage-1 page table's last table is stage 2's, whose leaves read as leaves of either stage.
    const last = s2.entryAddress(0x4000_0000, 3);
    s1.write(s1.entryAddress(VA, 2), [(last & ~0xfff) | 3, 0]);
    bench.streams.write(0, nestedSte(at, s2, { S2HA: 1, S2HD: 1, S2HAFT: 1 }));
    const requests: readonly Request[] = [{}, { write: true }];
    for (const request of requests) expect(typeof bench.result(VA, request)).toBe("number");
  });
});

test("§6.3.9: with SMMUEN 0 nothing is read or written", () => {
  const { bench, s1 } = stage1({ cd: { HA: 1 } });
  bench.enabled = false;
  bench.go(VA);
  expect(flag(s1, VA, 3)).toBe(false);
  expect([...bench.loads, ...bench.stores]).toEqual([]);
});
