// SPDX-License-Identifier: MIT
/** Hardware update of VMSAv9-128 descriptors (IHI 0070 §3.13, §3.21.3; DDI 0487 D8.5). */
import { describe, expect, test } from "vitest";
import type { PageTable128 } from "../../../../src/hw/smmuv3/tables/page-table128.ts";
import { Bench } from "./bench.ts";
import { install128, nest128, PA, table128 } from "./d128.ts";

const VA = 0x7000;
const AF = 0x400;
const BIT7 = 0x80;
const STAGES = [1, 2] as const;
const WRITE = { write: true };
const HA = { 1: { HA: 1 }, 2: { S2HA: 1 } } as const;
const HD = { 1: { HA: 1, HD: 1 }, 2: { S2HA: 1, S2HD: 1 } } as const;
const HAFT = { 1: { HA: 1, HAFT: 1 }, 2: { S2HA: 1, S2HAFT: 1 } } as const;
/** Writable-clean leaves. */
const CLEAN = { 1: { nDirty: 1 }, 2: { dirty: 0 } } as const;

function made(stage: 1 | 2, leaf: Record<string, number>, fields: Record<string, number>, bigEndian = false, detector = false) {
  const bench = new Bench({}, { detector });
  const table = table128(bench, stage, 12, { inputBits: 36, bigEndian });
  table.map(VA, PA, 0x1000, { poIndex: 5, ...leaf });
  install128(bench, table, fields);
  return { bench, table, place: table.entryAddress(VA, 3) };
}

for (const stage of STAGES) {
  for (const bigEndian of [false, true]) {
    describe(`stage ${stage}, ${bigEndian ? "big" : "little"}-endian`, () => {
      test("HA sets AF (bit 10) and nothing else, by one write of 16 bytes", () => {
        const { bench, table, place } = made(stage, { af: 0 }, HA[stage], bigEndian);
        const [lo, ...others] = table.read(place);
        expect(bench.result(VA)).toBe(PA);
        expect(table.read(place)).toEqual([lo | AF, ...others]);
        expect(bench.stores).toEqual([{ kind: "httu", address: place }]);
      });
      test("HD: a write makes clean memory dirty, a read does not", () => {
        const { bench, table, place } = made(stage, CLEAN[stage], HD[stage], bigEndian);
        const before = table.read(place);
        expect(bench.result(VA)).toBe(PA);
        expect(table.read(place)).toEqual(before);
        expect(bench.result(VA, WRITE)).toBe(PA);
        const [lo, ...others] = before;
        expect(table.read(place)).toEqual([lo ^ BIT7, ...others]);
        expect(bench.stores.length).toBe(1);
        expect(bench.result(VA, WRITE)).toBe(PA);
        expect(bench.stores.length).toBe(1);
      });
      for (const word of [0, 1, 2, 3]) {
        test(`word ${word} changed between the walk and the update: the walk is done again`, () => {
          const { bench, table, place } = made(stage, { af: 0 }, HA[stage], bigEndian);
          const words = [...table.read(place)] as [number, number, number, number];
          // Word 0: SH; 1: an address bit; 2: a software bit; 3: POIndex or a bit that is RES0.
          words[word] = (words[word]! ^ [0x100, 1, 1 << 29, 1 << 25][word]!) >>> 0;
          let changed = false;
          bench.onLoad = (kind) => {
            if (kind !== "httu" || changed) return;
            changed = true;
            table.write(place, words);
          };
          expect(bench.result(VA)).toBe(word === 1 ? PA + 2 ** 32 : PA);
          words[0] = (words[0] | AF) >>> 0;
          expect(table.read(place)).toEqual(words);
          expect(bench.loads.filter(({ kind, address }) => kind === `tt-s${stage}` && address === place).length).toBe(2);
        });
      }
    });
  }

  test(`stage ${stage}: HAFT sets AF of every table descriptor, in 16-byte places; it is cached afterwards`, () => {
    const { bench, table } = made(stage, {}, HAFT[stage]);
    const places = [1, 2].map((level) => table.entryAddress(VA, level));
    const before = places.map((place) => table.read(place));
    expect(bench.result(VA)).toBe(PA);
    expect(places.map((place) => table.read(place))).toEqual(before.map(([lo, ...others]) => [lo | AF, ...others]));
    expect(bench.translator.walks.entriesInUse).toBe(0);
    bench.translator.tlb.reset();
    expect(bench.result(VA)).toBe(PA);
    expect(bench.translator.walks.entriesInUse).toBe(2);
    expect(bench.stores.length).toBe(2);
  });

  test(`stage ${stage}: a write that is refused updates nothing`, () => {
    const { bench, table, place } = made(stage, { af: 0, ...CLEAN[stage], piIndex: 7 }, HD[stage]);
    const before = table.read(place);
    expect(bench.result(VA, WRITE)).toBe("F_PERMISSION");
    expect(table.read(place)).toEqual(before);
  });

  test(`stage ${stage}: memory that changes for ever ends in F_WALK_EABT (choice update-contention)`, () => {
    const { bench, table, place } = made(stage, { af: 0 }, HA[stage]);
    let round = 0;
    bench.onLoad = (kind) => {
      const [lo, hi, , hi2] = table.read(place);
      if (kind === "httu") table.write(place, [lo, hi, ++round, hi2]);
    };
    expect(bench.result(VA)).toBe("F_WALK_EABT");
  });

  test(`stage ${stage}: an abort of the update is F_WALK_EABT`, () => {
    const { bench, place } = made(stage, { af: 0 }, HA[stage]);
    bench.abortAt(place, 16, "write");
    expect(bench.result(VA)).toBe("F_WALK_EABT");
  });

  test(`stage ${stage}: the SMMU's own update makes nothing stale`, () => {
    const { bench } = made(stage, { af: 0, ...CLEAN[stage] }, HD[stage], false, true);
    const uses: unknown[] = [];
    bench.trace.on("smmu.stale-use", ({ data }) => uses.push(data));
    for (const request of [{}, WRITE, {}]) expect(bench.result(VA, request)).toBe(PA);
    expect(uses).toEqual([]);
  });
}

