// SPDX-License-Identifier: MIT
/**
 * Raw words as people paste them: 64- or 32-bit words with or without 0x, bytes, dumps with an address in front and text
 * behind (hexdump, xxd, od, gdb, crash, U-Boot), lines of a kernel log, one long run of digits. The structure's own bytes are
 * the business of {@link wordsOfBytes}.
 */
import { readLogLine } from "./log-line.ts";
import { quoted } from "./quoted.ts";

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
  readonly prefixed: boolean;
  readonly line: number;
  readonly column: number;
}

/** What stands in a line of a dump in front of the data. */
const DUMP_ADDRESS: readonly RegExp[] = [
  // xxd, U-Boot, crash, print_hex_dump, gdb (which may name a symbol).
  /^\s*(?:\S+ )?(?:0x)?[0-9a-fA-F]{4,16}(?: <[^>]*>)?:\s+/,
  // hexdump and od: an address of seven or eight digits without a colon, then bytes or halfwords.
  /^\s*[0-9a-fA-F]{7,8}\s+(?=[0-9a-fA-F]{2}(?:[0-9a-fA-F]{2})?(?:\s|$))/,
  // od -A x (six digits) and od (seven, octal): also words of 32 or 64 bits, which are never that short.
  /^[0-9a-fA-F]{6,7}\s+(?=(?:[0-9a-fA-F]{2}|[0-9a-fA-F]{4}|[0-9a-fA-F]{8}|[0-9a-fA-F]{16})(?:\s|$))/,
];
/** `hexdump` without -C and `od -x` print halfwords as numbers; xxd prints the same width as bytes. */
const HALFWORD_DUMP = /^\s*[0-9a-fA-F]{6,7}\s+[0-9a-fA-F]{4}(?:\s|$)/;
/** Where a dump ends: an address alone. */
const DUMP_END = /^\s*[0-9a-fA-F]{6,8}\s*$/;
/** What is typed at the prompt of a debugger, above its answer. */
const PROMPT = /^\s*(?:crash\d*>|\(gdb\)|gdb\$|=>)\s*[a-z]/;
/** The characters of hexdump -C and of od -z, and those of the other dumps behind two blanks or more. */
const DUMP_TEXT: readonly RegExp[] = [/\s*(?:\|.*\||>.*<)\s*$/, /\s{2,}\S.{0,31}$/];
/** Lines of a kernel log that announce or repeat a record in words. */
const ANNOUNCEMENTS =
  /^(?:event 0x[0-9a-f]+ received:|event: \w+ client:|(?:un)?priv (?:data|inst) |skipping command in error state:|CMDQ error)/;

/** No tool writes longer lines; the patterns above are not for what is longer. */
const LONGEST_DUMP_LINE = 1000;

const HEX = /^[0-9a-fA-F]+$/;

function cutDumpText(line: string): string {
  if (line.length > LONGEST_DUMP_LINE) return line;
  const cut = line.replace(DUMP_TEXT[0]!, "");
  return cut === line && !/^[\s0-9a-fA-Fx]*$/.test(line) ? line.replace(DUMP_TEXT[1]!, "") : cut;
}

/** Swaps the bytes of halfwords, so that they stand as in memory. */
function asBytes(digits: string): string {
  return digits.slice(2) + digits.slice(0, 2);
}

/** The lines that hold data, with where the data begins. */
class Reader {
  readonly tokens: Token[] = [];
  /** Index of the token before which a `*` stands for repeated lines, with how many tokens the line before it has. */
  repeat: { readonly before: number; readonly tokens: number } | undefined;
  #inDump = false;
  #lastLine = 0;

