// SPDX-License-Identifier: MIT
/**
 * ATS Translated transactions (IHI 0070 §3.9.1.3, §13.6): they pass with the physical address that a Translation Completion has
 * given; or, with split-stage ATS, go through stage 2 with the intermediate one. They never stall.
 */
import { join64, POW2 } from "../../bits/hex.ts";
import { combineShareability, combineStage2Type, SHARED_SHAREABILITY, SHARED_TYPE } from "../translation/attributes.ts";
import { exceeds } from "../translation/address-size.ts";
import type { SteEntry } from "../config/config-cache.ts";
import { NO_CONTEXT, selectContext } from "../config/context.ts";
import { Ats, type Ste } from "../config/ste.ts";
import { EventNumber, FaultClass } from "../spec/events.ts";
import { ABORT_AND_RECORD } from "../translation/failures.ts";
import { Outcome, Transaction, Via } from "../transaction.ts";
import type { AtsSteps } from "./steps.ts";

export class TranslatedTransactions {
  /** The STE of the last transaction; undefined if none was asked. */
  ste: Ste | undefined;
  readonly #steps: AtsSteps;
  /** Stands for a transaction whose SubstreamID does not count. */
  readonly #bare = new Transaction();

  constructor(steps: AtsSteps) {
    this.#steps = steps;
  }

  /** Takes a Translated transaction, whose outputs say that it aborts, and sets them. The rules of its kind are known. */
  pass(tx: Transaction): Outcome {
    const { config } = this.#steps;
    this.ste = undefined;
    // There is no such traffic without ATS (§5.2, STE.EATS).
    if (!config.ats) return Outcome.abort;
    if (tx.substreamId < 0 || config.pasidTt) return this.#check(tx, tx.substreamId >= 0);
    const bare = this.#bare;
    bare.streamId = tx.streamId;
    bare.addressHi = tx.addressHi;
    bare.addressLo = tx.addressLo;
    bare.flags = tx.flags;
    bare.answer = 0;
    const outcome = this.#check(bare, false);
    tx.answer = bare.answer;
    if (outcome === Outcome.forward) {
      tx.physicalHi = bare.physicalHi;
      tx.physicalLo = bare.physicalLo;
    }
    return outcome;
  }

  /** @param pasid its SubstreamID and what comes with it count: else it is unprivileged data of the stream (§3.9.1.3) */
  #check(tx: Transaction, pasid: boolean): Outcome {
    const { registers, fault, streams, access, failures } = this.#steps;
    const privileged = pasid && tx.privileged;
    const instruction = pasid && tx.instruction;
    access.override(privileged, instruction, 0, 0);
    fault.mayMerge = false;
    // 10.1
    if (!registers.smmuEnabled()) return this.#forbid(tx);
    if (!registers.atsChecked()) return this.#out(tx);
    // 10.2
    const stream = streams.find(tx.streamId);
    if (stream === undefined) return failures.ats(tx, false);
    const { ste } = stream;
    this.ste = ste;
    fault.mayMerge = ste.fields.MEV === 1;
    if (ste.broken !== undefined) {
      fault.raise(EventNumber.C_BAD_STE);
      return failures.ats(tx, false);
    }
    if (ste.aborts) return Outcome.abort;
    access.override(privileged, instruction, ste.privCfg, ste.instCfg);
    if (ste.ats === Ats.off) return this.#forbid(tx);
    // 10.3
    if (pasid && !this.#hasContext(stream, tx.substreamId)) {
      return fault.translationRelated ? failures.translation(tx, ste, ABORT_AND_RECORD) : failures.ats(tx, false);
    }
    // 10.4, 10.5
    return ste.ats === Ats.full ? this.#out(tx) : this.#throughStage2(tx, ste);
  }

  #forbid(tx: Transaction): Outcome {
    const { fault, failures } = this.#steps;
    fault.raise(EventNumber.F_TRANSL_FORBIDDEN);
    return failures.configuration(tx);
  }

  /** There has to be a valid CD, although nothing in it counts. @returns false with the reason in `fault` */
  #hasContext(stream: SteEntry, substreamId: number): boolean {
    const { fault, contexts } = this.#steps;
    const index = selectContext(stream.ste, substreamId, fault);
    const cd = index === NO_CONTEXT ? undefined : contexts.find(stream, index);
    if (cd === undefined) return false;
    return cd.broken === undefined || !fault.raise(EventNumber.C_BAD_CD);
  }

  /** The address is physical. */
  #out(tx: Transaction): Outcome {
    const { config, choices, access } = this.#steps;
    let hi = tx.addressHi;
    if (exceeds(hi, config.oas)) {
      if (choices.translatedBeyondOas === "abort") return Outcome.abort;
      hi %= POW2[config.oas - 32]!;
    }
    tx.physicalHi = hi;
    tx.physicalLo = tx.addressLo | 0;
    return access.leave(tx, Via.ats, SHARED_TYPE, SHARED_SHAREABILITY);
  }

  /** The address is an intermediate one. AssuredOnly does not count (§3.27.2). */
  #throughStage2(tx: Transaction, ste: Ste): Outcome {
    const { config, fault, stage2, access, failures } = this.#steps;
    if (exceeds(tx.addressHi, config.oas)) {
      fault.raise(EventNumber.F_ADDR_SIZE);
      fault.forced = true;
      return failures.configuration(tx);
    }
    if (!stage2.translate(ste.stage2!, join64(tx.addressHi, tx.addressLo), FaultClass.in, access.need2))
      return failures.translation(tx, ste, ABORT_AND_RECORD);
    const { memAttr, forcedWriteBack, shareability2 } = stage2.entry;
    tx.physical = stage2.physical;
    const type = combineStage2Type(SHARED_TYPE, memAttr, forcedWriteBack);
    return access.leave(tx, Via.stage2, type, combineShareability(SHARED_SHAREABILITY, shareability2));
  }
}
