// SPDX-License-Identifier: MIT
/** One translation, step by step. */
import type { StaleUse } from "../../hw/index.ts";
import type { Decoded } from "../decode/decoded.ts";
import type { Finding } from "../replay/report.ts";
import type { TranslationAnswer } from "../replay/recording.ts";

/** A step: something was decided, or a structure was fetched and said something. */
export interface ExplainStep {
  /** "STE", "stage 1, level 2", … */
  readonly title: string;
  /** Where the rule is: a section of IHI 0070, or of DDI 0487 where it says so. */
  readonly section: string;
  /** Physical address of the structure that was fetched. */
  readonly address: string | undefined;
  /** What the structure says; undefined for steps without one, and if memory answered with an abort. */
  readonly decoded: Decoded | undefined;
  /** Names of the fields that mattered. */
  readonly fields: readonly string[];
  /** The rule and what came of it. */
  readonly says: readonly string[];
}

/** How a translation ended. */
export interface ExplainResult {
  readonly outcome: "forward" | "abort" | "RAZ/WI" | "stalled";
  /** Hexadecimal, if forwarded. */
  readonly physical: string | undefined;
  readonly via: string;
  /** Memory type and shareability, if forwarded. */
  readonly attributes: string | undefined;
  /** Name of the event that was due. */
  readonly event: string | undefined;
  /** The record, if one was made. */
  readonly record: Decoded | undefined;
  /** The reason in one sentence. */
  readonly says: string;
  readonly section: string;
}

/** One way through: with caches, or from memory alone. */
export interface Walkthrough {
  readonly steps: readonly ExplainStep[];
  readonly result: ExplainResult;
  /** What was not fetched because a cache had it. */
  readonly cached: readonly string[];
}

export interface Explanation {
  /** Where the translation was taken from: a recording's record, or a state that a run saved. */
  readonly subject: { readonly record: number; readonly scenario: string } | { readonly state: string; readonly moment: string };
  readonly request: {
    readonly streamId: string;
    readonly substreamId: string | undefined;
    readonly address: string;
    /** "read", "write", "instruction read", with "privileged" before it where it is. */
    readonly access: string;
    /** What the recording changed in memory for this request alone. */
    readonly injected: string;
  };
  /** Registers that mattered, by name, with what they say. */
  readonly registers: readonly { readonly name: string; readonly value: string; readonly says: string }[];
  readonly withCaches: Walkthrough;
  /** From memory alone; undefined if nothing had come from a cache. */
  readonly fromMemory: Walkthrough | undefined;
  /** True if the caches and memory say different things. */
  readonly differs: boolean;
  readonly stale: readonly StaleUse[];
  /** What the recorded SMMU answered, and what the recorder's own model says the architecture wants; undefined for a state. */
  readonly recorded: { readonly answer: TranslationAnswer; readonly architecture: TranslationAnswer | undefined } | undefined;
  /** Where the model and the recording do not say the same. */
  readonly differences: readonly Finding[];
}
