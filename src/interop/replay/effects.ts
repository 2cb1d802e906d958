// SPDX-License-Identifier: MIT
/** What an operation did, on both sides: commands, records, lists, and whether they are the same. */
import type { Effect } from "./recording.ts";

/** CMDQ_CONS.ERR. */
export const CONS_ERR = 0x7f00_0000;

/** A command that the SMMU fetched, with CMDQ_CONS before it. */
export interface Command {
  readonly cons: number;
  readonly address: number;
  readonly words: Uint32Array;
}

export function toWords(bytes: Uint8Array): Uint32Array {
  const words = new Uint32Array(bytes.length / 4);
  for (let i = 0; i < bytes.length; i++) words[i >> 2]! |= bytes[i]! << (8 * (i & 3));
  return words;
}

export function errorText(code: number): string {
  return `error ${code}`;
}

/** Words as the differential test writes them, then where they stood. */
export function commandText(words: Uint32Array, address: number, cons: number): string {
  const texts = [...words].map((word) => word.toString(16).padStart(8, "0"));
  return `${texts.join(" ")} @0x${address.toString(16)} cons 0x${(cons >>> 0).toString(16)}`;
}

/** @param ours a command, or the code of an error */
export function sameCommand(ours: Command | number, theirs: Extract<Effect, { kind: "command" | "command-error" }>): boolean {
  if (typeof ours === "number") return theirs.kind === "command-error" && theirs.code === ours;
  return (
    theirs.kind === "command" &&
    ours.address === theirs.address &&
    (ours.cons & ~CONS_ERR) === (theirs.cons & ~CONS_ERR) &&
    sameBytes(ours.words, theirs.bytes)
  );
}

export function sameBytes(words: Uint32Array, bytes: Uint8Array): boolean {
  if (bytes.length !== 4 * words.length) return false;
  for (let i = 0; i < bytes.length; i++) if (((words[i >> 2]! >>> (8 * (i & 3))) & 0xff) !== bytes[i]) return false;
  return true;
}

export function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}
