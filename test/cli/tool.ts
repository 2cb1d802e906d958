// SPDX-License-Identifier: MIT
/** Runs the compiled program as a user does. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..", "..");
export const FIXTURES: string = join(ROOT, "test", "fixtures", "recordings");

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param input standard input; undefined: empty */
export function quiesce(args: readonly string[], input: string | Buffer = ""): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, "bin", "quiesce.js"), ...args], {
    input,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
    maxBuffer: 64 * 1024 * 1024,
  });
  return { status, stdout, stderr };
}

/** Columns of the longest line. */
export function widest(text: string): number {
  return Math.max(...text.split("\n").map((line) => line.length));
}
