// SPDX-License-Identifier: MIT
/** A structure taken apart: every field with its bits, value and meaning, and what is wrong with it. */
import { type Field, type Objection, getField, hex, hex64 } from "../../hw/index.ts";

export interface DecodedField {
  readonly name: string;
  readonly hi: number;
  readonly lo: number;
  /** Hexadecimal. */
  readonly value: string;
  /** Where the field holds an address without its low bits: the whole address. */
  readonly address: string | undefined;
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
  readonly objections: readonly Objection[];
  readonly notes: readonly string[];
}

/** A row of the hardware's tables. */
export interface TableField extends Field {
  readonly meaning?: string;
  readonly what?: string;
  readonly scale?: number;
}

/** The address that a field holds, by the words "address [55:6]" in its meaning. */
function addressOf(field: TableField, words: Uint32Array): string | undefined {
  const scale = field.scale ?? lowBit(field);
  if (scale === undefined) return undefined;
  const width = field.hi - field.lo + 1;
  if (width > 52) return undefined;
  return hex(getField(words, field) * scale);
}

function lowBit(field: TableField): number | undefined {
  const match = /address \[\d+:(\d+)\]/.exec(field.meaning ?? "");
  return match ? 2 ** Number(match[1]) : undefined;
}

function valueOf(field: Field, words: Uint32Array): string {
  if (field.hi - field.lo + 1 <= 53) return hex(getField(words, field));
  return hex64(words[field.hi >> 5] ?? 0, (words[(field.hi >> 5) - 1] ?? 0) & ~((1 << (field.lo & 31)) - 1));
}

/** An objection's id names the fields that it is about: "S2HA/S2HD", "S=1". */
function objectionTo(field: Field, objections: readonly Objection[]): string | undefined {
  return objections.find(({ id }) => id.split("/").some((part) => part.replace(/=.*/, "") === field.name))?.text;
}

/** Takes `words` apart by a table of fields. */
export function decodeFields(
  words: Uint32Array,
  fields: readonly TableField[],
  objections: readonly Objection[],
  ignored: (field: TableField) => string | undefined = () => undefined,
): DecodedField[] {
  return fields.map((field) => ({
    name: field.name,
    hi: field.hi,
    lo: field.lo,
    value: valueOf(field, words),
    address: addressOf(field, words),
    meaning: field.meaning ?? field.what ?? "",
    ignored: ignored(field),
    illegal: objectionTo(field, objections),
  }));
}

/** Bits that no field covers and that are not zero. */
export function strayBits(words: Uint32Array, fields: readonly Field[]): string[] {
  const stray: string[] = [];
  for (let bit = 0; bit < 32 * words.length; bit++) {
    if (((words[bit >> 5]! >>> (bit & 31)) & 1) === 1 && !fields.some(({ hi, lo }) => bit >= lo && bit <= hi)) stray.push(String(bit));
  }
  return stray.length === 0 ? [] : [`reserved bits are not zero: ${stray.join(", ")} (ignored here; software must write them as zero)`];
}

/** Words as 64-bit numbers. */
export function wordsText(words: Uint32Array): string[] {
  const text: string[] = [];
  for (let i = 0; i < words.length; i += 2) text.push(hex64(words[i + 1] ?? 0, words[i]!));
  return text;
}
