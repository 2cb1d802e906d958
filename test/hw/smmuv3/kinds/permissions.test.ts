// SPDX-License-Identifier: MIT
/**
 * Every kind of transaction under every combination of permissions of both stages, STE.DRE and STE.DCP, with and without a TLB
 * (IHI 0070 §3.22.2, §13.1.1, §16.7.2.2).
 */
import { describe, expect, test } from "vitest";
import { bypassSte, nestedSte, type PageTable, stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/index.ts";
import { ALL_KINDS, KindBench } from "./bench.ts";
import { type Case, type Grant, verdict } from "./law.ts";

const VA = 0x40_0000;
const IPA = 0x5000_0000;
const PA = 0x6000_0000;
const EITHER = [false, true];
const BITS = [0, 1];

/** Leaves of stage 1 by AP[2:1], UXN and PXN, and what they grant (DDI 0487 D8.4.1.2): PXN follows UXN here. */
const STAGE1 = [0, 1, 2, 3].flatMap((ap) =>
  BITS.map((uxn) => ({
    leaf: { ap, uxn, pxn: uxn },
    grant: (privileged: boolean): Grant => ({
      r: privileged || (ap & 1) === 1,
      w: (ap & 2) === 0 && (privileged || (ap & 1) === 1),
      // What is writable without privilege is not executable with it.
      x: uxn === 0 && !(privileged && ap === 1),
    }),
  })),
);

/** Leaves of stage 2 by S2AP and XN[1:0] (DDI 0487 D8.4.2.1). */
const STAGE2 = [0, 1, 2, 3].flatMap((ap) =>
  [0, 1, 2, 3].map((xn) => ({
    leaf: { ap, xn },
    grant: (privileged: boolean): Grant => ({ r: (ap & 1) === 1, w: (ap & 2) === 2, x: xn === 0 || (privileged ? xn === 3 : xn === 1) }),
  })),
);

const SHAPES = ["stage 1", "stage 2", "nested", "STE bypass", "S1DSS bypass", "SMMUEN 0"] as const;
const v30 = {
  version: 0,
  hyp: true,
  ril: false,
  bbml: 0,
  fwb: false,
  e0pd: false,
  ptwnnc: false,
  stt: false,
  ds: false,
  vax: 48,
  oas: 48,
  xnx: false,
} as const;

interface Stage<T> {
  readonly leaf: T;
  readonly grant: (privileged: boolean) => Grant;
}

const leaf1 = ({ leaf }: Stage<{ ap: number; uxn: number; pxn: number }>): object => leaf;

for (const [name, kind] of ALL_KINDS) {
  describe(`§3.22.2, §13.1.1, §16.7.2.2: ${name}`, () => {
    test.each(SHAPES)("%s: checked, recorded, downgraded and passed on as the text has it", (shape) => {
      for (const version of [3, 0]) {
        const bench = new KindBench(version === 0 ? v30 : {});
        // Without XNX stage 2 has XN[1] alone.
        const seconds = STAGE2.filter(({ leaf }) => version > 0 || (leaf.xn & 1) === 0).filter(
          ({ leaf }) => shape !== "nested" || leaf.xn < 2,
        );
        const ones = shape === "stage 1" ? STAGE1 : shape === "nested" ? STAGE1.filter(({ leaf }) => leaf.uxn === 0) : [undefined];
        const twos = shape === "stage 2" || shape === "nested" ? seconds : [undefined];
        const pages = ones.flatMap((one, i) => twos.map((two, j) => ({ one, two, page: i * twos.length + j })));
        const first = bench.pageTable(1);
        const second = bench.pageTable(2, 12, { inputBits: 40 });
        for (const { one, two, page } of pages) {
          const at = 0x1000 * page;
          if (one) first.map(VA + at, IPA + at, 0x1000, leaf1(one));
          if (two) second.map((one ? IPA : VA) + at, PA + at, 0x1000, two.leaf);
        }
        second.map(0x4000_0000, 0x4000_0000, 0x1000_0000, {}, 2);
        bench.enabled = shape !== "SMMUEN 0";
        // In v3.0 the fields are RES0.
        for (const [dre, dcp] of version === 0
          ? [[1, 1]]
          : [
              [0, 1],
              [1, 0],
            ]) {
          bench.streams.write(0, steOf(shape, bench, first, second, { DRE: dre!, DCP: dcp! }));
          bench.translator.configCache.invalidateAll();
          bench.translator.tlbMaintenance.everything();
          const wrong: unknown[] = [];
          for (const { one, two, page } of pages) {
            // The second round finds what the first one has left in the TLB, and in the front tier.
            for (const round of [1, 2]) {
              for (const privileged of EITHER) {
                for (const instruction of EITHER) {
                  for (const write of EITHER) {
                    const input = { kind, version, write, instruction, privileged, dre: dre!, dcp: dcp! };
                    const c: Case = { ...input, stage1: one?.grant(privileged), stage2: two?.grant(privileged) };
                    const expected = verdict(c);
                    const got = bench.verdict(kind, VA + 0x1000 * page, { write, instruction, privileged });
                    if (JSON.stringify(sorted(got)) !== JSON.stringify(sorted(expected))) wrong.push({ round, c, expected, got });
                  }
                }
              }
            }
          }
          expect(wrong.slice(0, 3)).toEqual([]);
        }
      }
    });
  });
}

/** Keys in one order. */
function sorted(value: object): unknown {
  return Object.entries(value)
    .map(([key, inner]: [string, unknown]) => [key, typeof inner === "object" && inner !== null ? sorted(inner) : inner])
    .sort();
}

function steOf(shape: (typeof SHAPES)[number], bench: KindBench, first: PageTable, second: PageTable, fields: Record<string, number>) {
  const cd = (): number => bench.placeCd(stage1Cd({ ttb0: first }, { ASID: 1 }));
  switch (shape) {
    case "stage 1":
      return stage1Ste(cd(), fields);
    case "stage 2":
      return stage2Ste(second, { S2R: 1, ...fields });
    case "nested":
      return nestedSte(cd(), second, { S2R: 1, ...fields });
    case "S1DSS bypass":
      return stage1Ste(0x4100_0000, { S1CDMax: 2, S1DSS: 1, ...fields });
    default:
      return bypassSte(fields);
  }
}
