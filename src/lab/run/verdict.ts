// SPDX-License-Identifier: MIT
/** The verdict on a run, from what its monitors counted. */
import type { Verdict } from "./types.ts";

export interface VerdictInput {
  /** True if at least one claim is broken. */
  readonly anyClaimBroken: boolean;
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
  return input.anyClaimBroken ? "contained" : "clean";
}
