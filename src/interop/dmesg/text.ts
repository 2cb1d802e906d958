// SPDX-License-Identifier: MIT
/** What a console log says, as text for a terminal of 80 columns. */
import type { Paint, TextStyle } from "../../lab/index.ts";
import { counted } from "../decode/decoded.ts";
import { hanging } from "../decode/text.ts";
import type { AddressSummary, DmesgReport, DmesgFinding, StreamSummary } from "./types.ts";

const SEVERITY: Readonly<Record<DmesgFinding["severity"], TextStyle>> = { error: "corrupt", warning: "stray", info: "contained" };

/** "21:00.0": what a StreamID means where it is a PCIe requester ID. */
export function requesterText(streamId: number): string {
  const bus = ((streamId >>> 8) & 0xff).toString(16).padStart(2, "0");
  return `${bus}:${((streamId >>> 3) & 31).toString(16).padStart(2, "0")}.${streamId & 7}`;
}

function bracketed(text: string): string {
  return /^\(.*\)$/.test(text) ? text : `(${text})`;
}

function addressText({ first, lowest, highest, distinct, pattern }: AddressSummary): string {
  if (distinct === 1) return `address ${first}`;
  const order = pattern === "rising" ? "rising" : "scattered";
  return `${distinct} addresses from ${lowest} to ${highest}, ${order}, the first ${first}`;
}

function subjectText({ stream, access, addresses, fetch }: DmesgFinding): string {
  const parts: string[] = [];
  if (stream) {
    const substream = stream.substreamId === undefined ? "" : ` SubstreamID ${stream.substreamId}`;
    const client = stream.client ?? `as a PCIe requester ID ${requesterText(Number(stream.streamId))}`;
    // "(unassigned sid)" brings its own brackets.
    parts.push(`StreamID ${stream.streamId}${substream} ${bracketed(client)}`);
  }
  if (access !== undefined) parts.push(access);
  if (addresses) parts.push(addressText(addresses));
  if (fetch !== undefined) parts.push(`structure at ${fetch}`);
  return parts.join(", ");
}

function placeText({ device, from, time, lines, count }: DmesgFinding): string {
  const at = lines.first === lines.last ? `line ${lines.first}` : `lines ${lines.first} to ${lines.last}`;
  const when = time === undefined ? [] : [`${count > 1 ? "first at " : "at "}${time}`];
  return [...(device === "" ? [] : [device]), at, ...when, `printed by ${from}`].join(", ");
}

/** @param context lines of the log around the finding */
function findingLines(finding: DmesgFinding, context: readonly string[], paint: Paint): string[] {
  const { severity, count, title, story, causes, next, doubts, words } = finding;
  const times = count === 1 ? "" : `${count} times: `;
  const subject = subjectText(finding);
  return [
    ...context.map((line) => paint("dim", `  | ${line}`)),
    ...hanging("", `${times}${title}`).map((line) => paint(SEVERITY[severity], line)),
    ...hanging("  ", placeText(finding)).map((line) => paint("dim", line)),
    ...(subject === "" ? [] : hanging("  ", subject)),
    ...(words.length === 0 ? [] : hanging("  ", words.join(" ")).map((line) => paint("dim", line))),
    ...story.flatMap((sentence) => hanging("  - ", sentence)),
    ...doubts.flatMap((doubt) => hanging("  ? ", doubt)).map((line) => paint("stray", line)),
    ...(causes.length === 0 ? [] : ["  likely causes, the likeliest first:"]),
    ...causes.flatMap(({ text, reference }, i) => hanging(`   ${i + 1}. `, `${text} [${reference}]`)),
    ...(next.length === 0 ? [] : ["  look next at:"]),
    ...next.flatMap((text) => hanging("   > ", text)),
  ];
}

function streamLines(streams: readonly StreamSummary[], paint: Paint): string[] {
  if (streams.length === 0) return [];
  const rows = streams.flatMap(({ streamId, client, device, events, lowest, highest }) => {
    const what = Object.entries(events)
      .map(([name, count]) => `${count} ${name}`)
      .join(", ");
    const range = lowest === undefined ? "" : lowest === highest ? ` at ${lowest}` : ` at ${lowest} to ${highest}`;
    const plain = client?.replace(/^\((.*)\)$/, "$1");
    const who = [plain, device].filter((name) => name !== undefined && name !== "").join(", ");
    return hanging(`  ${streamId.padEnd(10)} `, `${what}${range}${who === "" ? "" : ` (${who})`}`);
  });
  return [paint("bold", "by StreamID"), ...rows];
}

/** Lines that nobody here knows: they may be what matters, so they are shown. */
function unknownLines({ count, kinds, first }: DmesgReport["unknown"], paint: Paint): string[] {
  if (count === 0) return [];
  const more = kinds - first.length;
  return [
    ...hanging("", `${counted(count, "line")} about an SMMUv3 that ${count === 1 ? "is" : "are"} not known here:`).map((line) =>
      paint("stray", line),
    ),
    ...first.flatMap(({ line, count: times, text }) => hanging(`  line ${line}: `, `${text}${times === 1 ? "" : ` (${times} times)`}`)),
    ...(more > 0 ? [`  and ${more} more ${more === 1 ? "kind" : "kinds"}`] : []),
  ];
}

/** @param contextOf lines of the log to show with a finding. Default: none */
export function dmesgText(report: DmesgReport, paint: Paint, contextOf: (finding: DmesgFinding) => readonly string[] = () => []): string {
  const { findings, streams, suppressed, unknown, lines, boots } = report;
  if (findings.length === 0 && unknown.count === 0 && suppressed === 0)
    return `${counted(lines, "line")}, nothing about an SMMUv3 that needs explaining\n`;
  const swallowed =
    suppressed === 0
      ? []
      : [hanging("", `the kernel's rate limit swallowed ${counted(suppressed, "further record")}: counts here are lower bounds`)];
  const kernels = boots > 1 ? `, ${boots} kernels` : "";
  const blocks = [
    ...findings.map((finding) => findingLines(finding, contextOf(finding), paint)),
    ...swallowed,
    unknownLines(unknown, paint),
    streamLines(streams, paint),
    [paint("dim", `${counted(lines, "line")}${kernels}, ${counted(findings.length, "finding")}`)],
  ];
  return `${blocks
    .filter((block) => block.length > 0)
    .map((block) => block.join("\n"))
    .join("\n\n")}\n`;
}
