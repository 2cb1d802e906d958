// SPDX-License-Identifier: MIT
/** The stale-use detector where tables were replaced, and in other worlds than EL1: which maintenance is missing. */
import { describe, expect, test } from "vitest";
import type { StaleUse } from "../../../../src/hw/smmuv3/ports.ts";
import { l1cd, nestedSte, stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import type { PageTable } from "../../../../src/hw/smmuv3/tables/page-table.ts";
import { CdTable } from "../../../../src/hw/smmuv3/tables/stream-tables.ts";
import { at, Bench, type BenchOptions } from "./bench.ts";

const VA = 0x12_3456_7000;
/** In the same last-level table. */
const NEXT = VA + 0x1000;
const IPA = 0x4800_0000;
const PA = 0x5000_0000;

function watched(options: BenchOptions = {}): { bench: Bench; uses: StaleUse[] } {
  const bench = new Bench({}, { detector: true, ...options });
  const uses: StaleUse[] = [];
  bench.trace.on("smmu.stale-use", ({ data }) => uses.push(data));
  return { bench, uses };
}

function mapped(bench: Bench, to: number, bigEndian = false): PageTable {
  const table = bench.pageTable(1, 12, { bigEndian });
  table.map(VA, to, 0x2000);
  return table;
}

/** Both stages; data and tables are mapped at stage 2 by pages. */
function nested(): { bench: Bench; uses: StaleUse[]; s1: PageTable; s2: PageTable; cd: number } {
  const { bench, uses } = watched();
  const s1 = mapped(bench, IPA);
  const s2 = bench.pageTable(2, 12, { inputBits: 40 });
  s2.map(0x4000_0000, 0x4000_0000, 0x10_0000);
  s2.map(IPA, PA, 0x2000);
  const cd = bench.placeCd(stage1Cd({ ttb0: s1 }, { ASID: 7 }));
  bench.streams.write(0, nestedSte(cd, s2, { S2VMID: 3 }));
  return { bench, uses, s1, s2, cd };
}

describe("other worlds and byte orders", () => {
  test("an EL2-E2H stream needs CMD_TLBI_EL2_VA with its ASID", () => {
    const { bench, uses } = watched();
    bench.cr2 = 3;
    const table = mapped(bench, PA);
    bench.stage1(0, table, { ASID: 7 }, { STRW: 2 });
    bench.go(VA);
    table.unmap(VA);
    bench.go(VA);
    expect(uses[0]?.missing).toBe("CMD_TLBI_EL2_VA ASID 7 address 0x0000001234567000");
  });
  test("an EL2-E2H stream, a global page: CMD_TLBI_EL2_VAA", () => {
    const { bench, uses } = watched();
    bench.cr2 = 3;
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000, { nG: 0 });
    bench.stage1(0, table, { ASID: 7 }, { STRW: 2 });
    bench.go(VA);
    table.unmap(VA);
    bench.go(VA);
    expect(uses[0]?.missing).toBe("CMD_TLBI_EL2_VAA address 0x0000001234567000");
  });
  test("big-endian tables are compared, and told, as numbers", () => {
    const { bench, uses } = watched();
    const table = mapped(bench, PA, true);
    bench.stage1(0, table, { ENDI: 1 });
    bench.go(VA);
    bench.go(VA);
    expect(uses).toEqual([]);
    const entry = table.entryAddress(VA, 3);
    table.write(entry, [(PA + 0x8000) | 0x7c3, 0]);
    bench.go(VA);
    expect(uses).toMatchObject([{ structure: entry, inMemory: "0x00000000500087c3" }]);
  });
});

describe("another table under the same tags", () => {
  test("a recycled ASID of an EL2-E2H stream: CMD_TLBI_EL2_ASID", () => {
    const { bench, uses } = watched();
    bench.cr2 = 3;
    const table = mapped(bench, PA);
    const places = bench.stage1(0, table, { ASID: 7 }, { STRW: 2 });
    bench.go(VA);
    bench.write(places.cd, stage1Cd({ ttb0: mapped(bench, PA + 0x10_0000) }, { ASID: 7 }));
    bench.translator.configCache.invalidateCd(0, 0, true);
    bench.go(VA);
    expect(uses).toMatchObject([{ structure: table.base, missing: "CMD_TLBI_EL2_ASID ASID 7" }]);
  });
  test("stage 1 begins a walk at a table of the CD before: the walk cache is told by its root", () => {
    const { bench, uses } = watched();
    const table = mapped(bench, PA);
    const places = bench.stage1(0, table, { ASID: 7 }, { S2VMID: 3 });
    bench.go(VA);
    bench.write(places.cd, stage1Cd({ ttb0: mapped(bench, PA + 0x10_0000) }, { ASID: 7 }));
    bench.translator.configCache.invalidateCd(0, 0, true);
    expect(bench.result(NEXT)).toBe(PA + 0x1000);
    expect(uses).toMatchObject([{ what: "tlb", structure: table.base, missing: "CMD_TLBI_NH_ASID VMID 3 ASID 7" }]);
  });
  test("stage 2 of a VMID: CMD_TLBI_S12_VMALL, for a page and for a table that a walk begins at", () => {
    const { bench, uses } = watched();
    const tables = [PA, PA + 0x10_0000].map((to) => {
      const table = bench.pageTable(2, 12, { inputBits: 40 });
      table.map(IPA, to, 0x2000);
      return table;
    });
    bench.streams.write(0, stage2Ste(tables[0]!, { S2VMID: 4 }));
    bench.go(IPA);
    bench.streams.write(0, stage2Ste(tables[1]!, { S2VMID: 4 }));
    bench.translator.configCache.invalidateSte(0, true);
    expect(bench.result(IPA)).toBe(PA);
    expect(bench.result(IPA + 0x1000)).toBe(PA + 0x1000);
    const finding = { structure: tables[0]!.base, missing: "CMD_TLBI_S12_VMALL VMID 4" };
    expect(uses).toMatchObject([finding, finding]);
  });
  test("stage 2 below a combined entry: CMD_TLBI_S12_VMALL", () => {
    const { bench, uses, s2, cd } = nested();
    bench.go(VA);
    const other = bench.pageTable(2, 12, { inputBits: 40 });
    other.map(0x4000_0000, 0x4000_0000, 0x20_0000);
    bench.streams.write(0, nestedSte(cd, other, { S2VMID: 3 }));
    bench.translator.configCache.invalidateSte(0, true);
    bench.go(VA);
    expect(uses.at(-1)).toMatchObject({ structure: s2.base, missing: "CMD_TLBI_S12_VMALL VMID 3" });
  });
});

