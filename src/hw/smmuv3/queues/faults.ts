// SPDX-License-Identifier: MIT
/**
 * Faults: what is known about one while it travels up, its event record, and how the transaction ends (IHI 0070 §3.12, §7.3).
 */
import type { TraceSink } from "../../../sim/index.ts";
import { fieldNamed, setField } from "../../bits/fields.ts";
import { high32, low32 } from "../../bits/hex.ts";
import { type EventField, EventNumber, EVENTS, type EventSpec, eventsMergedWithoutSte, FaultClass } from "../spec/events.ts";
import type { EventSink, SmmuEvents } from "../ports.ts";
import { Outcome, type Transaction } from "../transaction.ts";
import type { Stalls } from "./stall.ts";
import { describeEvent } from "../tables/events.ts";

/** The fault that a step of the translation ran into. One object serves all transactions: the step fills it and says so. */
export class Fault {
  /** 0: no event. */
  event: EventNumber | 0 = 0;
  stage2 = false;
  class: FaultClass = FaultClass.in;
  /** Stage-2 faults: the intermediate address. */
  ipa = 0;
  /** F_*_FETCH and F_WALK_EABT: physical address of the structure. */
  fetch = 0;
  /** C_BAD_SUBSTREAMID: index that was used. */
  substreamId = 0;
  /** Ends with an abort and is recorded whatever CD.A, CD.R and STE.S2R say. */
  forced = false;
  /** F_PERMISSION of an atomic that may write but not read. */
  readRefused = false;
  /** STE.MEV, once the STE is known. */
  mayMerge = false;
  /** The walk's own write of a descriptor was refused, not a read. */
  walkWrite = false;
  /** F_PERMISSION for nothing but dirty state that software keeps; because of the stage-2 overlay; of the AssuredOnly check. */
  dirtyBit = false;
  overlay = false;
  assuredOnly = false;

  /** It is one of the four that CD.A, CD.R and STE.S2R govern, and that mean "no access" to a Translation Request. */
  get translationRelated(): boolean {
    return specOf(this.event).translationRelated;
  }

  /** A fault without further data. @returns true, so that a step can report and leave in one statement */
  raise(event: EventNumber): true {
    this.event = event;
    this.stage2 = false;
    this.class = FaultClass.in;
    this.ipa = 0;
    this.fetch = 0;
    this.substreamId = 0;
    this.forced = false;
    this.walkWrite = false;
    this.dirtyBit = false;
    this.overlay = false;
    this.assuredOnly = false;
    this.readRefused = false;
    return true;
  }

  /** An external abort on a structure. */
  raiseFetch(event: EventNumber, address: number): true {
    this.raise(event);
    this.fetch = address;
    return true;
  }

  /** An external abort on a translation descriptor of either stage. */
  raiseWalkAbort(stage2: boolean, purpose: FaultClass, address: number): true {
    this.raiseFetch(EventNumber.F_WALK_EABT, address);
    this.stage2 = stage2;
    this.class = purpose;
    return true;
  }

  /** A stage-2 fault on an intermediate address. */
  raiseStage2(event: EventNumber, purpose: FaultClass, ipa: number): true {
    this.raise(event);
    this.stage2 = true;
    this.class = purpose;
    this.ipa = ipa;
    return true;
  }
}

/** How the transaction is seen after STE overrides; part of most records. */
export interface Access {
  /** It is a write, or an atomic: events have RnW 0. */
  readonly write: boolean;
  readonly privileged: boolean;
  readonly instruction: boolean;
}

/** What a stage is configured to do with its faults: CD.A, CD.R and CD.S, or 1, STE.S2R and STE.S2S. */
export interface FaultModel {
  readonly abort: boolean;
  readonly record: boolean;
  /** The transaction waits, and is recorded whatever `record` says. */
  readonly stall: boolean;
}

/** Ends faulting transactions: builds the record, hands it to the queue, decides between abort, RAZ/WI and stall. */
export class FaultReporter {
  readonly #events: EventSink;
  readonly #trace: TraceSink<SmmuEvents>;
  readonly #oasBits: number;
  readonly #stalls: Stalls;
  readonly #words = new Uint32Array(8);

  /** @param oasBits output address size: bits from there up are zero in IPA and FetchAddr */
  constructor(events: EventSink, trace: TraceSink<SmmuEvents>, oasBits: number, stalls: Stalls) {
    this.#events = events;
    this.#stalls = stalls;
    this.#trace = trace;
    this.#oasBits = oasBits;
  }

