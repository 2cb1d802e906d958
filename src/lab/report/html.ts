// SPDX-License-Identifier: MIT
/** Small tools for writing HTML: escaping, virtual times, counts. */

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Makes text safe in element content and in quoted attributes. */
export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

/** Virtual nanoseconds as milliseconds with three decimals and a sign, relative to `origin`. */
export function milliseconds(time: number, origin: number): string {
  const ms = (time - origin) / 1e6;
  return `${ms < 0 ? "\u2212" : "+"}${Math.abs(ms).toFixed(3)} ms`;
}

/** A count with its noun: `1 access`, `12 accesses`. */
export function plural(count: number, one: string, many: string): string {
  return `${group(count)} ${count === 1 ? one : many}`;
}

/** Digits in groups of three. */
export function group(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}
