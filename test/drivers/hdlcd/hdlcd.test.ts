// SPDX-License-Identifier: GPL-2.0-only
/** The HDLCD's driver: bring-up in Linux's order, and how each shutdown hook leaves the scan-out. */
import { describe, expect, test } from "vitest";
import {
  frameNs,
  type HdlcdDrmPrivate,
  hdlcd_drvdata,
  hdlcdModule,
  type HdlcdDriverOptions,
  VGA_MODE,
} from "../../../src/drivers/index.ts";
import * as reg from "../../../src/drivers/gpu/hdlcd/hdlcd-regs.ts";
import { Hdlcd } from "../../../src/hw/index.ts";
import { device_release_driver, device_shutdown, dtNode, PlatformDevice } from "../../../src/kernel/index.ts";
import { Machine } from "../../kernel/pci/machine.ts";

const BASE = 0x2b00_0000;
const IRQ = 40;
/** 800 × 525 pixels at 25.175 MHz, rounded up. */
const FRAME_NS = 16_683_218;
const LINES = 480;

class Rig {
  readonly m: Machine;
  readonly lcd: Hdlcd;
  /** Lines as scanned out. */
  readonly lines: { readonly time: number; readonly line: number; readonly first: readonly number[] }[] = [];

  constructor(options: HdlcdDriverOptions) {
    this.m = new Machine({
      drivers: [hdlcdModule(options)],
      nodes: [
        dtNode({ name: `hdlcd@${BASE.toString(16)}`, compatible: ["arm,hdlcd"], reg: [{ base: BASE, size: 0x1000 }], interrupts: [IRQ] }),
      ],
    });
    this.lcd = new Hdlcd({
      simulation: this.m.sim,
      name: "hdlcd",
      dma: this.m.dmaPort("hdlcd"),
      irq: (level) => this.m.interrupts.setLevel(IRQ, level),
      onLine: (line, bytes) => this.lines.push({ time: this.m.sim.now, line, first: [...bytes.subarray(0, 4)] }),
    });
    this.m.bus.addWindow({ name: "hdlcd", base: BASE, size: 0x1000, device: this.lcd });
    this.m.boot();
  }

  get pdev(): PlatformDevice {
    const dev = this.m.kernel.base.findDevice(`${BASE.toString(16)}.hdlcd`) ?? this.#pdev;
    if (!(dev instanceof PlatformDevice)) throw new Error("no such device");
    this.#pdev = dev;
    return dev;
  }
  #pdev: PlatformDevice | null = null;

  get hdlcd(): HdlcdDrmPrivate {
    return hdlcd_drvdata(this.pdev)!;
  }

  /** Runs the shutdown hooks `fraction` into a frame. @returns how long they took */
  shutdownInFrame(fraction: number): number {
    void this.pdev;
    const frames = this.lcd.counts.frames;
    this.m.sim.run({ until: () => this.lcd.counts.frames > frames, limitNs: this.m.sim.now + 1e9 });
    this.m.idle(fraction * FRAME_NS);
    const start = this.m.sim.now;
    this.m.run(device_shutdown(this.m.kernel));
    return this.m.sim.now - start;
  }
}

