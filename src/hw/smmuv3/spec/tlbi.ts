// SPDX-License-Identifier: MIT
/**
 * TLBI operations that a PE broadcasts, by the names of its instructions without the shareability (IS, OS) and nXS
 * (IHI 0070 §3.17; DDI 0487 D8.17.5). R is the form for a range.
 */

/** What is matched besides the translation regime. */
export interface TlbiSpec {
  readonly regime: "EL1" | "EL2" | "EL3";
  /** Which stages' entries go. */
  readonly stages: 1 | 2 | 12;
  readonly by: "all" | "asid" | "va" | "va-asid" | "ipa";
  /** The last level only. */
  readonly leaf: boolean;
  readonly range: boolean;
  /** EL1 only: of one VMID. */
  readonly vmid: boolean;
}

const one = { leaf: false, range: false, vmid: false } as const;
const leaf = { ...one, leaf: true } as const;
const range = { ...one, range: true } as const;
const leafRange = { ...one, leaf: true, range: true } as const;
const EL1 = { regime: "EL1", stages: 1, vmid: true } as const;
const STAGE2 = { regime: "EL1", stages: 2, vmid: true, by: "ipa" } as const;
const EL2 = { regime: "EL2", stages: 1 } as const;
const EL3 = { regime: "EL3", stages: 1 } as const;

type R = "" | "R";
type A = "" | "A";
type L = "" | "L";

export type BroadcastOperation =
  | "VMALLE1"
  | "VMALLS12E1"
  | "ALLE1"
  | "ALLE2"
  | "ALLE3"
  | "ASIDE1"
  | "ASIDE2"
  | `${R}VA${A}${L}E1`
  | `${R}VA${A}${L}E2`
  | `${R}VA${L}E3`
  | `${R}IPAS2${L}E1`;

export const broadcastOperations: Readonly<Record<BroadcastOperation, TlbiSpec>> = {
  VMALLE1: { ...one, ...EL1, by: "all" },
  ASIDE1: { ...one, ...EL1, by: "asid" },
  VAE1: { ...one, ...EL1, by: "va-asid" },
  VALE1: { ...leaf, ...EL1, by: "va-asid" },
  VAAE1: { ...one, ...EL1, by: "va" },
  VAALE1: { ...leaf, ...EL1, by: "va" },
  RVAE1: { ...range, ...EL1, by: "va-asid" },
  RVALE1: { ...leafRange, ...EL1, by: "va-asid" },
  RVAAE1: { ...range, ...EL1, by: "va" },
  RVAALE1: { ...leafRange, ...EL1, by: "va" },
  IPAS2E1: { ...one, ...STAGE2 },
  IPAS2LE1: { ...leaf, ...STAGE2 },
  RIPAS2E1: { ...range, ...STAGE2 },
  RIPAS2LE1: { ...leafRange, ...STAGE2 },
  VMALLS12E1: { ...one, ...EL1, stages: 12, by: "all" },
  ALLE1: { ...one, regime: "EL1", stages: 12, by: "all" },
  ALLE2: { ...one, ...EL2, by: "all" },
  ASIDE2: { ...one, ...EL2, by: "asid" },
  VAE2: { ...one, ...EL2, by: "va-asid" },
  VALE2: { ...leaf, ...EL2, by: "va-asid" },
  VAAE2: { ...one, ...EL2, by: "va" },
  VAALE2: { ...leaf, ...EL2, by: "va" },
  RVAE2: { ...range, ...EL2, by: "va-asid" },
  RVALE2: { ...leafRange, ...EL2, by: "va-asid" },
  RVAAE2: { ...range, ...EL2, by: "va" },
  RVAALE2: { ...leafRange, ...EL2, by: "va" },
  ALLE3: { ...one, ...EL3, by: "all" },
  VAE3: { ...one, ...EL3, by: "va" },
  VALE3: { ...leaf, ...EL3, by: "va" },
  RVAE3: { ...range, ...EL3, by: "va" },
  RVALE3: { ...leafRange, ...EL3, by: "va" },
};
