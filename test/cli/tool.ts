// SPDX-License-Identifier: MIT
/** Runs the compiled program as a user does. */
import { spawn, spawnSync } from "node:child_process";
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

export interface Started {
  readonly ended: Promise<Ended>;
  /** Resolves when the program has taken so much of the input that the rest fits into a pipe. */
  readonly reading: Promise<void>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts the program with input that does not end. @param input much more than a pipe holds */
export function startWithInput(args: readonly string[], input: string): Started {
  const child = spawn(process.execPath, [join(ROOT, "bin", "quiesce.js"), ...args], { stdio: "pipe" });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString("utf8")));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString("utf8")));
  child.stdin.on("error", () => {});
  return {
    ended: new Promise((resolve) => child.on("close", (status) => resolve({ status, stdout, stderr }))),
    reading: new Promise((resolve) => child.stdin.write(input, () => resolve())),
    kill: (signal) => child.kill(signal),
  };
}

/** Columns of the longest line. */
export function widest(text: string): number {
  return Math.max(...text.split("\n").map((line) => line.length));
}
