// SPDX-License-Identifier: MIT
/** The Page Request Interface of a function (PCI Express Base, 10.4, 10.5.2). */
import { describe, expect, it } from "vitest";
import { DmaStatus, HostMisuseError, PageResponse, RootPort } from "../../../src/hw/index.ts";
import { ATS_AND_PRI, AtsFunctionUnderTest, AtsMachine, type AtsMachineOptions, EVERYTHING } from "./ats-support.ts";
import { BME, MEM } from "./support.ts";

const A = 0x10_0000;
const TO = 0x8000_0000;
const RETRY = 1000;

const RF = 1;
const UPRGI = 2;
const STOPPED = 0x100;

function machine(options: AtsMachineOptions = {}): AtsMachine {
  return new AtsMachine({ extended: ATS_AND_PRI, onFault: "page-request", ...options });
}

function respond(m: AtsMachine, groupIndex: number, code: PageResponse = PageResponse.success, substreamId = -1): void {
  m.root.atsFunction(0x08).respond({ substreamId, groupIndex, code });
}

/** A write of which the end is recorded. */
function fault(m: AtsMachine, address = A, substreamId?: number): number[] {
  const ends: number[] = [];
  const attributes = { onCompletion: (end: DmaStatus) => void ends.push(end), ...(substreamId === undefined ? {} : { substreamId }) };
  expect(m.write(address, 4, attributes)).toBe(DmaStatus.held);
  return ends;
}

describe("10.4: an access that no translation permits", () => {
  it("asks for the page, waits, and goes out by a fresh translation after Success", () => {
    const m = machine();
    const bytes = new Uint8Array(4).fill(7);
    const ends: number[] = [];
    expect(m.dev.dma.write(A + 8, bytes, { onCompletion: (end) => void ends.push(end) })).toBe(DmaStatus.held);
    bytes.fill(0);
    expect(m.agent.pages).toEqual([
      {
        substreamId: -1,
        addressHi: 0,
        addressLo: A,
        read: false,
        write: true,
        execute: false,
        privileged: false,
        last: true,
        groupIndex: 0,
      },
    ]);
    m.agent.map(A, { to: TO });
    respond(m, 0);
    expect([ends, m.left]).toEqual([[], []]);
    m.pass(RETRY);
    expect(ends).toEqual([DmaStatus.ok]);
    expect(m.left).toMatchObject([{ address: TO + 8, translated: true }]);
  });

  it("a read is answered `stalled`, and asks to read", () => {
    const m = machine();
    expect(m.read(A)).toBe(DmaStatus.stalled);
    expect(m.agent.pages).toMatchObject([{ read: true, write: false }]);
  });

  it("asks again as long as the page is not there, however often Success is said", () => {
    const m = machine();
    const ends = fault(m);
    for (let i = 0; i < 5; i++) {
      respond(m, i);
      m.pass(RETRY);
    }
    expect([ends, m.agent.pages.length]).toEqual([[], 6]);
  });

  it("a response from within the request does not bring it round in no time", () => {
    const m = machine();
    m.agent.onPage = ({ groupIndex }) => respond(m, groupIndex);
    fault(m);
    expect(m.agent.pages).toHaveLength(1);
    m.pass(RETRY);
    expect(m.agent.pages).toHaveLength(2);
  });

  it("Invalid Request: the access fails", () => {
    const m = machine();
    const ends = fault(m);
    respond(m, 0, PageResponse.invalidRequest);
    m.pass(0);
    expect(ends).toEqual([DmaStatus.abort]);
    expect(m.accesses).toMatchObject([{ address: A, outcome: "aborted" }]);
    expect(m.priStatus & RF).toBe(0);
  });

  it("with PRI not enabled the access fails at once", () => {
    const m = machine();
    m.disablePri();
    expect(m.write(A)).toBe(DmaStatus.abort);
    expect(m.agent.pages).toEqual([]);
  });

  it("a function without PRI cannot be one that asks", () => {
    expect(() => machine({ extended: { ats: {} } })).toThrow(HostMisuseError);
  });

  it("nor one without virtual time", () => {
    const { trace } = machine();
    expect(() => new AtsFunctionUnderTest({ trace, extended: ATS_AND_PRI, ats: { onFault: "page-request" } })).toThrow(HostMisuseError);
  });
});

