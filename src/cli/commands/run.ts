// SPDX-License-Identifier: MIT
/** `quiesce run`: one scenario, or one cell of the matrix, with its verdict, timeline and evidence. */
import { basename, dirname } from "node:path";
import { gzipSync } from "node:zlib";
import type { Argv, CommandModule } from "yargs";
import { fdt_read, FdtError, unflatten_device_tree } from "../../kernel/index.ts";
import {
  BoardError,
  checkScenario,
  machineOnBoard,
  type MachineState,
  ScenarioError,
  type RunResult,
  brokenExpectations,
  cellScenario,
  expectsNothing,
  LAYOUTS,
  onLayout,
  parseAnyCell,
  parseLayout,
  parseScenario,
  runDocument,
  runScenario,
  runText,
  type Scenario,
  stateText,
} from "../../lab/index.ts";
import { ExitCode, UsageError } from "../exit.ts";
import { MOST_DTB, prepareFolder, readInput, writeFiles } from "../files.ts";
import { inputName, readBlob, readText } from "../input.ts";
import { invocation, shellWord } from "../invocation.ts";
import { LOG_LEVELS, type LogLevel, makeLogger } from "../log.ts";
import { chosenSeed } from "../seed.ts";
import { painter, print, printJson } from "../terminal.ts";
import { examples } from "../usage.ts";

interface RunArguments {
  readonly scenario: string | undefined;
  readonly cell: string | undefined;
  readonly layout: string | undefined;
  readonly dtb: string | undefined;
  readonly seed: string | undefined;
  readonly "save-state": string | undefined;
  readonly at: string | undefined;
  readonly json: boolean;
  readonly "log-level": LogLevel;
}

/** The scenario with its machine where a device tree blob says. @throws UsageError with a line for each thing in the way */
async function onBoard(scenario: Scenario, dtb: string): Promise<Scenario> {
  const blob = await readBlob(dtb, MOST_DTB);
  const refuse = (lines: readonly string[]): never => {
    throw new UsageError(lines.map((line) => `${inputName(dtb)}: ${line}`).join("\n"));
  };
  try {
    const fdt = fdt_read(blob);
    const reserved = fdt.reservations.map(({ address, size }) => ({ base: Number(address), size: Number(size) }));
    const placed = { ...scenario, machine: machineOnBoard(unflatten_device_tree(fdt), scenario.machine, reserved) };
    const problems = checkScenario(placed);
    return problems.length > 0 ? refuse(problems.map(({ message }) => message)) : placed;
  } catch (error) {
    if (error instanceof FdtError || error instanceof BoardError) return refuse(error.message.split("\n"));
    throw error;
  }
}

/** The scenario that was asked for, and the words that ask for it again. */
async function chosenScenario(argv: RunArguments): Promise<{ scenario: Scenario; words: string }> {
  if ((argv.scenario === undefined) === (argv.cell === undefined)) throw new UsageError("name a scenario file or a --cell, one of them");
  if (argv.cell !== undefined) {
    if (argv.dtb !== undefined) throw new UsageError("--dtb goes with a scenario; a cell's board is the lab's own");
    const key = parseAnyCell(argv.cell);
    if (key === undefined)
      throw new UsageError(`--cell ${argv.cell}: a cell is SMMU-POLICY/CLIENT/HOOK/WAY-DOWN, as in bypass/hdlcd/no-hook/kexec`);
    if (argv.layout === undefined) return { scenario: cellScenario(key), words: `--cell ${argv.cell}` };
    const layout = parseLayout(argv.layout);
    if (layout === undefined) throw new UsageError(`--layout is ${argv.layout}; possible: ${LAYOUTS.join(", ")}`);
    return { scenario: onLayout(cellScenario(key), layout), words: `--cell ${argv.cell} --layout ${layout}` };
  }
  if (argv.layout !== undefined) throw new UsageError("--layout goes with --cell; a scenario says where its RAM lies");
  // The parser makes an empty text of a "-" that stands alone.
  const file = argv.scenario === "" ? "-" : argv.scenario!;
  if (file === "-" && argv.dtb === "-") throw new UsageError("the scenario and --dtb cannot both come from standard input");
  const text = file === "-" ? await readText(file) : readInput(file);
  try {
    const scenario = parseScenario(text, inputName(file));
    if (argv.dtb === undefined) return { scenario, words: shellWord(file) };
    return { scenario: await onBoard(scenario, argv.dtb), words: `${shellWord(file)} --dtb ${shellWord(argv.dtb)}` };
  } catch (error) {
    if (error instanceof ScenarioError) throw new UsageError(error.message);
    throw error;
  }
}

/** A scenario's expectations decide; where there are none, as for a cell of the matrix, the claims do. */
function exitCodeOf(scenario: Scenario, result: RunResult, broken: readonly string[]): ExitCode {
  if (broken.length > 0) return ExitCode.broken;
  if (expectsNothing(scenario) && result.claims.some(({ holds }) => !holds)) return ExitCode.broken;
  return result.inconclusive ? ExitCode.inconclusive : ExitCode.ok;
}

