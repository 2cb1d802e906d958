// SPDX-License-Identifier: MIT
/** Seeded page tables, STEs and CDs: mostly legal ones, each with a field or two out of the ordinary. */
import type { SmmuConfig } from "../../hw/index.ts";
import type { Dice } from "./dice.ts";
import {
  DATA_BASE,
  DATA_SIZE,
  type Fields,
  type Granule,
  hasLeaf,
  leafShift,
  type MappingPlan,
  type StreamKind,
  type TablePlan,
} from "./program.ts";

const AP1 = [
  [75, 1],
  [12, 3],
  [8, 0],
  [5, 2],
] as const;
const AP2 = [
  [80, 3],
  [10, 1],
  [6, 2],
  [4, 0],
] as const;
const BEYOND_OAS = 2 ** 45;
/** The tables of stage 1 and the CDs, as stage 2 has to map them for a nested stream. */
const STRUCTURES = 0x4000_0000;
const STRUCTURES_END = 0x8000_0000;

/** Levels of a table, from the one on which a walk starts. */
function startLevel(granule: Granule, inputBits: number): number {
  return 4 - Math.ceil((inputBits - granule) / (granule - 3));
}

function granuleOf(dice: Dice, config: SmmuConfig): Granule {
  const granules: (readonly [number, Granule])[] = [];
  if (config.gran4k) granules.push([50, 12]);
  if (config.gran16k) granules.push([25, 14]);
  if (config.gran64k) granules.push([25, 16]);
  return dice.weighted(granules);
}

function levelOf(dice: Dice, granule: Granule, inputBits: number): number {
  const first = startLevel(granule, inputBits);
  const level = dice.weighted([
    [55, 3],
    [30, 2],
    [10, 1],
    [5, 0],
  ]);
  // Now and then a leaf where there can be none.
  return level < first || (!hasLeaf(granule, level) && dice.chance(70)) ? 3 : level;
}

function overlaps(address: number, shift: number, others: readonly MappingPlan[], granule: Granule): boolean {
  return others.some((other) => address < other.address + 2 ** leafShift(granule, other.level) && other.address < address + 2 ** shift);
}

/** A place of data, aligned to a leaf. Leaves larger than the data region begin at 0, where it lies inside. */
function dataOutput(dice: Dice, shift: number): number {
  if (2 ** shift > DATA_SIZE) return 0;
  if (dice.chance(3)) return BEYOND_OAS;
  return DATA_BASE + dice.below(DATA_SIZE / 2 ** shift) * 2 ** shift;
}

/** A stage-1 output inside something that stage 2 maps. */
function mappedOutput(dice: Dice, shift: number, stage2: TablePlan): number {
  const data = stage2.mappings.filter(({ address }) => address >= DATA_BASE);
  if (data.length === 0 || dice.chance(15)) return dataOutput(dice, shift);
  const { address, level } = dice.pick(data);
  const inside = address + dice.below(2 ** leafShift(stage2.granule, level));
  return inside - (inside % 2 ** shift);
}

/**
 * @param stage2 the table that takes the outputs of this one, for a nested stream
 * @param globals how many leaves of a hundred are global, and so serve all ASIDs of their VMID
 */
export function stage1Table(dice: Dice, config: SmmuConfig, stage2: TablePlan | undefined, globals: number): TablePlan {
  const granule = granuleOf(dice, config);
  const inputBits = dice.weighted([
    [40, 48],
    [15, 39],
    [10, 42],
    [10, 36],
    [5, 32],
    [5, 25],
    [15, 25 + dice.below(24)],
  ]);
  const mappings: MappingPlan[] = [];
  for (let wanted = 1 + dice.below(4); wanted > 0; wanted--) {
    const level = levelOf(dice, granule, inputBits);
    const shift = leafShift(granule, level);
    if (shift > inputBits) continue;
    const address = dice.below(2 ** (inputBits - shift)) * 2 ** shift;
    if (overlaps(address, shift, mappings, granule)) continue;
    mappings.push({
      address,
      level,
      output: stage2 === undefined ? dataOutput(dice, shift) : mappedOutput(dice, shift, stage2),
      ap: dice.weighted(AP1),
      af: dice.chance(92) ? 1 : 0,
      nG: dice.chance(globals) ? 0 : 1,
      apTable: dice.chance(85) ? 0 : 1 + dice.below(3),
      ...oddKind(dice, level),
    });
  }
  return { granule, inputBits, mappings };
}

/** Bits 1:0 that make a leaf invalid, seldom. */
function oddKind(dice: Dice, level: number): { readonly kind?: number } {
  if (!dice.chance(5)) return {};
  return { kind: dice.pick(level === 3 ? [0, 1, 2] : [0, 2]) };
}

