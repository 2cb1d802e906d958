// SPDX-License-Identifier: MIT
/** Input that comes as a stream: files, packed files, standard input; line by line, in bounded memory. */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { createInterface } from "node:readline";
import { type Readable, pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { UsageError } from "./exit.ts";
import { reason } from "./files.ts";

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

async function isPacked(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await file.close();
  }
}

async function openInput(path: string | undefined): Promise<Readable> {
  if (isStdin(path)) {
    if (process.stdin.isTTY) throw new UsageError("nothing to read: name a file, or pipe the input in");
    return process.stdin;
  }
  const packed = await isPacked(path);
  const file = createReadStream(path);
  // An error of either ends the stream that is read; the callback keeps it from being thrown twice.
  return packed ? pipeline(file, createGunzip(), () => {}) : file;
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

/** All of standard input or of a file. @throws UsageError */
export async function readText(path: string | undefined): Promise<string> {
  const lines: string[] = [];
  for await (const line of readLines(path)) lines.push(line);
  return lines.join("\n");
}
