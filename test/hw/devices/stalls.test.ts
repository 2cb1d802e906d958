// SPDX-License-Identifier: MIT
/** Devices whose accesses an SMMU stalls: they wait, go on when the access has ended, and forget it when they are reset. */
import { describe, expect, it } from "vitest";
import {
  type DmaEvents,
  DirectDmaPort,
  DmaStatus,
  Hdlcd,
  HDLCD,
  HDLCD_INT,
  SystemBus,
  TMC,
  TMC_STS,
  TmcEtr,
  traceFrame,
} from "../../../src/hw/index.ts";
import { Simulation, silentTrace } from "../../../src/sim/index.ts";
import * as m from "./e1000e-support.ts";
import { Mmio } from "./mmio.ts";
import { StallingPort } from "./stalling-port.ts";

const RAM = 0x8000_0000;
const DRAINED = 20_000;

describe("network controller", () => {
  it("a fetch of descriptors that stalls: the frame waits in the FIFO and drains when they have come", () => {
    const machine = new m.NicMachine();
    machine.port.stalls = (address) => address === m.RX_RING;
    machine.receiving();
    machine.broadcast(5);
    machine.pass(DRAINED);
    expect(machine.nic.framesInFifo).toBe(1);
    expect(machine.port.waiting).toHaveLength(1);
    machine.port.stalls = () => false;
    machine.port.end();
    machine.pass(DRAINED);
    expect(machine.rx(0)).toEqual({ status: 3, length: 60 });
    expect(machine.nic.framesInFifo).toBe(0);
  });

  it("while it stalls no other fetch is issued, whatever software writes to the tail", () => {
    const machine = new m.NicMachine();
    machine.port.stalls = (_address, write) => !write;
    machine.rxRing(8, 2);
    machine.ew(m.RCTL, m.RX_ON);
    machine.broadcast();
    for (const tail of [3, 4, 5]) {
      machine.pass(DRAINED);
      machine.ew(m.RDT, tail);
    }
    machine.pass(DRAINED);
    expect(machine.port.waiting).toHaveLength(1);
    expect(machine.er(m.RNBC)).toBe(0);
  });

  it("a fetch that ends in an abort stops the engine, as one that aborts at once", () => {
    const machine = new m.NicMachine();
    machine.port.stalls = (address) => address === m.RX_RING;
    machine.receiving();
    machine.pass(DRAINED);
    machine.port.end(DmaStatus.abort);
    expect(machine.nic.fatalErrors.receive).toBe(1);
  });

  it("a reset forgets the fetch: its descriptors are not used", () => {
    const machine = new m.NicMachine();
    machine.port.stalls = (address) => address === m.RX_RING;
    machine.receiving();
    machine.pass(DRAINED);
    machine.ew(m.CTRL, m.RST);
    machine.port.stalls = () => false;
    machine.port.end();
    machine.pass(DRAINED);
    expect(machine.nic.fatalErrors.receive).toBe(0);
    machine.receiving();
    machine.broadcast(1);
    machine.pass(DRAINED);
    expect(machine.rx(0).status).toBe(3);
    expect(machine.accesses.filter(({ address, write }) => address === m.BUFFERS && write)).toHaveLength(1);
  });

  it("PCI Express: a posted write that stalls is not passed by the write-back of its descriptor", () => {
    const machine = new m.NicMachine();
    machine.port.stalls = (address) => address === m.BUFFERS;
    machine.receiving();
    machine.broadcast(5);
    machine.broadcast(6);
    machine.pass(DRAINED);
    expect(machine.accesses.filter(({ write }) => write)).toEqual([]);
    expect([machine.rx(0).status, machine.rx(1).status]).toEqual([0, 0]);
    machine.port.stalls = () => false;
    machine.port.end();
    expect(machine.accesses.filter(({ write }) => write).map(({ address }) => address)).toEqual([
      m.BUFFERS,
      m.RX_RING,
      m.BUFFERS + 0x800,
      m.RX_RING + 16,
    ]);
    expect([machine.rx(0).status, machine.rx(1).status]).toEqual([3, 3]);
  });

  it("a posted write that ends in an abort is lost without notice, and what came after it goes on", () => {
    const machine = new m.NicMachine();
    machine.port.stalls = (address) => address === m.BUFFERS;
    machine.receiving();
    machine.broadcast(5);
    machine.pass(DRAINED);
    machine.port.stalls = () => false;
    machine.port.end(DmaStatus.abort);
    expect(machine.nic.lostWrites.receive).toBe(1);
    expect(machine.rx(0).status).toBe(3);
  });

  function sending(stalls: (address: number) => boolean): m.NicMachine {
    const machine = new m.NicMachine();
    machine.port.stalls = stalls;
    machine.ew(m.TDBAL, m.TX_RING);
    machine.ew(m.TDLEN, 128);
    for (const index of [0, 1]) {
      machine.write32(m.TX_RING + 16 * index, m.BUFFERS + 0x800 * index);
      machine.write32(m.TX_RING + 16 * index + 8, 0x0b00_0000 | 60);
      machine.bus.memory.write8(m.BUFFERS + 0x800 * index, 0x50 + index);
    }
    machine.ew(m.TCTL, 2);
    machine.pass(2_000_000);
    machine.ew(m.TDT, 2);
    machine.pass(DRAINED);
    return machine;
  }

  it.each([
    ["descriptors", m.TX_RING],
    ["a buffer", m.BUFFERS],
  ])("transmission waits while the read of %s stalls, and goes on with it: frames keep their order", (_what, at) => {
    const machine = sending((address) => address === at);
    expect(machine.sent).toEqual([]);
    expect(machine.er(m.TDH)).toBe(0);
    machine.port.stalls = () => false;
    machine.port.end();
    machine.pass(DRAINED);
    expect(machine.sent.map((bytes) => bytes[0])).toEqual([0x50, 0x51]);
    expect(machine.er(m.TDH)).toBe(2);
  });

  it.each([
    ["descriptors", m.TX_RING],
    ["a buffer", m.BUFFERS],
  ])("a read of %s that ends in an abort stops transmission", (_what, at) => {
    const machine = sending((address) => address === at);
    machine.port.end(DmaStatus.abort);
    machine.pass(DRAINED);
    expect([machine.sent, machine.nic.fatalErrors.transmit]).toEqual([[], 1]);
  });

  it("a reset forgets a buffer's read: nothing is sent of it", () => {
    const machine = sending((address) => address === m.BUFFERS);
    machine.ew(m.CTRL, m.RST);
    machine.port.end();
    machine.pass(2_000_000);
    expect(machine.sent).toEqual([]);
    expect(machine.er(m.TDH)).toBe(0);
  });
});

