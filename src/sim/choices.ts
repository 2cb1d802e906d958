// SPDX-License-Identifier: MIT
/** The recorded decisions of a run, as a short string that a person can paste: `q1:` and base-36 numbers, runs folded. */

const MAGIC = "q1:";

/** Writes decisions as text: `q1:` then comma-separated base-36 numbers; `v*n` stands for `n` times `v`. */
export function encodeChoices(decisions: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < decisions.length;) {
    let end = i + 1;
    while (end < decisions.length && decisions[end] === decisions[i]) end++;
    const value = decisions[i]!.toString(36);
    parts.push(end - i === 1 ? value : `${value}*${(end - i).toString(36)}`);
    i = end;
  }
  return MAGIC + parts.join(",");
}

/** Reads what {@link encodeChoices} wrote. @throws SyntaxError naming the part that is not understood */
export function decodeChoices(text: string): number[] {
  if (!text.startsWith(MAGIC)) throw new SyntaxError(`a recording of choices starts with "${MAGIC}"`);
  const decisions: number[] = [];
  if (text.length === MAGIC.length) return decisions;
  for (const part of text.slice(MAGIC.length).split(",")) {
    const match = /^([0-9a-z]{1,10})(?:\*([0-9a-z]{1,5}))?$/.exec(part);
    if (!match) throw new SyntaxError(`"${part}" is not a decision`);
    const value = Number.parseInt(match[1]!, 36);
    const count = match[2] === undefined ? 1 : Number.parseInt(match[2], 36);
    for (let i = 0; i < count; i++) decisions.push(value);
  }
  return decisions;
}
