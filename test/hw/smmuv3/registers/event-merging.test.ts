// SPDX-License-Identifier: MIT
/** The choice `eventMerging`: which equal events share a record (IHI 0070 §3.5.5, §7.3.1). */
import { describe, expect, test } from "vitest";
import { profiles } from "../../../../src/hw/index.ts";
import { MERGE_WINDOW_NS } from "../../../../src/hw/smmuv3/queues/event-merging.ts";
import { stage1Cd, stage1Ste } from "../../../../src/hw/smmuv3/tables/structures.ts";
import { Machine } from "../commands/machine.ts";
import { Bench, EVENTQEN, at, record } from "./bench.ts";

const ON = { eventMerging: true };
const OVFLG = 0x8000_0000;
const VA = 0x1_0000;
/** Streams 0 and 1 translate nothing; their STE.MEV is 1 and 0. Stream 2 has no valid CD and MEV 1. */
function machine(choices: { eventMerging?: boolean } = ON): Machine {
  const made = new Machine({ choices });
  const table = made.pageTable();
  const cd = made.place(stage1Cd({ ttb0: table }));
  for (const [sid, MEV] of [1, 0].entries()) made.streams.write(sid, stage1Ste(cd, { MEV }));
  made.streams.write(2, stage1Ste(made.place(new Uint32Array(16)), { MEV: 1 }));
  return made;
}

const numbers = (made: Machine): number[] => made.events.map((words) => words[0]! & 0xff);

describe("transactions", () => {
  test("the default is off: each fault has its record even with STE.MEV 1", () => {
    const made = machine({});
    for (let i = 0; i < 3; i++) made.go(0, VA);
    expect(numbers(made)).toEqual([0x10, 0x10, 0x10]);
  });

  test("§7.3.1: equal faults of a stream with STE.MEV 1 share a record", () => {
    const made = machine();
    for (let i = 0; i < 5; i++) expect(made.go(0, VA)).toBe(-0x10);
    expect(numbers(made)).toEqual([0x10]);
  });

  test("§7.3.1: with STE.MEV 0 none is merged", () => {
    const made = machine();
    for (let i = 0; i < 3; i++) made.go(1, VA);
    expect(numbers(made)).toEqual([0x10, 0x10, 0x10]);
  });

  test("§7.3.13: InputAddr[11:0] do not count; the record has those of the first fault", () => {
    const made = machine();
    made.go(0, VA + 0x123);
    made.go(0, VA + 0xfff);
    expect(made.events.map((words) => words[4])).toEqual([VA + 0x123]);
    made.go(0, VA + 0x1000);
    expect(made.events.map((words) => words[4])).toEqual([VA + 0x123, VA + 0x1000]);
  });

  test("§7.3.1: events that differ in any other field are not merged", () => {
    const made = machine();
    made.go(0, VA);
    made.go(0, VA, { write: true });
    made.go(0, VA);
    made.go(2, VA);
    expect(numbers(made)).toEqual([0x10, 0x10, 0x10, 0x0a]);
  });

  test("§7.3.1: C_BAD_STREAMID and C_BAD_STE come before STE.MEV counts and are merged always; C_BAD_CD obeys it", () => {
    const made = machine();
    for (const sid of [0x1000, 0x1000, 3, 3, 2, 2]) made.go(sid, VA);
    expect(numbers(made)).toEqual([0x02, 0x04, 0x0a]);
    made.streams.write(4, stage1Ste(made.place(new Uint32Array(16)), { MEV: 0 }));
    made.go(4, VA);
    made.go(4, VA);
    expect(numbers(made)).toEqual([0x02, 0x04, 0x0a, 0x0a, 0x0a]);
  });

  test("§7.3.1: STE.MEV of one stream does not decide for the next one", () => {
    const made = machine();
    made.go(0, VA);
    made.go(1, VA);
    made.go(1, VA);
    made.go(0, VA);
    made.go(0, VA);
    expect(made.events.map((words) => words[1])).toEqual([0, 1, 1, 0]);
  });

  test("§7.3.1: events that some time separates are not merged", () => {
    const made = machine();
    made.go(0, VA);
    made.simulation.advance(MERGE_WINDOW_NS);
    made.go(0, VA);
    expect(numbers(made)).toEqual([0x10]);
    made.simulation.advance(1);
    made.go(0, VA);
    expect(numbers(made)).toEqual([0x10, 0x10]);
  });

  test("an event after software has consumed the record is written", () => {
    const made = machine();
    made.go(0, VA);
    made.consumeEvents();
    made.go(0, VA);
    expect(numbers(made)).toEqual([0x10]);
  });

  test("switching the queue off and on ends merging", () => {
    const made = machine();
    made.go(0, VA);
    made.smmu.write(at.CR0, 4, 0x9);
    made.go(0, VA);
    expect(numbers(made)).toEqual([0x10]);
    made.smmu.write(at.CR0, 4, 0xd);
    made.go(0, VA);
    expect(numbers(made)).toEqual([0x10, 0x10]);
  });
});

