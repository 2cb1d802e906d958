// SPDX-License-Identifier: MIT
/**
 * A distributor of shared peripheral interrupts (SPIs), numbered from 32 as in the GIC.
 *
 * Each interrupt is pending because an edge arrived or because its level is asserted, and active between acknowledge and
 * complete. What can be delivered (pending, enabled, not active) is counted as it changes, so that the CPU's question
 * "anything?" after each of its accesses costs nothing.
 */
import { HostMisuseError } from "../errors.ts";

/** The lowest interrupt number of a shared peripheral interrupt. */
export const FIRST_SPI = 32;

const ENABLED = 1;
const EDGE = 2;
const LEVEL = 4;
const ACTIVE = 8;

function deliverable(state: number): boolean {
  return (state & ENABLED) !== 0 && (state & (EDGE | LEVEL)) !== 0 && (state & ACTIVE) === 0;
}

/** A distributor of shared peripheral interrupts: edges and levels in, acknowledge and complete out. */
export class InterruptController {
  /** Number of SPIs: valid interrupt numbers are 32 … 32 + lines - 1. */
  readonly lines: number;
  readonly #state: Uint8Array;
  #deliverable = 0;

  /**
   * @param lines number of SPIs, 1 … 988
   * @throws HostMisuseError for another number
   */
  constructor(lines: number) {
    if (!Number.isInteger(lines) || lines < 1 || lines > 988) {
      throw new HostMisuseError("INTERRUPT_LINES", `an interrupt controller of ${lines} lines: 1 to 988 are possible`);
    }
    this.lines = lines;
    this.#state = new Uint8Array(lines);
  }

  /** How many interrupts could be acknowledged now: pending, enabled and not active. */
  get pendingCount(): number {
    return this.#deliverable;
  }

  #index(intid: number): number {
    const index = intid - FIRST_SPI;
    return Number.isInteger(index) && index >= 0 && index < this.lines ? index : -1;
  }

  #wired(intid: number): number {
    const index = this.#index(intid);
    if (index < 0)
      throw new HostMisuseError("INTERRUPT_NUMBER", `no interrupt ${intid}: ${FIRST_SPI} … ${FIRST_SPI + this.lines - 1} exist`);
    return index;
  }

  #set(index: number, state: number): void {
    const before = this.#state[index]!;
    this.#state[index] = state;
    this.#deliverable += Number(deliverable(state)) - Number(deliverable(before));
  }

  /**
   * An edge: makes the interrupt pending until it is acknowledged.
   * @throws HostMisuseError for a number that does not exist
   */
  raise(intid: number): void {
    const index = this.#wired(intid);
    this.#set(index, this.#state[index]! | EDGE);
  }

  /**
   * A level: the interrupt is pending as long as it is asserted.
   * @throws HostMisuseError for a number that does not exist
   */
  setLevel(intid: number, on: boolean): void {
    const index = this.#wired(intid);
    const state = this.#state[index]!;
    this.#set(index, on ? state | LEVEL : state & ~LEVEL);
  }

  /** Software enables or disables an interrupt; a number that does not exist is ignored. */
  enable(intid: number, on: boolean): void {
    const index = this.#index(intid);
    if (index < 0) return;
    const state = this.#state[index]!;
    this.#set(index, on ? state | ENABLED : state & ~ENABLED);
  }

  /** Takes the lowest-numbered deliverable interrupt: it becomes active, a pending edge is consumed. @returns -1 if there is none */
  acknowledge(): number {
    if (this.#deliverable === 0) return -1;
    const index = this.#state.findIndex(deliverable);
    this.#set(index, (this.#state[index]! | ACTIVE) & ~EDGE);
    return FIRST_SPI + index;
  }

  /** Software is done with an interrupt that it acknowledged; anything else is ignored. */
  complete(intid: number): void {
    const index = this.#index(intid);
    if (index >= 0) this.#set(index, this.#state[index]! & ~ACTIVE);
  }

  /** Everything disabled, nothing pending or active. Levels stay: their sources assert them. */
  reset(): void {
    for (let index = 0; index < this.lines; index++) this.#set(index, this.#state[index]! & LEVEL);
  }
}
