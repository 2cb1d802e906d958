// SPDX-License-Identifier: MIT
/** Compares a run with what its scenario expects of it. */
import type { Scenario } from "../scenario/types.ts";
import { SECOND } from "./kernels.ts";
import type { RunResult } from "./result.ts";

/** An oops that the next kernel's overwritten memory does not explain: kernel or driver code failed. */
function ownOops({ oops, nextKernelBytesCorrupted }: RunResult): string[] {
  if (oops === null || (oops.kernel === SECOND && nextKernelBytesCorrupted > 0)) return [];
  return [`the ${oops.kernel} kernel oopsed in task ${oops.task}${oops.device === null ? "" : `, device ${oops.device}`}: ${oops.message}`];
}

/** Sentences for everything that is not as expected; none if all is. */
export function brokenExpectations(scenario: Scenario, run: RunResult): string[] {
  const { expect } = scenario;
  const broken = ownOops(run);
  if (expect.verdict !== undefined && expect.verdict !== run.verdict)
    broken.push(`the verdict is ${run.verdict}, ${expect.verdict} was expected`);
  for (const { claim, holds } of run.claims) {
    if (expect.holds.includes(claim) && !holds) broken.push(`${claim} is broken, it was expected to hold`);
    if (expect.broken.includes(claim) && holds) broken.push(`${claim} holds, it was expected to be broken`);
  }
  return broken;
}
