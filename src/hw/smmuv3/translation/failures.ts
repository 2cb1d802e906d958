// SPDX-License-Identifier: MIT
/** How transactions fail: from the fault that a step has filled to an event and an outcome (IHI 0070 §3.12, §7.3.3, §3.9.1). */
import type { AccessView } from "./access.ts";
import type { Ste } from "../config/ste.ts";
import type { RegisterView } from "../ports.ts";
import type { Fault, FaultModel, FaultReporter } from "../queues/faults.ts";
import { EventNumber } from "../spec/events.ts";
import { Outcome, type Transaction } from "../transaction.ts";

export const ABORT_AND_RECORD: FaultModel = { abort: true, record: true, stall: false };
const ABORT_SILENTLY: FaultModel = { abort: true, record: false, stall: false };
const STALL: FaultModel = { abort: true, record: true, stall: true };

/** CR2. */
const RECINVSID = 2;
const REC_CFG_ATS = 8;

export interface FailuresDeps {
  readonly registers: RegisterView;
  readonly fault: Fault;
  readonly reporter: FaultReporter;
  readonly access: AccessView;
}

export class Failures {
  readonly #deps: FailuresDeps;

  constructor(deps: FailuresDeps) {
    this.#deps = deps;
  }

  /** @param stage1 CD.A, CD.R and CD.S; a fault of stage 2 obeys STE.S2R and STE.S2S instead, and aborts if it does not stall */
  translation(tx: Transaction, ste: Ste, stage1: FaultModel): Outcome {
    const { S2S, S2R } = ste.fields;
    const stage2 = S2S === 1 ? STALL : S2R === 1 ? ABORT_AND_RECORD : ABORT_SILENTLY;
    return this.#end(tx, this.#deps.fault.stage2 ? stage2 : stage1, true);
  }

  /** Configuration errors abort and are recorded, C_BAD_STREAMID only with CR2.RECINVSID. */
  configuration(tx: Transaction): Outcome {
    return this.#end(tx, ABORT_AND_RECORD, this.#recordsStreamId);
  }

  /** Those of ATS are recorded only with CR2.REC_CFG_ATS; a Translation Request with a bad StreamID needs CR2.RECINVSID as well. */
  ats(tx: Transaction, request: boolean): Outcome {
    const { registers } = this.#deps;
    return this.#end(tx, ABORT_AND_RECORD, (registers.cr2() & REC_CFG_ATS) !== 0 && (!request || this.#recordsStreamId));
  }

  /** False: the fault is a C_BAD_STREAMID, which CR2.RECINVSID keeps out of the queue. */
  get #recordsStreamId(): boolean {
    const { fault, registers } = this.#deps;
    return fault.event !== EventNumber.C_BAD_STREAMID || (registers.cr2() & RECINVSID) !== 0;
  }

  #end(tx: Transaction, model: FaultModel, recordable: boolean): Outcome {
    const { access, reporter, fault } = this.#deps;
    return access.rules.quiet ? Outcome.abort : reporter.end(tx, fault, access, model, recordable);
  }
}