describe("a group", () => {
  it("has all pages that the access lacks, Last on its last, and one index", () => {
    const m = machine();
    m.agent.map(A + 0x1000, { to: TO });
    m.write(A + 0xff0, 0x2020);
    expect(m.agent.pages.map(({ addressLo, last, groupIndex }) => [addressLo, last, groupIndex])).toEqual([
      [A, false, 0],
      [A + 0x2000, false, 0],
      [A + 0x3000, true, 0],
    ]);
  });

  it("asks to execute where the access does, which is a read", () => {
    const m = machine({ extended: EVERYTHING });
    m.read(A, 4, { substreamId: 3, instruction: true, privileged: true });
    expect(m.agent.pages).toMatchObject([{ substreamId: 3, read: true, write: false, execute: true, privileged: true }]);
  });

  it("takes an index that none outstanding has", () => {
    const m = machine();
    m.read(A);
    m.read(A + 0x1000);
    expect(m.agent.pages.map(({ groupIndex }) => groupIndex)).toEqual([0, 1]);
  });
});

describe("10.4: the allocation", () => {
  it("of pages, not of groups: what is beyond waits for a response", () => {
    const m = machine();
    m.disablePri();
    m.enablePri(2);
    m.read(A + 0xffc, 8);
    m.read(A + 0x5000);
    expect([m.agent.pages.length, m.dev.ats!.pages!.outstanding, m.dev.ats!.pages!.waiting]).toEqual([2, 2, 1]);
    respond(m, 0);
    expect(m.agent.pages.at(-1)).toMatchObject({ addressLo: A + 0x5000, groupIndex: 1, last: true });
  });

  it("a group of more pages than there is credit for asks for the first of them", () => {
    const m = machine();
    m.disablePri();
    m.enablePri(1);
    m.read(A + 0xffc, 8);
    expect(m.agent.pages).toMatchObject([{ addressLo: A, last: true }]);
  });

  it("is not above the capacity", () => {
    const m = machine({ extended: { ats: {}, pri: { capacity: 1 } } });
    m.read(A);
    m.read(A + 0x1000);
    expect(m.agent.pages).toHaveLength(1);
  });

  it("is that of when the interface was enabled", () => {
    const m = machine();
    m.config.write(m.dev.extended.pri + 12, 0, 4);
    m.read(A);
    expect(m.agent.pages).toHaveLength(1);
  });
});