describe("nested", () => {
  const nested = (
    leaf1: Record<string, number>,
    leaf2: Record<string, number>,
    cd = {},
    ste = {},
  ): { bench: Bench; s1: PageTable128; s2: PageTable128 } => {
    const bench = new Bench();
    const s1 = table128(bench, 1, 12, { inputBits: 36 });
    s1.map(VA, 0x4800_0000, 0x1000, leaf1);
    const s2 = table128(bench, 2, 12, { inputBits: 40 });
    s2.map(0x4000_0000, 0x4000_0000, 0x10_0000, leaf2);
    s2.map(0x4800_0000, PA, 0x1000, leaf2);
    nest128(bench, s1, s2, cd, ste);
    return { bench, s1, s2 };
  };
  test("a write makes both stages dirty, and so is the memory of the stage-1 descriptor", () => {
    const { bench, s1, s2 } = nested({ nDirty: 1, af: 0 }, { dirty: 0, af: 0 }, HD[1], HD[2]);
    expect(bench.result(VA, WRITE)).toBe(PA);
    const place = s1.entryAddress(VA, 3);
    expect(s1.read(place)[0] & (AF | BIT7)).toBe(AF);
    for (const page of [0x4800_0000, place & ~0xfff]) expect(s2.read(s2.entryAddress(page, 3))[0] & (AF | BIT7)).toBe(AF | BIT7);
  });
  test("an update of stage 1 where stage 2 forbids writing is F_PERMISSION of stage 2, class TT", () => {
    const { bench } = nested({ af: 0 }, {}, HA[1]);
    bench.s2pii[0] = 8;
    expect(bench.go(VA).event).toMatchObject({ name: "F_PERMISSION", fields: { S2: 1, CLASS: 1 } });
  });
});