describe("tables that a walk begins at", () => {
  test("a table descriptor that changed: by address with Leaf 0, once, and told when it is dropped", () => {
    const { bench, uses } = watched();
    const dropped: number[] = [];
    bench.trace.on("smmu.stale-dropped", ({ data }) => dropped.push(data.entry));
    const table = mapped(bench, PA);
    table.map(VA + 0x2000, PA + 0x2000, 0x1000);
    bench.stage1(0, table, { ASID: 7 }, { S2VMID: 3 });
    bench.go(VA);
    const entry = table.entryAddress(VA, 2);
    table.write(entry, [0, 0]);
    expect(bench.result(NEXT)).toBe(PA + 0x1000);
    expect(uses).toMatchObject([{ structure: entry, missing: "CMD_TLBI_NH_VA VMID 3 ASID 7 address 0x0000001234568000 Leaf 0" }]);
    expect(bench.result(NEXT + 0x1000)).toBe(PA + 0x2000);
    bench.translator.tlbMaintenance.nhVa(3, 7, at(NEXT, { leaf: false }));
    expect(dropped).toContain(uses[0]!.entry);
  });
  test("stage 2 moved the table that stage 1 begins at: CMD_TLBI_NH_ALL", () => {
    const { bench, uses, s1, s2 } = nested();
    bench.go(VA);
    // The last-level table of stage 1, behind the cached descriptor of level 2.
    const [lo] = s1.read(s1.entryAddress(VA, 2));
    const leaf = s2.entryAddress(lo & ~0xfff, 3);
    bench.translator.tlbMaintenance.s2Ipa(3, at(lo & ~0xfff));
    const root = s2.entryAddress(s1.base, 3);
    s2.write(root, [0, 0]);
    bench.go(NEXT);
    expect(leaf).not.toBe(root);
    expect(uses.map(({ structure, missing }) => [structure, missing])).toContainEqual([root, "CMD_TLBI_NH_ALL VMID 3"]);
  });
  test("stage 2: a changed table descriptor needs CMD_TLBI_S2_IPA with Leaf 0, and is reported once", () => {
    const { bench, uses } = watched();
    const table = bench.pageTable(2, 12, { inputBits: 40 });
    table.map(IPA, PA, 0x3000);
    bench.streams.write(0, stage2Ste(table, { S2VMID: 4 }));
    bench.go(IPA);
    table.write(table.entryAddress(IPA, 2), [0, 0]);
    bench.go(IPA + 0x1000);
    bench.go(IPA + 0x2000);
    const ofWalks = uses.filter(({ addressLo }) => addressLo === IPA + 0x1000);
    expect(ofWalks).toMatchObject([{ missing: "CMD_TLBI_S2_IPA VMID 4 address 0x48001000 Leaf 0" }]);
    expect(uses.filter(({ addressLo }) => addressLo === IPA + 0x2000)).toEqual([]);
  });
});

describe("configuration", () => {
  function twoLevel(): { bench: Bench; uses: StaleUse[]; cds: CdTable } {
    const { bench, uses } = watched();
    const cds = new CdTable({ memory: bench.bus.memory, arena: bench.arena, cdMax: 7, format: 1 });
    for (const index of [1, 2, 3]) cds.write(index, stage1Cd({ ttb0: mapped(bench, PA) }, { ASID: index }));
    bench.streams.write(0, stage1Ste(cds.base, cds.fields));
    bench.go(VA, { ssid: 1 });
    return { bench, uses, cds };
  }
  test("a stale L1CD that leads to another CD: CMD_CFGI_CD with Leaf 0, once", () => {
    const { bench, uses, cds } = twoLevel();
    bench.write(cds.level1Address(0), l1cd(0x4700_0000));
    expect(bench.result(VA, { ssid: 2 })).toBe(PA);
    expect(bench.result(VA, { ssid: 3 })).toBe(PA);
    const [first] = uses;
    expect(first).toMatchObject({ what: "cd", missing: "CMD_CFGI_CD StreamID 0x0 SubstreamID 0x2 Leaf 0" });
    expect(uses).toHaveLength(1);
  });
  test("a stale STE or CD is reported once", () => {
    const { bench, uses, cds } = twoLevel();
    bench.write(cds.cdAddress(1), stage1Cd({ ttb0: mapped(bench, PA + 0x10_0000) }, { ASID: 9 }));
    bench.go(VA, { ssid: 1 });
    bench.go(VA, { ssid: 1 });
    expect(uses.filter(({ what }) => what === "cd")).toHaveLength(1);
    bench.streams.write(0, stage1Ste(cds.base, { ...cds.fields, S2VMID: 9 }));
    bench.go(VA, { ssid: 1 });
    bench.go(VA, { ssid: 1 });
    expect(uses.filter(({ what }) => what === "ste")).toHaveLength(1);
  });
});