describe("records", () => {
  /** A record of an event number with a value in one word. */
  function event(number: number, word = 0, value = 0): Uint32Array {
    const words = new Uint32Array(8);
    words[0] = number;
    words[word] = (words[word]! | value) >>> 0;
    return words;
  }
  const STALL = 0x8000_0000;
  const shared = new Bench(profiles.max, ON);
  shared.startEvents(4);
  /** Records written for these events. */
  function count(...events: Uint32Array[]): number {
    const before = shared.r32(at.EVENTQ_PROD);
    for (const words of events) expect(shared.side.events.record(words, true)).toBe(true);
    const after = shared.r32(at.EVENTQ_PROD);
    shared.w32(at.EVENTQ_CONS, after);
    return (after - before) & 31;
  }

  for (const number of [0x10, 0x11, 0x12, 0x13]) {
    test(`§7.3.1: event 0x${number.toString(16)} with Stall 1 is never merged`, () => {
      expect(count(event(number, 2, STALL), event(number, 2, STALL))).toBe(2);
      expect(count(event(number), event(number))).toBe(1);
    });
  }

  test("bit 95 of an event without a Stall field does not count as Stall", () => {
    expect(count(event(0x05, 2, STALL), event(0x05, 2, STALL))).toBe(1);
  });

  // §7.3.8, §7.3.12 … §7.3.17 name the events whose InputAddr[11:0] are ignored.
  const byPage = [0x07, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x20];
  for (const number of [0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x20, 0x21, 0x24, 0x25]) {
    test(`event 0x${number.toString(16)}: every bit counts${byPage.includes(number) ? ", InputAddr[11:0] excepted" : ""}`, () => {
      for (let bit = 8; bit < 256; bit++) {
        if (bit === 95) continue;
        const other = event(number, bit >> 5, 2 ** (bit & 31));
        const merged = byPage.includes(number) && bit >= 128 && bit < 140;
        expect([bit, count(event(number), other)]).toEqual([bit, merged ? 1 : 2]);
      }
    });
  }

  test("a full queue takes an event that its youngest record stands for, without an overflow", () => {
    const bench = new Bench(profiles.max, ON);
    bench.startEvents(0);
    bench.side.events.record(record(1), true);
    expect(bench.side.events.record(record(1), true)).toBe(true);
    expect(bench.r32(at.EVENTQ_PROD)).toBe(1);
    expect(bench.side.events.record(record(2), true)).toBe(false);
    expect(bench.r32(at.EVENTQ_PROD)).toBe((OVFLG | 1) >>> 0);
  });

  test("§7.2.1: with EVENTQEN 0 nothing is merged: the event is lost", () => {
    const bench = new Bench(profiles.max, ON);
    bench.startEvents(2);
    bench.side.events.record(record(1), true);
    bench.enable(0);
    expect(bench.side.events.record(record(1), true)).toBe(false);
    bench.enable(EVENTQEN);
    expect(bench.side.events.record(record(1), true)).toBe(true);
    expect(bench.r32(at.EVENTQ_PROD)).toBe(2);
  });

  test("both events have to be mergeable", () => {
    const bench = new Bench(profiles.max, ON);
    bench.startEvents(2);
    bench.side.events.record(record(1), false);
    bench.side.events.record(record(1), true);
    bench.side.events.record(record(1), false);
    expect(bench.r32(at.EVENTQ_PROD)).toBe(3);
  });
});
