// SPDX-License-Identifier: MIT
/** The shape of the tables of Linux's messages. */
import { isAtLeast } from "./history.ts";
import type { Boot, CauseFound, MessageFound } from "./types.ts";

/** Named groups of a message's pattern. */
export type Groups = Readonly<Record<string, string>>;

/** One message of the driver. */
export interface MessageRow {
  readonly id: string;
  readonly pattern: RegExp;
  readonly severity: "error" | "warning" | "info";
  readonly title: string | ((groups: Groups, found: MessageFound) => string);
  /** Linux function that prints it. */
  readonly from: string | ((groups: Groups, found: MessageFound) => string);
  /** The line names the client, not the SMMU. */
  readonly ofClient?: boolean;
  /** The line names neither in front: the driver core prints it. */
  readonly ofNobody?: boolean;
  /** What happened, in sentences. */
  story(groups: Groups, found: MessageFound): readonly string[];
  /** Likely causes, the likeliest first. */
  causes?(groups: Groups, found: MessageFound): readonly CauseFound[];
  readonly next?: readonly string[] | ((groups: Groups, found: MessageFound) => readonly string[]);
}

/** One likely cause. */
export const cause = (id: string, text: string, reference: string): CauseFound => ({ id, text, reference });

/** How long the driver polls a register or waits for a free slot (ARM_SMMU_POLL_TIMEOUT_US); a CMD_SYNC always has had 1 s. */
export function pollLimit(boot: Boot): string {
  const long = isAtLeast(boot, 5, 4);
  return long === undefined ? "1 s (100 us before v5.4)" : long ? "1 s" : "100 us";
}
