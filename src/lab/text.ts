// SPDX-License-Identifier: MIT
/** Text for terminals: styles by name, lines broken at a width. Colour is the caller's business. */
import type { Verdict } from "./run/types.ts";

export type TextStyle = "bold" | "dim" | Verdict;
/** Paints text in a style, or returns it as it is. */
export type Paint = (style: TextStyle, text: string) => string;

/** Breaks text into lines of at most `width` columns, at spaces; a longer word stands alone. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
