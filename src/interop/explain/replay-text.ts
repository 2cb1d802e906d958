// SPDX-License-Identifier: MIT
/** The report of a replay as text for a terminal of 80 columns. */
import { type SmmuRegister, hex, smmuRegisters } from "../../hw/index.ts";
import type { Paint } from "../../lab/index.ts";
import { type Decoded, counted } from "../decode/decoded.ts";
import { decodeEventRecord, decodeRegister } from "../decode/messages.ts";
import { parseWords } from "../decode/words.ts";
import { hanging, sectionText } from "../decode/text.ts";
import type { Deviation, Difference, DueEvent } from "../replay/difference.ts";
import { qemuDeviations } from "../replay/qemu-deviations.ts";
import type { TranslationAnswer } from "../replay/recording.ts";
import type { Finding, ReplayReport } from "../replay/report.ts";

const EVENT_FIELDS_SHOWN = 6;

function entryText({ mask, perm }: TranslationAnswer): string {
  return mask === undefined ? "" : `, an entry of ${hex(mask + 1)} bytes that allows ${perm === "" ? "nothing" : perm}`;
}

export function answerText(answer: TranslationAnswer): string {
  const { status, physical, event } = answer;
  switch (status) {
    case "ok":
      return `translated to ${physical}${entryText(answer)}`;
    case "bypass":
      return `bypassed by the STE to ${physical}`;
    case "disabled":
      return `bypassed, SMMUEN is 0, to ${physical}`;
    case "abort":
      return "abort without an event";
    case "fault":
      return event === 0 || event === undefined ? "terminated without an event" : `fault, ${eventName(event)}`;
  }
}

function eventName(event: number): string {
  return decodeEventRecord(Uint32Array.of(event, 0, 0, 0, 0, 0, 0, 0)).name;
}

/** Fields of two decoded structures that are not equal. */
function fieldDifferences(ours: Decoded, theirs: Decoded): string[] {
  const texts = ours.fields.flatMap((field) => {
    const other = theirs.fields.find(({ name }) => name === field.name);
    if (other === undefined || other.value === field.value) return [];
    const side = (value: string, says: string | undefined): string => `${value}${says === undefined ? "" : ` (${says})`}`;
    return [`${field.name}: ${side(field.address ?? field.value, field.says)}, recorded ${side(other.address ?? other.value, other.says)}`];
  });
  // Bits that this kind of record has no field for.
  const rest = ours.words.flatMap((word, i) =>
    texts.length === 0 && word !== theirs.words[i] ? [`word ${i}: ${word}, recorded ${theirs.words[i]!}`] : [],
  );
  return [...texts, ...rest];
}

function eventDifference(ours: Uint32Array | undefined, theirs: Uint32Array | undefined): string[] {
  if (ours === undefined || theirs === undefined) {
    const [who, words] = ours === undefined ? ["the recorded SMMU alone", theirs] : ["the model alone", ours];
    return words === undefined ? [] : [`${who} recorded ${decodeEventRecord(words).summary}`];
  }
  const [a, b] = [decodeEventRecord(ours), decodeEventRecord(theirs)];
  if (a.name !== b.name) return [`event: ${a.summary}`, `recorded: ${b.summary}`];
  const fields = fieldDifferences(a, b);
  const words = a.words.flatMap((word, i) => (word === b.words[i] ? [] : [`word ${i}: ${word}, recorded ${b.words[i]!}`]));
  return [a.name, ...(fields.length > 0 ? fields : words).slice(0, EVENT_FIELDS_SHOWN)];
}

function registerAt(offset: number): SmmuRegister | undefined {
  return smmuRegisters.find((register) => register.offset === offset || (register.page === 1 && (register.offset & 0xffff) === offset));
}

function registerDifference(register: SmmuRegister | undefined, name: string, ours: string, theirs: string): string[] {
  if (register === undefined) return [`${name}: ${ours}, recorded ${theirs}`];
  const decode = (value: string): Decoded => decodeRegister(register, parseWords(value, 8));
  return [
    `${register.name}: ${shortHex(ours)}, recorded ${shortHex(theirs)}`,
    ...fieldDifferences(decode(ours), decode(theirs)).slice(0, EVENT_FIELDS_SHOWN),
  ];
}

function shortHex(value: string): string {
  return `0x${value.replace(/^0x0*(?=[0-9a-f])/, "")}`;
}

function list(texts: readonly string[]): string {
  return texts.length === 0 ? "none" : texts.join(", ");
}

const FATES: Readonly<Record<string, string>> = {
  ok: "recorded",
  "evtq-full": "lost, the queue is full",
  "evtq-off": "lost, the queue is off",
  none: "not recorded",
};

