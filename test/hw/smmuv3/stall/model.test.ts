// SPDX-License-Identifier: MIT
/** Which faults stall: each stall model, each stage, each setting of A, R and S (IHI 0070 §3.12, §5.5). */
import { describe, expect, test } from "vitest";
import type { SmmuConfig } from "../../../../src/hw/smmuv3/config/config.ts";
import { Outcome } from "../../../../src/hw/smmuv3/transaction.ts";
import { bypassSte, nestedSte, stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Bench } from "../translation/bench.ts";

const VA = 0x7000;
const IPA = 0x5000_0000;
/** Beyond what the stage-2 tables below map. */
const UNMAPPED = 0x60_0000_0000;

const MODELS = [
  { stallModel: "terminate", stallMax: 0 },
  { stallModel: "both", stallMax: 0xffff },
  { stallModel: "force", stallMax: 0xffff },
] as const;
type Place = "stage 1" | "stage 1 of two" | "stage 2" | "stage 2 of two" | "stage 2, table walk" | "stage 2, CD fetch";
const PLACES: readonly Place[] = ["stage 1", "stage 1 of two", "stage 2", "stage 2 of two", "stage 2, table walk", "stage 2, CD fetch"];

interface Flags {
  readonly A: number;
  readonly R: number;
  readonly S: number;
  readonly S2R: number;
  readonly S2S: number;
}

const FLAGS: readonly Flags[] = Array.from({ length: 32 }, (_, bits) => ({
  A: bits & 1,
  R: (bits >> 1) & 1,
  S: (bits >> 2) & 1,
  S2R: (bits >> 3) & 1,
  S2S: (bits >> 4) & 1,
}));

/** A stream 0 whose read of {@link VA} ends in F_TRANSLATION at a place. */
function faulting(place: Place, { A, R, S, S2R, S2S }: Flags, config: Partial<SmmuConfig>): Bench {
  const bench = new Bench(config);
  const s1 = bench.pageTable(1);
  if (place === "stage 2 of two") s1.map(VA, UNMAPPED, 0x1000);
  const s2 = bench.pageTable(2, 12, { inputBits: 40 });
  // All tables of the arena, except for a CD and tables that are to fault.
  s2.map(0x4000_0000, 0x4000_0000, 0x20_0000, {}, 2);
  const cd = bench.placeCd(stage1Cd({ ttb0: s1 }, { A, R, S, ...(place === "stage 2, table walk" ? { TTB0: UNMAPPED } : {}) }));
  const ste = {
    "stage 1": () => stage1Ste(cd),
    "stage 1 of two": () => nestedSte(cd, s2, { S2R, S2S }),
    "stage 2": () => stage2Ste(s2, { S2R, S2S }),
    "stage 2 of two": () => nestedSte(cd, s2, { S2R, S2S }),
    "stage 2, table walk": () => nestedSte(cd, s2, { S2R, S2S }),
    "stage 2, CD fetch": () => nestedSte(UNMAPPED, s2, { S2R, S2S }),
  } as const;
  bench.streams.write(0, ste[place]());
  return bench;
}

interface Expected {
  readonly outcome: Outcome;
  /** The record that is attempted. */
  readonly event: string | undefined;
  readonly stall: boolean;
}

const terminated = (outcome: Outcome, event: string | undefined): Expected => ({ outcome, event, stall: false });

/** §5.5, as a function. */
function expected(place: Place, f: Flags, model: SmmuConfig["stallModel"], termModel: boolean): Expected {
  const one = place !== "stage 2";
  const two = place !== "stage 1";
  if (two && model === "terminate" && f.S2S === 1) return terminated(Outcome.abort, "C_BAD_STE");
  if (two && model === "force" && f.S2S === 0) return terminated(Outcome.abort, "C_BAD_STE");
  if (one && place !== "stage 2, CD fetch") {
    const badS = (model === "terminate" && f.S === 1) || (model === "force" && f.S === 0);
    if (badS || (termModel && f.A === 0)) return terminated(Outcome.abort, "C_BAD_CD");
  }
  const atStage1 = place === "stage 1" || place === "stage 1 of two";
  if ((atStage1 ? f.S : f.S2S) === 1) return { outcome: Outcome.stalled, event: "F_TRANSLATION", stall: true };
  if (atStage1) return terminated(f.A === 1 ? Outcome.abort : Outcome.razWi, f.R === 1 ? "F_TRANSLATION" : undefined);
  return terminated(Outcome.abort, f.S2R === 1 ? "F_TRANSLATION" : undefined);
}

describe.each(MODELS)("IHI 0070 §5.5, STALL_MODEL $stallModel", (model) => {
  for (const termModel of [false, true]) {
    test.each(PLACES)(`TERM_MODEL ${termModel ? 1 : 0}: A, R, S, S2R, S2S decide how a fault at %s ends and what is recorded`, (place) => {
      for (const flags of FLAGS) {
        for (const queueOpen of [true, false]) {
          const bench = faulting(place, flags, { ...model, termModel });
          bench.queueOpen = queueOpen;
          const { outcome, event, tx } = bench.go(VA);
          const want = expected(place, flags, model.stallModel, termModel);
          const what = `${JSON.stringify(flags)} queue ${queueOpen ? "writable" : "not writable"}`;
          expect(outcome, what).toBe(want.outcome);
          expect(event?.name, what).toBe(queueOpen ? want.event : undefined);
          expect(tx.recorded, what).toBe(queueOpen && want.event !== undefined);
          expect(event?.fields["Stall"] ?? 0, what).toBe(want.stall && queueOpen ? 1 : 0);
          expect(tx.stall?.stag, what).toBe(want.stall ? (queueOpen ? event!.fields["STAG"] : -1) : undefined);
        }
      }
    });
  }
});