/** `--at`: ms after the way down began, as a run's own output counts; undefined: at the end. */
function momentOf({ at, "save-state": file }: RunArguments): number | undefined {
  if (at === undefined) return undefined;
  if (file === undefined) throw new UsageError("--at goes with --save-state");
  const ms = /^\+?[0-9]+(\.[0-9]{1,6})?$/.test(at) ? Number(at) : Number.NaN;
  if (!(ms <= 1e6)) throw new UsageError(`--at ${at}: a moment is a number of ms after the way down began, such as +0.455`);
  return ms;
}

function saveState(file: string, state: MachineState | undefined, { at }: RunArguments): void {
  if (state === undefined) throw new UsageError(`--at ${at}: the run is over before that; nothing was saved`);
  const text = stateText(state);
  writeFiles(dirname(file), { [basename(file)]: file.endsWith(".gz") ? gzipSync(text) : text });
  process.stderr.write(`saved ${file}\n`);
}

async function run(argv: RunArguments): Promise<void> {
  const seed = chosenSeed(argv.seed);
  const { scenario, words } = await chosenScenario(argv);
  const file = argv["save-state"];
  const saveAtMs = momentOf(argv);
  if (file !== undefined) prepareFolder(dirname(file), [basename(file)]);
  let state: MachineState | undefined;
  const log = makeLogger(argv["log-level"]);
  // Documents say it as from the root of a clone, so that the same run gives the same bytes everywhere.
  const program = argv.json ? "node bin/quiesce.js" : invocation();
  const result = runScenario(scenario, {
    seed,
    replay: `${program} run ${words} --seed 0x${seed.toString(16)}`,
    ...(file === undefined ? {} : { save: (saved: MachineState) => (state = saved) }),
    ...(saveAtMs === undefined ? {} : { saveAtMs }),
  });
  for (const line of result.log) log.debug({ kernel: line.kernel, ns: line.time }, line.text);
  for (const [what, count] of Object.entries(result.notModelled)) log.info({ what, count }, "not modelled");
  const broken = brokenExpectations(scenario, result);
  if (argv.json) printJson(runDocument(scenario, result, broken));
  else print(runText(scenario, result, broken, painter()));
  if (file !== undefined) saveState(file, state, argv);
  process.exitCode = exitCodeOf(scenario, result, broken);
}

export const runCommand: CommandModule<object, RunArguments> = {
  command: "run [scenario]",
  describe: "run one scenario file, or one cell of the matrix",
  builder: (yargs: Argv<object>): Argv<RunArguments> =>
    yargs
      .positional("scenario", { type: "string", describe: "a scenario file (YAML); -: standard input" })
      .option("cell", { type: "string", describe: "a cell: SMMU-POLICY/CLIENT/HOOK/WAY-DOWN", requiresArg: true })
      .option("layout", {
        type: "string",
        describe: `with --cell: where RAM lies, of the layout experiment: ${LAYOUTS.join(", ")}`,
        requiresArg: true,
      })
      .option("dtb", {
        type: "string",
        describe: "with a scenario: a device tree blob that says where its machine's parts are; -: standard input",
        requiresArg: true,
      })
      .option("seed", { type: "string", describe: "seed of the stimulus, decimal or 0x (default: QUIESCE_SEED or 1)", requiresArg: true })
      .option("save-state", {
        type: "string",
        describe: "write the machine's state to this file, for quiesce explain (packed if it ends in .gz)",
        requiresArg: true,
      })
      .option("at", {
        type: "string",
        describe: "with --save-state: ms after the way down began, such as +0.455 (default: the end of the run)",
        requiresArg: true,
      })
      .option("json", { type: "boolean", default: false, describe: "print one JSON document instead of the text" })
      .option("log-level", {
        choices: LOG_LEVELS,
        default: "warn" as LogLevel,
        describe: "diagnostics on standard error; debug adds the kernels' logs",
      })
      .epilogue(
        [
          "Exit: what a scenario expects decides, whatever the claims: 0 if all is met,",
          "1 if not. Where nothing is expected (a cell, or a file without expect):",
          "0 if every claim holds, 1 if one is broken.\n",
        ].join("\n"),
      )
      .epilogue(
        examples(
          ["quiesce run scenarios/kexec-bypass-trace.yaml", "one scenario with its evidence"],
          ["quiesce run --cell bypass/hdlcd/no-hook/kexec", "one cell of the matrix"],
          ["quiesce run --dtb board.dtb scenario.yaml", "a scenario on the board of a device tree"],
          ["quiesce run --cell none/tmc-etr/no-hook/kexec --save-state s.gz --at +6", "and the machine as it is 6 ms into the way down"],
        ),
      ),
  handler: run,
};
