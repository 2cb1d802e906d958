// SPDX-License-Identifier: MIT
/**
 * The receive engine: frames from the wire enter a FIFO of bounded size and drain, one after the other, into the buffers
 * of the descriptor ring.
 *
 * Between a frame's arrival and its DMA lies `drainNs`, so a frame that was accepted before software cleared RCTL.EN still
 * reaches memory after it. Without a descriptor the head of the FIFO waits for one; when the FIFO is full frames are missed.
 * An aborted access stops the engine until the controller is reset.
 */
import { DmaStatus } from "../../memory/dma-port.ts";
import type { ScheduledEvent } from "../../../sim/index.ts";
import { DESCRIPTOR_BYTES, Ring, bufferAddress, putWord, type NicCore } from "./core.ts";
import { accepts, isBroadcast, isMulticast } from "./filter.ts";
import { CAUSE, RCTL, REG, RFCTL_EXTEN, RX_STATUS, STAT } from "./registers.ts";

export interface ReceiveOptions {
  /** Size of the FIFO in bytes. */
  readonly fifoBytes: number;
  /** From a frame's turn to its DMA, in ns. */
  readonly drainNs: number;
  /** How many descriptors one read may fetch ahead, 1 … 64. */
  readonly prefetch: number;
  /** What is in the FIFO drains although RCTL.EN was cleared. */
  readonly drainAfterDisable: boolean;
}

export class ReceiveEngine {
  readonly #nic: NicCore;
  readonly #options: ReceiveOptions;
  readonly #ring: Ring;
  /** Accesses that ended in an abort since the controller was built; the first one stops the engine. */
  fatalErrors = 0;
  #halted = false;
  #fifo: Uint8Array[] = [];
  #fifoUsed = 0;
  /** Bytes of the head frame that are in memory already. */
  #done = 0;
  /** Descriptors fetched and not used yet, from the head of the ring on. */
  #fetched: Uint8Array[] = [];
  #event: ScheduledEvent | null = null;
  #starved = false;

  constructor(nic: NicCore, options: ReceiveOptions) {
    this.#nic = nic;
    this.#options = options;
    this.#ring = new Ring(nic, { low: REG.RDBAL, high: REG.RDBAH, length: REG.RDLEN, head: REG.RDH, tail: REG.RDT });
  }

  get halted(): boolean {
    return this.#halted;
  }

  get framesInFifo(): number {
    return this.#fifo.length;
  }

  /** A frame arrives from the wire. @returns whether it entered the FIFO */
  receive(frame: Uint8Array): boolean {
    const nic = this.#nic;
    const control = nic.get(REG.RCTL);
    if ((control & RCTL.EN) === 0 || !nic.linkUp) return false;
    nic.count(STAT.TPR);
    nic.count(STAT.TORL, frame.length);
    if (!accepts(nic, frame)) return false;
    const stored = (control & RCTL.SECRC) !== 0 ? frame.slice() : withCheckSequence(frame);
    if (this.#fifoUsed + stored.length > this.#options.fifoBytes) {
      nic.count(STAT.MPC);
      nic.raise(CAUSE.RXO);
      return false;
    }
    nic.count(STAT.GPRC);
    nic.count(STAT.GORCL, frame.length);
    if (isBroadcast(frame)) nic.count(STAT.BPRC);
    else if (isMulticast(frame)) nic.count(STAT.MPRC);
    this.#fifo.push(stored);
    this.#fifoUsed += stored.length;
    this.kick();
    return true;
  }

