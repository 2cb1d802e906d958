// SPDX-License-Identifier: MIT
/** Compares a run with what its scenario expects of it. */
import type { Scenario } from "../scenario/types.ts";
import { FIRST } from "./chain.ts";
import type { RunResult } from "./result.ts";

/** An oops that a next kernel's overwritten memory does not explain: kernel or driver code failed. */
function ownOops({ oops, nextKernelBytesCorrupted }: RunResult): string[] {
  if (oops === null || (oops.kernel !== FIRST && nextKernelBytesCorrupted > 0)) return [];
  return [`the ${oops.kernel} kernel oopsed in task ${oops.task}${oops.device === null ? "" : `, device ${oops.device}`}: ${oops.message}`];
}

/** Reports of a kernel's checks that the next kernel's overwritten memory does not explain: kernel or driver code is wrong. */
function ownReports({ kernelChecks, nextKernelBytesCorrupted }: RunResult): string[] {
  return kernelChecks.warnings
    .filter(({ kernel, check }) => check !== null && !(kernel !== FIRST && nextKernelBytesCorrupted > 0))
    .map(({ kernel, check, message, task }) => `the ${kernel} kernel reports (${check}) in task ${task}: ${message}`);
}

/** A kernel that hung although nothing overwrote its memory. */
function ownHang({ secondKernel, kernels = [], stuck, nextKernelBytesCorrupted }: RunResult): string[] {
  if (!(secondKernel === "hung" || kernels.some(({ state }) => state === "hung")) || nextKernelBytesCorrupted > 0) return [];
  const [at] = stuck;
  return [at ? `the ${at.kernel} kernel hung: ${at.task} waits: ${at.reason}` : "a kernel hung"];
}

/** True if the scenario leaves it to the claims: every one of them must hold. */
export function expectsNothing({ expect }: Scenario): boolean {
  return expect.verdict === undefined && expect.secondKernel === undefined && expect.holds.length === 0 && expect.broken.length === 0;
}

/** Sentences for everything that is not as expected; none if all is. */
export function brokenExpectations(scenario: Scenario, run: RunResult): string[] {
  const { expect } = scenario;
  // A scenario may be about a kernel that fails.
  const foreseen = expect.secondKernel === run.secondKernel;
  const broken = foreseen ? [] : [...ownOops(run), ...ownHang(run)];
  if (expect.secondKernel !== undefined && !foreseen)
    broken.push(
      `${run.kernelStates.length === 1 && run.secondKernel !== "none" ? `the first kernel is ${run.secondKernel} and no second one came` : `the second kernel is ${run.secondKernel}`}, ${expect.secondKernel} was expected`,
    );
  broken.push(...ownReports(run));
  if (expect.verdict !== undefined && expect.verdict !== run.verdict)
    broken.push(`the verdict is ${run.verdict}, ${expect.verdict} was expected`);
  for (const { claim, holds } of run.claims) {
    if (expect.holds.includes(claim) && !holds) broken.push(`${claim} is broken, it was expected to hold`);
    if (expect.broken.includes(claim) && holds) broken.push(`${claim} holds, it was expected to be broken`);
  }
  return broken;
}
