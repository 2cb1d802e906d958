// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import {
  BusStatus,
  type DmaEvents,
  DmaStatus,
  Outcome,
  type SmmuEvents,
  SmmuDmaPort,
  StalledTransaction,
  SystemBus,
  Transaction,
  Via,
  createSmmuHost,
} from "../../../../src/hw/index.ts";
import { Simulation, Trace } from "../../../../src/sim/index.ts";
import { RAM } from "./bench.ts";

const STREAM = 0x42;

/** An SMMU that decides by the page of the input address. */
class PageSmmu {
  readonly seen: string[] = [];
  readonly stalled: StalledTransaction[] = [];
  readonly pages = new Map<number, { outcome: Outcome; physical?: number; via?: Via }>();

  translate(tx: Transaction): Outcome {
    const address = tx.addressHi * 2 ** 32 + tx.addressLo;
    this.seen.push(
      `${tx.streamId} ${tx.substreamId} ${address.toString(16)} ${tx.write ? "w" : "r"}${tx.privileged ? "p" : ""}${tx.instruction ? "x" : ""}`,
    );
    const page = this.pages.get(Math.floor(address / 4096));
    if (page === undefined) return Outcome.abort;
    tx.physical = (page.physical ?? 0) + (address % 4096);
    tx.via = page.via ?? Via.stage1;
    if (page.outcome === Outcome.stalled) this.stalled.push((tx.stall = Object.assign(new StalledTransaction(), tx)));
    return page.outcome;
  }

  /** Ends the oldest stall: as another one, forwarded to `physical`, or with an answer. */
  end(outcome: Outcome, physical: number = 0): void {
    const held = this.stalled.shift()!;
    held.physical = physical;
    held.via = Via.stage1;
    held.onEnd!(outcome, held);
  }
}

function bench(): { smmu: PageSmmu; bus: SystemBus; port: SmmuDmaPort; trace: Trace<DmaEvents>; seen: DmaEvents["dma.access"][] } {
  const bus = new SystemBus();
  bus.addRam({ name: "ram", base: RAM, size: 0x10_0000 });
  const trace = new Trace<DmaEvents>();
  const seen: DmaEvents["dma.access"][] = [];
  trace.on("dma.access", ({ data }) => seen.push(data));
  const smmu = new PageSmmu();
  return { smmu, bus, trace, seen, port: new SmmuDmaPort({ smmu, bus, streamId: STREAM, name: "nic", trace }) };
}

