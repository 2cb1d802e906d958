// SPDX-License-Identifier: MIT
/** Attribute overrides of STE and GBPA in every value, against the rules of IHI 0070 §13.1 and §13.4 said a second time. */
import { describe, expect, test } from "vitest";
import { Outcome, Transaction } from "../../../../src/hw/smmuv3/transaction.ts";
import { bypassSte, nestedSte, stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench } from "../translation/bench.ts";
import {
  decodeMemory,
  encodeMemory,
  INCOMING,
  type Memory,
  overridden,
  shareability,
  throughStage1,
  throughStage2,
} from "./attribute-law.ts";

const VA = 0x7000;
const PA = 0x5000_0000;
const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);
const caches = { ste: 0, cd: 0, tlb: 0, walk: 0, replacement: "round-robin" } as const;

interface Overrides {
  readonly MTCFG: number;
  readonly MemAttr: number;
  readonly ALLOCCFG: number;
  readonly SHCFG: number;
}

/** Every value of each, all combinations. */
const ALL: readonly Overrides[] = upTo(2).flatMap((MTCFG) =>
  upTo(16).flatMap((MemAttr) => upTo(16).flatMap((ALLOCCFG) => upTo(4).map((SHCFG) => ({ MTCFG, MemAttr, ALLOCCFG, SHCFG })))),
);
/** The same without those that differ in a way which was tried there. */
const SOME = ALL.filter(
  ({ MTCFG, MemAttr, ALLOCCFG, SHCFG }) => (MTCFG === 1 || MemAttr === 0) && (ALLOCCFG === 0 || ALLOCCFG >= 8) && SHCFG !== 0,
);

const tx = new Transaction();

/** Type and shareability at the output. */
function out(bench: Bench): string {
  tx.setAddress(VA);
  tx.streamId = 0;
  bench.loads.length = 0;
  if (bench.translator.translate(tx) !== Outcome.forward) return `event ${tx.event}`;
  return `0x${tx.attributes.toString(16)} ${tx.shareability}`;
}

function expected(memory: Memory, share: number): string {
  return `0x${encodeMemory(memory).toString(16)} ${shareability(memory, share)}`;
}

/** What the SMMU makes of all overrides that it should not. @param law what §13 says */
function wrong(bench: Bench, set: (o: Overrides) => void, law: (o: Overrides) => string, list: readonly Overrides[] = ALL): string[] {
  return list.flatMap((o) => {
    set(o);
    const got = out(bench);
    return got === law(o) ? [] : [`${JSON.stringify(o)}: ${got}, not ${law(o)}`];
  });
}

const SHARES = [0, 0, 2, 3];
const bypassLaw = (o: Overrides): string => expected(overridden(o.MTCFG, o.MemAttr, o.ALLOCCFG), o.SHCFG === 1 ? 0 : SHARES[o.SHCFG]!);

describe("no translation: 2048 combinations", () => {
  for (const attrTypesOvr of [true, false]) {
    const law = attrTypesOvr ? bypassLaw : () => expected(INCOMING, 0);
    const how = attrTypesOvr ? "overrides apply (§13.2, §13.3)" : "without ATTR_TYPES_OVR all is incoming (§5.2, §6.3.14)";
    test(`GBPA: ${how}`, () => {
      const bench = new Bench({ attrTypesOvr, caches });
      bench.enabled = false;
      const set = (o: Overrides): void => {
        bench.gbpa = o.MemAttr | (o.MTCFG << 4) | (o.ALLOCCFG << 8) | (o.SHCFG << 12);
      };
      expect(wrong(bench, set, law)).toEqual([]);
    });
    test(`STE: ${how}`, () => {
      const bench = new Bench({ attrTypesOvr, caches });
      expect(wrong(bench, (o) => bench.streams.write(0, bypassSte({ ...o })), law)).toEqual([]);
    });
    test(`stage 1 skipped by S1DSS: ${how}`, () => {
      const bench = new Bench({ attrTypesOvr, caches });
      const set = (o: Overrides): number => bench.streams.write(0, stage1Ste(0x4100_0000, { S1CDMax: 1, S1DSS: 1, ...o }));
      expect(wrong(bench, set, law, SOME)).toEqual([]);
    });
  }
});

/** MAIR bytes: each Device type, NC, each cached type with all its hints, transient ones, and types that differ by level. */
const MAIRS = [0x00, 0x04, 0x08, 0x0c, 0x44, 0x88, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x33, 0x77, 0x66, 0xf4, 0x4f, 0xbe];

describe("stage 1: type and shareability are the descriptor's, hints combine with the input's (§13.4.2)", () => {
  for (const MAIR0 of MAIRS) {
    test(`MAIR 0x${MAIR0.toString(16)}`, () => {
      const bench = new Bench({ caches });
      const table = bench.pageTable(1);
      table.map(VA, PA, 0x1000, { sh: 3 });
      const cd = bench.placeCd(stage1Cd({ ttb0: table }, { MAIR0 }));
      const set = (o: Overrides): number => bench.streams.write(0, stage1Ste(cd, { ...o }));
      const law = (o: Overrides): string => expected(throughStage1(overridden(o.MTCFG, o.MemAttr, o.ALLOCCFG), decodeMemory(MAIR0)), 3);
      expect(wrong(bench, set, law, SOME)).toEqual([]);
    });
  }
});

