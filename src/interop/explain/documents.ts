// SPDX-License-Identifier: MIT
/** Replays and explanations as JSON documents: 64-bit values and words are hexadecimal strings. */
import { hex, hex64 } from "../../hw/index.ts";
import { wordsText } from "../decode/decoded.ts";
import type { Difference, DueEvent } from "../replay/difference.ts";
import type { TranslationAnswer } from "../replay/recording.ts";
import type { Finding, ReplayReport } from "../replay/report.ts";
import type { Explanation } from "./types.ts";

function answerDocument({ status, physical, mask, perm, event }: TranslationAnswer): object {
  return {
    status,
    ...(physical === undefined ? {} : { physical }),
    ...(mask === undefined ? {} : { mask: hex(mask) }),
    ...(perm === undefined ? {} : { perm }),
    ...(event === undefined ? {} : { event: hex(event, 2) }),
  };
}

function dueDocument(due: DueEvent | undefined): object | null {
  return due === undefined ? null : { ...due, event: hex(due.event, 2), sid: hex(due.sid) };
}

export function differenceDocument(difference: Difference): object {
  switch (difference.what) {
    case "read":
      return { ...difference, offset: hex(difference.offset) };
    case "state":
      return { ...difference, ours: hex(difference.ours), theirs: hex(difference.theirs) };
    case "event":
      return {
        what: difference.what,
        ours: difference.ours ? wordsText(difference.ours) : null,
        theirs: difference.theirs ? wordsText(difference.theirs) : null,
      };
    case "event-address":
      return { what: difference.what, ours: hex(difference.ours), theirs: hex(difference.theirs) };
    case "event-due":
      return { what: difference.what, ours: dueDocument(difference.ours), theirs: dueDocument(difference.theirs) };
    case "translation":
    case "uncached":
      return { what: difference.what, ours: answerDocument(difference.ours), theirs: answerDocument(difference.theirs) };
    default:
      return difference;
  }
}

function findingDocument({ record, difference, deviation }: Finding): object {
  return {
    record,
    kind: deviation === undefined ? "wrong" : "deviation",
    deviation: deviation?.id ?? null,
    difference: differenceDocument(difference),
  };
}

function staleDocument({ addressHi, addressLo, structure, streamId, ...use }: ReplayReport["stale"][number]["use"]): object {
  return { ...use, streamId: hex(streamId), address: hex64(addressHi, addressLo), structure: hex(structure) };
}

/** `quiesce/replay@1`. @param complete false: the reading was interrupted */
export function replayDocument(
  report: ReplayReport,
  deviations: readonly { readonly id: string; readonly title: string; readonly section: string }[],
  complete: boolean,
): object {
  const { findings, stale, deviations: counts, ...rest } = report;
  return {
    schema: "quiesce/replay@1",
    format: "smmuv3-trace/1",
    complete,
    ...rest,
    deviations: Object.entries(counts).map(([id, count]) => {
      const { title = "", section = "" } = deviations.find((deviation) => deviation.id === id) ?? {};
      return { id, title, section, count };
    }),
    findings: findings.map(findingDocument),
    stale: stale.map(({ record, use }) => ({ record, ...staleDocument(use) })),
  };
}

/** `quiesce/explain@1`. */
export function explainDocument({ subject, recorded, differences, stale, ...rest }: Explanation): object {
  return {
    schema: "quiesce/explain@1",
    ...subject,
    ...rest,
    recorded: recorded
      ? {
          answer: answerDocument(recorded.answer),
          architecture: recorded.architecture ? answerDocument(recorded.architecture) : null,
        }
      : null,
    differences: differences.map(findingDocument),
    stale: stale.map(staleDocument),
  };
}
