// SPDX-License-Identifier: MIT
/** How faulting transactions end, what is recorded, and bypass (IHI 0070 §3.12, §6.3.14); which comes first: structures/priorities.test.ts. */
import { describe, expect, test } from "vitest";
import { Outcome, Via } from "../../../../src/hw/smmuv3/transaction.ts";
import { bypassSte, stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench } from "./bench.ts";

const VA = 0x7000;
const PA = 0x5000_0000;

describe("IHI 0070 §5.5: CD.A and CD.R", () => {
  const causes = {
    F_TRANSLATION: { leaf: {}, address: VA + 0x1000 },
    F_ACCESS: { leaf: { af: 0 }, address: VA },
    F_PERMISSION: { leaf: { ap: 0 }, address: VA },
    F_ADDR_SIZE: { leaf: {}, address: VA + 0x2000 },
  } as const;
  for (const [name, { leaf, address }] of Object.entries(causes)) {
    for (const A of [0, 1]) {
      for (const R of [0, 1]) {
        test(`${name}, A ${A}, R ${R}: ${A ? "abort" : "RAZ/WI"}, ${R ? "recorded" : "not recorded"}`, () => {
          const bench = new Bench();
          const table = bench.pageTable(1);
          table.map(VA, PA, 0x1000, leaf);
          table.map(VA + 0x2000, 2 ** 44, 0x1000);
          bench.stage1(0, table, { A, R, IPS: 3 });
          const { outcome, event, tx } = bench.go(address);
          expect(outcome).toBe(A ? Outcome.abort : Outcome.razWi);
          expect(event?.name).toBe(R ? name : undefined);
          expect(tx.recorded).toBe(R === 1);
          expect(tx.event).toBeGreaterThan(0);
        });
      }
    }
  }

  test("A 0, R 0: an external abort in the walk aborts and is recorded nevertheless", () => {
    const bench = new Bench();
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000);
    bench.stage1(0, table, { A: 0, R: 0 });
    bench.abortAt(table.entryAddress(VA, 1), 8);
    const { outcome, event } = bench.go(VA);
    expect(outcome).toBe(Outcome.abort);
    expect(event?.name).toBe("F_WALK_EABT");
  });

  test("a record that the queue does not take is lost, the outcome stays", () => {
    const bench = new Bench();
    const table = bench.pageTable(1);
    bench.stage1(0, table);
    bench.queueOpen = false;
    const traced: boolean[] = [];
    bench.trace.on("smmu.event", ({ data }) => traced.push(data.recorded));
    const { outcome, tx } = bench.go(VA);
    expect(outcome).toBe(Outcome.abort);
    expect(tx).toMatchObject({ event: 0x10, recorded: false });
    expect(traced).toEqual([false]);
  });

  test("choice mev: equal faults give a record each", () => {
    const bench = new Bench();
    bench.stage1(0, bench.pageTable(1), {}, { MEV: 1 });
    bench.go(VA);
    bench.go(VA);
    expect(bench.records).toHaveLength(2);
  });

  test("outputs of an earlier transaction do not shine through", () => {
    const bench = new Bench();
    const table = bench.pageTable(1);
    table.map(VA, PA, 0x1000);
    bench.stage1(0, table);
    const first = bench.go(VA);
    first.tx.setAddress(VA + 0x1000);
    bench.translator.translate(first.tx);
    expect(first.tx).toMatchObject({ physical: 0, via: Via.none, attributes: 0, event: 0x10 });
  });
});

describe("SMMUEN 0: GBPA (IHI 0070 §6.3.14)", () => {
  function off(gbpa: number, config = {}): Bench {
    const bench = new Bench(config);
    bench.enabled = false;
    bench.gbpa = gbpa;
    return bench;
  }
  test("ABORT 0: the address passes unchanged, no table is read", () => {
    const bench = off(0x1000);
    const { outcome, physical, tx } = bench.go(0x12_3456_789a, { sid: 0xffff });
    expect(outcome).toBe(Outcome.forward);
    expect(physical).toBe(0x12_3456_789a);
    expect(tx.via).toBe(Via.globalBypass);
    expect(bench.loads).toEqual([]);
  });
  test("ABORT 1 aborts without an event", () => {
    const { outcome, event, tx } = off(1 << 20).go(0x1000);
    expect(outcome).toBe(Outcome.abort);
    expect(event).toBeUndefined();
    expect(tx.event).toBe(0);
  });
  test("an address beyond the output address size aborts without an event", () => {
    const bench = off(0x1000, { oas: 40, vax: 48 });
    expect(bench.result(2 ** 40 - 1)).toBe(2 ** 40 - 1);
    expect(bench.result(2 ** 40)).toBe("abort");
  });
  test("a SubstreamID makes no difference", () => {
    expect(off(0x1000).result(0x1234, { ssid: 5 })).toBe(0x1234);
  });
});

describe("streams without stage 1: input address size (IHI 0070 §3.4)", () => {
  for (const oas of [32, 36, 40, 42, 44, 48, 52] as const) {
    test(`bypass: 2^${oas} - 1 passes, 2^${oas} is F_ADDR_SIZE`, () => {
      const bench = new Bench({ oas, vax: 48 });
      bench.streams.write(0, bypassSte());
      expect(bench.result(2 ** oas - 1)).toBe(2 ** oas - 1);
      expect(bench.go(2 ** oas).event).toMatchObject({ name: "F_ADDR_SIZE", fields: { S2: 0, CLASS: 2 } });
    });
  }
  test("bypass: bits [63:52] count too", () => {
    const bench = new Bench();
    bench.streams.write(0, bypassSte());
    expect(bench.result(0, { hi: 0x8000_0000 })).toBe("F_ADDR_SIZE");
  });
  test("stage 2 only: an input beyond the intermediate address size is F_ADDR_SIZE of stage 1, recorded whatever S2R says", () => {
    const bench = new Bench({ oas: 40, vax: 48 });
    const s2 = bench.pageTable(2, 12, { inputBits: 36 });
    bench.streams.write(0, stage2Ste(s2, { S2R: 0 }));
    const { outcome, event } = bench.go(2 ** 40);
    expect(outcome).toBe(Outcome.abort);
    expect(event).toMatchObject({ name: "F_ADDR_SIZE", fields: { S2: 0, CLASS: 2 } });
  });
  test("stage 1 skipped by S1DSS: the same", () => {
    const bench = new Bench({ oas: 40, vax: 48 });
    bench.streams.write(0, stage1Ste(bench.placeCd(stage1Cd({})), { S1CDMax: 1, S1DSS: 1 }));
    expect(bench.result(2 ** 40)).toBe("F_ADDR_SIZE");
  });
});
