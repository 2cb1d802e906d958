// SPDX-License-Identifier: MIT
/** Where the model and a recording do not say the same, and the three verdicts on it. */
import type { TraceRecord, TranslationAnswer } from "./recording.ts";

export type Difference =
  | { readonly what: "read"; readonly offset: number; readonly ours: string; readonly theirs: string }
  | {
      readonly what: "state";
      readonly register: "CMDQ_CONS" | "EVENTQ_PROD" | "GERROR" | "CR0ACK";
      readonly ours: number;
      readonly theirs: number;
    }
  | { readonly what: "commands"; readonly ours: readonly string[]; readonly theirs: readonly string[] }
  /** One of the two may have recorded nothing. */
  | { readonly what: "event"; readonly ours: Uint32Array | undefined; readonly theirs: Uint32Array | undefined }
  | { readonly what: "interrupts"; readonly ours: readonly string[]; readonly theirs: readonly string[] }
  | { readonly what: "translation"; readonly ours: TranslationAnswer; readonly theirs: TranslationAnswer };

/** What a deviation may look at beside the difference itself. */
export interface DifferenceContext {
  readonly record: TraceRecord;
  /** Version of the recorded QEMU: 7.2 or 10. */
  readonly qemu: number;
  /** Our answer, where the record is a request. */
  readonly answer: TranslationAnswer | undefined;
  /** Output address size of the recorded part, bits. */
  readonly oas: number;
  /** True if the event queue held a record before the operation. */
  readonly eventPending: boolean;
  /** True if the event queue was full before the operation. */
  readonly eventqFull: boolean;
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
  return a.status === b.status && a.physical === b.physical && a.event === b.event;
}
