// SPDX-License-Identifier: MIT
/**
 * Recordings of firmware drivers that talked to a stub in place of an SMMU, as text: register accesses in order, the commands
 * that the stub consumed, structures as they stood in memory, notes. One file holds several runs; further runs may be given
 * in part (see {@link RunKind}). This file turns lines into runs and says where a line is bad.
 */
import { RecordingError } from "../replay/recording.ts";

interface AtLine {
  /** Counted from 1. */
  readonly line: number;
}

export type FirmwareStep =
  | (AtLine & { readonly kind: "read" | "write"; readonly width: 4 | 8; readonly offset: number; readonly lo: number; readonly hi: number })
  /** A command as the stub consumed it. */
  | (AtLine & { readonly kind: "command"; readonly index: number; readonly words: Uint32Array })
  | (AtLine & { readonly kind: "memory"; readonly name: string; readonly address: number; readonly words: Uint32Array })
  | (AtLine & { readonly kind: "note"; readonly text: string })
  /** Lines are left out here. */
  | (AtLine & { readonly kind: "gap" });

/**
 * "whole": everything from a reset on. "overlay": numbered lines, which take the place of the first run's lines of those
 * numbers. "excerpt": lines from somewhere after the first run's initialisation.
 */
export type RunKind = "whole" | "overlay" | "excerpt";

export interface FirmwareRun {
  readonly title: string;
  readonly line: number;
  readonly kind: RunKind;
  readonly steps: readonly FirmwareStep[];
}

const ACCESS = /^([WR])([48]) ([0-9a-f]{1,8}) ([0-9a-f]{1,16})$/i;
const COMMAND = /^CMD idx=(\d+) op=([0-9a-f]{1,2}) ([0-9a-f]{16}) ([0-9a-f]{16})$/i;
const MEMORY = /^MEM (.+?) @([0-9a-f]{1,13}): ((?:[0-9a-f]{16} ?)+)$/i;
const NUMBERED = /^(\d+):(.*)$/;
const REPEATED = /\(last read repeated (\d+) more times?\)/;
/** A note on the access before it: no access of the driver. */
const BY_STUB = /\bline above is the stub\b/;
const HEADING = /^#\s*-{4,}\s*(.*)$/;
const GAP = /^-{1,2}$/;

/**
 * True if these lines are the beginning of a firmware recording: their first line that is no note is one of the format's.
 * @param first the first lines of a file, so many that one is no note
 */
export function isFirmwareRecording(first: readonly string[]): boolean {
  const lines = first.map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"));
  const [line] = lines;
  return line !== undefined && (ACCESS.test(line) || COMMAND.test(line) || MEMORY.test(line));
}

function fail(line: number, message: string): never {
  throw new RecordingError(line, message);
}

/** The halves of a hexadecimal number of up to 16 digits. */
function halves(digits: string): { readonly lo: number; readonly hi: number } {
  const text = digits.padStart(16, "0");
  return { hi: Number.parseInt(text.slice(0, 8), 16), lo: Number.parseInt(text.slice(8), 16) };
}

/** 64-bit words in hexadecimal as 32-bit words. */
function wordsOf(dwords: readonly string[]): Uint32Array {
  return Uint32Array.from(
    dwords.flatMap((dword) => {
      const { lo, hi } = halves(dword);
      return [lo, hi];
    }),
  );
}

function access(line: number, [, direction = "", size = "", offsetText = "", value = ""]: readonly string[]): FirmwareStep {
  const width = size === "4" ? 4 : 8;
  const offset = Number.parseInt(offsetText, 16);
  if (width === 4 && value.length > 8) fail(line, `the value ${value} has more than 32 bits`);
  if (offset % width !== 0) fail(line, `offset ${offsetText} is not a multiple of ${width}`);
  return { kind: direction.toUpperCase() === "W" ? "write" : "read", line, width, offset, ...halves(value) };
}

function command(line: number, [, index = "", opcode = "", low = "", high = ""]: readonly string[]): FirmwareStep {
  const words = wordsOf([low, high]);
  if ((words[0]! & 0xff) !== Number.parseInt(opcode, 16)) fail(line, `op=${opcode} is not the low byte of ${low}`);
  return { kind: "command", line, index: Number(index), words };
}

