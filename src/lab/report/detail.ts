// SPDX-License-Identifier: MIT
/** One run in full: facts, timeline, where DMA landed, claims with evidence, how to replay it. */
import { hex } from "../../hw/index.ts";
import type { ClaimResult, Evidence } from "../monitors/monitor.ts";
import type { RunResult } from "../run/result.ts";
import type { Verdict } from "../run/types.ts";
import { escape, group, milliseconds, plural } from "./html.ts";
import { timelineView } from "./timeline-view.ts";

/** A shape for each verdict, so that colour is never alone. */
export const SHAPES: Record<Verdict, string> = { clean: "\u25cb", contained: "\u25d0", stray: "\u25b3", corrupt: "\u25a0" };

export function badge(verdict: Verdict): string {
  return `<span class="badge ${verdict}"><span class="mark" aria-hidden="true">${SHAPES[verdict]}</span>${verdict}</span>`;
}

/** How the kernels ended: of a run that never came to a second one, the first. */
function endOf({ kernelStates, secondKernel }: RunResult): [string, string] {
  const [first, second] = kernelStates;
  return first && !second && first.state !== "up"
    ? ["first kernel", `${first.state}, no second one came`]
    : ["second kernel", secondKernel];
}

function facts(run: RunResult): string {
  const { dma, events } = run;
  const rows: [string, string][] = [
    ["DMA after own shutdown", plural(dma.afterOwnShutdown, "access", "accesses")],
    ["DMA after the SMMU's", plural(dma.afterSmmuShutdown, "access", "accesses")],
    ["translated", group(dma.translated)],
    ["bypassed", group(dma.bypassed)],
    ["aborted by the SMMU", group(dma.aborted)],
    ["nothing decoded", group(dma.undecoded)],
    ["foreign writes", plural(run.foreignWriteBytes, "byte", "bytes")],
    ["next kernel corrupted", plural(run.nextKernelBytesCorrupted, "byte", "bytes")],
    ["stale walks", group(run.staleWalks)],
    ["SMMU events", `${group(events.recorded)} recorded, ${group(events.lost)} lost`],
    endOf(run),
  ];
  return `<dl class="facts">${rows.map(([name, value]) => `<div><dt>${escape(name)}</dt><dd>${escape(value)}</dd></div>`).join("")}</dl>`;
}

function evidenceLine(evidence: Evidence, origin: number): string {
  const way = [evidence.address, evidence.physical].filter((address) => address !== undefined).map((address) => hex(address));
  const addresses = [...new Set(way)].join(" \u2192 ");
  const given =
    evidence.givenUpBy === undefined || evidence.text.includes(evidence.givenUpBy) ? "" : `; given up by ${escape(evidence.givenUpBy)}`;
  return `<li><span class="quiet">${milliseconds(evidence.time, origin)}</span> <code>${escape(evidence.who)}</code> ${addresses === "" ? "" : `<code>${addresses}</code> `}${escape(evidence.text)}${given}</li>`;
}

function claimRow(result: ClaimResult, origin: number): string {
  const kept = result.evidence.slice(0, 4);
  const more = result.count - kept.length;
  const list =
    kept.length === 0
      ? ""
      : `<ul>${kept.map((evidence) => evidenceLine(evidence, origin)).join("")}${more > 0 ? `<li class="quiet">and ${group(more)} more</li>` : ""}</ul>`;
  const word = result.holds ? '<span class="badge clean">\u2713 holds</span>' : '<span class="badge corrupt">\u2717 broken</span>';
  return `<tr><th scope="row">${escape(result.claim)}</th><td>${word}${list}</td></tr>`;
}

function sites(run: RunResult): string {
  if (run.sites.length === 0) return "";
  const items = run.sites.map(({ who, what, writes, reads, first }) => {
    const counts = [writes > 0 ? plural(writes, "write", "writes") : "", reads > 0 ? plural(reads, "read", "reads") : ""]
      .filter((part) => part !== "")
      .join(", ");
    return `<li><code>${escape(who)}</code>: ${counts} in ${escape(what)}, first at ${milliseconds(first, run.wayDownAt)}</li>`;
  });
  return `<h4>Where it landed without a grant</h4><ul>${items.join("")}</ul>`;
}

