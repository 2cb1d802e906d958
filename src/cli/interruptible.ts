// SPDX-License-Identifier: MIT
/** Jobs with their progress on the terminal; Ctrl-C ends them early and keeps what is finished. */
import type { RunResult } from "../lab/index.ts";
import { type Job, type JobResult, runJobs } from "./pool.ts";
import { Progress } from "./terminal.ts";

export interface Outcome {
  /** In the order of the jobs; undefined: not finished. */
  readonly results: readonly (JobResult | undefined)[];
  readonly interrupted: boolean;
}

/**
 * @param threads undefined: one per CPU
 * @param started called when an interrupt would be heard
 */
export async function runInterruptibly(
  jobs: readonly Job[],
  seed: number,
  threads: number | undefined,
  started: () => void,
): Promise<Outcome> {
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort();
  process.once("SIGINT", onInterrupt);
  started();
  const progress = new Progress();
  try {
    const results = await runJobs(jobs, {
      seed,
      signal: interrupt.signal,
      onProgress: (done) => progress.update(`${done} of ${jobs.length} runs`),
      ...(threads === undefined ? {} : { threads }),
    });
    return { results, interrupted: interrupt.signal.aborted };
  } finally {
    progress.clear();
    process.removeListener("SIGINT", onInterrupt);
  }
}

/** The run of a cell's job. */
export function runOf(result: JobResult | undefined): RunResult | undefined {
  return result?.kind === "cell" ? result.run : undefined;
}
