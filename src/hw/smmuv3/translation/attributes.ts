// SPDX-License-Identifier: MIT
/**
 * Memory attributes: overriding, replacing and combining them (IHI 0070 §13.1).
 *
 * A memory type is a byte in the encoding of MAIR; shareability is 0 Non-shareable, 2 Outer, 3 Inner (1 is reserved and
 * acts as 0). Inside, each of the two nibbles of a Normal type is taken apart into type and allocation hints.
 */

/** Shareability codes. */
const Shareability = { non: 0, outer: 2, inner: 3 } as const;

/** What a transaction without attributes counts as: Normal iWB-oWB, allocating, Non-shareable (§13.1.3). */
const DEFAULT_TYPE = 0xff;
const DEFAULT_SHAREABILITY = Shareability.non;

/** What Translated transactions of ATS come as: cached and shared (§13.6.2). */
export const SHARED_TYPE: number = DEFAULT_TYPE;
export const SHARED_SHAREABILITY: number = Shareability.inner;

/** Fields of an STE or of GBPA that override incoming attributes, already gated by ATTR_TYPES_OVR. */
export interface TypeOverrides {
  readonly MTCFG: number;
  readonly MemAttr: number;
  readonly ALLOCCFG: number;
  readonly SHCFG: number;
}

/** The overrides that change nothing. */
export const NO_OVERRIDES: TypeOverrides = { MTCFG: 0, MemAttr: 0, ALLOCCFG: 0, SHCFG: 1 };

const NC = 0;
const WT = 1;
const WB = 2;
const R = 4;
const W = 8;
const T = 16;
const RW = R | W;

/** Unpacked nibble: bits [1:0] NC, WT or WB; then read-allocate, write-allocate, transient. */
function unpack(nibble: number): number {
  if (nibble === 4) return NC;
  const hints = (nibble & 2 ? R : 0) | (nibble & 1 ? W : 0);
  const kind = nibble >> 2;
  return (kind & 1 ? WB : WT) | hints | (kind < 2 ? T : 0);
}

function pack(unpacked: number): number {
  const type = unpacked & 3;
  if (type === NC) return 4;
  const hints = (unpacked & R ? 2 : 0) | (unpacked & W ? 1 : 0);
  const transient = (unpacked & T) !== 0 && hints !== 0;
  return (transient ? 0 : 8) | (type === WB ? 4 : 0) | hints;
}

/** True for any Device type. */
function isDevice(type: number): boolean {
  return type < 0x10;
}

function mapNibbles(type: number, change: (unpacked: number) => number): number {
  return (pack(change(unpack(type >> 4))) << 4) | pack(change(unpack(type & 15)));
}

/** A byte of MAIR with the UNPREDICTABLE encodings resolved (§5.4, CD.MAIR0). */
export function mairType(byte: number): number {
  if (byte < 0x10) return byte & 0x0c;
  return (byte & 15) === 0 ? byte | 3 : byte;
}

/** The memory type of a stage-2 style MemAttr[3:0] without forced write-back. Reserved codes are Device-nGnRnE. */
export function memAttrType(memAttr: number): number {
  const outer = memAttr >> 2;
  const inner = memAttr & 3;
  if (outer === 0) return inner << 2;
  if (inner === 0) return 0;
  return (pack(cacheability(outer)) << 4) | pack(cacheability(inner));
}

function cacheability(code: number): number {
  return code === 1 ? NC : (code === 2 ? WT : WB) | RW;
}

function hintsOf(allocCfg: number): number {
  return (allocCfg & 4 ? R : 0) | (allocCfg & 2 ? W : 0) | (allocCfg & 1 ? T : 0);
}

/** The incoming memory type after overrides (§13.1.4). */
export function overriddenType(overrides: TypeOverrides): number {
  const type = overrides.MTCFG ? memAttrType(overrides.MemAttr) : DEFAULT_TYPE;
  if ((overrides.ALLOCCFG & 8) === 0 || isDevice(type)) return type;
  const hints = hintsOf(overrides.ALLOCCFG);
  return mapNibbles(type, (nibble) => ((nibble & 3) === NC ? NC : (nibble & 3) | hints));
}

