// SPDX-License-Identifier: MIT
/** The display controller, driven by its registers. A frame here: 2 lines of vsync, 3 back porch, 4 data, 1 front porch. */
import { describe, expect, it } from "vitest";
import { BusStatus, type DmaEvents, DirectDmaPort, Hdlcd, HDLCD, HDLCD_INT, type HdlcdOptions, SystemBus } from "../../../src/hw/index.ts";
import { Simulation, Trace } from "../../../src/sim/index.ts";
import { Mmio } from "./mmio.ts";

const BASE = 0x7ff6_0000;
const RAM = 0x8000_0000;
const FB = RAM + 0x10_0000;
/** 10 pixels a line at 1 MHz. */
const LINE = 10_000;
const LINES = 10;
const FRAME = LINES * LINE;
/** From vsync to the first fetch. */
const LEADING = 5 * LINE;

type Read = { readonly time: number; readonly address: number; readonly length: number };

class Display extends Mmio {
  readonly trace: Trace<DmaEvents> = new Trace<DmaEvents>();
  readonly simulation: Simulation = new Simulation();
  readonly bus: SystemBus;
  readonly hdlcd: Hdlcd;
  readonly reads: Read[] = [];
  level = false;

  constructor(options: Partial<HdlcdOptions> = {}) {
    const bus = new SystemBus();
    super(bus, BASE);
    this.bus = bus;
    this.trace.setClock(() => this.simulation.now);
    this.trace.on("dma.access", ({ time, data }) => {
      this.reads.push({ time, address: data.address, length: data.length });
    });
    this.bus.addRam({ name: "ram", base: RAM, size: 0x100_0000 });
    this.hdlcd = new Hdlcd({
      simulation: this.simulation,
      name: "hdlcd",
      dma: new DirectDmaPort(this.bus, "hdlcd", this.trace),
      irq: (level) => (this.level = level),
      pixelClockHz: 1_000_000,
      ...options,
    });
    this.bus.addWindow({ name: "hdlcd", base: BASE, size: this.hdlcd.size, device: this.hdlcd });
  }

  /** The mode of this file's frame; timing registers hold one less than the count. */
  mode(lineBytes: number = 32): void {
    this.write(HDLCD.V_SYNC, 1);
    this.write(HDLCD.V_BACK_PORCH, 2);
    this.write(HDLCD.V_DATA, 3);
    this.write(HDLCD.V_FRONT_PORCH, 0);
    this.write(HDLCD.H_SYNC, 0);
    this.write(HDLCD.H_BACK_PORCH, 0);
    this.write(HDLCD.H_DATA, 6);
    this.write(HDLCD.H_FRONT_PORCH, 0);
    this.write(HDLCD.FB_BASE, FB);
    this.write(HDLCD.FB_LINE_LENGTH, lineBytes);
    this.write(HDLCD.FB_LINE_PITCH, lineBytes);
    this.write(HDLCD.FB_LINE_COUNT, 3);
  }

  pass(ns: number): void {
    this.simulation.advance(ns);
  }
}

describe("registers", () => {
  it("VERSION says product 0x1cdc", () => {
    expect(new Display().read(HDLCD.VERSION) >>> 16).toBe(0x1cdc);
  });

  it("INT_RAWSTAT: writing 1 sets, INT_CLEAR: writing 1 clears, INT_STATUS is masked, the line is the level of INT_STATUS", () => {
    const display = new Display();
    display.write(HDLCD.INT_RAWSTAT, 0xa);
    expect([display.read(HDLCD.INT_RAWSTAT), display.read(HDLCD.INT_STATUS), display.level]).toEqual([0xa, 0, false]);
    display.write(HDLCD.INT_MASK, 0x2);
    expect([display.read(HDLCD.INT_STATUS), display.level]).toEqual([2, true]);
    display.write(HDLCD.INT_CLEAR, 0x2);
    expect([display.read(HDLCD.INT_RAWSTAT), display.level]).toEqual([8, false]);
  });

  it("FB_BASE is aligned to 8 bytes", () => {
    const display = new Display();
    display.write(HDLCD.FB_BASE, 0xffff_ffff);
    expect(display.read(HDLCD.FB_BASE)).toBe(0xffff_fff8);
  });
});

