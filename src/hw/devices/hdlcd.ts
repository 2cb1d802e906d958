// SPDX-License-Identifier: MIT
/**
 * Arm HDLCD: a display controller that reads a frame buffer line by line at the pace of its pixel clock, for ever.
 *
 * A frame is V_SYNC, back porch, data, front porch, counted in lines. What the frame shows (FB_BASE, line length, pitch,
 * count, timing) is latched at vsync, where the frame starts; COMMAND.ENABLE = 0 is honoured where a frame ends. The
 * fetch of a line happens at the line's start, in reads of at most 4 KiB that cross no 4 KiB boundary: BUS_OPTIONS (burst
 * lengths, outstanding transactions) is kept but does not split them further, so that a frame stays cheap to simulate.
 *
 * The display does not wait for memory: while an SMMU stalls a read, the rest of its line and the lines that follow are not
 * fetched, which is an underrun, and the timing of the frame goes on. The first line after the end of the read is fetched again.
 */
import { type DmaAttributes, DmaStatus, type DmaPort } from "../memory/dma-port.ts";
import type { MmioDevice } from "../memory/system-bus.ts";
import type { ScheduledEvent, Simulation } from "../../sim/index.ts";

/** Register offsets (HDLCD Technical Reference Manual). */
export const HDLCD = {
  VERSION: 0x000,
  INT_RAWSTAT: 0x010,
  INT_CLEAR: 0x014,
  INT_MASK: 0x018,
  INT_STATUS: 0x01c,
  FB_BASE: 0x100,
  FB_LINE_LENGTH: 0x104,
  FB_LINE_COUNT: 0x108,
  FB_LINE_PITCH: 0x10c,
  BUS_OPTIONS: 0x110,
  V_SYNC: 0x200,
  V_BACK_PORCH: 0x204,
  V_DATA: 0x208,
  V_FRONT_PORCH: 0x20c,
  H_SYNC: 0x210,
  H_BACK_PORCH: 0x214,
  H_DATA: 0x218,
  H_FRONT_PORCH: 0x21c,
  POLARITIES: 0x220,
  COMMAND: 0x230,
  PIXEL_FORMAT: 0x240,
  RED_SELECT: 0x244,
  GREEN_SELECT: 0x248,
  BLUE_SELECT: 0x24c,
} as const;

/** Bits of the interrupt registers. */
export const HDLCD_INT = { DMA_END: 1, BUS_ERROR: 2, VSYNC: 4, UNDERRUN: 8 } as const;
/** COMMAND: scan-out is wanted. */
export const HDLCD_COMMAND_ENABLE = 1;

const VERSION_VALUE = 0x1cdc_0000;
const BUS_OPTIONS_RESET = 0x408;
const PAGE = 4096;

/** Bits that software may write, by offset; interrupt registers are apart. */
const WRITABLE: ReadonlyMap<number, number> = new Map<number, number>([
  [HDLCD.INT_MASK, 0xf],
  [HDLCD.FB_BASE, 0xffff_fff8],
  [HDLCD.FB_LINE_LENGTH, 0xffff_ffff],
  [HDLCD.FB_LINE_COUNT, 0xfff],
  [HDLCD.FB_LINE_PITCH, 0xffff_ffff],
  [HDLCD.BUS_OPTIONS, 0xf1f],
  [HDLCD.V_SYNC, 0xfff],
  [HDLCD.V_BACK_PORCH, 0xfff],
  [HDLCD.V_DATA, 0xfff],
  [HDLCD.V_FRONT_PORCH, 0xfff],
  [HDLCD.H_SYNC, 0xfff],
  [HDLCD.H_BACK_PORCH, 0xfff],
  [HDLCD.H_DATA, 0xfff],
  [HDLCD.H_FRONT_PORCH, 0xfff],
  [HDLCD.POLARITIES, 0x1f],
  [HDLCD.COMMAND, 1],
  [HDLCD.PIXEL_FORMAT, 0x8000_0018],
  [HDLCD.RED_SELECT, 0xff_0f1f],
  [HDLCD.GREEN_SELECT, 0xff_0f1f],
  [HDLCD.BLUE_SELECT, 0xff_0f1f],
]);

export interface HdlcdOptions {
  readonly simulation: Simulation;
  readonly name: string;
  readonly dma: DmaPort;
  /** The interrupt output, a level: called when it changes. */
  readonly irq: (level: boolean) => void;
  /** Pixel clock in Hz; 0: gated. Default: 25.175 MHz. */
  readonly pixelClockHz?: number;
  /** Time that memory takes for one read of up to 4 KiB; a line that takes longer than its time is an underrun. Default: 0. */
  readonly fetchNs?: number;
  /** Sees each line as fetched; the bytes are valid during the call only. */
  readonly onLine?: (line: number, bytes: Uint8Array) => void;
}

