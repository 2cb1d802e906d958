// SPDX-License-Identifier: MIT
/** One translation, step by step, as text for a terminal of 80 columns. */
import type { Paint } from "../../lab/index.ts";
import type { Decoded, DecodedField } from "../decode/decoded.ts";
import { WIDTH, hanging, sectionText } from "../decode/text.ts";
import { answerText, differenceLines } from "./replay-text.ts";
import type { Explanation, ExplainResult, ExplainStep, Walkthrough } from "./types.ts";

/** The fields that mattered and have an effect. */
function fieldTexts({ fields }: Decoded, names: readonly string[]): string[] {
  const text = ({ name, value, address, says }: DecodedField): string =>
    `${name} ${address ?? value}${says === undefined ? "" : ` (${says})`}`;
  return fields.filter(({ name, ignored }) => names.includes(name) && ignored === undefined).map(text);
}

/** A heading with its section behind it, or below where there is no room. */
function headLines(head: string, section: string, paint: Paint): string[] {
  const where = paint("dim", sectionText(section));
  const fits = head.length + 2 + sectionText(section).length <= WIDTH;
  return fits ? [`${paint("bold", head)}  ${where}`] : [paint("bold", head), `    ${where}`];
}

function stepLines(step: ExplainStep, number: number, paint: Paint): string[] {
  const { title, section, address, decoded, fields, says } = step;
  const at = address === undefined ? "" : ` at ${address}`;
  const head = `${`${number}.`.padEnd(4)}${title}${at}`;
  const texts = decoded === undefined ? [] : fieldTexts(decoded, fields);
  return [
    ...headLines(head, section, paint),
    ...says.flatMap((sentence) => hanging("    - ", sentence)),
    ...(decoded === undefined
      ? []
      : hanging("    ", decoded.words.slice(0, decoded.words.length > 4 ? 4 : undefined).join(" ")).map((line) => paint("dim", line))),
    ...(texts.length === 0 ? [] : hanging("    ", texts.join("; "))),
    ...(decoded === undefined ? [] : hanging("    = ", decoded.summary)),
  ];
}

function resultLines(result: ExplainResult, paint: Paint): string[] {
  const { outcome, physical, attributes, event, record, says, section } = result;
  const good = outcome === "forward";
  const word = good ? `forwarded to ${physical}` : event === undefined ? outcome : `${outcome}, ${event}`;
  return [
    `${paint("bold", "=>")}  ${paint(good ? "clean" : "corrupt", word)}  ${paint("dim", sectionText(section))}`,
    ...hanging("    - ", says),
    ...(attributes === undefined ? [] : hanging("    - ", `leaves as ${attributes}`)),
    ...(record === undefined ? [] : hanging("    ", record.words.join(" ")).map((line) => paint("dim", line))),
    ...(record === undefined ? [] : hanging("    ", record.summary)),
  ];
}

/** A step in one line, where it stands in full elsewhere. */
function briefLines({ title, address, decoded }: ExplainStep, number: number): string[] {
  return hanging(`${`${number}.`.padEnd(4)}`, `${title}${address === undefined ? "" : ` at ${address}`}: ${decoded?.summary ?? "abort"}`);
}

function walkLines(walk: Walkthrough, paint: Paint, brief: boolean = false): string[] {
  const lines = (step: ExplainStep, i: number): string[] => (brief ? briefLines(step, i + 1) : stepLines(step, i + 1, paint));
  return [...walk.steps.flatMap(lines), ...resultLines(walk.result, paint)];
}

function headline({ subject, request }: Explanation): string {
  const where = "record" in subject ? `record ${subject.record} of ${subject.scenario}` : `${subject.state}, ${subject.moment}`;
  const who = `StreamID ${request.streamId}${request.substreamId === undefined ? "" : `, SubstreamID ${request.substreamId}`}`;
  return `${where}: ${request.access} of ${request.address} by ${who}`;
}

/** What the recorded SMMU made of it, and where the model does not say the same. */
function recordedLines({ recorded, differences }: Explanation, paint: Paint): string[] {
  if (recorded === undefined) return [];
  const { answer, architecture } = recorded;
  const wanted = architecture === undefined ? "" : `; by the architecture, says the recorder's own model: ${answerText(architecture)}`;
  return [
    ...hanging("", `the recorded SMMU answered: ${answerText(answer)}${wanted}`),
    ...differences.flatMap((finding) => differenceLines(finding, paint)),
  ];
}

export function explainText(explanation: Explanation, paint: Paint): string {
  const { request, registers, withCaches, fromMemory, differs, stale } = explanation;
  const injected =
    request.injected === "" ? [] : hanging("", `in memory, for this request alone, the recording changed: ${request.injected}`);
  const fromCaches = `from caches came ${withCaches.cached.join(", ")}`;
  const verdict = differs
    ? paint("corrupt", "memory says something else than the caches")
    : paint("clean", "memory says the same as the caches");
  const blocks = [
    [...hanging("", headline(explanation)).map((line) => paint("bold", line)), ...injected],
    registers.flatMap(({ name, value, says }) => hanging(`${name.padEnd(16)} `, `${value}: ${says}`)),
    ...(fromMemory === undefined
      ? [[paint("bold", "step by step (nothing came from a cache)"), ...walkLines(withCaches, paint)]]
      : [
          [paint("bold", "with the caches as they were"), ...hanging("    ", fromCaches), ...walkLines(withCaches, paint, !differs)],
          [paint("bold", "from memory alone"), ...walkLines(fromMemory, paint)],
          [verdict],
        ]),
    stale.flatMap(({ what, cached, inMemory, missing }) =>
      hanging("stale   ", `the ${what} cache says ${cached}, memory ${inMemory}; missing: ${missing}`),
    ),
    recordedLines(explanation, paint),
  ];
  return `${blocks
    .filter((block) => block.length > 0)
    .map((block) => block.join("\n"))
    .join("\n\n")}\n`;
}
