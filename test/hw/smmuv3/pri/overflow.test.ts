// SPDX-License-Identifier: MIT
/** Overflow of the PRI queue, and the responses that the SMMU then makes by itself (IHI 0070 §8.1). */
import { describe, expect, test } from "vitest";
import { abortSte, BusStatus, buildSte, bypassSte, EventNumber } from "../../../../src/hw/index.ts";
import { at, type BenchOptions, FAILURE, OVFLG, PriBench, stopMarker, SUCCESS } from "./bench.ts";

const REC_CFG_ATS = 8;
const RECINVSID = 2;
const STREAM = 5;
const PASID = 0x321;

/** A full queue of four. */
function full(options: BenchOptions = {}): PriBench {
  const bench = new PriBench(options).start(2);
  bench.fill(4);
  expect(bench.prod).toBe(4);
  bench.accesses.length = 0;
  return bench;
}

const overflowed = (4 | OVFLG) >>> 0;

describe("the overflow condition", () => {
  test("IHI 0070 §8.1: a request for a full queue is not written and toggles OVFLG once", () => {
    const bench = full();
    const entries = [0, 1, 2, 3].map((i) => bench.entry(i));
    bench.ask(9, { last: false });
    expect(bench.prod).toBe(overflowed);
    bench.ask(9, { last: false });
    expect(bench.prod).toBe(overflowed);
    expect([0, 1, 2, 3].map((i) => bench.entry(i))).toEqual(entries);
    expect(bench.accesses).toEqual([]);
    expect(bench.activeErrors).toBe(0);
  });

  test("IHI 0070 §8.1: while it is active nothing is written, even when there is space", () => {
    const bench = full();
    bench.ask(9);
    bench.w32(at.PRIQ_CONS, 4);
    bench.ask(9);
    expect(bench.prod).toBe(overflowed);
    expect(bench.accesses).toEqual([]);
  });

  test("IHI 0070 §8.1: one write of CONS consumes and acknowledges; then requests are written again", () => {
    const bench = full();
    bench.ask(9);
    bench.w32(at.PRIQ_CONS, overflowed);
    bench.ask(0xa);
    expect(bench.prod).toBe((OVFLG | 5) >>> 0);
    expect(bench.entry(0)[0] & 0xffff_ffffn).toBe(0xan);
  });

  test("IHI 0070 §6.3.97: the next overflow toggles OVFLG back", () => {
    const bench = full();
    bench.ask(9);
    bench.w32(at.PRIQ_CONS, overflowed);
    bench.fill(4);
    bench.ask(9);
    expect(bench.prod).toBe(0);
    bench.w32(at.PRIQ_CONS, 0);
    bench.ask(9);
    expect(bench.prod).toBe(1);
  });

  test("IHI 0070 §6.3.97: acknowledged without space, the next request overflows again", () => {
    const bench = full();
    bench.ask(9);
    bench.w32(at.PRIQ_CONS, OVFLG);
    bench.ask(9);
    expect(bench.prod).toBe(4);
  });

  test("IHI 0070 §6.3.97: an overflow is present whenever OVACKFLG differs from OVFLG, however that came about", () => {
    const bench = new PriBench().start(2);
    bench.w32(at.PRIQ_CONS, OVFLG);
    bench.ask(STREAM, { groupIndex: 3 });
    expect(bench.prod).toBe(0);
    expect(bench.responses).toEqual([[STREAM, -1, 3, SUCCESS]]);
  });

  test("IHI 0070 §8.1: a queue that is off does not overflow", () => {
    const bench = full();
    bench.cr0(0);
    bench.ask(9);
    expect(bench.prod).toBe(4);
  });

  test("IHI 0070 §8.1: a Stop Marker that finds the queue full is a PRI message, too: it is lost with an overflow", () => {
    const bench = full();
    bench.smmu.requestPage(STREAM, stopMarker(PASID));
    expect(bench.prod).toBe(overflowed);
  });

  test("IHI 0070 §8: an overflow is somebody's mistake, which a lint message names once", () => {
    const bench = full();
    bench.ask(9);
    bench.ask(9);
    expect(bench.lint).toEqual(["priq-overflow"]);
  });
});

