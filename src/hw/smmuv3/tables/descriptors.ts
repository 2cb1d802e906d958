// SPDX-License-Identifier: MIT
/** VMSAv8-64 descriptors from the values of their fields (DDI 0487 D8.3). */
import { HostMisuseError } from "../../errors.ts";
import { high32, low32 } from "../../bits/hex.ts";
import type { GranuleBits } from "../translation/address-size.ts";
import { checkFields, checkInteger, checkOneOf } from "../../checks.ts";

/** Fields of a leaf. Those of the other stage are ignored. */
export interface LeafFields {
  /** AP[2:1] of stage 1 (1: all may read and write) or S2AP of stage 2 (3: read and write). Defaults: 1 and 3. */
  readonly ap?: number;
  /** Stage 1: AttrIndx, with CD.AIE up to 15. Default: 0. */
  readonly attrIndx?: number;
  /** Stage 2: MemAttr. Default: 15, Normal Write-Back. */
  readonly memAttr?: number;
  /** Default: 3, Inner Shareable. */
  readonly sh?: number;
  /** Access flag. Default: 1. */
  readonly af?: number;
  /** Stage 1. Default: 1. */
  readonly nG?: number;
  /** Stage 1. Defaults: 0. */
  readonly pxn?: number;
  readonly uxn?: number;
  /** Stage 2: XN[1:0]. Default: 0. */
  readonly xn?: number;
  readonly contiguous?: number;
  /** Dirty bit modifier. Default: 0. */
  readonly dbm?: number;
  /** nT, blocks only. */
  readonly nT?: number;
  /** Indirect permissions, in the place of `ap`, `pxn`, `uxn`, `xn` and `dbm`. */
  readonly piIndex?: number;
  /** With `piIndex`: stage 1's nDirty (default 0) or stage 2's Dirty (default 1). */
  readonly nDirty?: number;
  readonly dirty?: number;
  /** Stage 2, with an overlay. Default: 0. */
  readonly poIndex?: number;
  /** Stage 2, with STE.AssuredOnly. Default: 0. */
  readonly assuredOnly?: number;
}

/** Fields of the table descriptors that `PageTable.map` creates, stage 1 only. */
export interface TableFields {
  readonly apTable?: number;
  readonly pxnTable?: number;
  readonly uxnTable?: number;
}

/** The low and the high word of a descriptor. */
export type DescriptorWords = readonly [lo: number, hi: number];

const LEAF_LIMITS: Readonly<Record<keyof LeafFields, number>> = {
  ap: 3,
  attrIndx: 15,
  memAttr: 15,
  sh: 3,
  af: 1,
  nG: 1,
  pxn: 1,
  uxn: 1,
  xn: 3,
  contiguous: 1,
  dbm: 1,
  nT: 1,
  piIndex: 15,
  nDirty: 1,
  dirty: 1,
  poIndex: 15,
  assuredOnly: 1,
};
const TABLE_LIMITS: Readonly<Record<keyof TableFields, number>> = { apTable: 3, pxnTable: 1, uxnTable: 1 };

/** The end of the addresses that descriptors can hold: 52 bits for 64 KiB granules and with DS, else 48. */
export function outputEnd(granule: GranuleBits, ds: boolean): number {
  return granule === 16 || ds ? 2 ** 52 : 2 ** 48;
}

export function checkGranule(granule: GranuleBits): void {
  checkOneOf("PAGE_TABLE_OPTIONS", "granule, log2 of its bytes,", granule, [12, 14, 16]);
}

/** DS is an option of the granules that need it for 52-bit addresses. */
export function checkDs(granule: GranuleBits, ds: boolean): void {
  checkOneOf("PAGE_TABLE_OPTIONS", `ds with ${2 ** (granule - 10)} KiB granules`, ds, granule === 16 ? [false] : [false, true]);
}

export function checkStage(stage: 1 | 2): void {
  checkOneOf("PAGE_TABLE_OPTIONS", "stage of a translation table", stage, [1, 2]);
}