describe("SmmuDmaPort", () => {
  test("splits an access at 4 KiB borders and translates each part", () => {
    const { smmu, bus, port, seen } = bench();
    smmu.pages.set(0x10_0000, { outcome: Outcome.forward, physical: RAM + 0x5000 });
    smmu.pages.set(0x10_0001, { outcome: Outcome.forward, physical: RAM + 0x1000 });
    const bytes = Uint8Array.from({ length: 16 }, (_, index) => index + 1);
    expect(port.write(0x1_0000_0ff8, bytes)).toBe(DmaStatus.ok);
    expect(smmu.seen).toEqual([`${STREAM} -1 100000ff8 w`, `${STREAM} -1 100001000 w`]);
    expect(bus.memory.read8(RAM + 0x5ff8)).toBe(1);
    expect(bus.memory.read8(RAM + 0x1007)).toBe(16);
    const back = new Uint8Array(16);
    expect(port.read(0x1_0000_0ff8, back)).toBe(DmaStatus.ok);
    expect(back).toEqual(bytes);
    expect(seen[0]).toEqual({
      master: "nic",
      streamId: STREAM,
      address: 0x1_0000_0ff8,
      physical: RAM + 0x5ff8,
      length: 8,
      write: true,
      outcome: "translated",
      bus: BusStatus.ok,
    });
  });

  test("hands SubstreamID, privilege and instruction to the SMMU", () => {
    const { smmu, port } = bench();
    port.read(0x1000, new Uint8Array(4), { substreamId: 5, privileged: true, instruction: true });
    port.read(0x1000, new Uint8Array(4));
    expect(smmu.seen).toEqual([`${STREAM} 5 1000 rpx`, `${STREAM} -1 1000 r`]);
  });

  test("an abort ends the access: what comes after is not issued, reads give zeros", () => {
    const { smmu, port, seen } = bench();
    smmu.pages.set(2, { outcome: Outcome.forward, physical: RAM });
    const out = new Uint8Array(0x1008).fill(0xee);
    expect(port.read(0x1ffc, out)).toBe(DmaStatus.abort);
    expect(smmu.seen).toHaveLength(1);
    expect([...out.subarray(0, 4)]).toEqual([0, 0, 0, 0]);
    expect(seen.map(({ outcome, physical }) => [outcome, physical])).toEqual([["aborted", undefined]]);
  });

  test("RAZ/WI: reads give zeros, writes are dropped, and the device is told so", () => {
    const { smmu, bus, port } = bench();
    smmu.pages.set(1, { outcome: Outcome.razWi, physical: RAM });
    const out = new Uint8Array(4).fill(0xee);
    expect(port.read(0x1000, out)).toBe(DmaStatus.razWi);
    expect([...out]).toEqual([0, 0, 0, 0]);
    expect(port.write(0x1000, Uint8Array.of(1))).toBe(DmaStatus.razWi);
    expect(bus.memory.read8(RAM)).toBe(0);
  });

  test.each([
    [Via.globalBypass, "bypassed"],
    [Via.steBypass, "bypassed"],
    [Via.stage1, "translated"],
    [Via.stage2, "translated"],
    [Via.nested, "translated"],
  ] as const)("via %i is traced as %s", (via, outcome) => {
    const { smmu, port, seen } = bench();
    smmu.pages.set(1, { outcome: Outcome.forward, physical: RAM, via });
    port.write(0x1000, Uint8Array.of(1));
    expect(seen.map((access) => access.outcome)).toEqual([outcome]);
  });

  test("an output address where nothing answers is an abort of the bus", () => {
    const { smmu, port, seen } = bench();
    smmu.pages.set(1, { outcome: Outcome.forward, physical: 0x1000 });
    expect(port.write(0x1000, Uint8Array.of(1))).toBe(DmaStatus.abort);
    expect(seen[0]).toMatchObject({ outcome: "translated", physical: 0x1000, bus: BusStatus.abort });
  });

  test.each([4, 0x1004])("%i bytes at a low half that is signed: the SMMU is asked for the unsigned one", (length) => {
    const { smmu, port } = bench();
    port.access(0, 0x8000_0000 | 0, new Uint8Array(length), false);
    expect(smmu.seen[0]).toBe(`${STREAM} -1 80000000 r`);
  });

  describe("IHI 0070 §3.12.2: an access that stalls", () => {
    const { forward, abort, razWi, stalled } = Outcome;
    /** Pages 1 and 3 stall, page 2 is at the start of RAM. */
    function stalling(): ReturnType<typeof bench> & { ends: DmaStatus[]; onCompletion: (status: DmaStatus) => void } {
      const made = bench();
      for (const page of [1, 3]) made.smmu.pages.set(page, { outcome: stalled });
      made.smmu.pages.set(2, { outcome: forward, physical: RAM });
      const ends: DmaStatus[] = [];
      return { ...made, ends, onCompletion: (status) => void ends.push(status) };
    }

    test.each([
      ["Uint8Array", Uint8Array.of(1, 2, 3, 4)],
      // Its slice() is no copy.
      ["Buffer", Buffer.of(1, 2, 3, 4)],
    ])("a write is carried out when it is resumed, with the bytes that it had: %s", (_, bytes) => {
      const { smmu, bus, port, seen, ends, onCompletion } = stalling();
      expect(port.write(0x1010, bytes, { onCompletion })).toBe(DmaStatus.stalled);
      bytes.fill(9);
      expect([ends, seen]).toEqual([[], []]);
      smmu.end(forward, RAM + 0x10);
      expect(ends).toEqual([DmaStatus.ok]);
      expect([0, 1, 2, 3].map((at) => bus.memory.read8(RAM + 0x10 + at))).toEqual([1, 2, 3, 4]);
      expect(seen).toMatchObject([{ address: 0x1010, physical: RAM + 0x10, write: true, outcome: "translated" }]);
    });

    test("a read fills its buffer when it is resumed", () => {
      const { smmu, bus, port, ends, onCompletion } = stalling();
      bus.memory.write32(RAM + 0x20, 0x0403_0201);
      const out = new Uint8Array(4);
      expect(port.read(0x1020, out, { onCompletion })).toBe(DmaStatus.stalled);
      smmu.end(forward, RAM + 0x20);
      expect([ends, [...out]]).toEqual([[DmaStatus.ok], [1, 2, 3, 4]]);
    });

    test.each([
      [abort, DmaStatus.abort],
      [razWi, DmaStatus.razWi],
    ])("terminated with outcome %i it ends with status %i, a read in zeros", (outcome, status) => {
      const { smmu, port, ends, onCompletion } = stalling();
      const out = new Uint8Array(4).fill(0xee);
      port.read(0x1000, out, { onCompletion });
      smmu.end(outcome);
      expect([ends, [...out]]).toEqual([[status], [0, 0, 0, 0]]);
    });

    test("what follows its part is issued after it, and may stall in its turn; the completion comes once, at the end", () => {
      const { smmu, bus, port, ends, onCompletion } = stalling();
      const bytes = Uint8Array.from({ length: 0x1010 }, (_, index) => index + 1);
      expect(port.write(0x1ff8, bytes, { onCompletion })).toBe(DmaStatus.stalled);
      bytes.fill(0);
      expect(smmu.seen).toHaveLength(1);
      smmu.end(forward, RAM + 0x5ff8);
      expect(smmu.seen).toEqual([`${STREAM} -1 1ff8 w`, `${STREAM} -1 2000 w`, `${STREAM} -1 3000 w`]);
      expect(ends).toEqual([]);
      smmu.end(forward, RAM + 0x7000);
      expect(ends).toEqual([DmaStatus.ok]);
      expect([0x5ff8, 0, 0xfff, 0x7000, 0x7007].map((at) => bus.memory.read8(RAM + at))).toEqual([1, 9, 8, 9, 16]);
    });

    test("an abort ends it: what follows is not issued", () => {
      const { smmu, port, ends, onCompletion } = stalling();
      port.write(0x1ff8, new Uint8Array(16), { onCompletion });
      smmu.end(abort);
      expect([smmu.seen.length, ends]).toEqual([1, [DmaStatus.abort]]);
    });

    test("RAZ/WI of one part is the status of the whole", () => {
      const { smmu, port, ends, onCompletion } = stalling();
      port.write(0x1ff8, new Uint8Array(16), { onCompletion });
      smmu.end(razWi);
      expect([smmu.seen.length, ends]).toEqual([2, [DmaStatus.razWi]]);
    });

    test("other accesses of the port go on meanwhile, with attributes of their own", () => {
      const { smmu, port, onCompletion } = stalling();
      port.write(0x1ff8, new Uint8Array(16), { onCompletion, privileged: true, substreamId: 3 });
      expect(port.read(0x2000, new Uint8Array(4))).toBe(DmaStatus.ok);
      smmu.end(forward, RAM);
      expect(smmu.seen).toEqual([`${STREAM} 3 1ff8 wp`, `${STREAM} -1 2000 r`, `${STREAM} 3 2000 wp`]);
    });

    test("whoever does not ask is not told", () => {
      const { smmu, bus, port } = stalling();
      expect(port.write(0x1000, Uint8Array.of(7))).toBe(DmaStatus.stalled);
      smmu.end(forward, RAM);
      expect(bus.memory.read8(RAM)).toBe(7);
    });
  });
});