class Device<T extends Hdlcd | TmcEtr> extends Mmio {
  readonly bus: SystemBus;
  readonly simulation = new Simulation();
  readonly port: StallingPort;
  readonly model: T;

  constructor(make: (simulation: Simulation, dma: StallingPort) => T) {
    const bus = new SystemBus();
    super(bus, 0x2000_0000);
    this.bus = bus;
    bus.addRam({ name: "ram", base: RAM, size: 0x10_0000 });
    this.port = new StallingPort(new DirectDmaPort(bus, "device", silentTrace<DmaEvents>()));
    this.model = make(this.simulation, this.port);
    bus.addWindow({ name: "device", base: 0x2000_0000, size: this.model.size, device: this.model });
  }
}

describe("display controller", () => {
  const LINE = 10_000;
  /** Lines of 32 bytes, four a frame of ten; 10 pixels a line at 1 MHz. */
  function scanning(): Device<Hdlcd> & { lines: string[] } {
    const lines: string[] = [];
    const display = new Device(
      (simulation, dma) =>
        new Hdlcd({
          simulation,
          dma,
          name: "hdlcd",
          irq: () => {},
          pixelClockHz: 1_000_000,
          onLine: (line, bytes) => lines.push(`${line}: ${bytes[0]}`),
        }),
    );
    for (let line = 0; line < 4; line++) display.bus.memory.write8(RAM + 32 * line, line + 1);
    for (const [offset, value] of [
      [HDLCD.V_SYNC, 1],
      [HDLCD.V_BACK_PORCH, 2],
      [HDLCD.V_DATA, 3],
      [HDLCD.H_DATA, 6],
      [HDLCD.FB_BASE, RAM],
      [HDLCD.FB_LINE_LENGTH, 32],
      [HDLCD.FB_LINE_PITCH, 32],
      [HDLCD.FB_LINE_COUNT, 3],
    ] as const)
      display.write(offset, value);
    return Object.assign(display, { lines });
  }

  it("the lines that come while a read stalls are an underrun, one a frame; afterwards fetching goes on", () => {
    const display = scanning();
    display.port.stalls = (address) => address === RAM + 32;
    display.write(HDLCD.COMMAND, 1);
    display.simulation.advance(7.5 * LINE);
    expect(display.port.waiting).toHaveLength(1);
    expect(display.read(HDLCD.INT_RAWSTAT) & HDLCD_INT.UNDERRUN).toBe(HDLCD_INT.UNDERRUN);
    display.port.end();
    display.simulation.advance(LINE);
    expect(display.lines).toEqual(["0: 1", "3: 4"]);
    expect(display.model.counts).toMatchObject({ underruns: 1, busErrors: 0, lines: 4 });
  });

  it("the frame's timing goes on: vsync and DMA_END come as ever", () => {
    const display = scanning();
    display.port.stalls = () => true;
    display.write(HDLCD.COMMAND, 1);
    display.simulation.advance(31 * LINE);
    expect(display.model.counts).toMatchObject({ frames: 3, underruns: 3 });
    expect(display.port.waiting).toHaveLength(1);
  });

  it("a read that ends in an abort is a bus error", () => {
    const display = scanning();
    display.port.stalls = () => true;
    display.write(HDLCD.COMMAND, 1);
    display.simulation.advance(5.5 * LINE);
    display.port.end(DmaStatus.abort);
    expect(display.read(HDLCD.INT_RAWSTAT) & HDLCD_INT.BUS_ERROR).toBe(HDLCD_INT.BUS_ERROR);
  });

  it("a reset forgets the read: its end is nobody's, and the next scan-out works", () => {
    const display = scanning();
    display.port.stalls = () => true;
    display.write(HDLCD.COMMAND, 1);
    display.simulation.advance(5.5 * LINE);
    display.model.reset();
    display.port.end(DmaStatus.abort);
    expect(display.model.counts.busErrors).toBe(0);
    expect(display.read(HDLCD.INT_RAWSTAT)).toBe(0);
  });
});

