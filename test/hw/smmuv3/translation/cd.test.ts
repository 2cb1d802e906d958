// SPDX-License-Identifier: MIT
/**
 * CDs: each way to be ILLEGAL, as it is named (IHI 0070 §5.4). structures/ has every field in every value, and the tables of CDs.
 */
import { describe, expect, test } from "vitest";
import { CD_RULES } from "../../../../src/hw/smmuv3/config/cd-rules.ts";
import type { SmmuConfig } from "../../../../src/hw/smmuv3/config/config.ts";
import { Outcome } from "../../../../src/hw/smmuv3/transaction.ts";
import { stage1Cd, stage1Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench } from "./bench.ts";

const VA = 0x7000;
const PA = 0x5000_0000;

/** A change to a legal CD over TTB0 and TTB1 (4 KiB, 48 bits each) that makes it ILLEGAL, and the rule. */
const ILLEGAL: readonly { rule: string; change: Record<string, number>; config?: Partial<SmmuConfig>; ste?: Record<string, number> }[] = [
  { rule: "V", change: { V: 0 } },
  { rule: "A", change: { A: 0 }, config: { termModel: true } },
  { rule: "S1STALLD", change: { S: 1 }, ste: { S1STALLD: 1 } },
  { rule: "S=1", change: { S: 1 }, config: { stallModel: "terminate", stallMax: 0 } },
  { rule: "S=0", change: { S: 0 }, config: { stallModel: "force" } },
  { rule: "ENDI", change: { ENDI: 1 }, config: { ttEndian: "little" } },
  { rule: "ENDI", change: { ENDI: 0 }, config: { ttEndian: "big" } },
  { rule: "AA64=0", change: { AA64: 0 }, config: { d128: false, vax: 52 } },
  { rule: "HA/HD", change: { HA: 1 }, config: { httu: 0 } },
  { rule: "HA/HD", change: { HD: 1 }, config: { httu: 0 } },
  { rule: "HD", change: { HA: 1, HD: 1 }, config: { httu: 1 } },
  { rule: "HAFT", change: { HAFT: 1 }, config: { httu: 3 } },
  { rule: "ASID", change: { ASID: 0x100 }, config: { asid16: false } },
  { rule: "T0SZ", change: { T0SZ: 15 } },
  { rule: "T0SZ", change: { T0SZ: 40 }, config: { stt: false } },
  { rule: "T0SZ", change: { T0SZ: 49 } },
  { rule: "T0SZ", change: { T0SZ: 48, TG0: 1 } },
  { rule: "T0SZ", change: { T0SZ: 11, DS: 1 } },
  { rule: "T0SZ", change: { T0SZ: 15, DS: 1 }, config: { ds: false } },
  { rule: "T0SZ", change: { T0SZ: 11, TG0: 1 } },
  { rule: "T0SZ", change: { T0SZ: 15, TG0: 1 }, config: { vax: 48 } },
  { rule: "T1SZ", change: { T1SZ: 15 } },
  { rule: "T1SZ", change: { T1SZ: 40 }, config: { stt: false } },
  { rule: "TG0", change: { TG0: 3 } },
  { rule: "TG0", change: { TG0: 2 }, config: { gran16k: false } },
  { rule: "TG0", change: { TG0: 1 }, config: { gran64k: false, oas: 48, vax: 48 } },
  { rule: "TG0", change: { TG0: 0, TG1: 3 }, config: { gran4k: false } },
  { rule: "TTB0", change: { TTB0: 2 ** 40, IPS: 2 } },
  { rule: "TTB0", change: { TTB0: 2 ** 48, IPS: 6 } },
  { rule: "TG1", change: { TG1: 0 } },
  { rule: "TG1", change: { TG1: 1 }, config: { gran16k: false } },
  { rule: "TTB1", change: { TTB1: 2 ** 40, IPS: 2 } },
  { rule: "S1PIE", change: { AA64: 0 } },
  { rule: "AA64/EL2", change: { AA64: 0 }, ste: { S1PIE: 1, STRW: 2 } },
  { rule: "SKL0", change: { AA64: 0, T0SZ: 28, SKL0: 3 }, ste: { S1PIE: 1 } },
  { rule: "SKL1", change: { AA64: 0, T1SZ: 44, SKL1: 1 }, ste: { S1PIE: 1 } },
  { rule: "TTB0", change: { AA64: 0, "TTB0[55:52]": 8 }, ste: { S1PIE: 1 } },
  { rule: "TTB1", change: { AA64: 0, "TTB1[55:52]": 1 }, ste: { S1PIE: 1 } },
  { rule: "T0SZ", change: { AA64: 0, T0SZ: 8 }, ste: { S1PIE: 1 } },
  { rule: "T0SZ", change: { AA64: 0, T0SZ: 11 }, config: { vax: 52 }, ste: { S1PIE: 1 } },
  { rule: "T1SZ", change: { AA64: 0, T1SZ: 15 }, config: { vax: 48 }, ste: { S1PIE: 1 } },
  { rule: "T1SZ", change: { AA64: 0, T1SZ: 49 }, ste: { S1PIE: 1 } },
  { rule: "T0SZ", change: { AA64: 0, T0SZ: 48, TG0: 1 }, ste: { S1PIE: 1 } },
  { rule: "HAFT", change: { AA64: 0, HAFT: 1 }, ste: { S1PIE: 1 } },
  { rule: "PIIP", change: { AA64: 0, PIIP: 6 }, ste: { S1PIE: 1 } },
  { rule: "PIIP", change: { PIE: 1, PIIP: 4 }, ste: { S1PIE: 1 } },
  { rule: "PIIU", change: { PIE: 1, PIIU: 6 }, ste: { S1PIE: 1 } },
  { rule: "PIIP/PIIU", change: { PIE: 1, PIIP: 2, PIIU: 5 }, ste: { S1PIE: 1 } },
];

