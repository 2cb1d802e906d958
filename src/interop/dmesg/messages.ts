// SPDX-License-Identifier: MIT
/** Linux's messages about an SMMUv3 other than events: their form, what each means, what causes it, what to look at. */
import type { Groups, MessageRow } from "./message-row.ts";
import { QUEUE_MESSAGES } from "./messages-queues.ts";
import { SETUP_MESSAGES } from "./messages-setup.ts";

export const MESSAGES: readonly MessageRow[] = [...QUEUE_MESSAGES, ...SETUP_MESSAGES];

/** The row and the groups of a message. */
export function matchMessage(message: string): { readonly row: MessageRow; readonly groups: Groups } | undefined {
  for (const row of MESSAGES) {
    const match = row.pattern.exec(message);
    if (match) return { row, groups: { ...match.groups } };
  }
  return undefined;
}
