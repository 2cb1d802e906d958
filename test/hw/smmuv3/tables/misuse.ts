// SPDX-License-Identifier: MIT
/** Calls that the types forbid, made as a plain JavaScript program makes them. */
import { expect } from "vitest";
import { PhysicalMemory, TableArena } from "../../../../src/hw/index.ts";

export const BASE = 0x4000_0000;
export const SIZE = 0x100_0000;

/** Memory, and an arena in it. */
export function places(): { readonly memory: PhysicalMemory; readonly arena: TableArena } {
  return { memory: new PhysicalMemory(), arena: new TableArena(BASE, SIZE) };
}

/** What a value counts as where it must not stand: it goes in for any parameter. */
export type Untyped = never;

/** For `toThrow`: a HostMisuseError of a code whose message has all of `parts`. */
export function misuse(code: string, ...parts: readonly (string | RegExp)[]): Error {
  const sources = parts.map((part) => (typeof part === "string" ? part.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`) : part.source));
  const message = expect.stringMatching(new RegExp(`^${sources.map((source) => `(?=.*${source})`).join("")}`));
  return expect.objectContaining({ name: "HostMisuseError", code, message });
}
