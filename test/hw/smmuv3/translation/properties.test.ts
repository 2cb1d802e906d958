// SPDX-License-Identifier: MIT
/** Properties over random tables, accesses and ranges. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { TlbiRange } from "../../../../src/hw/smmuv3/caches/tlb-range.ts";
import { PageTable } from "../../../../src/hw/smmuv3/tables/page-table.ts";
import { nestedSte, stage1Cd } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench } from "./bench.ts";

/** Granules, and whether descriptors are those of LPA2. */
const formats = fc.constantFrom(
  ...([12, 14, 16] as const).map((granule) => ({ granule, ds: false })),
  ...([12, 14] as const).map((granule) => ({ granule, ds: true })),
);

/** Outputs of tables that can hold them lie above 2^48. */
function far(table: PageTable): number {
  return table.ds ? 0xb * 2 ** 48 : 0;
}

/** Non-overlapping leaves: slot i of a grid of level-2 leaves holds either one level-2 leaf or level-3 leaves. */
interface Mapping {
  readonly slot: number;
  readonly block: boolean;
  readonly page: number;
  readonly output: number;
  readonly ap: number;
}

const mappings = fc.uniqueArray(
  fc.record({ slot: fc.nat(15), block: fc.boolean(), page: fc.nat(3), output: fc.nat(60), ap: fc.constantFrom(1, 3) }),
  { selector: ({ slot }) => slot, maxLength: 8 },
);

function fill(table: PageTable, all: readonly Mapping[], base: number): Map<number, { output: number; writable: boolean }> {
  const pages = new Map<number, { output: number; writable: boolean }>();
  const page = table.leafSize(3);
  const block = table.leafSize(2);
  for (const { slot, block: isBlock, page: index, output, ap } of all) {
    const at = slot * block;
    const high = far(table);
    const fields = { ap: table.stage === 1 ? ap : ap === 1 ? 3 : 1 };
    if (isBlock) table.map(at, high + output * block, block, fields, 2);
    else table.map(at + index * page, high + base + output * page, page, fields);
    for (let offset = 0; offset < (isBlock ? block : page); offset += page) {
      const from = isBlock ? at + offset : at + index * page;
      pages.set(from / page, { output: high + (isBlock ? output * block + offset : base + output * page), writable: ap === 1 });
    }
  }
  return pages;
}

const accesses = fc.array(fc.record({ slot: fc.nat(16), page: fc.nat(4), offset: fc.nat(4095), write: fc.boolean() }), {
  minLength: 1,
  maxLength: 24,
});

test("stage 1: any access goes where the table's own arithmetic says, with a TLB of any size", () => {
  fc.assert(
    fc.property(formats, mappings, accesses, fc.constantFrom(0, 1, 3, 64), ({ granule, ds }, all, list, tlb) => {
      const bench = new Bench({ caches: { ste: 4, cd: 4, tlb, walk: tlb, replacement: "round-robin" } });
      const table = bench.pageTable(1, granule, { ds });
      const pages = fill(table, all, 0x5000_0000);
      bench.stage1(0, table);
      for (const { slot, page, offset, write } of list) {
        const address = slot * table.leafSize(2) + page * table.leafSize(3) + offset;
        const mapped = pages.get(Math.floor(address / table.leafSize(3)));
        const expected = mapped === undefined ? "F_TRANSLATION" : write && !mapped.writable ? "F_PERMISSION" : mapped.output + offset;
        expect(bench.result(address, { write })).toBe(expected);
      }
    }),
    { numRuns: 150 },
  );
});

test("nested: both stages composed, whatever their granules", () => {
  fc.assert(
    fc.property(formats, formats, mappings, mappings, accesses, fc.constantFrom(0, 5, 64), (f1, f2, first, second, list, tlb) => {
      const bench = new Bench({ caches: { ste: 4, cd: 4, tlb, walk: tlb, replacement: "round-robin" } });
      const s1 = bench.pageTable(1, f1.granule);
      const ipaBase = 0x4000_0000;
      const stage1 = fill(
        s1,
        first.filter(({ block }) => !block),
        0x10_0000_0000,
      );
      const s2 = new PageTable({ memory: bench.bus.memory, arena: bench.arena, stage: 2, ...f2, inputBits: 42 });
      s2.map(ipaBase, ipaBase, s2.leafSize(2), {}, 2);
      // Second-stage mappings lie where stage 1 points.
      const page2 = s2.leafSize(3);
      const stage2 = new Map<number, { output: number; writable: boolean }>();
      for (const { slot, page, output, ap } of second) {
        const ipa = 0x10_0000_0000 + (slot * 4 + page) * page2;
        s2.map(ipa, far(s2) + 0x5000_0000 + output * page2, page2, { ap: ap === 1 ? 3 : 1 });
        stage2.set(ipa / page2, { output: far(s2) + 0x5000_0000 + output * page2, writable: ap === 1 });
      }
      bench.streams.write(0, nestedSte(bench.placeCd(stage1Cd({ ttb0: s1 })), s2));
      for (const { slot, page, offset, write } of list) {
        const address = slot * s1.leafSize(2) + page * s1.leafSize(3) + offset;
        const a = stage1.get(Math.floor(address / s1.leafSize(3)));
        let expected: number | string = "F_TRANSLATION";
        if (a !== undefined) {
          const ipa = a.output + offset;
          const b = stage2.get(Math.floor(ipa / page2));
          if (write && !a.writable) expected = "F_PERMISSION";
          else if (b !== undefined) expected = write && !b.writable ? "F_PERMISSION" : b.output + (ipa % page2);
        }
        expect(bench.result(address, { write })).toBe(expected);
      }
    }),
    { numRuns: 150 },
  );
});

test("TLBI ranges overlap as 64-bit arithmetic says", () => {
  const word = fc.nat(0xffff_ffff);
  fc.assert(
    fc.property(
      word,
      word,
      word,
      word,
      fc.integer({ min: 12, max: 43 }),
      fc.nat(3),
      fc.nat(31),
      fc.nat(39),
      fc.boolean(),
      (hi, lo, ehi, elo, size, tg, num, scale, near) => {
        const range = new TlbiRange().set({ hi, lo, leaf: true, tg, ttl: 0, num, scale }, false);
        const mask = (1n << BigInt(size)) - 1n;
        const far = (BigInt(near ? hi : ehi) << 32n) | BigInt(elo);
        const entry = far & ~mask;
        const start = ((BigInt(hi) << 32n) | BigInt(lo)) & ~0xfffn;
        const granule = [0, 12, 14, 16][tg]!;
        const bytes = tg === 0 ? 4096n : BigInt(num + 1) << BigInt(scale + granule);
        const top = (1n << 64n) - 1n;
        const end = start + bytes - 1n > top ? top : start + bytes - 1n;
        expect(range.overlaps(Number(entry >> 32n), Number(entry & 0xffff_ffffn), size)).toBe(entry <= end && entry + mask >= start);
      },
    ),
    { numRuns: 2000 },
  );
});