function dueText(due: DueEvent | undefined): string {
  if (due === undefined) return "none";
  const what = due.event === 0 ? "an event" : eventName(due.event);
  return `${what} of StreamID ${hex(due.sid)}, ${FATES[due.fate] ?? due.fate}`;
}

/** What differs, in lines: the model's first, then the recording's. */
export function describeDifference(difference: Difference): string[] {
  switch (difference.what) {
    case "read":
      return registerDifference(registerAt(difference.offset), `register ${hex(difference.offset)}`, difference.ours, difference.theirs);
    case "state":
      return registerDifference(
        smmuRegisters.find(({ name }) => name === `SMMU_${difference.register}`),
        difference.register,
        hex(difference.ours),
        hex(difference.theirs),
      );
    case "commands":
      return [`commands consumed: ${list(difference.ours)}`, `recorded: ${list(difference.theirs)}`];
    case "event":
      return eventDifference(difference.ours, difference.theirs);
    case "event-address":
      return [`event record written to ${hex(difference.ours)}, recorded ${hex(difference.theirs)}`];
    case "event-due":
      return [`event: ${dueText(difference.ours)}`, `recorded: ${dueText(difference.theirs)}`];
    case "interrupts":
      return [`interrupts: ${list(difference.ours)}, recorded ${list(difference.theirs)}`];
    case "translation":
      return [`translation: ${answerText(difference.ours)}`, `recorded: ${answerText(difference.theirs)}`];
    case "uncached":
      return [`translation without caches: ${answerText(difference.ours)}`, `recorded: ${answerText(difference.theirs)}`];
  }
}

/** One difference with its explanation, if there is one. */
export function differenceLines({ record, difference, deviation }: Finding, paint: Paint): string[] {
  const head =
    deviation === undefined
      ? [paint("corrupt", `record ${record}: the model is wrong, or the recording shows something not yet known`)]
      : hanging("", `record ${record}: ${deviation.title} (${sectionText(deviation.section)})`);
  return [...head, ...describeDifference(difference).flatMap((text) => hanging("    ", text))];
}

function deviationLines(deviation: Deviation, count: number, finding: Finding | undefined, paint: Paint): string[] {
  const example = finding === undefined ? [] : [`first in record ${finding.record}: `, ...describeDifference(finding.difference)];
  return [
    ...hanging(`${String(count).padStart(7)}  `, `${deviation.title} (${sectionText(deviation.section)}; ${deviation.id})`),
    ...(example.length === 0
      ? []
      : hanging("           ", `${example[0]!}${example.slice(1).join("; ")}`).map((line) => paint("dim", line))),
  ];
}

function countLines(title: string, counts: Readonly<Record<string, number>>): string[] {
  const entries = Object.entries(counts);
  return entries.length === 0 ? [] : [title, ...entries.map(([name, count]) => `${String(count).padStart(7)}  ${name}`)];
}

/** @param end how the reading ended, if not at the recording's end */
export function replayText(report: ReplayReport, paint: Paint, end?: string): string {
  const { scenario, records, equal, deviations, wrong, findings, staleUses, stale, lint, notModelled } = report;
  const known = qemuDeviations.filter(({ id }) => deviations[id] !== undefined);
  const deviating = known.reduce((sum, { id }) => sum + deviations[id]!, 0);
  const verdict =
    wrong === 0
      ? paint("clean", "no difference is the model's")
      : paint("corrupt", `${counted(wrong, "difference")} without an explanation`);
  const blocks = [
    [
      paint("bold", scenario),
      ...hanging(
        "",
        `${counted(records, "record")}: ${counted(equal, "comparison")} equal, ${deviating} where the recorded SMMU deviates, ${wrong} unexplained`,
      ),
      ...(end === undefined ? [] : [paint("stray", end)]),
    ],
    known.length === 0
      ? []
      : [
          "where the recorded SMMU deviates from the architecture",
          ...known.flatMap((deviation) =>
            deviationLines(
              deviation,
              deviations[deviation.id]!,
              findings.find((found) => found.deviation === deviation),
              paint,
            ),
          ),
        ],
    wrong === 0 ? [] : findings.filter(({ deviation }) => deviation === undefined).flatMap((finding) => differenceLines(finding, paint)),
    staleUses === 0
      ? []
      : [
          `cached entries used although memory had changed: ${staleUses}`,
          ...stale.flatMap(({ record, use }) =>
            hanging(
              `    record ${record}: `,
              `${use.what} at ${hex(use.structure)}, cached ${use.cached}, in memory ${use.inMemory}; missing: ${use.missing}`,
            ),
          ),
        ],
    countLines("what the lint says of the driver (and of what was injected under it)", lint),
    countLines("asked for and not modelled", notModelled),
    [verdict],
  ];
  return `${blocks
    .filter((block) => block.length > 0)
    .map((block) => block.join("\n"))
    .join("\n\n")}\n`;
}
