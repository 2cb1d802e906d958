// SPDX-License-Identifier: MIT
/**
 * Memory attributes as IHI 0070 §13.1 and §13.4 write them: add_defaults, replace_attrs, combine_attrs, combine_attrs_fwb,
 * ensure_consistent_attrs. A type is an object in words, not a code, up to the very end.
 */
import type { Features } from "./features.ts";
import type { Ste } from "./structures.ts";

export interface Level {
  readonly policy: "NC" | "WT" | "WB";
  readonly RA: boolean;
  readonly WA: boolean;
  readonly TR: boolean;
}

/** Weakest last: the index is bits [3:2] of MAIR and bits [1:0] of MemAttr. */
const DEVICES = ["nGnRnE", "nGnRE", "nGRE", "GRE"] as const;
type Device = (typeof DEVICES)[number];

export type Share = "NSH" | "ISH" | "OSH";

export type MemoryType = { readonly device: Device } | { readonly device?: undefined; readonly inner: Level; readonly outer: Level };

export interface Attributes {
  readonly type: MemoryType;
  readonly share: Share;
}

const NC: Level = { policy: "NC", RA: false, WA: false, TR: false };
const allocating = (policy: "WT" | "WB"): Level => ({ policy, RA: true, WA: true, TR: false });

const isNonCacheable = (type: MemoryType): boolean => type.device === undefined && type.inner.policy === "NC" && type.outer.policy === "NC";

/** SH codes; 0b01 is reserved and acts as 0b00. */
export const shareOf = (code: number): Share => (["NSH", "NSH", "OSH", "ISH"] as const)[code & 3]!;

/** Overrides of an STE or of GBPA. */
export interface Overrides {
  readonly MTCFG: boolean;
  readonly MemAttr: number;
  readonly ALLOCCFG: number;
  readonly SHCFG: number;
}

export function steOverrides(ste: Ste): Overrides {
  return {
    MTCFG: ste.MTCFG === 1n,
    MemAttr: Number(ste.MemAttr),
    ALLOCCFG: Number(ste.ALLOCCFG),
    SHCFG: Number(ste.SHCFG),
  };
}

export function gbpaOverrides(gbpa: number): Overrides {
  return { MTCFG: (gbpa & 0x10) !== 0, MemAttr: gbpa & 15, ALLOCCFG: (gbpa >>> 8) & 15, SHCFG: (gbpa >>> 12) & 3 };
}

/** MemAttr[3:0] in the encoding without forced write-back. `reserved` says what 0b0100, 0b1000 and 0b1100 mean. */
function decodeMemAttr(code: number, reserved: MemoryType): MemoryType {
  const level = (bits: number): Level => [NC, NC, allocating("WT"), allocating("WB")][bits]!;
  if (code < 4) return { device: DEVICES[code]! };
  if ((code & 3) === 0) return reserved;
  return { outer: level(code >> 2), inner: level(code & 3) };
}

const STRONGEST: MemoryType = { device: "nGnRnE" };

/**
 * The attributes of a transaction that brings none (§13.1.3) under overrides (§13.1.4).
 *
 * ALLOCCFG counts whatever MTCFG says: the text leaves that open (choice "alloccfg-without-mtcfg").
 */
export function incoming(overrides: Overrides, f: Features): Attributes {
  const standard: Attributes = { type: { inner: allocating("WB"), outer: allocating("WB") }, share: "NSH" };
  if (!f.ATTR_TYPES_OVR) return standard;
  let type = overrides.MTCFG ? decodeMemAttr(overrides.MemAttr, STRONGEST) : standard.type;
  if (type.device === undefined && overrides.ALLOCCFG & 8) {
    const [RA, WA, TR] = [(overrides.ALLOCCFG & 4) !== 0, (overrides.ALLOCCFG & 2) !== 0, (overrides.ALLOCCFG & 1) !== 0];
    const hinted = (level: Level): Level => (level.policy === "NC" ? level : { policy: level.policy, RA, WA, TR });
    type = { inner: hinted(type.inner), outer: hinted(type.outer) };
  }
  // "An input type of Device or Normal-iNC-oNC … will always be OSH regardless of any SHCFG override."
  if (type.device !== undefined || isNonCacheable(type)) return { type, share: "OSH" };
  return { type, share: overrides.SHCFG === 1 ? standard.share : shareOf(overrides.SHCFG) };
}

/** One byte of MAIR (DDI 0487, MAIR_EL1; reserved encodings by IHI 0070 §5.4). */
export function decodeMair(byte: number): MemoryType {
  if (byte >> 4 === 0) return { device: DEVICES[(byte >> 2) & 3]! };
  const level = (nibble: number): Level => {
    if (nibble === 0) return { policy: "WT", RA: true, WA: true, TR: true };
    if (nibble === 4) return NC;
    const [RA, WA] = [(nibble & 2) !== 0, (nibble & 1) !== 0];
    return { policy: nibble & 4 ? "WB" : "WT", RA, WA, TR: nibble < 8 };
  };
  return { outer: level(byte >> 4), inner: level(byte & 15) };
}

