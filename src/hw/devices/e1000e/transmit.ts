// SPDX-License-Identifier: MIT
/**
 * The transmit engine: from a write of TDT on it takes one descriptor after the other, reads its buffer, and reports done
 * where the descriptor asks for it (RS). Legacy descriptors, and extended data descriptors without offloads.
 *
 * An aborted access stops the engine until the controller is reset.
 */
import { DmaStatus } from "../../memory/dma-port.ts";
import type { NotModelledLog } from "../../errors.ts";
import type { ScheduledEvent } from "../../../sim/index.ts";
import { DESCRIPTOR_BYTES, Ring, bufferAddress, putWord, word, type NicCore } from "./core.ts";
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
  /** Accesses that ended in an abort since the controller was built; the first one stops the engine. */
  fatalErrors = 0;
  #halted = false;
  #pieces: Uint8Array[] = [];
  #event: ScheduledEvent | null = null;

  constructor(nic: NicCore, options: TransmitOptions) {
    this.#nic = nic;
    this.#options = options;
    this.#ring = new Ring(nic, { low: REG.TDBAL, high: REG.TDBAH, length: REG.TDLEN, head: REG.TDH, tail: REG.TDT });
  }

  get halted(): boolean {
    return this.#halted;
  }

  /** Something that the engine may wait for has come: a descriptor, TCTL.EN, the link, leave to access memory. */
  kick(): void {
    const nic = this.#nic;
    if (this.#event || this.#halted || (nic.get(REG.TCTL) & TCTL.EN) === 0 || !nic.linkUp || this.#ring.available === 0) return;
    this.#event = nic.simulation.after(this.#options.descriptorNs, () => {
      this.#event = null;
      this.#next();
    });
  }

  /** The controller is reset: the engine works again, a frame half read is forgotten. */
  reset(): void {
    this.#event?.cancel();
    this.#event = null;
    this.#pieces = [];
    this.#halted = false;
  }

  #halt(): void {
    this.fatalErrors++;
    this.#halted = true;
  }

  #next(): void {
    const nic = this.#nic;
    if ((nic.get(REG.TCTL) & TCTL.EN) === 0 || this.#ring.available === 0 || !nic.mayAccess() || nic.dma.paused) return;
    const at = this.#ring.address(this.#ring.head);
    const descriptor = new Uint8Array(DESCRIPTOR_BYTES);
    const status = nic.dma.read(at, descriptor);
    // With bus mastering off the request went nowhere: the descriptor's turn comes again when it is back.
    if (status === DmaStatus.dropped) return;
    if (status === DmaStatus.abort || !this.#take(descriptor) || !this.#finish(at, descriptor)) {
      this.#halt();
      return;
    }
    this.kick();
  }

  /** Reads the buffer of a descriptor. @returns false if the access was aborted */
  #take(descriptor: Uint8Array): boolean {
    const command = word(descriptor, 8);
    const extended = (command & TX_COMMAND.DEXT) !== 0;
    if (extended && (command & TX_COMMAND.CONTEXT_MASK) === 0) return true;
    if (extended && (command & SEGMENTATION) !== 0) this.#options.notModelled.note("82574 TCP segmentation (DCMD.TSE)");
    const bytes = new Uint8Array(command & (extended ? 0xf_ffff : 0xffff));
    if (bytes.length > 0 && this.#nic.dma.read(bufferAddress(descriptor), bytes) === DmaStatus.abort) return false;
    this.#pieces.push(bytes);
    if ((command & TX_COMMAND.EOP) !== 0) this.#send();
    return true;
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

  /** Writes the descriptor back if it asks for that, and moves on. @returns false if the access was aborted */
  #finish(at: number, descriptor: Uint8Array): boolean {
    const reports = (word(descriptor, 8) & TX_COMMAND.RS) !== 0;
    if (reports) {
      putWord(descriptor, 12, word(descriptor, 12) | TX_STATUS_DD);
      if (this.#nic.dma.write(at, descriptor) === DmaStatus.abort) return false;
    }
    this.#ring.advance();
    this.#nic.raise((reports ? CAUSE.TXDW : 0) | (this.#ring.available === 0 ? CAUSE.TXQE : 0));
    return true;
  }
}