  /** Something that the engine may wait for has come: a frame, a descriptor, leave to access memory. */
  kick(): void {
    if (this.#event || this.#halted || this.#fifo.length === 0) return;
    this.#event = this.#nic.simulation.after(this.#options.drainNs, () => {
      this.#event = null;
      this.#drain();
    });
  }

  /** RCTL.EN went from 1 to 0. */
  disabled(): void {
    if (!this.#options.drainAfterDisable) this.#flush();
  }

  /** The ring's base, length or head was written: descriptors fetched ahead are void. */
  ringChanged(): void {
    this.#fetched = [];
  }

  /** RDT was written. */
  descriptorsAdded(): void {
    this.#starved = false;
    this.kick();
  }

  /** The controller is reset: the FIFO is empty, the engine works again. */
  reset(): void {
    this.#flush();
    this.#fetched = [];
    this.#halted = false;
    this.#starved = false;
  }

  #flush(): void {
    this.#event?.cancel();
    this.#event = null;
    this.#fifo = [];
    this.#fifoUsed = 0;
    this.#done = 0;
  }

  #halt(): void {
    this.fatalErrors++;
    this.#halted = true;
  }

  /** Moves the frame at the head of the FIFO to memory, as far as there are descriptors. */
  #drain(): void {
    const nic = this.#nic;
    const frame = this.#fifo[0];
    if (!frame) return;
    const bufferSize = receiveBufferSize(nic.get(REG.RCTL));
    while (this.#done < frame.length) {
      if (!nic.mayAccess() || (nic.dma.paused && this.#fetched.length === 0)) return;
      const descriptor = this.#nextDescriptor();
      if (descriptor === undefined) return;
      if (descriptor === "lost") {
        nic.count(STAT.MPC);
        this.#finished(frame);
        return;
      }
      const piece = frame.subarray(this.#done, this.#done + bufferSize);
      const last = this.#done + piece.length === frame.length;
      if (!this.#store(descriptor, piece, last)) return;
      this.#done += piece.length;
    }
    this.#finished(frame);
    nic.raise(CAUSE.RXT0);
  }

  /** The frame at the head of the FIFO is done with. */
  #finished(frame: Uint8Array): void {
    this.#fifo.shift();
    this.#fifoUsed -= frame.length;
    this.#done = 0;
    this.kick();
  }

  /**
   * The next descriptor of the ring: undefined if there is none (or the read was aborted), "lost" if the request went
   * nowhere because bus mastering is off: the frame is then given up.
   */
  #nextDescriptor(): Uint8Array | "lost" | undefined {
    const nic = this.#nic;
    if (this.#fetched.length > 0) return this.#fetched.shift();
    const { available, head, size } = this.#ring;
    if (available === 0) {
      if (!this.#starved) nic.count(STAT.RNBC);
      this.#starved = true;
      return undefined;
    }
    const count = Math.min(this.#options.prefetch, available, size - head);
    const bytes = new Uint8Array(count * DESCRIPTOR_BYTES);
    const status = nic.dma.read(this.#ring.address(head), bytes);
    if (status === DmaStatus.abort) {
      this.#halt();
      return undefined;
    }
    if (status === DmaStatus.dropped) return "lost";
    for (let i = 0; i < count; i++) this.#fetched.push(bytes.slice(i * DESCRIPTOR_BYTES, (i + 1) * DESCRIPTOR_BYTES));
    return this.#fetched.shift();
  }

  /** Writes a piece of a frame and its descriptor back. @returns false if an access was aborted */
  #store(descriptor: Uint8Array, piece: Uint8Array, last: boolean): boolean {
    const { dma } = this.#nic;
    const ring = this.#ring;
    const at = ring.address(ring.head);
    const status = RX_STATUS.DD | (last ? RX_STATUS.EOP : 0);
    if (dma.write(bufferAddress(descriptor), piece) === DmaStatus.abort) {
      this.#halt();
      return false;
    }
    if ((this.#nic.get(REG.RFCTL) & RFCTL_EXTEN) !== 0) {
      descriptor.fill(0);
      putWord(descriptor, 8, status);
      putWord(descriptor, 12, piece.length);
    } else {
      putWord(descriptor, 8, piece.length);
      putWord(descriptor, 12, status);
    }
    if (dma.write(at, descriptor) === DmaStatus.abort) {
      this.#halt();
      return false;
    }
    ring.advance();
    if (this.#belowThreshold()) this.#nic.raise(CAUSE.RXDMT0);
    return true;
  }

  /** RCTL.RDMTS: fewer than 1/2, 1/4 or 1/8 of the ring's descriptors are left. */
  #belowThreshold(): boolean {
    const fraction = 2 ** (1 + ((this.#nic.get(REG.RCTL) >>> 8) & 3));
    return this.#ring.available === Math.floor(this.#ring.size / fraction);
  }
}

/** Bytes of a receive buffer, from RCTL.BSIZE and BSEX. */
function receiveBufferSize(control: number): number {
  const size = 2048 >>> ((control >>> 16) & 3);
  return (control & RCTL.BSEX) !== 0 && size !== 2048 ? size * 16 : size;
}

/** The frame with its IEEE 802.3 frame check sequence. */
function withCheckSequence(frame: Uint8Array): Uint8Array {
  let crc = 0xffff_ffff;
  for (const byte of frame) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb8_8320 : 0);
  }
  const whole = new Uint8Array(frame.length + 4);
  whole.set(frame);
  putWord(whole, frame.length, ~crc);
  return whole;
}