/** What a frame was started with. */
interface Frame {
  readonly base: number;
  readonly lineLength: number;
  readonly pitch: number;
  readonly lines: number;
  /** Lines from vsync to the first line of data, and from the last to the end of the frame. */
  readonly leading: number;
  readonly trailing: number;
  readonly pixelsPerLine: number;
  underrun: boolean;
}

export class Hdlcd implements MmioDevice {
  /** Bytes of MMIO. */
  readonly size: number = 0x1000;
  readonly name: string;
  /** Counts since the last reset. */
  readonly counts: { frames: number; lines: number; busErrors: number; underruns: number } = {
    frames: 0,
    lines: 0,
    busErrors: 0,
    underruns: 0,
  };
  readonly #simulation: Simulation;
  readonly #dma: DmaPort;
  readonly #irq: (level: boolean) => void;
  readonly #fetchNs: number;
  readonly #onLine: ((line: number, bytes: Uint8Array) => void) | undefined;
  readonly #registers = new Map<number, number>();
  #pixelClockHz: number;
  #rawStatus = 0;
  #level = false;
  #frame: Frame | null = null;
  #event: ScheduledEvent | null = null;
  /** What to do when the pixel clock runs again. */
  #resume: (() => void) | null = null;
  #line = new Uint8Array(0);
  /** How a read that stalled ends; undefined while there is none. */
  #stalled: DmaAttributes | undefined;

  constructor(options: HdlcdOptions) {
    this.name = options.name;
    this.#simulation = options.simulation;
    this.#dma = options.dma;
    this.#irq = options.irq;
    this.#pixelClockHz = options.pixelClockHz ?? 25_175_000;
    this.#fetchNs = options.fetchNs ?? 0;
    this.#onLine = options.onLine;
    this.reset();
  }

  /** Hardware reset: scan-out stops where it stands. */
  reset(): void {
    this.#event?.cancel();
    this.#event = null;
    this.#resume = null;
    this.#frame = null;
    this.#stalled = undefined;
    this.#registers.clear();
    this.#registers.set(HDLCD.BUS_OPTIONS, BUS_OPTIONS_RESET);
    this.#rawStatus = 0;
    Object.assign(this.counts, { frames: 0, lines: 0, busErrors: 0, underruns: 0 });
    this.#updateInterrupt();
  }

  /** True from the vsync that starts a frame to the end of the last frame. */
  get scanning(): boolean {
    return this.#frame !== null;
  }

  get pixelClockHz(): number {
    return this.#pixelClockHz;
  }

  /** Changes the pixel clock from the next line on; 0 gates it: scan-out stands still where it is. */
  setPixelClock(hz: number): void {
    this.#pixelClockHz = hz;
    if (hz === 0 || !this.#resume) return;
    const resume = this.#resume;
    this.#resume = null;
    resume();
  }

  #register(offset: number): number {
    return this.#registers.get(offset) ?? 0;
  }

  read(offset: number): number {
    switch (offset) {
      case HDLCD.VERSION:
        return VERSION_VALUE;
      case HDLCD.INT_RAWSTAT:
        return this.#rawStatus;
      case HDLCD.INT_STATUS:
        return this.#rawStatus & this.#register(HDLCD.INT_MASK);
      default:
        return this.#register(offset);
    }
  }

  write(offset: number, _width: 1 | 2 | 4, value: number): void {
    if (offset === HDLCD.INT_RAWSTAT) {
      this.#raise(value & 0xf);
      return;
    }
    if (offset === HDLCD.INT_CLEAR) {
      this.#rawStatus &= ~value;
      this.#updateInterrupt();
      return;
    }
    const mask = WRITABLE.get(offset);
    if (mask === undefined) return;
    this.#registers.set(offset, (value & mask) >>> 0);
    if (offset === HDLCD.INT_MASK) this.#updateInterrupt();
    if (offset === HDLCD.COMMAND && !this.#frame) this.#startFrame();
  }

  #raise(bits: number): void {
    this.#rawStatus |= bits;
    this.#updateInterrupt();
  }

