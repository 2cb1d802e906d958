// SPDX-License-Identifier: MIT
/** A decoded structure as text for a terminal of 80 columns. */
import { type Paint, wrap } from "../../lab/index.ts";
import type { Decoded, DecodedField } from "./decoded.ts";

export const WIDTH = 80;

/** Lines of `text` behind `prefix`, later ones indented as deep. */
export function hanging(prefix: string, text: string, width: number = WIDTH): string[] {
  const [first = "", ...rest] = wrap(text, Math.max(20, width - prefix.length));
  return [(prefix + first).trimEnd(), ...rest.map((line) => " ".repeat(prefix.length) + line)];
}

/** "[63:32]" or "[5]". */
export function bitsText({ hi, lo }: DecodedField): string {
  return hi === lo ? `[${hi}]` : `[${hi}:${lo}]`;
}

/** Where a section is to be found. */
export function sectionText(section: string): string {
  return section.startsWith("DDI") ? section : `IHI 0070 §${section.replace(/^§/, "")}`;
}

/** What stands behind the value: the address, what the value means or what the field is; in brackets what is not so. */
function explanation({ hi, lo, value, address, says, meaning }: DecodedField): string {
  const whole = address === undefined || address === value ? [] : [`= ${address}`];
  const text = says ?? (hi === lo && value === "0x0" && meaning !== "" ? `(${meaning})` : meaning);
  return [...whole, text].filter((part) => part !== "").join(", ");
}

function fieldLines(field: DecodedField, nameWidth: number, paint: Paint): string[] {
  const value = field.hi === field.lo ? field.value.slice(2) : field.value;
  const prefix = `  ${field.name.padEnd(nameWidth)} ${bitsText(field).padEnd(9)} ${value.padEnd(10)} `;
  if (field.ignored !== undefined)
    return hanging(prefix, `(no effect: ${field.ignored}) ${explanation(field)}`).map((line) => paint("dim", line));
  const lines = hanging(prefix, explanation(field));
  if (field.illegal === undefined) return lines;
  return [...lines, ...hanging(" ".repeat(prefix.length), `ILLEGAL: ${field.illegal}`)].map((line) => paint("corrupt", line));
}

/** Zeros that have no effect, together: they would bury the rest. */
function quietLines(quiet: readonly DecodedField[], paint: Paint): string[] {
  const byReason = new Map<string, DecodedField[]>();
  for (const field of quiet) byReason.set(field.ignored!, [...(byReason.get(field.ignored!) ?? []), field]);
  return [...byReason].flatMap(([reason, fields]) =>
    hanging("  ", `0 and no effect (${reason}): ${fields.map((field) => `${field.name} ${bitsText(field)}`).join(", ")}`).map((line) =>
      paint("dim", line),
    ),
  );
}

export interface DecodedTextOptions {
  /** One line for each field, also for zeros without effect. Default: those are listed together. */
  readonly all?: boolean;
}

/** The decoded structure: what it is, its words, its fields, what it breaks, what follows. */
export function decodedText(decoded: Decoded, paint: Paint, options: DecodedTextOptions = {}): string {
  const quiet = options.all ? [] : decoded.fields.filter(({ ignored, value }) => ignored !== undefined && value === "0x0");
  const shown = decoded.fields.filter((field) => !quiet.includes(field));
  const nameWidth = Math.max(0, ...shown.map(({ name }) => name.length));
  const refused = decoded.legal === false ? paint("corrupt", "illegal") : decoded.legal === true ? paint("clean", "legal") : "";
  const head = [paint("bold", decoded.name), paint("dim", sectionText(decoded.section)), refused].filter((part) => part !== "").join("  ");
  const lines = [
    head,
    ...hanging("  ", decoded.summary),
    ...decoded.notes.flatMap((note) => hanging("  - ", note)),
    ...decoded.objections.flatMap(({ text, section }) =>
      hanging("  breaks: ", `${text} (${sectionText(section)})`).map((line) => paint("corrupt", line)),
    ),
    ...(decoded.objections.length > 0 && decoded.event !== undefined ? [`  result: ${paint("corrupt", decoded.event)}`] : []),
    ...hanging("  ", decoded.words.join(" ")).map((line) => paint("dim", line)),
    ...(shown.length === 0 ? [] : [""]),
    ...shown.flatMap((field) => fieldLines(field, nameWidth, paint)),
    ...quietLines(quiet, paint),
  ];
  return `${lines.join("\n")}\n`;
}
