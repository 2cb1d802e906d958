// SPDX-License-Identifier: MIT
/** What a monitor is: a small watcher of the trace for one claim, that keeps evidence when the claim is broken. */
import type { ClaimName } from "../run/types.ts";
import type { Landing, LabTrace } from "../events.ts";
import type { Trespass } from "../shadow/ownership.ts";

/** One observation against a claim. Addresses are physical or as the device used them, as numbers; time is virtual ns. */
export interface Evidence {
  readonly time: number;
  /** Who did it. */
  readonly who: string;
  readonly text: string;
  /** Before translation. */
  readonly address?: number;
  /** After translation. */
  readonly physical?: number;
  /** Who gave the memory up, if somebody did. */
  readonly givenUpBy?: string;
}

export interface ClaimResult {
  readonly claim: ClaimName;
  readonly holds: boolean;
  /** How often it was broken. */
  readonly count: number;
  /** The first few breaches. */
  readonly evidence: readonly Evidence[];
}

/** The address that the device used for the part of an access that trespassed. */
export function rawAddress(landing: Landing, { address }: Trespass): number {
  return landing.address + (address - (landing.physical ?? address));
}

/** Evidence kept for each claim; the count goes on. */
const KEPT = 8;

export abstract class Monitor {
  abstract readonly claim: ClaimName;
  /** Subscribes to what the claim is about. */
  abstract attach(trace: LabTrace): void;

  readonly #evidence: Evidence[] = [];
  #count = 0;

  protected broken(evidence: Evidence): void {
    this.#count++;
    if (this.#evidence.length < KEPT) this.#evidence.push(evidence);
  }

  /** Called once, when the run is over. @param now virtual ns */
  finish(_now: number): void {}

  result(): ClaimResult {
    return { claim: this.claim, holds: this.#count === 0, count: this.#count, evidence: this.#evidence };
  }
}
