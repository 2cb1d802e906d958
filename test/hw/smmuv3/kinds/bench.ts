// SPDX-License-Identifier: MIT
/** A translation side to which transactions of all kinds are sent. */
import { Outcome, Transaction, TransactionKind, decodeEvent } from "../../../../src/hw/index.ts";
import { Bench, type Answer, type Request } from "../translation/bench.ts";
import type { Verdict } from "./law.ts";

export class KindBench extends Bench {
  readonly #tx = new Transaction();

  /** One transaction; all of them use the same object, as a client would. */
  send(kind: TransactionKind, address: number, request: Request = {}): Answer {
    const tx = this.#tx;
    tx.kind = kind;
    tx.setAddress(address);
    tx.streamId = request.sid ?? 0;
    tx.substreamId = request.ssid ?? -1;
    tx.write = request.write ?? false;
    tx.instruction = request.instruction ?? false;
    tx.privileged = request.privileged ?? false;
    const before = this.records.length;
    const outcome = this.translator.translate(tx);
    const words = this.records[before];
    return { outcome, physical: tx.physical, tx, words, event: words && decodeEvent(words) };
  }

  /** The same in the law's words. */
  verdict(kind: TransactionKind, address: number, request: Request = {}): Verdict {
    const { outcome, tx, event } = this.send(kind, address, request);
    const name = (["forward", "abort", "success", "stalled"] as const)[outcome];
    if (name === "stalled") throw new Error("nothing is configured to stall");
    const { RnW, InD, PnU, S2 } = event?.fields ?? {};
    return {
      outcome: name,
      ...(outcome === Outcome.forward ? { as: tx.outputKind } : {}),
      ...(event ? { event: { name: event.name, RnW: RnW!, InD: InD!, PnU: PnU!, ...(S2 === undefined ? {} : { S2 }) } } : {}),
    };
  }
}

export const ALL_KINDS: readonly (readonly [string, TransactionKind])[] = Object.entries(TransactionKind);