/** A leaf without its address. @throws HostMisuseError for an unknown field or a value that does not fit */
export function leafBits(stage: 1 | 2, level: number, fields: LeafFields, ds: boolean): DescriptorWords {
  checkFields("LEAF_FIELDS", "fields of a leaf", fields, LEAF_LIMITS);
  if (ds && fields.sh !== undefined) {
    throw new HostMisuseError(
      "LEAF_FIELDS",
      "fields of a leaf: sh with ds, where the bits are of the address: the shareability is CD.SH0, CD.SH1 or STE.S2SH0",
    );
  }
  const { sh = ds ? 0 : 3, af = 1, contiguous = 0, dbm = 0, nT = 0 } = fields;
  if (nT === 1 && level === 3) {
    throw new HostMisuseError(
      "LEAF_FIELDS",
      "fields of a leaf: nT is 1 at level 3, where the bit is one of the address: only blocks have nT",
    );
  }
  let lo = (level === 3 ? 3 : 1) | (sh << 8) | (af << 10) | (nT << 16);
  let hi = (contiguous << 20) | (dbm << 19);
  if (stage === 1) {
    const attrIndx = fields.attrIndx ?? 0;
    lo |= ((attrIndx & 7) << 2) | ((fields.ap ?? 1) << 6) | ((fields.nG ?? 1) << 11);
    hi |= ((fields.pxn ?? 0) << 21) | ((fields.uxn ?? 0) << 22) | ((attrIndx >> 3) << 27);
  } else {
    lo |= ((fields.memAttr ?? 15) << 2) | ((fields.ap ?? 3) << 6);
    hi |= (fields.xn ?? 0) << 21;
  }
  if (stage === 2) hi |= ((fields.poIndex ?? 0) << 27) | ((fields.assuredOnly ?? 0) << 26);
  const { piIndex } = fields;
  if (piIndex !== undefined) {
    const bit7 = stage === 1 ? (fields.nDirty ?? 0) : (fields.dirty ?? 1);
    lo = (lo & ~0xc0) | ((piIndex & 1) << 6) | (bit7 << 7);
    hi = (hi & ~0x68_0000) | ((piIndex >> 2) << 21) | (((piIndex >> 1) & 1) << 19);
  }
  return [lo, hi];
}

/** The same with an address. @param address a multiple of the granule below {@link outputEnd} */
export function withAddress([lo, hi]: DescriptorWords, address: number, granule: GranuleBits, ds: boolean): DescriptorWords {
  const high4 = Math.floor(address / 2 ** 48);
  const inLo = granule === 16 ? high4 << 12 : ds ? (high4 >> 2) << 8 : 0;
  const inHi = ds ? (high4 & 3) << 16 : 0;
  return [(lo | low32(address) | inLo) >>> 0, (hi | (high32(address) & 0xffff) | inHi) >>> 0];
}

/** The address in a table descriptor. */
export function tableAddress([lo, hi]: DescriptorWords, granule: GranuleBits, ds: boolean): number {
  const high4 = granule === 16 ? (lo >>> 12) & 15 : ds ? ((lo >>> 6) & 12) | ((hi >>> 16) & 3) : 0;
  return high4 * 2 ** 48 + (hi & 0xffff) * 2 ** 32 + ((lo & -(2 ** granule)) >>> 0);
}

/**
 * A leaf descriptor of any level: where the architecture has no block, one that the SMMU takes as invalid.
 * @param level 0 to 3
 * @param output a multiple of the granule; for 64 KiB granules and with `ds` up to 52 bits, else up to 48
 * @param ds a descriptor of LPA2 (CD.DS, STE.S2DS), 4 and 16 KiB granules only
 * @throws HostMisuseError for other values, an unknown field or a field's value that does not fit
 */
export function leafDescriptor(
  stage: 1 | 2,
  level: number,
  granule: GranuleBits,
  output: number,
  fields: LeafFields = {},
  ds: boolean = false,
): DescriptorWords {
  checkStage(stage);
  checkInteger("MAP_LEVEL", "level of a descriptor", level, 0, 3);
  checkAddress("output of a leaf", output, granule, ds);
  return withAddress(leafBits(stage, level, fields, ds), output, granule, ds);
}

/**
 * A table descriptor.
 * @param table a multiple of the granule, within the same range as the output of a leaf
 * @param ds as for a leaf
 * @throws HostMisuseError for other values, an unknown field or a field's value that does not fit
 */
export function tableDescriptor(table: number, granule: GranuleBits, fields: TableFields = {}, ds: boolean = false): DescriptorWords {
  checkAddress("next-level table", table, granule, ds);
  checkTableFields(fields);
  const hi = ((fields.pxnTable ?? 0) << 27) | ((fields.uxnTable ?? 0) << 28) | ((fields.apTable ?? 0) << 29);
  return withAddress([3, hi], table, granule, ds);
}

export function checkTableFields(fields: TableFields): void {
  checkFields("TABLE_FIELDS", "fields of table descriptors", fields, TABLE_LIMITS);
}

function checkAddress(what: string, address: number, granule: GranuleBits, ds: boolean): void {
  checkGranule(granule);
  checkDs(granule, ds);
  checkInteger("MAP_RANGE", what, address, 0, outputEnd(granule, ds) - 2 ** granule, 2 ** granule);
}
