// SPDX-License-Identifier: MIT
/** Files that appear whole or not at all. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "./exit.ts";

/** Why a file operation failed, in words. */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as NodeJS.ErrnoException).code;
  const words: Record<string, string> = {
    ENOENT: "no such file",
    EISDIR: "is a directory",
    EACCES: "permission denied",
    ENOTDIR: "not a directory",
    EROFS: "read-only file system",
  };
  return (code === undefined ? undefined : words[code]) ?? error.message;
}

/** Reads a file that the user named. @throws UsageError if it cannot be read */
export function readInput(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`${path}: ${reason(error)}`);
  }
}

/**
 * Writes files into a folder, which is made if needed: first all of them under temporary names, then each renamed.
 * @returns their paths
 * @throws UsageError if the folder cannot be written
 */
export function writeFiles(folder: string, files: Readonly<Record<string, string>>): string[] {
  const pending: { temporary: string; path: string }[] = [];
  try {
    mkdirSync(folder, { recursive: true });
    for (const [name, content] of Object.entries(files)) {
      const path = join(folder, name);
      const temporary = `${path}.${process.pid}.tmp`;
      pending.push({ temporary, path });
      writeFileSync(temporary, content);
    }
    for (const { temporary, path } of pending) renameSync(temporary, path);
  } catch (error) {
    for (const { temporary } of pending) rmSync(temporary, { force: true });
    throw new UsageError(`${folder}: cannot write: ${reason(error)}`);
  }
  return pending.map(({ path }) => path);
}
