// SPDX-License-Identifier: MIT
/** Recordings with one record changed, and what a replay makes of them. */
import { join } from "node:path";
import { RecordingReader, type ReplayReport, Replayer } from "../../../src/interop/index.ts";
import { FIXTURES, linesOf } from "../explain/machine.ts";

/** One record as it stands in the file. */
export interface Line {
  n: number;
  t: string;
  o: string;
  s: number;
  v: string;
  idr: string[];
  iidr: string;
  aidr: string;
  sid: number;
  iova: string;
  f: string;
  r: AnswerLine;
  u: AnswerLine;
  arch: AnswerLine;
  dev: string;
  inj: string;
  h: number[];
  fx: EffectLine[];
  st: { cons: string; eprod: string; gerr: string; cr0ack: string };
}

export interface AnswerLine {
  s: string;
  pa?: string | undefined;
  mask?: string | undefined;
  perm?: string | undefined;
  ev?: string | undefined;
}

/** `["c", cons, address, bytes]` and the like. */
export type EffectLine = (string | number)[];

export interface Recording {
  readonly header: string;
  readonly lines: readonly string[];
  readonly records: readonly Line[];
}

const known = new Map<string, Recording>();

export function fixture(name: string): Recording {
  const old = known.get(name);
  if (old) return old;
  const [header = "", ...lines] = linesOf(join(FIXTURES, `${name}.ndjson.gz`));
  const recording = { header, lines, records: lines.map((line) => JSON.parse(line) as Line) };
  known.set(name, recording);
  return recording;
}

/** A recording by hand: records without their numbers. */
export function byHand(records: readonly Partial<Line>[]): Recording {
  const numbered = records.map((record, n) => ({ n, ...record }) as Line);
  const header = JSON.stringify({
    t: "hdr",
    format: "smmuv3-trace/1",
    scenario: "by hand",
    what: "",
    qemu: "10.0.13",
    kernel: "",
    mmio_base: "0x0",
  });
  return { header, lines: numbered.map((record) => JSON.stringify(record)), records: numbered };
}

export function replayLines(header: string, lines: readonly string[]): ReplayReport {
  const reader = new RecordingReader();
  const replayer = new Replayer(reader.header(header));
  for (const line of lines) replayer.apply(reader.record(line));
  return replayer.report();
}

/** Number of the n-th record that is wanted. */
export function find({ records }: Recording, wanted: (record: Line, n: number) => boolean, nth: number = 0): number {
  const found = records.flatMap((record, n) => (wanted(record, n) ? [n] : []))[nth];
  if (found === undefined) throw new RangeError("no such record");
  return found;
}

/** A copy of a record, to be changed. */
export function copy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** What is unexplained in a recording up to a few records behind the one that was changed. */
export function wrongAfter(recording: Recording, n: number, change: (record: Line) => void): ReplayReport["findings"] {
  const record = copy(recording.records[n]!);
  change(record);
  const lines = [...recording.lines.slice(0, n), JSON.stringify(record), ...recording.lines.slice(n + 1, n + 4)];
  return replayLines(recording.header, lines).findings.filter(({ deviation }) => deviation === undefined);
}

/** The effects of a kind. */
export function effects(record: Partial<Line>, kind: string): EffectLine[] {
  return (record.fx ?? []).filter(([name]) => name === kind);
}

export function drop(record: Line, key: keyof Line): void {
  Reflect.deleteProperty(record, key);
}

export function withoutEffects(record: Line, kind: string): void {
  record.fx = record.fx.filter(([name]) => name !== kind);
}

/** A hexadecimal number with bits changed. */
export function flipped(text: string | number | undefined, bits: number): string {
  return `0x${(BigInt(text ?? 0) ^ BigInt(bits)).toString(16)}`;
}

/** 32-bit words of bytes in hexadecimal, one of them changed. */
export function flippedWord(bytes: string | number | undefined, word: number, bits: number): string {
  const buffer = Buffer.from(String(bytes), "hex");
  buffer.writeUInt32LE((buffer.readUInt32LE(4 * word) ^ bits) >>> 0, 4 * word);
  return buffer.toString("hex");
}
