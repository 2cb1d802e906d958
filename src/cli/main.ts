// SPDX-License-Identifier: MIT
/** The entry of the command line: which commands there are, and how every failure becomes a line and an exit code. */
import { readFileSync } from "node:fs";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { decodeCommandModule } from "./commands/decode.ts";
import { explainCommand } from "./commands/explain.ts";
import { matrixCommand } from "./commands/matrix.ts";
import { regsCommand } from "./commands/regs.ts";
import { replayCommand } from "./commands/replay.ts";
import { runCommand } from "./commands/run.ts";
import { ExitCode, UsageError } from "./exit.ts";
import { endQuietlyOnClosedPipe } from "./terminal.ts";

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return typeof manifest === "object" && manifest !== null && "version" in manifest ? String(manifest.version) : "unknown";
}

async function main(): Promise<void> {
  endQuietlyOnClosedPipe();
  await yargs(hideBin(process.argv))
    .scriptName("quiesce")
    .usage(
      "$0 <command>\n\nWhen this machine goes down: which device still does DMA, where does it land,\nand which shutdown design stops it?",
    )
    .command(matrixCommand)
    .command(runCommand)
    .command(decodeCommandModule)
    .command(explainCommand)
    .command(replayCommand)
    .command(regsCommand)
    .demandCommand(1, "name a command: matrix, run or regs")
    .example("$0 matrix", "the main job: the shutdown matrix")
    .example("$0 run scenarios/kexec-bypass-trace.yaml", "one scenario with its evidence")
    .strict()
    .parserConfiguration({ "duplicate-arguments-array": false })
    .version(version())
    .help()
    .alias("help", "h")
    .recommendCommands()
    .wrap(80)
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      if (error && error.name !== "YError") throw error;
      throw new UsageError((message ?? error?.message ?? "bad usage").trim().replace(/\s*\n\s*/g, " "));
    })
    .parseAsync();
}

try {
  await main();
} catch (error) {
  if (error instanceof UsageError) {
    process.stderr.write(`quiesce: ${error.message}\n`);
    process.exitCode = ExitCode.usage;
  } else {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`quiesce: internal error: ${text}\n`);
    process.exitCode = ExitCode.internal;
  }
}
