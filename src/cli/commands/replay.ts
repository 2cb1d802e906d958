// SPDX-License-Identifier: MIT
/** `quiesce replay`: feeds a recording of real software to the SMMU and compares everything it saw. */
import type { Argv, CommandModule } from "yargs";
import {
  Replayer,
  firmwareDocument,
  firmwareText,
  isFirmwareRecording,
  qemuDeviations,
  replayDocument,
  replayFirmware,
  replayText,
} from "../../interop/index.ts";
import { ExitCode, UsageError } from "../exit.ts";
import { inputName, readLines } from "../input.ts";
import { RecordingLines, onRecording } from "../recordings.ts";
import { Progress, painter, print, printJson } from "../terminal.ts";
import { examples } from "../usage.ts";

interface ReplayArguments {
  readonly recording: string;
  readonly json: boolean;
}

/** A recording under way. */
interface Run {
  push(line: string): void;
  /** How far it is, for the progress line. */
  progress(): string;
  /** The input is at its end, or was interrupted. @returns true if nothing differs without an explanation */
  finish(complete: boolean, json: boolean): boolean;
}

/** A kind of recording. */
interface Format {
  readonly name: string;
  /** @param first up to {@link HEAD} lines of the beginning */
  recognises(first: readonly string[]): boolean;
  open(path: string): Run;
}

const HEAD = 64;
const PROGRESS_EVERY = 1024;

/** Records of a driver on an emulator, as JSON lines. */
function openTrace(path: string): Run {
  let lines: RecordingLines | undefined;
  let replayer: Replayer | undefined;
  return {
    push(line) {
      if (lines === undefined) {
        lines = new RecordingLines(path, line);
        replayer = new Replayer(lines.header);
        return;
      }
      const record = lines.read(line);
      onRecording(path, lines.lines, () => replayer!.apply(record));
    },
    progress: () => `record ${lines?.records ?? 0} of ${lines?.expected ?? 0}`,
    finish(complete, json) {
      if (complete) lines!.end();
      const report = replayer!.report();
      if (json) printJson(replayDocument(report, qemuDeviations, complete));
      else print(replayText(report, painter(), complete ? undefined : `interrupted after ${lines!.records} of ${lines!.expected} records`));
      return report.wrong === 0;
    },
  };
}

/** Accesses of a firmware driver, as text. Such files are small: the whole text is the unit of replay. */
function openFirmware(path: string): Run {
  const lines: string[] = [];
  return {
    push: (line) => lines.push(line),
    progress: () => `line ${lines.length}`,
    finish(_complete, json) {
      const report = onRecording(path, lines.length, () => replayFirmware(lines));
      if (json) printJson(firmwareDocument(report));
      else print(firmwareText(report, painter()));
      return report.wrong === 0;
    },
  };
}

const FORMATS: readonly Format[] = [
  { name: "smmuv3-trace", recognises: ([first = ""]) => first.startsWith("{"), open: openTrace },
  { name: "firmware", recognises: isFirmwareRecording, open: openFirmware },
];

async function replay({ recording, json }: ReplayArguments): Promise<void> {
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort();
  process.once("SIGINT", onInterrupt);
  const progress = new Progress();
  let run: Run | undefined;
  let head: string[] = [];
  const begin = (): void => {
    const format = FORMATS.find((candidate) => candidate.recognises(head));
    if (format === undefined)
      throw new UsageError(
        `${inputName(recording)}: line 1: this is no recording that quiesce knows (${FORMATS.map(({ name }) => name).join(", ")})`,
      );
    run = format.open(recording);
    for (const line of head) run.push(line);
    head = [];
  };
  try {
    let count = 0;
    for await (const line of readLines(recording, interrupt.signal)) {
      if (run !== undefined) run.push(line);
      else if (head.push(line) === HEAD || line.startsWith("{")) begin();
      if (++count % PROGRESS_EVERY === 0) progress.update(run?.progress() ?? "");
    }
    if (run === undefined && interrupt.signal.aborted) {
      process.exitCode = ExitCode.interrupted;
      return;
    }
    if (run === undefined) begin();
    progress.clear();
    const holds = run!.finish(!interrupt.signal.aborted, json);
    process.exitCode = interrupt.signal.aborted ? ExitCode.interrupted : holds ? ExitCode.ok : ExitCode.broken;
  } finally {
    progress.clear();
    process.removeListener("SIGINT", onInterrupt);
  }
}

export const replayCommand: CommandModule<object, ReplayArguments> = {
  command: "replay <recording>",
  describe: "feed a recording of a real driver to the SMMU and compare",
  builder: (yargs: Argv<object>): Argv<ReplayArguments> =>
    yargs
      .positional("recording", { type: "string", demandOption: true, describe: "a recording, packed by gzip or not; -: standard input" })
      .option("json", { type: "boolean", default: false, describe: "print one JSON document instead of the text" })
      .epilogue(examples(["quiesce replay edu.ndjson.gz", "what is equal, what deviates, what is wrong"])),
  handler: replay,
};