/**
 * Stage 1 gives type and shareability; hints of a cacheable input are combined with its own (§13.4.2).
 *
 * A mixed input has hints at its cacheable level only (§13.1.7).
 */
export function replaceByStage1(input: Attributes, stage1: Attributes): Attributes {
  const from = input.type;
  const to = stage1.type;
  if (from.device !== undefined || to.device !== undefined) return stage1;
  const combined = (a: Level, b: Level): Level =>
    a.policy === "NC" || b.policy === "NC" ? b : { policy: b.policy, RA: a.RA && b.RA, WA: a.WA && b.WA, TR: a.TR || b.TR };
  return { type: { inner: combined(from.inner, to.inner), outer: combined(from.outer, to.outer) }, share: stage1.share };
}

/** What stage 2 says of a page. */
export interface Stage2Attributes {
  readonly memAttr: number;
  readonly share: Share;
  /** STE.S2FWB. */
  readonly fwb: boolean;
}

/** True if stage 2 itself makes the page Device: what S2PTW looks at. */
export function stage2IsDevice({ memAttr, fwb }: Stage2Attributes, f: Features): boolean {
  if (fwb) return (memAttr & 4) === 0;
  return decodeMemAttr(memAttr, reservedStage2(memAttr, f)).device !== undefined;
}

/** 0b0100 is Normal write-back without tag access (FEAT_MTE_PERM), else reserved: Device-nGnRnE by choice. */
function reservedStage2(memAttr: number, f: Features): MemoryType {
  if (f.MTEPERM && memAttr === 4) return { inner: allocating("WB"), outer: allocating("WB") };
  return STRONGEST;
}

export function combineWithStage2(a: Attributes, second: Stage2Attributes, f: Features): Attributes {
  const type = second.fwb ? forcedWriteBack(a.type, second.memAttr) : combineTypes(a.type, second.memAttr, f);
  return { type, share: strongestShare(a.share, second.share) };
}

function combineTypes(first: MemoryType, memAttr: number, f: Features): MemoryType {
  const second = decodeMemAttr(memAttr, reservedStage2(memAttr, f));
  if (first.device !== undefined || second.device !== undefined) return strongestDevice(first, second);
  return { inner: combineLevel(first.inner, second.inner), outer: combineLevel(first.outer, second.outer) };
}

/** One of the two at least is Device. */
function strongestDevice(a: MemoryType, b: MemoryType): MemoryType {
  if (a.device === undefined) return b;
  if (b.device === undefined) return a;
  return DEVICES.indexOf(a.device) < DEVICES.indexOf(b.device) ? a : b;
}

/** The less cacheable policy; hints are those of the first. */
function combineLevel(first: Level, second: Level): Level {
  if (first.policy === "NC" || second.policy === "NC") return NC;
  if (first.policy === "WT" || second.policy === "WT") return { ...first, policy: "WT" };
  return first;
}

/** Table D8-101, MemAttr with FWB. Reserved 0b100 is Non-cacheable by choice "stage2-memattr-reserved". */
function forcedWriteBack(first: MemoryType, memAttr: number): MemoryType {
  if ((memAttr & 4) === 0) return strongestDevice(first, { device: DEVICES[memAttr & 3]! });
  switch (memAttr & 3) {
    case 3:
      return first;
    case 2: {
      const forced = (level: Level): Level => (level.policy === "NC" ? allocating("WB") : { ...level, policy: "WB" });
      if (first.device !== undefined) return { inner: allocating("WB"), outer: allocating("WB") };
      return { inner: forced(first.inner), outer: forced(first.outer) };
    }
    default:
      return first.device !== undefined ? first : { inner: NC, outer: NC };
  }
}

function strongestShare(a: Share, b: Share): Share {
  if (a === "OSH" || b === "OSH") return "OSH";
  return a === "ISH" || b === "ISH" ? "ISH" : "NSH";
}

/** ensure_consistent_attrs() and the encoding of the answer: MAIR, SH. */
export function output({ type, share }: Attributes): { attributes: number; shareability: number } {
  const shareability = { NSH: 0, OSH: 2, ISH: 3 }[share];
  if (type.device !== undefined) return { attributes: DEVICES.indexOf(type.device) << 2, shareability: 2 };
  const nibble = ({ policy, RA, WA, TR }: Level): number => {
    if (policy === "NC") return 4;
    const transient = TR && (RA || WA);
    return (transient ? 0 : 8) | (policy === "WB" ? 4 : 0) | (RA ? 2 : 0) | (WA ? 1 : 0);
  };
  const attributes = (nibble(type.outer) << 4) | nibble(type.inner);
  return { attributes, shareability: isNonCacheable(type) ? 2 : shareability };
}
