// SPDX-License-Identifier: MIT
/** Runs the built program as a user does. */
import { spawn, type SpawnOptions } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const root: string = join(import.meta.dirname, "../..");
export const program: string = join(root, "bin/quiesce.js");

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** What standard input has; absent: there is none. */
  readonly input?: Uint8Array;
  /** Called with all of standard error so far, each time it grows. */
  readonly onStderr?: (text: string, kill: (signal: NodeJS.Signals) => void) => void;
}

/** Runs a command to its end; the environment knows nothing of terminals, colours or seeds. */
export function start(command: string, args: readonly string[], options: ProgramOptions = {}): Promise<Ended> {
  const env: NodeJS.ProcessEnv = { ...process.env, ...options.env };
  for (const name of ["NO_COLOR", "FORCE_COLOR", "QUIESCE_SEED"]) if (!(options.env && name in options.env)) delete env[name];
  const spawnOptions: SpawnOptions = { cwd: options.cwd ?? root, env, stdio: [options.input ? "pipe" : "ignore", "pipe", "pipe"] };
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, spawnOptions);
    let stdout = "";
    let stderr = "";
    child.stdout?.on("data", (chunk: Buffer) => (stdout += chunk.toString("utf8")));
    child.stderr?.on("data", (chunk: Buffer) => {
      stderr += chunk.toString("utf8");
      options.onStderr?.(stderr, (signal) => child.kill(signal));
    });
    child.on("error", reject);
    if (options.input) child.stdin?.end(options.input);
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

export function quiesce(args: readonly string[], options: ProgramOptions = {}): Promise<Ended> {
  return start(process.execPath, [program, ...args], options);
}

/** Calls `use` with the path of a new folder, which is gone afterwards. */
export async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "quiesce-"));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
