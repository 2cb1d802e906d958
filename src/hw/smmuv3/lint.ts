// SPDX-License-Identifier: MIT
/** The voice that names software's mistakes which the architecture does not fault. The mistakes stand in lint-rules.ts. */
import type { TraceSink } from "../../sim/index.ts";
import { lintRules, type LintRule } from "./lint-rules.ts";
import type { SmmuEvents } from "./ports.ts";

/**
 * @param detail built only if somebody listens
 * @param section where a register has a section of its own; default: the rule's
 */
export type Lint = (rule: LintRule, detail: () => string, section?: string) => void;

const sections: ReadonlyMap<LintRule, string> = new Map(lintRules.map(({ id, section }) => [id, section]));

export function lintTo(trace: TraceSink<SmmuEvents>): Lint {
  return (rule, detail, section = sections.get(rule)!) => {
    if (trace.wants("smmu.lint")) trace.emit("smmu.lint", { rule, detail: detail(), section });
  };
}