describe("order", () => {
  it("writes behind a write that waits are held, reads stalled; all go in order when the page is there", () => {
    const m = machine();
    m.agent.map(A + 0x1000, { to: TO + 0x1000 });
    const ends: string[] = [];
    const told = (name: string) => ({ onCompletion: (end: DmaStatus) => void ends.push(`${name} ${end}`) });
    expect(m.write(A, 4, told("first"))).toBe(DmaStatus.held);
    expect(m.write(A + 0x1000, 4, told("second"))).toBe(DmaStatus.held);
    expect(m.read(A + 0x1004, 4, told("read"))).toBe(DmaStatus.stalled);
    expect(m.left).toEqual([]);
    m.agent.map(A, { to: TO });
    respond(m, 0);
    m.pass(RETRY);
    expect(m.left.map(({ address }) => address)).toEqual([TO, TO + 0x1000, TO + 0x1004]);
    expect(ends).toEqual(["first 0", "second 0", "read 0"]);
  });

  it("what carries another PASID passes", () => {
    const m = machine({ extended: EVERYTHING });
    m.agent.map(A, { to: TO }, 2);
    fault(m, A, 1);
    expect(m.write(A, 4, { substreamId: 2 })).toBe(DmaStatus.ok);
  });

  it("a read that waits holds up nothing", () => {
    const m = machine();
    m.agent.map(A + 0x1000, { to: TO });
    m.read(A);
    expect(m.write(A + 0x1000)).toBe(DmaStatus.ok);
  });

  it("a second write that lacks its page waits at the head in its turn", () => {
    const m = machine();
    const [first, second] = [fault(m), fault(m, A + 0x1000)];
    expect(m.agent.pages).toHaveLength(1);
    m.agent.map(A, { to: TO });
    respond(m, 0);
    m.pass(RETRY);
    expect([first, second, m.agent.pages.length]).toEqual([[DmaStatus.ok], [], 2]);
    m.agent.map(A + 0x1000, { to: TO });
    respond(m, 1);
    m.pass(RETRY);
    expect(second).toEqual([DmaStatus.ok]);
  });

  it("an MSI does not overtake a write without PASID that waits", () => {
    const m = machine();
    const ends = fault(m);
    m.bus.write(0x5000_0000, 4, 0);
    m.config.write(0x10 + 12, 0x5000_0000, 4);
    m.config.command(BME | MEM);
    for (const [i, word] of [0x1234_5000, 0, 1, 0].entries()) m.bus.write(0x5000_0000 + 4 * i, 4, word);
    m.config.write(m.dev.capabilities.msix + 2, 0x8000, 2);
    m.dev.raiseMsix(0);
    expect(m.left).toEqual([]);
    m.agent.map(A, { to: TO });
    respond(m, 0);
    m.pass(RETRY);
    expect(ends).toEqual([DmaStatus.ok]);
    expect(m.left.map(({ address, translated }) => [address, translated])).toEqual([
      [TO, true],
      [0x1234_5000, false],
    ]);
  });

  it("the end of one that waited does not let others past a write that an SMMU stalls", () => {
    const m = machine({ extended: EVERYTHING });
    m.agent.map(A, { to: TO, untranslatedOnly: true }, 2);
    const waited = fault(m, A, 1);
    m.answers.push(DmaStatus.stalled);
    m.write(A, 4, { substreamId: 2 });
    expect(m.write(A + 8, 4, { substreamId: 2 })).toBe(DmaStatus.held);
    m.agent.map(A, { to: TO + 0x1000 }, 1);
    respond(m, 0);
    m.pass(RETRY);
    expect(m.left.map(({ address }) => address)).toEqual([A, TO + 0x1000]);
    m.stalled[0]!(DmaStatus.ok);
    expect(m.left.map(({ address }) => address)).toEqual([A, TO + 0x1000, A + 8]);
    expect(waited).toEqual([DmaStatus.ok]);
  });
});

describe("Table 10-8: Response Failure", () => {
  it("sets RF, fails what waits, and turns the interface off though ENABLE reads 1", () => {
    const m = machine();
    const ends = [fault(m), fault(m, A + 0x1000)];
    respond(m, 0, PageResponse.failure);
    m.pass(0);
    expect(ends[0]).toEqual([DmaStatus.abort]);
    expect(m.priStatus & RF).toBe(RF);
    expect(m.config.read(m.dev.extended.pri + 4, 2)).toBe(1);
    expect(m.agent.pages).toHaveLength(1);
    expect(m.write(A)).toBe(DmaStatus.abort);
  });

  it("need not carry the index of a request", () => {
    const m = machine();
    fault(m);
    respond(m, 300, PageResponse.failure);
    expect(m.priStatus & (RF | UPRGI)).toBe(RF);
  });

  it("later responses are ignored, without UPRGI, until ENABLE goes from 0 to 1, which clears RF", () => {
    const m = machine();
    fault(m);
    respond(m, 0, PageResponse.failure);
    respond(m, 0);
    expect(m.priStatus & UPRGI).toBe(0);
    m.disablePri();
    m.enablePri();
    expect(m.priStatus & (RF | STOPPED)).toBe(0);
    m.pass(0);
    m.read(A + 0x4000);
    expect(m.agent.pages.at(-1)).toMatchObject({ addressLo: A + 0x4000 });
  });

  it("a code that is not used acts as one", () => {
    const m = machine();
    fault(m);
    respond(m, 0, 0b0101 as PageResponse);
    expect(m.priStatus & RF).toBe(RF);
  });
});

