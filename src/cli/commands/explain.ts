// SPDX-License-Identifier: MIT
/** `quiesce explain`: one translation of a recording, step by step. */
import type { Argv, CommandModule } from "yargs";
import { ExplainError, Explainer, explainDocument, explainText } from "../../interop/index.ts";
import { UsageError } from "../exit.ts";
import { inputName, readLines } from "../input.ts";
import { RecordingLines, onRecording } from "../recordings.ts";
import { Progress, painter, print, printJson } from "../terminal.ts";
import { examples } from "../usage.ts";

interface ExplainArguments {
  readonly recording: string;
  readonly record: number;
  readonly json: boolean;
}

const PROGRESS_EVERY = 1024;

async function explain({ recording, record, json }: ExplainArguments): Promise<void> {
  if (!Number.isSafeInteger(record) || record < 0) throw new UsageError("--record is the number of a record, from 0");
  const progress = new Progress();
  let lines: RecordingLines | undefined;
  let explainer: Explainer | undefined;
  try {
    for await (const line of readLines(recording)) {
      if (lines === undefined) {
        lines = new RecordingLines(recording, line);
        explainer = new Explainer(lines.header, record);
        continue;
      }
      const next = lines.read(line);
      if (onRecording(recording, lines.lines, () => explainer!.apply(next))) break;
      if (next.n % PROGRESS_EVERY === 0) progress.update(`record ${next.n} of ${record}`);
    }
    if (explainer === undefined) throw new UsageError(`${inputName(recording)}: is empty`);
    const { explanation } = explainer;
    progress.clear();
    if (json) printJson(explainDocument(explanation));
    else print(explainText(explanation, painter()));
  } catch (error) {
    if (error instanceof ExplainError) throw new UsageError(`${inputName(recording)}: ${error.message}`);
    throw error;
  } finally {
    progress.clear();
  }
}

export const explainCommand: CommandModule<object, ExplainArguments> = {
  command: "explain",
  describe: "one translation step by step, from a recording",
  builder: (yargs: Argv<object>): Argv<ExplainArguments> =>
    yargs
      .option("recording", {
        type: "string",
        demandOption: true,
        describe: "a recording (.ndjson or .ndjson.gz), or - for standard input",
        requiresArg: true,
      })
      .option("record", { type: "number", demandOption: true, describe: "number of the translation request in it", requiresArg: true })
      .option("json", { type: "boolean", default: false, describe: "print one JSON document instead of the text" })
      .epilogue(examples(["quiesce explain --recording edu.ndjson.gz --record 333", "registers, structures and descriptors on the way"])),
  handler: explain,
};
