// SPDX-License-Identifier: MIT
/** Linux's messages about an SMMUv3 other than events: their form, what each means, what causes it, what to look at. */
import type { Groups, MessageRow } from "./message-row.ts";
import { QUEUE_MESSAGES } from "./messages-queues.ts";
import { SETUP_MESSAGES } from "./messages-setup.ts";

export const MESSAGES: readonly MessageRow[] = [...QUEUE_MESSAGES, ...SETUP_MESSAGES];

/** Which device a line names in front of its message. */
export type Names = "smmu" | "client" | "none";

/**
 * The row and the groups of a message. The patterns are plain English: they count only where the line names the right device.
 * An SMMU may be called like anything, so a client's message counts for it too.
 */
export function matchMessage(message: string, names: Names): { readonly row: MessageRow; readonly groups: Groups } | undefined {
  for (const row of MESSAGES) {
    const counts = row.ofNobody === true || (names === "client" ? row.ofClient === true : names === "smmu");
    const match = counts ? row.pattern.exec(message) : null;
    if (match) return { row, groups: { ...match.groups } };
  }
  return undefined;
}
