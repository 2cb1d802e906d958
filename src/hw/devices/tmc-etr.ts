// SPDX-License-Identifier: MIT
/**
 * A CoreSight Trace Memory Controller as Embedded Trace Router: trace from the CPUs flows into a circular buffer in
 * memory, by AXI writes that nothing paces but the trace itself.
 *
 * A burst is issued every `periodNs` while capture runs and reaches memory `writeLatencyNs` later; stopping capture does
 * not stop bursts that are under way, which is what STS.TMCReady is for. The ETR has no interrupt of its own.
 *
 * While an SMMU stalls a write, bursts that were issued wait behind it, none is issued (trace is lost) and TMCReady is 0.
 */
import { high32, join64, low32 } from "../bits/hex.ts";
import { NotModelledLog } from "../errors.ts";
import { type DmaAttributes, DmaStatus, type DmaPort } from "../memory/dma-port.ts";
import type { MmioDevice } from "../memory/system-bus.ts";
import type { ScheduledEvent, Simulation } from "../../sim/index.ts";
import { TMC, TMC_FFCR, TMC_FFSR, TMC_STS, TRACE_FRAME_BYTES, traceFrame } from "./tmc-etr-registers.ts";

/** What unlocks the registers when written to LAR. */
const UNLOCK_KEY = 0xc5ac_ce55;
/** FFCR bits that software may set. Flush and stop are acted on; formatting and triggers are kept only. */
const FFCR_MASK = 0x7773;
const FFCR_STOP_ON_TRIGGER = 0x2000;
const AXICTL_MASK = 0x0fbf;
const AXICTL_SCATTER_GATHER = 0x80;
const CLAIM_TAGS = 0xf;
/** Peripheral and component identification from 0xfd0: Arm, part 0x961, CoreSight component. */
const IDENTIFICATION = [0x04, 0, 0, 0, 0x61, 0xb9, 0x0b, 0, 0x0d, 0x90, 0x05, 0xb1] as const;
const NOTHING_TO_READ = 0xffff_ffff;

export interface TmcEtrOptions {
  readonly simulation: Simulation;
  readonly name: string;
  readonly dma: DmaPort;
  /** Bytes of one burst: a multiple of 16. Default: 64. */
  readonly burstBytes?: number;
  /** Time between bursts. Default: 10 µs. */
  readonly periodNs?: number;
  /** From the issue of a burst to its arrival in memory. Default: 500 ns. */
  readonly writeLatencyNs?: number;
  /** Duration of a flush of the trace sources. Default: 2 µs. */
  readonly flushNs?: number;
  /** Width of AXI addresses in bits: 32, 40, 44, 48 or 52. Default: 32. */
  readonly axiAddressBits?: number;
  readonly notModelled?: NotModelledLog;
}

/** How far capture has come: TraceCaptEn clear; running; stopped with TraceCaptEn still set. */
type State = "disabled" | "running" | "stopped";

export class TmcEtr implements MmioDevice {
  /** Bytes of MMIO. */
  readonly size: number = 0x1000;
  readonly name: string;
  readonly #simulation: Simulation;
  readonly #dma: DmaPort;
  readonly #burst: Uint8Array;
  readonly #periodNs: number;
  readonly #writeLatencyNs: number;
  readonly #flushNs: number;
  readonly #axiAddressBits: number;
  readonly #notModelled: NotModelledLog;
  #registers = new Uint32Array(0x400);
  #state: State = "disabled";
  #locked = true;
  #claimed = 0;
  #full = false;
  #memErr = false;
  #writePointer = 0;
  #readPointer = 0;
  #fillWords = 0;
  #frame = 0;
  #inFlight = new Set<ScheduledEvent>();
  #nextBurst: ScheduledEvent | null = null;
  #flush: ScheduledEvent | null = null;
  /** How a write that stalled ends; undefined while there is none. */
  #stalled: DmaAttributes | undefined;
  /** Bursts that arrived behind a stalled write. */
  #behind = 0;
  /** A read of RRD stalls. */
  #stalledRead: DmaAttributes | undefined;