/** @param nested true: the structures of stage 1 are mapped as they are */
export function stage2Table(dice: Dice, config: SmmuConfig, nested: boolean): TablePlan {
  const granule = granuleOf(dice, config);
  const inputBits = dice.pick([44, 40, 39, 36, 42, 34, 33, 32]);
  const mappings: MappingPlan[] = [];
  const common = { af: 1, nG: 1, apTable: 0 };
  if (nested) {
    const level = granule === 12 ? 1 : 2;
    const size = 2 ** leafShift(granule, level);
    for (let address = STRUCTURES; address < STRUCTURES_END; address += size) {
      mappings.push({ address, output: address, level, ap: dice.chance(97) ? 3 : dice.below(3), ...common });
    }
  }
  for (let wanted = 1 + dice.below(4); wanted > 0; wanted--) {
    const level = dice.weighted([
      [40, 3],
      [40, 2],
      [granule === 12 ? 20 : 0, 1],
    ]);
    const shift = leafShift(granule, level);
    const address = DATA_BASE + dice.below(DATA_SIZE / 2 ** shift) * 2 ** shift;
    if (overlaps(address, shift, mappings, granule)) continue;
    mappings.push({
      address,
      level,
      output: dataOutput(dice, shift),
      ap: dice.weighted(AP2),
      ...common,
      af: dice.chance(92) ? 1 : 0,
      ...oddKind(dice, level),
    });
  }
  return { granule, inputBits, mappings };
}

const CD_PLAIN: readonly Fields[] = [
  { TBI0: 1 },
  { TBI1: 1 },
  { HAD0: 1 },
  { HAD1: 1 },
  { AFFD: 1 },
  { WXN: 1 },
  { UWXN: 1 },
  { PAN: 1 },
  { ASET: 1 },
  { R: 0 },
  { IPS: 4 },
  { IPS: 2 },
  { IPS: 0 },
  { EPD0: 1 },
  { EPD1: 1 },
  { MAIR0: 0xff },
  { IR0: 3, OR0: 2, SH0: 0 },
  { HAFT: 1 },
  { AMAIR0: 0xffff_ffff },
];
const CD_ILLEGAL: readonly Fields[] = [
  { V: 0 },
  { AA64: 0 },
  { S: 1 },
  { A: 0 },
  { HA: 1 },
  { HD: 1 },
  { ENDI: 1 },
  { T0SZ: 0 },
  { T0SZ: 15 },
  { T0SZ: 40 },
  { T0SZ: 63 },
  { T1SZ: 15 },
  { T1SZ: 40 },
  { TG0: 3 },
  { TG1: 0 },
];
const STE_PLAIN: readonly Fields[] = [
  { S1DSS: 1 },
  { S1DSS: 3 },
  { S1CIR: 3, S1COR: 2, S1CSH: 0 },
  { DRE: 1, DCP: 1 },
  { CONT: 5 },
  { PPAR: 1 },
  { MEV: 1 },
  { EATS: 1 },
  { STRW: 1 },
  { STRW: 2 },
  { MTCFG: 1, MemAttr: 5 },
  { ALLOCCFG: 15 },
  { SHCFG: 3 },
  { NSCFG: 2 },
  { PRIVCFG: 3 },
  { INSTCFG: 3 },
  { S1Fmt: 1 },
  { S2SW: 1, S2SA: 1 },
  { PARTID: 0xffff },
];
const STE_ILLEGAL: readonly Fields[] = [{ V: 0 }, { S1STALLD: 1 }, { S1CDMax: 1 }, { S1CDMax: 31 }];
const STE_STAGE2: readonly Fields[] = [{ S2AFFD: 1 }, { S2R: 0 }, { S2PS: 4 }, { S2PS: 2 }, { S2IR0: 3, S2OR0: 2, S2SH0: 0 }, { S2PTW: 1 }];
const STE_STAGE2_ILLEGAL: readonly Fields[] = [{ S2ENDI: 1 }, { S2S: 1 }, { S2TG: 3 }, { S2T0SZ: 40 }, { S2T0SZ: 10 }, { S2SL0: 3 }];

function some(dice: Dice, plain: readonly Fields[], illegal: readonly Fields[]): Fields {
  const fields: Record<string, number> = {};
  for (let wanted = dice.below(3); wanted > 0; wanted--) Object.assign(fields, dice.pick(plain));
  return dice.chance(8) ? { ...fields, ...dice.pick(illegal) } : fields;
}

/** Fields of a CD beyond the plain ones. */
export function cdFields(dice: Dice, asid: number): Fields {
  return { ASID: asid, ...some(dice, CD_PLAIN, CD_ILLEGAL) };
}

/** Fields of an STE beyond the plain ones. @param vmid where stage 2 is implemented; else undefined */
export function steFields(dice: Dice, kind: StreamKind, vmid: number | undefined): Fields {
  const stage2 = kind === "stage2" || kind === "nested" ? some(dice, STE_STAGE2, STE_STAGE2_ILLEGAL) : {};
  const tag = vmid === undefined ? {} : { S2VMID: vmid };
  return { ...tag, ...some(dice, STE_PLAIN, STE_ILLEGAL), ...stage2 };
}