describe("hdlcd_drm_bind", () => {
  test("writes the registers in the order of Linux: interrupts, plane, bus options, timing, format, COMMAND", () => {
    const rig = new Rig({ shutdown: "mainline" });
    const order = rig.m
      .registers(BASE, 0x1000)
      .filter(({ write }) => write)
      .map(({ offset }) => offset);
    expect(order.slice(0, order.indexOf(reg.HDLCD_REG_COMMAND) + 1)).toEqual([
      reg.HDLCD_REG_INT_MASK,
      reg.HDLCD_REG_INT_CLEAR,
      reg.HDLCD_REG_INT_MASK,
      reg.HDLCD_REG_FB_LINE_LENGTH,
      reg.HDLCD_REG_FB_LINE_PITCH,
      reg.HDLCD_REG_FB_LINE_COUNT,
      reg.HDLCD_REG_FB_BASE,
      reg.HDLCD_REG_BUS_OPTIONS,
      reg.HDLCD_REG_V_DATA,
      reg.HDLCD_REG_V_BACK_PORCH,
      reg.HDLCD_REG_V_FRONT_PORCH,
      reg.HDLCD_REG_V_SYNC,
      reg.HDLCD_REG_H_DATA,
      reg.HDLCD_REG_H_BACK_PORCH,
      reg.HDLCD_REG_H_FRONT_PORCH,
      reg.HDLCD_REG_H_SYNC,
      reg.HDLCD_REG_POLARITIES,
      reg.HDLCD_REG_PIXEL_FORMAT,
      reg.HDLCD_REG_RED_SELECT,
      reg.HDLCD_REG_GREEN_SELECT,
      reg.HDLCD_REG_BLUE_SELECT,
      reg.HDLCD_REG_COMMAND,
    ]);
  });

  test("the frame buffer is shown line by line, each from its place", () => {
    const rig = new Rig({ shutdown: "mainline" });
    rig.m.idle(2 * FRAME_NS);
    const frame = rig.lines.slice(0, LINES);
    expect(frame.map(({ line }) => line)).toEqual(Array.from({ length: LINES }, (_, line) => line));
    expect(frame.every(({ line, first }) => first[0] === (line & 0xff))).toBe(true);
    expect(rig.m.strays).toEqual([]);
  });

  test("another product at the address is refused", () => {
    const m = new Machine({
      drivers: [hdlcdModule({ shutdown: "mainline" })],
      nodes: [
        dtNode({ name: `hdlcd@${BASE.toString(16)}`, compatible: ["arm,hdlcd"], reg: [{ base: BASE, size: 0x1000 }], interrupts: [IRQ] }),
      ],
    });
    m.bus.addWindow({ name: "other", base: BASE, size: 0x1000, device: { read: () => 0x1234_0000, write: () => {} } });
    m.boot();
    expect(m.kernel.base.findDevice(`${BASE.toString(16)}.hdlcd`)?.driver).toBeNull();
  });

  test("vertical blanks are counted once a frame", () => {
    const rig = new Rig({ shutdown: "mainline" });
    rig.m.idle(FRAME_NS / 2);
    const before = rig.hdlcd.vsync_count;
    rig.m.idle(10 * FRAME_NS);
    expect(rig.hdlcd.vsync_count - before).toBe(10);
    expect(rig.hdlcd.bus_error_count).toBe(0);
  });

  test("unbinding frees the frame buffer and the interrupt", () => {
    const rig = new Rig({ shutdown: "mainline" });
    const { pdev } = rig;
    rig.m.run(device_release_driver(pdev));
    expect(rig.m.kernel.dma.mappings(pdev)).toEqual([]);
    expect(rig.m.kernel.irq.action(IRQ)).toBeUndefined();
  });
});

test("frameNs: pixels of a frame, blanking included, over the pixel clock", () => {
  expect(frameNs(VGA_MODE)).toBe(FRAME_NS);
});

describe("no hook", () => {
  test("the scan-out goes on for ever", () => {
    const rig = new Rig({ shutdown: "no-hook" });
    rig.shutdownInFrame(0.5);
    const before = rig.lines.length;
    rig.m.idle(5 * FRAME_NS);
    expect(rig.lines.length - before).toBeGreaterThan(4 * LINES);
  });
});

describe("hdlcd_shutdown", () => {
  test("returns before the frame ends: the rest of its lines are fetched afterwards, and no further frame", () => {
    const rig = new Rig({ shutdown: "mainline" });
    expect(rig.shutdownInFrame(0.25)).toBeLessThan(100_000);
    expect(rig.lcd.scanning).toBe(true);
    const before = rig.lines.length;
    rig.m.idle(5 * FRAME_NS);
    expect(rig.lines.length - before).toBeGreaterThan(LINES / 2);
    expect(rig.lines.length - before).toBeLessThan(LINES);
    expect(rig.lines.at(-1)!.line).toBe(LINES - 1);
  });

  test("writes: the vertical blank interrupt off, then COMMAND = 0, and nothing else", () => {
    const rig = new Rig({ shutdown: "mainline" });
    rig.m.idle(3 * FRAME_NS + FRAME_NS / 2);
    const from = rig.m.cpu.accesses.length;
    rig.m.run(device_shutdown(rig.m.kernel));
    const writes = rig.m.registers(BASE, 0x1000, from).filter(({ write }) => write);
    expect(writes.map(({ offset }) => offset)).toEqual([reg.HDLCD_REG_INT_MASK, reg.HDLCD_REG_COMMAND]);
    expect(writes[0]!.value & reg.HDLCD_INTERRUPT_VSYNC).toBe(0);
    expect(writes[1]!.value).toBe(0);
  });

  test("the frame buffer stays allocated and mapped", () => {
    const rig = new Rig({ shutdown: "mainline" });
    rig.shutdownInFrame(0.25);
    expect(rig.m.kernel.dma.mappings(rig.pdev)).toHaveLength(1);
  });
});

