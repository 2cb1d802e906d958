// SPDX-License-Identifier: MIT
/** Compares what the model and another SMMU did with one script, and files each difference. */
import { Outcome, type SmmuConfig, hex64 } from "../../hw/index.ts";
import { type Deviation, type Difference, type DifferenceContext, sameAnswer } from "../replay/difference.ts";
import type { Probe } from "../replay/probe.ts";
import { deviationOf } from "../replay/qemu-deviations.ts";
import type { TraceRecord, TranslationAnswer } from "../replay/recording.ts";
import { type ModelRun, probeBefore } from "./model.ts";
import { DATA_BASE, DATA_SIZE } from "./program.ts";
import { type AccessOperation, EVENTQ_LOG2, type Observation, type Script } from "./script.ts";

const GERROR = 0x60;
const GERRORN = 0x64;
const CMDQ_CONS = 0x9c;
const EVENTQ_INDEXES: readonly number[] = [0xa8, 0xac, 0x1_00a8, 0x1_00ac];
const INDEX = 0xf_ffff;
const CMDQ_ERR = 1;

/** One difference with the step it came of. */
export interface DifferentialFinding {
  /** Number of the step in its program; -1: the beginning. */
  readonly step: number;
  readonly difference: Difference;
  /** Undefined: the model is wrong, or the other one is in a way that is not known. */
  readonly deviation: Deviation | undefined;
}

export interface Comparison {
  readonly equal: number;
  readonly findings: readonly DifferentialFinding[];
  /** Findings without a deviation. */
  readonly wrong: number;
}

/** What the other SMMU is. */
export interface OtherSmmu {
  /** Version of QEMU, such as 7.2 or 10. */
  readonly qemu: number;
  readonly config: SmmuConfig;
}

class Comparer {
  readonly #script: Script;
  readonly #run: ModelRun;
  readonly #other: OtherSmmu;
  readonly #findings: DifferentialFinding[] = [];
  #equal = 0;
  #probed: { readonly at: number; readonly probe: Probe } | undefined;
  /** Bits of GERROR, and of GERRORN, that only one of the two has toggled. */
  #gerror = 0;
  /** Event records that the model has written beyond theirs. */
  #events = 0;

  constructor(script: Script, run: ModelRun, other: OtherSmmu) {
    this.#script = script;
    this.#run = run;
    this.#other = other;
  }

  compare(theirs: readonly Observation[]): Comparison {
    const { observations } = this.#run;
    if (observations.length !== theirs.length) throw new RangeError(`${theirs.length} observations where ${observations.length} belong`);
    observations.forEach((ours, index) => this.#one(ours, theirs[index]!));
    return {
      equal: this.#equal,
      findings: this.#findings,
      wrong: this.#findings.filter(({ deviation }) => deviation === undefined).length,
    };
  }

  #one(ours: Observation, theirs: Observation): void {
    if (ours.at !== theirs.at) throw new RangeError(`an observation of operation ${theirs.at} where one of ${ours.at} belongs`);
    if (ours.what === "access" && theirs.what === "access") this.#access(ours, theirs);
    else if (ours.what === "read" && theirs.what === "read") this.#read(ours, theirs);
    else if (ours.what === "commands" && theirs.what === "commands") this.#commands(ours, theirs);
  }

