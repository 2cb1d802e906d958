// SPDX-License-Identifier: MIT
/** `quiesce explain`: one translation, of a recording or of a saved state, step by step. */
import type { Argv, CommandModule } from "yargs";
import { type MachineState, StateError, nearest, parseState } from "../../lab/index.ts";
import {
  ExplainError,
  Explainer,
  type Explanation,
  explainDocument,
  explainState,
  explainText,
  isFirmwareRecording,
} from "../../interop/index.ts";
import { UsageError } from "../exit.ts";
import { inputName, readLines, readText } from "../input.ts";
import { RecordingLines, onRecording } from "../recordings.ts";
import { Progress, painter, print, printJson } from "../terminal.ts";
import { examples } from "../usage.ts";

interface ExplainArguments {
  readonly recording: string | undefined;
  readonly record: number | undefined;
  readonly state: string | undefined;
  readonly stream: string | undefined;
  readonly substream: string | undefined;
  readonly address: string | undefined;
  readonly write: boolean;
  readonly privileged: boolean;
  readonly instruction: boolean;
  readonly json: boolean;
}

const PROGRESS_EVERY = 1024;
/** Lines of the beginning by which a recording is recognised. */
const HEAD = 64;

async function fromRecording(recording: string, record: number | undefined): Promise<Explanation> {
  if (record === undefined || !Number.isSafeInteger(record) || record < 0)
    throw new UsageError("--record is the number of a record, from 0");
  const progress = new Progress();
  let lines: RecordingLines | undefined;
  let explainer: Explainer | undefined;
  try {
    const head: string[] = [];
    for await (const line of readLines(recording)) {
      if (lines === undefined) {
        // Text instead of a header: if it is a firmware driver's, say so and not what is wrong with it as JSON.
        if (
          !line
            .trimStart()
            .replace(/^\ufeff/, "")
            .startsWith("{") &&
          head.push(line) < HEAD
        ) {
          if (isFirmwareRecording(head))
            throw new UsageError(
              `${inputName(recording)}: a recording of firmware holds register accesses and no translations; quiesce replay compares it`,
            );
          continue;
        }
        const [first = line] = head;
        lines = new RecordingLines(recording, first);
        explainer = new Explainer(lines.header, record);
        continue;
      }
      const next = lines.read(line);
      if (onRecording(recording, lines.lines, () => explainer!.apply(next))) break;
      if (next.n % PROGRESS_EVERY === 0) progress.update(`record ${next.n} of ${record}`);
    }
    if (explainer === undefined && head.length > 0) lines = new RecordingLines(recording, head[0]!);
    if (explainer === undefined) throw new UsageError(`${inputName(recording)}: is empty`);
    return explainer.explanation;
  } finally {
    progress.clear();
  }
}

/** A number below `limit`, decimal or 0x. */
function numberOf(option: string, text: string, limit: bigint): bigint {
  const value = /^(0x[0-9a-f]+|[0-9]+)$/i.test(text) ? BigInt(text) : -1n;
  if (value < 0n || value >= limit)
    throw new UsageError(`--${option} ${text}: a decimal or 0x number below 2^${(limit - 1n).toString(2).length}`);
  return value;
}

/** A StreamID, or the name of a device that has one. */
function streamOf({ streams }: MachineState, text: string): number {
  const named = streams.find(({ name }) => name === text);
  if (named) return named.streamId;
  if (/^[0-9]/.test(text)) return Number(numberOf("stream", text, 2n ** 32n));
  const names = streams.map(({ name }) => name);
  const meant = nearest(text, names);
  throw new UsageError(`--stream ${text}: no such device; ${meant === undefined ? `there are ${names.join(", ")}` : `meant ${meant}?`}`);
}

async function fromState(file: string, argv: ExplainArguments): Promise<Explanation> {
  const { stream, address, substream, write, privileged, instruction } = argv;
  if (stream === undefined || address === undefined) throw new UsageError("--state goes with --stream and --address");
  if (write && instruction) throw new UsageError("--write and --instruction: instructions are read, not written");
  const state = parseState(await readText(file));
  return explainState(state, {
    streamId: streamOf(state, stream),
    substreamId: substream === undefined ? undefined : Number(numberOf("substream", substream, 2n ** 20n)),
    address: numberOf("address", address, 2n ** 64n),
    write,
    privileged,
    instruction,
  });
}

async function explain(argv: ExplainArguments): Promise<void> {
  const { recording, state, record } = argv;
  if ((recording === undefined) === (state === undefined)) throw new UsageError("name a --recording or a --state, one of them");
  if (recording !== undefined && (argv.stream ?? argv.address ?? argv.substream) !== undefined)
    throw new UsageError("--stream, --substream and --address go with --state; a recording's requests have their own");
  if (state !== undefined && record !== undefined) throw new UsageError("--record goes with --recording");
  try {
    const explanation = await (recording === undefined ? fromState(state!, argv) : fromRecording(recording, record));
    if (argv.json) printJson(explainDocument(explanation));
    else print(explainText(explanation, painter()));
  } catch (error) {
    if (error instanceof ExplainError || error instanceof StateError)
      throw new UsageError(`${inputName(recording ?? state)}: ${error.message}`);
    throw error;
  }
}

export const explainCommand: CommandModule<object, ExplainArguments> = {
  command: "explain",
  describe: "one translation step by step, from a recording or a saved state",
  builder: (yargs: Argv<object>): Argv<ExplainArguments> =>
    yargs
      .option("recording", {
        type: "string",
        describe: "a recording (.ndjson or .ndjson.gz), or - for standard input",
        requiresArg: true,
      })
      .option("record", { type: "number", describe: "number of the translation request in the recording", requiresArg: true })
      .option("state", {
        type: "string",
        describe: "a state that quiesce run --save-state wrote, or - for standard input",
        requiresArg: true,
      })
      .option("stream", { type: "string", describe: "of a state: a StreamID, or the name of a device", requiresArg: true })
      .option("substream", { type: "string", describe: "of a state: the SubstreamID (default: none)", requiresArg: true })
      .option("address", { type: "string", describe: "of a state: the input address", requiresArg: true })
      .option("write", { type: "boolean", default: false, describe: "of a state: a write (default: a read)" })
      .option("privileged", { type: "boolean", default: false, describe: "of a state: a privileged access" })
      .option("instruction", { type: "boolean", default: false, describe: "of a state: an instruction fetch" })
      .option("json", { type: "boolean", default: false, describe: "print one JSON document instead of the text" })
      .epilogue(
        examples(
          ["quiesce explain --recording edu.ndjson.gz --record 333", "registers, structures and descriptors on the way"],
          ["quiesce explain --state s.gz --stream etr --address 0xfff29680 --write", "what a write would meet in a state that a run saved"],
        ),
      ),
  handler: explain,
};