describe("IHI 0070 §3.12: only translation-related faults stall", () => {
  const S = 1;
  const causes = {
    F_TRANSLATION: { leaf: {}, address: VA + 0x1000 },
    F_ACCESS: { leaf: { af: 0 }, address: VA },
    F_PERMISSION: { leaf: { ap: 0 }, address: VA },
    F_ADDR_SIZE: { leaf: {}, address: VA + 0x2000 },
  } as const;
  test.each(Object.entries(causes))("stage 1: %s stalls", (name, { leaf, address }) => {
    const bench = new Bench();
    const table = bench.pageTable(1);
    table.map(VA, IPA, 0x1000, leaf);
    table.map(VA + 0x2000, 2 ** 44, 0x1000);
    bench.stage1(0, table, { S, IPS: 3 });
    const { outcome, event } = bench.go(address);
    expect(outcome).toBe(Outcome.stalled);
    expect(event).toMatchObject({ name, fields: { Stall: 1, S2: 0, CLASS: 2 } });
  });

  test.each([
    ["F_TRANSLATION", VA + 0x1000, {}],
    ["F_ACCESS", VA, { af: 0 }],
    ["F_PERMISSION", VA, { ap: 0 }],
    ["F_ADDR_SIZE", VA + 0x2000, {}],
  ] as const)("stage 2: %s stalls", (name, address, leaf) => {
    const bench = new Bench();
    const table = bench.pageTable(2, 12, { inputBits: 40 });
    table.map(VA, IPA, 0x1000, leaf);
    table.map(VA + 0x2000, 2 ** 44, 0x1000);
    bench.streams.write(0, stage2Ste(table, { S2S: 1, S2PS: 3 }));
    const { outcome, event } = bench.go(address);
    expect(outcome).toBe(Outcome.stalled);
    expect(event).toMatchObject({ name, fields: { Stall: 1, S2: 1, CLASS: 2 } });
  });

  test("an external abort of either stage's walk aborts (F_WALK_EABT)", () => {
    const one = new Bench();
    const table = one.pageTable(1);
    table.map(VA, IPA, 0x1000);
    one.stage1(0, table, { S });
    one.abortAt(table.entryAddress(VA, 3), 8);
    expect(one.go(VA)).toMatchObject({ outcome: Outcome.abort, event: { name: "F_WALK_EABT" } });
    const two = new Bench();
    const s2 = two.pageTable(2, 12, { inputBits: 40 });
    s2.map(VA, IPA, 0x1000);
    two.streams.write(0, stage2Ste(s2, { S2S: 1 }));
    two.abortAt(s2.entryAddress(VA, 3), 8);
    expect(two.go(VA)).toMatchObject({ outcome: Outcome.abort, event: { name: "F_WALK_EABT" } });
  });

  test("an external abort of the CD's fetch aborts (F_CD_FETCH), as do bad SubstreamIDs", () => {
    const bench = new Bench();
    const { cd } = bench.stage1(0, bench.pageTable(1), { S });
    expect(bench.go(VA, { ssid: 1 })).toMatchObject({ outcome: Outcome.abort, event: { name: "C_BAD_SUBSTREAMID" } });
    bench.abortAt(cd, 64);
    expect(bench.go(VA)).toMatchObject({ outcome: Outcome.abort, event: { name: "F_CD_FETCH" } });
  });

  test("an address beyond the input size of a stream that bypasses stage 1 aborts, with STE.S2S 1 too", () => {
    const bench = new Bench({ oas: 40, vax: 48 });
    bench.streams.write(0, bypassSte());
    bench.streams.write(1, stage2Ste(bench.pageTable(2, 12, { inputBits: 36 }), { S2S: 1 }));
    for (const sid of [0, 1]) {
      const { outcome, event } = bench.go(2 ** 40, { sid });
      expect(outcome).toBe(Outcome.abort);
      expect(event).toMatchObject({ name: "F_ADDR_SIZE", fields: { Stall: 0 } });
    }
  });

  test("stage 1 skipped by S1DSS: the fields of the CD are not looked at", () => {
    const bench = new Bench({ oas: 40, vax: 48 });
    bench.streams.write(0, stage1Ste(bench.placeCd(stage1Cd({}, { S })), { S1CDMax: 1, S1DSS: 1 }));
    expect(bench.go(2 ** 40)).toMatchObject({ outcome: Outcome.abort, event: { name: "F_ADDR_SIZE" } });
  });

  test("faults of a TLB hit stall like those of a walk", () => {
    const bench = new Bench();
    const table = bench.pageTable(1);
    table.map(VA, IPA, 0x1000, { ap: 3 });
    bench.stage1(0, table, { S });
    expect(bench.result(VA)).toBe(IPA);
    expect(bench.go(VA, { write: true })).toMatchObject({ outcome: Outcome.stalled, event: { name: "F_PERMISSION" } });
  });

  test("§3.12: each SubstreamID has the S of its own CD", () => {
    const bench = new Bench();
    const cds = bench.arena.take(128, 128);
    const table = bench.pageTable(1);
    for (const [index, flag] of [0, 1].entries()) bench.write(cds + 64 * index, stage1Cd({ ttb0: table }, { S: flag }));
    bench.streams.write(0, stage1Ste(cds, { S1CDMax: 1, S1DSS: 2 }));
    expect(bench.go(VA).outcome).toBe(Outcome.abort);
    expect(bench.go(VA, { ssid: 1 }).outcome).toBe(Outcome.stalled);
  });

  test("SMMUEN 0: nothing stalls (§6.3.9.6)", () => {
    const bench = new Bench();
    bench.stage1(0, bench.pageTable(1), { S });
    bench.enabled = false;
    expect(bench.result(VA)).toBe(VA);
  });
});
