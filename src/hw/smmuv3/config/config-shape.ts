// SPDX-License-Identifier: MIT
/**
 * Whether an object can be a configuration at all: its properties, by one table of what each can hold.
 *
 * Plain JavaScript has no types. Ranges that the architecture sets, and what depends on what, are rules of config.ts.
 */
import { HostMisuseError } from "../../errors.ts";
import type { BeyondFeature, SmmuConfig } from "./config.ts";
import { profiles } from "./profiles.ts";
import { checkBoolean, checkInteger, checkOneOf, hint, shown } from "../../checks.ts";

const CODE = "SMMU_CONFIG";

/** Entries of a cache at the most: a process has memory for that many. */
const LARGEST_CACHE = 2 ** 22;
const WORD = 0xffff_ffff;

/** Says what is wrong with a value, by an exception. @param what the property's name, with that of the configuration */
type Check = (what: string, value: unknown) => void;

const flag: Check = (what, value) => checkBoolean(CODE, what, value);
const oneOf =
  (...allowed: readonly string[]): Check =>
  (what, value) =>
    checkOneOf(CODE, what, value, allowed);
const whole =
  (low: number, high: number): Check =>
  (what, value) =>
    checkInteger(CODE, what, value, low, high);
/** A number; which ones there can be is the architecture's. */
const number: Check = (what, value) => {
  if (typeof value !== "number" || Number.isNaN(value))
    throw new HostMisuseError(CODE, `${what} is ${shown(value)}: it has to be a number`);
};
const text: Check = (what, value) => {
  if (typeof value !== "string") throw new HostMisuseError(CODE, `${what} is ${shown(value)}: it has to be a string`);
};
const duration: Check = (what, value) => {
  if (typeof value === "number" && value >= 0 && value < Infinity) return;
  throw new HostMisuseError(CODE, `${what} is ${shown(value)}: times are numbers of nanoseconds, at least 0`);
};
const bytes: Check = (what, value) => {
  if (!Array.isArray(value)) throw new HostMisuseError(CODE, `${what} is ${shown(value)}: it has to be an array of eight bytes`);
};

/** An object of exactly these properties, but that those of `optional` may be absent. */
function object(required: Readonly<Record<string, Check>>, optional: Readonly<Record<string, Check>> = {}): Check {
  const names = [...Object.keys(required), ...Object.keys(optional)];
  return (what, value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw new HostMisuseError(CODE, `${what} is ${shown(value)}: it has to be an object with ${names.join(", ")}`);
    const given = value as Readonly<Record<string, unknown>>;
    for (const name of Object.keys(given)) {
      if (names.includes(name)) continue;
      const meant = hint(name, names);
      throw new HostMisuseError(
        CODE,
        `${what}.${name} is unknown${meant === undefined ? "" : `, ${meant}`}; there are ${names.join(", ")}`,
      );
    }
    for (const [name, check] of Object.entries(required)) {
      if (!(name in given))
        throw new HostMisuseError(CODE, `${what}.${name} is missing; there have to be ${Object.keys(required).join(", ")}`);
      check(`${what}.${name}`, given[name]);
    }
    for (const [name, check] of Object.entries(optional)) if (given[name] !== undefined) check(`${what}.${name}`, given[name]);
  };
}

const entries = whole(0, LARGEST_CACHE);
const queue = object({ base: number, log2Size: number });

const SHAPE: Readonly<Record<Exclude<keyof SmmuConfig, "presets" | "beyond">, Check>> = {
  name: text,
  version: number,
  stage1: flag,
  stage2: flag,
  ttf: oneOf("aarch64", "aarch32", "both"),
  sidSize: number,
  ssidSize: number,
  twoLevelStreamTable: flag,
  twoLevelCd: flag,
  asid16: flag,
  vmid16: flag,
  oas: number,
  vax: number,
  gran4k: flag,
  gran16k: flag,
  gran64k: flag,
  ttEndian: oneOf("little", "big", "mixed"),
  coherent: flag,
  msi: flag,
  sev: flag,
  hyp: flag,
  ats: flag,
  splitStageAts: flag,
  atsRecErr: flag,
  pasidTt: flag,
  pri: flag,
  httu: number,
  btm: flag,
  vmw: flag,
  dormhint: flag,
  stallModel: oneOf("terminate", "both", "force"),
  stallMax: number,
  termModel: flag,
  attrTypesOvr: flag,
  attrPermsOvr: flag,
  ril: flag,
  bbml: number,
  xnx: flag,
  had: flag,
  fwb: flag,
  e0pd: flag,
  ptwnnc: flag,
  stt: flag,
  epan: flag,
  s1pi: flag,
  s2pi: flag,
  s2po: flag,
  aie: flag,
  mteperm: flag,
  the: flag,
  ds: flag,
  d128: flag,
  cmdqLog2Max: number,
  eventqLog2Max: number,
  priqLog2Max: number,
  gbpaResetAbort: flag,
  page0Alias: flag,
  timing: object({ commandNs: duration, updateNs: duration }),
  caches: object({ ste: entries, cd: entries, tlb: entries, walk: entries, replacement: oneOf("round-robin", "random") }),
  iidr: number,
  pidr: bytes,
};

const BEYOND: Readonly<Record<BeyondFeature, Check>> = {
  secure: flag,
  realm: flag,
  root: flag,
  ecmdq: flag,
  atos: flag,
  mpam: flag,
  pmcg: flag,
  dpt: flag,
  pbha: flag,
};

const OPTIONAL: Readonly<Record<"presets" | "beyond", Check>> = {
  presets: object(
    {},
    {
      tables: object({ base: number, config: whole(0, WORD), attributes: whole(0, WORD) }),
      queues: object({ cmdq: queue, eventq: queue, attributes: whole(0, WORD) }, { priq: queue }),
      relativeTo: number,
    },
  ),
  beyond: object({}, BEYOND),
};

/** @throws HostMisuseError naming the property, what it holds and what it can hold */
export function checkShape(config: SmmuConfig): void {
  if (typeof config !== "object" || config === null) {
    const given = typeof config === "string" ? JSON.stringify(config) : String(config);
    const known = Object.keys(profiles).map((name) => `profiles[${JSON.stringify(name)}]`);
    throw new HostMisuseError(CODE, `the configuration is ${given}: it has to be an object, such as ${known.join(", ")}`);
  }
  const owner = `configuration ${typeof config.name === "string" ? config.name : "without a name"}`;
  const names = Object.keys(SHAPE);
  const all = [...names, ...Object.keys(OPTIONAL)];
  const unknown = Object.keys(config).filter((name) => !all.includes(name));
  const missing = names.filter((name) => !(name in config));
  const misspelt = unknown.map((name) => {
    const meant = hint(name, missing.length > 0 ? missing : all);
    return meant === undefined ? name : `${name} (${meant})`;
  });
  const flaws = [];
  if (missing.length > 0) flaws.push(`without ${missing.join(", ")}`);
  if (unknown.length > 0) flaws.push(`unknown is ${misspelt.join(", ")}`);
  if (flaws.length > 0) throw new HostMisuseError(CODE, `${owner}: ${flaws.join("; ")}`);
  for (const [name, check] of Object.entries(SHAPE)) check(`${owner}: ${name}`, config[name as keyof typeof SHAPE]);
  for (const [name, check] of Object.entries(OPTIONAL)) {
    const value = config[name as keyof typeof OPTIONAL];
    if (value !== undefined) check(`${owner}: ${name}`, value);
  }
}
