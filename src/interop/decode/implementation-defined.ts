// SPDX-License-Identifier: MIT
/** Where structures leave room for implementations (IHI 0070 §5.2, §5.4): not reserved, and 0 for who does not know them (§3.1). */
import type { TableField } from "./decoded.ts";

const MEANING = "IMPLEMENTATION DEFINED; software that does not know the implementation writes 0 (IHI 0070 §3.1)";
const row = (hi: number, lo: number): TableField => ({ name: "IMPDEF", hi, lo, meaning: MEANING });

const ROWS: Readonly<Record<string, readonly TableField[]>> = {
  STE: [row(127, 116), row(159, 144), row(271, 256)],
  CD: [row(351, 320)],
};

/** Such fields of a structure, by its name. */
export function implementationDefined(structure: string): readonly TableField[] {
  return ROWS[structure] ?? [];
}

/** Numbers of events that implementations may give a meaning of their own (IHI 0070 §7.3.21). */
export function isImplementationDefinedEvent(number: number): boolean {
  return number >= 0xe0 && number <= 0xef;
}
