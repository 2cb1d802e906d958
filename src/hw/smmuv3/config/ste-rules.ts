// SPDX-License-Identifier: MIT
/**
 * When an STE is ILLEGAL: one row for each condition, in the order of the legality function (IHI 0070 §5.2.2).
 *
 * Rows of the architecture that need a feature this model refuses (DPT, Secure, Realm, VMSAv8-32 tables,
 * MPAM, PBHA) can never apply and are left out.
 */
import { granuleImplemented, largestTxsz, smallestTxsz } from "../translation/address-size.ts";
import { reservedStage2 } from "../translation/indirection.ts";
import type { SmmuConfig } from "./config.ts";
import { stage2Granule, stage2OutputBits, stage2StartLevelConsistent, usesD128 } from "./stage2-config.ts";
import type { SteFields } from "./ste-fields.ts";

/** One way for a structure to be ILLEGAL. */
export interface SteRule {
  readonly id: string;
  /** The condition in words. */
  readonly text: string;
  /** True if the STE breaks the rule. Rules are asked in order; those after the first broken one may not be meaningful. */
  broken(f: SteFields, config: SmmuConfig): boolean;
}

/** STE.STRW has a meaning only for stage-1-only streams of an SMMU with EL2. */
export function strwInUse(f: SteFields, config: SmmuConfig): boolean {
  return config.stage1 && config.hyp && f.Config === 5;
}

/** True if entries of this STE carry STE.S2VMID. */
export function vmidInUse(f: SteFields, config: SmmuConfig): boolean {
  return config.stage2 && f.Config > 4 && !(strwInUse(f, config) && f.STRW !== 0);
}

/** True if EATS is not ignored. */
function eatsInUse(f: SteFields, config: SmmuConfig): boolean {
  return config.ats && (f.Config & 3) !== 0;
}

function substreams(f: SteFields, config: SmmuConfig): boolean {
  return f.stage1 && config.ssidSize !== 0;
}

function badT0sz(f: SteFields, config: SmmuConfig): boolean {
  const granule = stage2Granule(f);
  const smallest = usesD128(f, config) ? 8 : smallestTxsz(granule, f.S2DS, config);
  return f.S2T0SZ > largestTxsz(granule, config) || f.S2T0SZ < Math.max(smallest, 64 - config.oas);
}

