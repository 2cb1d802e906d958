// SPDX-License-Identifier: MIT
/** STEs: what each Config does, and each way to be ILLEGAL (IHI 0070 §5.2). */
import { describe, expect, test } from "vitest";
import type { SmmuConfig } from "../../../../src/hw/smmuv3/config/config.ts";
import { Outcome, Via } from "../../../../src/hw/smmuv3/transaction.ts";
import { STE_RULES } from "../../../../src/hw/smmuv3/config/ste-rules.ts";
import { abortSte, buildSte, bypassSte, nestedSte, stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench } from "./bench.ts";

const VA = 0x7000;
const PA = 0x5000_0000;

type Kind = "bypass" | "s1" | "s2" | "nested";
const CONFIG: Readonly<Record<Kind, number>> = { bypass: 4, s1: 5, s2: 6, nested: 7 };

/** A stream 0 whose STE is legal but for `change`; VA 0x7000 translates to PA (bypass: to itself). */
function bench(kind: Kind, change: Record<string, number> = {}, config: Partial<SmmuConfig> = {}): Bench {
  const made = new Bench(config);
  const s1 = made.pageTable(1);
  s1.map(VA, PA, 0x1000);
  const s2 = made.pageTable(2, 12, { inputBits: 40 });
  s2.map(VA, PA, 0x1000);
  s2.map(PA, PA, 0x1000);
  s2.map(0x4000_0000, 0x4000_0000, 0x20_0000, {}, 2);
  const cd = made.placeCd(stage1Cd({ ttb0: s1 }));
  const stes = {
    bypass: () => bypassSte(change),
    s1: () => stage1Ste(cd, change),
    s2: () => stage2Ste(s2, change),
    nested: () => nestedSte(cd, s2, change),
  };
  made.streams.write(0, stes[kind]());
  return made;
}

const TARGET: Readonly<Record<Kind, number>> = { bypass: VA, s1: PA, s2: PA, nested: PA };
const VIAS: Readonly<Record<Kind, Via>> = { bypass: Via.steBypass, s1: Via.stage1, s2: Via.stage2, nested: Via.nested };

describe("STE.Config", () => {
  for (const Config of [0, 1, 2, 3]) {
    test(`Config ${Config} aborts without an event, whatever else the STE says`, () => {
      const made = new Bench();
      made.streams.write(0, abortSte({ Config, S2S: 1, S1STALLD: 1, S2TG: 3, STRW: 3 }));
      const answer = made.go(VA);
      expect(answer.outcome).toBe(Outcome.abort);
      expect(answer.tx.event).toBe(0);
      expect(made.records).toEqual([]);
    });
  }
  for (const kind of ["bypass", "s1", "s2", "nested"] as const) {
    test(`Config ${CONFIG[kind]} (${kind}) leads to its address`, () => {
      const { outcome, physical, tx } = bench(kind).go(VA + 0x123);
      expect(outcome).toBe(Outcome.forward);
      expect(physical).toBe(TARGET[kind] + 0x123);
      expect(tx.via).toBe(VIAS[kind]);
    });
  }
  test("V 0 is C_BAD_STE", () => {
    const made = new Bench();
    made.streams.write(0, buildSte({ V: 0, Config: 4 }));
    expect(made.result(VA)).toBe("C_BAD_STE");
  });
});

