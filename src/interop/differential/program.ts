// SPDX-License-Identifier: MIT
/**
 * A program of the differential test: an SMMU's tables as plain values, and what software and devices then do. It says nothing
 * about addresses of tables (compile.ts lays them out), so that it can be made simpler field by field and still be a program.
 */

/** log2 of a translation granule. */
export type Granule = 12 | 14 | 16;

/** A leaf of a page table, with the table descriptors above it. */
export interface MappingPlan {
  /** Offset in the half of the address space (or the IPA), aligned to the leaf. */
  readonly address: number;
  readonly output: number;
  /** Level of the leaf; where the architecture has no block at that level, it is an invalid descriptor. */
  readonly level: number;
  /** AP[2:1] of stage 1, S2AP of stage 2. */
  readonly ap: number;
  readonly af: number;
  readonly nG: number;
  /** APTable of the tables that this mapping makes. */
  readonly apTable: number;
  /** Bits 1:0 of the leaf, if they are not those of its kind. */
  readonly kind?: number;
}

export interface TablePlan {
  readonly granule: Granule;
  readonly inputBits: number;
  readonly mappings: readonly MappingPlan[];
}

export type StreamKind = "invalid" | "abort" | "bypass" | "stage1" | "stage2" | "nested";

/** Field values by the specification's names. */
export type Fields = Readonly<Record<string, number>>;

/** A stream: its STE, its CD, its page tables. */
export interface StreamPlan {
  readonly sid: number;
  readonly kind: StreamKind;
  /** Fields of the STE and the CD that differ from a plain one. */
  readonly ste: Fields;
  readonly cd: Fields;
  readonly ttb0: TablePlan | undefined;
  readonly ttb1: TablePlan | undefined;
  readonly stage2: TablePlan | undefined;
}

export type TableName = "ttb0" | "ttb1" | "stage2";
export const TABLES: readonly TableName[] = ["ttb0", "ttb1", "stage2"];

/**
 * Which of the sufficient commands end old contents, broadest last. A step takes the nearest one that suffices: 0 by address,
 * 1 by address in any ASID, 2 by ASID or VMID, 3 everything; for structures 0 CFGI_CD or CFGI_STE, 1 CFGI_CD_ALL or
 * CFGI_STE_RANGE, 2 and 3 CFGI_ALL.
 */
export type Maintenance = 0 | 1 | 2 | 3;

export type Step =
  | { readonly op: "access"; readonly stream: number; readonly addressHi: number; readonly addressLo: number; readonly write: boolean }
  /** Changes a leaf, then invalidates. "unmap" clears its descriptor. */
  | {
      readonly op: "map";
      readonly stream: number;
      readonly table: TableName;
      readonly mapping: number;
      readonly change: Partial<MappingPlan> | "unmap";
      readonly by: Maintenance;
    }
  /** Gives a stream another STE, or other fields, through V == 0, then invalidates. */
  | { readonly op: "ste"; readonly stream: number; readonly kind: StreamKind; readonly ste: Fields; readonly by: Maintenance }
  | { readonly op: "cd"; readonly stream: number; readonly cd: Fields; readonly by: Maintenance }
  /** Any command; if it is an error, software repairs the queue. */
  | { readonly op: "command"; readonly words: readonly [number, number, number, number] }
  /** SMMUEN off or on. */
  | { readonly op: "enable"; readonly on: boolean }
  | { readonly op: "read"; readonly offset: number; readonly width: 4 | 8 };

export interface StreamTablePlan {
  readonly log2Size: number;
  /** Undefined: linear. */
  readonly split: 6 | 8 | 10 | undefined;
  /** L1STD.Span of a 2-level table. Default: split + 1, the whole array. */
  readonly span?: number;
}

export interface Program {
  readonly streamTable: StreamTablePlan;
  readonly cr1: number;
  readonly cr2: number;
  readonly streams: readonly StreamPlan[];
  readonly steps: readonly Step[];
}

// Where things are. RAM is 2 GiB from 1 GiB on; tables lie in its lower half, data in its upper.

