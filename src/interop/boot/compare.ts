// SPDX-License-Identifier: MIT
/** Two boots side by side: lines that only one of them has, and whether each of them stands in the table of differences. */
import { type BootDifference, type BootFacts, bootDifferences } from "./differences.ts";

/** Lines, in order, that the other side does not have in this place. */
export interface LineDifference {
  readonly recorded: readonly string[];
  readonly ours: readonly string[];
}

export interface BootComparison {
  /** Lines that no row of the table explains. */
  readonly unlisted: LineDifference;
  /** Rows that should have occurred in this boot and did not. */
  readonly absent: readonly string[];
  /** Rows that occurred. */
  readonly listed: readonly string[];
}

/** Lengths of the longest common subsequences of all tails. */
function tails(a: readonly string[], b: readonly string[]): Uint16Array {
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const at = i * width + j;
      lengths[at] = a[i] === b[j] ? lengths[at + width + 1]! + 1 : Math.max(lengths[at + width]!, lengths[at + 1]!);
    }
  }
  return lengths;
}

/** What is left of both sides beside their longest common subsequence. */
export function differentLines(recorded: readonly string[], ours: readonly string[]): LineDifference {
  const lengths = tails(recorded, ours);
  const width = ours.length + 1;
  const only: { recorded: string[]; ours: string[] } = { recorded: [], ours: [] };
  let [i, j] = [0, 0];
  while (i < recorded.length || j < ours.length) {
    if (i < recorded.length && j < ours.length && recorded[i] === ours[j]) {
      i++;
      j++;
    } else if (j === ours.length || (i < recorded.length && lengths[(i + 1) * width + j]! >= lengths[i * width + j + 1]!)) {
      only.recorded.push(recorded[i++]!);
    } else {
      only.ours.push(ours[j++]!);
    }
  }
  return only;
}

/** Takes the lines that the patterns describe, each once. @returns null if one is missing */
function without(lines: readonly string[], patterns: readonly RegExp[]): string[] | null {
  const left = [...lines];
  for (const pattern of patterns) {
    const index = left.findIndex((line) => pattern.test(line));
    if (index < 0) return null;
    left.splice(index, 1);
  }
  return left;
}

function explain(left: LineDifference, { recorded, ours }: BootDifference): LineDifference | null {
  const theirs = without(left.recorded, recorded);
  const mine = without(left.ours, ours);
  return theirs === null || mine === null ? null : { recorded: theirs, ours: mine };
}

/** Holds what differs against the rows that should occur in such a boot. */
export function compareBoots(recorded: readonly string[], ours: readonly string[], facts: BootFacts): BootComparison {
  let unlisted = differentLines(recorded, ours);
  const absent: string[] = [];
  const listed: string[] = [];
  for (const row of bootDifferences) {
    if (!row.when(facts)) continue;
    const left = explain(unlisted, row);
    (left === null ? absent : listed).push(row.name);
    unlisted = left ?? unlisted;
  }
  return { unlisted, absent, listed };
}