/** One field changed in an otherwise legal STE, where it makes the STE ILLEGAL. The row names the rule of the table. */
const ILLEGAL: readonly {
  rule: string;
  kinds: readonly Kind[];
  change: Record<string, number>;
  config?: Partial<SmmuConfig>;
  fine?: readonly Kind[];
}[] = [
  { rule: "V", kinds: ["bypass", "s1", "s2", "nested"], change: { V: 0 } },
  { rule: "EATS=2", kinds: ["s1", "s2"], change: { EATS: 2 }, fine: ["bypass", "nested"] },
  { rule: "EATS=2", kinds: ["nested"], change: { EATS: 2, S2S: 1 }, fine: ["bypass"] },
  { rule: "EATS=2", kinds: ["s1", "s2", "nested"], change: { EATS: 2 }, config: { splitStageAts: false }, fine: ["bypass"] },
  { rule: "EATS=1", kinds: ["s2", "nested"], change: { EATS: 1, S2S: 1 }, fine: ["bypass", "s1"] },
  { rule: "S1P", kinds: ["s1", "nested"], change: {}, config: { stage1: false, hyp: false }, fine: ["bypass", "s2"] },
  { rule: "S2P", kinds: ["s2", "nested"], change: {}, config: { stage2: false, hyp: false }, fine: ["bypass", "s1"] },
  { rule: "STRW", kinds: ["s1"], change: { STRW: 1 }, fine: ["bypass", "s2", "nested"] },
  { rule: "STRW", kinds: ["s1"], change: { STRW: 3 }, fine: ["bypass", "s2", "nested"] },
  {
    rule: "S1STALLD",
    kinds: ["s1", "nested"],
    change: { S1STALLD: 1 },
    config: { stallModel: "terminate", stallMax: 0 },
    fine: ["bypass", "s2"],
  },
  { rule: "S1STALLD", kinds: ["s1", "nested"], change: { S1STALLD: 1, S2S: 1 }, config: { stallModel: "force" }, fine: ["bypass", "s2"] },
  { rule: "S1CDMax", kinds: ["s1", "nested"], change: { S1CDMax: 9, S1DSS: 2 }, config: { ssidSize: 8 }, fine: ["bypass", "s2"] },
  {
    rule: "S1Fmt",
    kinds: ["s1", "nested"],
    change: { S1CDMax: 1, S1Fmt: 1, S1DSS: 2 },
    config: { twoLevelCd: false },
    fine: ["bypass", "s2"],
  },
  {
    rule: "S1Fmt",
    kinds: ["s1", "nested"],
    change: { S1CDMax: 1, S1Fmt: 2, S1DSS: 2 },
    config: { twoLevelCd: false },
    fine: ["bypass", "s2"],
  },
  {
    rule: "S1ContextPtr",
    kinds: ["s1", "nested"],
    change: { S1ContextPtr: 2 ** 48 },
    config: { oas: 48, vax: 48 },
    fine: ["bypass", "s2"],
  },
  { rule: "S2FWB", kinds: ["s2", "nested"], change: { S2FWB: 1, S2AA64: 0 }, config: { d128: false, vax: 52 }, fine: ["bypass", "s1"] },
  {
    rule: "S2S=1",
    kinds: ["s2", "nested"],
    change: { S2S: 1 },
    config: { stallModel: "terminate", stallMax: 0 },
    fine: ["bypass", "s1"],
  },
  { rule: "S2S=0", kinds: ["s2", "nested"], change: { S2S: 0 }, config: { stallModel: "force" }, fine: ["bypass"] },
  { rule: "S2AA64=0", kinds: ["s2", "nested"], change: { S2AA64: 0 }, config: { d128: false, vax: 52 }, fine: ["bypass", "s1"] },
  { rule: "S2HA/S2HD", kinds: ["s2", "nested"], change: { S2HA: 1 }, config: { httu: 0 }, fine: ["bypass", "s1"] },
  { rule: "S2HA/S2HD", kinds: ["s2", "nested"], change: { S2HD: 1 }, config: { httu: 0 }, fine: ["bypass", "s1"] },
  { rule: "S2HD", kinds: ["s2", "nested"], change: { S2HA: 1, S2HD: 1 }, config: { httu: 1 }, fine: ["bypass", "s1"] },
  { rule: "S2HAFT", kinds: ["s2", "nested"], change: { S2HAFT: 1 }, config: { httu: 3 }, fine: ["bypass", "s1"] },
  { rule: "S2TG", kinds: ["s2", "nested"], change: { S2TG: 3 }, fine: ["bypass", "s1"] },
  { rule: "S2TG", kinds: ["s2", "nested"], change: { S2TG: 2 }, config: { gran16k: false }, fine: ["bypass", "s1"] },
  { rule: "S2TG", kinds: ["s2", "nested"], change: { S2TG: 1 }, config: { gran64k: false, oas: 48, vax: 48 }, fine: ["bypass", "s1"] },
  { rule: "S2TTB", kinds: ["s2", "nested"], change: { S2TTB: 2 ** 40, S2PS: 2 }, fine: ["bypass", "s1"] },
  { rule: "S2TTB", kinds: ["s2", "nested"], change: { S2TTB: 2 ** 48, S2PS: 6 }, fine: ["bypass", "s1"] },
  { rule: "S2T0SZ", kinds: ["s2", "nested"], change: { S2T0SZ: 40 }, config: { stt: false }, fine: ["bypass", "s1"] },
  { rule: "S2T0SZ", kinds: ["s2", "nested"], change: { S2T0SZ: 49 }, fine: ["bypass", "s1"] },
  { rule: "S2T0SZ", kinds: ["s2", "nested"], change: { S2T0SZ: 15 }, fine: ["bypass", "s1"] },
  { rule: "S2T0SZ", kinds: ["s2", "nested"], change: { S2T0SZ: 19, S2SL0: 2 }, config: { oas: 44, vax: 48 }, fine: ["bypass", "s1"] },
  { rule: "S2SL0", kinds: ["s2", "nested"], change: { S2SL0: 3 }, fine: ["bypass", "s1"] },
  { rule: "S2SL0", kinds: ["s2", "nested"], change: { S2SL0: 0 }, fine: ["bypass", "s1"] },
  { rule: "S2SKL", kinds: ["s2", "nested"], change: { S2AA64: 0, S2SKL: 3, S2T0SZ: 28 }, fine: ["bypass", "s1"] },
  { rule: "S2TTB", kinds: ["s2", "nested"], change: { S2AA64: 0, "S2TTB[55:52]": 1 }, fine: ["bypass", "s1"] },
  { rule: "S2ENDI", kinds: ["s2", "nested"], change: { S2ENDI: 1 }, config: { ttEndian: "little" }, fine: ["bypass", "s1"] },
  { rule: "S2ENDI", kinds: ["s2", "nested"], change: { S2ENDI: 0 }, config: { ttEndian: "big" }, fine: ["bypass"] },
  { rule: "S2POE", kinds: ["s2", "nested"], change: { S2POE: 1 }, fine: ["bypass", "s1"] },
  { rule: "S2POI", kinds: ["s2", "nested"], change: { S2PIE: 1, S2POE: 1, S2POI: 0x50 }, fine: ["bypass", "s1"] },
  { rule: "S2VMID", kinds: ["s1", "s2", "nested"], change: { S2VMID: 0x100 }, config: { vmid16: false }, fine: ["bypass"] },
];

