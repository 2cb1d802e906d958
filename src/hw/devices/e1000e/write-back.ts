// SPDX-License-Identifier: MIT
/**
 * Receive descriptors on their way back to memory, and the receive timers (82574 datasheet §7.1.7, RXDCTL.WTHRESH, RDTR,
 * RADV).
 *
 * With RDTR = 0 a descriptor goes back at once and its frame is reported at once. Else descriptors are collected until there
 * are WTHRESH of them or a timer ends: RDTR counts anew from each frame, RADV from the first one that was not reported.
 * RDH follows the write-backs. Both timers count units of 1.024 µs.
 */
import type { ScheduledEvent } from "../../../sim/index.ts";
import type { NicCore } from "./core.ts";
import { thresholds, type OnChipDescriptors } from "./descriptors.ts";
import { CAUSE, REG } from "./registers.ts";

const TIMER_UNIT_NS = 1024;

interface WriteBack {
  readonly address: number;
  readonly descriptor: Uint8Array;
}

export class WriteBacks {
  readonly #nic: NicCore;
  readonly #onChip: OnChipDescriptors;
  /** Carries out one write-back. */
  readonly #write: (address: number, descriptor: Uint8Array) => void;
  #pending: WriteBack[] = [];
  /** A write-back was due while master accesses were disabled. */
  #due = false;
  #delay: ScheduledEvent | null = null;
  #absolute: ScheduledEvent | null = null;

  constructor(nic: NicCore, onChip: OnChipDescriptors, write: (address: number, descriptor: Uint8Array) => void) {
    this.#nic = nic;
    this.#onChip = onChip;
    this.#write = write;
  }

  /** A descriptor was used. */
  add(address: number, descriptor: Uint8Array): void {
    this.#pending.push({ address, descriptor });
    const threshold = this.#delayNs === 0 ? 1 : thresholds(this.#nic.get(REG.RXDCTL)).writeBack;
    if (this.#pending.length >= threshold) this.flush();
  }

  /** A whole frame is in memory. */
  frameStored(): void {
    const { simulation } = this.#nic;
    const delayNs = this.#delayNs;
    if (delayNs === 0) {
      this.expire();
      return;
    }
    this.#delay?.cancel();
    this.#delay = simulation.after(delayNs, () => this.expire());
    const absolute = this.#nic.get(REG.RADV);
    if (absolute !== 0) this.#absolute ??= simulation.after(absolute * TIMER_UNIT_NS, () => this.expire());
  }

  /** A timer has ended, or RDTR.FPD was written: everything goes back, and ICR.RXT0 is set. */
  expire(): void {
    this.#stopTimers();
    this.flush();
    this.#nic.raise(CAUSE.RXT0);
  }

  /** Writes back what waits, unless software has disabled master accesses: then it goes on waiting. */
  flush(): void {
    if (this.#pending.length === 0) return;
    this.#due = !this.#nic.mayAccess();
    if (this.#due) return;
    const pending = this.#pending;
    this.#pending = [];
    for (const { address, descriptor } of pending) {
      this.#write(address, descriptor);
      this.#onChip.giveBack();
    }
    this.#nic.receiveWrittenBack();
  }

  /** Master accesses may be enabled again: what was due is written. */
  resume(): void {
    if (this.#due) this.flush();
  }

  /** The controller was reset, or the ring is another one: what waited is lost. */
  discard(): void {
    this.#stopTimers();
    this.#pending = [];
    this.#due = false;
  }

  get #delayNs(): number {
    return this.#nic.get(REG.RDTR) * TIMER_UNIT_NS;
  }

  #stopTimers(): void {
    this.#delay?.cancel();
    this.#delay = null;
    this.#absolute?.cancel();
    this.#absolute = null;
  }
}
