// SPDX-License-Identifier: MIT
/**
 * The receive engine: frames from the wire enter a FIFO of bounded size and drain, one after the other, into the buffers
 * of the descriptors on the chip.
 *
 * Between a frame's arrival and its DMA lies `drainNs`, so a frame that was accepted before software cleared RCTL.EN still
 * reaches memory after it. RCTL.EN = 0 also ends fetching ahead; descriptors on the chip stay there until CTRL.RST or a
 * write of the ring's registers. Without a descriptor the head of the FIFO waits for one; when the FIFO is full frames are
 * missed. A descriptor with a null address takes no data and is only marked done (82574 datasheet §7.1.7.2).
 *
 * A write that ends in an abort goes unnoticed: PCI Express writes are posted and have no completion, so the engine goes on
 * with the next frame. A read of descriptors that ends in an abort is answered, with Unsupported Request; what the 82574 does
 * then is not documented, and here the engine stops until the controller is reset. One that an SMMU stalls is waited for.
 */
import { type DmaAttributes, DmaStatus } from "../../memory/dma-port.ts";
import type { ScheduledEvent } from "../../../sim/index.ts";
import { Ring, bufferAddress, putWord, word, type NicCore } from "./core.ts";
import { OnChipDescriptors } from "./descriptors.ts";
import { accepts, isBroadcast, isMulticast } from "./filter.ts";
import { CAUSE, RCTL, REG, RFCTL_EXTEN, RX_STATUS, STAT } from "./registers.ts";
import { WriteBacks } from "./write-back.ts";

export interface ReceiveOptions {
  /** Size of the FIFO in bytes. */
  readonly fifoBytes: number;
  /** From a frame's turn to its DMA, in ns. */
  readonly drainNs: number;
  /** What is in the FIFO drains although RCTL.EN was cleared. */
  readonly drainAfterDisable: boolean;
}

export class ReceiveEngine {
  readonly #nic: NicCore;
  readonly #options: ReceiveOptions;
  readonly #ring: Ring;
  readonly #onChip: OnChipDescriptors;
  readonly #writeBacks: WriteBacks;
  /** Reads that ended in an abort since the controller was built; the first one stops the engine. */
  fatalErrors = 0;
  /** Writes that ended in an abort since the controller was built; the device does not know. */
  lostWrites = 0;
  #halted = false;
  #fifo: Uint8Array[] = [];
  #fifoUsed = 0;
  /** Bytes of the head frame that are in memory already. */
  #done = 0;
  #event: ScheduledEvent | null = null;
  #starved = false;
  readonly #posted: DmaAttributes = {
    onCompletion: (status) => {
      if (status === DmaStatus.abort) this.lostWrites++;
    },
  };

  constructor(nic: NicCore, options: ReceiveOptions) {
    this.#nic = nic;
    this.#options = options;
    this.#ring = new Ring(nic, { low: REG.RDBAL, high: REG.RDBAH, length: REG.RDLEN, head: REG.RDH, tail: REG.RDT });
    this.#onChip = new OnChipDescriptors(nic, this.#ring, {
      control: REG.RXDCTL,
      enabled: () => !this.#halted && (nic.get(REG.RCTL) & RCTL.EN) !== 0,
      aborted: () => this.#halt(),
      arrived: () => this.kick(),
    });
    this.#writeBacks = new WriteBacks(nic, this.#onChip, (address, descriptor) => {
      this.#write(address, descriptor);
      if (this.#belowThreshold()) nic.raise(CAUSE.RXDMT0);
    });
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
    const stored = (control & RCTL.SECRC) !== 0 ? new Uint8Array(frame) : withCheckSequence(frame);
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
    this.#writeBacks.resume();
    this.#onChip.prefetch();
    if (this.#event || this.#halted || this.#fifo.length === 0) return;
    this.#event = this.#nic.simulation.after(this.#options.drainNs, () => {
      this.#event = null;
      this.#drain();
    });
  }

  /** RCTL or RXDCTL was written. */
  controlChanged(): void {
    this.#onChip.prefetch();
  }

  /** RCTL.EN went from 1 to 0. */
  disabled(): void {
    if (!this.#options.drainAfterDisable) this.#flush();
  }

  /** RDTR.FPD was written. */
  flushDescriptors(): void {
    this.#writeBacks.expire();
  }

  /** The ring's base, length or head was written: descriptors on the chip are void. */
  ringChanged(): void {
    this.#writeBacks.discard();
    this.#onChip.discard();
  }

  /** RDT was written. */
  descriptorsAdded(): void {
    this.#starved = false;
    this.kick();
  }

  /** The controller is reset: the FIFO is empty, the engine works again. */
  reset(): void {
    this.#flush();
    this.ringChanged();
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
    if (!frame || this.#halted) return;
    const bufferSize = receiveBufferSize(nic.get(REG.RCTL));
    while (this.#done < frame.length) {
      if (!nic.mayAccess() || (nic.dma.paused && this.#onChip.next === undefined)) return;
      const descriptor = this.#nextDescriptor();
      if (descriptor === undefined) return;
      if (descriptor === "lost") {
        nic.count(STAT.MPC);
        this.#finished(frame);
        return;
      }
      this.#done += this.#store(descriptor, frame.subarray(this.#done, this.#done + bufferSize), frame.length);
    }
    this.#finished(frame);
    this.#writeBacks.frameStored();
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
    const onChip = this.#onChip;
    if (onChip.next === undefined) {
      if (onChip.waiting) return undefined;
      if (onChip.inMemory === 0) {
        if (!this.#starved) this.#nic.count(STAT.RNBC);
        this.#starved = true;
        return undefined;
      }
      const status = onChip.fetch();
      if (status === DmaStatus.abort) this.#halt();
      if (status === DmaStatus.dropped) return "lost";
    }
    return onChip.next;
  }

  /** Writes a piece of a frame and lets its descriptor go back. @returns bytes stored: none in a null descriptor */
  #store(descriptor: Uint8Array, piece: Uint8Array, frameLength: number): number {
    const address = bufferAddress(descriptor);
    const extended = (this.#nic.get(REG.RFCTL) & RFCTL_EXTEN) !== 0;
    const statusAt = extended ? 8 : 12;
    if (address === 0) {
      putWord(descriptor, statusAt, word(descriptor, statusAt) | RX_STATUS.DD);
      this.#writeBacks.add(this.#onChip.use(), descriptor);
      return 0;
    }
    this.#write(address, piece);
    if (extended) descriptor.fill(0);
    putWord(descriptor, extended ? 12 : 8, piece.length);
    putWord(descriptor, statusAt, RX_STATUS.DD | (this.#done + piece.length === frameLength ? RX_STATUS.EOP : 0));
    this.#writeBacks.add(this.#onChip.use(), descriptor);
    return piece.length;
  }

  /** A posted write: the device does not learn how it ended. */
  #write(address: number, bytes: Uint8Array): void {
    if (this.#nic.dma.write(address, bytes, this.#posted) === DmaStatus.abort) this.lostWrites++;
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
