// SPDX-License-Identifier: MIT
/**
 * What becomes of each kind of transaction, written down from IHI 0070 §3.14, §3.22, §13.1.1 and §16.7.2 alone: permissions of the
 * stages in, answer out.
 */
import { TransactionKind as K } from "../../../../src/hw/index.ts";

/** What one stage grants to the privilege of the transaction. */
export interface Grant {
  readonly r: boolean;
  readonly w: boolean;
  readonly x: boolean;
}

export interface Case {
  readonly kind: K;
  readonly version: number;
  /** Input, after overrides. */
  readonly write: boolean;
  readonly instruction: boolean;
  readonly privileged: boolean;
  /** Undefined: the stage does not translate. */
  readonly stage1: Grant | undefined;
  readonly stage2: Grant | undefined;
  readonly dre: number;
  readonly dcp: number;
}

export interface Verdict {
  readonly outcome: "forward" | "abort" | "success";
  /** Kind at the output. */
  readonly as?: K;
  readonly event?: { readonly name: string; readonly RnW: number; readonly InD: number; readonly PnU: number; readonly S2?: number };
}

const HINTS: readonly K[] = [K.destructiveHint, K.directedPrefetch];
const MAINTENANCE: readonly K[] = [K.clean, K.cleanInvalidate, K.cleanToPersistence, K.invalidate];
/** Table 13.4: always Data. */
const DATA: readonly K[] = [K.atomic, K.writeDirectedPrefetch, K.directedPrefetch];
const SUCCESS: Verdict = { outcome: "success" };

export function verdict(c: Case): Verdict {
  const { kind, version, dre, dcp } = c;
  const writes =
    kind === K.atomic || kind === K.writeDirectedPrefetch
      ? true
      : kind === K.ordinary || kind === K.speculative || kind === K.unsupported
        ? c.write
        : false;
  const instruction = c.instruction && !writes && !DATA.includes(kind);
  const attributes = { InD: instruction ? 1 : 0, PnU: c.privileged ? 1 : 0 };
  const RnW = writes ? 0 : 1;
  if (kind === K.noAddress || (kind === K.speculative && c.write)) return { outcome: "abort" };
  if (kind === K.unsupported || (version === 0 && MAINTENANCE.includes(kind)))
    return { outcome: "abort", event: { name: "F_UUT", RnW, ...attributes } };
  const stages = [c.stage1, c.stage2];
  for (const [i, grant] of stages.entries()) {
    if (grant === undefined) continue;
    const { r, w, x } = grant;
    const reads = instruction ? x : r;
    let refused: number | undefined;
    if (kind === K.atomic) refused = !w ? 0 : !r ? 1 : undefined;
    else if (kind === K.directedPrefetch) refused = r || w || x ? undefined : 1;
    else if (writes ? !w : !reads) refused = RnW;
    if (refused === undefined) continue;
    if (HINTS.includes(kind)) return SUCCESS;
    if (kind === K.speculative) return { outcome: "abort" };
    return { outcome: "abort", event: { name: "F_PERMISSION", RnW: refused, ...attributes, S2: i } };
  }
  const translated = stages.some((grant) => grant !== undefined);
  const writable = stages.every((grant) => grant === undefined || grant.w);
  const free = version > 0 && !translated;
  switch (kind) {
    case K.invalidate:
      return { outcome: "forward", as: free || (dre === 1 && writable) ? kind : K.cleanInvalidate };
    case K.destructiveHint:
      return free || (version > 0 && dre === 1 && writable) ? { outcome: "forward", as: kind } : SUCCESS;
    case K.destructiveRead:
      return { outcome: "forward", as: free || (version > 0 && dre === 1 && writable) ? kind : K.ordinary };
    case K.readCleanInvalidate:
      return { outcome: "forward", as: version > 0 ? kind : K.ordinary };
    case K.writeDirectedPrefetch:
      return { outcome: "forward", as: free || (version > 0 && dcp === 1) ? kind : K.ordinary };
    case K.directedPrefetch:
      return free || (version > 0 && dcp === 1) ? { outcome: "forward", as: kind } : SUCCESS;
    default:
      return { outcome: "forward", as: kind };
  }
}
