// SPDX-License-Identifier: MIT
/** `quiesce matrix`: the main job. Runs every cell and every board, prints the matrix, writes the page and the data. */
import type { Argv, CommandModule } from "yargs";
import { assembleMatrix, cellWords, matrixCellKeys, matrixPage, matrixText, orderBoards } from "../../lab/index.ts";
import { ExitCode, UsageError } from "../exit.ts";
import { writeFiles } from "../files.ts";
import { LOG_LEVELS, type LogLevel, makeLogger } from "../log.ts";
import { type Job, type JobResult, runJobs } from "../pool.ts";
import { chosenSeed } from "../seed.ts";
import { Progress, painter, print, printJson } from "../terminal.ts";

interface MatrixArguments {
  readonly seed: string | undefined;
  readonly out: string;
  readonly json: boolean;
  readonly jobs: number | undefined;
  readonly only: string | undefined;
  readonly "log-level": LogLevel;
}

async function matrix(argv: MatrixArguments): Promise<void> {
  const seed = chosenSeed(argv.seed);
  if (argv.jobs !== undefined && !(Number.isInteger(argv.jobs) && argv.jobs >= 1))
    throw new UsageError("--jobs is a whole number, at least 1");
  const log = makeLogger(argv["log-level"]);
  const keys = matrixCellKeys().filter((key) => argv.only === undefined || cellWords(key).includes(argv.only));
  if (keys.length === 0) throw new UsageError(`--only ${argv.only}: no cell has that in its name, as in bypass/hdlcd/no-hook/kexec`);
  const boards = orderBoards();
  const jobs: Job[] = [...keys.map((key): Job => ({ kind: "cell", key })), ...boards.map((board): Job => ({ kind: "order", board }))];

  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort();
  process.once("SIGINT", onInterrupt);
  log.info({ cells: keys.length, boards: boards.length }, "running");
  const progress = new Progress();
  let results: (JobResult | undefined)[];
  try {
    results = await runJobs(jobs, {
      seed,
      signal: interrupt.signal,
      onProgress: (done) => progress.update(`${done} of ${jobs.length} runs`),
      ...(argv.jobs === undefined ? {} : { threads: argv.jobs }),
    });
  } finally {
    progress.clear();
    process.removeListener("SIGINT", onInterrupt);
  }

  const runs = keys.map((_, index) => {
    const result = results[index];
    return result?.kind === "cell" ? result.run : undefined;
  });
  const rows = boards.map((_, index) => {
    const result = results[keys.length + index];
    return result?.kind === "order" ? result.row : undefined;
  });
  const { document, runsByCell } = assembleMatrix(seed, keys, runs, rows);
  for (const [cell, run] of runsByCell) {
    if (run.inconclusive) log.warn({ replay: cell.replay }, "a limit was hit before this cell came to an end");
    for (const [what, count] of Object.entries(run.notModelled)) log.info({ what, count, replay: cell.replay }, "not modelled");
  }
  const paths = writeFiles(argv.out, {
    "matrix.json": `${JSON.stringify(document, null, 2)}\n`,
    "matrix.html": matrixPage(document, runsByCell),
  });
  if (argv.json) printJson(document);
  else print(`${matrixText(document, painter())}\n${paths.map((path) => `wrote ${path}\n`).join("")}`);
  if (interrupt.signal.aborted) process.exitCode = ExitCode.interrupted;
}

export const matrixCommand: CommandModule<object, MatrixArguments> = {
  command: "matrix",
  describe: "run the shutdown matrix: SMMU policy x client hook x way down x client",
  builder: (yargs: Argv<object>): Argv<MatrixArguments> =>
    yargs
      .option("seed", { type: "string", describe: "seed of the stimulus, decimal or 0x (default: QUIESCE_SEED or 1)", requiresArg: true })
      .option("out", { type: "string", default: "out", describe: "folder for matrix.html and matrix.json", requiresArg: true })
      .option("json", { type: "boolean", default: false, describe: "print one JSON document instead of the text" })
      .option("jobs", { type: "number", describe: "worker threads (default: one per CPU)", requiresArg: true })
      .option("only", { type: "string", describe: "only cells whose SMMU-POLICY/CLIENT/HOOK/WAY-DOWN contains this", requiresArg: true })
      .option("log-level", { choices: LOG_LEVELS, default: "warn" as LogLevel, describe: "diagnostics on standard error" })
      .example("$0 matrix", "the whole matrix, and out/matrix.html")
      .example("$0 matrix --seed 0x2a --json > m.json", "the data of another seed"),
  handler: matrix,
};
