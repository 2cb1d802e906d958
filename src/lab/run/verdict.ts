// SPDX-License-Identifier: MIT
/**
 * The verdict on a run, from what its monitors counted.
 *
 * Clean means that no claim is broken and no kernel failed, so DMA that the claims allow (a crash runs no hook: devices may go
 * on under the crashed kernel's mappings) is clean. Contained is all that is neither clean nor did harm: mostly DMA that went
 * on and was refused or landed where it was granted; but also a broken order of shutdown without any DMA, or a kernel that
 * oopsed or hung by itself. {@link verdictReason} says which.
 */
import type { RunResult } from "./result.ts";
import type { Verdict } from "./types.ts";

export interface VerdictInput {
  /** True if at least one claim is broken. */
  readonly anyClaimBroken: boolean;
  /** True if a kernel oopsed or hung, for whatever reason. */
  readonly kernelFailed: boolean;
  /** Accesses of devices or of the SMMU that reached memory which was not granted to them: reads, writes, walks. */
  readonly strayAccesses: number;
  /** Bytes of the next kernel that a device changed. */
  readonly nextKernelBytes: number;
  /** Bytes that belonged to somebody else and were written by a device. */
  readonly ownedBytes: number;
}

/** The worst that applies, from corrupt down to clean. */
export function verdictOf(input: VerdictInput): Verdict {
  if (input.nextKernelBytes > 0 || input.ownedBytes > 0) return "corrupt";
  if (input.strayAccesses > 0) return "stray";
  return input.anyClaimBroken || input.kernelFailed ? "contained" : "clean";
}

/** What each verdict means. */
export const VERDICT_MEANING: Readonly<Record<Verdict, string>> = {
  clean: "no claim is broken",
  contained: "DMA went on or another rule was broken, nothing was harmed",
  stray: "memory was reached that nobody had granted",
  corrupt: "the next kernel, or memory given to someone else, was changed",
};

/** The verdict's meaning for this run. */
export function verdictReason(run: Pick<RunResult, "verdict" | "claims" | "dma" | "secondKernel" | "kernels" | "oops">): string {
  if (run.verdict !== "contained") return VERDICT_MEANING[run.verdict];
  if (run.dma.afterOwnShutdown + run.dma.afterSmmuShutdown > 0) return "DMA went on, nothing was harmed";
  const broken = run.claims.filter(({ holds }) => !holds).map(({ claim }) => claim);
  const hung = run.secondKernel === "hung" || run.kernels?.some(({ state }) => state === "hung") === true;
  const failed = run.oops !== null ? "a kernel oopsed" : hung ? "a kernel hung" : "";
  const what = [...(broken.length > 0 ? [`broken: ${broken.join(", ")}`] : []), ...(failed === "" ? [] : [failed])].join("; ");
  return `${what}; no DMA went on after a shutdown, nothing was harmed`;
}
