// SPDX-License-Identifier: MIT
/** Transactions of client devices: what comes to the SMMU's door, and how it leaves. */
import { HostMisuseError } from "../errors.ts";
import { TransactionKind } from "./spec/transactions.ts";

/** How a transaction leaves the SMMU. Non-negative codes are for callers to switch on. */
export const Outcome = {
  /** Forward to `tx.physical` with the output attributes. */
  forward: 0,
  /** Answer with an error. */
  abort: 1,
  /** Answer with success: reads give zeros, writes are dropped. Also the answer to a hint that goes no further. */
  razWi: 2,
  /** No answer yet: the transaction waits for CMD_RESUME. `tx.stall` is what waits; set its `onEnd` to learn how it ends. */
  stalled: 3,
} as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** How far the forwarded transaction was translated; "ats": by its client beforehand. */
export const Via = { none: 0, globalBypass: 1, steBypass: 2, stage1: 3, stage2: 4, nested: 5, ats: 6 } as const;
export type Via = (typeof Via)[keyof typeof Via];

/** Bits of `Transaction.flags`. From bit 3 on: the kind; above it: {@link TRANSLATED}. */
const WRITE = 1;
const INSTRUCTION = 2;
const PRIVILEGED = 4;
const KIND_SHIFT = 3;
const KIND_MASK = 0xff;
const TRANSLATED = 1 << 11;

// Fields of `Transaction.answer`. Below them: the memory type.
const SHAREABILITY_SHIFT = 8;
/** A place in {@link WAYS}. */
const WAY_SHIFT = 10;
/** What PRIVCFG and INSTCFG have made of the flags, which stand above them. */
const PRIV_CFG_SHIFT = 13;
const INST_CFG_SHIFT = 15;
const FLAGS_SHIFT = 17;
/** It leaves as privileged data, as all do from v3.4 on. */
const FIXED = 1 << 20;
const RECORDED = 1 << 21;
const EVENT_SHIFT = 22;

/** The ways that a line of the front tier may name have the first places, in two bits. */
const WAYS: readonly Via[] = [Via.none, Via.stage1, Via.stage2, Via.nested, Via.none, Via.globalBypass, Via.steBypass, Via.ats];

/** `Transaction.answer` of one that is forwarded. @param output memory type, and shareability from bit 8 on */
export function answerOf(output: number, via: Via, instruction: boolean, privileged: boolean): number {
  const overrides = ((privileged ? 3 : 2) << PRIV_CFG_SHIFT) | ((instruction ? 3 : 2) << INST_CFG_SHIFT);
  return output | (WAYS.indexOf(via) << WAY_SHIFT) | overrides;
}

/** `Transaction.answer` without output and flags, where an STE says what becomes of the flags. @param fixed all leave as privileged data */
export function overridesOf(privCfg: number, instCfg: number, fixed: boolean, via: Via): number {
  return (privCfg << PRIV_CFG_SHIFT) | (instCfg << INST_CFG_SHIFT) | (fixed ? FIXED : 0) | (WAYS.indexOf(via) << WAY_SHIFT);
}

/**
 * One transaction at the SMMU's door, reusable: set the inputs, call `translate`, read the outputs. All 32-bit fields are
 * unsigned. `Smmu.translate` writes outputs only.
 *
 * What is small shares a word, so that the commonest answer is given with a few stores. The words `flags` and `answer` are for the
 * SMMU's own parts; everybody else has the properties.
 */
export class Transaction {
  // Inputs.
  streamId = 0;
  /** -1: no SubstreamID. Else 0 … 2^20 - 1. */
  substreamId = -1;
  /** Input address, two 32-bit halves. */
  addressHi = 0;
  addressLo = 0;
  /** `write`, `instruction`, `privileged`, `kind` and `translated`. */
  flags = 0;
  // Outputs, valid after translate().
  /** Halves of `physical`, signed. */
  physicalHi = 0;
  physicalLo = 0;
  /** All outputs but the address, `leaving` and `stall`. */
  answer = 0;
  /** What the SMMU has made of `kind`; not written for ordinary transactions, which leave as they come. See `outputKind`. */
  leaving: TransactionKind = TransactionKind.ordinary;
  /** Outcome.stalled: the SMMU's copy of the transaction, which waits. Else null. */
  stall: StalledTransaction | null = null;

  get write(): boolean {
    return (this.flags & WRITE) !== 0;
  }

  set write(is: boolean) {
    this.flags = is ? this.flags | WRITE : this.flags & ~WRITE;
  }

  get instruction(): boolean {
    return (this.flags & INSTRUCTION) !== 0;
  }

  set instruction(is: boolean) {
    this.flags = is ? this.flags | INSTRUCTION : this.flags & ~INSTRUCTION;
  }

  get privileged(): boolean {
    return (this.flags & PRIVILEGED) !== 0;
  }

