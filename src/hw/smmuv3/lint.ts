// SPDX-License-Identifier: MIT
/** The voice that names software's mistakes which the architecture does not fault. */
import type { TraceSink } from "../../sim/index.ts";
import type { SmmuEvents } from "./ports.ts";

/** @param detail built only if somebody listens */
export type Lint = (rule: LintRule, detail: () => string, section: string) => void;

/** What the register side notices. */
export type LintRule =
  | "illegal-access"
  | "write-read-only"
  | "write-undefined"
  | "reserved-bits"
  | "guarded-write"
  | "field-in-transition"
  | "gbpa-without-update"
  | "gerrorn-inactive"
  | "queue-base-alignment"
  | "strtab-base-alignment"
  | "queue-too-large"
  | "prod-inconsistent"
  | "cons-inconsistent"
  | "prod-backwards"
  | "cmdqen-cleared-with-work"
  | "operand-out-of-range";

export function lintTo(trace: TraceSink<SmmuEvents>): Lint {
  return (rule, detail, section) => {
    if (trace.wants("smmu.lint")) trace.emit("smmu.lint", { rule, detail: detail(), section });
  };
}