describe("the quiescing hook", () => {
  test.each([0.05, 0.25, 0.9, 0.99])("returns when the last line has been fetched: begun %f into a frame", (fraction) => {
    const rig = new Rig({ shutdown: "quiescing" });
    const took = rig.shutdownInFrame(fraction);
    const before = rig.lines.length;
    rig.m.idle(5 * FRAME_NS);
    expect(rig.lines.length).toBe(before);
    expect(rig.lines.at(-1)!.line).toBe(LINES - 1);
    expect(took).toBeLessThan(1.02 * FRAME_NS);
    expect(rig.m.strays).toEqual([]);
  });

  test("the frame buffer is freed only after that", () => {
    const rig = new Rig({ shutdown: "quiescing" });
    rig.shutdownInFrame(0.25);
    expect(rig.m.kernel.dma.mappings(rig.pdev)).toEqual([]);
    expect(rig.m.kernel.irq.action(IRQ)).toBeUndefined();
  });

  test("a controller that shows nothing is left at once", () => {
    const rig = new Rig({ shutdown: "quiescing", enable: false });
    void rig.pdev;
    const start = rig.m.sim.now;
    rig.m.run(device_shutdown(rig.m.kernel));
    expect(rig.m.sim.now - start).toBeLessThan(100_000);
  });
});

describe("a kernel after a kexec", () => {
  test("takes a running controller over: COMMAND = 0 first, and from the next frame on its own picture", () => {
    const rig = new Rig({ shutdown: "no-hook" });
    rig.shutdownInFrame(0.5);
    const from = rig.m.cpu.accesses.length;
    rig.m.bootNext([hdlcdModule({ shutdown: "no-hook" })]);
    const commands = rig.m.registers(BASE, 0x1000, from).filter(({ write, offset }) => write && offset === reg.HDLCD_REG_COMMAND);
    expect(commands.map(({ value }) => value)).toEqual([0, 1]);
    rig.m.idle(FRAME_NS);
    rig.m.strays.length = 0;
    rig.m.idle(2 * FRAME_NS);
    expect(rig.m.strays).toEqual([]);
  });
});

describe("system sleep (hdlcd_pm_ops)", () => {
  /** @returns what the device's callback of a phase returned */
  const call = (rig: Rig, phase: "freeze" | "thaw" | "restore"): number => rig.m.run(rig.pdev.driver!.pm![phase]!(rig.pdev));

  test("freezing turns the picture off without waiting for the frame under way; restoring shows it again", () => {
    const rig = new Rig({ shutdown: "no-hook" });
    const { fb } = rig.hdlcd;
    const before = rig.m.sim.now;
    expect(call(rig, "freeze")).toBe(0);
    expect(rig.m.sim.now - before).toBeLessThan(FRAME_NS);
    expect(rig.hdlcd.crtc_active).toBe(false);
    rig.m.idle(2 * FRAME_NS);
    const shown = rig.lines.length;
    rig.m.idle(2 * FRAME_NS);
    expect(rig.lines).toHaveLength(shown);
    // Another kernel had the controller meanwhile.
    rig.lcd.reset();
    expect(call(rig, "restore")).toBe(0);
    expect(rig.hdlcd.fb).toBe(fb);
    rig.m.idle(2 * FRAME_NS);
    expect(rig.lines.length).toBeGreaterThan(shown + LINES / 2);
    expect(rig.lines.at(-1)!.first[0]).toBe(rig.lines.at(-1)!.line & 0xff);
  });

  test("what was not shown is not shown afterwards", () => {
    const rig = new Rig({ shutdown: "no-hook", enable: false });
    for (const phase of ["freeze", "thaw"] as const) expect(call(rig, phase)).toBe(0);
    rig.m.idle(2 * FRAME_NS);
    expect(rig.lines).toEqual([]);
  });
});
