// SPDX-License-Identifier: MIT
/** Configurations that differ in one feature each: what chapter 5 of IHI 0070 makes depend on ID registers. */
import { profiles, type SmmuConfig, validateConfig } from "../../../../src/hw/smmuv3/config/config.ts";

/** Structures are cached, since a test that changes one empties the cache; translations are not. */
const caches = { ste: 2, cd: 4, tlb: 0, walk: 0, replacement: "round-robin" } as const;

const noStage2 = {
  stage2: false,
  hyp: false,
  xnx: false,
  ptwnnc: false,
  splitStageAts: false,
  vmw: false,
  mteperm: false,
  s2pi: false,
  s2po: false,
  the: false,
};
const noAts = { ats: false, splitStageAts: false, atsRecErr: false, pasidTt: false, pri: false };
const noStage1 = { splitStageAts: false, stage1: false, hyp: false, had: false, s1pi: false, aie: false, the: false };

/** Changes to profile `max`, named by what they stand for. */
const CHANGES: Readonly<Record<string, Partial<SmmuConfig>>> = {
  "all of it": {},
  "no stage 1": noStage1,
  "no stage 2": noStage2,
  "no substreams": { ssidSize: 0, pasidTt: false },
  "SSIDSIZE 3": { ssidSize: 3 },
  "no 2-level CD tables": { twoLevelCd: false },
  "ASIDs of 8 bits": { asid16: false },
  "VMIDs of 8 bits": { vmid16: false },
  "OAS 32": { oas: 32 },
  "OAS 36": { oas: 36 },
  "OAS 40": { oas: 40 },
  "OAS 42": { oas: 42 },
  "OAS 44": { oas: 44 },
  "OAS 48": { oas: 48 },
  "VAX 48": { vax: 48, ds: false },
  "no 4KB granule": { gran4k: false },
  "no 16KB granule": { gran16k: false },
  "no 64KB granule": { gran64k: false },
  "64KB granule only": { gran4k: false, gran16k: false, ds: false },
  "no LPA2": { ds: false },
  "no D128": { d128: false, vax: 52 },
  "VAX 52": { vax: 52 },
  "little-endian": { ttEndian: "little" },
  "big-endian": { ttEndian: "big" },
  "no RAZ/WI": { termModel: true },
  "no small tables": { stt: false },
  "no type overrides": { attrTypesOvr: false },
  "no permission overrides": { attrPermsOvr: false },
};

/** Those that need a feature which some versions of this model refuse. */
const LATER: Readonly<Record<string, Partial<SmmuConfig>>> = {
  "HTTU 0": { httu: 0 },
  "HTTU 1": { httu: 1 },
  "HTTU 2": { httu: 2 },
  "HTTU 3": { httu: 3 },
  "no stalls": { stallModel: "terminate" },
  "stalls or not": { stallModel: "both" },
  "always stalls": { ...noAts, stallModel: "force" },
  "stage-1 indirection": { s1pi: true },
  "no stage-1 indirection": { s1pi: false, d128: false, vax: 52 },
  "stage-2 indirection": { s2pi: true },
  "no overlays": { s2po: false, d128: false, vax: 52 },
  "stage-2 overlays": { s2pi: true, s2po: true },
  "no indirection of stage 2": { s2pi: false, s2po: false, the: false, d128: false, vax: 52 },
};

function made(name: string, change: Partial<SmmuConfig>, base: SmmuConfig = profiles.max): SmmuConfig {
  return { ...base, ...change, name, caches };
}

function accepted(config: SmmuConfig): boolean {
  try {
    validateConfig(config);
    return true;
  } catch {
    return false;
  }
}

const always = [
  ...Object.entries(CHANGES).map(([name, change]) => made(name, change)),
  ...["qemu", "linux-typical", "fvp", "tiny"].map((name) => made(name, {}, profiles[name])),
  made("v3.1 without EL2", { hyp: false }, profiles.fvp),
];
for (const config of always) validateConfig(config);

/** All of them; those of {@link LATER} as far as the model has the feature. */
export const CONFIGS: readonly SmmuConfig[] = [
  ...always,
  ...Object.entries(LATER)
    .map(([name, change]) => made(name, change))
    .filter(accepted),
];
