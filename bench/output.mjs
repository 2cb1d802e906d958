// SPDX-License-Identifier: MIT
// How the command ends when nobody reads on, when the disk is full and when it is interrupted: in one line, as `quiesce` does.
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const USAGE = 2;
const FAILED = 3;
const INTERRUPTED = 130;

const WORDS = {
  ENOSPC: "no space left",
  EDQUOT: "the quota is used up",
  EFBIG: "the file is too large",
  EIO: "input/output error",
  EACCES: "permission denied",
  EROFS: "read-only file system",
  EISDIR: "is a directory",
  EEXIST: "is there already, and is no folder",
  ENOTDIR: "not a directory",
};

const reason = (error) => WORDS[error.code] ?? error.message;

function fail(message, code) {
  process.stderr.write(`quiesce: ${message}\n`);
  process.exit(code);
}

/** Bad usage: ends the program. */
export function refuse(message) {
  return fail(message, USAGE);
}

/** ^C: the tables that were printed stand, no file is touched. */
export function interrupted() {
  return fail("interrupted: nothing is written", INTERRUPTED);
}

/** A reader that went away ends the program quietly, a full disk with one line. */
export function endOnFailedOutput() {
  process.stdout.on("error", (error) => {
    if (error.code === "EPIPE") process.exit();
    fail(`standard output: ${reason(error)}`, FAILED);
  });
  // Without standard error there is nobody to tell.
  process.stderr.on("error", () => process.exit(FAILED));
}

/** Not before the installation and the build, which end by themselves. */
export function endOnInterrupt() {
  process.on("SIGINT", interrupted);
}

/** Ends the program with one line for failures of the place where it runs; throws what is a mistake of its own. */
export function failOn(error) {
  if (WORDS[error?.code] === undefined) throw error;
  return fail(`${error.path ?? error.syscall}: ${reason(error)}`, FAILED);
}

/** Writes files whole or not at all; ends the program where there is no room for them. */
export function writeFiles(folder, files) {
  const pending = [];
  try {
    mkdirSync(folder, { recursive: true });
    for (const [name, content] of Object.entries(files)) {
      const path = join(folder, name);
      pending.push({ path, temporary: `${path}.${process.pid}.tmp` });
      writeFileSync(pending.at(-1).temporary, content);
    }
    for (const { path, temporary } of pending) renameSync(temporary, path);
  } catch (error) {
    for (const { temporary } of pending) rmSync(temporary, { force: true });
    fail(`${folder}: cannot write: ${reason(error)}`, FAILED);
  }
}
