// SPDX-License-Identifier: MIT
/** A run as text for a terminal of 80 columns, and as a document `quiesce/run@1`. */
import { hex, lintText } from "../../hw/index.ts";
import type { ClaimResult, Evidence } from "../monitors/monitor.ts";
import type { Scenario } from "../scenario/types.ts";
import { type Paint, wrap } from "../text.ts";
import type { DeferredProbe } from "./deferred.ts";
import { narrative } from "./narrative.ts";
import { LANDING_CLASSES, type RunResult } from "./result.ts";
import { verdictReason } from "./verdict.ts";

const WIDTH = 80;
const EVIDENCE_SHOWN = 3;
const WARNINGS_SHOWN = 10;

function at(time: number, origin: number): string {
  const ms = (time - origin) / 1e6;
  return `${ms < 0 ? "-" : "+"}${Math.abs(ms).toFixed(3)}`.padStart(10);
}

function hanging(prefix: string, text: string): string[] {
  const [first = "", ...rest] = wrap(text, WIDTH - prefix.length);
  return [prefix + first, ...rest.map((line) => " ".repeat(prefix.length) + line)];
}

function chronicle(run: RunResult, paint: Paint): string[] {
  const lines = narrative(run).flatMap(({ time, kernel, text }) => hanging(`${at(time, run.wayDownAt)}  `, `${kernel}: ${text}`));
  const heading = `what happened (${run.kernels ? "first, second, …: the kernels in order" : "first: the kernel that goes down, second: the next"})`;
  return [paint("dim", `${"ms".padStart(10)}  ${heading}`), ...lines];
}

function dma(run: RunResult): string[] {
  const { dma: counts, events } = run;
  const kinds = LANDING_CLASSES.map((kind) => `${run.timeline.bins[kind].reduce((sum, count) => sum + count, 0)} ${kind}`).join(", ");
  return [
    ...hanging(
      "DMA           ",
      `${counts.translated} translated, ${counts.bypassed} bypassed, ${counts.aborted} aborted by the SMMU, ${counts.undecoded} past it that nothing decoded (from the way down until a later driver took over)`,
    ),
    ...hanging(
      "              ",
      `${counts.afterOwnShutdown} after the device's own shutdown, ${counts.afterSmmuShutdown} after the SMMU's`,
    ),
    ...hanging("landings      ", `${kinds} (in the time shown)`),
    `harm          ${run.foreignWriteBytes} bytes written without a grant, ${run.nextKernelBytesCorrupted} of the next kernel`,
    `SMMU          ${run.staleWalks} walks of given-away tables, ${events.recorded} events recorded, ${events.lost} lost`,
    ...hanging(...kernelStates(run)),
  ];
}

/** How the kernels are at the end. A run that never came to a next kernel has the first one's end to tell. */
function kernelStates({ kernels: chain, kernelStates: states, secondKernel }: RunResult): [label: string, text: string] {
  if (chain) return ["kernels       ", states.map(({ kernel, state }) => `${kernel} ${state}`).join(", ")];
  const [first, second] = states;
  if (first && !second && first.state !== "up") return ["first kernel  ", `${first.state}: no second one came`];
  return ["second kernel ", secondKernel];
}

const SUPPLIER_STATES: Record<NonNullable<DeferredProbe["supplierState"]>, string> = {
  "no-device": "is no device in this run",
  "no-driver": "has no driver in this run",
  "not-bound": "has a driver that is not bound",
  bound: "came too late",
};

/** Kernels in which the same is true, together. */
function byKernel<T extends { readonly kernel: string }>(items: readonly T[], says: (item: T) => string): string[] {
  const kernelsOf = new Map<string, string[]>();
  for (const item of items) kernelsOf.set(says(item), [...(kernelsOf.get(says(item)) ?? []), item.kernel]);
  return [...kernelsOf].flatMap(([text, kernels]) => hanging("  ", `${kernels.join(", ")}: ${text}`));
}

/** Devices that waited in vain, as Linux's devices_deferred lists them, and clients that never worked. */
function waiting({ deferredProbes, idleClients }: RunResult, paint: Paint): string[] {
  const lines: string[] = [];
  if (deferredProbes.length > 0) {
    lines.push(paint("bold", "deferred probes"));
    lines.push(
      ...byKernel(deferredProbes, ({ device, reason, supplier, supplierState, outcome }) => {
        const state = supplierState === null ? "" : `; ${supplier} ${SUPPLIER_STATES[supplierState]}`;
        const end = outcome === "pending" ? "deferred probe pending" : "probed when booting was over";
        return `${device}: ${reason ?? "reason unknown"}${state}; ${end}`;
      }),
    );
    const undriven = deferredProbes.some(({ supplierState }) => supplierState === "no-device" || supplierState === "no-driver");
    const moved = "Waiting moves a device to the tail of the device list: it is shut down earlier.";
    const other = undriven ? " quiesce order takes every supplier for driven, so its order can differ." : "";
    lines.push(...hanging("  ", `${moved}${other}`));
  }
  if (idleClients.length > 0) {
    lines.push(paint("corrupt", "clients that are active and did no DMA: nothing is shown of them"));
    lines.push(...byKernel(idleClients, ({ device, why }) => `${device}: ${why}`));
  }
  return lines;
}