  /**
   * @param model of the stage that faulted; only the four translation-related events that are not forced obey it
   * @param recordable false: a C_BAD_STREAMID with CR2.RECINVSID 0
   */
  end(tx: Transaction, fault: Fault, access: Access, model: FaultModel, recordable: boolean = true): Outcome {
    tx.event = fault.event;
    const spec = specOf(fault.event);
    const governed = spec.translationRelated && !fault.forced;
    if (governed && model.stall) {
      const stag = this.#stalls.takeTag();
      encodeFault(this.#words, spec, tx, fault, access, this.#oasBits);
      put(this.#words, spec.fields, "Stall", 1);
      put(this.#words, spec.fields, "STAG", Math.max(0, stag));
      if (stag >= 0) this.#record(tx, false, true);
      else this.#told(this.#words, false);
      return this.#stalls.hold(tx, tx.recorded ? stag : -1);
    }
    if (recordable && (!governed || model.record)) {
      encodeFault(this.#words, spec, tx, fault, access, this.#oasBits);
      this.#record(tx, fault.mayMerge || eventsMergedWithoutSte.has(spec.number));
    }
    return governed && !model.abort ? Outcome.razWi : Outcome.abort;
  }

  #record(tx: Transaction, mayMerge: boolean, stall: boolean = false): void {
    // Recording may raise an interrupt whose message leads to another transaction: the words are not ours after it.
    const words = this.#trace.wants("smmu.event") ? this.#words.slice() : undefined;
    tx.recorded = this.#events.record(this.#words, mayMerge, stall);
    if (words !== undefined) this.#told(words, tx.recorded);
  }

  #told(words: Uint32Array, recorded: boolean): void {
    if (!this.#trace.wants("smmu.event")) return;
    this.#trace.emit("smmu.event", { words: [...words], recorded, text: describeEvent(words) });
  }
}

const SPECS: readonly (EventSpec | undefined)[] = Array.from({ length: 0x26 }, (_, number) =>
  EVENTS.find((event) => event.number === number),
);

function specOf(event: number): EventSpec {
  const spec = SPECS[event];
  if (spec === undefined) throw new RangeError(`no event has number ${event}`);
  return spec;
}

function put(words: Uint32Array, fields: readonly EventField[], name: string, value: number): void {
  if (fields.some((field) => field.name === name)) setField(words, fieldNamed(fields, name), value);
}

/** Writes the record of a fault into 8 words. Fields that the event has not got are skipped. */
function encodeFault(words: Uint32Array, spec: EventSpec, tx: Transaction, fault: Fault, access: Access, oasBits: number): void {
  const { fields } = spec;
  words.fill(0);
  put(words, fields, "EventType", spec.number);
  put(words, fields, "StreamID", tx.streamId);
  if (spec.number === EventNumber.C_BAD_SUBSTREAMID) {
    put(words, fields, "SubstreamID", fault.substreamId);
  } else if (tx.substreamId >= 0) {
    put(words, fields, "SSV", 1);
    put(words, fields, "SubstreamID", tx.substreamId);
  }
  put(words, fields, "PnU", access.privileged ? 1 : 0);
  put(words, fields, "InD", access.instruction ? 1 : 0);
  put(words, fields, "RnW", access.write && !fault.readRefused ? 0 : 1);
  if (spec.number === EventNumber.F_BAD_ATS_TREQ) putRequest(words, fields, tx);
  put(words, fields, "S2", fault.stage2 ? 1 : 0);
  put(words, fields, "CLASS", fault.class);
  put(words, fields, "TTRnW", fault.stage2 && fault.class === FaultClass.tt && !fault.walkWrite ? 1 : 0);
  put(words, fields, "DirtyBit", fault.dirtyBit ? 1 : 0);
  put(words, fields, "AssuredOnly", fault.assuredOnly ? 1 : 0);
  put(words, fields, "Overlay", fault.overlay ? 1 : 0);
  put(words, fields, "InputAddr[31:0]", tx.addressLo);
  put(words, fields, "InputAddr[63:32]", tx.addressHi);
  put(words, fields, "IPA", Math.floor(below(fault.ipa, oasBits) / 4096));
  put(words, fields, "FetchAddr", Math.floor(below(fault.fetch, oasBits) / 8));
}

/** A Translation Request for one unit, before overrides: `tx` has W, X and P as its flags, and every request asks to read. */
function putRequest(words: Uint32Array, fields: readonly EventField[], tx: Transaction): void {
  put(words, fields, "Span", 1);
  put(words, fields, "P", tx.privileged ? 1 : 0);
  put(words, fields, "X", tx.instruction ? 1 : 0);
  put(words, fields, "W", tx.write ? 1 : 0);
  put(words, fields, "R", 1);
  put(words, fields, "InputAddr[63:12]", tx.addressHi * 2 ** 20 + (tx.addressLo >>> 12));
}

function below(address: number, bits: number): number {
  return high32(address) === 0 ? address : (high32(address) % 2 ** (bits - 32)) * 2 ** 32 + low32(address);
}
