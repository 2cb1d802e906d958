// SPDX-License-Identifier: MIT
/** The access of the transaction in progress: what it is after overrides, what it has to be granted, how it leaves (IHI 0070 §13.1). */
import { outputShareability } from "./attributes.ts";
import { needOfStage1, needOfStage2, Perm2 } from "./permissions.ts";
import type { Access } from "../queues/faults.ts";
import { answerOf, Outcome, overridden, type Transaction, type Via } from "../transaction.ts";
import { type AccessRules, PLAIN_READ } from "./transaction-kinds.ts";

export class AccessView implements Access {
  rules: AccessRules = PLAIN_READ;
  privileged = false;
  instruction = false;
  readonly #fixedOutput: boolean;

  /** @param fixedOutput all transactions leave as privileged data, as from v3.4 on */
  constructor(fixedOutput: boolean) {
    this.#fixedOutput = fixedOutput;
  }

  get write(): boolean {
    return this.rules.write;
  }

  /** What stage 1 has to grant. It grants no write without a read. */
  get need1(): number {
    return this.rules.anyPermission ? 0 : needOfStage1(this.rules.write, this.instruction, this.privileged);
  }

  /** What stage 2 has to grant. */
  get need2(): number {
    if (this.rules.anyPermission) return 0;
    return needOfStage2(this.rules.write, this.instruction, this.privileged) | (this.rules.alsoReads ? Perm2.read : 0);
  }

  /** PRIVCFG of STE or GBPA applies to all, INSTCFG to what is not always Data. */
  override(privileged: boolean, instruction: boolean, privCfg: number, instCfg: number): void {
    this.privileged = overridden(privCfg, privileged);
    this.instruction = !this.rules.data && overridden(instCfg, instruction);
  }

  /** 8.3, 8.5: sets the outputs of a transaction that goes on, but for its address. */
  leave(tx: Transaction, via: Via, type: number, shareability: number): Outcome {
    const fixed = this.#fixedOutput;
    tx.answer = answerOf(type | (outputShareability(type, shareability) << 8), via, !fixed && this.instruction, fixed || this.privileged);
    return Outcome.forward;
  }
}
