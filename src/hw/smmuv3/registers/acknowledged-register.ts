// SPDX-License-Identifier: MIT
/**
 * A control register whose fields take effect later than they are written, as an acknowledge register shows: CR0 and
 * IRQ_CTRL (IHI 0070 §6.3.9, §6.3.16).
 */
import type { Delays } from "./delays.ts";

/** Where the two registers are kept. */
export interface WordStore {
  get(offset: number): number;
  set(offset: number, value: number): void;
}

export class AcknowledgedRegister {
  /**
   * Called when the Update of some fields is over: it brings about their side effects and calls `commit` to show them in
   * the acknowledge register, now or later.
   */
  onUpdate: (fields: number, commit: () => void) => void = (_fields, commit) => commit();

  readonly #store: WordStore;
  readonly #control: number;
  readonly #acknowledge: number;
  readonly #fields: readonly number[];
  readonly #delays: Delays;
  readonly #updateNs: number;

  /** @param fields masks of the implemented fields: each is Updated by itself */
  constructor(store: WordStore, control: number, acknowledge: number, fields: readonly number[], delays: Delays, updateNs: number) {
    this.#store = store;
    this.#control = control;
    this.#acknowledge = acknowledge;
    this.#fields = fields;
    this.#delays = delays;
    this.#updateNs = updateNs;
  }

  /** Bits that are 1 as written or 1 as acknowledged: what a guard looks at. */
  get inUse(): number {
    return (this.#store.get(this.#control) | this.#store.get(this.#acknowledge)) >>> 0;
  }

  /** The fields that have an Update pending. */
  get inTransition(): number {
    return this.#whole(this.#store.get(this.#control) ^ this.#store.get(this.#acknowledge));
  }

  /** `bits`, widened to whole fields. */
  #whole(bits: number): number {
    let fields = 0;
    for (const field of this.#fields) if ((field & bits) !== 0) fields |= field;
    return fields >>> 0;
  }

  /** The value that a write stores: fields in transition keep the one that they are changing to. */
  sanitise(value: number, old: number): number {
    const fixed = this.inTransition;
    return ((value & ~fixed) | (old & fixed)) >>> 0;
  }

  /** Starts the Update of what a write has changed. */
  written(value: number, old: number): void {
    this.#start(this.#whole(value ^ old));
  }

  /** Starts the Updates that are pending anew: their delays are gone. */
  restart(): void {
    this.#start(this.inTransition);
  }

  #start(fields: number): void {
    if (fields === 0) return;
    this.#delays.after(this.#updateNs, () => this.onUpdate(fields, () => this.#commit(fields)));
  }

  #commit(fields: number): void {
    const acknowledged = this.#store.get(this.#acknowledge) & ~fields;
    this.#store.set(this.#acknowledge, (acknowledged | (this.#store.get(this.#control) & fields)) >>> 0);
  }
}
