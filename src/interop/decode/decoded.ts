// SPDX-License-Identifier: MIT
/** A structure taken apart: every field with its bits, value and meaning, and what is wrong with it. */
import { type Field, type Objection, getField, hex64 } from "../../hw/index.ts";
import { valueText } from "./values.ts";

export interface DecodedField {
  readonly name: string;
  readonly hi: number;
  readonly lo: number;
  /** Hexadecimal. */
  readonly value: string;
  /** Where the field holds an address without its low bits: the whole address. */
  readonly address: string | undefined;
  /** What this value means, where a table lists values. */
  readonly says: string | undefined;
  /** What the field is. */
  readonly meaning: string;
  /** Why the value has no effect here, if it has none. */
  readonly ignored: string | undefined;
  /** Why the value is illegal, if it is. */
  readonly illegal: string | undefined;
}

export interface Decoded {
  /** STE, CD, CMD_SYNC, F_TRANSLATION, … */
  readonly name: string;
  readonly summary: string;
  /** Section of IHI 0070, or of DDI 0487 where it says so. */
  readonly section: string;
  /** 64-bit words in hexadecimal, lowest first. */
  readonly words: readonly string[];
  readonly fields: readonly DecodedField[];
  /** False: the SMMU refuses this structure. Undefined: the question does not arise. */
  readonly legal: boolean | undefined;
  /** What the SMMU reports when it meets this structure, if it refuses it. */
  readonly event: string | undefined;
  readonly objections: readonly Objection[];
  readonly notes: readonly string[];
}

/** A row of the hardware's tables. */
export interface TableField extends Field {
  readonly meaning?: string;
  readonly what?: string;
  /** Weight of bit 0 where the field holds an address without its low bits. */
  readonly scale?: number;
  /** The bits stand in their natural place in the second doubleword (commands). */
  readonly address?: boolean;
}

/** The value of any field. */
export function bigField(words: Uint32Array, { hi, lo }: Field): bigint {
  let value = 0n;
  for (let word = hi >> 5; word >= lo >> 5; word--) value = (value << 32n) | BigInt(words[word] ?? 0);
  return BigInt.asUintN(hi - lo + 1, value >> BigInt(lo & 31));
}

/** How much bit 0 of an address field weighs: registers call it ADDR, structures say "address [55:6]". */
function scaleOf(field: TableField): number | undefined {
  if (field.scale !== undefined) return field.scale;
  if (field.name === "ADDR") return 2 ** (field.lo & 63);
  const match = /address \[\d+:(\d+)\]/.exec(field.meaning ?? "");
  return match ? 2 ** Number(match[1]) : undefined;
}

function addressOf(field: TableField, words: Uint32Array): string | undefined {
  const scale = field.address ? 2 ** (field.lo - 64) : scaleOf(field);
  return scale === undefined ? undefined : `0x${(bigField(words, field) * BigInt(scale)).toString(16)}`;
}

/** An objection's id names the fields that it is about: "S2HA/S2HD", "S=1". */
function objectionTo(field: Field, objections: readonly Objection[]): string | undefined {
  return objections.find(({ id }) => id.split("/").some((part) => part.replace(/=.*/, "") === field.name))?.text;
}

function readerOf(words: Uint32Array, fields: readonly TableField[]): (name: string) => number {
  return (name) => {
    const field = fields.find((candidate) => candidate.name === name);
    return field === undefined ? 0 : getField(words, field);
  };
}

/**
 * Takes `words` apart by a table of fields.
 * @param kind selects what values mean: the structure's name, "event", "pri", "register" or "command"
 */
export function decodeFields(
  kind: string,
  words: Uint32Array,
  fields: readonly TableField[],
  objections: readonly Objection[],
  ignored: (field: TableField) => string | undefined = () => undefined,
): DecodedField[] {
  const read = readerOf(words, fields);
  return fields.map((field) => {
    const value = bigField(words, field);
    const meaning = field.meaning ?? field.what ?? "";
    return {
      name: field.name,
      hi: field.hi,
      lo: field.lo,
      value: `0x${value.toString(16)}`,
      address: addressOf(field, words),
      says: value < 2 ** 53 ? valueText(kind, field.name, Number(value), meaning, read) : undefined,
      meaning,
      ignored: ignored(field),
      illegal: objectionTo(field, objections),
    };
  });
}

/** Who writes the bits that no field covers, and so what it means if they are not zero. */
export type WrittenBy = "software" | "smmu";

const STRAY: Readonly<Record<WrittenBy, string>> = {
  software: "ignored here; software must write them as zero",
  smmu: "the SMMU writes them, and as zero in this version of the architecture: a later version, or not what it was taken for",
};

/** Bits that no field covers and that are not zero. */
export function strayBits(words: Uint32Array, fields: readonly Field[], by: WrittenBy = "software"): string[] {
  const stray: string[] = [];
  for (let bit = 0; bit < 32 * words.length; bit++) {
    if (((words[bit >> 5]! >>> (bit & 31)) & 1) === 1 && !fields.some(({ hi, lo }) => bit >= lo && bit <= hi)) stray.push(String(bit));
  }
  if (stray.length === 0) return [];
  return [`reserved bits are not zero: ${stray.join(", ")} (${STRAY[by]})`];
}

/** Words as 64-bit numbers. */
export function wordsText(words: Uint32Array): string[] {
  const text: string[] = [];
  for (let i = 0; i < words.length; i += 2) text.push(hex64(words[i + 1] ?? 0, words[i]!));
  return text;
}

/** "1 STE", "256 STEs". */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** A size in bytes as people say it. */
export function sizeText(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${bytes / 1024 ** step} ${units[step]!}`;
}