export const RAM_BASE = 0x4000_0000;
export const RAM_SIZE = 0x8000_0000;
export const TABLE_BASE = 0x4800_0000;
export const TABLE_SIZE = 0x1000_0000;
export const DATA_BASE = 0x8000_0000;
export const DATA_SIZE = 0x4000_0000;
export const CMDQ_BASE = 0x4400_0000;
export const EVENTQ_BASE = 0x4410_0000;

/** StreamIDs that the machine has a device for: PCI functions 1.0, 2.0, 9.0 and 17.0 of bus 0. */
export const STREAM_IDS: readonly number[] = [0x08, 0x10, 0x48, 0x88];

/** True if the Stream table has room for the STE of a stream. */
export function hasSte({ log2Size, split, span }: StreamTablePlan, sid: number): boolean {
  if (sid >= 2 ** log2Size) return false;
  return split === undefined || span === undefined || (span > 0 && span <= 11 && sid % 2 ** split < 2 ** (span - 1));
}

/** log2 of a leaf in bytes. */
export function leafShift(granule: Granule, level: number): number {
  return granule + (3 - level) * (granule - 3);
}

/** True if the architecture has leaves at this level (without 52-bit addresses). */
export function hasLeaf(granule: Granule, level: number): boolean {
  return level === 3 || level === 2 || (level === 1 && granule === 12);
}

const hex = (value: number): string => `0x${value.toString(16)}`;

function describeFields(fields: Fields): string {
  return Object.entries(fields)
    .map(([name, value]) => ` ${name}=${hex(value)}`)
    .join("");
}

function* describeTable(name: TableName, table: TablePlan | undefined): Generator<string> {
  if (table === undefined) return;
  yield `  ${name}: ${2 ** (table.granule - 10)}K, ${table.inputBits} bits`;
  for (const [index, { address, output, ...rest }] of table.mappings.entries()) {
    yield `    ${index}: ${hex(address)} -> ${hex(output)}${describeFields(rest)}`;
  }
}

/** One line for a step. */
export function describeStep(step: Step, { streams }: Program): string {
  const whose = (index: number): string => `StreamID ${hex(streams[index]?.sid ?? -1)}`;
  switch (step.op) {
    case "access":
      return `${step.write ? "write" : "read"} ${whose(step.stream)} address 0x${step.addressHi.toString(16)}_${step.addressLo.toString(16).padStart(8, "0")}`;
    case "map": {
      const change = step.change === "unmap" ? " unmapped" : describeFields({ ...step.change });
      return `${step.table} of ${whose(step.stream)}, mapping ${step.mapping}:${change}, maintenance ${step.by}`;
    }
    case "ste":
      return `STE of ${whose(step.stream)}: ${step.kind}${describeFields(step.ste)}, maintenance ${step.by}`;
    case "cd":
      return `CD of ${whose(step.stream)}:${describeFields(step.cd)}, maintenance ${step.by}`;
    case "command":
      return `command ${step.words.map((word) => word.toString(16).padStart(8, "0")).join(" ")}`;
    case "enable":
      return `SMMUEN ${step.on ? "on" : "off"}`;
    case "read":
      return `read of register ${hex(step.offset)}, ${step.width} bytes`;
  }
}

/** A program for people. */
export function describeProgram(program: Program): string[] {
  const { streamTable, streams, steps, cr1, cr2 } = program;
  const { split, log2Size, span } = streamTable;
  const form = split === undefined ? "linear" : `2-level, split ${split}, span ${span ?? split + 1}`;
  const lines = [`Stream table ${form}, 2^${log2Size} streams, CR1 ${hex(cr1)}, CR2 ${hex(cr2)}`];
  for (const stream of streams) {
    lines.push(`StreamID ${hex(stream.sid)}: ${stream.kind}, STE${describeFields(stream.ste)}, CD${describeFields(stream.cd)}`);
    for (const table of TABLES) lines.push(...describeTable(table, stream[table]));
  }
  return [...lines, ...steps.map((step, index) => `${index}. ${describeStep(step, program)}`)];
}