/**
 * The incoming shareability after overrides. An input that is Device or Normal iNC-oNC is Outer Shareable whatever SHCFG says
 * (§13.1.4), which shows where stage 2 forces it to write-back.
 */
export function overriddenShareability(overrides: TypeOverrides): number {
  return outputShareability(overriddenType(overrides), overrides.SHCFG === 1 ? DEFAULT_SHAREABILITY : overrides.SHCFG);
}

/** Stage 1 replaces the type; allocation hints are the weaker of its own and the input's, if the input is cacheable. */
export function combineInputHints(stage1: number, input: number): number {
  if (input === DEFAULT_TYPE || isDevice(stage1) || isDevice(input)) return stage1;
  const outer = weakerHints(unpack(stage1 >> 4), unpack(input >> 4));
  const inner = weakerHints(unpack(stage1 & 15), unpack(input & 15));
  return (pack(outer) << 4) | pack(inner);
}

function weakerHints(a: number, b: number): number {
  if ((a & 3) === NC || (b & 3) === NC) return a;
  return (a & 3) | (a & b & RW) | ((a | b) & T);
}

/**
 * MemAttr[3:0] of a stage-2 leaf, with the NoTagAccess codes of MTEPERM turned into the ones of the same type (§3.23.1). With
 * S2FWB they are those of bit 3, which has no effect here.
 */
export function stage2MemAttr(code: number, fwb: boolean, mteperm: boolean): number {
  return mteperm && !fwb && code === 4 ? 15 : code;
}

/** True if stage 2 maps Device memory. */
export function isStage2Device(memAttr: number, fwb: boolean): boolean {
  return fwb ? (memAttr & 4) === 0 : isDevice(memAttrType(memAttr));
}

/** Combines the type of stage 1 (or of the input) with a stage-2 MemAttr; `fwb` is STE.S2FWB (§13.1.5, §13.1.6). */
export function combineStage2Type(type: number, memAttr: number, fwb: boolean): number {
  return fwb ? forcedWriteBack(type, memAttr & 7) : strongest(type, memAttrType(memAttr));
}

function strongest(a: number, b: number): number {
  if (isDevice(a)) return isDevice(b) ? Math.min(a, b) : a;
  if (isDevice(b)) return b;
  const outer = lowerType(unpack(a >> 4), unpack(b >> 4));
  const inner = lowerType(unpack(a & 15), unpack(b & 15));
  return (pack(outer) << 4) | pack(inner);
}

/** NC under WT under WB; the hints are those of stage 1. */
function lowerType(a: number, b: number): number {
  const type = Math.min(a & 3, b & 3);
  return type === NC ? NC : type | (a & (RW | T));
}

const NORMAL_NC = 0x44;

function forcedWriteBack(type: number, memAttr: number): number {
  if (memAttr < 4) {
    const device = memAttr << 2;
    return isDevice(type) ? Math.min(type, device) : device;
  }
  if (memAttr === 7) return type;
  if (memAttr !== 6) return isDevice(type) ? type : NORMAL_NC;
  if (isDevice(type)) return DEFAULT_TYPE;
  return mapNibbles(type, (nibble) => ((nibble & 3) === NC ? WB | RW : WB | (nibble & (RW | T))));
}

/** Outer over Inner over Non-shareable. */
export function combineShareability(a: number, b: number): number {
  if (a === Shareability.outer || b === Shareability.outer) return Shareability.outer;
  return a === Shareability.inner || b === Shareability.inner ? Shareability.inner : Shareability.non;
}

/** Device and Normal iNC-oNC leave as Outer Shareable (§13.1.7). */
export function outputShareability(type: number, shareability: number): number {
  if (isDevice(type) || type === NORMAL_NC) return Shareability.outer;
  return shareability === 1 ? Shareability.non : shareability;
}
