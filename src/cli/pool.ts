// SPDX-License-Identifier: MIT
/**
 * Runs the jobs of a matrix on worker threads. Each job is a pure function of its description, so the order in which they
 * finish does not matter: results are put in the order of the jobs.
 *
 * This file is both sides: the pool, and the program that each of its threads runs.
 */
import { availableParallelism } from "node:os";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import {
  type AnyCellKey,
  type LayoutKey,
  type LayoutRow,
  type OrderBoard,
  type OrderRow,
  type RunResult,
  runCell,
  runLayout,
  runOrderBoard,
} from "../lab/index.ts";

export type Job =
  | { readonly kind: "cell"; readonly key: AnyCellKey }
  | { readonly kind: "order"; readonly board: OrderBoard }
  | { readonly kind: "layout"; readonly key: LayoutKey };
export type JobResult =
  | { readonly kind: "cell"; readonly run: RunResult }
  | { readonly kind: "order"; readonly row: OrderRow }
  | { readonly kind: "layout"; readonly row: LayoutRow };

type Answer = { readonly index: number; readonly result: JobResult } | { readonly index: number; readonly failure: string };
interface Order {
  readonly index: number;
  readonly job: Job;
}

const ROLE = "quiesce-matrix-worker";

function perform(job: Job, seed: number): JobResult {
  switch (job.kind) {
    case "cell":
      return { kind: "cell", run: runCell(job.key, seed) };
    case "order":
      return { kind: "order", row: runOrderBoard(job.board, seed) };
    case "layout":
      return { kind: "layout", row: runLayout(job.key) };
  }
}

function serve(seed: number): void {
  parentPort?.on("message", ({ index, job }: Order) => {
    let answer: Answer;
    try {
      answer = { index, result: perform(job, seed) };
    } catch (error) {
      answer = { index, failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
    parentPort?.postMessage(answer);
  });
}

if (!isMainThread && (workerData as { role?: unknown } | null)?.role === ROLE) serve((workerData as { seed: number }).seed);

/** Each thread has a heap of its own; more of them than this wait for memory rather than work. */
export const MOST_THREADS = 64;

export interface PoolOptions {
  readonly seed: number;
  /** Threads, up to {@link MOST_THREADS}; default: as many as the machine runs at once. */
  readonly threads?: number;
  readonly onProgress?: (done: number) => void;
  /** Ends early: what is finished by then is returned. */
  readonly signal: AbortSignal;
}

/**
 * Runs all jobs.
 * @returns a result for each job, undefined for those that an abort left undone
 * @throws Error if a job failed, which is a fault of this program
 */
export async function runJobs(jobs: readonly Job[], options: PoolOptions): Promise<(JobResult | undefined)[]> {
  const results: (JobResult | undefined)[] = jobs.map(() => undefined);
  let next = 0;
  let done = 0;
  const count = Math.max(1, Math.min(options.threads ?? availableParallelism(), MOST_THREADS, jobs.length));

  // One listener for all threads: each would be one more on the same signal.
  const aborted = new Promise<void>((resolve) => options.signal.addEventListener("abort", () => resolve(), { once: true }));
  const work = (worker: Worker): Promise<void> =>
    new Promise((resolve, reject) => {
      const feed = (): void => {
        if (next >= jobs.length || options.signal.aborted) return resolve();
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
        worker.postMessage({ index: next, job: jobs[next]! } satisfies Order);
        next++;
      };
      worker.on("message", (answer: Answer) => {
        if ("failure" in answer) return reject(new Error(answer.failure));
        results[answer.index] = answer.result;
        options.onProgress?.(++done);
        feed();
      });
      worker.on("error", reject);
      feed();
    });

  const workers = Array.from(
    { length: count },
    () => new Worker(new URL(import.meta.url), { workerData: { role: ROLE, seed: options.seed } }),
  );
  try {
    await Promise.race([aborted, Promise.all(workers.map(work))]);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return results;
}