function trouble(run: RunResult): string {
  const oops = run.oops;
  const parts: string[] = [];
  if (oops) {
    const device = oops.device === null ? "" : ` Device: ${oops.device}`;
    parts.push(
      `<pre>${escape(oops.message)}\nComm: ${escape(oops.task)} Kernel: ${escape(oops.kernel)}${escape(device)} Time: ${milliseconds(oops.time, run.wayDownAt)}</pre>`,
    );
  }
  if (run.stuck.length > 0)
    parts.push(
      `<ul>${run.stuck.map(({ kernel, task, reason }) => `<li>${escape(kernel)} kernel: <code>${escape(task)}</code> waits: ${escape(reason)}</li>`).join("")}</ul>`,
    );
  return parts.length === 0 ? "" : `<h4>What went wrong in software</h4>${parts.join("")}`;
}

const WARNINGS_SHOWN = 10;

/** What the kernels said of themselves: lockdep, KASAN, the DMA API's debug checks and their like. */
function kernelChecks({ kernelChecks: { warnings, count }, wayDownAt }: RunResult): string {
  if (count === 0) return "";
  const items = warnings.slice(0, WARNINGS_SHOWN).map(({ kernel, time, check, message, task, device, details }) => {
    const more = details.length === 0 ? "" : `<pre>${escape(details.join("\n"))}</pre>`;
    const where = `task <code>${escape(task)}</code>, device <code>${escape(device ?? "none")}</code>`;
    return `<li><span class="quiet">${milliseconds(time, wayDownAt)}</span> ${escape(kernel)} kernel, ${escape(check ?? "warning")}: ${escape(message)}<br><span class="quiet">${where}</span>${more}</li>`;
  });
  const rest = count - items.length;
  return `<h4>Kernel checks</h4><ul>${items.join("")}${rest > 0 ? `<li class="quiet">and ${group(rest)} more</li>` : ""}</ul>`;
}

/** Devices that waited for a supplier in vain, and clients that never worked. */
function waiting({ deferredProbes, idleClients }: RunResult): string {
  const items = [
    ...deferredProbes.map(({ kernel, device, reason, outcome }) => {
      const end = outcome === "pending" ? "deferred probe pending" : "probed when booting was over";
      return `<li>${escape(kernel)} kernel: <code>${escape(device)}</code>: ${escape(reason ?? "reason unknown")}; ${end}</li>`;
    }),
    ...idleClients.map(
      ({ kernel, device, why }) =>
        `<li>${escape(kernel)} kernel: <code>${escape(device)}</code> is active and did no DMA: ${escape(why)}</li>`,
    ),
  ];
  return items.length === 0 ? "" : `<h4>Who waited, or never worked</h4><ul>${items.join("")}</ul>`;
}

function eventKinds(run: RunResult): string {
  const kinds = Object.entries(run.events.kinds);
  if (kinds.length === 0) return "";
  return `<p class="quiet">SMMU events: ${kinds.map(([kind, count]) => `${escape(kind)} \u00d7 ${group(count)}`).join(", ")}.</p>`;
}

/** The body of a detail: everything below its heading. */
export function runDetail(run: RunResult): string {
  return (
    `${facts(run)}<h4>What happened, and where DMA went</h4>${timelineView(run)}${eventKinds(run)}${sites(run)}${trouble(run)}${kernelChecks(run)}${waiting(run)}` +
    `<h4>Claims</h4><table class="claims"><thead><tr><th scope="col">claim</th><th scope="col">result and evidence</th></tr></thead><tbody>${run.claims.map((claim) => claimRow(claim, run.wayDownAt)).join("")}</tbody></table>` +
    `<h4>Replay</h4><pre>${escape(run.replay)}</pre>`
  );
}
