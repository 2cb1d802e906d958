// SPDX-License-Identifier: MIT
/**
 * The transmit engine: from a write of TDT on it takes one descriptor after the other, reads its buffer, and reports done
 * where the descriptor asks for it (RS). Legacy descriptors, and extended data descriptors without offloads. Descriptors are
 * fetched ahead by TXDCTL; each goes back when it is done with: WTHRESH and the transmit timers are not applied.
 *
 * An aborted read stops the engine until the controller is reset; an aborted write-back, a posted write, goes unnoticed. While
 * a read is stalled by an SMMU the engine waits for it.
 */
import { type DmaAttributes, DmaStatus } from "../../memory/dma-port.ts";
import type { NotModelledLog } from "../../errors.ts";
import type { ScheduledEvent } from "../../../sim/index.ts";
import { Ring, bufferAddress, putWord, word, type NicCore } from "./core.ts";
import { OnChipDescriptors } from "./descriptors.ts";
import { CAUSE, REG, STAT, TCTL, TX_COMMAND, TX_STATUS_DD } from "./registers.ts";

export interface TransmitOptions {
  /** Time per descriptor in ns. */
  readonly descriptorNs: number;
  /** Receives each whole frame. */
  readonly transmit: (frame: Uint8Array) => void;
  readonly notModelled: NotModelledLog;
}

/** Extended data descriptor: segmentation is asked for (DCMD.TSE). */
const SEGMENTATION = 0x0400_0000;

export class TransmitEngine {
  readonly #nic: NicCore;
  readonly #options: TransmitOptions;
  readonly #ring: Ring;
  readonly #onChip: OnChipDescriptors;
  /** Reads that ended in an abort since the controller was built; the first one stops the engine. */
  fatalErrors = 0;
  /** Writes that ended in an abort since the controller was built; the device does not know. */
  lostWrites = 0;
  #halted = false;
  #pieces: Uint8Array[] = [];
  #event: ScheduledEvent | null = null;
  /** The buffer that a stalled read is to fill. */
  #stalled: Uint8Array | null = null;
  /** For posted writes: the device does not learn how they end, but they are counted. */
  readonly #posted: DmaAttributes = {
    onCompletion: (status) => {
      if (status === DmaStatus.abort) this.lostWrites++;
    },
  };

  constructor(nic: NicCore, options: TransmitOptions) {
    this.#nic = nic;
    this.#options = options;
    this.#ring = new Ring(nic, { low: REG.TDBAL, high: REG.TDBAH, length: REG.TDLEN, head: REG.TDH, tail: REG.TDT });
    this.#onChip = new OnChipDescriptors(nic, this.#ring, {
      control: REG.TXDCTL,
      enabled: () => !this.#halted && (nic.get(REG.TCTL) & TCTL.EN) !== 0,
      aborted: () => this.#halt(),
      arrived: () => this.kick(),
    });
  }

  get halted(): boolean {
    return this.#halted;
  }

  /** Something that the engine may wait for has come: a descriptor, TCTL.EN, the link, leave to access memory. */
  kick(): void {
    const nic = this.#nic;
    this.#onChip.prefetch();
    if (this.#event || this.#halted || this.#waiting || (nic.get(REG.TCTL) & TCTL.EN) === 0 || !nic.linkUp || this.#ring.available === 0)
      return;
    this.#event = nic.simulation.after(this.#options.descriptorNs, () => {
      this.#event = null;
      this.#next();
    });
  }

  get #waiting(): boolean {
    return this.#stalled !== null || this.#onChip.waiting;
  }

  /** The ring's base, length or head was written: descriptors on the chip are void. */
  ringChanged(): void {
    this.#stalled = null;
    this.#onChip.discard();
  }

  /** The controller is reset: the engine works again, a frame half read is forgotten. */
  reset(): void {
    this.#event?.cancel();
    this.#event = null;
    this.#pieces = [];
    this.#stalled = null;
    this.#onChip.discard();
    this.#halted = false;
  }

  #halt(): void {
    this.fatalErrors++;
    this.#halted = true;
  }

  #next(): void {
    const nic = this.#nic;
    if ((nic.get(REG.TCTL) & TCTL.EN) === 0 || this.#ring.available === 0 || !nic.mayAccess() || nic.dma.paused) return;
    if (this.#waiting) return;
    // With bus mastering off a request goes nowhere: the descriptor's turn comes again when it is back.
    let status = this.#onChip.next === undefined ? this.#onChip.fetch() : DmaStatus.ok;
    const descriptor = this.#onChip.next;
    if (descriptor !== undefined) status = this.#take(descriptor);
    if (status === DmaStatus.dropped || status === DmaStatus.stalled) return;
    if (status === DmaStatus.abort || descriptor === undefined) {
      this.#halt();
      return;
    }
    this.#finish(descriptor);
    this.kick();
  }

  /** Reads the buffer of a descriptor. @returns how that ended */
  #take(descriptor: Uint8Array): DmaStatus {
    const command = word(descriptor, 8);
    const extended = (command & TX_COMMAND.DEXT) !== 0;
    if (extended && (command & TX_COMMAND.CONTEXT_MASK) === 0) return DmaStatus.ok;
    if (extended && (command & SEGMENTATION) !== 0) this.#options.notModelled.note("82574 TCP segmentation (DCMD.TSE)");
    const bytes = new Uint8Array(command & (extended ? 0xf_ffff : 0xffff));
    const onCompletion = (end: DmaStatus): void => this.#ended(descriptor, bytes, end);
    const status = bytes.length > 0 ? this.#nic.dma.read(bufferAddress(descriptor), bytes, { onCompletion }) : DmaStatus.ok;
    if (status === DmaStatus.abort || status === DmaStatus.dropped) return status;
    if (status === DmaStatus.stalled) this.#stalled = bytes;
    else this.#add(descriptor, bytes);
    return status;
  }

  /** A stalled read of a buffer has ended; it is nobody's if the engine was reset or given another ring. */
  #ended(descriptor: Uint8Array, bytes: Uint8Array, status: DmaStatus): void {
    if (this.#stalled !== bytes) return;
    this.#stalled = null;
    if (status === DmaStatus.abort) {
      this.#halt();
    } else if (status !== DmaStatus.dropped) {
      this.#add(descriptor, bytes);
      this.#finish(descriptor);
    }
    this.kick();
  }

  #add(descriptor: Uint8Array, bytes: Uint8Array): void {
    this.#pieces.push(bytes);
    if ((word(descriptor, 8) & TX_COMMAND.EOP) !== 0) this.#send();
  }

  #send(): void {
    const frame = new Uint8Array(this.#pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of this.#pieces) {
      frame.set(piece, at);
      at += piece.length;
    }
    this.#pieces = [];
    this.#nic.count(STAT.TPT);
    this.#nic.count(STAT.GPTC);
    this.#nic.count(STAT.TOTL, frame.length);
    this.#nic.count(STAT.GOTCL, frame.length);
    this.#options.transmit(frame);
  }

  /** Writes the descriptor back if it asks for that, and moves on. */
  #finish(descriptor: Uint8Array): void {
    const reports = (word(descriptor, 8) & TX_COMMAND.RS) !== 0;
    const at = this.#onChip.use();
    if (reports) {
      putWord(descriptor, 12, word(descriptor, 12) | TX_STATUS_DD);
      if (this.#nic.dma.write(at, descriptor, this.#posted) === DmaStatus.abort) this.lostWrites++;
    }
    this.#onChip.giveBack();
    this.#nic.raise((reports ? CAUSE.TXDW : 0) | (this.#ring.available === 0 ? CAUSE.TXQE : 0));
  }
}
