// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import { BusStatus, profiles } from "../../../../src/hw/index.ts";
import { Bench, EVENTQ, EVENTQEN, EVENTQ_IRQEN, at, record } from "./bench.ts";

const OVFLG = 0x8000_0000;
const EVENTQ_ABT_ERR = 1 << 2;

function words(bench: Bench, index: number): number[] {
  return Array.from({ length: 8 }, (_, word) => bench.memory32(EVENTQ + 32 * index + 4 * word));
}

describe("Event queue", () => {
  test("IHI 0070 §7.2: a record is eight words, lowest first, at the index of PROD, which then moves on", () => {
    const bench = new Bench();
    bench.startEvents(3);
    expect(bench.side.events.record(record(1))).toBe(true);
    expect(bench.side.events.record(record(2))).toBe(true);
    expect(words(bench, 0)).toEqual([...record(1)]);
    expect(words(bench, 1)).toEqual([...record(2)]);
    expect(words(bench, 2)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    expect(bench.r32(at.EVENTQ_PROD)).toBe(2);
  });

  test("IHI 0070 §7.2.1: with EVENTQEN 0 records are lost without an overflow", () => {
    const bench = new Bench();
    bench.startEvents(0);
    bench.enable(0);
    expect(bench.side.events.record(record(1))).toBe(false);
    expect(bench.r32(at.EVENTQ_PROD)).toBe(0);
    expect(words(bench, 0)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  test("IHI 0070 §6.3.9: EVENTQEN counts from its acknowledge on", () => {
    const bench = new Bench();
    bench.w64(at.EVENTQ_BASE, EVENTQ + 3, 0);
    bench.w32(at.CR0, EVENTQEN);
    expect(bench.side.events.record(record(1))).toBe(false);
    bench.settle();
    expect(bench.side.events.record(record(1))).toBe(true);
  });

  test.each([0, 1, 2, 4])("IHI 0070 §3.5.1: a queue of 2^%i records goes round three times with its wrap flag", (log2) => {
    const bench = new Bench();
    const size = 2 ** log2;
    bench.startEvents(log2);
    for (let turn = 1; turn <= 3 * size; turn++) {
      expect(bench.side.events.record(record(turn))).toBe(true);
      expect(words(bench, (turn - 1) % size)).toEqual([...record(turn)]);
      expect(bench.r32(at.EVENTQ_PROD)).toBe(turn % (2 * size));
      bench.w32(at.EVENTQ_CONS, turn % (2 * size));
    }
  });

  test.each([0, 2])("IHI 0070 §7.4: a record for a full queue of 2^%i is dropped and OVFLG toggles once", (log2) => {
    const bench = new Bench();
    const size = 2 ** log2;
    bench.startEvents(log2);
    for (let tag = 1; tag <= size; tag++) bench.side.events.record(record(tag));
    expect(bench.r32(at.EVENTQ_PROD)).toBe(size);
    expect(bench.side.events.record(record(99))).toBe(false);
    expect(bench.r32(at.EVENTQ_PROD)).toBe((OVFLG | size) >>> 0);
    expect(bench.side.events.record(record(98))).toBe(false);
    expect(bench.r32(at.EVENTQ_PROD)).toBe((OVFLG | size) >>> 0);
    expect(words(bench, 0)).toEqual([...record(1)]);
    expect(bench.activeErrors).toBe(0);
  });

  test("IHI 0070 §7.4: records are written again when there is space, acknowledged or not; OVACKFLG arms the next overflow", () => {
    const bench = new Bench();
    bench.startEvents(0);
    bench.side.events.record(record(1));
    bench.side.events.record(record(2));
    bench.w32(at.EVENTQ_CONS, 1);
    expect(bench.side.events.record(record(3))).toBe(true);
    expect(bench.r32(at.EVENTQ_PROD)).toBe(OVFLG);
    bench.side.events.record(record(4));
    expect(bench.r32(at.EVENTQ_PROD)).toBe(OVFLG);
    bench.w32(at.EVENTQ_CONS, (OVFLG | 1) >>> 0);
    bench.side.events.record(record(5));
    expect(bench.r32(at.EVENTQ_PROD)).toBe(0);
  });

  test("IHI 0070 §3.5.1: inconsistent indexes count as full, and a lint message says so", () => {
    const bench = new Bench();
    bench.startEvents(2);
    bench.w32(at.EVENTQ_CONS, 1);
    expect(bench.lint).toEqual(["cons-inconsistent"]);
    expect(bench.side.events.record(record(1))).toBe(false);
    expect(bench.accesses).toEqual([]);
    expect(bench.r32(at.EVENTQ_PROD)).toBe(OVFLG);
  });

  test("IHI 0070 §7.2.2: an abort of the write raises EVENTQ_ABT_ERR; PROD stays, no queue interrupt, nothing more is written", () => {
    const bench = new Bench();
    bench.startEvents(2);
    bench.enableInterrupts(EVENTQ_IRQEN);
    const stop = bench.bus.inject({ base: EVENTQ, size: 32, status: BusStatus.abort, on: "write" });
    expect(bench.side.events.record(record(1))).toBe(false);
    expect(bench.activeErrors).toBe(EVENTQ_ABT_ERR);
    expect(bench.r32(at.EVENTQ_PROD)).toBe(0);
    expect(bench.pulses).toEqual([]);
    stop();
    expect(bench.side.events.record(record(2))).toBe(false);
    expect(bench.r32(at.EVENTQ_PROD)).toBe(0);
    bench.w32(at.GERRORN, EVENTQ_ABT_ERR);
    expect(bench.side.events.record(record(3))).toBe(true);
    expect(words(bench, 0)).toEqual([...record(3)]);
  });

  test("IHI 0070 §3.18.2: the interrupt comes when the queue turns from empty to non-empty, not at further records", () => {
    const bench = new Bench();
    bench.startEvents(3);
    bench.enableInterrupts(EVENTQ_IRQEN);
    bench.side.events.record(record(1));
    bench.side.events.record(record(2));
    expect(bench.pulses).toEqual(["eventq"]);
    bench.w32(at.EVENTQ_CONS, 1);
    bench.side.events.record(record(3));
    expect(bench.pulses).toEqual(["eventq"]);
    bench.w32(at.EVENTQ_CONS, 3);
    bench.side.events.record(record(4));
    expect(bench.pulses).toEqual(["eventq", "eventq"]);
  });

  test("IHI 0070 §3.5.2: the record and PROD are visible when the interrupt is", () => {
    const bench = new Bench();
    bench.startEvents(3);
    bench.w64(at.EVENTQ_IRQ_CFG0, EVENTQ + 0x1000, 0);
    bench.enableInterrupts(EVENTQ_IRQEN);
    const seen: number[] = [];
    bench.trace.on("smmu.access", ({ data }) => {
      if (data.access === "msi") seen.push(bench.r32(at.EVENTQ_PROD), bench.memory32(EVENTQ));
    });
    bench.side.events.record(record(1));
    expect(seen).toEqual([1, record(1)[0]]);
  });

  test("IHI 0070 §6.3.29: LOG2SIZE is capped by IDR1.EVENTQS in use", () => {
    const bench = new Bench({ ...profiles.max, eventqLog2Max: 1 });
    bench.startEvents(4);
    bench.side.events.record(record(1));
    bench.side.events.record(record(2));
    expect(bench.side.events.record(record(3))).toBe(false);
    expect(bench.r32(at.EVENTQ_PROD)).toBe((OVFLG | 2) >>> 0);
  });
});