describe("scan-out", () => {
  it("reads nothing while COMMAND.ENABLE is 0", () => {
    const display = new Display();
    display.mode();
    display.pass(10 * FRAME);
    expect(display.reads).toEqual([]);
  });

  it("reads each line at its time: after vsync and back porch, one line time apart, FB_LINE_PITCH apart", () => {
    const display = new Display();
    display.mode();
    display.write(HDLCD.COMMAND, 1);
    display.pass(FRAME);
    expect(display.reads).toEqual([0, 1, 2, 3].map((line) => ({ time: LEADING + line * LINE, address: FB + 32 * line, length: 32 })));
  });

  it("repeats every frame, for ever", () => {
    const display = new Display();
    display.mode();
    display.write(HDLCD.COMMAND, 1);
    display.pass(3 * FRAME);
    expect(display.reads.filter(({ address }) => address === FB).map(({ time }) => time)).toEqual([
      LEADING,
      LEADING + FRAME,
      LEADING + 2 * FRAME,
    ]);
    expect(display.hdlcd.counts).toMatchObject({ frames: 3, lines: 12 });
  });

  it("shows the bytes of memory", () => {
    const lines: Uint8Array[] = [];
    const display = new Display({ onLine: (_line, bytes) => lines.push(bytes.slice()) });
    display.mode();
    display.bus.memory.fill(FB + 32, 32, 0x5a);
    display.write(HDLCD.COMMAND, 1);
    display.pass(FRAME);
    expect(lines[0]).toEqual(new Uint8Array(32));
    expect(lines[1]).toEqual(new Uint8Array(32).fill(0x5a));
  });

  it("a line is read in accesses of at most 4 KiB that cross no 4 KiB boundary", () => {
    const display = new Display();
    display.mode(0x1800);
    display.write(HDLCD.FB_BASE, FB + 0x800);
    display.write(HDLCD.COMMAND, 1);
    display.pass(LEADING);
    expect(display.reads.map(({ address, length }) => [address, length])).toEqual([
      [FB + 0x800, 0x800],
      [FB + 0x1000, 0x1000],
    ]);
  });

  it("a negative FB_LINE_PITCH scans upwards", () => {
    const display = new Display();
    display.mode();
    display.write(HDLCD.FB_LINE_PITCH, -32);
    display.write(HDLCD.COMMAND, 1);
    display.pass(FRAME);
    expect(display.reads.map(({ address }) => address)).toEqual([FB, FB - 32, FB - 64, FB - 96]);
  });

  it("FB_BASE takes effect with the next vsync, not in the middle of a frame", () => {
    const display = new Display();
    display.mode();
    display.write(HDLCD.COMMAND, 1);
    display.pass(LEADING + LINE);
    display.write(HDLCD.FB_BASE, FB + 0x1000);
    display.pass(FRAME);
    const firsts = display.reads.map(({ address }) => address);
    expect(firsts.slice(0, 5)).toEqual([FB, FB + 32, FB + 64, FB + 96, FB + 0x1000]);
  });
});

