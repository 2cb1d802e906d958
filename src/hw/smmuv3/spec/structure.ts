// SPDX-License-Identifier: MIT
/** The shape of the tables that describe structures in memory. */
import type { Field } from "../../bits/fields.ts";

/**
 * When a field has a meaning: `always` (also in an invalid structure), `any` (in every valid one), `translated` (STE: some
 * stage is on), `s1`/`s2`/`s1s2`/`s1only` (STE: by the stages that are on), `s1off` (STE: some transactions pass without
 * stage 1), `ats` (STE: some stage is on, and the SMMU has ATS), `ignored` (RES0, software's own, or a feature that this model has not got).
 */
export type Applies = "always" | "any" | "translated" | "s1" | "s2" | "s1s2" | "s1only" | "s1off" | "ats" | "ignored";

/** A field of a structure in memory; `hi` and `lo` count from bit 0 of the structure. */
export interface StructureField extends Field {
  readonly applies: Applies;
  readonly meaning: string;
  /** The feature that this field asks for and this model has not got: a value other than 0 is reported as not modelled. */
  readonly absent?: string;
  /** Descriptors: the field is there only with LPA2 (true) or only without (false): 4 and 16 KiB granules, CD.DS or STE.S2DS 1. */
  readonly lpa2?: boolean;
  /** STE, CD: the field has a meaning only with VMSAv9-128 tables (true) or only with others (false). */
  readonly d128?: boolean;
}

/** A structure in memory: little-endian 32-bit words, lowest first. */
export interface Structure {
  readonly name: string;
  /** Section of IHI 0070. */
  readonly section: string;
  readonly words: number;
  readonly fields: readonly StructureField[];
}
