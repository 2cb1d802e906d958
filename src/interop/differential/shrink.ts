// SPDX-License-Identifier: MIT
/** Makes a failing program simpler: fewer steps, fewer streams and mappings, plainer fields, as long as it still fails. */
import { type Fields, type MappingPlan, type Program, type Step, type StreamPlan, TABLES, type TablePlan } from "./program.ts";

function without<T>(list: readonly T[], from: number, count: number): readonly T[] {
  return [...list.slice(0, from), ...list.slice(from + count)];
}

function replaced<T>(list: readonly T[], at: number, value: T): readonly T[] {
  return list.map((old, index) => (index === at ? value : old));
}

/** Halves, quarters, … and single elements left out. */
function* shorter<T>(list: readonly T[]): Generator<readonly T[]> {
  for (let size = list.length; size >= 1; size = Math.floor(size / 2)) {
    for (let from = 0; from < list.length; from += size) yield without(list, from, size);
  }
}

function* plainer(fields: Fields): Generator<Fields> {
  for (const name of Object.keys(fields)) {
    // Tags keep streams apart.
    if (name !== "ASID" && name !== "S2VMID") yield Object.fromEntries(Object.entries(fields).filter(([other]) => other !== name));
  }
}

function* plainerMapping(mapping: MappingPlan): Generator<MappingPlan> {
  const { kind, ...rest } = mapping;
  if (kind !== undefined) yield rest;
  if (mapping.apTable !== 0) yield { ...mapping, apTable: 0 };
  if (mapping.nG !== 1) yield { ...mapping, nG: 1 };
  if (mapping.af !== 1) yield { ...mapping, af: 1 };
}

function* plainerTable(table: TablePlan): Generator<TablePlan> {
  // Mappings keep their numbers, which steps use: only the last one can go.
  if (table.mappings.length > 0) yield { ...table, mappings: table.mappings.slice(0, -1) };
  for (const [index, mapping] of table.mappings.entries()) {
    for (const simple of plainerMapping(mapping)) yield { ...table, mappings: replaced(table.mappings, index, simple) };
  }
}

function* plainerStream(stream: StreamPlan): Generator<StreamPlan> {
  for (const ste of plainer(stream.ste)) yield { ...stream, ste };
  for (const cd of plainer(stream.cd)) yield { ...stream, cd };
  for (const name of TABLES) {
    const table = stream[name];
    if (table === undefined) continue;
    const others = TABLES.filter((other) => other !== name && stream[other] !== undefined);
    if (others.length > 0 && (name !== "stage2" || stream.kind === "stage1")) yield { ...stream, [name]: undefined };
    for (const simple of plainerTable(table)) yield { ...stream, [name]: simple };
  }
}

function* plainerStep(step: Step): Generator<Step> {
  if (step.op === "ste") for (const ste of plainer(step.ste)) yield { ...step, ste };
  if (step.op === "cd") for (const cd of plainer(step.cd)) yield { ...step, cd };
  if ("by" in step && step.by !== 3) yield { ...step, by: 3 };
}

/** A program without its last stream; steps of that stream go along. */
function* fewerStreams(program: Program): Generator<Program> {
  const { streams, steps } = program;
  for (let gone = streams.length - 1; gone >= 0 && streams.length > 1; gone--) {
    const kept = steps.filter((step) => !("stream" in step) || step.stream !== gone);
    const renumbered = kept.map((step) => ("stream" in step && step.stream > gone ? { ...step, stream: step.stream - 1 } : step));
    yield { ...program, streams: without(streams, gone, 1), steps: renumbered };
  }
}

/** Simpler programs, the boldest first. */
export function* simplerPrograms(program: Program): Generator<Program> {
  const { streamTable, streams, steps } = program;
  for (const fewer of shorter(steps)) yield { ...program, steps: fewer };
  yield* fewerStreams(program);
  const { span, ...whole } = streamTable;
  if (span !== undefined) yield { ...program, streamTable: whole };
  if (streamTable.split !== undefined) yield { ...program, streamTable: { ...whole, split: undefined } };
  if (streamTable.log2Size !== 8) yield { ...program, streamTable: { ...streamTable, log2Size: 8 } };
  for (const [index, stream] of streams.entries()) {
    for (const simple of plainerStream(stream)) yield { ...program, streams: replaced(streams, index, simple) };
  }
  for (const [index, step] of steps.entries()) {
    for (const simple of plainerStep(step)) yield { ...program, steps: replaced(steps, index, simple) };
  }
  if (program.cr1 !== 0) yield { ...program, cr1: 0 };
  if (program.cr2 !== 2) yield { ...program, cr2: 2 };
}

/**
 * Searches for the simplest program that still fails, whoever tries them: ask `next`, try it, tell `report`.
 */
export class Shrinker {
  #best: Program;
  #candidates: Iterator<Program>;
  #tried: Program | undefined;
  #triesLeft: number;

  /** @param tries limit of programs to try */
  constructor(failing: Program, tries: number = 400) {
    this.#best = failing;
    this.#candidates = simplerPrograms(failing);
    this.#triesLeft = tries;
  }

  /** The simplest failing program so far. */
  get best(): Program {
    return this.#best;
  }

  /** The next program to try; undefined when there is no simpler one. */
  next(): Program | undefined {
    if (this.#triesLeft-- <= 0) return undefined;
    const next = this.#candidates.next();
    this.#tried = next.done === true ? undefined : next.value;
    return this.#tried;
  }

  /** Says whether the program of the last {@link next} fails as the first one did. */
  report(fails: boolean): void {
    if (!fails || this.#tried === undefined) return;
    this.#best = this.#tried;
    this.#candidates = simplerPrograms(this.#best);
  }
}