describe("IHI 0070 §5.2.2: ILLEGAL STEs", () => {
  for (const { rule, kinds, change, config, fine = [] } of ILLEGAL) {
    const what = `${JSON.stringify(change)}${config ? ` with ${JSON.stringify(config)}` : ""}`;
    for (const kind of kinds) {
      test(`rule ${rule}: ${what} in a ${kind} STE is C_BAD_STE`, () => {
        const made = bench(kind, change, config);
        const lints: string[] = [];
        made.trace.on("smmu.lint", ({ data }) => lints.push(data.rule));
        const { outcome, event } = made.go(VA);
        expect(outcome).toBe(Outcome.abort);
        expect(event?.name).toBe("C_BAD_STE");
        expect(lints).toEqual([`ste-${rule}`]);
      });
    }
    for (const kind of fine) {
      test(`rule ${rule}: ${what} in a ${kind} STE is ignored`, () => {
        expect(bench(kind, change, config).result(VA)).toBe(TARGET[kind]);
      });
    }
  }
  test("every rule of the table has a case above", () => {
    const tested = new Set(ILLEGAL.map(({ rule }) => rule));
    expect(STE_RULES.map(({ id }) => id).filter((id) => !tested.has(id))).toEqual([]);
  });
  test("S1CDMax is ignored where SSIDSIZE is 0", () => {
    expect(bench("s1", { S1CDMax: 20, S1Fmt: 1 }, { ssidSize: 0 }).result(VA)).toBe(PA);
  });
  test("S1Fmt 3 acts as linear", () => {
    expect(bench("s1", { S1CDMax: 1, S1Fmt: 3, S1DSS: 2 }).result(VA)).toBe(PA);
  });
  test("STRW is ignored where IDR0.Hyp is 0", () => {
    expect(bench("s1", { STRW: 1 }, { hyp: false, version: 1, stage2: false }).result(VA)).toBe(PA);
  });
  test("S2VMID above 8 bits is ignored by an EL2 stream", () => {
    expect(bench("s1", { S2VMID: 0x100, STRW: 2 }, { vmid16: false }).result(VA)).toBe(PA);
  });
  test("S2PS beyond the output address size is capped, not ILLEGAL", () => {
    expect(bench("s2", { S2PS: 7 }, { oas: 44, vax: 48 }).result(VA)).toBe(PA);
  });
});

