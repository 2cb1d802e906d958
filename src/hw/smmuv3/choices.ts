// SPDX-License-Identifier: MIT
/** Where the architecture leaves a choice: what this model does, and why. */

/** One CONSTRAINED UNPREDICTABLE or IMPLEMENTATION DEFINED behaviour. */
export interface Choice {
  /** Short and stable, for references from tests and documentation. */
  readonly id: string;
  /** Where IHI 0070 leaves it open. */
  readonly section: string;
  /** What the architecture allows. */
  readonly options: string;
  /** What the model does. */
  readonly ours: string;
  readonly why: string;
}

export const translationChoices: readonly Choice[] = [];
