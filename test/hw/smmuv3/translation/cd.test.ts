// SPDX-License-Identifier: MIT
/** CDs: which one a transaction uses, CD tables, and each way to be ILLEGAL (IHI 0070 §5.2 S1DSS, §5.3, §5.4). */
import { describe, expect, test } from "vitest";
import { CD_RULES } from "../../../../src/hw/smmuv3/cd-rules.ts";
import type { SmmuConfig } from "../../../../src/hw/smmuv3/config.ts";
import { Outcome, Via } from "../../../../src/hw/smmuv3/ports.ts";
import { bypassSte, l1cd, nestedSte, stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { CdTable } from "../../../../src/hw/smmuv3/tables/stream-tables.ts";
import { Bench } from "./bench.ts";

const VA = 0x7000;
const PA = 0x5000_0000;

/** A table in which CD number i maps VA to PA + i pages. */
function substreams(bench: Bench, cdMax: number, format: 0 | 1 | 2, filled: readonly number[], ste: Record<string, number> = {}): CdTable {
  const cds = new CdTable({ memory: bench.bus.memory, arena: bench.arena, cdMax, format });
  for (const index of filled) {
    const table = bench.pageTable(1);
    table.map(VA, PA + 0x1000 * index, 0x1000);
    cds.write(index, stage1Cd({ ttb0: table }, { ASID: index & 0xffff }));
  }
  bench.streams.write(0, stage1Ste(cds.base, { ...cds.fields, ...ste }));
  return cds;
}

describe("S1DSS", () => {
  for (const [S1DSS, without, zero] of [
    [0, "F_STREAM_DISABLED", PA],
    [1, VA, PA],
    [2, PA, "F_STREAM_DISABLED"],
    [3, "F_STREAM_DISABLED", PA],
  ] as const) {
    function bench(): Bench {
      const made = new Bench();
      substreams(made, 2, 0, [0, 1, 2, 3], { S1DSS });
      return made;
    }
    test(`S1DSS ${S1DSS}, no SubstreamID: ${without}`, () => expect(bench().result(VA)).toBe(without));
    test(`S1DSS ${S1DSS}, SubstreamID 0: ${zero}`, () => expect(bench().result(VA, { ssid: 0 })).toBe(zero));
    test(`S1DSS ${S1DSS}, SubstreamID 3 uses CD 3`, () => expect(bench().result(VA, { ssid: 3 })).toBe(PA + 0x3000));
    test(`S1DSS ${S1DSS}, SubstreamID 4 of 4 is C_BAD_SUBSTREAMID`, () => {
      const { event } = bench().go(VA, { ssid: 4 });
      expect(event?.name).toBe("C_BAD_SUBSTREAMID");
      expect(event?.fields["SubstreamID"]).toBe(4);
    });
  }

  test("S1DSS 1 without SubstreamID skips stage 1: the transaction passes as with Config 0b100", () => {
    const bench = new Bench();
    substreams(bench, 2, 0, [0], { S1DSS: 1 });
    expect(bench.go(VA).tx.via).toBe(Via.steBypass);
  });

  test("S1DSS 1 in a nested STE leaves stage 2", () => {
    const bench = new Bench();
    const s2 = bench.pageTable(2, 12, { inputBits: 40 });
    s2.map(VA, PA, 0x1000);
    bench.streams.write(0, nestedSte(0, s2, { S1CDMax: 2, S1DSS: 1 }));
    const { physical, tx } = bench.go(VA);
    expect(physical).toBe(PA);
    expect(tx.via).toBe(Via.stage2);
  });

  test("S1CDMax 0: S1DSS is ignored, the one CD serves", () => {
    const bench = new Bench();
    substreams(bench, 0, 0, [0], { S1DSS: 0 });
    expect(bench.result(VA)).toBe(PA);
  });

  test("S1CDMax 0 and a SubstreamID is C_BAD_SUBSTREAMID", () => {
    const bench = new Bench();
    substreams(bench, 0, 0, [0]);
    expect(bench.result(VA, { ssid: 0 })).toBe("C_BAD_SUBSTREAMID");
  });

  test("a SubstreamID where SSIDSIZE is 0 is C_BAD_SUBSTREAMID", () => {
    const bench = new Bench({ ssidSize: 0 });
    substreams(bench, 2, 0, [0]);
    expect(bench.result(VA, { ssid: 0 })).toBe("C_BAD_SUBSTREAMID");
    expect(bench.result(VA)).toBe(PA);
  });

  test("a SubstreamID without stage 1 is C_BAD_SUBSTREAMID: bypass and stage 2 only", () => {
    const bench = new Bench();
    const s2 = bench.pageTable(2, 12, { inputBits: 40 });
    s2.map(VA, PA, 0x1000);
    bench.streams.write(0, bypassSte());
    bench.streams.write(1, stage2Ste(s2));
    expect(bench.result(VA, { ssid: 1 })).toBe("C_BAD_SUBSTREAMID");
    expect(bench.result(VA, { sid: 1, ssid: 1 })).toBe("C_BAD_SUBSTREAMID");
  });
});

describe("CD tables", () => {
  for (const [format, cdMax, indexes] of [
    [0, 1, [0, 1]],
    [0, 7, [0, 1, 127]],
    [1, 3, [0, 7]],
    [1, 6, [0, 63]],
    [1, 8, [0, 63, 64, 255]],
    [2, 5, [0, 31]],
    [2, 10, [0, 1023]],
    [2, 12, [0, 1023, 1024, 4095]],
  ] as const) {
    for (const index of indexes) {
      test(`S1Fmt ${format}, S1CDMax ${cdMax}: SubstreamID ${index}`, () => {
        const bench = new Bench();
        substreams(bench, cdMax, format, [index]);
        expect(bench.result(VA + 8, { ssid: index })).toBe(PA + 0x1000 * index + 8);
      });
    }
  }

  test("20-bit SubstreamIDs", () => {
    const bench = new Bench();
    substreams(bench, 20, 2, [0xf_ffff]);
    expect(bench.result(VA, { ssid: 0xf_ffff })).toBe(PA + 0x1000 * 0xf_ffff);
  });

  test("L1CD.V 0 is C_BAD_SUBSTREAMID with the index", () => {
    const bench = new Bench();
    substreams(bench, 8, 1, [0]);
    const { event } = bench.go(VA, { ssid: 0x41 });
    expect(event?.name).toBe("C_BAD_SUBSTREAMID");
    expect(event?.fields["SubstreamID"]).toBe(0x41);
  });

  test("L1CD.V 0 without a SubstreamID (S1DSS 2) records SubstreamID 0", () => {
    const bench = new Bench();
    substreams(bench, 8, 1, [0x41], { S1DSS: 2 });
    const { event } = bench.go(VA);
    expect(event?.name).toBe("C_BAD_SUBSTREAMID");
    expect(event?.fields["SubstreamID"]).toBe(0);
  });

  test("L1CD.L2Ptr beyond the output address size is C_BAD_SUBSTREAMID", () => {
    const bench = new Bench({ oas: 40, vax: 48 });
    const cds = substreams(bench, 8, 1, [0]);
    bench.write(cds.level1Address(0x40), l1cd(2 ** 40));
    expect(bench.result(VA, { ssid: 0x40 })).toBe("C_BAD_SUBSTREAMID");
  });

  test("64 KiB leaves: L2Ptr bits [15:12] count as zero", () => {
    const bench = new Bench();
    const cds = substreams(bench, 10, 2, [3]);
    bench.write(cds.level1Address(3), l1cd(cds.cdAddress(0) + 0x3000));
    expect(bench.result(VA, { ssid: 3 })).toBe(PA + 0x3000);
  });

  test("choice s1contextptr-low-bits: bits below the table's size count as zero", () => {
    const bench = new Bench();
    const cds = substreams(bench, 4, 0, [2]);
    bench.streams.write(0, stage1Ste(cds.base + 0x3c0, cds.fields));
    expect(bench.result(VA, { ssid: 2 })).toBe(PA + 0x2000);
  });

  for (const [what, format] of [
    ["CD", 0],
    ["L1CD", 1],
  ] as const) {
    test(`an external abort on the ${what} is F_CD_FETCH with its address`, () => {
      const bench = new Bench();
      const cds = substreams(bench, 8, format, [0x45]);
      const at = format === 0 ? cds.cdAddress(0x45) : cds.level1Address(0x45);
      bench.abortAt(at);
      const { outcome, event } = bench.go(VA, { ssid: 0x45 });
      expect(outcome).toBe(Outcome.abort);
      expect(event?.name).toBe("F_CD_FETCH");
      expect(event?.fields).toMatchObject({ SSV: 1, SubstreamID: 0x45, FetchAddr: at });
    });
  }
});

/** A change to a legal CD over TTB0 and TTB1 (4 KiB, 48 bits each) that makes it ILLEGAL, and the rule. */
const ILLEGAL: readonly { rule: string; change: Record<string, number>; config?: Partial<SmmuConfig>; ste?: Record<string, number> }[] = [
  { rule: "V", change: { V: 0 } },
  { rule: "A", change: { A: 0 }, config: { termModel: true } },
  { rule: "S1STALLD", change: { S: 1 }, ste: { S1STALLD: 1 } },
  { rule: "S=1", change: { S: 1 }, config: { stallModel: "terminate", stallMax: 0 } },
  { rule: "S=0", change: { S: 0 }, config: { stallModel: "force" } },
  { rule: "ENDI", change: { ENDI: 1 }, config: { ttEndian: "little" } },
  { rule: "ENDI", change: { ENDI: 0 }, config: { ttEndian: "big" } },
  { rule: "AA64=0", change: { AA64: 0 } },
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
  { rule: "PIIP", change: { PIE: 1, PIIP: 4 }, ste: { S1PIE: 1 } },
  { rule: "PIIU", change: { PIE: 1, PIIU: 6 }, ste: { S1PIE: 1 } },
  { rule: "PIIP/PIIU", change: { PIE: 1, PIIP: 2, PIIU: 5 }, ste: { S1PIE: 1 } },
];

describe("IHI 0070 §5.4.1: ILLEGAL CDs", () => {
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