/**
 * Start levels by S2SL0 and the IPA sizes they allow without small tables (DDI 0487 D8.2, up to 16 concatenated tables).
 * stage2-start.test.ts has all combinations.
 */
const START: readonly (readonly [tg: number, name: string, sl0: number, low: number, high: number])[] = [
  [0, "4 KiB", 0, 25, 34],
  [0, "4 KiB", 1, 31, 43],
  [0, "4 KiB", 2, 40, 48],
  [2, "16 KiB", 0, 25, 29],
  [2, "16 KiB", 1, 26, 40],
  [2, "16 KiB", 2, 37, 48],
  [1, "64 KiB", 0, 25, 33],
  [1, "64 KiB", 1, 30, 46],
  [1, "64 KiB", 2, 43, 52],
];

describe("S2T0SZ and S2SL0", () => {
  for (const [S2TG, name, S2SL0, low, high] of START) {
    for (const bits of [low - 1, low, high, high + 1]) {
      const legal = bits >= low && bits <= high;
      test(`${name}, S2SL0 ${S2SL0}, ${bits} bits: ${legal ? "legal" : "ILLEGAL"}`, () => {
        const made = new Bench({ stt: false });
        made.streams.write(
          0,
          buildSte({ V: 1, Config: 6, S2TG, S2SL0, S2T0SZ: 64 - bits, S2PS: 5, S2AA64: 1, S2R: 1, S2TTB: 0x4800_0000 }),
        );
        expect(made.result(0)).toBe(legal ? "F_TRANSLATION" : "C_BAD_STE");
      });
    }
  }
  for (const [S2TG, name, S2SL0, bits, oas, needed] of [
    [0, "4 KiB", 2, 40, 42, 44],
    [2, "16 KiB", 2, 38, 40, 42],
    [1, "64 KiB", 2, 43, 42, 44],
  ] as const) {
    test(`${name}, S2SL0 ${S2SL0} needs ${needed} bits of output address`, () => {
      for (const [size, expected] of [
        [oas, "C_BAD_STE"],
        [needed, "F_TRANSLATION"],
      ] as const) {
        const made = new Bench({ oas: size, vax: 48 });
        made.streams.write(
          0,
          buildSte({ V: 1, Config: 6, S2TG, S2SL0, S2T0SZ: 64 - bits, S2PS: 5, S2AA64: 1, S2R: 1, S2TTB: 0x4800_0000 }),
        );
        expect(made.result(0)).toBe(expected);
      }
    });
  }
});
