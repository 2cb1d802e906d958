// SPDX-License-Identifier: MIT
/**
 * Invalidate Requests that are under way: what CMD_ATC_INV has sent and a CMD_SYNC waits for (IHI 0070 §3.9.1.4, §3.9.1.5, §4.5.1,
 * §4.7.3).
 */
import { HostMisuseError } from "../../errors.ts";
import type { InvalidateEnd, InvalidateRequest } from "../../memory/ats.ts";
import type { SmmuHost } from "../ports.ts";

/** One of them, as plain data. */
export interface SentInvalidation {
  readonly streamId: number;
  readonly request: InvalidateRequest;
}

/** What a CMD_SYNC still has to wait for, or to tell. */
export interface PendingInvalidations {
  readonly sent: readonly SentInvalidation[];
  /** One has ended without a completion, and no CMD_SYNC has told. */
  readonly timedOut: boolean;
}

export class AtcInvalidations {
  readonly #host: SmmuHost;
  readonly #sent = new Set<SentInvalidation>();
  #timedOut = false;
  #waiting: (() => void) | undefined;

  constructor(host: SmmuHost) {
    this.#host = host;
  }

  /** None is under way. */
  get settled(): boolean {
    return this.#sent.size === 0;
  }

  /** Undefined: no CMD_SYNC would wait or fail. */
  get pending(): PendingInvalidations | undefined {
    return this.settled && !this.#timedOut ? undefined : { sent: [...this.#sent], timedOut: this.#timedOut };
  }

  /** Sends requests of another SMMU once more: invalidating twice is always allowed. */
  restore({ sent, timedOut }: PendingInvalidations): void {
    this.#timedOut = timedOut;
    for (const { streamId, request } of sent) this.send(streamId, request);
  }

  /** Hardware reset: nobody waits any more, and what ends later is not told. */
  reset(): void {
    this.#sent.clear();
    this.#timedOut = false;
    this.#waiting = undefined;
  }

  send(streamId: number, request: InvalidateRequest): void {
    const sent: SentInvalidation = { streamId, request };
    this.#sent.add(sent);
    let over = false;
    this.#host.invalidateAtc!(streamId, request, (how) => {
      if (over) throw new HostMisuseError("SMMU_HOST", `an Invalidate Request of StreamID ${streamId} has ended twice`);
      over = true;
      this.#ended(sent, how);
    });
  }

  /** Calls `action` once none is under way: at once, or later. */
  whenSettled(action: () => void): void {
    if (this.settled) action();
    else this.#waiting = action;
  }

  /** True if one has timed out since the last CMD_SYNC that asked. */
  takeTimeout(): boolean {
    const timedOut = this.#timedOut;
    this.#timedOut = false;
    return timedOut;
  }

  /** A refusal with UR counts as a completion, although nothing may have been invalidated (§3.9.1.5). */
  #ended(sent: SentInvalidation, how: InvalidateEnd): void {
    if (!this.#sent.delete(sent)) return;
    if (how === "timeout") this.#timedOut = true;
    if (!this.settled) return;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }
}
