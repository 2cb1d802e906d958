// SPDX-License-Identifier: MIT
/**
 * The descriptors of a ring that are on the chip: fetched from memory ahead of their use, then used, then given back.
 *
 * What is fetched is used as it was fetched, whatever software does to the ring's memory afterwards. With nothing on chip a
 * fetch happens as soon as there is a descriptor; with fewer than RXDCTL/TXDCTL.PTHRESH when at least HTHRESH wait in
 * memory; never beyond the tail (82574 datasheet §7.1.6, and its transmit counterpart). One fetch is one PCI Express read:
 * at most 512 bytes (the initial Max_Read_Request_Size), not past the ring's end, not across 4 KiB.
 *
 * The datasheet does not say how many descriptors a fetch takes, nor how many fit: here as many as wait, up to those limits,
 * with the 64 places that the manual of the PCI/PCI-X family (§3.2.4) gives. A fetch that an SMMU stalls is the only one until
 * it has ended.
 */
import { DmaStatus } from "../../memory/dma-port.ts";
import type { ScheduledEvent } from "../../../sim/index.ts";
import { DESCRIPTOR_BYTES, type NicCore, type Ring } from "./core.ts";
import { THRESHOLDS } from "./registers.ts";

/** Descriptors on the chip per queue. */
export const ON_CHIP_DESCRIPTORS = 64;
const REQUEST_BYTES = 512;
const PAGE = 4096;
/** From a reason to fetch ahead until the read goes out. */
const PREFETCH_NS = 400;

/** The thresholds of RXDCTL or TXDCTL in descriptors: without GRAN they count cache lines of four. */
export function thresholds(control: number): { readonly prefetch: number; readonly host: number; readonly writeBack: number } {
  const unit = (control & THRESHOLDS.GRAN) !== 0 ? 1 : THRESHOLDS.CACHE_LINE;
  return { prefetch: unit * (control & 0x3f), host: unit * ((control >>> 8) & 0x3f), writeBack: unit * ((control >>> 16) & 0x3f) };
}

export interface OnChipOptions {
  /** Offset of RXDCTL or TXDCTL. */
  readonly control: number;
  /** The unit is on: it may fetch ahead of need. */
  readonly enabled: () => boolean;
  /** The read of descriptors ahead of need, or one that stalled, was aborted. */
  readonly aborted: () => void;
  /** Descriptors have come whose read had stalled. */
  readonly arrived: () => void;
}

export class OnChipDescriptors {
  readonly #nic: NicCore;
  readonly #ring: Ring;
  readonly #options: OnChipOptions;
  #unused: Uint8Array[] = [];
  /** Descriptors used and not given back; the ring's head still points to the first of them. */
  #used = 0;
  #event: ScheduledEvent | null = null;
  /** Where a stalled fetch puts its descriptors. */
  #stalled: Uint8Array | null = null;

  constructor(nic: NicCore, ring: Ring, options: OnChipOptions) {
    this.#nic = nic;
    this.#ring = ring;
    this.#options = options;
  }

  /** The next descriptor to use, if one is on the chip. */
  get next(): Uint8Array | undefined {
    return this.#unused[0];
  }

  /** A fetch is stalled: what it brings must come first. */
  get waiting(): boolean {
    return this.#stalled !== null;
  }

  /** Descriptors that are the hardware's and still in memory only. */
  get inMemory(): number {
    return Math.max(0, this.#ring.available - this.#used - this.#unused.length);
  }

  /** {@link next} was used. @returns where it lies in memory */
  use(): number {
    this.#unused.shift();
    const address = this.#ring.address((this.#ring.head + this.#used) % Math.max(1, this.#ring.size));
    this.#used++;
    this.prefetch();
    return address;
  }

  /** The first of the used descriptors is software's again: the head moves on. */
  giveBack(): void {
    this.#used--;
    this.#ring.advance();
  }

  /** Reads descriptors now, as many as one request takes. There must be some in memory, and no fetch stalled. */
  fetch(): DmaStatus {
    const { size, head } = this.#ring;
    const from = (head + this.#used + this.#unused.length) % size;
    const address = this.#ring.address(from);
    const room = Math.max(1, ON_CHIP_DESCRIPTORS - this.#used - this.#unused.length);
    const inPage = Math.floor((PAGE - (address % PAGE)) / DESCRIPTOR_BYTES);
    const count = Math.min(this.inMemory, room, size - from, inPage, REQUEST_BYTES / DESCRIPTOR_BYTES);
    const bytes = new Uint8Array(count * DESCRIPTOR_BYTES);
    const status = this.#nic.dma.read(address, bytes, { onCompletion: (end) => this.#ended(bytes, end) });
    if (status === DmaStatus.stalled) this.#stalled = bytes;
    else this.#take(bytes, status);
    return status;
  }

  #take(bytes: Uint8Array, status: DmaStatus): void {
    if (status === DmaStatus.abort || status === DmaStatus.dropped) return;
    for (let at = 0; at < bytes.length; at += DESCRIPTOR_BYTES) this.#unused.push(bytes.slice(at, at + DESCRIPTOR_BYTES));
  }

  /** A stalled fetch has ended; it is nobody's if what it was for has been discarded. */
  #ended(bytes: Uint8Array, status: DmaStatus): void {
    if (this.#stalled !== bytes) return;
    this.#stalled = null;
    this.#take(bytes, status);
    if (status === DmaStatus.abort) this.#options.aborted();
    else this.#options.arrived();
  }

  /** Something has come that a fetch may have waited for: descriptors, thresholds, leave to access memory. */
  prefetch(): void {
    if (this.#event || !this.#wanted()) return;
    this.#event = this.#nic.simulation.after(PREFETCH_NS, () => {
      this.#event = null;
      if (!this.#wanted()) return;
      const status = this.fetch();
      if (status === DmaStatus.abort) this.#options.aborted();
      else if (status !== DmaStatus.dropped) this.prefetch();
    });
  }

  /** What is on the chip is void: the controller was reset, or the ring is another one. */
  discard(): void {
    this.#event?.cancel();
    this.#event = null;
    this.#stalled = null;
    this.#unused = [];
    this.#used = 0;
  }

  #wanted(): boolean {
    const nic = this.#nic;
    if (this.waiting || !this.#options.enabled() || !nic.mayAccess() || nic.dma.paused) return false;
    const { inMemory } = this;
    if (inMemory === 0 || this.#used + this.#unused.length >= ON_CHIP_DESCRIPTORS) return false;
    const { prefetch, host } = thresholds(nic.get(this.#options.control));
    return this.#unused.length === 0 || (this.#unused.length < prefetch && inMemory >= host);
  }
}
