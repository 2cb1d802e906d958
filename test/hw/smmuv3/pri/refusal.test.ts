// SPDX-License-Identifier: MIT
/** A PRI queue that is off, or in error: every request is refused (IHI 0070 §8.2, §6.3.9.5). */
import { describe, expect, test } from "vitest";
import { BusStatus, bypassSte } from "../../../../src/hw/index.ts";
import {
  ALL_ON,
  at,
  CMDQEN,
  EVENTQEN,
  FAILURE,
  GERROR_IRQEN,
  OVFLG,
  PriBench,
  PRIQ,
  PRIQ_ABT_ERR,
  PRIQ_IRQEN,
  PRIQEN,
  SMMUEN,
  stopMarker,
} from "./bench.ts";

const PASID = 0x321;

/** A request without and with PASID, of which one is not the last of its group; and a Stop Marker. */
function three(bench: PriBench): void {
  bench.ask(1, { groupIndex: 1, last: false });
  bench.ask(2, { groupIndex: 2, substreamId: PASID });
  bench.smmu.requestPage(3, stopMarker(PASID, 3));
}

/** All requests, without PASID; not the Stop Marker. */
const REFUSED = [
  [1, -1, 1, FAILURE],
  [2, -1, 2, FAILURE],
];

describe("a queue that is off", () => {
  const OFF: readonly (readonly [string, number])[] = [
    ["PRIQEN 0", ALL_ON & ~PRIQEN],
    ["SMMUEN 0, PRIQEN 1", ALL_ON & ~SMMUEN],
    ["both 0", CMDQEN | EVENTQEN],
  ];
  for (const pps of [false, true]) {
    test.each(OFF)(
      `IHI 0070 §8.2: all requests get Response Failure without PASID, a Stop Marker nothing: %s, PPS ${pps}`,
      (_what, cr0) => {
        const bench = new PriBench({ config: { pps } }).start(2, cr0);
        bench.streams.write(2, bypassSte({ PPAR: 1 }));
        bench.accesses.length = 0;
        three(bench);
        expect(bench.responses).toEqual(REFUSED);
        expect(bench.accesses).toEqual([]);
        expect(bench.prod).toBe(0);
      },
    );
  }

  test("IHI 0070 §6.3.9.5: CR0ACK.PRIQEN follows PRIQEN whatever SMMUEN is", () => {
    const bench = new PriBench().start(2, PRIQEN);
    expect(bench.r32(at.CR0ACK)).toBe(PRIQEN);
    bench.cr0(0);
    expect(bench.r32(at.CR0ACK)).toBe(0);
  });

  test("IHI 0070 §6.3.9: PRIQEN counts from its acknowledge on, and to its acknowledge", () => {
    const bench = new PriBench({ config: { timing: { commandNs: 100, updateNs: 200 } } }).start(2, SMMUEN);
    bench.w32(at.CR0, SMMUEN | PRIQEN);
    bench.ask(1);
    expect(bench.responses).toHaveLength(1);
    bench.settle();
    bench.ask(1);
    expect(bench.prod).toBe(1);
    bench.w32(at.CR0, SMMUEN);
    bench.ask(1);
    expect(bench.prod).toBe(2);
    bench.settle();
    bench.ask(1);
    expect(bench.prod).toBe(2);
    expect(bench.responses).toHaveLength(2);
  });

  test("IHI 0070 §6.3.9.5: what was written before PRIQEN was cleared stays in the queue, and the queue goes on from there", () => {
    const bench = new PriBench().start(2);
    bench.ask(1);
    bench.cr0(ALL_ON & ~PRIQEN);
    expect(bench.prod).toBe(1);
    bench.cr0(ALL_ON);
    bench.ask(2);
    expect(bench.prod).toBe(2);
    expect(bench.entry(1)[0] & 0xffff_ffffn).toBe(2n);
  });

  test("IHI 0070 §12.3: in Service Failure Mode the queue is not accessed; requests are refused (our choice)", () => {
    const bench = new PriBench().start(2);
    bench.smmu.failService();
    bench.accesses.length = 0;
    three(bench);
    expect(bench.responses).toEqual(REFUSED);
    expect(bench.accesses).toEqual([]);
  });

  test("IHI 0070 §6.3.1: an SMMU without PRI does not know page requests", () => {
    const bench = new PriBench({ config: { pri: false } }).start(2);
    three(bench);
    expect(bench.responses).toEqual([]);
    expect(bench.prod).toBe(0);
  });
});