describe("Table 10-15: UPRGI", () => {
  it("is set by a response of which nothing is outstanding; a written 1 clears it", () => {
    const m = machine();
    respond(m, 5);
    expect(m.priStatus & UPRGI).toBe(UPRGI);
    m.config.write(m.dev.extended.pri + 6, UPRGI, 2);
    expect(m.priStatus & UPRGI).toBe(0);
  });

  it("a second response to one group is unexpected", () => {
    const m = machine();
    fault(m);
    respond(m, 0);
    expect(m.priStatus & UPRGI).toBe(0);
    respond(m, 0);
    expect(m.priStatus & UPRGI).toBe(UPRGI);
  });

  it("PRG Response PASID Required: the PASID has to be that of the request", () => {
    for (const [responsePasid, answered] of [
      [true, 0],
      [false, 1],
    ] as const) {
      const m = machine({ extended: { ...EVERYTHING, pri: { capacity: 8, responsePasid } } });
      m.read(A, 4, { substreamId: 3 });
      respond(m, 0, PageResponse.success, 4);
      expect([m.priStatus & UPRGI, m.dev.ats!.pages!.outstanding]).toEqual(answered ? [0, 0] : [UPRGI, 1]);
      if (answered) continue;
      respond(m, 0, PageResponse.success, 3);
      expect(m.dev.ats!.pages!.outstanding).toBe(0);
    }
  });
});

describe("Table 10-15: STOPPED", () => {
  it("reads 1 after reset, 0 once enabled", () => {
    const m = machine({ off: true });
    expect(m.priStatus).toBe(STOPPED);
    m.enablePri();
    expect(m.priStatus).toBe(0);
  });

  it("is set at once by a disable with nothing outstanding", () => {
    const m = machine();
    m.disablePri();
    expect(m.priStatus).toBe(STOPPED);
  });

  it("or with the last response; until then nothing new goes out, and what waited for credit fails", () => {
    const m = machine();
    m.disablePri();
    m.enablePri(1);
    fault(m);
    m.read(A + 0x9000);
    m.disablePri();
    expect(m.priStatus).toBe(0);
    respond(m, 0);
    expect([m.priStatus, m.agent.pages.length]).toEqual([STOPPED, 1]);
  });

  it("or by a Response Failure while stopping", () => {
    const m = machine();
    fault(m);
    m.disablePri();
    respond(m, 0, PageResponse.failure);
    expect(m.priStatus).toBe(STOPPED | RF);
  });
});

describe("Table 10-14: RESET", () => {
  it("with ENABLE clear forgets what is outstanding and sets STOPPED; what waits fails; it reads as 0", () => {
    const m = machine();
    const ends = fault(m);
    m.disablePri();
    m.config.write(m.dev.extended.pri + 4, 2, 2);
    m.pass(0);
    expect([m.priStatus, m.dev.ats!.pages!.outstanding, ends]).toEqual([STOPPED, 0, [DmaStatus.abort]]);
    expect(m.config.read(m.dev.extended.pri + 4, 2)).toBe(0);
  });

  it("in the write that clears ENABLE", () => {
    const m = machine();
    fault(m);
    m.config.write(m.dev.extended.pri + 4, 2, 4);
    expect(m.priStatus).toBe(STOPPED);
  });

  it("with ENABLE set does nothing", () => {
    const m = machine();
    fault(m);
    m.config.write(m.dev.extended.pri + 4, 3, 2);
    expect([m.priStatus, m.dev.ats!.pages!.outstanding]).toEqual([0, 1]);
  });
});