describe("COMMAND.ENABLE = 0", () => {
  it("takes effect at the end of the frame: the rest of it is still read", () => {
    const display = new Display();
    display.mode();
    display.write(HDLCD.COMMAND, 1);
    display.pass(LEADING + LINE);
    display.write(HDLCD.COMMAND, 0);
    expect(display.hdlcd.scanning).toBe(true);
    display.pass(10 * FRAME);
    expect(display.reads).toHaveLength(4);
    expect(display.hdlcd.scanning).toBe(false);
  });

  it("taken back before the end of the frame it changes nothing", () => {
    const display = new Display();
    display.mode();
    display.write(HDLCD.COMMAND, 1);
    display.pass(LEADING);
    display.write(HDLCD.COMMAND, 0);
    display.write(HDLCD.COMMAND, 1);
    display.pass(FRAME);
    expect(display.reads.map(({ time }) => time)).toEqual([0, 1, 2, 3, 10].map((line) => LEADING + line * LINE));
  });

  it("after a stop, 1 starts a frame anew with vsync", () => {
    const display = new Display();
    display.mode();
    display.write(HDLCD.COMMAND, 1);
    display.write(HDLCD.COMMAND, 0);
    display.pass(2 * FRAME);
    display.write(HDLCD.COMMAND, 1);
    display.pass(LEADING);
    expect(display.reads.at(-1)).toEqual({ time: 2 * FRAME + LEADING, address: FB, length: 32 });
  });
});

describe("interrupts", () => {
  it("VSYNC at the start of each frame, DMA_END after the last line", () => {
    const display = new Display();
    display.mode();
    display.write(HDLCD.COMMAND, 1);
    expect(display.read(HDLCD.INT_RAWSTAT)).toBe(HDLCD_INT.VSYNC);
    display.write(HDLCD.INT_CLEAR, 0xf);
    display.pass(LEADING + 3 * LINE - 1);
    expect(display.read(HDLCD.INT_RAWSTAT)).toBe(0);
    display.pass(1);
    expect(display.read(HDLCD.INT_RAWSTAT)).toBe(HDLCD_INT.DMA_END);
    display.write(HDLCD.INT_CLEAR, 0xf);
    display.pass(2 * LINE);
    expect(display.read(HDLCD.INT_RAWSTAT)).toBe(HDLCD_INT.VSYNC);
  });

  it("BUS_ERROR on an aborted read; the scan goes on", () => {
    const display = new Display();
    display.mode();
    display.bus.inject({ base: FB + 32, size: 32, status: BusStatus.abort });
    display.write(HDLCD.COMMAND, 1);
    display.pass(FRAME);
    expect(display.read(HDLCD.INT_RAWSTAT) & HDLCD_INT.BUS_ERROR).toBe(HDLCD_INT.BUS_ERROR);
    expect(display.hdlcd.counts).toMatchObject({ busErrors: 1, lines: 4 });
  });

  it("UNDERRUN, once a frame, when memory takes longer for a line than the line", () => {
    const slow = new Display({ fetchNs: LINE + 1 });
    const fast = new Display({ fetchNs: LINE });
    for (const display of [slow, fast]) {
      display.mode();
      display.write(HDLCD.COMMAND, 1);
      display.pass(2 * FRAME - 1);
    }
    expect(slow.read(HDLCD.INT_RAWSTAT) & HDLCD_INT.UNDERRUN).toBe(HDLCD_INT.UNDERRUN);
    expect([slow.hdlcd.counts.underruns, fast.hdlcd.counts.underruns]).toEqual([2, 0]);
  });
});

describe("pixel clock and reset", () => {
  it("a gated pixel clock stops the scan where it stands, and it goes on from there", () => {
    const display = new Display();
    display.mode();
    display.write(HDLCD.COMMAND, 1);
    display.pass(LEADING);
    display.hdlcd.setPixelClock(0);
    display.pass(10 * FRAME);
    expect(display.reads).toHaveLength(1);
    display.hdlcd.setPixelClock(1_000_000);
    display.pass(FRAME);
    expect(display.reads[1]!.address).toBe(FB + 32);
  });

  it("a hardware reset stops the scan at once and clears registers and the interrupt", () => {
    const display = new Display();
    display.mode();
    display.write(HDLCD.INT_MASK, 0xf);
    display.write(HDLCD.COMMAND, 1);
    display.pass(LEADING);
    expect(display.level).toBe(true);
    display.hdlcd.reset();
    display.pass(10 * FRAME);
    expect(display.reads).toHaveLength(1);
    expect([display.level, display.read(HDLCD.COMMAND), display.read(HDLCD.FB_BASE)]).toEqual([false, 0, 0]);
  });
});
