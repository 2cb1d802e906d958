// SPDX-License-Identifier: MIT
/** VMSAv8-64 translation table descriptors, for people (DDI 0487 D8.3; IHI 0070 §3.4). */
import { LEAF_S1, LEAF_S2, type SmmuConfig, TABLE_S1, TABLE_S2, hex } from "../../hw/index.ts";
import { type Decoded, type DecodedField, sizeText } from "./decoded.ts";
import type { Granule } from "./shape.ts";
import { decodeStructure } from "./structures.ts";

/** Where a descriptor stands: its meaning depends on that. */
export interface DescriptorPlace {
  readonly stage: 1 | 2;
  /** -1 … 3, with 128 bits from -2 on; undefined if it is not known. */
  readonly level: number | undefined;
  readonly granule: Granule;
  /** LPA2 (CD.DS, STE.S2DS): 4 and 16 KiB granules with 52-bit addresses. Default: false. */
  readonly ds?: boolean;
  /** The descriptor is one of 128 bits (CD.AA64 or STE.S2AA64 0). Default: false. */
  readonly d128?: boolean;
}

/** What a descriptor is at its place. */
export interface DescriptorKind {
  readonly kind: "invalid" | "table" | "block" | "page";
  /** For "invalid": why. */
  readonly why: string;
}

/** Levels of blocks, the lowest first; one more where descriptors hold 52-bit addresses. */
function blockAllowed(granule: Granule, level: number, wide: boolean): boolean {
  return level <= 2 && level >= (granule === 12 ? 1 : 2) - (wide ? 1 : 0);
}

/** LPA2 in force: 64 KiB granules do not heed it. */
function lpa2({ granule, ds }: DescriptorPlace): boolean {
  return ds === true && granule !== 16;
}

/** @param wide the SMMU has 52-bit addresses, and so level-1 blocks with the 64 KiB granule */
export function descriptorKind(words: Uint32Array, place: DescriptorPlace, wide: boolean): DescriptorKind {
  const { level, granule } = place;
  const type = words[0]! & 3;
  const at = level === undefined ? "" : ` at level ${level}`;
  if ((type & 1) === 0) return { kind: "invalid", why: "bit 0 is 0: nothing is mapped here" };
  if (type === 3) return { kind: level !== undefined && level < 3 ? "table" : "page", why: "" };
  if (level === undefined || blockAllowed(granule, level, granule === 16 ? wide : lpa2(place))) return { kind: "block", why: "" };
  return { kind: "invalid", why: `bits [1:0] are 0b01, reserved${at}${level === 3 ? "" : " with this granule"}` };
}

/** log2 of what one entry at a level maps. */
export function levelShift(granule: Granule, level: number): number {
  return granule + (3 - level) * (granule - 3);
}

/** The address that a descriptor holds: of the next table, or of the memory that it maps. */
export function descriptorAddress(words: Uint32Array, place: DescriptorPlace, table: boolean): number {
  const { granule, level } = place;
  const shift = table || level === undefined || (words[0]! & 3) === 3 ? granule : levelShift(granule, level);
  const low = (words[1]! & 0xffff) * 2 ** 32 + words[0]!;
  const split = ((words[0]! >>> 6) & 0xc) | ((words[1]! >>> 16) & 3);
  const high = granule === 16 ? (words[0]! >>> 12) & 0xf : lpa2(place) ? split : 0;
  return Math.floor(low / 2 ** shift) * 2 ** shift + high * 2 ** 48;
}

function permissionText(words: Uint32Array, stage: 1 | 2): string {
  const ap = (words[0]! >>> 6) & 3;
  if (stage === 2) return ["no access", "read-only", "write-only", "read/write"][ap]!;
  return ["privileged read/write", "read/write", "privileged read-only", "read-only"][ap]!;
}

/** VMSAv8-64 descriptor. @param words 2 words */
export function decodePte(words: Uint32Array, place: DescriptorPlace, config: SmmuConfig): Decoded {
  const { stage, level, granule } = place;
  const { kind, why } = descriptorKind(words, place, config.oas === 52);
  const at = level === undefined ? "" : ` at level ${level}`;
  if (kind === "invalid") {
    const structure = { ...(stage === 1 ? LEAF_S1 : LEAF_S2), fields: [] };
    const found = { summary: `invalid${at}, ${why}`, legal: false, event: "F_TRANSLATION", objections: [], notes: [] };
    return { ...decodeStructure(structure, words, found), name: `stage-${stage} descriptor`, notes: [] };
  }
  const table = kind === "table";
  const whole = table ? (stage === 1 ? TABLE_S1 : TABLE_S2) : stage === 1 ? LEAF_S1 : LEAF_S2;
  const structure = { ...whole, fields: whole.fields.filter((field) => (field.lpa2 ?? lpa2(place)) === lpa2(place)) };
  const output = hex(descriptorAddress(words, place, table));
  const notes: string[] = [];
  if (level === undefined && kind === "page") notes.push("without a level: a table at levels below 3, a page at level 3");
  if (level === undefined && kind === "block") notes.push("without a level the size of the block is not known");
  if (!table && (words[0]! & 0x400) === 0)
    notes.push(`the Access flag is 0: F_ACCESS unless ${stage === 1 ? "CD.AFFD or CD.HA" : "STE.S2AFFD or STE.S2HA"} is 1`);
  const size = table || level === undefined ? "" : ` of ${sizeText(2 ** levelShift(granule, level))}`;
  const summary = table ? `table${at}, next table ${output}` : `${kind}${size}${at}, output ${output}, ${permissionText(words, stage)}`;
  const result = decodeStructure(structure, words, { summary, legal: true, event: "", objections: [], notes });
  const withOutput = (field: DecodedField): DecodedField => (/\[47:12\]/.test(field.name) ? { ...field, address: output } : field);
  return {
    ...result,
    name: `stage-${stage} descriptor`,
    // In a page bit 16 is the address's.
    fields: result.fields
      .filter(({ name }) => (granule === 16 || !name.endsWith("[51:48]")) && !(name === "nT" && kind === "page"))
      .map(withOutput),
  };
}
