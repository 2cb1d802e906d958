// SPDX-License-Identifier: MIT
/**
 * Stalled transactions: held without an answer until software resumes or terminates them (IHI 0070 §3.12.2, §4.7.1, §4.7.2).
 *
 * One whose event record is in the queue has a STAG and waits for its CMD_RESUME. One whose record could not be written (the
 * queue is not writable, or IDR5.STALL_MAX records are unanswered) has none: it is tried again as if it had just arrived as soon
 * as its record could be written, so that no record ever tells of what is no longer so.
 */
import type { SmmuConfig } from "../config/config.ts";
import type { EventSink, StallControl } from "../ports.ts";
import { Outcome, StalledTransaction, type Transaction } from "../transaction.ts";

/** A STAG has 16 bits. */
const TAG_MASK = 0xffff;

export interface StallsDeps {
  readonly config: SmmuConfig;
  readonly events: EventSink;
  /** SMMUEN is in force. */
  readonly enabled: () => boolean;
  /** Takes a transaction as a new arrival. */
  readonly translate: (tx: Transaction) => Outcome;
}

export class Stalls implements StallControl {
  readonly #deps: StallsDeps;
  /** By STAG. */
  readonly #recorded = new Map<number, StalledTransaction>();
  /** Without a record, in order of arrival. */
  readonly #waiting = new Set<StalledTransaction>();
  #lastTag = -1;
  #retrying = false;

  constructor(deps: StallsDeps) {
    this.#deps = deps;
  }

  /** All that are held: those with a record, then those without. */
  get held(): readonly StalledTransaction[] {
    return [...this.#recorded.values(), ...this.#waiting];
  }

  /** The oldest one that software knows of and has not answered. */
  get unanswered(): StalledTransaction | undefined {
    return this.#recorded.values().next().value;
  }

  /** A STAG for a new record, used longest ago; -1 if as many are unanswered as IDR5.STALL_MAX allows. */
  takeTag(): number {
    if (this.#full) return -1;
    do this.#lastTag = (this.#lastTag + 1) & TAG_MASK;
    while (this.#recorded.has(this.#lastTag));
    return this.#lastTag;
  }

  get #full(): boolean {
    return this.#recorded.size >= this.#deps.config.stallMax;
  }

  /**
   * Holds a transaction that has just faulted.
   * @param stag of its event record, -1 if none was written
   */
  hold(tx: Transaction, stag: number): Outcome {
    // The record's interrupt may itself be a write that clears SMMUEN: nothing can be held then (§6.3.9.6).
    if (!this.#deps.enabled()) return Outcome.abort;
    const held = tx instanceof StalledTransaction ? tx : Object.assign(new StalledTransaction(), tx);
    held.stag = stag;
    tx.stall = held;
    if (stag >= 0) this.#recorded.set(stag, held);
    else this.#waiting.add(held);
    return Outcome.stalled;
  }

  /** CMD_RESUME. @returns false if no stalled transaction of the stream has this STAG */
  resume(streamId: number, stag: number, retry: boolean, abort: boolean): boolean {
    const held = this.#recorded.get(stag);
    if (held === undefined || held.streamId !== streamId) return false;
    this.#recorded.delete(stag);
    if (retry) this.#retry(held);
    else this.#end(held, abort || this.#deps.config.termModel ? Outcome.abort : Outcome.razWi);
    this.retryWaiting();
    return true;
  }

  /** CMD_STALL_TERM: all of the stream end with an abort, recorded or not. */
  terminateStream(streamId: number): void {
    this.#abort(this.held.filter((held) => held.streamId === streamId));
    this.retryWaiting();
  }

  /** SMMUEN went to 0, or the SMMU was reset. */
  terminateAll(): void {
    this.#abort(this.held);
  }

  /** All leave before the first client is told, which may come back with new transactions. */
  #abort(ended: readonly StalledTransaction[]): void {
    for (const held of ended) {
      this.#recorded.delete(held.stag);
      this.#waiting.delete(held);
    }
    for (const held of ended) this.#end(held, Outcome.abort);
  }

  /** Tries those without a record again, in order of arrival, while there is room for records. */
  retryWaiting(): void {
    // A record's interrupt may lead here once more: the loop that is at work then goes on.
    if (this.#retrying || this.#waiting.size === 0) return;
    this.#retrying = true;
    try {
      // Not those that join meanwhile: they wait for another occasion.
      const waiting = Array.from(this.#waiting);
      for (const held of waiting) {
        if (this.#full || !this.#deps.events.writable()) break;
        if (this.#waiting.delete(held)) this.#retry(held);
      }
    } finally {
      this.#retrying = false;
    }
  }

  /** A retried transaction is a new arrival: configuration and translation are looked up, and it may stall once more. */
  #retry(held: StalledTransaction): void {
    held.stag = -1;
    const outcome = this.#deps.translate(held);
    if (outcome !== Outcome.stalled) this.#end(held, outcome);
  }

  #end(held: StalledTransaction, outcome: Outcome): void {
    const { onEnd } = held;
    held.stall = null;
    held.stag = -1;
    held.onEnd = null;
    onEnd?.(outcome, held);
  }
}