describe("createSmmuHost", () => {
  test("loads and stores words on the bus and traces each as the SMMU's own access; peeks leave no trace", () => {
    const simulation = new Simulation();
    const bus = new SystemBus();
    bus.addRam({ name: "ram", base: RAM, size: 0x1000 });
    const trace = new Trace<SmmuEvents>();
    const seen: unknown[] = [];
    trace.on("smmu.access", ({ data }) => seen.push(data));
    const host = createSmmuHost({ simulation, bus, trace });
    expect(host.store("eventq", RAM, Uint32Array.of(1, 2), 2)).toBe(BusStatus.ok);
    const out = new Uint32Array(2);
    expect(host.load("ste", RAM, out, 2)).toBe(BusStatus.ok);
    expect([...out]).toEqual([1, 2]);
    expect(host.load("tt-s1", 0, out, 2)).toBe(BusStatus.abort);
    expect(host.peek(RAM + 4, out, 1)).toBe(BusStatus.ok);
    expect(out[0]).toBe(2);
    expect(host.peek(0, out, 1)).toBe(BusStatus.abort);
    expect(seen).toEqual([
      { access: "eventq", address: RAM, length: 8, write: true, bus: BusStatus.ok },
      { access: "ste", address: RAM, length: 8, write: false, bus: BusStatus.ok },
      { access: "tt-s1", address: 0, length: 8, write: false, bus: BusStatus.abort },
    ]);
  });
});
