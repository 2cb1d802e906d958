// SPDX-License-Identifier: MIT
/** Cuts a stream of text into lines. */

export class LineSplitter {
  readonly #line: (line: string) => void;
  #parts: string[] = [];

  /** @param line called for each complete line, without its end */
  constructor(line: (line: string) => void) {
    this.#line = line;
  }

  /** Takes the next piece of the stream, wherever it was cut. */
  push(text: string): void {
    let from = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
      this.#parts.push(text.slice(from, end));
      const line = this.#parts.join("");
      this.#parts = [];
      from = end + 1;
      this.#line(line.endsWith("\r") ? line.slice(0, -1) : line);
    }
    if (from < text.length) this.#parts.push(text.slice(from));
  }
}
