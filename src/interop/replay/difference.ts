// SPDX-License-Identifier: MIT
/** Where the model and a recording do not say the same, and the three verdicts on it. */
import type { SmmuConfig } from "../../hw/index.ts";
import type { ReadDescriptor, Supposition } from "./probe.ts";
import type { TraceRecord, TranslationAnswer } from "./recording.ts";

/** An event that a request asked for, and what became of it: "ok", "evtq-full", "evtq-off", or "none" if it was kept back. */
export interface DueEvent {
  readonly event: number;
  readonly sid: number;
  readonly fate: string;
}

export type StateRegister = "CMDQ_CONS" | "EVENTQ_PROD" | "GERROR" | "CR0ACK";

export type Difference =
  | { readonly what: "read"; readonly offset: number; readonly ours: string; readonly theirs: string }
  | { readonly what: "state"; readonly register: StateRegister; readonly ours: number; readonly theirs: number }
  /** Commands with the errors among them. */
  | { readonly what: "commands"; readonly ours: readonly string[]; readonly theirs: readonly string[] }
  /** One of the two may have recorded nothing. */
  | { readonly what: "event"; readonly ours: Uint32Array | undefined; readonly theirs: Uint32Array | undefined }
  /** Where an event record was written. */
  | { readonly what: "event-address"; readonly ours: number; readonly theirs: number }
  | { readonly what: "event-due"; readonly ours: DueEvent | undefined; readonly theirs: DueEvent | undefined }
  | { readonly what: "interrupts"; readonly ours: readonly string[]; readonly theirs: readonly string[] }
  | { readonly what: "translation"; readonly ours: TranslationAnswer; readonly theirs: TranslationAnswer }
  /** The same, from memory alone. */
  | { readonly what: "uncached"; readonly ours: TranslationAnswer; readonly theirs: TranslationAnswer };

/** What a deviation may look at beside the difference itself. */
export interface DifferenceContext {
  readonly record: TraceRecord;
  /** Version of the recorded QEMU: 7.2 or 10. */
  readonly qemu: number;
  /** The configuration behind the recorded ID registers. */
  readonly config: SmmuConfig;
  /** IDR0 to IDR5 as the recording gives them at reset; undefined: not known. */
  readonly idr: readonly number[] | undefined;
  /** Our answer, where the record is a request. */
  readonly answer: TranslationAnswer | undefined;
  /** True if the event queue held a record before the operation. */
  readonly eventPending: boolean;
  /** True if the event queue was full before the operation. */
  readonly eventqFull: boolean;
  /** False for an address that an access may reach without anybody seeing it. */
  visible(physical: string): boolean;
  /** What our answer to this request would be, from memory alone, if something were otherwise. */
  suppose(supposed: Supposition): TranslationAnswer;
  /** The stage-1 descriptor at which our walk of this request ends. */
  lastDescriptor(supposed?: Supposition): ReadDescriptor | undefined;
}

/** One way in which the recorded implementation departs from the architecture, and exactly when. */
export interface Deviation {
  readonly id: string;
  readonly section: string;
  readonly title: string;
  /** A narrow test: true only for differences of this very kind. */
  applies(difference: Difference, context: DifferenceContext): boolean;
}

/** True if two answers are the same. */
export function sameAnswer(a: TranslationAnswer, b: TranslationAnswer): boolean {
  return a.status === b.status && a.physical === b.physical && a.event === b.event && a.mask === b.mask && a.perm === b.perm;
}
