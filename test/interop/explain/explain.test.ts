// SPDX-License-Identifier: MIT
/** One translation step by step: which structures, in which order, read how, with which end (IHI 0070 §3.3, §7.3). */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PageTable, TableArena, abortSte, bypassSte, buildSte, nestedSte, stage1Cd, stage1Ste, stage2Ste } from "../../../src/hw/index.ts";
import { ExplainError, type Explanation, explainDocument, explainText } from "../../../src/interop/index.ts";
import { FIXTURES, HandMade, explainFile } from "./machine.ts";

const plain = (_style: string, text: string): string => text;
const titles = ({ steps }: { readonly steps: readonly { readonly title: string }[] }): string[] => steps.map(({ title }) => title);

const EDU = join(FIXTURES, "q100-l612-4k-edu-faults.ndjson.gz");
const INJECTED = join(FIXTURES, "q100-l612-4k-inject-stage1.ndjson.gz");

/** Stream table at 0x40000000, linear, 64 streams; tables above. */
const STREAMS = 0x4000_0000;
const steAt = (sid: number): number => STREAMS + 64 * sid;

function machine(): { hand: HandMade; arena: TableArena } {
  const hand = new HandMade();
  hand.enable(STREAMS, 6);
  return { hand, arena: new TableArena(0x4100_0000, 0x100_0000) };
}

describe("a recorded translation with cold caches", () => {
  const explanation = explainFile(EDU, 57);

  test("every structure on the way, in order, at its address", () => {
    expect(explanation.withCaches.steps.map(({ title, address }) => `${title} ${address}`)).toEqual([
      "level-1 Stream table descriptor 0x43928000",
      "STE 0x6b260200",
      "CD 0x44012000",
      "stage 1, level 0 0x44011000",
      "stage 1, level 1 0x45033018",
      "stage 1, level 2 0x45034ff8",
      "stage 1, level 3 0x45032fe8",
    ]);
  });

  test("the end is where the recorded SMMU went", () => {
    expect(explanation.withCaches.result).toMatchObject({ outcome: "forward", physical: "0x45037000", via: "stage 1" });
    expect(explanation.recorded?.answer).toEqual({ status: "ok", physical: "0x45037000", mask: 0xfff, perm: "rw" });
    expect(explanation.differences).toEqual([]);
  });

  test("nothing came from a cache, so memory is not asked twice", () => {
    expect(explanation.fromMemory).toBeUndefined();
    expect(explanation.differs).toBe(false);
  });

  test("the registers that mattered: enable, Stream table, its format, recording of bad StreamIDs", () => {
    expect(explanation.registers.map(({ name, says }) => `${name}: ${says}`)).toEqual([
      "CR0ACK: SMMUEN is 1: the Stream table decides",
      "STRTAB_BASE: Stream table at 0x43928000",
      "STRTAB_BASE_CFG: two levels, split at StreamID bit 8, 16 bits of StreamID: 0x8 is in range",
      "CR2: RECINVSID is 1: C_BAD_STREAMID is recorded",
    ]);
  });
});

describe("a recorded translation with warm caches", () => {
  test("what came from caches is said, and memory shows the whole way", () => {
    const { withCaches, fromMemory, differs } = explainFile(EDU, 58);
    expect(withCaches.cached).toEqual(["the STE (configuration cache)", "the CD (configuration cache)"]);
    expect(titles(withCaches)).toEqual(["stage 1, level 0", "stage 1, level 1", "stage 1, level 2", "stage 1, level 3"]);
    expect(titles(fromMemory!).slice(0, 3)).toEqual(["level-1 Stream table descriptor", "STE", "CD"]);
    expect(differs).toBe(false);
  });

  test("a fault ends with its decoded record, equal to the recorded one", () => {
    const { withCaches } = explainFile(EDU, 333);
    expect(withCaches.result).toMatchObject({ outcome: "abort", event: "F_TRANSLATION", physical: undefined });
    expect(withCaches.result.record?.words).toEqual([
      "0x0000002000000010",
      "0x0000020800000000",
      "0x0000000000000004",
      "0x0000000000000000",
    ]);
  });
});