describe("an abort of the write", () => {
  /** The first entry cannot be written. */
  function aborted(): [PriBench, () => void] {
    const bench = new PriBench().start(2);
    bench.interrupts(PRIQ_IRQEN | GERROR_IRQEN);
    const stop = bench.bus.inject({ base: PRIQ, size: 16, status: BusStatus.abort, on: "write" });
    return [bench, stop];
  }

  test("IHI 0070 §8.2: PRIQ_ABT_ERR becomes active; the request that could not be written gets Response Failure without PASID", () => {
    const [bench] = aborted();
    bench.ask(4, { substreamId: PASID, groupIndex: 9, last: false });
    expect(bench.activeErrors).toBe(PRIQ_ABT_ERR);
    expect(bench.responses).toEqual([[4, -1, 9, FAILURE]]);
  });

  test("IHI 0070 §8.2: a Stop Marker that could not be written gets nothing", () => {
    const [bench] = aborted();
    bench.smmu.requestPage(4, stopMarker(PASID));
    expect(bench.activeErrors).toBe(PRIQ_ABT_ERR);
    expect(bench.responses).toEqual([]);
  });

  test.each([0, 0x8000_0000])("IHI 0070 §7.2.2, §8.2, §6.3.36: PROD stays and there is no interrupt but that of GERROR, LO 0x%i", (lo) => {
    const bench = new PriBench().start(2);
    bench.w32(at.PRIQ_IRQ_CFG2, lo);
    bench.interrupts(PRIQ_IRQEN | GERROR_IRQEN);
    bench.bus.inject({ base: PRIQ, size: 16, status: BusStatus.abort, on: "write" });
    bench.ask(4);
    expect(bench.prod).toBe(0);
    expect(bench.pulses).toEqual(["gerror"]);
  });

  test("IHI 0070 §8.2: while it is active nothing is written, and all requests are refused", () => {
    const [bench, stop] = aborted();
    bench.ask(4);
    stop();
    bench.responses.length = 0;
    bench.accesses.length = 0;
    three(bench);
    expect(bench.responses).toEqual(REFUSED);
    expect(bench.accesses).toEqual([]);
  });

  test("IHI 0070 §7.5: once GERRORN acknowledges it, requests are written again", () => {
    const [bench, stop] = aborted();
    bench.ask(4);
    stop();
    bench.w32(at.GERRORN, PRIQ_ABT_ERR);
    expect(bench.activeErrors).toBe(0);
    bench.ask(5);
    expect(bench.prod).toBe(1);
    expect(bench.entry(0)[0] & 0xffff_ffffn).toBe(5n);
  });

  test("IHI 0070 §8.2: the error comes before an overflow: all are refused, and OVFLG stays", () => {
    const bench = new PriBench().start(1);
    bench.ask(7, { last: false });
    const stop = bench.bus.inject({ base: PRIQ + 16, size: 16, status: BusStatus.abort, on: "write" });
    bench.ask(7, { last: false });
    stop();
    bench.w32(at.PRIQ_CONS, OVFLG);
    bench.responses.length = 0;
    three(bench);
    expect(bench.responses).toEqual(REFUSED);
    expect(bench.prod).toBe(1);
  });

  test("IHI 0070 §7.5: an error that is still active when PRIQEN is set, or when software is done, is named", () => {
    const [bench] = aborted();
    bench.ask(4);
    bench.cr0(ALL_ON & ~PRIQEN);
    expect(bench.lint).toEqual([]);
    bench.cr0(ALL_ON);
    expect(bench.lint).toEqual(["gerror-unacknowledged"]);
    bench.smmu.audit();
    expect(bench.lint).toEqual(["gerror-unacknowledged", "gerror-unacknowledged"]);
  });

  test("IHI 0070 §7.2, §8.2: the error of one queue does not stop the other, nor the Command queue", () => {
    const [bench] = aborted();
    bench.ask(4);
    bench.bus.write(0x4000_0000, 4, 0);
    expect(bench.command(Uint32Array.of(0x46, 0, 0, 0))).toBe(1);
    expect(bench.activeErrors).toBe(PRIQ_ABT_ERR);
  });
});