  #updateInterrupt(): void {
    const level = (this.#rawStatus & this.#register(HDLCD.INT_MASK)) !== 0;
    if (level === this.#level) return;
    this.#level = level;
    this.#irq(level);
  }

  /** Calls `action` after `lines` line times; with the pixel clock gated, when it runs again. */
  #afterLines(lines: number, action: () => void): void {
    const frame = this.#frame;
    if (!frame) return;
    if (this.#pixelClockHz === 0) {
      this.#resume = () => this.#afterLines(lines, action);
      return;
    }
    this.#event = this.#simulation.after((lines * frame.pixelsPerLine * 1e9) / this.#pixelClockHz, () => {
      if (this.#pixelClockHz === 0) this.#resume = action;
      else action();
    });
  }

  /** The start of vsync: a frame begins if the controller is enabled, with what the registers say now. */
  #startFrame(): void {
    this.#frame = null;
    if ((this.#register(HDLCD.COMMAND) & HDLCD_COMMAND_ENABLE) === 0) return;
    // Timing registers and FB_LINE_COUNT hold one less than the number.
    const count = (offset: number): number => this.#register(offset) + 1;
    this.#frame = {
      base: this.#register(HDLCD.FB_BASE),
      lineLength: this.#register(HDLCD.FB_LINE_LENGTH),
      pitch: this.#register(HDLCD.FB_LINE_PITCH) | 0,
      lines: Math.min(count(HDLCD.V_DATA), count(HDLCD.FB_LINE_COUNT)),
      leading: count(HDLCD.V_SYNC) + count(HDLCD.V_BACK_PORCH),
      trailing: count(HDLCD.V_FRONT_PORCH) + Math.max(0, count(HDLCD.V_DATA) - count(HDLCD.FB_LINE_COUNT)),
      pixelsPerLine: count(HDLCD.H_SYNC) + count(HDLCD.H_BACK_PORCH) + count(HDLCD.H_DATA) + count(HDLCD.H_FRONT_PORCH),
      underrun: false,
    };
    this.#afterLines(this.#frame.leading, () => this.#scanLine(0));
    this.#raise(HDLCD_INT.VSYNC);
  }

  #scanLine(line: number): void {
    const frame = this.#frame;
    if (!frame) return;
    this.#fetch(frame, line);
    this.counts.lines++;
    if (line + 1 < frame.lines) {
      this.#afterLines(1, () => this.#scanLine(line + 1));
      return;
    }
    this.#afterLines(1 + frame.trailing, () => {
      this.counts.frames++;
      this.#startFrame();
    });
    this.#raise(HDLCD_INT.DMA_END);
  }

  /** Reads a line. A bus error leaves its pixels out; the rest of the line and the frame go on. */
  #fetch(frame: Frame, line: number): void {
    if (this.#stalled) {
      this.#underrun(frame);
      return;
    }
    const watch: DmaAttributes = { onCompletion: (status) => this.#ended(watch, status) };
    const start = (frame.base + line * frame.pitch) >>> 0;
    if (this.#line.length !== frame.lineLength) this.#line = new Uint8Array(Math.min(frame.lineLength, 0x1_0000));
    let reads = 0;
    let failed = false;
    for (let done = 0; done < this.#line.length; reads++) {
      const address = (start + done) >>> 0;
      const length = Math.min(this.#line.length - done, PAGE - (address % PAGE));
      const status = this.#dma.read(address, this.#line.subarray(done, done + length), watch);
      if (status === DmaStatus.abort) failed = true;
      if (status === DmaStatus.stalled) {
        // The read goes on filling these bytes: the next line needs others.
        this.#stalled = watch;
        this.#line = new Uint8Array(0);
        break;
      }
      done += length;
    }
    if (failed) this.#busError();
    const lineNs = (frame.pixelsPerLine * 1e9) / this.#pixelClockHz;
    if (this.#stalled || reads * this.#fetchNs > lineNs) this.#underrun(frame);
    if (!this.#stalled) this.#onLine?.(line, this.#line);
  }

  /** A read that had stalled is over. After a reset it is not this scan-out's any more. */
  #ended(read: DmaAttributes, status: DmaStatus): void {
    if (this.#stalled !== read) return;
    this.#stalled = undefined;
    if (status === DmaStatus.abort) this.#busError();
  }

  #busError(): void {
    this.counts.busErrors++;
    this.#raise(HDLCD_INT.BUS_ERROR);
  }

  /** One report a frame: the controller resynchronises at the next vsync. */
  #underrun(frame: Frame): void {
    if (frame.underrun) return;
    frame.underrun = true;
    this.counts.underruns++;
    this.#raise(HDLCD_INT.UNDERRUN);
  }
}