  set privileged(is: boolean) {
    this.flags = is ? this.flags | PRIVILEGED : this.flags & ~PRIVILEGED;
  }

  /** What it is besides: `write` counts for ordinary, speculative and unsupported transactions only. */
  get kind(): TransactionKind {
    return ((this.flags >> KIND_SHIFT) & KIND_MASK) as TransactionKind;
  }

  set kind(kind: TransactionKind) {
    // What has no place among the flags must not become another kind there.
    if ((kind & KIND_MASK) !== kind) throw noKind(kind);
    this.flags = (this.flags & ~(KIND_MASK << KIND_SHIFT)) | (kind << KIND_SHIFT);
  }

  /** PCIe's AT field says Translated: the address is what a Translation Completion has given (IHI 0070 §3.9.1.3). */
  get translated(): boolean {
    return (this.flags & TRANSLATED) !== 0;
  }

  set translated(is: boolean) {
    this.flags = is ? this.flags | TRANSLATED : this.flags & ~TRANSLATED;
  }

  /** Outcome.forward: the physical address, below 2^52. */
  get physical(): number {
    return this.physicalHi * 0x1_0000_0000 + (this.physicalLo >>> 0);
  }

  set physical(address: number) {
    this.physicalLo = address | 0;
    this.physicalHi = Math.floor(address / 0x1_0000_0000);
  }

  get via(): Via {
    return WAYS[(this.answer >> WAY_SHIFT) & 7]!;
  }

  set via(via: Via) {
    this.answer = (this.answer & ~(7 << WAY_SHIFT)) | (WAYS.indexOf(via) << WAY_SHIFT);
  }

  /** Event number recorded or that would have been recorded (0: none), see spec/events.ts. */
  get event(): number {
    return this.answer >> EVENT_SHIFT;
  }

  set event(event: number) {
    this.answer = (this.answer & ((1 << EVENT_SHIFT) - 1)) | (event << EVENT_SHIFT);
  }

  /** True if the event was written to the queue. */
  get recorded(): boolean {
    return (this.answer & RECORDED) !== 0;
  }

  set recorded(is: boolean) {
    this.answer = is ? this.answer | RECORDED : this.answer & ~RECORDED;
  }

  /** Output memory attributes: MAIR-format byte and shareability (0 NSH, 2 OSH, 3 ISH). */
  get attributes(): number {
    return this.answer & 0xff;
  }

  get shareability(): number {
    return (this.answer >> SHAREABILITY_SHIFT) & 3;
  }

  /** Output INST and PRIV (§13.1.2). */
  get outputInstruction(): boolean {
    const { answer } = this;
    const flags = answer >> FLAGS_SHIFT;
    return (answer & FIXED) === 0 && (flags & WRITE) === 0 && overridden((answer >> INST_CFG_SHIFT) & 3, (flags & INSTRUCTION) !== 0);
  }

  get outputPrivileged(): boolean {
    const { answer } = this;
    return (answer & FIXED) !== 0 || overridden((answer >> PRIV_CFG_SHIFT) & 3, ((answer >> FLAGS_SHIFT) & PRIVILEGED) !== 0);
  }

  /** Outcome.forward: `kind`, or what the SMMU has turned it into. */
  get outputKind(): TransactionKind {
    return this.kind === TransactionKind.ordinary ? TransactionKind.ordinary : this.leaving;
  }

  /** Sets the input address from a number below 2^53; of a negative one, the address that wraps around to it. */
  setAddress(address: number): void {
    this.addressHi = Math.floor(address / 0x1_0000_0000) >>> 0;
    this.addressLo = address >>> 0;
  }
}

/**
 * A transaction that the SMMU holds without an answer (IHI 0070 §3.12.2). It has the inputs of the transaction that stalled,
 * which its client may use anew at once.
 */
export class StalledTransaction extends Transaction {
  /** STAG of its event record; -1 while there is none: then the SMMU tries it again by itself when a record could be written. */
  stag = -1;
  /**
   * Called once, when software or SMMUEN has ended the stall, with the answer that the client was waiting for (never `stalled`)
   * and the outputs in `tx`: after a retry those of a new translation. It is called from within what ended the stall: a command,
   * a write of a register. Set it right after `translate` has returned `stalled`; the call may come with any later step.
   */
  onEnd: ((outcome: Outcome, tx: Transaction) => void) | null = null;
}

/** There is no such kind. */
export function noKind(kind: number): HostMisuseError {
  return new HostMisuseError("TRANSACTION_KIND", `a transaction of kind ${kind}: see TransactionKind`);
}

/** PRIVCFG or INSTCFG: 2 and 3 say what a transaction is, the others leave it as it comes. */
export function overridden(code: number, incoming: boolean): boolean {
  return code < 2 ? incoming : code === 3;
}
