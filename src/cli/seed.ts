// SPDX-License-Identifier: MIT
/** Seeds as people write them. */
import { UsageError } from "./exit.ts";

/** @throws UsageError unless the text is a decimal or 0x number below 2^53 */
export function parseSeed(text: string): number {
  const value = /^(0x[0-9a-f]+|[0-9]+)$/i.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new UsageError(`seed ${text}: a seed is a decimal or 0x number below 2^53`);
  return value;
}

/** The seed of the command line, else of QUIESCE_SEED, else 1. */
export function chosenSeed(option: string | undefined): number {
  return parseSeed(option ?? process.env["QUIESCE_SEED"] ?? "1");
}