describe("injected faults end where the recording changed memory", () => {
  test("F_CD_FETCH: the CD's fetch is answered with an abort", () => {
    const explanation = explainFile(INJECTED, 417);
    expect(explanation.withCaches.result.event).toBe("F_CD_FETCH");
    expect(explanation.withCaches.steps.at(-1)).toMatchObject({
      title: "CD",
      decoded: undefined,
      says: expect.arrayContaining(["memory answered with an abort"]) as string[],
    });
    expect(explanation.request.injected).not.toBe("");
    expect(explanation.differences.map(({ deviation }) => deviation?.id)).toContain("cd-fetch-address");
  });

  test("F_ADDR_SIZE: the table address beyond the output size is named", () => {
    const { withCaches } = explainFile(INJECTED, 807);
    expect(withCaches.result.event).toBe("F_ADDR_SIZE");
    expect(withCaches.steps.at(-1)!.says.join()).toContain("is beyond the output size of 44 bits: F_ADDR_SIZE");
  });

  test("F_TRANSLATION: a level-0 block is reserved", () => {
    const { withCaches } = explainFile(INJECTED, 881);
    expect(withCaches.steps.at(-1)!.decoded).toMatchObject({ legal: false, event: "F_TRANSLATION" });
  });
});

describe("made by hand: other configurations", () => {
  test("stage 2 alone: no CD, stage-2 levels for the access's own address", () => {
    const { hand, arena } = machine();
    const table = new PageTable({ memory: hand.memory, arena, stage: 2, granule: 12, inputBits: 40, startLevel: 1 });
    table.map(0x1_0000, 0x5_0000, 0x1000);
    hand.memory.write(steAt(3), stage2Ste(table, { S2PS: 4, S2VMID: 7 }));
    const explanation = hand.explain(hand.request(3, 0x1_0040));
    expect(titles(explanation.withCaches)).toEqual([
      "STE",
      ...[1, 2, 3].map((level) => `stage 2, level ${level}, for the access's own address`),
    ]);
    expect(explanation.withCaches.result).toMatchObject({ physical: "0x50040", via: "stage 2" });
  });

  test("both stages: each stage-2 walk says what it is for", () => {
    const { hand, arena } = machine();
    const { memory } = hand;
    const second = new PageTable({ memory, arena, stage: 2, granule: 12, inputBits: 40, startLevel: 1 });
    const first = new PageTable({ memory, arena: new TableArena(0x4300_0000, 0x10_0000), stage: 1, granule: 12, inputBits: 39 });
    const cd = arena.take(64);
    first.map(0x1_0000, 0x4800_0000, 0x1000);
    for (const block of [0x4100_0000, 0x4300_0000]) second.map(block, block, 0x20_0000, {}, 2);
    second.map(0x4800_0000, 0x5_0000, 0x1000);
    memory.write(cd, stage1Cd({ ttb0: first }, { IPS: 4, ASID: 1 }));
    memory.write(steAt(3), nestedSte(cd, second, { S2PS: 4 }));
    const explanation = hand.explain(hand.request(3, 0x1_0040));
    const { withCaches } = explanation;
    for (const line of explainText(explanation, plain).split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    expect(titles(withCaches)).toEqual([
      "STE",
      "stage 2, level 1, for the CD's address",
      "stage 2, level 2, for the CD's address",
      "CD",
      "stage 2, level 1, for a stage-1 table's address",
      "stage 2, level 2, for a stage-1 table's address",
      "stage 1, level 1",
      "stage 1, level 2",
      "stage 1, level 3",
      "stage 2, level 1, for the access's own address",
      "stage 2, level 2, for the access's own address",
      "stage 2, level 3, for the access's own address",
    ]);
    expect(withCaches.result).toMatchObject({ physical: "0x50040", via: "stage 1 and stage 2" });
  });

  test("bypass and abort by the STE end at the STE", () => {
    const { hand } = machine();
    hand.memory.write(steAt(1), bypassSte());
    hand.memory.write(steAt(2), abortSte());
    const bypass = hand.request(1, 0x1234);
    const abort = hand.request(2, 0x1234);
    expect(hand.explain(bypass).withCaches).toMatchObject({
      steps: [{ title: "STE" }],
      result: { physical: "0x1234", via: "bypass by the STE" },
    });
    expect(hand.explain(abort).withCaches.result).toMatchObject({
      outcome: "abort",
      event: undefined,
      record: undefined,
      says: "STE.Config is 0b0xx: abort without an event",
    });
  });

  test("SMMUEN 0: GBPA decides and nothing is fetched", () => {
    const hand = new HandMade();
    const explanation = hand.explain(hand.request(1, 0x1234));
    expect(explanation.registers.map(({ name }) => name)).toEqual(["CR0ACK", "GBPA"]);
    expect(explanation.withCaches).toMatchObject({ steps: [], result: { physical: "0x1234", via: "global bypass (SMMUEN is 0)" } });
  });

  test("a StreamID beyond the table is C_BAD_STREAMID without a fetch", () => {
    const { hand } = machine();
    const explanation = hand.explain(hand.request(64, 0));
    expect(explanation.registers[2]!.says).toContain("0x40 is out of range, C_BAD_STREAMID");
    expect(explanation.withCaches).toMatchObject({ steps: [], result: { event: "C_BAD_STREAMID" } });
  });

  test("an illegal STE is told with the rule that it breaks", () => {
    const { hand } = machine();
    hand.memory.write(steAt(3), buildSte({ V: 1, Config: 6, S2T0SZ: 63, S2AA64: 1 }));
    const { withCaches } = hand.explain(hand.request(3, 0));
    expect(withCaches.result.event).toBe("C_BAD_STE");
    expect(withCaches.steps[0]!.says.join()).toContain("ILLEGAL: S2T0SZ is out of range");
  });

  test("a descriptor whose fetch aborts is F_WALK_EABT", () => {
    const { hand, arena } = machine();
    const table = new PageTable({ memory: hand.memory, arena, stage: 1, granule: 12, inputBits: 39 });
    const cd = arena.take(64);
    hand.memory.write(cd, stage1Cd({ ttb0: table }, { IPS: 4 }));
    hand.memory.write(steAt(3), stage1Ste(cd));
    const { withCaches } = hand.explain(hand.request(3, 0, false, table.base));
    expect(withCaches.result).toMatchObject({ event: "F_WALK_EABT" });
    expect(withCaches.steps.at(-1)).toMatchObject({ title: "stage 1, level 1", decoded: undefined });
  });
});

describe("stale caches", () => {
  /** A page is remapped in memory without an invalidation. */
  function remapped(): Explanation {
    const { hand, arena } = machine();
    const table = new PageTable({ memory: hand.memory, arena, stage: 1, granule: 12, inputBits: 39 });
    const cd = arena.take(64);
    table.map(0x1000, 0x7000_0000, 0x1000);
    hand.memory.write(cd, stage1Cd({ ttb0: table }, { IPS: 4, ASID: 9 }));
    hand.memory.write(steAt(3), stage1Ste(cd));
    hand.request(3, 0x1000);
    table.map(0x1000, 0x7100_0000, 0x1000);
    return hand.explain(hand.request(3, 0x1000));
  }

  test("the caches' answer and memory's are shown, with the invalidation that is missing", () => {
    const { withCaches, fromMemory, differs, stale } = remapped();
    expect(withCaches.result.physical).toBe("0x70000000");
    expect(fromMemory!.result.physical).toBe("0x71000000");
    expect(differs).toBe(true);
    expect(stale[0]!.missing).toContain("CMD_TLBI_NH_VA");
  });

  test("the text says so, in at most 80 columns", () => {
    const text = explainText(remapped(), plain);
    expect(text).toContain("memory says something else than the caches");
    for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });
});

describe("what cannot be explained", () => {
  test("a record that is no translation request is named, with the nearest one before it", () => {
    expect(() => explainFile(EDU, 1)).toThrow(new ExplainError("record 1 is a read of register 0x0, not a translation request"));
    expect(() => explainFile(INJECTED, 2)).toThrow(ExplainError);
  });

  test("a record beyond the end", () => {
    expect(() => explainFile(EDU, 99_999)).toThrow(/the recording ends before record 99999; the last request before it is record/);
  });
});

test("every kind of end survives as a JSON document and as text", () => {
  for (const n of [57, 58, 333, 700, 1000]) {
    let explanation: Explanation;
    try {
      explanation = explainFile(EDU, n);
    } catch (error) {
      expect(error).toBeInstanceOf(ExplainError);
      continue;
    }
    expect(JSON.parse(JSON.stringify(explainDocument(explanation)))).toMatchObject({ schema: "quiesce/explain@1", record: n });
    for (const line of explainText(explanation, plain).split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  }
});
