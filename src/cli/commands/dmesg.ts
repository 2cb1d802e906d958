// SPDX-License-Identifier: MIT
/** `quiesce decode dmesg`: a console log, with every SMMUv3 message explained. */
import type { Argv, CommandModule } from "yargs";
import { profiles } from "../../hw/index.ts";
import { Dmesg, type DmesgFinding, dmesgText, printable } from "../../interop/index.ts";
import { UsageError } from "../exit.ts";
import { readLines } from "../input.ts";
import { painter, print, printJson } from "../terminal.ts";
import { examples } from "../usage.ts";

interface DmesgArguments {
  readonly file: string | undefined;
  readonly context: number;
  readonly profile: string;
  readonly json: boolean;
}

/** Keeps the lines that the context of a finding may show: those before it and its own first ones. */
const OWN_LINES = 6;

/**
 * UTF-16 as PowerShell writes it: read as bytes, each of its line ends is two, the second line a lone zero. So is what
 * follows the last one.
 */
async function* joined(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let number = 0;
  let wide = false;
  let twice = false;
  let zero = false;
  for await (const line of lines) {
    number++;
    if (number === 1) wide = line.startsWith("\ufffd\ufffd");
    if (wide && number === 2) twice = line === "\0";
    if (twice && number % 2 === 0) continue;
    if (zero) yield "";
    zero = wide && line === "\0";
    if (!zero) yield line;
  }
}

async function dmesg({ file, context, profile, json }: DmesgArguments): Promise<void> {
  const config = profiles[profile];
  if (config === undefined) throw new UsageError(`--profile ${printable(profile)}: profiles are ${Object.keys(profiles).join(", ")}`);
  if (!Number.isInteger(context) || context < 0) throw new UsageError("--context is a whole number of lines, at least 0");
  const log = new Dmesg(config);
  const kept: string[] = [];
  for await (const line of joined(readLines(file))) {
    log.push(line);
    if (context > 0) kept.push(line);
  }
  const report = log.report();
  if (json) {
    printJson({ schema: "quiesce/dmesg@1", ...report });
    return;
  }
  const contextOf = ({ lines: { first, last } }: DmesgFinding): readonly string[] =>
    kept
      .slice(Math.max(0, first - 1 - context), Math.min(last, first - 1 + OWN_LINES))
      .map((line) => printable(line.replaceAll("\t", " ")));
  print(dmesgText(report, painter(), context > 0 ? contextOf : undefined));
}

export const dmesgCommand: CommandModule<object, DmesgArguments> = {
  command: "dmesg [file]",
  describe: "a console log: what it says about the SMMU, and why",
  builder: (yargs: Argv<object>): Argv<DmesgArguments> =>
    yargs
      .positional("file", { type: "string", describe: "the log; none, or -: standard input" })
      .option("context", {
        type: "number",
        default: 0,
        describe: "show each finding's lines with so many lines before them",
        requiresArg: true,
      })
      .option("profile", { type: "string", default: "max", describe: "which SMMU judges commands", requiresArg: true })
      .option("json", { type: "boolean", default: false, describe: "print one JSON document instead of the text" })
      .epilogue(examples(["quiesce decode dmesg console.log"], ["dmesg | quiesce decode dmesg"])),
  handler: dmesg,
};
