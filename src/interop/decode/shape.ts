// SPDX-License-Identifier: MIT
/** The walk that a CD or an STE describes: granule, input size, start level, first table (IHI 0070 §3.4, §5.2, §5.4). */
import { CD, STE, type SmmuConfig, type Structure, fieldNamed, getField, hex } from "../../hw/index.ts";
import { stage2StartLevel } from "./values.ts";

/** log2 of a translation granule. */
export type Granule = 12 | 14 | 16;

export interface WalkShape {
  readonly stage: 1 | 2;
  readonly granule: Granule;
  /** Bits of input address. */
  readonly inputBits: number;
  readonly startLevel: number;
  /** Base of the first table, as the field has it. */
  readonly table: number;
  readonly bigEndian: boolean;
  /** LPA2: descriptors of 4 and 16 KiB granules hold 52-bit addresses. */
  readonly ds: boolean;
  /** Descriptors of 128 bits. */
  readonly d128: boolean;
}

export function fieldOf(structure: Structure, words: Uint32Array, name: string): number {
  return getField(words, fieldNamed(structure.fields, name));
}

const OUTPUT_BITS: readonly number[] = [32, 36, 40, 42, 44, 48, 52, 52];
const GRANULE_TEXT: Readonly<Record<Granule, string>> = { 12: "4 KiB", 14: "16 KiB", 16: "64 KiB" };

/** The walk through TTB0 or TTB1, undefined if EPDx forbids it or the granule is reserved. */
export function stage1Shape(cd: Uint32Array, half: 0 | 1, config: SmmuConfig): WalkShape | undefined {
  const tg = fieldOf(CD, cd, `TG${half}`);
  const granule = half === 0 ? ([12, 16, 14] as const)[tg] : ([undefined, 14, 12, 16] as const)[tg];
  if (granule === undefined || fieldOf(CD, cd, `EPD${half}`) === 1) return undefined;
  const inputBits = 64 - fieldOf(CD, cd, `T${half}SZ`);
  const d128 = config.d128 && fieldOf(CD, cd, "AA64") === 0;
  return {
    stage: 1,
    granule,
    inputBits,
    startLevel: d128
      ? startLevel128(granule, inputBits, fieldOf(CD, cd, `SKL${half}`))
      : 4 - Math.ceil((inputBits - granule) / (granule - 3)),
    table: fieldOf(CD, cd, `TTB${half}`) * 16,
    bigEndian: fieldOf(CD, cd, "ENDI") === 1,
    ds: config.ds && !d128 && granule !== 16 && fieldOf(CD, cd, "DS") === 1,
    d128,
  };
}

/** The stage-2 walk, undefined if a field that shapes it is reserved. */
export function stage2Shape(ste: Uint32Array, config: SmmuConfig): WalkShape | undefined {
  const tg = fieldOf(STE, ste, "S2TG");
  const granule = ([12, 16, 14] as const)[tg];
  if (granule === undefined) return undefined;
  const d128 = config.d128 && fieldOf(STE, ste, "S2AA64") === 0;
  const ds = config.ds && !d128 && granule !== 16 && fieldOf(STE, ste, "S2DS") === 1;
  const inputBits = 64 - fieldOf(STE, ste, "S2T0SZ");
  const startLevel = d128
    ? startLevel128(granule, inputBits, fieldOf(STE, ste, "S2SKL"))
    : stage2StartLevel(tg, fieldOf(STE, ste, "S2SL0"), ds, fieldOf(STE, ste, "S2SL0_2"));
  if (startLevel === undefined) return undefined;
  return {
    stage: 2,
    granule,
    inputBits,
    startLevel,
    table: fieldOf(STE, ste, "S2TTB") * 16,
    bigEndian: fieldOf(STE, ste, "S2ENDI") === 1,
    ds,
    d128,
  };
}

/** The first level of a walk through 128-bit descriptors (DDI 0487 D8.2.11.1). */
function startLevel128(granule: Granule, inputBits: number, skip: number): number {
  return 3 - Math.floor((inputBits - 1 - granule) / (granule - 4)) + skip;
}

/** "48-bit input, 4 KiB granule, start level 0, output 44-bit, table 0x44011000". @param size code of IPS or S2PS */
export function shapeText(shape: WalkShape, size: number): string {
  const { inputBits, granule, startLevel, table, ds, d128 } = shape;
  if (d128)
    return `${inputBits}-bit input, ${GRANULE_TEXT[granule]} granule, 128-bit descriptors, start level ${startLevel}, ${OUTPUT_BITS[size]!}-bit output, table at ${hex(table)}`;
  const tables = 2 ** Math.max(0, inputBits - (granule + (3 - startLevel) * (granule - 3)) - (granule - 3));
  const first = tables > 16 ? "a first table of more than 16 tables" : tables > 1 ? `${tables} concatenated tables` : "table";
  return `${inputBits}-bit input, ${GRANULE_TEXT[granule]} granule${ds ? " with LPA2" : ""}, start level ${startLevel}, ${OUTPUT_BITS[size]!}-bit output, ${first} at ${hex(table)}`;
}