describe("who is answered", () => {
  test("IHI 0070 §8.1: the request that causes the overflow and those after it, if they are the last of their group", () => {
    const bench = full();
    bench.ask(STREAM, { groupIndex: 1 });
    bench.ask(STREAM + 1, { groupIndex: 2, last: false });
    bench.ask(STREAM + 2, { groupIndex: 3 });
    expect(bench.responses).toEqual([
      [STREAM, -1, 1, SUCCESS],
      [STREAM + 2, -1, 3, SUCCESS],
    ]);
  });

  test("IHI 0070 §8.1: requests that are not the last of their group are silently lost", () => {
    const bench = full();
    bench.ask(STREAM, { last: false });
    expect(bench.responses).toEqual([]);
  });

  test.each([true, false])("IHI 0070 §8.1, §8.2: a Stop Marker never, PPS %s", (pps) => {
    const bench = full({ config: { pps } });
    bench.smmu.requestPage(STREAM, stopMarker(PASID));
    bench.smmu.requestPage(STREAM, stopMarker(PASID));
    expect(bench.responses).toEqual([]);
  });

  test("IHI 0070 §8: LWR 0b100 without a PASID is a request and is answered", () => {
    const bench = full();
    bench.smmu.requestPage(STREAM, { ...stopMarker(0, 7), substreamId: -1 });
    expect(bench.responses).toEqual([[STREAM, -1, 7, SUCCESS]]);
  });

  test("IHI 0070 §8.1: those that were written are not", () => {
    const bench = new PriBench().start();
    bench.ask(STREAM);
    expect(bench.responses).toEqual([]);
  });
});

describe("the PASID of the response", () => {
  test("IHI 0070 §8.1: none for a request without one, Success, whatever the STE is", () => {
    const bench = full();
    bench.ask(STREAM, { groupIndex: 0x1ff });
    bench.streams.write(STREAM, bypassSte({ PPAR: 1 }));
    bench.ask(STREAM, { groupIndex: 0 });
    expect(bench.responses).toEqual([
      [STREAM, -1, 0x1ff, SUCCESS],
      [STREAM, -1, 0, SUCCESS],
    ]);
    expect(bench.accesses).toEqual([]);
  });

  test("IHI 0070 §8.1: with IDR3.PPS 1 that of the request, Success, and the STE is not looked at", () => {
    const bench = full({ config: { pps: true } });
    expect((bench.r32(at.IDR3) >>> 5) & 1).toBe(1);
    bench.ask(STREAM, { substreamId: PASID, groupIndex: 3 });
    expect(bench.responses).toEqual([[STREAM, PASID, 3, SUCCESS]]);
    expect(bench.accesses).toEqual([]);
  });

  test.each([
    ["PPAR 1", bypassSte({ PPAR: 1 }), PASID],
    ["PPAR 0", bypassSte(), -1],
    ["PPAR 1, Config 0b000", abortSte({ PPAR: 1 }), PASID],
    ["PPAR 0, Config 0b000", abortSte(), -1],
  ])("IHI 0070 §8.1: with IDR3.PPS 0 a valid STE decides, Success: %s", (_what, ste, pasid) => {
    const bench = full();
    expect((bench.r32(at.IDR3) >>> 5) & 1).toBe(0);
    bench.streams.write(STREAM, ste);
    bench.ask(STREAM, { substreamId: PASID, groupIndex: 3 });
    expect(bench.responses).toEqual([[STREAM, pasid, 3, SUCCESS]]);
  });

  test("IHI 0070 §8.1: without substreams none, Success, and the STE is not looked at", () => {
    const bench = full({ config: { ssidSize: 0, pasidTt: false } });
    bench.ask(STREAM, { substreamId: PASID });
    expect(bench.responses).toEqual([[STREAM, -1, 0, SUCCESS]]);
    expect(bench.accesses).toEqual([]);
  });

  test("IHI 0070 §3.21.3, §8.1: an STE in the cache decides until it is invalidated", () => {
    const bench = full({ smmu: { detector: true } });
    bench.streams.write(STREAM, bypassSte({ PPAR: 1 }));
    bench.ask(STREAM, { substreamId: PASID });
    const stale: [number, string][] = [];
    bench.trace.on("smmu.stale-use", ({ data }) => stale.push([data.streamId, data.missing]));
    bench.streams.write(STREAM, bypassSte());
    bench.ask(STREAM, { substreamId: PASID });
    expect(stale).toEqual([[STREAM, expect.stringContaining("CMD_CFGI_STE")]]);
    bench.command(Uint32Array.of(3, STREAM, 1, 0));
    bench.ask(STREAM, { substreamId: PASID });
    expect(bench.responses.map(([, pasid]) => pasid)).toEqual([PASID, PASID, -1]);
  });
});

