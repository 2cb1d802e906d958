// SPDX-License-Identifier: MIT
/** Commands as they can be pasted into the shell that this program was called from. */
import { basename, relative } from "node:path";

/** A word of a shell command. */
export function shellWord(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/**
 * How this program is called: by its name where it is installed, else by the path of its file.
 * @param program what the shell called, absolute as Node has it in `process.argv[1]`
 */
export function invocation(program: string = process.argv[1] ?? "quiesce", cwd: string = process.cwd()): string {
  if (!/\.[cm]?js$/.test(basename(program))) return basename(program);
  const near = relative(cwd, program);
  return `node ${shellWord(near.startsWith("..") ? program : near)}`;
}
