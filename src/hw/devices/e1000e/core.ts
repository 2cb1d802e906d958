// SPDX-License-Identifier: MIT
/** What the parts of the network controller (receive, transmit, interrupts) need of each other. */
import { join64 } from "../../bits/hex.ts";
import type { BusMasterPort } from "../../pci/bus-master-port.ts";
import type { Simulation } from "../../../sim/index.ts";

export interface NicCore {
  readonly simulation: Simulation;
  readonly dma: BusMasterPort;
  /** A register as it stands. */
  get(offset: number): number;
  set(offset: number, value: number): void;
  /** False while software has disabled master accesses (CTRL.GIO_MASTER_DISABLE). */
  mayAccess(): boolean;
  /** Sets interrupt causes. */
  raise(causes: number): void;
  /** Receive descriptors are back in memory: in MSI-X mode that is a cause of its own. */
  receiveWrittenBack(): void;
  /** Adds to a statistics counter. */
  count(offset: number, amount?: number): void;
  readonly linkUp: boolean;
}

/** A descriptor ring as its registers describe it. */
export interface RingRegisters {
  readonly low: number;
  readonly high: number;
  readonly length: number;
  readonly head: number;
  readonly tail: number;
}

export const DESCRIPTOR_BYTES = 16;

export class Ring {
  readonly #nic: NicCore;
  readonly #registers: RingRegisters;

  constructor(nic: NicCore, registers: RingRegisters) {
    this.#nic = nic;
    this.#registers = registers;
  }

  /** Number of descriptors in the ring. */
  get size(): number {
    return Math.floor(this.#nic.get(this.#registers.length) / DESCRIPTOR_BYTES);
  }

  get head(): number {
    return this.#nic.get(this.#registers.head);
  }

  /** Descriptors from head to tail: the hardware's. None if the pointers make no sense. */
  get available(): number {
    const { size, head } = this;
    const tail = this.#nic.get(this.#registers.tail);
    return head < size && tail < size ? (tail - head + size) % size : 0;
  }

  /** Address of descriptor `index`. */
  address(index: number): number {
    return join64(this.#nic.get(this.#registers.high) & 0x1f_ffff, this.#nic.get(this.#registers.low)) + DESCRIPTOR_BYTES * index;
  }

  advance(): void {
    this.#nic.set(this.#registers.head, (this.head + 1) % Math.max(1, this.size));
  }
}

/** Reads a little-endian word of a descriptor. */
export function word(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! | (bytes[offset + 1]! << 8) | (bytes[offset + 2]! << 16) | (bytes[offset + 3]! << 24)) >>> 0;
}

/** Writes a little-endian word of a descriptor. */
export function putWord(bytes: Uint8Array, offset: number, value: number): void {
  for (let i = 0; i < 4; i++) bytes[offset + i] = value >>> (8 * i);
}

/** The buffer address in the first two words of a descriptor, cut to 53 bits. */
export function bufferAddress(descriptor: Uint8Array): number {
  return join64(word(descriptor, 4) & 0x1f_ffff, word(descriptor, 0));
}
