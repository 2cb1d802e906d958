// SPDX-License-Identifier: MIT
/** Many addresses of one stream, translated in one call: descriptor lists, scatter-gather, the pages of a long transfer. */
import { Outcome, type StalledTransaction, Transaction } from "./transaction.ts";
import { checkInteger } from "../checks.ts";

const CODE = "TRANSLATION_BATCH";
/** A constant of this module is a constant to the compiler of the host; one of another module is a load. */
const FORWARD: Outcome = Outcome.forward;
/** Addresses of a batch at the most. */
const LARGEST = 2 ** 24;

/**
 * A list of addresses with room for the answers, to be used again and again. Set the inputs, call `Smmu.translateBatch`, read the
 * answers: one for each of the first `count` addresses, each as if it had been asked alone and in this order.
 */
export class TranslationBatch {
  // Inputs, as in Transaction.
  streamId = 0;
  substreamId = -1;
  write = false;
  instruction = false;
  privileged = false;
  /** Addresses to translate, 0 … capacity. */
  count = 0;
  readonly addressHi: Uint32Array;
  readonly addressLo: Uint32Array;
  // Answers.
  readonly outcome: Uint8Array;
  /** Physical addresses; 0 where the outcome is not "forward". */
  readonly physical: Float64Array;
  /** What waits where the outcome is "stalled", by index: set `onEnd` there to learn how it ends. */
  readonly stalls: Map<number, StalledTransaction> = new Map<number, StalledTransaction>();
  readonly #tx = new Transaction();

  /** @param capacity addresses, 1 to 2^24 @throws HostMisuseError for another number */
  constructor(capacity: number) {
    checkInteger(CODE, "capacity of a TranslationBatch", capacity, 1, LARGEST);
    this.addressHi = new Uint32Array(capacity);
    this.addressLo = new Uint32Array(capacity);
    this.outcome = new Uint8Array(capacity);
    this.physical = new Float64Array(capacity);
  }

  /** Puts an address below 2^53 in place `index`. @throws HostMisuseError for another address or place */
  setAddress(index: number, address: number): void {
    const last = this.addressHi.length - 1;
    const hi = Math.floor(address / 0x1_0000_0000);
    const lo = address >>> 0;
    if (!(index >>> 0 === index && index <= last)) checkInteger(CODE, "index in a TranslationBatch", index, 0, last);
    if (!(hi >= 0 && hi < 0x20_0000 && hi * 0x1_0000_0000 + lo === address))
      checkInteger(CODE, `address ${index} of a TranslationBatch`, address, 0, Number.MAX_SAFE_INTEGER);
    this.addressHi[index] = hi;
    this.addressLo[index] = lo;
  }

  /** Asks for each address. @returns how many were forwarded @throws HostMisuseError if `count` is beyond the capacity */
  run(smmu: { translate(tx: Transaction): Outcome }): number {
    const { count, addressHi, addressLo, outcome, physical } = this;
    checkInteger(CODE, "count of a TranslationBatch", count, 0, addressHi.length);
    const tx = this.#tx;
    tx.streamId = this.streamId;
    tx.substreamId = this.substreamId;
    tx.write = this.write;
    tx.instruction = this.instruction;
    tx.privileged = this.privileged;
    if (this.stalls.size > 0) this.stalls.clear();
    let forwarded = 0;
    for (let i = 0; i < count; i++) {
      tx.addressHi = addressHi[i]!;
      tx.addressLo = addressLo[i]!;
      const how = smmu.translate(tx);
      outcome[i] = how;
      physical[i] = tx.physicalHi * 0x1_0000_0000 + (tx.physicalLo >>> 0);
      if (how === FORWARD) forwarded++;
      else if (tx.stall !== null) this.stalls.set(i, tx.stall);
    }
    return forwarded;
  }
}
