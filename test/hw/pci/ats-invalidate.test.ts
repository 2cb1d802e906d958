// SPDX-License-Identifier: MIT
/** Invalidate Requests at a function and on their way to it (PCI Express Base, 10.3). */
import { describe, expect, it } from "vitest";
import { HostMisuseError, RootPort } from "../../../src/hw/index.ts";
import { AtsFunctionUnderTest, AtsMachine, EVERYTHING } from "./ats-support.ts";
import { BME, MEM } from "./support.ts";

const A = 0x10_0000;
const TO = 0x8000_0000;

/** Four pages are cached: of no PASID at A and A + 0x1000, of PASIDs 1 and 2 at A; and a global one of PASID 1 at A + 0x2000. */
function filled(globalInvalidate = true): AtsMachine {
  const m = new AtsMachine({ extended: { ...EVERYTHING, ats: { globalInvalidate } } });
  const fill = (address: number, substreamId: number, global = false): void => {
    m.agent.map(address, { to: TO, global }, substreamId);
    m.read(address, 4, substreamId === -1 ? {} : { substreamId });
  };
  fill(A, -1);
  fill(A + 0x1000, -1);
  fill(A, 1);
  fill(A, 2);
  fill(A + 0x2000, 1, true);
  return m;
}

/** What is left: PASID and page. */
function left(m: AtsMachine): string[] {
  return m.dev.ats!.cache.entries.map(({ substreamId, base }) => `${substreamId}@${(base - A) / 0x1000}`).toSorted();
}
const ALL = ["-1@0", "-1@1", "1@0", "1@2", "2@0"];

describe("10.3.8: what is dropped", () => {
  it("begins with all five", () => {
    expect(left(filled())).toEqual(ALL);
  });

  it("without a PASID: entries without one in the range, and entries of any PASID at all addresses", () => {
    const m = filled();
    expect(m.invalidate(A + 0x1000)).toEqual(["completed"]);
    expect(left(m)).toEqual(["-1@0"]);
  });

  it("with a PASID: its entries in the range, not global ones", () => {
    const m = filled();
    m.invalidate(A, { pasid: 1, size: 16 });
    expect(left(m)).toEqual(["-1@0", "-1@1", "1@2", "2@0"]);
  });

  it("with a PASID and Global: entries of any PASID in the range, global ones too", () => {
    const m = filled();
    m.invalidate(A, { pasid: 1, size: 16, global: true });
    expect(left(m)).toEqual(["-1@0", "-1@1"]);
  });

  it("Global is ignored by a function that does not know it, and such a function makes no global entry", () => {
    const m = filled(false);
    m.invalidate(A, { pasid: 1, size: 16, global: true });
    expect(left(m)).toEqual(["-1@0", "-1@1", "2@0"]);
  });

  it("a global entry serves every PASID, and no request without one", () => {
    const m = filled();
    m.agent.requests.length = 0;
    m.read(A + 0x2000, 4, { substreamId: 9 });
    expect(m.agent.requests).toHaveLength(0);
    m.read(A + 0x2000);
    expect(m.agent.requests).toHaveLength(1);
  });

  it("the whole of the address space is a range", () => {
    const m = filled();
    m.invalidate(0, { size: 64 });
    expect(left(m)).toEqual([]);
  });

  it("10.2.3.1: an entry that the range overlaps in part goes whole", () => {
    const m = new AtsMachine();
    m.agent.map(A, { to: TO, sizeLog2: 16 });
    m.read(A);
    m.invalidate(A + 0x3000);
    expect(m.dev.ats!.cache.size).toBe(0);
  });

  it("10.3.1: a range below the smallest unit is rounded up", () => {
    const m = new AtsMachine({ off: true });
    m.enableAts(4);
    m.agent.map(A, { to: TO, sizeLog2: 16 });
    m.read(A);
    m.invalidate(A + 0xf000);
    expect(m.dev.ats!.cache.size).toBe(0);
  });

  it("nothing, where nothing matches: it completes all the same", () => {
    const m = filled();
    expect(m.invalidate(A, { pasid: 77 })).toEqual(["completed"]);
    expect(left(m)).toEqual(ALL);
  });

  it("a PASID that does not fit is unsupported", () => {
    expect(filled().invalidate(A, { pasid: 256 })).toEqual(["unsupported-request"]);
  });
});

describe("10.3.2 to 10.3.4: who answers", () => {
  it("a function with ATS disabled completes", () => {
    const m = new AtsMachine({ off: true });
    expect(m.invalidate(A)).toEqual(["completed"]);
  });

  it("bus mastering off does not matter", () => {
    const m = new AtsMachine();
    m.config.command(MEM);
    expect(m.invalidate(A)).toEqual(["completed"]);
  });

  it("a function without ATS: unsupported", () => {
    expect(new AtsMachine({ extended: { aer: true }, off: true }).invalidate(A)).toEqual(["unsupported-request"]);
    expect(new AtsMachine({ extended: { pasid: { width: 4 } }, off: true }).invalidate(A)).toEqual(["unsupported-request"]);
  });

  it("no function: unsupported", () => {
    expect(new AtsMachine().invalidate(A, { requester: 0x10 })).toEqual(["unsupported-request"]);
  });

  it("a function in D3hot does not: the root complex gives up after 90 s", () => {
    const m = new AtsMachine();
    m.config.write(m.dev.capabilities.pm + 4, 3, 2);
    const ends = m.invalidate(A);
    m.pass(89e9);
    expect(ends).toEqual([]);
    m.pass(1e9);
    expect(ends).toEqual(["timeout"]);
  });

  it("a reset loses what is under way; the timeout is the root complex's", () => {
    const m = new AtsMachine({ invalidateNs: 1000, invalidateTimeoutNs: 5000, functionLevelReset: true });
    const ends = m.invalidate(A);
    m.config.write(m.dev.capabilities.express + 8, 0x8000, 2);
    m.pass(4999);
    expect(ends).toEqual([]);
    m.pass(1);
    expect(ends).toEqual(["timeout"]);
  });

  it("the function that a reset began anew answers again", () => {
    const m = new AtsMachine({ invalidateNs: 1000, functionLevelReset: true });
    m.invalidate(A);
    m.config.write(m.dev.capabilities.express + 8, 0x8000, 2);
    const ends = m.invalidate(A);
    m.pass(1000);
    expect(ends).toEqual(["completed"]);
  });
});

