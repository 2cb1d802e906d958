// SPDX-License-Identifier: MIT
/**
 * QEMU's edu device: a liveness register, a factorial, interrupts on demand, and DMA between memory and a buffer of its own,
 * which ends 100 ms of virtual time after it was started, or when software has answered a stall of it. Where MSI is enabled an
 * interrupt is a write to memory under the device's StreamID, and goes through the SMMU as its DMA does.
 */
import { DmaStatus, type MmioDevice, type NotModelledLog } from "../../../hw/index.ts";
import type { ScheduledEvent, Simulation } from "../../../sim/index.ts";
import type { Master } from "../master.ts";
import { MsiCapability } from "./msi-capability.ts";
import { PlainFunction } from "./plain-function.ts";

/** Register offsets in BAR0. Those from DMA_SOURCE on are 64 bits wide. */
export const EDU = {
  ID: 0x00,
  LIVENESS: 0x04,
  FACTORIAL: 0x08,
  STATUS: 0x20,
  IRQ_STATUS: 0x24,
  IRQ_RAISE: 0x60,
  IRQ_ACK: 0x64,
  DMA_SOURCE: 0x80,
  DMA_DESTINATION: 0x88,
  DMA_COUNT: 0x90,
  DMA_COMMAND: 0x98,
} as const;

/** Bits of memory addresses that count unless dma_mask says otherwise. */
export const EDU_DMA_MASK = 0xfff_ffffn;

const ID = 0x0100_00ed;
const STATUS_IRQ_FACTORIAL = 0x80;
const IRQ_FACTORIAL = 0x1;
const IRQ_DMA = 0x100;
/** Bits of DMA_COMMAND. */
const RUN = 1n;
const TO_MEMORY = 2n;
const INTERRUPT = 4n;
/** Where DMA addresses the device's own buffer. */
const BUFFER_BASE = 0x4_0000n;
const BUFFER_SIZE = 4096;
const DMA_NS = 100_000_000;
const NOTHING = 0xffff_ffff;

export interface EduOptions {
  readonly simulation: Simulation;
  /** The way to memory. */
  readonly master: Pick<Master, "read" | "write">;
  readonly notModelled: NotModelledLog;
  /** Ands every address of memory. Default: 28 bits. */
  readonly dmaMask?: bigint;
  /** The level of INTA. */
  readonly interrupt: (asserted: boolean) => void;
}

export class Edu extends PlainFunction {
  readonly #options: EduOptions;
  readonly #buffer = new Uint8Array(BUFFER_SIZE);
  /** DMA_SOURCE, DMA_DESTINATION, DMA_COUNT, DMA_COMMAND. */
  readonly #dma = [0n, 0n, 0n, 0n];
  #liveness = 0;
  #factorial = 0;
  #status = 0;
  #irqStatus = 0;
  /** The level of INTA, before COMMAND.INTX_DISABLE. */
  #line = false;
  readonly #msi: MsiCapability;
  #transfer: ScheduledEvent | undefined;
  /** Counts resets: a transfer that stalled before the last one is not this device's any more. */
  #resets = 0;

  constructor(options: EduOptions) {
    const device: MmioDevice = {
      read: (offset) => this.#read(offset),
      write: (offset, _width, value) => this.#write(offset, value),
      read64: (offset, out) => this.#read64(offset, out),
      write64: (offset, lo, hi) => this.#writeDma(offset, (BigInt(hi) << 32n) | BigInt(lo)),
    };
    super({
      name: "edu",
      vendorId: 0x1234,
      deviceId: 0x11e8,
      classCode: 0x00_ff00,
      revision: 0x10,
      bar: { size: 0x10_0000, device, widths: [4, 8] },
      interruptPin: true,
      master: options.master,
    });
    this.#options = options;
    this.#msi = new MsiCapability(this.config);
  }

  protected override resetDevice(): void {
    this.#transfer?.cancel();
    this.#resets++;
    this.#buffer.fill(0);
    this.#dma.fill(0n);
    this.#liveness = 0;
    this.#factorial = 0;
    this.#status = 0;
    this.#irqStatus = 0;
    this.#setLine(false);
  }

  protected override configChanged(): void {
    this.#msi.settle();
    // A function that signals by messages lets go of its line (PCI Local Bus 3.0 §6.8.3.3).
    this.#setLine(this.#line && !this.#msi.enabled);
  }

