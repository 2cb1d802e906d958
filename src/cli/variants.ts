// SPDX-License-Identifier: MIT
/** `quiesce matrix --variants`: the table of variants, on the terminal and, where a folder is named, as a file. */
import { VARIANT_NAMES, assembleVariants, cellWords, variantKeys, variantsPage, variantsText } from "../lab/index.ts";
import { ExitCode, UsageError } from "./exit.ts";
import { prepareFolder, writeFiles } from "./files.ts";
import { runInterruptibly, runOf } from "./interruptible.ts";
import type { makeLogger } from "./log.ts";
import type { Job } from "./pool.ts";
import { painter, print, printJson } from "./terminal.ts";

const FILES = { json: "variants.json", html: "variants.html" } as const;

interface VariantsArguments {
  readonly out: string | undefined;
  readonly json: boolean;
  readonly jobs: number | undefined;
  readonly only: string | undefined;
}

/** @throws UsageError before anything runs */
export async function showVariants(argv: VariantsArguments, seed: number, log: ReturnType<typeof makeLogger>): Promise<void> {
  const { out, only } = argv;
  const keys = variantKeys().filter((key) => only === undefined || cellWords(key).includes(only));
  if (keys.length === 0) throw new UsageError(`--only ${only}: no variant has that in its name; there are ${VARIANT_NAMES.join(", ")}`);
  if (out !== undefined) prepareFolder(out, Object.values(FILES));
  const jobs = keys.map((key): Job => ({ kind: "cell", key }));
  const { results, interrupted } = await runInterruptibly(jobs, seed, argv.jobs, () => log.info({ cells: keys.length }, "running"));
  const runs = results.map(runOf);
  const variants = assembleVariants(seed, keys, runs, only);
  for (const run of runs) {
    if (run?.inconclusive) log.warn({ replay: run.replay }, "a limit was hit before this cell came to an end");
    for (const [what, count] of Object.entries(run?.notModelled ?? {})) log.info({ what, count, replay: run?.replay }, "not modelled");
  }
  const finished = runs.filter((run) => run !== undefined);
  const page = (): string => variantsPage(variants, new Map(variants.cells.map((cell, index) => [cell, finished[index]!])));
  const written =
    out === undefined ? [] : writeFiles(out, { [FILES.json]: `${JSON.stringify(variants, null, 2)}\n`, [FILES.html]: page() });
  if (argv.json) printJson(variants);
  else print(`${variantsText(variants, painter())}\n${written.map((path) => `wrote ${path}\n`).join("")}`);
  if (!interrupted) return;
  process.stderr.write(`quiesce: interrupted after ${variants.cells.length} of ${keys.length} cells\n`);
  process.exitCode = ExitCode.interrupted;
}