describe("10.3.5: time and flow control", () => {
  it("what is covered is used until the request is completed, and not afterwards", () => {
    const m = new AtsMachine({ invalidateNs: 1000 });
    m.agent.map(A, { to: TO });
    m.read(A);
    const ends = m.invalidate(A);
    m.pass(999);
    m.read(A);
    expect([ends, m.agent.requests.length]).toEqual([[], 1]);
    m.pass(1);
    m.read(A);
    expect([ends, m.agent.requests.length]).toEqual([["completed"], 2]);
  });

  it("requests are completed one after the other, in order", () => {
    const m = new AtsMachine({ invalidateNs: 1000 });
    const [first, second] = [m.invalidate(A), m.invalidate(A)];
    m.pass(1000);
    expect([first, second]).toEqual([["completed"], []]);
    m.pass(1000);
    expect(second).toEqual(["completed"]);
  });

  it("beyond the depth of its queue they stand on the link until there is room", () => {
    const m = new AtsMachine({ invalidateNs: 1000, extended: { ats: { queueDepth: 2 } } });
    const ends = [m.invalidate(A), m.invalidate(A), m.invalidate(A)];
    expect([m.dev.ats!.invalidatesOutstanding, m.dev.ats!.messagesHeldUp]).toEqual([2, 1]);
    m.pass(1000);
    expect([m.dev.ats!.invalidatesOutstanding, m.dev.ats!.messagesHeldUp]).toEqual([2, 0]);
    m.pass(2000);
    expect(ends).toEqual([["completed"], ["completed"], ["completed"]]);
  });

  it("a request may be sent from within the end of another", () => {
    const m = new AtsMachine({ invalidateNs: 1000 });
    let second: string[] = [];
    m.root
      .atsFunction(0x08)
      .invalidate({ substreamId: -1, global: false, addressHi: 0, addressLo: A, sizeLog2: 12 }, () => (second = m.invalidate(A)));
    m.pass(1000);
    expect(second).toEqual([]);
    m.pass(1000);
    expect(second).toEqual(["completed"]);
  });

  it("processing that takes time needs the time", () => {
    const m = new AtsMachine();
    expect(() => new AtsFunctionUnderTest({ trace: m.trace, extended: { ats: {} }, ats: { invalidateNs: 1 } })).toThrow(HostMisuseError);
  });
});

describe("below a root port", () => {
  function behind(): { m: AtsMachine; port: RootPort; dev: AtsFunctionUnderTest; answer: (requester: number) => string[] } {
    const m = new AtsMachine();
    const port = new RootPort({ name: "port", trace: m.trace, downstream: 1 });
    m.root.addFunction(0, 2, 0, port);
    const dev = new AtsFunctionUnderTest({ name: "below", trace: m.trace, extended: { ats: {} } });
    m.root.addFunction(1, 0, 0, dev);
    return { m, port, dev, answer: (requester) => m.invalidate(A, { requester }) };
  }

  it("the bus number that software gave the link routes", () => {
    const { port, answer } = behind();
    expect(answer(0x100)).toEqual(["completed"]);
    port.configWrite(0x18, 4, 0x0003_0300);
    expect(answer(0x100)).toEqual(["unsupported-request"]);
    expect(answer(0x300)).toEqual(["completed"]);
  });

  it("the port's bus mastering does not matter: messages are no memory requests", () => {
    const { port, answer } = behind();
    expect(port.busMaster).toBe(false);
    expect(answer(0x100)).toEqual(["completed"]);
  });

  it("a secondary bus that is held in reset, or a port in D3hot, lets nothing through", () => {
    for (const [offset, value] of [
      [0x3e, 0x40],
      [0x44, 3],
    ] as const) {
      const { m, port, answer } = behind();
      port.configWrite(offset, 2, value);
      const ends = answer(0x100);
      m.pass(90e9);
      expect(ends).toEqual(["timeout"]);
    }
  });

  it("a port without bus mastering lets neither Translation Requests nor translated requests up", () => {
    const { m, port, dev } = behind();
    dev.configWrite(4, 2, BME);
    dev.configWrite(dev.extended.ats + 6, 2, 0x8000);
    dev.dma.write(A, new Uint8Array(4));
    expect([m.agent.requests.length, m.left.length]).toEqual([0, 0]);
    port.configWrite(4, 2, BME);
    m.agent.map(A, { to: TO });
    dev.dma.write(A, new Uint8Array(4));
    port.configWrite(4, 2, 0);
    dev.dma.write(A, new Uint8Array(4));
    expect(m.left.map(({ translated }) => translated)).toEqual([true]);
  });
});
