// SPDX-License-Identifier: MIT
/** The TLB keeps stale translations until the matching TLBI, and no other, drops them (IHI 0070 §3.17, §4.4). */
import { describe, expect, test } from "vitest";
import type { TlbiAddress, TlbInvalidation } from "../../../../src/hw/smmuv3/ports.ts";
import type { LeafFields } from "../../../../src/hw/smmuv3/tables/page-table.ts";
import { nestedSte, stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { at, Bench } from "./bench.ts";

const VA = 0x12_3456_7000;
const IPA = 0x4800_0000;
const OLD = 0x5000_0000;
const NEW = 0x6000_0000;

interface Stream {
  readonly bench: Bench;
  /** Changes the translation in memory. */
  change(): void;
  result(): number | string;
}

interface Tags {
  readonly VMID?: number;
  readonly ASID?: number;
  readonly ASET?: number;
  readonly STRW?: number;
  readonly e2h?: boolean;
  readonly leaf?: LeafFields;
}

/** A stage-1-only stream whose translation is in the TLB already. */
function stage1(tags: Tags = {}): Stream {
  const bench = new Bench();
  if (tags.e2h) bench.cr2 |= 1;
  const table = bench.pageTable(1);
  table.map(VA, OLD, 0x1000, tags.leaf);
  bench.stage1(0, table, { ASID: tags.ASID ?? 1, ASET: tags.ASET ?? 0 }, { S2VMID: tags.VMID ?? 1, STRW: tags.STRW ?? 0 });
  expect(bench.result(VA)).toBe(OLD);
  return { bench, change: () => table.map(VA, NEW, 0x1000, tags.leaf), result: () => bench.result(VA) };
}

/** A stage-2-only stream, VMID 1. */
function stage2(): Stream {
  const bench = new Bench();
  const table = bench.pageTable(2, 12, { inputBits: 40 });
  table.map(IPA, OLD, 0x1000);
  bench.streams.write(0, stage2Ste(table, { S2VMID: 1 }));
  expect(bench.result(IPA)).toBe(OLD);
  return { bench, change: () => table.map(IPA, NEW, 0x1000), result: () => bench.result(IPA) };
}

/** A nested stream, VMID 1, ASID 1; `change` changes stage 2 of the output. */
function nested(): Stream & { changeStage1(): void } {
  const bench = new Bench();
  const s1 = bench.pageTable(1);
  s1.map(VA, IPA, 0x1000);
  const s2 = bench.pageTable(2, 12, { inputBits: 40 });
  s2.map(0x4000_0000, 0x4000_0000, 0x20_0000);
  s2.map(IPA, OLD, 0x1000);
  s2.map(IPA + 0x1000, NEW, 0x1000);
  bench.streams.write(0, nestedSte(bench.placeCd(stage1Cd({ ttb0: s1 }, { ASID: 1 })), s2, { S2VMID: 1 }));
  expect(bench.result(VA)).toBe(OLD);
  return {
    bench,
    change: () => s2.map(IPA, NEW, 0x1000),
    changeStage1: () => s1.map(VA, IPA + 0x1000, 0x1000),
    result: () => bench.result(VA),
  };
}

type Tlbi = (tlb: TlbInvalidation) => void;

function check(
  name: string,
  make: () => Stream,
  drops: readonly (readonly [string, Tlbi])[],
  spares: readonly (readonly [string, Tlbi])[],
): void {
  describe(name, () => {
    test("a changed descriptor is not seen without maintenance", () => {
      const stream = make();
      stream.change();
      expect(stream.result()).toBe(OLD);
    });
    for (const [command, tlbi] of drops) {
      test(`${command} makes it seen`, () => {
        const stream = make();
        stream.change();
        tlbi(stream.bench.translator.tlbMaintenance);
        expect(stream.result()).toBe(NEW);
      });
    }
    for (const [command, tlbi] of spares) {
      test(`${command} does not`, () => {
        const stream = make();
        stream.change();
        tlbi(stream.bench.translator.tlbMaintenance);
        expect(stream.result()).toBe(OLD);
      });
    }
  });
}

const NSNH_ALL = ["NSNH_ALL", (tlb: TlbInvalidation) => tlb.nsnhAll()] as const;
const EVERYTHING = ["S_INIT.INV_ALL", (tlb: TlbInvalidation) => tlb.everything()] as const;
const NH_ALL = (vmid: number) => [`NH_ALL VMID ${vmid}`, (tlb: TlbInvalidation) => tlb.nhAll(vmid)] as const;
const NH_ASID = (vmid: number, asid: number) =>
  [`NH_ASID VMID ${vmid} ASID ${asid}`, (tlb: TlbInvalidation) => tlb.nhAsid(vmid, asid)] as const;
const NH_VA = (vmid: number, asid: number, va: number) =>
  [`NH_VA VMID ${vmid} ASID ${asid} ${va.toString(16)}`, (tlb: TlbInvalidation) => tlb.nhVa(vmid, asid, at(va))] as const;
const NH_VAA = (vmid: number, va: number) =>
  [`NH_VAA VMID ${vmid} ${va.toString(16)}`, (tlb: TlbInvalidation) => tlb.nhVa(vmid, undefined, at(va))] as const;
const S12_VMALL = (vmid: number) => [`S12_VMALL VMID ${vmid}`, (tlb: TlbInvalidation) => tlb.s12Vmall(vmid)] as const;
const S2_IPA = (vmid: number, ipa: number) =>
  [`S2_IPA VMID ${vmid} ${ipa.toString(16)}`, (tlb: TlbInvalidation) => tlb.s2Ipa(vmid, at(ipa))] as const;
const EL2_ALL = ["EL2_ALL", (tlb: TlbInvalidation) => tlb.el2All()] as const;
const EL2_ASID = (asid: number) => [`EL2_ASID ${asid}`, (tlb: TlbInvalidation) => tlb.el2Asid(asid)] as const;
const EL2_VA = (asid: number, va: number) =>
  [`EL2_VA ASID ${asid} ${va.toString(16)}`, (tlb: TlbInvalidation) => tlb.el2Va(asid, at(va))] as const;
const EL2_VAA = (va: number) => [`EL2_VAA ${va.toString(16)}`, (tlb: TlbInvalidation) => tlb.el2Va(undefined, at(va))] as const;

check(
  "NS-EL1, stage 1 only, non-global",
  () => stage1(),
  [NSNH_ALL, EVERYTHING, NH_ALL(1), NH_ASID(1, 1), NH_VA(1, 1, VA), NH_VAA(1, VA), S12_VMALL(1)],
  [
    NH_ALL(2),
    NH_ASID(2, 1),
    NH_ASID(1, 2),
    NH_VA(2, 1, VA),
    NH_VA(1, 2, VA),
    NH_VA(1, 1, VA + 0x1000),
    NH_VA(1, 1, VA - 0x1000),
    NH_VAA(2, VA),
    NH_VAA(1, VA + 0x1000),
    S12_VMALL(2),
    S2_IPA(1, VA),
    EL2_ALL,
    EL2_ASID(1),
    EL2_VA(1, VA),
    EL2_VAA(VA),
  ],
);

check(
  "NS-EL1, stage 1 only, global",
  () => stage1({ leaf: { nG: 0 } }),
  [NSNH_ALL, NH_ALL(1), NH_VA(1, 1, VA), NH_VA(1, 2, VA), NH_VAA(1, VA), S12_VMALL(1)],
  [NH_ASID(1, 1), NH_VA(2, 1, VA), NH_VAA(2, VA), EL2_ALL],
);

check(
  "EL2",
  () => stage1({ STRW: 2 }),
  [EVERYTHING, EL2_ALL, EL2_VA(0, VA), EL2_VA(7, VA), EL2_VAA(VA)],
  [
    NSNH_ALL,
    NH_ALL(1),
    NH_ALL(0),
    NH_VA(1, 1, VA),
    NH_VAA(1, VA),
    S12_VMALL(1),
    S12_VMALL(0),
    EL2_ASID(1),
    EL2_ASID(0),
    EL2_VA(1, VA + 0x1000),
  ],
);

check(
  "EL2-E2H, non-global",
  () => stage1({ STRW: 2, e2h: true }),
  [EL2_ALL, EL2_ASID(1), EL2_VA(1, VA), EL2_VAA(VA)],
  [NSNH_ALL, NH_ALL(1), NH_ASID(1, 1), S12_VMALL(1), EL2_ASID(2), EL2_VA(2, VA), EL2_VAA(VA + 0x1000)],
);

check(
  "EL2-E2H, global",
  () => stage1({ STRW: 2, e2h: true, leaf: { nG: 0 } }),
  [EL2_ALL, EL2_VA(2, VA), EL2_VAA(VA)],
  [EL2_ASID(1), NSNH_ALL],
);

check(
  "stage 2 only",
  stage2,
  [NSNH_ALL, EVERYTHING, S12_VMALL(1), S2_IPA(1, IPA)],
  [S12_VMALL(2), S2_IPA(2, IPA), S2_IPA(1, IPA + 0x1000), NH_ALL(1), NH_VAA(1, IPA), EL2_ALL],
);

const both = (...commands: (readonly [string, Tlbi])[]): readonly [string, Tlbi] => [
  commands.map(([name]) => name).join(" and "),
  (tlb) => commands.forEach(([, tlbi]) => tlbi(tlb)),
];

check(
  "nested, stage 2 changed: combined entries need a stage-1 command too",
  nested,
  [NSNH_ALL, S12_VMALL(1), both(S2_IPA(1, IPA), NH_ALL(1)), both(S2_IPA(1, IPA), NH_VAA(1, VA)), both(S2_IPA(1, IPA), NH_VA(1, 1, VA))],
  [S2_IPA(1, IPA), NH_ALL(1), both(S2_IPA(2, IPA), NH_ALL(1)), both(S2_IPA(1, IPA), NH_ALL(2)), S12_VMALL(2)],
);

describe("nested, stage 1 changed", () => {
  for (const [command, tlbi] of [NH_ALL(1), NH_ASID(1, 1), NH_VA(1, 1, VA), NH_VAA(1, VA), S12_VMALL(1)]) {
    test(`${command} makes it seen`, () => {
      const stream = nested();
      stream.changeStage1();
      expect(stream.result()).toBe(OLD);
      tlbi(stream.bench.translator.tlbMaintenance);
      expect(stream.result()).toBe(NEW);
    });
  }
});

describe("tags on lookup (§3.17)", () => {
  /** Two streams with one VA in tables of their own; the second shows whether it hits the first's entry. */
  function second(first: Tags, other: Tags): number | string {
    const bench = new Bench();
    for (const [sid, tags, pa] of [
      [0, first, OLD],
      [1, other, NEW],
    ] as const) {
      const table = bench.pageTable(1);
      table.map(VA, pa, 0x1000, tags.leaf);
      bench.stage1(sid, table, { ASID: tags.ASID ?? 1, ASET: tags.ASET ?? 0 }, { S2VMID: tags.VMID ?? 1, STRW: tags.STRW ?? 0 });
    }
    bench.go(VA, { sid: 0 });
    return bench.result(VA, { sid: 1 });
  }
  const global = { nG: 0 };
  test("same VMID and ASID: shared", () => expect(second({}, {})).toBe(OLD));
  test("another ASID: not shared", () => expect(second({}, { ASID: 2 })).toBe(NEW));
  test("another VMID: not shared", () => expect(second({}, { VMID: 2 })).toBe(NEW));
  test("a non-global entry: ASET does not matter", () => expect(second({ ASET: 0 }, { ASET: 1 })).toBe(OLD));
  test("a global entry serves another ASID", () => expect(second({ leaf: global }, { ASID: 2 })).toBe(OLD));
  test("a global entry does not serve another VMID", () => expect(second({ leaf: global }, { VMID: 2, ASID: 2 })).toBe(NEW));
  test("a global entry does not serve another ASET", () => expect(second({ leaf: global, ASET: 0 }, { ASET: 1, ASID: 2 })).toBe(NEW));
  test("another StreamWorld: not shared", () => expect(second({ leaf: global }, { STRW: 2 })).toBe(NEW));
  test("EL2: VMID and ASID are no tags", () => expect(second({ STRW: 2 }, { STRW: 2, VMID: 2, ASID: 2 })).toBe(OLD));

  test("stage 2 not implemented: VMIDs are no tags and commands' VMIDs do not count", () => {
    const bench = new Bench({ stage2: false, hyp: false, xnx: false, ptwnnc: false });
    const table = bench.pageTable(1);
    table.map(VA, OLD, 0x1000);
    bench.stage1(0, table, { ASID: 1 }, { S2VMID: 5 });
    bench.go(VA);
    table.map(VA, NEW, 0x1000);
    bench.translator.tlbMaintenance.nhAll(7);
    expect(bench.result(VA)).toBe(NEW);
  });

  test("choice s1-only-and-nested: streams with one VMID do not share entries across", () => {
    const stream = nested();
    const table = stream.bench.pageTable(1);
    table.map(VA, NEW, 0x1000);
    stream.bench.stage1(1, table, { ASID: 1 }, { S2VMID: 1 });
    expect(stream.bench.result(VA, { sid: 1 })).toBe(NEW);
  });
});

describe("range invalidation and hints (§4.4.1.1)", () => {
  /** 64 pages from VA on are cached, then changed. @returns which of them were dropped, as first and last index */
  function dropped(address: number, more: Partial<TlbiAddress>): [number, number] | undefined {
    const bench = new Bench();
    const table = bench.pageTable(1);
    const base = 0x1000_0000;
    table.map(base, OLD, 0x4_0000);
    bench.stage1(0, table, { ASID: 1 }, { S2VMID: 1 });
    for (let i = 0; i < 64; i++) bench.go(base + i * 0x1000);
    table.map(base, NEW, 0x4_0000);
    bench.translator.tlbMaintenance.nhVa(1, 1, at(base + address, more));
    const seen = Array.from({ length: 64 }, (_, i) => bench.result(base + i * 0x1000) === NEW + i * 0x1000);
    const first = seen.indexOf(true);
    const last = seen.lastIndexOf(true);
    expect(seen.slice(first, last + 1).every(Boolean)).toBe(true);
    return first < 0 ? undefined : [first, last];
  }
  test("TG 0: one page, whatever NUM, SCALE and TTL", () => {
    expect(dropped(0x3000, { tg: 0, num: 5, scale: 2, ttl: 1 })).toEqual([3, 3]);
  });
  for (const [num, scale] of [
    [0, 0],
    [1, 0],
    [4, 0],
    [31, 0],
    [0, 3],
    [2, 2],
    [0, 5],
  ] as const) {
    test(`NUM ${num}, SCALE ${scale}: (NUM + 1) * 2^SCALE granules from the address on`, () => {
      const pages = (num + 1) * 2 ** scale;
      expect(dropped(0x2000, { tg: 1, ttl: 3, num, scale })).toEqual([2, Math.min(63, 1 + pages)]);
    });
  }
  test("NUM 31, SCALE 31: the greatest range", () => {
    expect(dropped(0x2000, { tg: 1, num: 31, scale: 31 })).toEqual([2, 63]);
  });
  test("TTL of another level spares the entries", () => {
    expect(dropped(0, { tg: 1, num: 31, ttl: 2 })).toBeUndefined();
  });
  test("TTL 0 covers every level", () => {
    expect(dropped(0, { tg: 1, num: 31, ttl: 0 })).toEqual([0, 31]);
  });
  test("TG of another granule spares the entries", () => {
    expect(dropped(0, { tg: 3, num: 31, ttl: 0 })).toBeUndefined();
  });

  test("an address inside a block drops the block", () => {
    const bench = new Bench();
    const table = bench.pageTable(1);
    table.map(0x4000_0000, 0x4000_0000, 0x4000_0000, {}, 1);
    bench.stage1(0, table, { ASID: 1 }, { S2VMID: 1 });
    bench.go(0x4000_0000);
    table.unmap(0x4000_0000, 1);
    bench.translator.tlbMaintenance.nhVa(1, 1, at(0x7fff_f000));
    expect(bench.result(0x4000_0000)).toBe("F_TRANSLATION");
  });

  test("a TTB1 range that runs beyond the top does not wrap to TTB0", () => {
    const bench = new Bench();
    const ttb0 = bench.pageTable(1);
    ttb0.map(0, OLD, 0x1000);
    const ttb1 = bench.pageTable(1);
    ttb1.map(2 ** 48 - 0x1000, OLD, 0x1000);
    bench.streams.write(0, stage1Ste(bench.placeCd(stage1Cd({ ttb0, ttb1 }, { ASID: 1 })), { S2VMID: 1 }));
    const top = { hi: 0xffff_ffff };
    expect([bench.result(0), bench.result(0xffff_f000, top)]).toEqual([OLD, OLD]);
    ttb0.unmap(0);
    ttb1.unmap(2 ** 48 - 0x1000);
    bench.translator.tlbMaintenance.nhVa(1, 1, { ...at(0xffff_f000), hi: 0xffff_ffff, tg: 1, num: 31 });
    expect([bench.result(0), bench.result(0xffff_f000, top)]).toEqual([OLD, "F_TRANSLATION"]);
  });

  test("S2_IPA with a range", () => {
    const bench = new Bench();
    const table = bench.pageTable(2, 12, { inputBits: 40 });
    table.map(IPA, OLD, 0x4000);
    bench.streams.write(0, stage2Ste(table, { S2VMID: 1 }));
    for (let i = 0; i < 4; i++) bench.go(IPA + i * 0x1000);
    table.map(IPA, NEW, 0x4000);
    bench.translator.tlbMaintenance.s2Ipa(1, at(IPA + 0x1000, { tg: 1, num: 1, ttl: 3 }));
    expect([0, 1, 2, 3].map((i) => bench.result(IPA + i * 0x1000))).toEqual([OLD, NEW + 0x1000, NEW + 0x2000, OLD + 0x3000]);
  });
});

describe("size and replacement", () => {
  function pages(tlb: number, count: number): Bench {
    const bench = new Bench({ caches: { ste: 8, cd: 8, tlb, walk: 0, replacement: "round-robin" } });
    const table = bench.pageTable(1);
    table.map(0, OLD, 0x1000 * count);
    bench.stage1(0, table);
    for (let i = 0; i < count; i++) bench.go(i * 0x1000);
    table.map(0, NEW, 0x1000 * count);
    return bench;
  }
  const stale = (bench: Bench, count: number): number[] =>
    Array.from({ length: count }, (_, i) => i).filter((i) => bench.go(i * 0x1000).physical < NEW);

  test("0 entries: every access walks", () => {
    expect(stale(pages(0, 4), 4)).toEqual([]);
  });
  test("as many entries as pages: all stay", () => {
    expect(stale(pages(4, 4), 4)).toEqual([0, 1, 2, 3]);
  });
  test("choice tlb-replacement: slots go round, the first filled is the first reused", () => {
    const bench = pages(4, 6);
    expect([5, 4, 3, 2].map((i) => bench.go(i * 0x1000).physical < NEW)).toEqual([true, true, true, true]);
    expect([0, 1].map((i) => bench.go(i * 0x1000).physical < NEW)).toEqual([false, false]);
  });
  test("SMMUEN 1 to 0 to 1 keeps the entries", () => {
    const bench = pages(4, 1);
    bench.enabled = false;
    bench.go(0);
    bench.enabled = true;
    expect(bench.result(0)).toBe(OLD);
  });
  test("a hardware reset empties the TLB and the configuration cache", () => {
    const bench = pages(4, 1);
    bench.translator.reset();
    expect(bench.translator.tlb.entriesInUse).toBe(0);
    expect(bench.translator.configCache.counts).toEqual({ stes: 0, cds: 0, level1: 0 });
    expect(bench.result(0)).toBe(NEW);
  });
  test("faults are not cached: mapping a page needs no maintenance", () => {
    const bench = new Bench();
    const table = bench.pageTable(1);
    bench.stage1(0, table);
    expect(bench.result(0)).toBe("F_TRANSLATION");
    table.map(0, OLD, 0x1000);
    expect(bench.result(0)).toBe(OLD);
  });
  test("BBML 1: a block with nT is not cached; BBML 2 ignores nT", () => {
    for (const [bbml, expected] of [
      [1, NEW],
      [2, OLD],
    ] as const) {
      const bench = new Bench({ bbml });
      const table = bench.pageTable(1);
      table.map(0, OLD, 0x20_0000, { nT: 1 }, 2);
      bench.stage1(0, table);
      bench.go(0);
      table.map(0, NEW, 0x20_0000, { nT: 1 }, 2);
      expect(bench.result(0)).toBe(expected);
    }
  });
});
