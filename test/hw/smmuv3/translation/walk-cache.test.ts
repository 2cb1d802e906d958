// SPDX-License-Identifier: MIT
/** The walk cache: what it spares, what maintenance reaches in it, and what the stale-use detector says of it. */
import { describe, expect, test } from "vitest";
import { profiles } from "../../../../src/hw/smmuv3/config/config.ts";
import type { TlbInvalidation } from "../../../../src/hw/smmuv3/ports.ts";
import { nestedSte, stage1Cd } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { at, Bench, RAM, RAM_SIZE } from "./bench.ts";

const VA = 0x12_3456_7000;
const OLD = 0x5000_0000;
const NEW = 0x6000_0000;
const VMID = 7;
const ASID = 9;
/** The TLB keeps nothing, so that every access walks. */
const WALKS_ONLY = { ...profiles.max.caches, tlb: 0 };

/** Stream 0 with four pages from VA on. */
function stage1(): { readonly bench: Bench; readonly root: number } {
  const bench = new Bench({ caches: WALKS_ONLY }, { detector: true });
  const table = bench.pageTable(1);
  table.map(VA, OLD, 0x4000);
  bench.stage1(0, table, { ASID }, { S2VMID: VMID });
  return { bench, root: table.base };
}

/** Puts a table of its own, with NEW in it, in the place of the last table on the way to VA. */
function exchangeLastTable(bench: Bench, root: number): void {
  const other = bench.pageTable(1);
  other.map(VA, NEW, 0x4000);
  const { memory } = bench.bus;
  const walk = (base: number, level: number): number => base + 8 * (Math.floor(VA / 2 ** (39 - 9 * level)) % 512);
  const next = (descriptor: number): number => (memory.read32(descriptor) & ~0xfff) + (memory.read32(descriptor + 4) & 0xffff) * 2 ** 32;
  const descriptor = walk(next(walk(next(walk(root, 0)), 1)), 2);
  const theirs = walk(next(walk(next(walk(other.base, 0)), 1)), 2);
  for (const word of [0, 4]) memory.write32(descriptor + word, memory.read32(theirs + word));
}

const kinds = (bench: Bench): string[] => bench.loads.map(({ kind }) => kind);

describe("walks begin at the lowest table that is cached (§3.17)", () => {
  test("a second walk of the same 2 MiB reads the last descriptor alone", () => {
    const { bench } = stage1();
    bench.go(VA);
    bench.loads.length = 0;
    expect(bench.result(VA + 0x1000)).toBe(OLD + 0x1000);
    expect(kinds(bench)).toEqual(["tt-s1"]);
  });

  test("a walk of another 2 MiB in the same 1 GiB reads two", () => {
    const { bench } = stage1();
    const table = bench.pageTable(1);
    table.map(VA, OLD, 0x1000);
    table.map(VA + 0x20_0000, NEW, 0x1000);
    bench.stage1(1, table, { ASID: 1 }, { S2VMID: VMID });
    bench.go(VA, { sid: 1 });
    bench.loads.length = 0;
    expect(bench.result(VA + 0x20_0000, { sid: 1 })).toBe(NEW);
    expect(kinds(bench)).toEqual(["tt-s1", "tt-s1"]);
  });

  test("hierarchical restrictions of the tables that are skipped still hold (DDI 0487 D8.4.3)", () => {
    const bench = new Bench({ caches: WALKS_ONLY });
    const table = bench.pageTable(1);
    table.map(VA, OLD, 0x2000);
    const root = table.base + 8 * Math.floor(VA / 2 ** 39);
    // APTable[1]: no writes below.
    bench.bus.memory.write32(root + 4, bench.bus.memory.read32(root + 4) | 0x4000_0000);
    bench.stage1(0, table, { ASID }, { S2VMID: VMID });
    expect(bench.result(VA)).toBe(OLD);
    expect(bench.result(VA + 0x1000, { write: true })).toBe("F_PERMISSION");
  });

  test("another granule under the same tags does not take the tables of the first", () => {
    const { bench } = stage1();
    bench.go(VA);
    const other = bench.pageTable(1, 14);
    other.map(VA & ~0x3fff, NEW, 0x4000);
    bench.stage1(1, other, { ASID }, { S2VMID: VMID });
    expect(bench.result(VA & ~0x3fff, { sid: 1 })).toBe(NEW);
  });

  test("nested: stage-2 walks begin at cached tables, too, and stage 2 is asked for stage-1 tables each time", () => {
    const bench = new Bench({ caches: WALKS_ONLY });
    const s2 = bench.pageTable(2, 12, { inputBits: 40, startLevel: 1 });
    s2.map(RAM, RAM, RAM_SIZE, {}, 2);
    const table = bench.pageTable(1);
    table.map(VA, OLD, 0x2000);
    bench.streams.write(0, nestedSte(bench.placeCd(stage1Cd({ ttb0: table }, { ASID })), s2, { S2VMID: VMID }));
    bench.go(VA);
    bench.loads.length = 0;
    expect(bench.result(VA + 0x1000)).toBe(OLD + 0x1000);
    const seen = kinds(bench);
    expect(seen.filter((kind) => kind === "tt-s1")).toHaveLength(1);
    // The table's page and the output both lie in 2 MiB blocks that the TLB does not keep: one descriptor each.
    expect(seen.filter((kind) => kind === "tt-s2")).toHaveLength(2);
  });
});

