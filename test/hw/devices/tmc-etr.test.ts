// SPDX-License-Identifier: MIT
/** The trace router, driven by its registers as a debugger or Linux would. */
import { describe, expect, it } from "vitest";
import {
  BusStatus,
  type DmaEvents,
  DirectDmaPort,
  NotModelledLog,
  SystemBus,
  TMC,
  TMC_FFCR,
  TMC_FFSR,
  TMC_STS,
  TmcEtr,
  type TmcEtrOptions,
  traceFrame,
} from "../../../src/hw/index.ts";
import { Simulation, Trace } from "../../../src/sim/index.ts";
import { Mmio } from "./mmio.ts";

const BASE = 0x2007_0000;
const RAM = 0x8000_0000;
const BUFFER = RAM + 0x1000;
const BURST = 64;
const PERIOD = 10_000;
const LATENCY = 500;
const FLUSH = 2000;
/** The given registers of the part: what opens the lock. */
const KEY = 0xc5ac_ce55;

class Router extends Mmio {
  readonly trace: Trace<DmaEvents> = new Trace<DmaEvents>();
  readonly simulation: Simulation = new Simulation();
  readonly bus: SystemBus;
  readonly notModelled: NotModelledLog = new NotModelledLog();
  readonly etr: TmcEtr;
  readonly writes: number[] = [];

  constructor(options: Partial<TmcEtrOptions> = {}) {
    const bus = new SystemBus();
    super(bus, BASE);
    this.bus = bus;
    this.trace.on("dma.access", ({ data }) => {
      if (data.write) this.writes.push(data.address);
    });
    this.bus.addRam({ name: "ram", base: RAM, size: 0x100_0000 });
    this.etr = new TmcEtr({
      simulation: this.simulation,
      name: "etr",
      dma: new DirectDmaPort(this.bus, "etr", this.trace),
      burstBytes: BURST,
      periodNs: PERIOD,
      writeLatencyNs: LATENCY,
      flushNs: FLUSH,
      notModelled: this.notModelled,
      ...options,
    });
    this.bus.addWindow({ name: "etr", base: BASE, size: this.etr.size, device: this.etr });
  }

  /** Unlocks, programs a buffer of `bytes` and starts capture. */
  start(bytes: number = 4 * BURST): void {
    this.write(TMC.LAR, KEY);
    this.write(TMC.RSZ, bytes / 4);
    this.write(TMC.MODE, 0);
    this.write(TMC.DBALO, BUFFER);
    this.write(TMC.DBAHI, 0);
    this.write(TMC.FFCR, 0x133);
    this.write(TMC.CTL, 1);
  }

  status(bit: number): boolean {
    return (this.read(TMC.STS) & bit) !== 0;
  }

  pass(ns: number): void {
    this.simulation.advance(ns);
  }

  bytes(address: number, length: number): Uint8Array {
    const out = new Uint8Array(length);
    this.bus.readBytes(address, out);
    return out;
  }
}

/** Trace frames `first` … as they lie in memory. */
function frames(first: number, count: number): Uint8Array {
  const out = new Uint8Array(16 * count);
  for (let i = 0; i < count; i++) traceFrame(first + i, out, 16 * i);
  return out;
}

describe("identification and lock", () => {
  it("DEVID: configuration ETR, AXI address width as built; DEVTYPE: trace sink, buffer; part 0x961 by Arm", () => {
    const router = new Router({ axiAddressBits: 40 });
    const devid = router.read(TMC.DEVID);
    expect((devid >>> 6) & 3).toBe(1);
    expect([(devid >>> 16) & 1, (devid >>> 17) & 0x7f]).toEqual([1, 40]);
    expect(router.read(TMC.DEVTYPE)).toBe(0x21);
    expect(router.read(0xfe0) | ((router.read(0xfe4) & 0xf) << 8)).toBe(0x961);
    expect([0xff0, 0xff4, 0xff8, 0xffc].map((offset) => router.read(offset))).toEqual([0x0d, 0x90, 0x05, 0xb1]);
  });

  it("the AXI address width is 32 bits by default: upper address bits are not there", () => {
    const router = new Router();
    expect((router.read(TMC.DEVID) >>> 17) & 0x7f).toBe(32);
    router.write(TMC.LAR, KEY);
    router.write(TMC.DBAHI, 0xff);
    expect(router.read(TMC.DBAHI)).toBe(0);
  });

  it("after reset the lock is closed: writes are ignored until LAR gets 0xc5acce55, and again after any other value", () => {
    const router = new Router();
    expect(router.read(TMC.LSR)).toBe(3);
    router.write(TMC.RSZ, 0x100);
    expect(router.read(TMC.RSZ)).toBe(0);
    router.write(TMC.LAR, KEY);
    expect(router.read(TMC.LSR)).toBe(1);
    router.write(TMC.RSZ, 0x100);
    expect(router.read(TMC.RSZ)).toBe(0x100);
    router.write(TMC.LAR, 0);
    router.write(TMC.CTL, 1);
    expect([router.read(TMC.LSR), router.read(TMC.CTL)]).toEqual([3, 0]);
  });

  it("claim tags: CLAIMSET sets, CLAIMCLR shows and clears", () => {
    const router = new Router();
    router.write(TMC.LAR, KEY);
    router.write(TMC.CLAIMSET, 2);
    expect([router.read(TMC.CLAIMSET), router.read(TMC.CLAIMCLR)]).toEqual([0xf, 2]);
    router.write(TMC.CLAIMCLR, 2);
    expect(router.read(TMC.CLAIMCLR)).toBe(0);
  });
});

