// SPDX-License-Identifier: MIT
/**
 * Carries a firmware recording out on the model and compares: every register read but identification, every consumed command
 * in order. The recordings show what a driver does, so the mistakes that the model's lint names matter as much as the
 * comparison.
 */
import { HostMisuseError, NotModelledError, type SmmuConfig, hex64, smmuRegisters, writeWords } from "../../hw/index.ts";
import type { Difference } from "../replay/difference.ts";
import { RecordingError } from "../replay/recording.ts";
import { type FirmwareRun, type FirmwareStep, parseFirmware, type RunKind } from "./format.ts";
import { type Diagnostic, FirmwareMachine } from "./machine.ts";
import { otherState } from "./other-states.ts";
import { configOfFirmware, isIdentification } from "./profile.ts";
import { type StubDeviation, stubDeviations } from "./stub-deviations.ts";

const CR0 = 0x20;
const CMDQEN = 8;
const CMDQ_PROD = 0x98;

/** One difference with where it stood. */
export interface FirmwareFinding {
  /** Of an overlay: the line of the first run that it stands for. */
  readonly line: number;
  readonly difference: Difference;
  /** Undefined: the model is wrong. */
  readonly deviation: Pick<StubDeviation, "id" | "section" | "title"> | undefined;
}

/** What the lint said about the driver. */
export interface FirmwareDiagnostic extends Diagnostic {
  readonly line: number;
}

/** An identification register that the model answers otherwise than the stub did. */
export interface Identification {
  readonly register: string;
  readonly ours: string;
  readonly theirs: string;
}

export interface FirmwareRunReport {
  readonly title: string;
  /** Where it begins. */
  readonly line: number;
  readonly kind: RunKind;
  /** Accesses carried out. */
  readonly records: number;
  /** Comparisons that came out equal. */
  readonly equal: number;
  /** Differences explained by what the stub is not, by its id. */
  readonly deviations: Readonly<Record<string, number>>;
  /** Differences that nothing explains. */
  readonly wrong: number;
  readonly findings: readonly FirmwareFinding[];
  /** Reads of identification registers, which are not compared. */
  readonly identification: number;
  /** CMD_SYNCs that stand in for commands which the recording leaves out. */
  readonly standIns: number;
  readonly diagnostics: readonly FirmwareDiagnostic[];
  /** Accesses of other Security states and whatever else the model has not got. */
  readonly notModelled: Readonly<Record<string, number>>;
}

export interface FirmwareReport {
  /** The recording's first note. */
  readonly scenario: string;
  readonly records: number;
  readonly equal: number;
  readonly deviations: Readonly<Record<string, number>>;
  readonly wrong: number;
  readonly findings: readonly FirmwareFinding[];
  readonly lint: Readonly<Record<string, number>>;
  readonly notModelled: Readonly<Record<string, number>>;
  readonly identification: readonly Identification[];
  readonly runs: readonly FirmwareRunReport[];
}

function count(into: Record<string, number>, key: string, by: number = 1): void {
  into[key] = (into[key] ?? 0) + by;
}

/** Adds up what runs have counted. */
function total(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const one of counts) for (const [key, value] of Object.entries(one)) count(sum, key, value);
  return sum;
}

const commandText = (words: Uint32Array): string => `${hex64(words[1]!, words[0]!)} ${hex64(words[3]!, words[2]!)}`;

/** Carries out one run on a machine of its own. */
export class RunReplay {
  readonly machine: FirmwareMachine;
  readonly #run: FirmwareRun;
  #records = 0;
  #equal = 0;
  #wrong = 0;
  #identification = 0;
  #standIns = 0;
  readonly #deviations: Record<string, number> = {};
  readonly #findings: FirmwareFinding[] = [];
  readonly #diagnostics: FirmwareDiagnostic[] = [];

  constructor(run: FirmwareRun, config: SmmuConfig) {
    this.#run = run;
    this.machine = new FirmwareMachine(config);
  }

  /** Does what the first run does up to where it takes the Command queue down, without comparing. */
  prepare(first: FirmwareRun): void {
    const end = first.steps.findLastIndex((step) => step.kind === "write" && step.offset === CR0 && (step.lo & CMDQEN) !== 0);
    const stop = first.steps.findIndex((step, index) => index > end && step.kind === "write" && step.offset === CR0);
    const steps = first.steps.slice(0, stop < 0 ? undefined : stop);
    this.#placeMemory(steps);
    steps.forEach((step, index) => {
      if (step.kind !== "write" || otherState("write", step.offset) !== undefined) return;
      for (const command of consumed(steps, index)) this.machine.placeCommand(command.index, command.words);
      this.machine.write(step.offset, step.width, step.lo, step.hi);
    });
    const { steps: own } = this.#run;
    const write = own.findIndex((step) => step.kind === "write" && step.offset === CMDQ_PROD);
    const published = own[write];
    if (published?.kind === "write") this.#standIns = this.machine.advanceQueue(published.lo - consumed(own, write).length);
    this.machine.takeDiagnostics();
  }

  replay(): FirmwareRunReport {
    const { steps, title, line, kind } = this.#run;
    this.#placeMemory(steps);
    steps.forEach((step, index) => this.#step(step, index));
    this.machine.smmu.audit();
    this.#takeDiagnostics(steps.at(-1)?.line ?? line);
    return {
      title,
      line,
      kind,
      records: this.#records,
      equal: this.#equal,
      deviations: this.#deviations,
      wrong: this.#wrong,
      findings: this.#findings,
      identification: this.#identification,
      standIns: this.#standIns,
      diagnostics: this.#diagnostics,
      notModelled: Object.fromEntries(this.machine.notModelled.counts),
    };
  }

  /** Structures stand in memory before the access that publishes them; each stays until the next one for its address. */
  #placeMemory(steps: readonly FirmwareStep[]): void {
    const placed = new Set<number>();
    for (const step of steps) {
      if (step.kind !== "memory" || placed.has(step.address)) continue;
      placed.add(step.address);
      writeWords(this.machine.bus.memory, step.address, step.words);
    }
  }