describe("stage 2 alone: the overridden input combines with the descriptor (§13.1.5, §13.4.3)", () => {
  for (const memAttr of upTo(16)) {
    test(`MemAttr 0b${memAttr.toString(2).padStart(4, "0")}`, () => {
      const bench = new Bench({ caches, mteperm: false });
      const table = bench.pageTable(2, 12, { inputBits: 40 });
      table.map(VA, PA, 0x1000, { memAttr, sh: 3 });
      const set = (o: Overrides): number => bench.streams.write(0, stage2Ste(table, { ...o }));
      // Outer over Inner.
      const law = (o: Overrides): string =>
        expected(throughStage2(overridden(o.MTCFG, o.MemAttr, o.ALLOCCFG), memAttr), o.SHCFG === 2 ? 2 : 3);
      expect(wrong(bench, set, law, SOME)).toEqual([]);
    });
  }
});

describe("two stages: stage 1's result combines with stage 2 (§13.4)", () => {
  for (const MAIR0 of MAIRS) {
    test(`MAIR 0x${MAIR0.toString(16)} with every MemAttr and every ALLOCCFG`, () => {
      const bench = new Bench({ caches, mteperm: false });
      const s1 = bench.pageTable(1);
      s1.map(VA, 0x4800_0000, 0x1000, { sh: 0 });
      const s2 = bench.pageTable(2, 12, { inputBits: 40 });
      s2.map(0x4000_0000, 0x4000_0000, 0x20_0000);
      const cd = bench.placeCd(stage1Cd({ ttb0: s1 }, { MAIR0 }));
      const found = upTo(16).flatMap((memAttr) => {
        s2.map(0x4800_0000, PA, 0x1000, { memAttr, sh: 2 });
        const set = (o: Overrides): number => bench.streams.write(0, nestedSte(cd, s2, { ...o }));
        const law = (o: Overrides): string =>
          expected(throughStage2(throughStage1(overridden(o.MTCFG, o.MemAttr, o.ALLOCCFG), decodeMemory(MAIR0)), memAttr), 2);
        const list = SOME.filter(({ MTCFG, SHCFG }) => MTCFG === 0 && SHCFG === 1);
        return wrong(bench, set, law, list).map((text) => `MemAttr ${memAttr}: ${text}`);
      });
      expect(found).toEqual([]);
    });
  }
});

/** How each way looks at privilege and instruction: which of the sixteen kinds of access are let through. */
describe("PRIVCFG and INSTCFG in every value: what is checked against the permissions (§5.2, Table 13.4)", () => {
  /** The four kinds of page of stage 1: for whom, and whether it may be executed. */
  const pages = [
    { va: 0x1_0000, leaf: { ap: 0, uxn: 1, pxn: 1 }, lets: (p: boolean, i: boolean) => p && !i },
    { va: 0x2_0000, leaf: { ap: 1, uxn: 1, pxn: 1 }, lets: (_: boolean, i: boolean) => !i },
    { va: 0x3_0000, leaf: { ap: 2, uxn: 1, pxn: 0 }, lets: (p: boolean) => p },
    { va: 0x4_0000, leaf: { ap: 3, uxn: 0, pxn: 1 }, lets: (p: boolean, i: boolean) => !(p && i) },
  ];
  for (const attrPermsOvr of [true, false]) {
    for (const PRIVCFG of upTo(4)) {
      for (const INSTCFG of upTo(4)) {
        test(`${attrPermsOvr ? "" : "without ATTR_PERMS_OVR: "}PRIVCFG ${PRIVCFG}, INSTCFG ${INSTCFG}`, () => {
          const bench = new Bench({ attrPermsOvr });
          const table = bench.pageTable(1);
          for (const { va, leaf } of pages) table.map(va, PA, 0x1000, leaf);
          bench.stage1(0, table, {}, { PRIVCFG, INSTCFG });
          for (const [privileged, instruction] of upTo(4).map((i) => [(i & 1) !== 0, (i & 2) !== 0] as const)) {
            const p = attrPermsOvr && PRIVCFG >= 2 ? PRIVCFG === 3 : privileged;
            const i = attrPermsOvr && INSTCFG >= 2 ? INSTCFG === 3 : instruction;
            for (const { va, lets } of pages) {
              const { outcome, event } = bench.go(va, { privileged, instruction });
              expect(outcome === Outcome.forward).toBe(lets(p, i));
              if (event) expect(event).toMatchObject({ name: "F_PERMISSION", fields: { PnU: p ? 1 : 0, InD: i ? 1 : 0 } });
            }
            // Writes are data whatever INSTCFG says.
            const { event } = bench.go(0x4_0000, { privileged, instruction, write: true });
            expect(event).toMatchObject({ name: "F_PERMISSION", fields: { PnU: p ? 1 : 0, InD: 0, RnW: 0 } });
          }
        });
      }
    }
  }
});
