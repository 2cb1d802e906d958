// SPDX-License-Identifier: MIT
/** Linux's messages about an SMMUv3 other than events: their form, what each means, what causes it, what to look at. */
import type { Groups, MessageRow } from "./message-row.ts";
import { QUEUE_MESSAGES } from "./messages-queues.ts";
import { SETUP_MESSAGES } from "./messages-setup.ts";

export const MESSAGES: readonly MessageRow[] = [...QUEUE_MESSAGES, ...SETUP_MESSAGES];

const OF_CLIENTS = MESSAGES.filter(({ ofClient }) => ofClient);
const OF_SMMUS = MESSAGES.filter(({ ofClient }) => !ofClient);

/**
 * The row and the groups of a message. The patterns are plain English: they count only where the line names the right device.
 * @param smmu the line names an SMMU; else it names another device
 */
export function matchMessage(message: string, smmu: boolean): { readonly row: MessageRow; readonly groups: Groups } | undefined {
  for (const row of smmu ? OF_SMMUS : OF_CLIENTS) {
    const match = row.pattern.exec(message);
    if (match) return { row, groups: { ...match.groups } };
  }
  return undefined;
}
