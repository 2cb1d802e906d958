// SPDX-License-Identifier: MIT
/**
 * Raw words as people paste them: 64- or 32-bit words with or without 0x, bytes, dumps with an address in front and text
 * behind, lines of a kernel log, one long run of digits.
 */

/** Input that cannot be understood, with the place. Lines and columns count from 1. */
export class DecodeError extends Error {
  readonly code = "DECODE";
  readonly line: number;
  readonly column: number;

  constructor(line: number, column: number, message: string) {
    super(message);
    this.name = "DecodeError";
    this.line = line;
    this.column = column;
  }
}

interface Token {
  readonly digits: string;
  readonly line: number;
  readonly column: number;
}

/** What stands in front of the words of a line and is not one of them: a dump's address, a log line's time and device. */
const PREFIXES: readonly RegExp[] = [
  /^\s*(?:<\d+>)?\s*\[\s*\d+\.\d+\](?:\[[^\]]*\])?\s*/,
  /^\s*[\w.-]+ [\w.:-]+: (?=\s*0x)/,
  /^\s*(?:0x)?[0-9a-fA-F]{4,16}:\s+/,
  // hexdump -C and xxd without a colon: an address of eight digits, two blanks, then bytes.
  /^\s*[0-9a-fA-F]{8}\s{2,}(?=[0-9a-fA-F]{2}\s)/,
];

/** What stands behind: the characters of hexdump -C and of xxd. */
const SUFFIXES: readonly RegExp[] = [/\s*\|.*\|\s*$/, /\s{2,}\S{1,16}\s*$/];

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  text.split("\n").forEach((whole, index) => {
    let line = whole;
    let skipped = 0;
    let dump = false;
    for (const prefix of PREFIXES) {
      const match = prefix.exec(line);
      if (!match) continue;
      dump = dump || prefix.source.includes(":") || prefix.source.includes("{8}");
      skipped += match[0].length;
      line = line.slice(match[0].length);
    }
    line = line.replace(SUFFIXES[0]!, "");
    if (dump && !/^[\s0-9a-fA-Fx]*$/.test(line)) line = line.replace(SUFFIXES[1]!, "");
    for (const match of line.matchAll(/[^\s,;[\]{}()"']+/g)) {
      const column = skipped + match.index + 1;
      const digits = match[0].replace(/^0[xX]/, "").replaceAll("_", "").replace(/(?:u?ll|ul|n)$/i, "");
      if (!/^[0-9a-fA-F]+$/.test(digits)) throw new DecodeError(index + 1, column, `"${match[0]}" is not a hexadecimal number`);
      tokens.push({ digits, line: index + 1, column });
    }
  });
  return tokens;
}

function fromBytes(digits: string): Uint32Array {
  const words = new Uint32Array(digits.length / 8);
  for (let i = 0; i < digits.length / 2; i++) words[i >> 2]! |= Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16) << (8 * (i & 3));
  return words;
}

function fits(tokens: readonly Token[], digits: number): void {
  const long = tokens.find((token) => token.digits.length > digits);
  if (long) throw new DecodeError(long.line, long.column, `${long.digits} has more than ${4 * digits} bits`);
}

/**
 * Reads a structure of `size` bytes.
 * @param text words of 64 or of 32 bits, lowest first, or bytes in the order of memory
 * @param size bytes, a multiple of 8
 * @throws DecodeError
 */
export function parseWords(text: string, size: number): Uint32Array {
  const tokens = tokensOf(text);
  const first = tokens[0];
  if (!first) throw new DecodeError(1, 1, "there are no words");
  const joined = tokens.map(({ digits }) => digits).join("");
  const sameLength = tokens.every(({ digits }) => digits.length === first.digits.length);
  if (tokens.length === 1 && size > 8 && joined.length === 2 * size) return fromBytes(joined);
  if (tokens.length > 1 && sameLength && joined.length === 2 * size && (first.digits.length === 2 || first.digits.length === 4)) return fromBytes(joined);
  if (tokens.length === size / 4 && tokens.length > 1) {
    fits(tokens, 8);
    return Uint32Array.from(tokens, ({ digits }) => Number.parseInt(digits, 16));
  }
  if (tokens.length === size / 8) {
    fits(tokens, 16);
    return Uint32Array.from(tokens.flatMap(({ digits }) => {
      const padded = digits.padStart(16, "0");
      return [Number.parseInt(padded.slice(8), 16), Number.parseInt(padded.slice(0, 8), 16)];
    }));
  }
  const last = tokens.at(-1)!;
  throw new DecodeError(
    last.line,
    last.column,
    `${tokens.length} words were given; a structure of ${size} bytes is ${size / 8} words of 64 bits, ${size / 4} of 32 bits, or ${size} bytes`,
  );
}