  constructor(options: TmcEtrOptions) {
    this.name = options.name;
    this.#simulation = options.simulation;
    this.#dma = options.dma;
    this.#burst = new Uint8Array(options.burstBytes ?? 64);
    this.#periodNs = options.periodNs ?? 10_000;
    this.#writeLatencyNs = options.writeLatencyNs ?? 500;
    this.#flushNs = options.flushNs ?? 2000;
    this.#axiAddressBits = options.axiAddressBits ?? 32;
    this.#notModelled = options.notModelled ?? new NotModelledLog();
    this.reset();
  }

  /** Hardware reset: registers locked, capture off, bursts under way are lost. The trace itself goes on counting. */
  reset(): void {
    this.#cancel();
    for (const write of this.#inFlight) write.cancel();
    this.#inFlight.clear();
    this.#stalled = undefined;
    this.#stalledRead = undefined;
    this.#behind = 0;
    this.#registers = new Uint32Array(0x400);
    this.#state = "disabled";
    this.#locked = true;
    this.#claimed = 0;
    this.#full = false;
    this.#memErr = false;
    this.#writePointer = 0;
    this.#readPointer = 0;
    this.#fillWords = 0;
  }

  /** True while bursts are issued. */
  get capturing(): boolean {
    return this.#state === "running";
  }

  /** Bursts issued that have not reached memory yet. */
  get writesInFlight(): number {
    return this.#inFlight.size + this.#behind + (this.#stalled ? 1 : 0);
  }

  #bufferBase(): number {
    return join64(this.#registers[TMC.DBAHI >>> 2]!, this.#registers[TMC.DBALO >>> 2]!);
  }

  #bufferBytes(): number {
    return this.#registers[TMC.RSZ >>> 2]! * 4;
  }