  #step(step: FirmwareStep, index: number): void {
    const { steps } = this.#run;
    switch (step.kind) {
      case "read":
      case "write": {
        this.#records++;
        const state = otherState(step.kind, step.offset);
        if (state !== undefined) this.machine.notModelled.note(state);
        else if (step.kind === "read") this.#read(step);
        else this.#write(step, consumed(steps, index));
        break;
      }
      case "memory": {
        const next = steps.find((later, at) => at > index && later.kind === "memory" && later.address === step.address);
        if (next?.kind === "memory") writeWords(this.machine.bus.memory, next.address, next.words);
        break;
      }
      default:
        break;
    }
    this.#takeDiagnostics(step.line);
  }

  #read({ line, offset, width, lo, hi }: Extract<FirmwareStep, { kind: "read" | "write" }>): void {
    const ours = this.machine.read(offset, width);
    if (isIdentification(offset)) {
      this.#identification++;
      return;
    }
    this.#compare(line, ours.lo === lo && ours.hi === hi, {
      what: "read",
      offset,
      ours: hex64(ours.hi, ours.lo),
      theirs: hex64(hi, lo),
    });
  }

  #write({ line, offset, width, lo, hi }: Extract<FirmwareStep, { kind: "read" | "write" }>, commands: readonly ConsumedCommand[]): void {
    for (const { index, words } of commands) this.machine.placeCommand(index, words);
    const ours = this.machine.write(offset, width, lo, hi).map(commandText);
    const theirs = commands.map(({ words }) => commandText(words));
    if (ours.length === 0 && theirs.length === 0) return;
    const equal = ours.length === theirs.length && ours.every((text, index) => text === theirs[index]);
    this.#compare(line, equal, { what: "commands", ours, theirs });
  }

  #compare(line: number, equal: boolean, difference: Difference): void {
    if (equal) {
      this.#equal++;
      return;
    }
    const { commandError, inconsistent } = this.machine;
    const deviation = stubDeviations.find((candidate) => candidate.applies(difference, { commandError, inconsistent }));
    this.#findings.push({ line, difference, deviation });
    if (deviation) count(this.#deviations, deviation.id);
    else this.#wrong++;
  }

  #takeDiagnostics(line: number): void {
    for (const diagnostic of this.machine.takeDiagnostics()) this.#diagnostics.push({ line, ...diagnostic });
  }
}

type ConsumedCommand = Extract<FirmwareStep, { kind: "command" }>;

/** The commands that the stub consumed because of the access at `index`. */
function consumed(steps: readonly FirmwareStep[], index: number): readonly ConsumedCommand[] {
  const commands: ConsumedCommand[] = [];
  for (const step of steps.slice(index + 1)) {
    if (step.kind === "read" || step.kind === "write" || step.kind === "gap") break;
    if (step.kind === "command") commands.push(step);
  }
  return commands;
}

/** Identification registers that were read, with what the model has there. */
function identificationOf(runs: readonly FirmwareRun[], machine: FirmwareMachine): Identification[] {
  const seen = new Map<number, Identification>();
  for (const { steps } of runs) {
    for (const step of steps) {
      if (step.kind !== "read" || !isIdentification(step.offset) || seen.has(step.offset)) continue;
      const { lo, hi } = machine.read(step.offset, step.width);
      if (lo === step.lo && hi === step.hi) continue;
      const register = smmuRegisters.find(({ offset }) => offset === step.offset)?.name ?? `offset 0x${step.offset.toString(16)}`;
      seen.set(step.offset, { register, ours: hex64(hi, lo), theirs: hex64(step.hi, step.lo) });
    }
  }
  return [...seen.values()];
}

/**
 * Replays a firmware recording.
 * @param lines of the file, without line ends
 * @throws RecordingError naming the bad line
 */
export function replayFirmware(lines: readonly string[]): FirmwareReport {
  const runs = parseFirmware(lines);
  const first = runs[0]!;
  let config: SmmuConfig;
  let machine: FirmwareMachine;
  try {
    config = configOfFirmware(first.title, runs);
    machine = new FirmwareMachine(config);
  } catch (error) {
    if (!(error instanceof HostMisuseError || error instanceof NotModelledError)) throw error;
    throw new RecordingError(first.line, `the ID registers of this recording cannot be modelled: ${error.message}`);
  }
  const reports = runs.map((run) => {
    const replay = new RunReplay(run, config);
    if (run.kind === "excerpt") replay.prepare(first);
    return replay.replay();
  });
  return {
    scenario: first.title,
    records: reports.reduce((sum, { records }) => sum + records, 0),
    equal: reports.reduce((sum, { equal }) => sum + equal, 0),
    deviations: total(reports.map(({ deviations }) => deviations)),
    wrong: reports.reduce((sum, { wrong }) => sum + wrong, 0),
    findings: reports.flatMap(({ findings }) => findings),
    lint: total(reports.flatMap(({ diagnostics }) => diagnostics.map(({ rule }) => ({ [rule]: 1 })))),
    notModelled: total(reports.map(({ notModelled }) => notModelled)),
    identification: identificationOf(runs, machine),
    runs: reports,
  };
}