describe("capture to a circular buffer", () => {
  it("is ready and silent before TraceCaptEn", () => {
    const router = new Router();
    router.pass(100 * PERIOD);
    expect(router.status(TMC_STS.TMC_READY)).toBe(true);
    expect(router.writes).toEqual([]);
  });

  it("writes a burst every period, one latency later, from DBA on; RWP follows", () => {
    const router = new Router();
    router.start();
    expect(router.read(TMC.RWP)).toBe(BUFFER);
    expect(router.status(TMC_STS.TMC_READY)).toBe(false);
    router.pass(PERIOD + LATENCY - 1);
    expect(router.writes).toEqual([]);
    router.pass(1);
    expect(router.writes).toEqual([BUFFER]);
    router.pass(PERIOD);
    expect(router.writes).toEqual([BUFFER, BUFFER + BURST]);
    expect(router.read(TMC.RWP)).toBe(BUFFER + 2 * BURST);
    expect(router.bytes(BUFFER, 2 * BURST)).toEqual(frames(0, 8));
  });

  it("wraps at RSZ words and sets STS.Full; nothing behind the buffer changes", () => {
    const router = new Router();
    router.start(4 * BURST);
    router.pass(4 * PERIOD + LATENCY - 1);
    expect(router.status(TMC_STS.FULL)).toBe(false);
    router.pass(1);
    expect(router.status(TMC_STS.FULL)).toBe(true);
    expect(router.read(TMC.RWP)).toBe(BUFFER);
    router.pass(2 * PERIOD);
    expect(router.writes.slice(4)).toEqual([BUFFER, BUFFER + BURST]);
    expect(router.bytes(BUFFER + 4 * BURST, BURST)).toEqual(new Uint8Array(BURST));
  });

  it("a burst that meets the end of the buffer goes on at its start", () => {
    const router = new Router();
    router.start(BURST + 16);
    router.pass(2 * PERIOD + LATENCY);
    expect(router.writes).toEqual([BUFFER, BUFFER + BURST, BUFFER]);
    expect(router.read(TMC.RWP)).toBe(BUFFER + BURST - 16);
    expect(router.bytes(BUFFER, BURST - 16)).toEqual(frames(5, 3));
    expect(router.bytes(BUFFER + BURST, 16)).toEqual(frames(4, 1));
  });

  it("goes on until it is told to stop", () => {
    const router = new Router();
    router.start();
    router.pass(1000 * PERIOD);
    expect(router.writes.length).toBe(999);
  });

  it("configuration registers cannot be written while TraceCaptEn is set", () => {
    const router = new Router();
    router.start();
    router.write(TMC.DBALO, RAM);
    router.write(TMC.RSZ, 4);
    router.write(TMC.RWP, RAM);
    expect([router.read(TMC.DBALO), router.read(TMC.RSZ), router.read(TMC.RWP)]).toEqual([BUFFER, BURST, BUFFER]);
  });

  it("modes other than the circular buffer capture nothing, and say that they are not modelled", () => {
    const router = new Router();
    router.write(TMC.LAR, KEY);
    router.write(TMC.RSZ, 0x100);
    router.write(TMC.DBALO, BUFFER);
    router.write(TMC.MODE, 1);
    router.write(TMC.CTL, 1);
    router.pass(10 * PERIOD);
    expect(router.writes).toEqual([]);
    expect(router.notModelled.counts.size).toBe(1);
  });
});