  #setLine(asserted: boolean): void {
    this.#line = asserted;
    this.#options.interrupt(asserted && this.intxAllowed);
  }

  /** Each time that a bit is raised while some are set is a message, or keeps the line asserted. */
  #raise(bits: number): void {
    this.#irqStatus = (this.#irqStatus | bits) >>> 0;
    if (this.#irqStatus === 0) return;
    if (!this.#msi.enabled) {
      this.#setLine(true);
    } else if (this.busMaster) {
      const { address, bytes } = this.#msi.message();
      this.writeMemory(address, bytes);
    }
  }

  #lower(bits: number): void {
    this.#irqStatus = (this.#irqStatus & ~bits) >>> 0;
    if (this.#irqStatus === 0 && !this.#msi.enabled) this.#setLine(false);
  }

  #read(offset: number): number {
    switch (offset) {
      case EDU.ID:
        return ID;
      case EDU.LIVENESS:
        return this.#liveness;
      case EDU.FACTORIAL:
        return this.#factorial;
      case EDU.STATUS:
        return this.#status;
      case EDU.IRQ_STATUS:
        return this.#irqStatus;
      default:
        return Number(BigInt.asUintN(32, this.#dma[dmaIndex(offset)] ?? BigInt(NOTHING)));
    }
  }

  #read64(offset: number, out: Uint32Array): void {
    const value = this.#dma[dmaIndex(offset)] ?? -1n;
    out[0] = Number(BigInt.asUintN(32, value));
    out[1] = Number(BigInt.asUintN(32, value >> 32n));
  }

  #write(offset: number, value: number): void {
    switch (offset) {
      case EDU.LIVENESS:
        this.#liveness = ~value >>> 0;
        return;
      case EDU.FACTORIAL:
        this.#factorial = factorial32(value);
        if ((this.#status & STATUS_IRQ_FACTORIAL) !== 0) this.#raise(IRQ_FACTORIAL);
        return;
      case EDU.STATUS:
        this.#status = value & STATUS_IRQ_FACTORIAL;
        return;
      case EDU.IRQ_RAISE:
        this.#raise(value);
        return;
      case EDU.IRQ_ACK:
        this.#lower(value);
        return;
      default:
        this.#writeDma(offset, BigInt(value));
    }
  }

  /** While a transfer runs its registers are closed. */
  #writeDma(offset: number, value: bigint): void {
    const index = dmaIndex(offset);
    if (index < 0 || (this.#dma[3]! & RUN) !== 0n) return;
    if (offset !== EDU.DMA_COMMAND) {
      this.#dma[index] = value;
    } else if ((value & RUN) !== 0n) {
      this.#dma[index] = value;
      this.#transfer = this.#options.simulation.after(DMA_NS, () => this.#finish());
    }
  }

  #finish(): void {
    const resets = this.#resets;
    const ended = (): void => {
      if (this.#resets === resets) this.#finished();
    };
    if (this.#move((this.#dma[3]! & TO_MEMORY) !== 0n, ended) !== DmaStatus.stalled) ended();
  }

  #finished(): void {
    const command = this.#dma[3]!;
    this.#dma[3] = command & ~RUN;
    if ((command & INTERRUPT) !== 0n) this.#raise(IRQ_DMA);
  }

  /** Software is not told of a transfer that fails; only the SMMU may tell. */
  #move(toMemory: boolean, onCompletion: () => void): DmaStatus {
    const { dmaMask = EDU_DMA_MASK, notModelled } = this.#options;
    const [source, destination, count] = this.#dma as [bigint, bigint, bigint];
    const start = (toMemory ? source : destination) - BUFFER_BASE;
    if (start < 0n || start + count > BUFFER_SIZE) {
      notModelled.note("edu: DMA outside its buffer, which moves nothing here");
      return DmaStatus.dropped;
    }
    if (!this.busMaster) return DmaStatus.dropped;
    const bytes = this.#buffer.subarray(Number(start), Number(start + count));
    if (toMemory) return this.writeMemory(destination & dmaMask, bytes, { onCompletion });
    return this.#readInto(bytes, source & dmaMask, onCompletion);
  }

  /** The buffer changes when the read has ended: one that stalls must not fill it after a reset. */
  #readInto(bytes: Uint8Array, source: bigint, onCompletion: () => void): DmaStatus {
    const resets = this.#resets;
    const read = bytes.slice();
    const take = (): void => {
      if (this.#resets === resets) bytes.set(read);
    };
    const status = this.readMemory(source, read, {
      onCompletion: () => {
        take();
        onCompletion();
      },
    });
    if (status !== DmaStatus.stalled) take();
    return status;
  }
}

/** Which DMA register, or -1. */
function dmaIndex(offset: number): number {
  return offset >= EDU.DMA_SOURCE && offset <= EDU.DMA_COMMAND && offset % 8 === 0 ? (offset - EDU.DMA_SOURCE) / 8 : -1;
}

/** n! modulo 2^32. */
function factorial32(n: number): number {
  let product = 1;
  for (let factor = n; factor > 0 && product !== 0; factor--) product = Math.imul(product, factor) >>> 0;
  return product;
}