describe("trace router", () => {
  const BURST = 64;
  function capturing(): Device<TmcEtr> {
    const router = new Device(
      (simulation, dma) =>
        new TmcEtr({ simulation, dma, name: "etr", burstBytes: BURST, periodNs: 10_000, writeLatencyNs: 15_000, flushNs: 2000 }),
    );
    router.write(TMC.LAR, 0xc5ac_ce55);
    router.write(TMC.RSZ, (2.5 * BURST) / 4);
    router.write(TMC.DBALO, RAM);
    router.write(TMC.CTL, 1);
    return router;
  }
  const ready = (router: Device<TmcEtr>): boolean => (router.read(TMC.STS) & TMC_STS.TMC_READY) !== 0;
  function frameAt(router: Device<TmcEtr>, address: number): number {
    const wanted = new Uint8Array(16);
    router.bus.readBytes(address, wanted);
    const out = new Uint8Array(16);
    for (let frame = 0; frame < 64; frame++) {
      traceFrame(frame, out, 0);
      if (out.every((byte, index) => byte === wanted[index])) return frame;
    }
    return -1;
  }

  it("bursts that were issued wait behind a write that stalls, in order, and none is issued: trace is lost", () => {
    const router = capturing();
    router.port.stalls = (address) => address === RAM;
    router.simulation.advance(200_000);
    expect(router.port.waiting).toHaveLength(1);
    const pending = router.model.writesInFlight;
    expect(pending).toBe(2);
    router.port.stalls = () => false;
    router.port.end();
    expect([frameAt(router, RAM), frameAt(router, RAM + BURST)]).toEqual([0, 4]);
    expect(router.read(TMC.RWP)).toBe(RAM + 2 * BURST);
    router.simulation.advance(30_000);
    expect(frameAt(router, RAM + 2 * BURST)).toBe(8);
  });

  it("TMCReady stays 0 after a stop until the write has ended", () => {
    const router = capturing();
    router.port.stalls = () => true;
    router.simulation.advance(30_000);
    router.write(TMC.CTL, 0);
    router.simulation.advance(1_000_000);
    expect(ready(router)).toBe(false);
    router.port.stalls = () => false;
    router.port.end();
    expect(ready(router)).toBe(true);
  });

  it("a burst that wraps in the buffer goes on after its stalled part", () => {
    const router = capturing();
    router.port.stalls = (address) => address === RAM + 2 * BURST;
    router.simulation.advance(10_000 * 3 + 15_000);
    expect(router.port.waiting).toHaveLength(1);
    expect(frameAt(router, RAM)).toBe(0);
    router.port.stalls = () => false;
    router.port.end();
    expect([frameAt(router, RAM + 2 * BURST), frameAt(router, RAM)]).toEqual([8, 10]);
  });

  it("a write that ends in an abort stops capture with STS.MemErr", () => {
    const router = capturing();
    router.port.stalls = () => true;
    router.simulation.advance(60_000);
    router.port.end(DmaStatus.abort);
    expect(router.read(TMC.STS) & TMC_STS.MEM_ERR).toBe(TMC_STS.MEM_ERR);
    expect(router.model.capturing).toBe(false);
    expect(ready(router)).toBe(true);
  });

  it("a reset forgets the write, and capture that is started anew begins at the start of the buffer", () => {
    const router = capturing();
    router.port.stalls = () => true;
    router.simulation.advance(60_000);
    router.model.reset();
    router.port.stalls = () => false;
    router.port.end();
    expect(router.read(TMC.RWP)).toBe(0);
    expect(router.model.writesInFlight).toBe(0);
  });

  it("RRD: a read that stalls has nothing to answer with; RRP stays, and the next read gets the word", () => {
    const router = capturing();
    router.simulation.advance(26_000);
    router.write(TMC.CTL, 0);
    router.simulation.advance(30_000);
    router.write(TMC.RRP, RAM);
    router.port.stalls = (_address, write) => !write;
    expect(router.read(TMC.RRD)).toBe(0xffff_ffff);
    expect(router.read(TMC.RRD)).toBe(0xffff_ffff);
    expect(router.port.waiting).toHaveLength(1);
    router.port.stalls = () => false;
    router.port.end();
    expect(router.read(TMC.RRP)).toBe(RAM);
    expect(router.read(TMC.RRD)).toBe(router.bus.memory.read32(RAM));
    expect(router.read(TMC.RRP)).toBe(RAM + 4);
  });

  it("a buffer that software moves away under a burst under way loses the burst, and nothing loops", () => {
    const router = capturing();
    router.simulation.advance(20_000);
    router.write(TMC.CTL, 0);
    router.write(TMC.RSZ, 0);
    router.simulation.advance(100_000);
    expect(ready(router)).toBe(true);
    expect(frameAt(router, RAM)).toBe(-1);
  });
});
