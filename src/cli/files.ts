// SPDX-License-Identifier: MIT
/** Files that appear whole or not at all. */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { OutputError, UsageError } from "./exit.ts";

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  EEXIST: "is there already, and is no folder",
  EISDIR: "is a directory",
  EACCES: "permission denied",
  EPERM: "not permitted",
  ENOTDIR: "not a directory",
  ENAMETOOLONG: "the name is too long",
  ELOOP: "too many symbolic links",
  EROFS: "read-only file system",
  ENOSPC: "no space left",
  EDQUOT: "the quota is used up",
  EFBIG: "the file is too large",
  EIO: "input/output error",
  EMFILE: "too many open files",
  EAGAIN: "not ready",
};

/** Failures of the place, not of whoever named it. */
const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG", "EIO", "EMFILE"]);

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}

/** Why a file operation failed, in words. */
export function reason(error: unknown): string {
  const code = codeOf(error);
  return (code === undefined ? undefined : WORDS[code]) ?? (error instanceof Error ? error.message : String(error));
}

const PIECE = 0x1_0000;
const MIB = 0x10_0000;
/** No device tree blob is larger: an FDT has its own sizes in 32 bits, and boot loaders take 2 MiB. */
export const MOST_DTB: number = 64 * MIB;

/** Reads a file that the user named. @throws UsageError if it cannot be read */
export function readInput(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`${path}: ${reason(error)}`);
  }
}

/** That a file has more bytes than any of its kind. */
export function tooLong(name: string, most: number): UsageError {
  return new UsageError(`${name}: more than ${most / MIB} MiB, which is too much for what it should be`);
}

/** The same as bytes. @param most bytes that such a file may have @throws UsageError if it cannot be read, or has more */
export function readBytes(path: string, most: number): Uint8Array {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    const pieces: Uint8Array[] = [];
    for (let total = 0; ;) {
      const piece = new Uint8Array(PIECE);
      const length = readSync(file, piece);
      if (length === 0) return Buffer.concat(pieces);
      pieces.push(piece.subarray(0, length));
      total += length;
      if (total > most) throw tooLong(path, most);
    }
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(`${path}: ${reason(error)}`);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function failure(what: string, error: unknown): Error {
  if (error instanceof UsageError) return error;
  const message = `${what}: ${reason(error)}`;
  return FULL.has(codeOf(error) ?? "") ? new OutputError(message) : new UsageError(message);
}

/** One level at a time: where a file system refuses a folder whose parent it has, that is the end of it. */
function makeFolder(folder: string): void {
  const missing: string[] = [];
  let at = resolve(folder);
  for (; !existsSync(at) && dirname(at) !== at; at = dirname(at)) missing.unshift(at);
  if (!statSync(at).isDirectory()) throw new UsageError(`${at}: not a directory`);
  for (const path of missing) mkdirSync(path);
}

/**
 * Makes a folder that files of these names can be written into.
 * @throws UsageError if there can be none, or something else stands where a file would
 * @throws OutputError if there is no space
 */
export function prepareFolder(folder: string, names: readonly string[]): void {
  try {
    makeFolder(folder);
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    const why = codeOf(error) === "ENOENT" ? new Error("no folder can be made here") : error;
    throw failure(folder, why);
  }
  for (const name of names) {
    const path = join(folder, name);
    const found = statSync(path, { throwIfNoEntry: false });
    if (found && !found.isFile()) throw new UsageError(`${path}: is not a file that could be replaced`);
  }
}

/**
 * Writes files into a folder, which is made if needed: first all of them under temporary names, then each renamed.
 * @returns their paths
 * @throws UsageError if the folder cannot be written
 * @throws OutputError if there is no space
 */
export function writeFiles(folder: string, files: Readonly<Record<string, string | Uint8Array>>): string[] {
  prepareFolder(folder, Object.keys(files));
  const pending: { temporary: string; path: string }[] = [];
  try {
    for (const [name, content] of Object.entries(files)) {
      const path = join(folder, name);
      const temporary = `${path}.${process.pid}.tmp`;
      pending.push({ temporary, path });
      writeFileSync(temporary, content);
    }
    for (const { temporary, path } of pending) renameSync(temporary, path);
  } catch (error) {
    for (const { temporary } of pending) rmSync(temporary, { force: true });
    throw failure(`${folder}: cannot write`, error);
  }
  return pending.map(({ path }) => path);
}