  /** Nothing is captured and nothing is under way to memory. */
  get #ready(): boolean {
    return this.#state !== "running" && this.writesInFlight === 0;
  }

  /** STS.Empty is valid, and set at all, only while TraceCaptEn is set. */
  #status(): number {
    return (
      (this.#full ? TMC_STS.FULL : 0) |
      (this.#ready ? TMC_STS.TMC_READY | TMC_STS.FT_EMPTY : 0) |
      (this.#state !== "disabled" && this.#fillWords === 0 ? TMC_STS.EMPTY : 0) |
      (this.#memErr ? TMC_STS.MEM_ERR : 0)
    );
  }

  #deviceId(): number {
    const etr = 1;
    const memoryWidth64 = 3;
    return (1 << 24) | (this.#axiAddressBits << 17) | (1 << 16) | (memoryWidth64 << 8) | (etr << 6);
  }

  read(offset: number): number {
    switch (offset) {
      case TMC.STS:
        return this.#status();
      case TMC.RRD:
        return this.#readData();
      case TMC.RRP:
        return low32(this.#readPointer);
      case TMC.RRPHI:
        return high32(this.#readPointer);
      case TMC.RWP:
        return low32(this.#writePointer);
      case TMC.RWPHI:
        return high32(this.#writePointer);
      case TMC.CTL:
        return this.#state === "disabled" ? 0 : 1;
      case TMC.CBUFLEVEL:
      case TMC.LBUFLEVEL:
        return this.#fillWords;
      case TMC.FFSR:
        return (this.#flush ? TMC_FFSR.FLUSH_IN_PROGRESS : 0) | (this.#state === "running" ? 0 : TMC_FFSR.FORMATTER_STOPPED);
      case TMC.CLAIMSET:
        return CLAIM_TAGS;
      case TMC.CLAIMCLR:
        return this.#claimed;
      case TMC.LSR:
        return this.#locked ? 3 : 1;
      case TMC.DEVID:
        return this.#deviceId();
      case TMC.DEVTYPE:
        return 0x21;
      default:
        if (offset >= 0xfd0) return IDENTIFICATION[(offset - 0xfd0) >>> 2] ?? 0;
        return this.#registers[offset >>> 2] ?? 0;
    }
  }

  /** While the software lock is closed, writes to anything but LAR are ignored. */
  write(offset: number, _width: 1 | 2 | 4, value: number): void {
    if (offset === TMC.LAR) {
      this.#locked = value !== UNLOCK_KEY;
      return;
    }
    if (this.#locked) return;
    switch (offset) {
      case TMC.CTL:
        this.#control((value & 1) !== 0);
        return;
      case TMC.FFCR:
        this.#formatterControl(value & FFCR_MASK);
        return;
      case TMC.STS:
        if ((value & TMC_STS.MEM_ERR) !== 0 && this.#ready) this.#memErr = false;
        if (this.#state === "disabled") this.#full = (value & TMC_STS.FULL) !== 0;
        return;
      case TMC.CLAIMSET:
        this.#claimed |= value & CLAIM_TAGS;
        return;
      case TMC.CLAIMCLR:
        this.#claimed &= ~value;
        return;
      case TMC.TRG:
      case TMC.PSCR:
      case TMC.BUFWM:
      case TMC.ITCTRL:
        this.#registers[offset >>> 2] = value;
        return;
      default:
        if (this.#state === "disabled") this.#configure(offset, value);
    }
  }

  /** Registers that may be written only while capture is disabled. */
  #configure(offset: number, value: number): void {
    switch (offset) {
      case TMC.RRP:
        this.#readPointer = join64(high32(this.#readPointer), value);
        return;
      case TMC.RRPHI:
        this.#readPointer = join64(this.#high(value), low32(this.#readPointer));
        return;
      case TMC.RWP:
        this.#writePointer = join64(high32(this.#writePointer), value);
        return;
      case TMC.RWPHI:
        this.#writePointer = join64(this.#high(value), low32(this.#writePointer));
        return;
      case TMC.RSZ:
        this.#registers[offset >>> 2] = value & 0x7fff_ffff;
        return;
      case TMC.MODE:
        this.#registers[offset >>> 2] = value & 3;
        return;
      case TMC.AXICTL:
        this.#registers[offset >>> 2] = value & AXICTL_MASK;
        if ((value & AXICTL_SCATTER_GATHER) !== 0) this.#notModelled.note("TMC-ETR scatter-gather (AXICTL.ScatterGatherMode)");
        return;
      case TMC.DBALO:
        this.#registers[offset >>> 2] = value & ~0xf;
        return;
      case TMC.DBAHI:
        this.#registers[offset >>> 2] = this.#high(value);
        return;
    }
  }

  /** The upper half of an address, cut to the AXI address width. */
  #high(value: number): number {
    return value & (2 ** (this.#axiAddressBits - 32) - 1);
  }

  #control(enable: boolean): void {
    if (enable === (this.#state !== "disabled")) return;
    if (!enable) {
      this.#cancel();
      this.#registers[TMC.FFCR >>> 2]! &= ~TMC_FFCR.FLUSH_MAN;
      this.#state = "disabled";
      return;
    }
    this.#memErr = false;
    this.#full = false;
    this.#stalled = undefined;
    this.#behind = 0;
    this.#fillWords = 0;
    this.#writePointer = this.#bufferBase();
    this.#readPointer = this.#writePointer;
    this.#state = "running";
    if (this.#registers[TMC.MODE >>> 2] !== 0) {
      this.#notModelled.note(`TMC-ETR mode ${this.#registers[TMC.MODE >>> 2]}: only the circular buffer writes trace`);
    } else if (this.#bufferBytes() > 0) {
      this.#schedule();
    }
  }

  #formatterControl(value: number): void {
    this.#registers[TMC.FFCR >>> 2] = value;
    if ((value & FFCR_STOP_ON_TRIGGER) !== 0) this.#notModelled.note("TMC-ETR stop on trigger event (FFCR.StopOnTrigEvt)");
    if ((value & TMC_FFCR.FLUSH_MAN) === 0 || this.#flush) return;
    if (this.#state === "running") this.#flush = this.#simulation.after(this.#flushNs, () => this.#flushed());
    else this.#registers[TMC.FFCR >>> 2]! &= ~TMC_FFCR.FLUSH_MAN;
  }

  /** The sources have delivered what they held: it goes out as a last burst. */
  #flushed(): void {
    this.#flush = null;
    this.#registers[TMC.FFCR >>> 2]! &= ~TMC_FFCR.FLUSH_MAN;
    if (this.#nextBurst) this.#issue();
    if ((this.#registers[TMC.FFCR >>> 2]! & TMC_FFCR.STOP_ON_FLUSH) !== 0) this.#stop();
  }

  #schedule(): void {
    this.#nextBurst = this.#simulation.after(this.#periodNs, () => {
      this.#issue();
      this.#schedule();
    });
  }

  #issue(): void {
    if (this.#stalled) return;
    const write = this.#simulation.after(this.#writeLatencyNs, () => {
      this.#inFlight.delete(write);
      this.#land();
    });
    this.#inFlight.add(write);
  }

  /** A burst reaches memory, in the order of issue; at the end of the buffer it goes on at its start. */
  #land(): void {
    if (this.#memErr) return;
    if (this.#stalled) {
      this.#behind++;
      return;
    }
    for (let at = 0; at < this.#burst.length; at += TRACE_FRAME_BYTES) traceFrame(this.#frame++, this.#burst, at);
    this.#store(0);
  }

  /** Writes the burst from byte `start` on. */
  #store(start: number): void {
    const end = this.#bufferBase() + this.#bufferBytes();
    for (let done = start; done < this.#burst.length;) {
      const part = this.#burst.subarray(done, Math.max(done, done + end - this.#writePointer));
      // Software has moved the buffer away under a burst: what is left of it is lost.
      if (part.length === 0) return;
      const watch: DmaAttributes = { onCompletion: (status) => this.#ended(watch, status, done, part.length) };
      const status = this.#dma.write(this.#writePointer, part, watch);
      if (status === DmaStatus.stalled) {
        this.#stalled = watch;
        return;
      }
      if (!this.#stored(status, part.length)) return;
      done += part.length;
    }
    this.#landed();
  }

  /** @returns false if the write was aborted */
  #stored(status: DmaStatus, length: number): boolean {
    if (status === DmaStatus.abort) {
      this.#memErr = true;
      this.#behind = 0;
      this.#stop();
      return false;
    }
    this.#writePointer += length;
    if (this.#writePointer === this.#bufferBase() + this.#bufferBytes()) {
      this.#writePointer = this.#bufferBase();
      this.#full = true;
    }
    return true;
  }

  /** A write that had stalled is over, and what waits behind it goes on. After a reset it is not this capture's any more. */
  #ended(write: DmaAttributes, status: DmaStatus, done: number, length: number): void {
    if (this.#stalled !== write) return;
    this.#stalled = undefined;
    if (!this.#stored(status, length)) return;
    this.#store(done + length);
    while (this.#behind > 0 && !this.#stalled && !this.#memErr) {
      this.#behind--;
      this.#land();
    }
  }

  /** A whole burst is in memory. */
  #landed(): void {
    this.#fillWords = Math.min(this.#fillWords + this.#burst.length / 4, this.#bufferBytes() / 4);
    if (this.#full) this.#readPointer = this.#writePointer;
  }

  #stop(): void {
    this.#cancel();
    if (this.#state === "running") this.#state = "stopped";
  }

  #cancel(): void {
    this.#nextBurst?.cancel();
    this.#nextBurst = null;
    this.#flush?.cancel();
    this.#flush = null;
  }

  /**
   * RRD: reads one word of memory at RRP. After a stop that is the buffer from the oldest word to the newest; while
   * capture is disabled, whatever RRP addresses. A read that stalls has nothing to answer with: RRP stays for the next one.
   */
  #readData(): number {
    if (this.#locked || this.#memErr || !this.#ready || (this.#state === "stopped" && this.#fillWords === 0)) return NOTHING_TO_READ;
    if (this.#stalledRead) return NOTHING_TO_READ;
    const word = new Uint8Array(4);
    const watch: DmaAttributes = { onCompletion: (end) => this.#readEnded(watch, end) };
    const status = this.#dma.read(this.#readPointer, word, watch);
    if (status === DmaStatus.stalled) {
      this.#stalledRead = watch;
      return NOTHING_TO_READ;
    }
    if (status === DmaStatus.abort) {
      this.#memErr = true;
      return NOTHING_TO_READ;
    }
    if (this.#state === "stopped") this.#fillWords--;
    this.#readPointer += 4;
    if (this.#readPointer >= this.#bufferBase() + this.#bufferBytes()) this.#readPointer = this.#bufferBase();
    return (word[0]! | (word[1]! << 8) | (word[2]! << 16) | (word[3]! << 24)) >>> 0;
  }

  #readEnded(read: DmaAttributes, status: DmaStatus): void {
    if (this.#stalledRead !== read) return;
    this.#stalledRead = undefined;
    if (status === DmaStatus.abort) this.#memErr = true;
  }
}
