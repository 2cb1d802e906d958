// SPDX-License-Identifier: MIT
/** What a replay tells: its report at the end, and everything as it happens to those who watch. */
import type { BusStatus, SmmuAccessKind, StaleUse } from "../../hw/index.ts";
import type { Deviation, Difference } from "./difference.ts";

/** One difference with where it stood. */
export interface Finding {
  readonly record: number;
  readonly difference: Difference;
  readonly deviation: Deviation | undefined;
}

export interface ReplayReport {
  readonly scenario: string;
  readonly records: number;
  /** Comparisons that came out equal. */
  readonly equal: number;
  /** Differences explained by a deviation, by its id. */
  readonly deviations: Readonly<Record<string, number>>;
  /** Differences that nothing explains. */
  readonly wrong: number;
  /** The first difference of each deviation, and the first few unexplained ones. */
  readonly findings: readonly Finding[];
  readonly staleUses: number;
  /** The first few stale uses with the record at which they happened. */
  readonly stale: readonly { readonly record: number; readonly use: StaleUse }[];
  readonly lint: Readonly<Record<string, number>>;
  readonly notModelled: Readonly<Record<string, number>>;
}

/** Sees more of a replay than its report keeps. */
export interface ReplayObserver {
  /** A read of the SMMU's own with its answer. `words` is used again: copy what is kept. */
  load?(kind: SmmuAccessKind, address: number, words: Uint32Array, status: BusStatus, level: number | undefined): void;
  /** An event record, 8 words, whether or not it found room in the queue. */
  event?(words: readonly number[]): void;
  stale?(use: StaleUse): void;
  /** Every difference, not only the first of a kind. */
  finding?(finding: Finding): void;
}