/** Streams whose STE cannot be checked, and the event that this is. */
const BAD: readonly (readonly [string, BenchOptions, (bench: PriBench) => number, EventNumber])[] = [
  ["the STE has V 0", {}, () => STREAM, EventNumber.C_BAD_STE],
  [
    "the STE is ILLEGAL",
    {
      config: {
        stage2: false,
        hyp: false,
        xnx: false,
        ptwnnc: false,
        vmw: false,
        mteperm: false,
        s2pi: false,
        s2po: false,
        the: false,
        splitStageAts: false,
      },
    },
    (bench) => {
      bench.streams.write(STREAM, buildSte({ V: 1, Config: 6, PPAR: 1 }));
      return STREAM;
    },
    EventNumber.C_BAD_STE,
  ],
  ["the StreamID is beyond the table", {}, () => 64, EventNumber.C_BAD_STREAMID],
  [
    "the level-1 descriptor has no array",
    { streams: { split: 6, log2Size: 10 } },
    (bench) => {
      bench.streams.setArray(STREAM, 0);
      return STREAM;
    },
    EventNumber.C_BAD_STREAMID,
  ],
  [
    "the fetch of the STE aborts",
    {},
    (bench) => {
      bench.streams.write(STREAM, bypassSte({ PPAR: 1 }));
      bench.bus.inject({ base: bench.streams.steAddress(STREAM), size: 64, status: BusStatus.abort, on: "read" });
      return STREAM;
    },
    EventNumber.F_STE_FETCH,
  ],
  [
    "the fetch of the level-1 descriptor aborts",
    { streams: { split: 6, log2Size: 10 } },
    (bench) => {
      bench.streams.write(STREAM, bypassSte({ PPAR: 1 }));
      bench.bus.inject({ base: bench.streams.level1Address(STREAM), size: 8, status: BusStatus.abort, on: "read" });
      return STREAM;
    },
    EventNumber.F_STE_FETCH,
  ],
];

describe("an STE that cannot be checked", () => {
  test.each(BAD)("IHI 0070 §8.1: Response Failure without PASID for the last of a group, if %s", (_what, options, prepare) => {
    const bench = full(options);
    const streamId = prepare(bench);
    bench.ask(streamId, { substreamId: PASID, groupIndex: 6 });
    bench.ask(streamId, { substreamId: PASID, groupIndex: 7, last: false });
    expect(bench.responses).toEqual([[streamId, -1, 6, FAILURE]]);
  });

  const CR2: readonly (readonly [string, number])[] = [
    ["neither bit", 0],
    ["RECINVSID", RECINVSID],
    ["REC_CFG_ATS", REC_CFG_ATS],
    ["both", REC_CFG_ATS | RECINVSID],
  ];
  for (const [name, cr2] of CR2) {
    test.each(BAD)(`IHI 0070 §8.1: CR2 with ${name}; the event that is recorded, if %s`, (_what, options, prepare, event) => {
      const bench = full(options);
      bench.cr0(0);
      bench.w32(at.CR2, cr2);
      bench.cr0(0xf);
      const streamId = prepare(bench);
      bench.ask(streamId, { substreamId: PASID });
      const recorded = (cr2 & REC_CFG_ATS) !== 0 && (event !== EventNumber.C_BAD_STREAMID || (cr2 & RECINVSID) !== 0);
      expect(bench.events).toEqual(recorded ? [[event, streamId, PASID]] : []);
      expect(bench.responses).toEqual([[streamId, -1, 0, FAILURE]]);
    });
  }

  test("IHI 0070 §6.3.1: without IDR0.ATSRECERR, CR2.REC_CFG_ATS is RES0 and nothing is recorded", () => {
    const bench = full({ config: { atsRecErr: false } });
    bench.cr0(0);
    bench.w32(at.CR2, REC_CFG_ATS | RECINVSID);
    bench.cr0(0xf);
    bench.ask(STREAM, { substreamId: PASID });
    expect(bench.r32(at.CR2)).toBe(RECINVSID);
    expect(bench.events).toEqual([]);
  });

  test("IHI 0070 §8.1: nothing is looked at, and so nothing recorded, for requests that get no PASID anyway", () => {
    const bench = full();
    bench.cr0(0);
    bench.w32(at.CR2, REC_CFG_ATS | RECINVSID);
    bench.cr0(0xf);
    bench.ask(STREAM);
    bench.ask(STREAM, { substreamId: PASID, last: false });
    bench.smmu.requestPage(STREAM, stopMarker(PASID));
    expect(bench.events).toEqual([]);
    expect(bench.responses).toEqual([[STREAM, -1, 0, SUCCESS]]);
  });
});
