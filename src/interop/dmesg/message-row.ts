// SPDX-License-Identifier: MIT
/** The shape of the tables of Linux's messages. */
import type { CauseFound, MessageFound } from "./types.ts";

/** Named groups of a message's pattern. */
export type Groups = Readonly<Record<string, string>>;

/** One message of the driver. */
export interface MessageRow {
  readonly id: string;
  readonly pattern: RegExp;
  readonly severity: "error" | "warning" | "info";
  readonly title: string;
  /** Linux function that prints it. */
  readonly from: string;
  /** The line names the client, not the SMMU. */
  readonly ofClient?: boolean;
  /** What happened, in sentences. */
  story(groups: Groups, found: MessageFound): readonly string[];
  /** Likely causes, the likeliest first. */
  causes?(groups: Groups, found: MessageFound): readonly CauseFound[];
  readonly next?: readonly string[];
}

/** One likely cause. */
export const cause = (id: string, text: string, reference: string): CauseFound => ({ id, text, reference });