  #judge(at: number, equal: boolean, difference: Difference, record: TraceRecord, answer: TranslationAnswer | undefined): void {
    if (equal) {
      this.#equal++;
      return;
    }
    const { qemu, config } = this.#other;
    const request = (): Extract<TraceRecord, { t: "x" }> => {
      if (record.t !== "x") throw new RangeError(`operation ${at} is no access`);
      return record;
    };
    const context: DifferenceContext = {
      record,
      qemu,
      config,
      idr: undefined,
      answer,
      eventPending: false,
      eventqFull: false,
      visible: (physical) => Number(physical) >= DATA_BASE && Number(physical) < DATA_BASE + DATA_SIZE,
      suppose: (supposed) => this.#probe(at).answer(request(), supposed),
      lastDescriptor: (supposed) => this.#probe(at).lastDescriptor(request(), supposed),
    };
    const deviation = deviationOf(difference, context);
    this.#findings.push({ step: this.#script.steps[at]!, difference, deviation });
  }

  /** The model once more, as it stood before an operation. */
  #probe(at: number): Probe {
    if (this.#probed?.at !== at) this.#probed = { at, probe: probeBefore(this.#script, at, this.#other.config) };
    return this.#probed.probe;
  }

  #access(ours: Extract<Observation, { what: "access" }>, theirs: Extract<Observation, { what: "access" }>): void {
    const operation = this.#script.operations[ours.at];
    if (operation?.op !== "access") throw new RangeError(`operation ${ours.at} is no access`);
    const own = this.#run.accesses.get(ours.at)!;
    const answers = { ours: answerOf(operation, ours), theirs: answerOf(operation, theirs) };
    // Only the model can tell a forwarded access from a lost one where no memory is.
    const forwarded: TranslationAnswer = { status: operation.untranslated ?? "ok", physical: own.physical };
    // An event that CD.R or STE.S2R keeps from being recorded is no less the reason.
    const exact: TranslationAnswer =
      own.outcome === Outcome.forward ? forwarded : own.event !== 0 ? { status: "fault", event: own.event } : answers.ours;
    const record = requestOf(ours.at, operation, answers.theirs);
    this.#judge(
      ours.at,
      sameAnswer(answers.ours, answers.theirs),
      { what: "translation", ours: exact, theirs: answers.theirs },
      record,
      exact,
    );
    this.#events += ours.events.length - theirs.events.length;
    for (let i = 0; i < Math.max(ours.events.length, theirs.events.length); i++) {
      const [a, b] = [ours.events[i], theirs.events[i]];
      const equal = a !== undefined && b !== undefined && a.every((word, index) => word === b[index]);
      const difference: Difference = { what: "event", ours: a && Uint32Array.from(a), theirs: b && Uint32Array.from(b) };
      this.#judge(ours.at, equal, difference, record, exact);
    }
  }

  #read(ours: Extract<Observation, { what: "read" }>, theirs: Extract<Observation, { what: "read" }>): void {
    const operation = this.#script.operations[ours.at];
    if (operation?.op !== "read") throw new RangeError(`operation ${ours.at} is no read`);
    const { offset, width } = operation;
    const lo = this.#theirView(offset, ours.lo);
    const their = offset === CMDQ_CONS ? (theirs.lo & INDEX) >>> 0 : theirs.lo;
    const difference: Difference = { what: "read", offset, ours: hex64(ours.hi, lo), theirs: hex64(theirs.hi, their) };
    const record: TraceRecord = { t: "r", n: ours.at, offset, size: width, lo: theirs.lo, hi: theirs.hi };
    this.#judge(ours.at, lo === their && ours.hi === theirs.hi, difference, record, undefined);
  }

  /** What theirs would read where ours reads `value`, given the differences met so far. */
  #theirView(offset: number, value: number): number {
    if (offset === GERROR || offset === GERRORN) return (value ^ this.#gerror) >>> 0;
    // CMDQ_CONS.ERR has a meaning only while an error is active, and none is when software looks.
    if (offset === CMDQ_CONS) return (value & INDEX) >>> 0;
    // Where the alias on page 0 does not exist there is nothing to move.
    if (EVENTQ_INDEXES.includes(offset)) return (value - this.#events) & (2 ** (EVENTQ_LOG2 + 1) - 1);
    return value;
  }

  #commands(ours: Extract<Observation, { what: "commands" }>, theirs: Extract<Observation, { what: "commands" }>): void {
    const operation = this.#script.operations[ours.at];
    if (operation?.op !== "commands") throw new RangeError(`operation ${ours.at} is no command`);
    const { commands, at: first } = operation;
    const text = ({ error, index }: { readonly error: number; readonly index: number }): string[] => {
      const consumed = commands.slice(0, index - first).map((words) => words.map((word) => word.toString(16).padStart(8, "0")).join(" "));
      return error === 0 ? consumed : [...consumed, `error ${error}`];
    };
    const difference: Difference = { what: "commands", ours: text(ours), theirs: text(theirs) };
    const record: TraceRecord = {
      t: "w",
      n: ours.at,
      offset: 0x98,
      size: 4,
      lo: first + commands.length,
      hi: 0,
      memory: [],
      effects: [],
      state: undefined,
    };
    if ((ours.error === 0) !== (theirs.error === 0)) this.#gerror ^= CMDQ_ERR;
    this.#judge(ours.at, ours.error === theirs.error && ours.index === theirs.index, difference, record, undefined);
  }
}

/** The answer to an access as memory and the Event queue show it. */
function answerOf(
  { untranslated, addressHi }: AccessOperation,
  { events, seen }: Extract<Observation, { what: "access" }>,
): TranslationAnswer {
  const record = events[0];
  if (record !== undefined) return { status: "fault", event: record[0]! & 0xff };
  if (seen !== undefined) return { status: untranslated ?? "ok", physical: hex64(Math.floor(seen / 2 ** 32), seen >>> 0) };
  // Passed on to where no memory is, or ended without an event: nobody outside can tell which.
  return untranslated !== undefined && addressHi !== 0 ? { status: untranslated } : { status: "fault", event: 0 };
}

function requestOf(n: number, operation: AccessOperation, answer: TranslationAnswer): Extract<TraceRecord, { t: "x" }> {
  const { sid, addressHi, addressLo, write, facts, stages } = operation;
  return {
    t: "x",
    n,
    memory: [],
    effects: [],
    state: undefined,
    sid,
    addressHi,
    addressLo,
    write,
    answer,
    uncached: undefined,
    hits: undefined,
    architecture: undefined,
    deviation: undefined,
    injected: facts,
    stages,
  };
}

/** @param theirs observations of the other SMMU, in the script's order */
export function compareRuns(script: Script, run: ModelRun, theirs: readonly Observation[], other: OtherSmmu): Comparison {
  return new Comparer(script, run, other).compare(theirs);
}
