// SPDX-License-Identifier: MIT
/** The report of a firmware replay, as text for a terminal of 80 columns and as JSON. */
import type { Paint } from "../../lab/index.ts";
import { counted } from "../decode/decoded.ts";
import { hanging, sectionText } from "../decode/text.ts";
import type { FirmwareFinding, FirmwareReport, FirmwareRunReport } from "../firmware/replay.ts";
import { stubDeviations } from "../firmware/stub-deviations.ts";
import { describeDifference } from "./replay-text.ts";
import { differenceDocument } from "./documents.ts";

function plain(section: string): string {
  return sectionText(section.replace("§", ""));
}

function findingLines({ line, difference, deviation }: FirmwareFinding, paint: Paint): string[] {
  const head =
    deviation === undefined
      ? [paint("corrupt", `  line ${line}: the model is wrong, or the recording shows something not yet known`)]
      : hanging(`  line ${line}: `, `${deviation.title} (${plain(deviation.section)})`);
  return [...head, ...describeDifference(difference).flatMap((text) => hanging("      ", text))];
}

function runLines(run: FirmwareRunReport, paint: Paint): string[] {
  const { title, line, records, equal, wrong, diagnostics, findings, notModelled } = run;
  return [
    ...hanging("", title === "" ? `line ${line}` : `${title} (line ${line})`).map((text) => paint("bold", text)),
    `  ${records} access${records === 1 ? "" : "es"}: ${counted(equal, "comparison")} equal, ${wrong} unexplained`,
    ...diagnostics
      .flatMap((found) => hanging(`  line ${found.line}: `, `${found.detail} (${plain(found.section)}; ${found.rule})`))
      .map((text) => paint("stray", text)),
    ...findings.filter(({ deviation }) => deviation === undefined).flatMap((finding) => findingLines(finding, paint)),
    ...Object.entries(notModelled).map(([what, count]) => `  not modelled: ${what} (${count})`),
  ];
}

export function firmwareText(report: FirmwareReport, paint: Paint): string {
  const { scenario, records, equal, deviations, wrong, findings, identification, runs } = report;
  const known = stubDeviations.filter(({ id }) => deviations[id] !== undefined);
  const blocks = [
    [
      ...(scenario === "" ? [] : hanging("", scenario).map((text) => paint("bold", text))),
      `${counted(records, "record")}, ${counted(equal, "comparison")} equal, ${wrong} unexplained`,
    ],
    known.flatMap((deviation) => {
      const first = findings.find(({ deviation: found }) => found?.id === deviation.id);
      return [
        ...hanging(
          `${String(deviations[deviation.id]).padStart(7)}  `,
          `${deviation.title} (${plain(deviation.section)}; ${deviation.id})`,
        ),
        ...(first === undefined
          ? []
          : hanging("           ", `first in line ${first.line}: ${describeDifference(first.difference).join("; ")}`).map((text) =>
              paint("dim", text),
            )),
      ];
    }),
    ...runs.map((run) => runLines(run, paint)),
    identification.length === 0
      ? []
      : [
          "identification registers, which are not compared",
          ...identification.map(({ register, ours, theirs }) => `  ${register}: ${ours}, recorded ${theirs}`),
        ],
    [
      wrong === 0
        ? paint("clean", "no difference is the model's")
        : paint("corrupt", `${counted(wrong, "difference")} without an explanation`),
    ],
  ];
  return `${blocks
    .filter((block) => block.length > 0)
    .map((block) => block.join("\n"))
    .join("\n\n")}\n`;
}

function findingDocument({ line, difference, deviation }: FirmwareFinding): object {
  return {
    line,
    kind: deviation === undefined ? "wrong" : "deviation",
    deviation: deviation?.id ?? null,
    difference: differenceDocument(difference),
  };
}

/** `quiesce/replay@1` of a firmware recording. */
export function firmwareDocument(report: FirmwareReport): object {
  const { deviations, findings, runs, ...rest } = report;
  return {
    schema: "quiesce/replay@1",
    format: "firmware",
    complete: true,
    ...rest,
    deviations: Object.entries(deviations).map(([id, count]) => {
      const { title = "", section = "" } = stubDeviations.find((deviation) => deviation.id === id) ?? {};
      return { id, title, section, count };
    }),
    findings: findings.map(findingDocument),
    runs: runs.map((run) => ({ ...run, findings: run.findings.map(findingDocument) })),
  };
}
