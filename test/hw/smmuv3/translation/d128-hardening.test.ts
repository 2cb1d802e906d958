// SPDX-License-Identifier: MIT
/** Translation hardening with VMSAv9-128 tables: always there with IDR3.THE (IHI 0070 §3.27, §5.2 AssuredOnly, §5.4 PnCH). */
import { describe, expect, test } from "vitest";
import type { SmmuConfig } from "../../../../src/hw/smmuv3/config/config.ts";
import { TableArena } from "../../../../src/hw/smmuv3/tables/memory.ts";
import { nestedSte, stage1Cd } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench } from "./bench.ts";
import { install128, PA, table128 } from "./d128.ts";

const VA = 0x7000;
const IPA = 0x4800_0000;
const PAGE = 0x1000;
/** Stage-2 codes; PIIndex p has code p. */
const MRO = 2;
const MRO_TL0 = 6;
const RW = 15;

interface Options {
  readonly config?: Partial<SmmuConfig>;
  /** Code of the pages of stage-1 tables but the first; of the first. */
  readonly tables?: number;
  readonly first?: number;
  /** AssuredOnly of the pages of the CD and of the output. */
  readonly cdPage?: number;
  readonly output?: number;
  /** Levels whose descriptor is not Protected. */
  readonly bare?: readonly number[];
  readonly skl?: Readonly<Record<number, number>>;
}

/** Everything is as an assured translation needs it, but for what the options say. CD.PnCH and STE.AssuredOnly are 0. */
function nested({ config, tables = MRO, first = MRO_TL0, cdPage = 1, output = 1, bare = [], skl = {} }: Options = {}): Bench {
  const bench = new Bench(config);
  bench.s2pii = Array.from({ length: 16 }, (_, index) => index);
  const arena = new TableArena(0x4080_0000, 0x40_0000);
  const s1 = table128(bench, 1, 12, { inputBits: 36, arena });
  const hidden = (level: number): number => (bare.includes(level) ? 0 : 1);
  s1.map(VA, IPA, PAGE, { protected: hidden(3) }, 3, { skl, protected: hidden(2) });
  const at = s1.entryAddress(VA, 1);
  const [lo, hi, lo2, hi2] = s1.read(at);
  s1.write(at, [lo, hi, lo2, hidden(1) === 0 ? hi2 & ~0x4_0000 : hi2 | 0x4_0000]);
  const cd = bench.placeCd(stage1Cd({ ttb0: s1 }));
  const s2 = table128(bench, 2, 12, { inputBits: 40 });
  s2.map(0x4080_0000, 0x4080_0000, 0x40_0000, { piIndex: tables });
  s2.map(s1.base & ~0xfff, s1.base & ~0xfff, PAGE, { piIndex: first });
  s2.map(cd & ~0xfff, cd & ~0xfff, PAGE, { piIndex: RW, assuredOnly: cdPage });
  s2.map(IPA, PA, PAGE, { piIndex: RW, assuredOnly: output });
  bench.streams.write(0, nestedSte(cd, s2, { S1PIE: 1, TL0: 1 }));
  return bench;
}

/** The same access twice: from memory and from whatever is cached; once more with the walk cache alone. */
function outcome(bench: Bench): unknown {
  const answers = [0, 1, 2].map((round) => {
    if (round === 2) bench.translator.tlb.reset();
    const { event, physical } = bench.go(VA);
    return event === undefined ? physical : `${event.name} S2 ${event.fields["S2"]} A ${event.fields["AssuredOnly"]}`;
  });
  expect(new Set(answers).size).toBe(1);
  return answers[0];
}

const REFUSED = "F_PERMISSION S2 1 A 1";

describe("AssuredOnly (bit 114 of stage 2) without STE.AssuredOnly, Protected (bit 114 of stage 1) without CD.PnCH", () => {
  test("an assured translation passes", () => expect(outcome(nested())).toBe(PA));
  test("tables that skip a level do, too", () => expect(outcome(nested({ skl: { 1: 1 } }))).toBe(PA));
  for (const level of [2, 3]) {
    test(`a descriptor of level ${level} that is not Protected: refused`, () => expect(outcome(nested({ bare: [level] }))).toBe(REFUSED));
  }
  test("choice assured-initial-level: the descriptor of the initial level need not be Protected", () => {
    expect(outcome(nested({ bare: [1] }))).toBe(PA);
  });
  test("tables that are not mostly read-only: refused", () => expect(outcome(nested({ tables: RW }))).toBe(REFUSED));
  test("a first table without TopLevel0: refused, not as AssuredOnly", () => {
    expect(outcome(nested({ first: MRO }))).toBe("F_PERMISSION S2 1 A 0");
  });
  test("a CD from memory without AssuredOnly: refused", () => expect(outcome(nested({ cdPage: 0 }))).toBe(REFUSED));
  test("memory without AssuredOnly takes any translation", () => {
    expect(outcome(nested({ output: 0, bare: [2, 3], cdPage: 0 }))).toBe(PA);
  });
  test("without IDR3.THE bit 114 is no AssuredOnly", () => {
    expect(outcome(nested({ config: { the: false }, bare: [2, 3], cdPage: 0, first: MRO }))).toBe(PA);
  });
});

test("§3.27.1: Contiguous is there beside Protected", () => {
  const bench = new Bench();
  const table = table128(bench, 1, 12, { inputBits: 36 });
  table.map(0, PA, 0x1_0000, { contiguous: 1, protected: 1 });
  install128(bench, table);
  expect(bench.result(0)).toBe(PA);
  bench.loads.length = 0;
  expect(bench.result(0x1000)).toBe(PA + 0x1000);
  expect(bench.loads).toEqual([]);
});
