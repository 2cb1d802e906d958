// SPDX-License-Identifier: MIT
/** `quiesce matrix`: the main job. Runs every cell and every board, prints the matrix, writes the page and the data. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Argv, CommandModule } from "yargs";
import {
  type Matrix,
  type MatrixCell,
  type RunResult,
  assembleMatrix,
  cellWords,
  layoutKeys,
  matrixCellKeys,
  matrixPage,
  matrixText,
  variantKeys,
  orderBoards,
} from "../../lab/index.ts";
import { ExitCode, UsageError } from "../exit.ts";
import { prepareFolder, readInput, writeFiles } from "../files.ts";
import { LOG_LEVELS, type LogLevel, makeLogger } from "../log.ts";
import { runInterruptibly, runOf } from "../interruptible.ts";
import { type Job, MOST_THREADS } from "../pool.ts";
import { chosenSeed } from "../seed.ts";
import { painter, print, printJson } from "../terminal.ts";
import { examples } from "../usage.ts";
import { showVariants } from "../variants.ts";

interface MatrixArguments {
  readonly seed: string | undefined;
  readonly out: string | undefined;
  readonly json: boolean;
  readonly jobs: number | undefined;
  readonly only: string | undefined;
  readonly variants: boolean;
  readonly "log-level": LogLevel;
}

/** Names of the files; what an interrupted run has stands beside a whole result, not in its place. */
const NAMES = {
  whole: { json: "matrix.json", html: "matrix.html" },
  partial: { json: "matrix.partial.json", html: "matrix.partial.html" },
} as const;

/** Whether a complete matrix lies there. */
function holdsWhole(path: string): boolean {
  return existsSync(path) && /"complete": true/.test(readInput(path).slice(0, 1000));
}

/** Before anything runs: can the result be written? @throws UsageError */
function prepareTarget(folder: string, only: string | undefined): void {
  prepareFolder(folder, [...Object.values(NAMES.whole), ...Object.values(NAMES.partial)]);
  const whole = join(folder, NAMES.whole.json);
  if (only !== undefined && holdsWhole(whole))
    throw new UsageError(`${whole} is a complete matrix, which --only would replace by a part: name another folder`);
}

function writeResult(folder: string, document: Matrix, runs: ReadonlyMap<MatrixCell, RunResult>, interrupted: boolean): string[] {
  const { json, html } = interrupted && !document.complete ? NAMES.partial : NAMES.whole;
  return writeFiles(folder, { [json]: `${JSON.stringify(document, null, 2)}\n`, [html]: matrixPage(document, runs) });
}

async function matrix(argv: MatrixArguments): Promise<void> {
  const seed = chosenSeed(argv.seed);
  if (argv.jobs !== undefined && !(Number.isInteger(argv.jobs) && argv.jobs >= 1 && argv.jobs <= MOST_THREADS))
    throw new UsageError(`--jobs is a whole number from 1 to ${MOST_THREADS}`);
  const log = makeLogger(argv["log-level"]);
  if (argv.variants) return showVariants(argv, seed, log);
  const keys = matrixCellKeys().filter((key) => argv.only === undefined || cellWords(key).includes(argv.only));
  if (keys.length === 0) {
    const variant = variantKeys().some((key) => cellWords(key).includes(argv.only!));
    const hint = variant ? "; a variant has: add --variants" : ", as in bypass/hdlcd/no-hook/kexec";
    throw new UsageError(`--only ${argv.only}: no cell has that in its name${hint}`);
  }
  const folder = argv.out ?? (argv.only === undefined ? "out" : undefined);
  if (folder !== undefined) prepareTarget(folder, argv.only);
  const boards = orderBoards();
  // A part of the matrix draws no conclusion, and so needs no other layouts.
  const layouts = argv.only === undefined ? layoutKeys(seed) : [];
  const jobs: Job[] = [
    ...keys.map((key): Job => ({ kind: "cell", key })),
    ...boards.map((board): Job => ({ kind: "order", board })),
    ...layouts.map((key): Job => ({ kind: "layout", key })),
  ];

  const { results, interrupted } = await runInterruptibly(jobs, seed, argv.jobs, () =>
    log.info({ cells: keys.length, boards: boards.length, layouts: layouts.length }, "running"),
  );

  const runs = keys.map((_, index) => runOf(results[index]));
  const rows = boards.map((_, index) => {
    const result = results[keys.length + index];
    return result?.kind === "order" ? result.row : undefined;
  });
  const layoutRows = layouts.map((_, index) => {
    const result = results[keys.length + boards.length + index];
    return result?.kind === "layout" ? result.row : undefined;
  });
  const { document, runsByCell } = assembleMatrix(seed, keys, runs, rows, layoutRows, argv.only);
  for (const [cell, run] of runsByCell) {
    if (run.inconclusive) log.warn({ replay: cell.replay }, "a limit was hit before this cell came to an end");
    for (const [what, count] of Object.entries(run.notModelled)) log.info({ what, count, replay: cell.replay }, "not modelled");
  }
  const written = folder === undefined ? [] : writeResult(folder, document, runsByCell, interrupted);
  if (argv.json) printJson(document);
  else print(`${matrixText(document, painter())}\n${written.map((path) => `wrote ${path}\n`).join("")}`);
  if (!interrupted) return;
  const where = written.length === 0 ? "no file was written" : `the partial result is in ${written.join(" and ")}`;
  if (!document.complete) process.stderr.write(`quiesce: interrupted after ${document.cells.length} of ${keys.length} cells: ${where}\n`);
  process.exitCode = ExitCode.interrupted;
}

export const matrixCommand: CommandModule<object, MatrixArguments> = {
  command: "matrix",
  describe: "run the shutdown matrix: SMMU policy x client hook x way down x client",
  builder: (yargs: Argv<object>): Argv<MatrixArguments> =>
    yargs
      .option("seed", { type: "string", describe: "seed of the stimulus, decimal or 0x (default: QUIESCE_SEED or 1)", requiresArg: true })
      .option("out", {
        type: "string",
        describe:
          "folder for matrix.html and matrix.json (default: out; with --only: none); of variants: for variants.html and variants.json",
        requiresArg: true,
      })
      .option("json", { type: "boolean", default: false, describe: "print one JSON document instead of the text" })
      .option("jobs", { type: "number", describe: "worker threads (default: one per CPU)", requiresArg: true })
      .option("only", {
        type: "string",
        describe:
          "only cells whose SMMU-POLICY/CLIENT/HOOK/WAY-DOWN contains this; of variants: VARIANT/CLIENT/no-hook/WAY-DOWN, with /adopt behind it for that crash kernel",
        requiresArg: true,
      })
      .option("variants", {
        type: "boolean",
        default: false,
        describe: "the table of other SMMU drivers, past and proposed, instead of the matrix",
      })
      .option("log-level", { choices: LOG_LEVELS, default: "warn" as LogLevel, describe: "diagnostics on standard error" })
      .epilogue(
        examples(
          ["quiesce matrix", "the whole matrix, and out/matrix.html"],
          ["quiesce matrix --seed 0x2a --json > m.json", "the data of another seed"],
          ["quiesce matrix --variants", "what else SMMU drivers did, or should do"],
          ["quiesce matrix --variants --only audit", "one of these: all its clients and ways down"],
        ),
      ),
  handler: matrix,
};