describe("10.4.1.2: a PASID is stopped", () => {
  it("with a Stop Marker: it goes out last, takes no credit, and is done at once; stale responses return credit only", () => {
    const m = machine({ extended: EVERYTHING });
    const ends = fault(m, A, 3);
    let stopped = false;
    m.dev.stop(3, true, () => (stopped = true));
    expect(m.agent.pages.at(-1)).toMatchObject({ substreamId: 3, last: true, read: false, write: false });
    expect([stopped, m.dev.ats!.pages!.outstanding, ends]).toEqual([true, 1, [DmaStatus.dropped]]);
    m.agent.map(A, { to: TO }, 3);
    respond(m, 0, PageResponse.success, 3);
    m.pass(RETRY);
    expect([m.dev.ats!.pages!.outstanding, m.left, m.priStatus]).toEqual([0, [], 0]);
  });

  it("without one: done with the last response", () => {
    const m = machine({ extended: EVERYTHING });
    fault(m, A, 3);
    let stopped = false;
    m.dev.stop(3, false, () => (stopped = true));
    expect([stopped, m.agent.pages.length]).toEqual([false, 1]);
    respond(m, 0, PageResponse.success, 3);
    expect(stopped).toBe(true);
  });

  it("10.3.7: its translations go, those of others stay", () => {
    const m = machine({ extended: EVERYTHING });
    for (const pasid of [3, 4]) {
      m.agent.map(A, { to: TO }, pasid);
      m.read(A, 4, { substreamId: pasid });
    }
    m.dev.stop(3, true, () => {});
    expect(m.dev.ats!.cache.entries.map(({ substreamId }) => substreamId)).toEqual([4]);
  });
});

describe("what may be sent when", () => {
  it("bus mastering goes while an access waits: it is dropped when its page is there", () => {
    const m = machine();
    const ends = fault(m);
    m.config.command(MEM);
    m.agent.map(A, { to: TO });
    respond(m, 0);
    m.pass(RETRY);
    expect([ends, m.left]).toEqual([[DmaStatus.dropped], []]);
  });

  it("a port above without bus mastering lets Page Requests pass: they are messages", () => {
    const m = new AtsMachine();
    const port = new RootPort({ name: "port", trace: m.trace, downstream: 1 });
    m.root.addFunction(0, 2, 0, port);
    const after = (ns: number, action: () => void): unknown => m.simulation.after(ns, action);
    const dev = new AtsFunctionUnderTest({ trace: m.trace, extended: EVERYTHING, ats: { onFault: "page-request", after } });
    m.root.addFunction(1, 0, 0, dev);
    for (const [offset, value] of [
      [dev.extended.pasid + 6, 1],
      [dev.extended.ats + 6, 0x8000],
      [dev.extended.pri + 12, 8],
      [dev.extended.pri + 4, 1],
    ] as const)
      dev.configWrite(offset, 2, value);
    dev.stop(3, true, () => {});
    expect(m.agent.pages).toHaveLength(1);
  });

  it("a reset of the function loses what waits, and its owner hears `dropped`", () => {
    const m = machine();
    const ends = [fault(m), fault(m, A + 0x1000)];
    m.root.reset();
    expect(ends).toEqual([[DmaStatus.dropped], [DmaStatus.dropped]]);
    m.config.command(BME | MEM);
    m.agent.map(A, { to: TO });
    m.pass(RETRY);
    expect(m.left).toEqual([]);
    expect(m.dev.dma.write(A, new Uint8Array(4))).toBe(DmaStatus.ok);
  });
});

it("a Response Failure turns the interface off: nothing more of its group goes out (10.4.2.1)", () => {
  const machine = new AtsMachine({ extended: ATS_AND_PRI, onFault: "page-request" });
  machine.agent.onPage = ({ groupIndex }) =>
    machine.root.atsFunction(0x08).respond({ substreamId: -1, groupIndex, code: PageResponse.failure });
  machine.read(0x5ff0, 0x2020);
  machine.pass(10_000);
  expect(machine.priStatus & 1).toBe(1);
  expect(machine.agent.pages).toHaveLength(1);
});
