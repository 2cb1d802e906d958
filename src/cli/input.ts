// SPDX-License-Identifier: MIT
/** Input that comes as a stream: files, packed files, standard input; line by line, in bounded memory. */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { Readable, pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { UsageError } from "./exit.ts";
import { readBytes, reason, tooLong } from "./files.ts";

/** What `-` stands for in messages. */
const STDIN = "standard input";

/** True for no path and for "-", of which yargs makes an empty text where it stands alone. */
function isStdin(path: string | undefined): path is "" | "-" | undefined {
  return path === undefined || path === "-" || path === "";
}

/** A path as messages name it. */
export function inputName(path: string | undefined): string {
  return isStdin(path) ? STDIN : path;
}

/** Waits for the first bytes of a stream and leaves them in it. @returns them; undefined if it has ended without any */
async function startOf(stream: Readable): Promise<Buffer | undefined> {
  await new Promise<void>((resolve) => {
    for (const event of ["readable", "end", "close", "error"]) stream.once(event, () => resolve());
  });
  const start = stream.read() as Buffer | null;
  if (start === null) return undefined;
  stream.unshift(start);
  return start;
}

async function openInput(path: string | undefined): Promise<Readable> {
  if (isStdin(path) && process.stdin.isTTY) throw new UsageError("nothing to read: name a file, or pipe the input in");
  const input: Readable = isStdin(path) ? process.stdin : createReadStream(path);
  let failed: unknown;
  input.once("error", (error) => (failed = error));
  const start = await startOf(input);
  if (failed !== undefined) throw failed;
  // Whoever comes to a stream after its end waits for ever.
  if (start === undefined) return Readable.from([]);
  const packed = start[0] === 0x1f && start[1] === 0x8b;
  // An error of either ends the stream that is read; the callback keeps it from being thrown twice.
  return packed ? pipeline(input, createGunzip(), () => {}) : input;
}

function failure(path: string | undefined, line: number, error: unknown): UsageError {
  if (error instanceof UsageError) return error;
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const where = line === 0 ? inputName(path) : `${inputName(path)}: after line ${line}`;
  if (code === "Z_BUF_ERROR") return new UsageError(`${where}: the packed file is cut short`);
  if (typeof code === "string" && code.startsWith("Z_"))
    return new UsageError(`${where}: the packed file is corrupt (${String((error as Error).message)})`);
  return new UsageError(`${where}: ${reason(error)}`);
}

/**
 * The lines of a file (packed by gzip or plain) or of standard input.
 * @param signal ends early, as if the input ended
 * @throws UsageError if it cannot be read; the message says after which line
 */
export async function* readLines(path: string | undefined, signal?: AbortSignal): AsyncGenerator<string> {
  let count = 0;
  let stop = (): void => {};
  try {
    const input = await openInput(path);
    const lines = createInterface({ input, crlfDelay: Infinity });
    // Closing ends the loop below; destroying lets go of the file.
    stop = () => {
      lines.close();
      input.destroy();
    };
    signal?.addEventListener("abort", stop, { once: true });
    let failed: unknown;
    input.on("error", (error) => (failed = error));
    // The reader hands errors of its input on, also after whoever takes the lines has had enough of them.
    lines.on("error", () => {});
    for await (const line of lines) {
      if (signal?.aborted) break;
      count++;
      yield line;
    }
    if (failed !== undefined && !signal?.aborted) throw failed;
  } catch (error) {
    throw failure(path, count, error);
  } finally {
    signal?.removeEventListener("abort", stop);
    stop();
  }
}

/**
 * A blob, of a file or of standard input.
 * @param most bytes that such a file may have
 * @throws UsageError if it cannot be read, or has more
 */
export async function readBlob(path: string, most: number): Promise<Uint8Array> {
  if (!isStdin(path)) return readBytes(path, most);
  const pieces: Buffer[] = [];
  let total = 0;
  for await (const piece of (await openInput(path)) as AsyncIterable<Buffer>) {
    pieces.push(piece);
    total += piece.length;
    if (total > most) throw tooLong(STDIN, most);
  }
  return Buffer.concat(pieces);
}

/** All of standard input or of a file. @throws UsageError */
export async function readText(path: string | undefined): Promise<string> {
  const lines: string[] = [];
  for await (const line of readLines(path)) lines.push(line);
  return lines.join("\n");
}
