// SPDX-License-Identifier: MIT
/** Which bits of a cached structure have a meaning, taken from the tables of fields. The stale-use detector compares these. */
import type { Cd } from "../config/cd.ts";
import { tableInUse } from "../config/cd-rules.ts";
import { CdFields } from "../config/cd-fields.ts";
import { CD, L1CD } from "../spec/cd.ts";
import { LEAF_S1, LEAF_S2, TABLE_S1, TABLE_S2 } from "../spec/pte.ts";
import { LEAF128_S1, LEAF128_S2, TABLE128_S1, TABLE128_S2 } from "../spec/pte128.ts";
import { L1STD, STE } from "../spec/ste.ts";
import type { Structure, StructureField } from "../spec/structure.ts";
import type { Ste } from "../config/ste.ts";
import { Step } from "../translation/trail.ts";

function maskOf(structure: Structure, counts: (field: StructureField) => boolean): Uint32Array {
  const mask = new Uint32Array(structure.words);
  for (const field of structure.fields) {
    if (!counts(field)) continue;
    for (let bit = field.lo; bit <= field.hi; bit++) mask[bit >> 5]! |= 1 << (bit & 31);
  }
  return mask;
}

const cache = new Map<string, Uint32Array>();

/** Masks depend on few things: each is built once. */
function once(key: string, build: () => Uint32Array): Uint32Array {
  const known = cache.get(key);
  if (known !== undefined) return known;
  const mask = build();
  cache.set(key, mask);
  return mask;
}

/** Bits of an STE that decide something, by its own V and Config. */
export function steMask(ste: Pick<Ste, "fields" | "d128" | "hasAts">): Uint32Array {
  const { V, Config, S1DSS, S2POE } = ste.fields;
  const { d128, hasAts } = ste;
  const on = V === 1 && (Config & 4) !== 0;
  const s1 = on && (Config & 1) !== 0;
  const s2 = on && (Config & 2) !== 0;
  const skips = on && (!s1 || S1DSS === 1);
  return once(`ste ${V} ${Config} ${skips} ${S2POE} ${d128} ${hasAts}`, () =>
    maskOf(STE, ({ name, applies, d128: only = d128 }) => {
      if (only !== d128) return false;
      switch (applies) {
        case "always":
          return V === 1 || name === "V";
        case "any":
          return on;
        case "translated":
          return s1 || s2;
        case "ats":
          return hasAts && (s1 || s2);
        case "s1":
          return s1;
        case "s2":
          return s2 && (name !== "S2POI" || S2POE === 1);
        case "s1s2":
          return s1 && s2;
        case "s1only":
          return s1 && !s2;
        case "s1off":
          return skips;
        case "ignored":
          return false;
      }
    }),
  );
}

const BEHIND_EPD0 = new Set(["T0SZ", "TG0", "IR0", "OR0", "SH0", "TTB0", "TTB0[55:52]", "HAD0", "DisCH0", "SKL0", "E0PD0", "TBI0"]);
const BEHIND_EPD1 = new Set(["T1SZ", "TG1", "IR1", "OR1", "SH1", "TTB1", "TTB1[55:52]", "HAD1", "DisCH1", "SKL1", "E0PD1", "TBI1"]);

const BEHIND_PIE = new Set(["PIIU", "PIIP"]);

/** Bits of a CD that decide something, by its own V and EPDx and the StreamWorld. */
export function cdMask(cd: Pick<Cd, "words" | "ste" | "d128">): Uint32Array {
  const { d128 } = cd;
  const f = new CdFields(cd.words);
  const use0 = tableInUse(f, cd.ste, 0);
  const use1 = tableInUse(f, cd.ste, 1);
  return once(`cd ${f.V} ${use0} ${use1} ${f.PIE} ${d128}`, () =>
    maskOf(CD, ({ name, applies, d128: only = d128 }) => {
      if (name === "V") return true;
      if (f.V === 0 || applies === "ignored" || only !== d128 || (f.PIE === 0 && !d128 && BEHIND_PIE.has(name))) return false;
      return (use0 || !BEHIND_EPD0.has(name)) && (use1 || !BEHIND_EPD1.has(name));
    }),
  );
}

/** Bits of a level-1 descriptor. */
export function level1Mask(what: "ste" | "cd"): Uint32Array {
  return once(`level 1 ${what}`, () => maskOf(what === "ste" ? L1STD : L1CD, () => true));
}

/** Bits of a 128-bit translation descriptor. */
function mask128(step: number): Uint32Array {
  const stage2 = (step & Step.stage2) !== 0;
  const leaf = (step & Step.leaf) !== 0;
  const structure = stage2 ? (leaf ? LEAF128_S2 : TABLE128_S2) : leaf ? LEAF128_S1 : TABLE128_S1;
  const counted = step & (Step.clean | Step.hardened | Step.upper);
  return once(`${structure.name} ${counted}`, () => {
    const mask = maskOf(structure, ({ applies }) => applies !== "ignored");
    if ((step & Step.clean) !== 0) mask[0]! &= ~0x80;
    if ((step & Step.hardened) !== 0) mask[3]! |= 0x4_0000;
    if ((step & Step.upper) !== 0) mask[stage2 ? 3 : 0]! |= stage2 ? 0x1e00_0000 : 0x20;
    return mask;
  });
}

const descriptorMasks: (Uint32Array | undefined)[] = [];

/** Bits of a translation descriptor: two words, or four of one of 128 bits. @param step {@link Step} bits */
export function descriptorMask(step: number): Uint32Array {
  return (descriptorMasks[step] ??= makeDescriptorMask(step));
}

function makeDescriptorMask(step: number): Uint32Array {
  if ((step & Step.d128) !== 0) return mask128(step);
  const leaf = (step & Step.leaf) !== 0;
  const stage2 = (step & Step.stage2) !== 0;
  const structure = stage2 ? (leaf ? LEAF_S2 : TABLE_S2) : leaf ? LEAF_S1 : TABLE_S1;
  const clean = (step & Step.clean) !== 0;
  const bit51 = (step & Step.bit51) !== 0;
  const hardened = (step & Step.hardened) !== 0;
  const upper = (step & Step.upper) !== 0;
  const lpa2 = (step & Step.lpa2) !== 0;
  const mask = maskOf(structure, (field) => field.applies !== "ignored" && (field.lpa2 ?? lpa2) === lpa2);
  if (clean) mask[0]! &= ~0x80;
  if (bit51) mask[1]! |= 0x8_0000;
  if (hardened) mask[1]! |= stage2 ? 0x0400_0000 : 0x10_0000;
  if (upper) mask[1]! |= stage2 ? 0x7800_0000 : 0x0800_0000;
  return mask;
}
