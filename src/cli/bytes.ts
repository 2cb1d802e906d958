// SPDX-License-Identifier: MIT
/** Standard input as bytes, where it may be a structure itself instead of text about it. */
import { UsageError } from "./exit.ts";
import { reason } from "./files.ts";

/** More than any dump of one structure. */
const LIMIT = 2 ** 20;

/** All of standard input. @throws UsageError if it is a terminal, cannot be read, or is more than 1 MiB */
export async function readStandardInput(): Promise<Uint8Array> {
  if (process.stdin.isTTY) throw new UsageError("nothing to read: give the words, or pipe the input in");
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of process.stdin) {
      const bytes = Buffer.from(chunk as Buffer);
      chunks.push(bytes);
      length += bytes.length;
      if (length > LIMIT) break;
    }
  } catch (error) {
    throw new UsageError(`standard input: ${reason(error)}`);
  }
  if (length > LIMIT) throw new UsageError("standard input: more than 1 MiB, which is no structure");
  return Buffer.concat(chunks);
}

/** The text that bytes are, undefined if they are none. */
export function textOf(bytes: Uint8Array): string | undefined {
  // Text has a blank, a digit and a line end below 0x40 and no other control character than those of lines and colours.
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (bytes.some((byte) => byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d && byte !== 0x1b)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