/** @returns undefined for a line that is empty */
function parseLine(line: number, text: string): FirmwareStep | undefined {
  if (text === "") return undefined;
  if (text.startsWith("#")) return { kind: "note", line, text: text.slice(1).trim() };
  if (GAP.test(text)) return { kind: "gap", line };
  const isAccess = ACCESS.exec(text);
  if (isAccess) return access(line, isAccess);
  const isCommand = COMMAND.exec(text);
  if (isCommand) return command(line, isCommand);
  const isMemory = MEMORY.exec(text);
  if (isMemory) {
    const [, name = "", address = "", dwords = ""] = isMemory;
    return { kind: "memory", line, name, address: Number.parseInt(address, 16), words: wordsOf(dwords.trim().split(" ")) };
  }
  return fail(line, `is neither an access, a command, memory nor a note: "${text.slice(0, 60)}"`);
}

class RunBuilder {
  title: string;
  readonly line: number;
  readonly steps: FirmwareStep[] = [];
  /** Lines with a number in front, by that number. */
  readonly numbered = new Map<number, FirmwareStep>();

  constructor(title: string, line: number) {
    this.title = title;
    this.line = line;
  }

  get empty(): boolean {
    return this.steps.every(({ kind }) => kind === "note") && this.numbered.size === 0;
  }

  add(step: FirmwareStep): void {
    this.steps.push(step);
    if (step.kind !== "note") return;
    this.title ||= step.text;
    if (BY_STUB.test(step.text)) this.steps.splice(-2, 1);
    const repeated = REPEATED.exec(step.text);
    if (!repeated) return;
    const last = this.steps.at(-2);
    if (last?.kind !== "read") fail(step.line, "the line before is no read that could be repeated");
    for (let i = 0; i < Number(repeated[1]); i++) this.steps.push({ ...last, line: step.line });
  }

  finish(first: FirmwareRun | undefined): FirmwareRun {
    const { title, line, steps, numbered } = this;
    if (numbered.size > 0) return { title, line, kind: "overlay", steps: overlaid(first, numbered) };
    const consumes = steps.some(({ kind }) => kind === "command");
    const setsUp = steps.some((step) => step.kind === "write" && step.offset === 0x20);
    return { title, line, kind: first !== undefined && consumes && !setsUp ? "excerpt" : "whole", steps };
  }
}

/** The first run with some of its lines replaced by others of the same kind. */
function overlaid(first: FirmwareRun | undefined, numbered: ReadonlyMap<number, FirmwareStep>): FirmwareStep[] {
  for (const [number, step] of numbered) {
    const base = first?.steps.find(({ line }) => line === number);
    if (base === undefined) fail(step.line, `line ${number} of the first run, which it replaces, is not there`);
    const place = (at: FirmwareStep): string =>
      at.kind === "read" || at.kind === "write" ? `${at.kind} of ${at.offset}` : at.kind === "command" ? `command ${at.index}` : at.kind;
    if (place(base) !== place(step))
      fail(step.line, `line ${number} of the first run, which it replaces, is a ${place(base)}, not a ${place(step)}`);
  }
  return first!.steps.map((step) => numbered.get(step.line) ?? step);
}

/**
 * @param lines of the file, without line ends
 * @throws RecordingError naming the bad line
 */
export function parseFirmware(lines: readonly string[]): FirmwareRun[] {
  const runs: FirmwareRun[] = [];
  let run = new RunBuilder("", 1);
  const finish = (): void => {
    if (!run.empty) runs.push(run.finish(runs[0]));
  };
  lines.forEach((raw, index) => {
    const line = index + 1;
    const text = raw.trim();
    const heading = HEADING.exec(text);
    if (heading) {
      finish();
      run = new RunBuilder(heading[1] ?? "", line);
      return;
    }
    const numbered = NUMBERED.exec(text);
    const step = parseLine(line, (numbered?.[2] ?? text).trim());
    if (step === undefined) return;
    if (numbered) run.numbered.set(Number(numbered[1]), step);
    else run.add(step);
  });
  finish();
  if (runs.length === 0) fail(Math.max(1, lines.length), "the recording holds no access");
  return runs;
}
