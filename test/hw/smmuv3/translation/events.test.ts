// SPDX-License-Identifier: MIT
/** Event records word by word (IHI 0070 §7.3); every expectation is written out as the 32 bytes in memory. */
import { describe, expect, test } from "vitest";
import { EVENTS } from "../../../../src/hw/smmuv3/spec/events.ts";
import { decodeEvent, describeEvent } from "../../../../src/hw/smmuv3/tables/events.ts";
import { bypassSte, nestedSte, stage1Cd, stage1Ste, stage2Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { CdTable } from "../../../../src/hw/smmuv3/tables/stream-tables.ts";
import { Bench } from "./bench.ts";

const SID = 0x2a;
const SSID = 0x3;
/** Words 0 and 1 of an event with SSV 1: SubstreamID in [31:12], SSV bit 11. */
const head = (number: number): number => (SSID << 12) | (1 << 11) | number;
/** Word 3 (bits 96 to 127): PnU 1, InD 2, RnW 3, S2 7, CLASS [9:8], TTRnW 12. */
const PNU = 1 << 1;
const IND = 1 << 2;
const RNW = 1 << 3;
const S2 = 1 << 7;
const TT = 1 << 8;
const IN = 2 << 8;
const TTRNW = 1 << 12;

const VA = 0x8765_4321_0000;
const VA_HI = 0x8765;
const VA_LO = 0x4321_0000;
const PA = 0x5000_0000;

/** Stream 0x2a with substreams; SubstreamID 3 maps VA to PA. */
function substreams(leaf: Record<string, number> = {}): { bench: Bench; cds: CdTable; ste: number; table: ReturnType<Bench["pageTable"]> } {
  const bench = new Bench({}, { log2Size: 6 });
  const table = bench.pageTable(1);
  table.map(VA, PA, 0x1000, leaf);
  const cds = new CdTable({ memory: bench.bus.memory, arena: bench.arena, cdMax: 2 });
  cds.write(SSID, stage1Cd({ ttb0: table }));
  const ste = bench.streams.write(SID, stage1Ste(cds.base, cds.fields));
  return { bench, cds, ste, table };
}

const request = { sid: SID, ssid: SSID };

function record(bench: Bench, more = {}, address = VA): number[] {
  return [...(bench.go(address, { ...request, ...more }).words ?? [])];
}

describe("records of configuration errors", () => {
  test("C_BAD_STREAMID 0x02", () => {
    const { bench } = substreams();
    expect(record(bench, { sid: 0x40 })).toEqual([head(0x02), 0x40, 0, 0, 0, 0, 0, 0]);
  });
  test("F_STE_FETCH 0x03: FetchAddr in the last doubleword", () => {
    const { bench, ste } = substreams();
    bench.abortAt(ste);
    expect(record(bench)).toEqual([head(0x03), SID, 0, 0, 0, 0, ste, 0]);
  });
  test("C_BAD_STE 0x04", () => {
    const { bench } = substreams();
    expect(record(bench, { sid: 1 })).toEqual([head(0x04), 1, 0, 0, 0, 0, 0, 0]);
  });
  test("F_STREAM_DISABLED 0x06: no SSV, no SubstreamID", () => {
    const { bench, cds } = substreams();
    bench.streams.write(SID, stage1Ste(cds.base, { ...cds.fields, S1DSS: 2 }));
    expect(record(bench, { ssid: 0 })).toEqual([0x06, SID, 0, 0, 0, 0, 0, 0]);
  });
  test("C_BAD_SUBSTREAMID 0x08: SubstreamID without SSV", () => {
    const { bench } = substreams();
    expect(record(bench, { ssid: 0x4_5678 })).toEqual([(0x4_5678 << 12) | 0x08, SID, 0, 0, 0, 0, 0, 0].map((word) => word >>> 0));
  });
  test("F_CD_FETCH 0x09", () => {
    const { bench, cds } = substreams();
    bench.abortAt(cds.cdAddress(SSID));
    expect(record(bench)).toEqual([head(0x09), SID, 0, 0, 0, 0, cds.cdAddress(SSID), 0]);
  });
  test("C_BAD_CD 0x0a", () => {
    const { bench } = substreams();
    expect(record(bench, { ssid: 1 })).toEqual([(1 << 12) | (1 << 11) | 0x0a, SID, 0, 0, 0, 0, 0, 0]);
  });
  test("no SubstreamID: SSV and SubstreamID are 0", () => {
    const bench = new Bench();
    expect([...(bench.go(VA, { sid: 3 }).words ?? [])]).toEqual([0x04, 3, 0, 0, 0, 0, 0, 0]);
  });
});

describe("records of translation faults", () => {
  for (const [name, more, bits] of [
    ["unprivileged read", {}, RNW],
    ["privileged read", { privileged: true }, RNW | PNU],
    ["unprivileged write", { write: true }, 0],
    ["privileged write", { write: true, privileged: true }, PNU],
    ["instruction fetch", { instruction: true }, RNW | IND],
    ["privileged instruction fetch", { instruction: true, privileged: true }, RNW | IND | PNU],
  ] as const) {
    test(`F_TRANSLATION 0x10, stage 1, ${name}`, () => {
      const { bench } = substreams();
      expect(record(bench, more, VA + 0x1678)).toEqual([head(0x10), SID, 0, IN | bits, VA_LO + 0x1678, VA_HI, 0, 0]);
    });
  }
  test("F_TRANSLATION keeps all 64 bits of the input address", () => {
    const { bench } = substreams();
    expect(record(bench, { hi: 0xdead_beef }, 0x1234_5678)).toEqual([head(0x10), SID, 0, IN | RNW, 0x1234_5678, 0xdead_beef, 0, 0]);
  });
  test("F_ADDR_SIZE 0x11", () => {
    const { bench, table } = substreams();
    table.map(0x1_0000, 2 ** 40, 0x1000);
    bench.write(bench.streams.steAddress(1), stage1Ste(bench.placeCd(stage1Cd({ ttb0: table }, { IPS: 2 }))));
    expect([...(bench.go(0x1_0abc, { sid: 1 }).words ?? [])]).toEqual([0x11, 1, 0, IN | RNW, 0x1_0abc, 0, 0, 0]);
  });
  test("F_ACCESS 0x12", () => {
    const { bench } = substreams({ af: 0 });
    expect(record(bench)).toEqual([head(0x12), SID, 0, IN | RNW, VA_LO, VA_HI, 0, 0]);
  });
  test("F_PERMISSION 0x13", () => {
    const { bench } = substreams({ ap: 3 });
    expect(record(bench, { write: true })).toEqual([head(0x13), SID, 0, IN, VA_LO, VA_HI, 0, 0]);
  });
  test("F_WALK_EABT 0x0b of stage 1: CLASS TT, FetchAddr", () => {
    const { bench, table } = substreams();
    const at = table.entryAddress(VA, 2);
    bench.abortAt(at, 8);
    expect(record(bench, { write: true })).toEqual([head(0x0b), SID, 0, TT, VA_LO, VA_HI, at, 0]);
  });
});

describe("records of stage-2 faults", () => {
  function nested(): { bench: Bench; s1: ReturnType<Bench["pageTable"]>; s2: ReturnType<Bench["pageTable"]>; cd: number } {
    const bench = new Bench();
    const s1 = bench.pageTable(1);
    s1.map(VA, 0x12_3456_7000, 0x1000);
    const cd = bench.arena.take(0x1000);
    bench.write(cd, stage1Cd({ ttb0: s1 }));
    const s2 = bench.pageTable(2, 12, { inputBits: 42 });
    s2.map(0x4000_0000, 0x4000_0000, 0x10_0000);
    bench.streams.write(SID, nestedSte(cd, s2));
    return { bench, s1, s2, cd };
  }
  const go = (bench: Bench, more = {}): number[] => [...(bench.go(VA + 0x88, { sid: SID, ...more }).words ?? [])];

  test("F_TRANSLATION of the output of stage 1: IPA is bits [51:12], the offset is 0", () => {
    const { bench } = nested();
    expect(go(bench)).toEqual([0x10, SID, 0, S2 | IN | RNW, VA_LO + 0x88, VA_HI, 0x3456_7000, 0x12]);
  });
  test("F_TRANSLATION of a CD fetch: CLASS CD", () => {
    const { bench, s2, cd } = nested();
    s2.unmap(cd);
    expect(go(bench, { write: true })).toEqual([0x10, SID, 0, S2, VA_LO + 0x88, VA_HI, cd, 0]);
  });
  test("F_PERMISSION of a walk: CLASS TT and TTRnW", () => {
    const { bench, s1, s2 } = nested();
    s2.map(s1.base, s1.base, 0x1000, { ap: 0 });
    expect(go(bench, { write: true })).toEqual([0x13, SID, 0, S2 | TT | TTRNW, VA_LO + 0x88, VA_HI, s1.base, 0]);
  });
  test("F_WALK_EABT of stage 2 for the output of stage 1", () => {
    const { bench, s2 } = nested();
    const at = s2.entryAddress(0x12_3456_7000, 1);
    bench.abortAt(at, 8);
    expect(go(bench)).toEqual([0x0b, SID, 0, S2 | IN | RNW, VA_LO + 0x88, VA_HI, at, 0]);
  });
  test("FetchAddr above 32 bits", () => {
    const bench = new Bench();
    const s2 = bench.pageTable(2, 12, { inputBits: 42 });
    s2.write(s2.entryAddress(0x12_0000_0000, 1), [0x8765_4003, 0xb_cdef]);
    bench.streams.write(SID, stage2Ste(s2, { S2PS: 5 }));
    const record = [...(bench.go(0x12_0000_0000, { sid: SID }).words ?? [])];
    expect(record).toEqual([0x0b, SID, 0, S2 | IN | RNW, 0, 0x12, 0x8765_4000, 0xcdef]);
  });
});

test("F_ADDR_SIZE of a bypassing stream: stage 1, CLASS IN", () => {
  const bench = new Bench({ oas: 44, vax: 48 });
  bench.streams.write(SID, bypassSte());
  expect([...(bench.go(2 ** 44, { sid: SID }).words ?? [])]).toEqual([0x11, SID, 0, IN | RNW, 0, 0x1000, 0, 0]);
});

describe("reading records", () => {
  test("a record that another model wrote (F_WALK_EABT, StreamID 8): StreamID, InputAddr, FetchAddr", () => {
    const words = [0x0000_000b, 8, 0, 0x0000_0100, 0x8060_4000, 0x80, 0x0000_0010, 0x30];
    expect(decodeEvent(words)).toMatchObject({
      name: "F_WALK_EABT",
      fields: { StreamID: 8, RnW: 0, S2: 0, CLASS: 1, FetchAddr: 0x30_0000_0010 },
      inputAddress: "0x0000008080604000",
    });
  });
  test("describeEvent names the fields in words", () => {
    const words = [0x0000_0810, 8, 0, 0x0000_028a, 0x8060_4124, 0x80, 0x4a00_0000, 0];
    expect(describeEvent(words)).toBe(
      "F_TRANSLATION (no translation): StreamID 0x8, SubstreamID 0x0, read, data, privileged, stage 2, input address, IPA 0x4a000000, address 0x0000008080604124",
    );
  });
  test("a reserved number", () => {
    expect(describeEvent([0x7f, 0, 0, 0, 0, 0, 0, 0])).toBe("event 0x7f (reserved)");
  });
  for (const event of EVENTS) {
    test(`${event.name}: each field alone reads back all ones`, () => {
      for (const field of event.fields) {
        if (field.name === "EventType") continue;
        const words = [event.number, 0, 0, 0, 0, 0, 0, 0];
        for (let bit = field.lo; bit <= field.hi; bit++) words[bit >> 5] = (words[bit >> 5]! | (1 << (bit & 31))) >>> 0;
        const decoded = decodeEvent(words);
        const top = 2 ** (field.hi - field.lo + 1) - 1;
        expect(decoded.fields[field.name]).toBe(top * (field.scale ?? 1));
        const others = Object.entries(decoded.fields).filter(([name, value]) => name !== field.name && name !== "EventType" && value !== 0);
        const overlapping = event.fields.filter((other) => other !== field && other.lo <= field.hi && field.lo <= other.hi);
        expect(others).toEqual([]);
        expect(overlapping).toEqual([]);
      }
    });
  }
});