describe("stopping", () => {
  it("FlushMan with StopOnFl: FlushMan clears after the flush, TMCReady follows the last write, then nothing comes", () => {
    const router = new Router();
    router.start();
    router.pass(2 * PERIOD + LATENCY);
    router.write(TMC.FFCR, 0x133 | TMC_FFCR.STOP_ON_FLUSH);
    router.write(TMC.FFCR, 0x133 | TMC_FFCR.STOP_ON_FLUSH | TMC_FFCR.FLUSH_MAN);
    expect(router.read(TMC.FFSR) & TMC_FFSR.FLUSH_IN_PROGRESS).toBe(1);
    router.pass(FLUSH - 1);
    expect(router.read(TMC.FFCR) & TMC_FFCR.FLUSH_MAN).toBe(TMC_FFCR.FLUSH_MAN);
    router.pass(1);
    expect(router.read(TMC.FFCR) & TMC_FFCR.FLUSH_MAN).toBe(0);
    expect(router.status(TMC_STS.TMC_READY)).toBe(false);
    router.pass(LATENCY);
    expect(router.status(TMC_STS.TMC_READY)).toBe(true);
    expect(router.read(TMC.FFSR)).toBe(TMC_FFSR.FORMATTER_STOPPED);
    const before = router.writes.length;
    router.pass(100 * PERIOD);
    expect(router.writes.length).toBe(before);
    expect(router.read(TMC.CTL)).toBe(1);
  });

  it("a flush delivers what the sources held: a burst more than by time alone", () => {
    const router = new Router();
    router.start();
    router.pass(PERIOD + LATENCY);
    router.write(TMC.FFCR, TMC_FFCR.STOP_ON_FLUSH | TMC_FFCR.FLUSH_MAN);
    router.pass(FLUSH + LATENCY);
    expect(router.writes).toEqual([BUFFER, BUFFER + BURST]);
  });

  it("FlushMan without StopOnFl: capture goes on", () => {
    const router = new Router();
    router.start();
    router.write(TMC.FFCR, TMC_FFCR.FLUSH_MAN);
    router.pass(10 * PERIOD);
    expect(router.read(TMC.FFCR) & TMC_FFCR.FLUSH_MAN).toBe(0);
    expect(router.status(TMC_STS.TMC_READY)).toBe(false);
    expect(router.etr.capturing).toBe(true);
  });

  it("TraceCaptEn = 0 without a flush: no new burst, but one that is under way still lands, and only then TMCReady", () => {
    const router = new Router();
    router.start();
    router.pass(PERIOD);
    router.write(TMC.CTL, 0);
    expect(router.read(TMC.CTL)).toBe(0);
    expect(router.status(TMC_STS.TMC_READY)).toBe(false);
    expect(router.writes).toEqual([]);
    router.pass(LATENCY);
    expect(router.writes).toEqual([BUFFER]);
    expect(router.status(TMC_STS.TMC_READY)).toBe(true);
    router.pass(100 * PERIOD);
    expect(router.writes).toHaveLength(1);
  });

  it("after a stop, RRD reads the buffer from the oldest word on and 0xffffffff when it is empty", () => {
    const router = new Router();
    router.start(2 * BURST);
    router.pass(3 * PERIOD + LATENCY);
    router.write(TMC.FFCR, TMC_FFCR.STOP_ON_FLUSH | TMC_FFCR.FLUSH_MAN);
    router.pass(FLUSH + LATENCY);
    const words = Array.from({ length: (2 * BURST) / 4 }, () => router.read(TMC.RRD));
    expect(new Uint8Array(Uint32Array.from(words).buffer)).toEqual(frames(8, 8));
    expect(router.read(TMC.RRD)).toBe(0xffff_ffff);
    expect(router.status(TMC_STS.EMPTY)).toBe(true);
  });

  it("RRD reads 0xffffffff while capture runs", () => {
    const router = new Router();
    router.start();
    router.pass(5 * PERIOD);
    expect(router.read(TMC.RRD)).toBe(0xffff_ffff);
  });

  it("capture can start again after TraceCaptEn = 0, from DBA on with STS.Full clear", () => {
    const router = new Router();
    router.start(BURST);
    router.pass(2 * PERIOD + LATENCY);
    router.write(TMC.CTL, 0);
    router.pass(LATENCY);
    router.start(4 * BURST);
    expect(router.status(TMC_STS.FULL)).toBe(false);
    router.writes.length = 0;
    router.pass(PERIOD + LATENCY);
    expect(router.writes).toEqual([BUFFER]);
  });
});

describe("aborts and reset", () => {
  it("an aborted write sets STS.MemErr and stops capture; TMCReady is set", () => {
    const router = new Router();
    router.start();
    router.bus.inject({ base: BUFFER + BURST, size: BURST, status: BusStatus.abort });
    router.pass(100 * PERIOD);
    expect(router.status(TMC_STS.MEM_ERR)).toBe(true);
    expect(router.status(TMC_STS.TMC_READY)).toBe(true);
    expect(router.writes).toHaveLength(2);
    expect(router.etr.capturing).toBe(false);
  });

  it("MemErr is cleared by writing it to STS when ready, or by setting TraceCaptEn", () => {
    const router = new Router();
    const heal = router.bus.inject({ base: BUFFER, size: BURST, status: BusStatus.abort });
    router.start();
    router.pass(2 * PERIOD);
    router.write(TMC.STS, TMC_STS.MEM_ERR);
    expect(router.status(TMC_STS.MEM_ERR)).toBe(false);
    heal();
    router.write(TMC.CTL, 0);
    router.write(TMC.CTL, 1);
    router.pass(PERIOD + LATENCY);
    expect(router.status(TMC_STS.MEM_ERR)).toBe(false);
    expect(router.read(TMC.RWP)).toBe(BUFFER + BURST);
  });

  it("a hardware reset stops capture, loses writes under way and closes the lock", () => {
    const router = new Router();
    router.start();
    router.pass(PERIOD);
    expect(router.etr.writesInFlight).toBe(1);
    router.etr.reset();
    router.pass(100 * PERIOD);
    expect(router.writes).toEqual([]);
    expect([router.read(TMC.LSR), router.read(TMC.CTL), router.read(TMC.RSZ)]).toEqual([3, 0, 0]);
  });
});
