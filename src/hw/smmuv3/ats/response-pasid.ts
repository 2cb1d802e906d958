// SPDX-License-Identifier: MIT
/** STE.PPAR, looked up for the answer to a page request that an overflow of the PRI queue has cost (IHI 0070 §8.1). */
import { EventNumber } from "../spec/events.ts";
import { Transaction } from "../transaction.ts";
import { PLAIN_READ } from "../translation/transaction-kinds.ts";
import type { AtsSteps } from "./steps.ts";

type Steps = Pick<AtsSteps, "access" | "detector" | "failures" | "fault" | "streams">;

export class ResponsePasids {
  readonly #steps: Steps;
  /** Stands for the request in records. */
  readonly #tx = new Transaction();

  constructor(steps: Steps) {
    this.#steps = steps;
  }

  /** @returns whether the response carries the PASID; undefined without a valid STE, which is recorded with CR2.REC_CFG_ATS */
  find(streamId: number, substreamId: number): boolean | undefined {
    const { access, detector, failures, fault, streams } = this.#steps;
    const tx = this.#tx;
    tx.streamId = streamId;
    tx.substreamId = substreamId;
    detector?.begin(tx);
    access.rules = PLAIN_READ;
    fault.mayMerge = false;
    const stream = streams.find(streamId);
    if (stream !== undefined) {
      const { broken, fields } = stream.ste;
      if (broken === undefined) return fields.PPAR === 1;
      fault.mayMerge = fields.MEV === 1;
      fault.raise(EventNumber.C_BAD_STE);
    }
    failures.ats(tx, true);
    return undefined;
  }
}
