// SPDX-License-Identifier: MIT
/** The entry of the command line: which commands there are, and how every failure becomes a line and an exit code. */
import { readFileSync } from "node:fs";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { decodeCommandModule } from "./commands/decode.ts";
import { explainCommand } from "./commands/explain.ts";
import { matrixCommand } from "./commands/matrix.ts";
import { orderCommand } from "./commands/order.ts";
import { regsCommand } from "./commands/regs.ts";
import { replayCommand } from "./commands/replay.ts";
import { runCommand } from "./commands/run.ts";
import { printable } from "../interop/index.ts";
import { ExitCode, OutputError, UsageError } from "./exit.ts";
import { endOnFailedOutput } from "./terminal.ts";
import { COMMANDS, checkOnce, checkWords, examples, explainUsage, withoutSeparator } from "./usage.ts";

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return typeof manifest === "object" && manifest !== null && "version" in manifest ? String(manifest.version) : "unknown";
}

async function main(): Promise<void> {
  const words = withoutSeparator(hideBin(process.argv));
  checkWords(words);
  await yargs(words)
    .scriptName("quiesce")
    .usage(
      "$0 <command>\n\nWhen this machine goes down: which device still does DMA, where does it land,\nand which shutdown design stops it?",
    )
    .command(matrixCommand)
    .command(runCommand)
    .command(orderCommand)
    .command(decodeCommandModule)
    .command(explainCommand)
    .command(replayCommand)
    .command(regsCommand)
    .demandCommand(1, `name a command: ${Object.keys(COMMANDS).join(", ")}`)
    .epilogue(
      examples(
        ["quiesce matrix", "the main job: the shutdown matrix"],
        ["quiesce run scenarios/kexec-bypass-trace.yaml", "one scenario with its evidence"],
      ),
    )
    // Words behind -- are words, and a word of 64 bits is no number of JavaScript.
    .parserConfiguration({ "parse-positional-numbers": false })
    .strict()
    .check(checkOnce)
    .version(version())
    .help()
    .alias("help", "h")
    .wrap(80)
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      if (error && error.name !== "YError") throw error;
      throw new UsageError(explainUsage(message ?? error?.message ?? "bad usage", words));
    })
    .parseAsync();
}

const LONGEST_WORD = 120;
const LONGEST_LINE = 2000;

/** A message may quote what was given: long words are cut (paths are not), and no terminal obeys what is in it. */
function echoed(line: string): string {
  const short = line.replace(/[^\s/]+/g, (word) => (word.length > LONGEST_WORD ? `${word.slice(0, 40)}…` : word));
  return printable(short.length > LONGEST_LINE ? `${short.slice(0, LONGEST_LINE)}…` : short);
}

/** Every failure becomes lines on standard error and an exit code. */
function end(error: unknown): void {
  if (error instanceof UsageError || error instanceof OutputError) {
    const lines = error.message.split("\n").map((line) => `quiesce: ${echoed(line)}\n`);
    process.stderr.write(lines.join(""));
    process.exitCode = error instanceof UsageError ? ExitCode.usage : ExitCode.internal;
    return;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`quiesce: internal error: ${text}\n`);
  process.exitCode = ExitCode.internal;
}

endOnFailedOutput();
process.on("uncaughtException", (error) => {
  end(error);
  process.exit();
});
try {
  await main();
} catch (error) {
  end(error);
}