  read(whole: string, number: number): void {
    if (whole.trim() === "*" && this.#inDump) {
      if (this.repeat) throw new DecodeError(number, whole.indexOf("*") + 1, 'a second "*": print the dump in full (hexdump -v, od -v)');
      this.repeat = { before: this.tokens.length, tokens: this.#lastLine };
      return;
    }
    if (PROMPT.test(whole) || (this.#inDump && DUMP_END.test(whole))) return;
    const dump = DUMP_ADDRESS.map((pattern) => pattern.exec(whole)).find((match) => match !== null);
    const log = readLogLine(whole);
    if (ANNOUNCEMENTS.test(log.message.trim())) return;
    const logged = log.time !== undefined || log.device !== undefined || log.column > 0;
    if (dump && log.time === undefined)
      this.#data(cutDumpText(whole.slice(dump[0].length)), number, dump[0].length, HALFWORD_DUMP.test(whole));
    else if (logged) this.#logged(log.message, number, log.column);
    else this.#data(whole, number, 0, false);
    this.#inDump = dump !== undefined;
  }

  /** The message of a log line may be a line of a dump itself (print_hex_dump). */
  #logged(message: string, number: number, column: number): void {
    const dump = DUMP_ADDRESS[0]!.exec(message);
    const skipped = dump?.[0].length ?? 0;
    this.#data(dump ? cutDumpText(message.slice(skipped)) : message, number, column + skipped, false);
  }

  #data(text: string, line: number, from: number, halfwords: boolean): void {
    const before = this.tokens.length;
    for (const match of text.matchAll(/[^\s,;[\]{}()"']+/g)) {
      const column = from + match.index + 1;
      const plain = match[0].replaceAll("_", "").replace(/(?:u?ll|ul|n)$/i, "");
      const digits = plain.replace(/^0[xX]/, "");
      if (!HEX.test(digits)) throw new DecodeError(line, column, `${quoted(match[0])} is not a hexadecimal number`);
      this.tokens.push({ digits: halfwords ? asBytes(digits) : digits, prefixed: plain !== digits, line, column });
    }
    this.#lastLine = this.tokens.length - before;
  }
}

/** The tokens of a text, repeated lines filled in so that there are `size` bytes. */
function tokensOf(text: string, size: number): Token[] {
  const reader = new Reader();
  text.split("\n").forEach((line, index) => reader.read(line.replace(/\r$/, ""), index + 1));
  const { tokens, repeat } = reader;
  if (repeat === undefined || repeat.tokens === 0) return tokens;
  const line = tokens.slice(repeat.before - repeat.tokens, repeat.before);
  const missing = 2 * size - tokens.reduce((sum, { digits }) => sum + digits.length, 0);
  const perLine = line.reduce((sum, { digits }) => sum + digits.length, 0);
  const copies = Math.max(0, Math.floor(missing / perLine));
  return [...tokens.slice(0, repeat.before), ...Array.from({ length: copies }, () => line).flat(), ...tokens.slice(repeat.before)];
}

function fromBytes(digits: string): Uint32Array {
  const words = new Uint32Array(digits.length / 8);
  for (let i = 0; i < digits.length / 2; i++) words[i >> 2]! |= Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16) << (8 * (i & 3));
  return words;
}

function fits(tokens: readonly Token[], digits: number): void {
  const long = tokens.find((token) => token.digits.length > digits);
  if (long) throw new DecodeError(long.line, long.column, `${quoted(long.digits)} has more than ${4 * digits} bits`);
}

/**
 * Reads a structure of `size` bytes.
 * @param text words of 64 or of 32 bits, lowest first, or bytes in the order of memory
 * @param size bytes, a multiple of 8
 * @throws DecodeError
 */
export function parseWords(text: string, size: number): Uint32Array {
  const tokens = tokensOf(text, size);
  const first = tokens[0];
  if (!first) throw new DecodeError(1, 1, "there are no words");
  const joined = tokens.map(({ digits }) => digits).join("");
  const width = tokens.every(({ digits }) => digits.length === first.digits.length) ? first.digits.length : 0;
  const inBytes = !first.prefixed && joined.length === 2 * size;
  if (tokens.length === 1 && size > 8 && inBytes) return fromBytes(joined);
  if (tokens.length > 1 && (width === 2 || width === 4) && inBytes) return fromBytes(joined);
  if (tokens.length === size / 4 && tokens.length > 1) {
    fits(tokens, 8);
    return Uint32Array.from(tokens, ({ digits }) => Number.parseInt(digits, 16));
  }
  // Words that are padded to 32 bits are half of the structure, not small words of 64 bits.
  const halves = size > 8 && width === 8 && tokens.some(({ digits }) => digits.startsWith("0"));
  if (tokens.length === size / 8 && !halves) {
    fits(tokens, 16);
    return Uint32Array.from(
      tokens.flatMap(({ digits }) => {
        const padded = digits.padStart(16, "0");
        return [Number.parseInt(padded.slice(8), 16), Number.parseInt(padded.slice(0, 8), 16)];
      }),
    );
  }
  const last = tokens.at(-1)!;
  const count = tokens.length === 1 ? "1 word was" : `${tokens.length} words were`;
  throw new DecodeError(
    last.line,
    last.column,
    `${count} given; a structure of ${size} bytes is ${size / 8} word${size === 8 ? "" : "s"} of 64 bits, ${size / 4} of 32 bits, or ${size} bytes`,
  );
}

/**
 * A structure's own bytes, as memory has them.
 * @param size bytes that the structure has
 * @throws DecodeError if they are more or fewer
 */
export function wordsOfBytes(bytes: Uint8Array, size: number): Uint32Array {
  if (bytes.length !== size) throw new DecodeError(1, 1, `${bytes.length} bytes of binary data were given; the structure has ${size}`);
  const words = new Uint32Array(size / 4);
  for (const [i, byte] of bytes.entries()) words[i >> 2]! |= byte << (8 * (i & 3));
  return words;
}