describe("IHI 0070 §5.4.2: ILLEGAL CDs", () => {
  function bench(change: Record<string, number>, config: Partial<SmmuConfig> = {}, ste: Record<string, number> = {}): Bench {
    const made = new Bench(config);
    const ttb0 = made.pageTable(1);
    ttb0.map(VA, PA, 0x1000);
    const ttb1 = made.pageTable(1);
    const cd = made.placeCd(stage1Cd({ ttb0, ttb1 }, change));
    made.streams.write(0, stage1Ste(cd, ste));
    return made;
  }
  test("the unchanged CD is legal", () => expect(bench({}).result(VA)).toBe(PA));
  for (const { rule, change, config, ste } of ILLEGAL) {
    test(`rule ${rule}: ${JSON.stringify(change)}${config ? ` with ${JSON.stringify(config)}` : ""} is C_BAD_CD`, () => {
      const made = bench(change, config, ste);
      const lints: string[] = [];
      made.trace.on("smmu.lint", ({ data }) => lints.push(data.rule));
      const { outcome, event } = made.go(VA);
      expect(outcome).toBe(Outcome.abort);
      expect(event?.name).toBe("C_BAD_CD");
      expect(lints).toEqual([`cd-${rule}`]);
    });
  }
  test("every rule has a case above", () => {
    const tested = new Set(ILLEGAL.map(({ rule }) => rule));
    expect(CD_RULES.map(({ id }) => id).filter((id) => !tested.has(id))).toEqual([]);
  });

  for (const change of [{ T1SZ: 0 }, { TG1: 0 }, { TTB1: 2 ** 51, IPS: 2 }]) {
    test(`${JSON.stringify(change)} behind EPD1 1 is harmless`, () => {
      expect(bench({ EPD1: 1, ...change, IPS: 5 }).result(VA)).toBe(PA);
    });
    test(`${JSON.stringify(change)} is ignored by an EL2 stream, which has no TTB1`, () => {
      expect(bench({ ...change, IPS: 5 }, {}, { STRW: 2 }).result(VA)).toBe(PA);
    });
  }
  test("ENDI is ignored if both EPDs are 1", () => {
    expect(bench({ ENDI: 1, EPD0: 1, EPD1: 1 }, { ttEndian: "little" }).result(VA)).toBe("F_TRANSLATION");
  });
  test("ASID above 8 bits is ignored by an EL2 stream", () => {
    expect(bench({ ASID: 0x100 }, { asid16: false }, { STRW: 2 }).result(VA)).toBe(PA);
  });
  test("EPD0 is ignored by an EL2 stream", () => {
    expect(bench({ EPD0: 1 }, {}, { STRW: 2 }).result(VA)).toBe(PA);
  });
  test("T0SZ 12 is legal with 64 KiB pages and 52-bit VAs", () => {
    const made = new Bench();
    const ttb0 = made.pageTable(1, 16, { inputBits: 52 });
    ttb0.map(2 ** 52 - 0x1_0000, PA, 0x1_0000);
    made.stage1(0, ttb0);
    expect(made.result(2 ** 52 - 1)).toBe(PA + 0xffff);
  });
  test("IPS 7 acts as 6", () => {
    expect(bench({ IPS: 7 }).result(VA)).toBe(PA);
  });
  test("fields of features that are absent are named as not modelled", () => {
    const made = bench({ HWU059: 1 });
    made.go(VA);
    expect([...made.notModelled.counts.keys()]).toEqual(["CD.HWU059 (PBHA)"]);
  });
});