/** A Config of 0b0xx is legal whatever the other fields say: the caller tests rule "V" and stops there. */
export const STE_RULES: readonly SteRule[] = [
  { id: "V", text: "V is 0", broken: (f) => f.V === 0 },
  { id: "S1P", text: "stage 1 on, not implemented", broken: (f, c) => f.stage1 && !c.stage1 },
  { id: "S2P", text: "stage 2 on, not implemented", broken: (f, c) => f.stage2 && !c.stage2 },
  {
    id: "EATS=2",
    text: "split-stage ATS without both stages, with S2S, or not implemented",
    broken: (f, c) => eatsInUse(f, c) && f.EATS === 2 && (f.Config !== 7 || f.S2S === 1 || !c.splitStageAts),
  },
  {
    id: "EATS=1",
    text: "full ATS with S2S",
    broken: (f, c) => eatsInUse(f, c) && f.EATS === 1 && f.S2S === 1 && f.stage2,
  },
  { id: "STRW", text: "STRW is 0bx1", broken: (f, c) => strwInUse(f, c) && (f.STRW & 1) === 1 },
  {
    id: "S1STALLD",
    text: "S1STALLD is 1 and the stall model is not 0b00",
    broken: (f, c) => f.stage1 && f.S1STALLD === 1 && c.stallModel !== "both",
  },
  { id: "S1CDMax", text: "S1CDMax exceeds SSIDSIZE", broken: (f, c) => substreams(f, c) && f.S1CDMax > c.ssidSize },
  {
    id: "S1Fmt",
    text: "two-level CD table, not implemented",
    broken: (f, c) => substreams(f, c) && f.S1CDMax !== 0 && !c.twoLevelCd && (f.S1Fmt === 1 || f.S1Fmt === 2),
  },
  {
    id: "S1ContextPtr",
    text: "S1ContextPtr exceeds the output (stage 1 only) or intermediate address size",
    broken: (f, c) => f.stage1 && f.S1ContextPtr >= 2 ** c.oas,
  },
  { id: "S2FWB", text: "S2FWB with VMSAv8-32 tables", broken: (f, c) => f.stage2 && f.S2AA64 === 0 && !c.d128 && c.fwb && f.S2FWB === 1 },
  { id: "S2S=1", text: "S2S is 1 and the SMMU does not stall", broken: (f, c) => f.stage2 && f.S2S === 1 && c.stallModel === "terminate" },
  { id: "S2S=0", text: "S2S is 0 and the SMMU always stalls", broken: (f, c) => f.stage2 && f.S2S === 0 && c.stallModel === "force" },
  {
    id: "S2AA64=0",
    text: "VMSAv8-32 tables, not implemented",
    broken: (f, c) => f.stage2 && f.S2AA64 === 0 && c.ttf === "aarch64" && !c.d128,
  },
  {
    id: "S2HA/S2HD",
    text: "hardware update of descriptors, not implemented",
    broken: (f, c) => f.stage2 && (f.S2HA === 1 || f.S2HD === 1) && (c.httu === 0 || (f.S2AA64 === 0 && !c.d128)),
  },
  { id: "S2HD", text: "hardware update of dirty state, not implemented", broken: (f, c) => f.stage2 && f.S2HD === 1 && c.httu === 1 },
  { id: "S2HAFT", text: "S2HAFT is 1 and S2HA is 0", broken: (f, c) => f.stage2 && c.httu === 3 && f.S2HAFT === 1 && f.S2HA === 0 },
  {
    id: "S2TG",
    text: "S2TG is reserved or names a granule that is not implemented",
    broken: (f, c) => {
      const granule = stage2Granule(f);
      return f.stage2 && (granule === undefined || !granuleImplemented(granule, c));
    },
  },
  {
    id: "S2TTB",
    text: "S2TTB exceeds the stage-2 output size",
    broken: (f, c) => f.stage2 && ((usesD128(f, c) && f.S2TTBHigh !== 0) || f.S2TTB >= 2 ** stage2OutputBits(f, c)),
  },
  { id: "S2T0SZ", text: "S2T0SZ is out of range", broken: (f, c) => f.stage2 && badT0sz(f, c) },
  {
    id: "S2SL0",
    text: "S2T0SZ, S2SL0 and S2TG do not fit each other",
    broken: (f, c) => f.stage2 && !usesD128(f, c) && !stage2StartLevelConsistent(f, c),
  },
  {
    id: "S2SKL",
    text: "S2SKL skips more levels than stage-2 walks have",
    broken: (f, c) => f.stage2 && usesD128(f, c) && !stage2StartLevelConsistent(f, c),
  },
  {
    id: "S2ENDI",
    text: "S2ENDI asks for an endianness that is not implemented",
    broken: (f, c) => f.stage2 && ((c.ttEndian === "little" && f.S2ENDI === 1) || (c.ttEndian === "big" && f.S2ENDI === 0)),
  },
  {
    id: "S2POE",
    text: "S2POE is 1 and S2PIE is 0",
    broken: (f, c) => f.stage2 && c.s2po && f.S2POE === 1 && f.S2PIE === 0 && !usesD128(f, c),
  },
  {
    id: "S2POI",
    text: "S2POI has a reserved entry",
    broken: (f, c) => f.stage2 && c.s2po && f.S2POE === 1 && f.S2POI.some(reservedStage2),
  },
  { id: "S2VMID", text: "S2VMID has more than 8 bits, not implemented", broken: (f, c) => vmidInUse(f, c) && !c.vmid16 && f.S2VMID > 0xff },
];

/** The first rule that an STE breaks, or undefined if it is legal. */
export function brokenSteRule(f: SteFields, config: SmmuConfig): SteRule | undefined {
  if (f.V === 1 && (f.Config & 4) === 0) return undefined;
  return STE_RULES.find((rule) => rule.broken(f, config));
}
