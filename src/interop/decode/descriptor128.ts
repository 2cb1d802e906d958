// SPDX-License-Identifier: MIT
/** VMSAv9-128 translation table descriptors, for people (DDI 0487 D8.3.2; IHI 0070 §3.4). */
import { LEAF128_S1, LEAF128_S2, type SmmuConfig, TABLE128_S1, TABLE128_S2, hex } from "../../hw/index.ts";
import { type Decoded, type DecodedField, sizeText } from "./decoded.ts";
import type { DescriptorKind, DescriptorPlace } from "./descriptor.ts";
import type { Granule } from "./shape.ts";
import { decodeStructure } from "./structures.ts";

/** SKL, bits [110:109]. */
export function skipOf(words: Uint32Array): number {
  return (words[3]! >>> 13) & 3;
}

/** log2 of what one entry at a level maps. */
export function levelShift128(granule: Granule, level: number): number {
  return granule + (3 - level) * (granule - 4);
}

/** Level and SKL tell the kind: without a level a descriptor of SKL 0 may be a table or a page. */
export function descriptorKind128(words: Uint32Array, { level, granule }: DescriptorPlace): DescriptorKind {
  const skl = skipOf(words);
  if ((words[0]! & 1) === 0) return { kind: "invalid", why: "bit 0 is 0: nothing is mapped here" };
  if (skl === 3 && granule !== 12) return { kind: "invalid", why: "SKL is 3, reserved with this granule" };
  if (level === undefined) return { kind: skl === 0 ? "page" : "block", why: "" };
  if (level + skl > 3) return { kind: "invalid", why: `SKL is ${skl}, reserved at level ${level}` };
  return { kind: level + skl < 3 ? "table" : level === 3 ? "page" : "block", why: "" };
}

/** The address that a descriptor holds: of the next table, or of the memory that it maps. */
export function descriptorAddress128(words: Uint32Array, { granule, level }: DescriptorPlace, table: boolean): number {
  const shift = table ? granule + skipOf(words) * (granule - 4) : level === undefined ? granule : levelShift128(granule, level);
  return Math.floor(((words[1]! & 0xff_ffff) * 2 ** 32 + words[0]!) / 2 ** shift) * 2 ** shift;
}

/** VMSAv9-128 descriptor. @param words 4 words */
export function decodePte128(words: Uint32Array, place: DescriptorPlace, config: SmmuConfig): Decoded {
  const { stage, level, granule } = place;
  const { kind, why } = descriptorKind128(words, place);
  const at = level === undefined ? "" : ` at level ${level}`;
  const name = `stage-${stage} descriptor`;
  if (kind === "invalid") {
    const structure = { ...(stage === 1 ? LEAF128_S1 : LEAF128_S2), fields: [] };
    const found = { summary: `invalid${at}, ${why}`, legal: false, event: "F_TRANSLATION", objections: [], notes: [] };
    return { ...decodeStructure(structure, words, found), name, notes: [] };
  }
  const table = kind === "table";
  const structure = table ? (stage === 1 ? TABLE128_S1 : TABLE128_S2) : stage === 1 ? LEAF128_S1 : LEAF128_S2;
  const output = hex(descriptorAddress128(words, place, table));
  const skl = skipOf(words);
  const notes: string[] = [];
  if (!config.d128) notes.push("this SMMU has no descriptors of 128 bits (IDR5.D128 is 0)");
  if (level === undefined) notes.push("without a level: a table where level and SKL are below 3, a leaf where they are 3");
  if (!table && (words[0]! & 0x400) === 0)
    notes.push(`the Access flag is 0: F_ACCESS unless ${stage === 1 ? "CD.AFFD or CD.HA" : "STE.S2AFFD or STE.S2HA"} is 1`);
  const size = table || level === undefined ? "" : ` of ${sizeText(2 ** levelShift128(granule, level))}`;
  const next = `next table ${output}${level === undefined ? "" : `, of level ${level + skl + 1}`}`;
  const source = stage === 1 ? "CD.PIIP and CD.PIIU" : "SMMU_S2PII";
  const leaf = `output ${output}, permissions of entry ${(words[3]! >>> 19) & 15} of ${source}`;
  const summary = `${kind}${size}${at}, ${table ? next : leaf}`;
  const result = decodeStructure(structure, words, { summary, legal: true, event: "", objections: [], notes });
  const withOutput = (field: DecodedField): DecodedField => (/\[55:12\]/.test(field.name) ? { ...field, address: output } : field);
  // With SKL 0 bit 6 is RES0.
  return { ...result, name, fields: result.fields.filter((field) => field.name !== "nT" || skl !== 0).map(withOutput) };
}