/** A chain kernel by kernel. */
function kernels(run: RunResult): string[] {
  return (run.kernels ?? []).flatMap(({ kernel, startedBy, state, smmuFound, imageBytesChanged, wayDown, dma: counts }) =>
    hanging(
      `${kernel.padEnd(12)}  `,
      [
        `${state}, started by ${{ firmware: "firmware", kexec: "kexec", crash: "a crash", jump: "a kexec jump", return: "the jump back" }[startedBy]}`,
        `found the SMMU ${smmuFound.enabled ? "on" : smmuFound.aborting ? "off and aborting" : "off and bypassing"}${smmuFound.enabled && smmuFound.aborting ? ", GBPA aborting" : ""}`,
        `${imageBytesChanged} bytes of it changed`,
        ...(counts === null
          ? []
          : [
              `${wayDown ?? ""}: ${counts.translated} translated, ${counts.bypassed} bypassed, ${counts.aborted} aborted, ${counts.undecoded} undecoded`,
            ]),
      ].join("; "),
    ),
  );
}

/** What the model says of the SMMU's driver, where it says something. */
function lint(run: RunResult): string[] {
  return Object.entries(run.lint).flatMap(([rule, count], index) => {
    const text = lintText(rule) ?? rule;
    return hanging(index === 0 ? "driver lint   " : "              ", `${count} × ${rule}: ${text}`);
  });
}

/** What the kernels said of themselves, if they said something. */
function kernelChecks(run: RunResult, paint: Paint): string[] {
  const { warnings, count } = run.kernelChecks;
  if (count === 0) return [];
  const shown = warnings.slice(0, WARNINGS_SHOWN);
  const more = count - shown.length;
  return [
    paint("corrupt", "kernel checks"),
    ...shown.flatMap(({ kernel, time, check, message, task, device, details }) => [
      ...hanging(`${at(time, run.wayDownAt)}  `, `${kernel}: ${check ?? "warning"}: ${message}`),
      `            task ${task}, device ${device ?? "none"}`,
      ...details.flatMap((line) => hanging("              ", line)),
    ]),
    ...(more > 0 ? [`            and ${more} more`] : []),
  ];
}

function evidence(item: Evidence, origin: number): string[] {
  const addresses = [...new Set([item.address, item.physical].filter((address) => address !== undefined).map((address) => hex(address)))];
  const given = item.givenUpBy === undefined || item.text.includes(item.givenUpBy) ? "" : `; given up by ${item.givenUpBy}`;
  return hanging(
    `    ${at(item.time, origin)}  `,
    `${[item.who, addresses.join(" -> ")].filter((part) => part !== "").join(" ")}: ${item.text}${given}`,
  );
}

function claim(result: ClaimResult, origin: number, paint: Paint): string[] {
  const word = result.holds ? paint("clean", "holds ") : paint("corrupt", "broken");
  const shown = result.evidence.slice(0, EVIDENCE_SHOWN);
  const more = result.count - shown.length;
  return [
    `${word}  ${result.claim}`,
    ...shown.flatMap((item) => evidence(item, origin)),
    ...(more > 0 ? [`${" ".repeat(16)}and ${more} more`] : []),
  ];
}

/** A shell command on lines that go on behind a backslash, so that it can be copied as it stands. */
function foldCommand(command: string): string[] {
  const words = command.match(/(?:'[^']*'|\\.|[^\s'\\])+/g) ?? [];
  if (command.length <= WIDTH || words.join(" ") !== command) return [command];
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    // Room for the backslash.
    if (last !== undefined && last.length + word.length + 3 <= WIDTH) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(last === undefined ? word : `  ${word}`);
  }
  return lines.map((line, index) => (index < lines.length - 1 ? `${line} \\` : line));
}

/** What `quiesce run` prints. @param broken what is not as the scenario expects */
export function runText(scenario: Scenario, run: RunResult, broken: readonly string[], paint: Paint): string {
  const oops = run.oops
    ? [
        paint("corrupt", `${run.oops.kernel} kernel oopsed at ${at(run.oops.time, run.wayDownAt).trim()} ms`),
        ...hanging("  ", run.oops.message),
        `  task ${run.oops.task}, device ${run.oops.device ?? "none"}`,
      ]
    : [];
  const stuck = run.stuck.flatMap(({ kernel, task, reason }) => hanging(`stuck         `, `${kernel}: ${task} waits: ${reason}`));
  const parts = [
    [
      ...wrap(scenario.title.trim().replace(/\s+/g, " "), WIDTH).map((line) => paint("bold", line)),
      ...wrap(scenario.story.trim().replace(/\s+/g, " "), WIDTH),
      ...wrap(`source: ${scenario.source.trim().replace(/\s+/g, " ")}`, WIDTH).map((line) => paint("dim", line)),
    ],
    chronicle(run, paint),
    [...dma(run), ...stuck, ...lint(run)],
    waiting(run, paint),
    kernels(run),
    oops,
    kernelChecks(run, paint),
    run.claims.flatMap((result) => claim(result, run.wayDownAt, paint)),
    [
      `verdict: ${paint(run.verdict, run.verdict)} (${verdictReason(run)})`,
      ...broken.map((sentence) => paint("corrupt", `not as expected: ${sentence}`)),
    ],
    ["replay:", ...foldCommand(run.replay)],
  ];
  return `${parts
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

function evidenceDocument({ address, physical, ...rest }: Evidence): object {
  return {
    ...rest,
    ...(address === undefined ? {} : { address: hex(address) }),
    ...(physical === undefined ? {} : { physical: hex(physical) }),
  };
}

/** The run as one JSON document. 64-bit values are hex strings, times virtual nanoseconds. */
export function runDocument(scenario: Scenario, run: RunResult, broken: readonly string[]): object {
  const { claims, seed, log: _log, ...rest } = run;
  return {
    schema: "quiesce/run@1",
    ...rest,
    seed: hex(seed),
    claims: claims.map((result) => ({ ...result, evidence: result.evidence.map(evidenceDocument) })),
    scenario: { source: scenario.source, expect: scenario.expect },
    notAsExpected: broken,
  };
}
