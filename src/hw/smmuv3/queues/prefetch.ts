// SPDX-License-Identifier: MIT
/**
 * CMD_PREFETCH_CONFIG and CMD_PREFETCH_ADDR where they are followed (IHI 0070 §4.2): what they find is cached, what goes wrong
 * leaves no trace. An address is translated like a directed cache prefetch, whatever its permissions: nothing becomes dirty.
 */
import { Transaction } from "../transaction.ts";
import { TransactionKind } from "../spec/transactions.ts";

/** Translations that one command may ask for: the time that it takes has a bound. */
const MOST = 512;

export interface PrefetchDeps {
  /** CR0ACK.SMMUEN. */
  readonly enabled: () => boolean;
  /** Entries of the TLB: more would only replace each other. */
  readonly entries: number;
  readonly configuration: (streamId: number, substreamId: number) => void;
  readonly translate: (tx: Transaction) => void;
}

export class Prefetches {
  readonly #deps: PrefetchDeps;
  readonly #tx = new Transaction();

  constructor(deps: PrefetchDeps) {
    this.#deps = deps;
    this.#tx.kind = TransactionKind.directedPrefetch;
    this.#tx.privileged = true;
  }

  /** @param substreamId -1: none */
  configuration(streamId: number, substreamId: number): void {
    if (this.#deps.enabled()) this.#deps.configuration(streamId, substreamId);
  }

  /** @param step log2 of the bytes from one address to the next, 12 or more @param size log2 of their number */
  addresses(streamId: number, substreamId: number, hi: number, lo: number, step: number, size: number): void {
    const { enabled, entries, translate } = this.#deps;
    if (!enabled()) return;
    const tx = this.#tx;
    tx.streamId = streamId;
    tx.substreamId = substreamId;
    const count = Math.min(2 ** size, Math.max(1, entries), MOST);
    for (let n = 0; n < count; n++) {
      // In pages: the sum has no more than 53 bits as long as it is an address.
      const page = hi * 2 ** 20 + (lo >>> 12) + n * 2 ** (step - 12);
      if (page >= 2 ** 52) return;
      tx.addressHi = Math.floor(page / 2 ** 20);
      tx.addressLo = ((page % 2 ** 20) << 12) >>> 0;
      translate(tx);
    }
  }
}