describe("maintenance of table descriptors (§4.4)", () => {
  const drops: readonly (readonly [name: string, tlbi: (tlb: TlbInvalidation) => void])[] = [
    ["NH_VA, Leaf 0", (tlb) => tlb.nhVa(VMID, ASID, at(VA, { leaf: false }))],
    ["NH_VA, Leaf 0, a last-level hint", (tlb) => tlb.nhVa(VMID, ASID, at(VA, { leaf: false, tg: 1, ttl: 3 }))],
    [
      "NH_VA, Leaf 0, a range that ends there",
      (tlb) => tlb.nhVa(VMID, ASID, at(VA - 0x10_0000, { leaf: false, tg: 1, num: 31, scale: 4 })),
    ],
    ["NH_VAA, Leaf 0", (tlb) => tlb.nhVa(VMID, undefined, at(VA, { leaf: false }))],
    ["NH_ASID", (tlb) => tlb.nhAsid(VMID, ASID)],
    ["NH_ALL", (tlb) => tlb.nhAll(VMID)],
    ["S12_VMALL", (tlb) => tlb.s12Vmall(VMID)],
    ["NSNH_ALL", (tlb) => tlb.nsnhAll()],
  ];
  test.each(drops)("%s reaches them", (_name, tlbi) => {
    const { bench, root } = stage1();
    bench.go(VA);
    exchangeLastTable(bench, root);
    expect(bench.result(VA)).toBe(OLD);
    tlbi(bench.translator.tlbMaintenance);
    expect(bench.result(VA)).toBe(NEW);
  });

  const spares: readonly (readonly [name: string, tlbi: (tlb: TlbInvalidation) => void])[] = [
    ["NH_VA with Leaf 1", (tlb) => tlb.nhVa(VMID, ASID, at(VA, { leaf: true }))],
    ["NH_VAA with Leaf 1", (tlb) => tlb.nhVa(VMID, undefined, at(VA, { leaf: true }))],
    ["NH_VA of another 2 MiB", (tlb) => tlb.nhVa(VMID, ASID, at(VA + 0x20_0000, { leaf: false }))],
    ["NH_VA of another ASID", (tlb) => tlb.nhVa(VMID, ASID + 1, at(VA, { leaf: false }))],
    ["NH_ASID of another VMID", (tlb) => tlb.nhAsid(VMID + 1, ASID)],
    ["EL2_ALL", (tlb) => tlb.el2All()],
    ["S2_IPA", (tlb) => tlb.s2Ipa(VMID, at(VA, { leaf: false }))],
  ];
  test.each(spares)("%s spares them", (_name, tlbi) => {
    const { bench, root } = stage1();
    bench.go(VA);
    exchangeLastTable(bench, root);
    tlbi(bench.translator.tlbMaintenance);
    expect(bench.result(VA)).toBe(OLD);
  });
});

describe("the stale-use detector", () => {
  test("names the table descriptor that was changed, and a TLBI that is not for leaves alone", () => {
    const { bench, root } = stage1();
    const stale: string[] = [];
    bench.trace.on("smmu.stale-use", ({ data }) => stale.push(data.missing));
    bench.go(VA);
    exchangeLastTable(bench, root);
    bench.go(VA);
    expect(stale).toEqual([expect.stringMatching(/^CMD_TLBI_NH_VA VMID 7 ASID 9 address 0x0*1234567000 Leaf 0$/)]);
  });

  test("tells when maintenance drops it after all", () => {
    const { bench, root } = stage1();
    const dropped: number[] = [];
    bench.trace.on("smmu.stale-dropped", ({ data }) => dropped.push(data.entry));
    bench.go(VA);
    exchangeLastTable(bench, root);
    bench.go(VA);
    bench.translator.tlbMaintenance.nhAsid(VMID, ASID);
    expect(dropped).toHaveLength(1);
  });
});
