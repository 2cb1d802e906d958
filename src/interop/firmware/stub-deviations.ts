// SPDX-License-Identifier: MIT
/**
 * Where the stub that the firmware drivers talked to is plainly not an SMMU: each entry with its section and a condition that
 * is as narrow as the deviation itself. A difference that fits no entry is ours.
 */
import type { Deviation, Difference } from "../replay/difference.ts";

const GERROR = 0x60;
const CMDQ_CONS = 0x9c;
const CMDQ_ERR = 1n;

/** What a deviation may look at beside the difference itself. */
export interface StubContext {
  /** A command error was active when the access came, or came of it. */
  readonly commandError: boolean;
  /** CMDQ_PROD and CMDQ_CONS were inconsistent when the access came, or became so. */
  readonly inconsistent: boolean;
}

export interface StubDeviation extends Pick<Deviation, "id" | "section" | "title"> {
  applies(difference: Difference, context: StubContext): boolean;
}

/** The stub consumed commands and said so, where an SMMU consumes none. */
function consumesMore(d: Difference): boolean {
  if (d.what === "commands") return d.ours.length < d.theirs.length && d.ours.every((command, index) => command === d.theirs[index]);
  return d.what === "read" && d.offset === CMDQ_CONS;
}

export const stubDeviations: readonly StubDeviation[] = [
  {
    id: "stub-executes-anything",
    section: "7.1",
    title: "the stub consumes illegal commands and goes on; an SMMU stops with CERROR_ILL, and CMDQ_CONS.ERR and GERROR say so",
    applies: (d, { commandError }) =>
      commandError && (consumesMore(d) || (d.what === "read" && d.offset === GERROR && (BigInt(d.ours) ^ BigInt(d.theirs)) === CMDQ_ERR)),
  },
  {
    id: "stub-ignores-wrap",
    section: "3.5.1",
    title: "the stub consumes by index alone; with inconsistent wrap flags the model's queue is idle, as the architecture allows",
    applies: (d, { inconsistent, commandError }) => inconsistent && !commandError && consumesMore(d),
  },
];
