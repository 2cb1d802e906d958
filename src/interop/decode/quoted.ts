// SPDX-License-Identifier: MIT
/** Somebody's text in a message: short, and without anything that a terminal would obey. */

const LONGEST = 40;

/** Control characters as `\\x1b`. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (letter) => `\\x${letter.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** In quotation marks, cut where it is long. */
export function quoted(text: string): string {
  const cut = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  return `"${printable(cut)}"`;
}
