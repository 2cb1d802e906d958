// SPDX-License-Identifier: MIT
/** What a lint's rule means, of all three tables that have such rules. */
import { CD_RULES } from "./config/cd-rules.ts";
import { STE_RULES } from "./config/ste-rules.ts";
import { lintRules } from "./lint-rules.ts";

/** @returns a clause without a full stop; undefined for what is no rule */
export function lintText(rule: string): string | undefined {
  const own = lintRules.find(({ id }) => id === rule);
  if (own) return own.text;
  const [, kind, id] = /^(ste|cd)-(.+)$/.exec(rule) ?? [];
  const broken = (kind === "ste" ? STE_RULES : kind === "cd" ? CD_RULES : []).find((row) => row.id === id);
  if (kind === undefined || broken === undefined) return undefined;
  const nobody = rule === "ste-V" ? ": nobody has configured this stream, or somebody took its configuration away" : "";
  return `a${kind === "ste" ? "n STE" : " CD"} is used that is ILLEGAL, ${broken.text}${nobody}`;
}
