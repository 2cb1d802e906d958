// SPDX-License-Identifier: MIT
/** Random implementations: a profile with some features changed, as far as the architecture and the model allow. */
import { HostMisuseError, NotModelledError, profiles, type SmmuConfig, validateConfig } from "../../../../src/hw/index.ts";
import type { Draw } from "./draw.ts";

const bool = [false, true];

/** What may change, with values. What the oracle does not know is not here; what the model refuses is dropped below. */
const CHANGES: readonly (readonly [keyof SmmuConfig, readonly unknown[]])[] = [
  ["version", [0, 1, 2, 3, 4]],
  ["stage1", bool],
  ["stage2", bool],
  ["sidSize", [6, 7, 12, 32]],
  ["ssidSize", [0, 1, 6, 11, 20]],
  ["twoLevelStreamTable", bool],
  ["twoLevelCd", bool],
  ["asid16", bool],
  ["vmid16", bool],
  ["oas", [32, 36, 40, 42, 44, 48, 52]],
  ["vax", [48, 52]],
  ["gran4k", bool],
  ["gran16k", bool],
  ["gran64k", bool],
  ["ttEndian", ["little", "big", "mixed"]],
  ["hyp", bool],
  ["termModel", bool],
  ["attrTypesOvr", bool],
  ["attrPermsOvr", bool],
  ["xnx", bool],
  ["had", bool],
  ["fwb", bool],
  ["e0pd", bool],
  ["ptwnnc", bool],
  ["stallModel", ["terminate", "both", "force"]],
  ["bbml", [0, 1, 2]],
  ["httu", [0, 1, 2, 3]],
  ["stt", bool],
  ["epan", bool],
  ["s1pi", bool],
  ["s2pi", bool],
  ["s2po", bool],
  ["aie", bool],
  ["mteperm", bool],
  ["ds", bool],
  ["ats", bool],
  ["splitStageAts", bool],
];

function allowed(config: SmmuConfig): boolean {
  try {
    validateConfig(config);
    return true;
  } catch (error) {
    if (error instanceof HostMisuseError || error instanceof NotModelledError) return false;
    throw error;
  }
}

/** Without what the oracle does not know. */
const KNOWN = { the: false, d128: false, splitStageAts: false, atsRecErr: false, pasidTt: false, ats: false } as const;

/** Cache sizes: none, or a few entries of each kind, whatever kinds there are. */
export function cachesOf(entries: number): SmmuConfig["caches"] {
  const sizes = Object.entries(profiles.max.caches).map(([name, value]) => [name, typeof value === "number" ? entries : value]);
  return Object.fromEntries(sizes) as SmmuConfig["caches"];
}

/** @param timed false: commands and Updates take no time */
export function drawConfig(draw: Draw, entries: number, timed: boolean): SmmuConfig {
  const base = draw.one(Object.values(profiles));
  const own = { timing: timed ? profiles.max.timing : { commandNs: 0, updateNs: 0 }, caches: cachesOf(entries) };
  const vax = base.vax === 56 ? 52 : base.vax;
  let config: SmmuConfig = { ...base, ...KNOWN, vax, ...own };
  if (!allowed(config)) config = { ...base, ...own };
  const changes = draw.nat(8);
  for (let i = 0; i < changes; i++) {
    const [name, values] = draw.one(CHANGES);
    const changed = { ...config, [name]: draw.one(values) };
    // STALL_MAX is 0 where nothing stalls (§6.3.6).
    if (name === "stallModel") Object.assign(changed, { stallMax: changed.stallModel === "terminate" ? 0 : 8 });
    if (allowed(changed)) config = changed;
  }
  return config;
}
