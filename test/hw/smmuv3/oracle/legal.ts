// SPDX-License-Identifier: MIT
/** Random field values of legal STEs and CDs under given features. */
import type { Draw } from "./draw.ts";
import { type Features, type Granule } from "./features.ts";
import { CD_FIELDS, STE_FIELDS } from "./structures.ts";
import { stage2StartLevel } from "./validity.ts";
import { stride } from "./walk.ts";

export type Fields<T> = Partial<Record<keyof T, bigint>>;
export type SteValues = Fields<typeof STE_FIELDS>;
export type CdValues = Fields<typeof CD_FIELDS>;

/** Puts named values into a structure. */
export function encode<T extends Readonly<Record<string, readonly [number, number]>>>(table: T, values: Fields<T>): bigint {
  let out = 0n;
  for (const [name, [hi, lo]] of Object.entries(table)) {
    const value = values[name] ?? 0n;
    out |= (value & ((1n << BigInt(hi - lo + 1)) - 1n)) << BigInt(lo);
  }
  return out;
}

const GRANULES: readonly Granule[] = [12, 14, 16];

const big = (value: boolean): bigint => (value ? 1n : 0n);

/** Mostly write-back, now and then anything: ENDI as TTENDIAN allows. */
function endianness(draw: Draw, f: Features): bigint {
  // Where no table is in use, ENDI does not count.
  if (draw.oneIn(16)) return 1n;
  if (f.TTENDIAN === 3) return 1n;
  return big(f.TTENDIAN === 0 && draw.oneIn(3));
}

/** An address size code; mostly one that covers everything. */
function sizeCode(draw: Draw): bigint {
  return BigInt(draw.oneIn(4) ? draw.nat(7) : 6);
}

/** HA, HD, HAFT as IDR0.HTTU allows. */
function drawUpdates(draw: Draw, f: Features): { ha: bigint; hd: bigint; haft: bigint } {
  const ha = f.HTTU > 0 && draw.oneIn(2);
  return { ha: big(ha), hd: big(f.HTTU > 1 && draw.oneIn(2)), haft: big(f.HTTU === 3 && ha && draw.oneIn(2)) };
}

export function drawOverrides(draw: Draw): SteValues {
  if (!draw.oneIn(2)) return { SHCFG: 1n };
  return {
    MTCFG: BigInt(draw.nat(1)),
    MemAttr: BigInt(draw.nat(15)),
    ALLOCCFG: BigInt(draw.nat(15)),
    SHCFG: BigInt(draw.nat(3)),
    PRIVCFG: BigInt(draw.nat(3)),
    INSTCFG: BigInt(draw.nat(3)),
  };
}

/** S2PIE, S2POE and legal overlay codes. */
function drawStage2Indirection(draw: Draw, f: Features): SteValues {
  if (!draw.oneIn(2)) return {};
  let S2POI = 0n;
  for (let i = 0n; i < 16n; i++) S2POI |= BigInt(draw.one([15, 12, 8, 2, 14, 13, 11, 10, 9, 7, 6, 4, 3, 0])) << (4n * i);
  return { S2PIE: 1n, S2POE: big(f.S2PO && draw.oneIn(2)), S2POI };
}

/** Fields of stage 2 that fit each other. S2TTB is the caller's. */
export function drawStage2(draw: Draw, f: Features): SteValues {
  const granule = draw.one(GRANULES.filter((log2) => f.granule(log2)));
  const wide = f.DS && granule !== 16 && draw.oneIn(2);
  const candidates: SteValues[] = [];
  for (const code of [0n, 1n, 2n, 3n, 4n]) {
    const fields: SteValues = {
      S2TG: granule === 12 ? 0n : granule === 14 ? 2n : 1n,
      S2SL0: code & 3n,
      S2SL0_2: code >> 2n,
      S2DS: big(wide),
    };
    const start = stage2StartLevel({ S2SL0_2: 0n, S2DS: 0n, ...fields } as never, f);
    if (start === undefined) continue;
    const least = (3 - start) * stride(granule) + granule + 1;
    const lowest = Math.max(granule === 16 || wide ? 12 : 16, 64 - f.IAS);
    const highest = f.STT ? (granule === 16 ? 47 : 48) : 39;
    for (let t0sz = lowest; t0sz <= highest; t0sz++) {
      const size = 64 - t0sz;
      if (size >= least && size <= least + stride(granule) + 3) candidates.push({ ...fields, S2T0SZ: BigInt(t0sz) });
    }
  }
  // Small input ranges reach little of memory: take them seldom.
  const ample = candidates.filter(({ S2T0SZ }) => S2T0SZ! <= 36n);
  const chosen = draw.one(ample.length > 0 && !draw.oneIn(8) ? ample : candidates);
  const stall = f.STALL_MODEL === 2 || (f.STALL_MODEL === 0 && draw.oneIn(4));
  const { ha, hd, haft } = drawUpdates(draw, f);
  return {
    ...chosen,
    ...drawStage2Indirection(draw, f),
    S2HA: ha,
    S2HD: hd,
    S2HAFT: haft,
    S2PS: sizeCode(draw),
    S2AA64: 1n,
    S2ENDI: endianness(draw, f),
    S2AFFD: big(draw.oneIn(4)),
    S2PTW: big(draw.oneIn(2)),
    S2FWB: big(draw.oneIn(2)),
    S2SH0: BigInt(draw.nat(3)),
    S2R: big(!draw.oneIn(4)),
    S2S: big(stall),
  };
}

/** One half's TG, TxSZ. */
function drawHalf(draw: Draw, f: Features, wideCd: boolean): { granule: Granule; txsz: bigint } {
  const granule = draw.one(GRANULES.filter((log2) => f.granule(log2)));
  const lowest = f.VAX !== 0 && (granule === 16 || wideCd) ? 12 : 16;
  const highest = f.STT ? (granule === 16 ? 47 : 48) : 39;
  return { granule, txsz: BigInt(lowest + draw.nat(highest - lowest)) };
}

const MAIR_BYTES = [0xff, 0x44, 0x00, 0x04, 0x0c, 0xbb, 0x4f, 0xf4, 0x77, 0x40, 0xf0, 0x33, 0xee, 0x0b];

export function drawMair(draw: Draw): bigint {
  if (draw.oneIn(3)) return draw.bits(64);
  let mair = 0n;
  for (let i = 0; i < 8; i++) mair = (mair << 8n) | BigInt(draw.one(MAIR_BYTES));
  return mair;
}

/** Three-bit codes of permission indirection that are legal together. */
function drawIndirection(draw: Draw): CdValues {
  let PIIP = 0n;
  let PIIU = 0n;
  for (let i = 0n; i < 16n; i++) {
    const privileged = draw.one([7, 5, 3, 1, 2, 0]);
    const unprivileged = draw.one(privileged & 2 ? [3, 1, 2, 0] : [7, 5, 3, 1, 2, 0]);
    PIIP |= BigInt(privileged) << (3n * i);
    PIIU |= BigInt(unprivileged) << (3n * i);
  }
  return { PIE: 1n, PIIP, PIIU };
}

/** A CD without its table bases. */
export function drawCd(draw: Draw, f: Features): CdValues {
  const DS = f.DS && draw.oneIn(2);
  const [low, high] = [drawHalf(draw, f, DS), drawHalf(draw, f, DS)];
  const stall = f.STALL_MODEL === 2 || (f.STALL_MODEL === 0 && draw.oneIn(4));
  const { ha, hd, haft } = drawUpdates(draw, f);
  return {
    V: 1n,
    AA64: 1n,
    HA: ha,
    HD: hd,
    HAFT: haft,
    T0SZ: low.txsz,
    TG0: low.granule === 12 ? 0n : low.granule === 14 ? 2n : 1n,
    T1SZ: high.txsz,
    TG1: high.granule === 12 ? 2n : high.granule === 14 ? 1n : 3n,
    EPD0: big(draw.oneIn(6)),
    EPD1: big(draw.oneIn(3)),
    ENDI: endianness(draw, f),
    IPS: sizeCode(draw),
    AFFD: big(draw.oneIn(4)),
    WXN: big(draw.oneIn(3)),
    TBI0: big(draw.oneIn(2)),
    TBI1: big(draw.oneIn(2)),
    PAN: big(draw.oneIn(3)),
    EPAN: big(draw.oneIn(2)),
    S: big(stall),
    R: big(!draw.oneIn(4)),
    A: big(f.TERM_MODEL || !draw.oneIn(4)),
    ASET: BigInt(draw.nat(1)),
    // Too many bits do no harm where there is no ASID.
    ASID: draw.bits(f.ASID16 || draw.oneIn(8) ? 16 : 8),
    HAD0: big(draw.oneIn(3)),
    HAD1: big(draw.oneIn(3)),
    E0PD0: big(draw.oneIn(8)),
    E0PD1: big(draw.oneIn(8)),
    SH0: BigInt(draw.nat(3)),
    SH1: BigInt(draw.nat(3)),
    AIE: big(draw.oneIn(2)),
    DS: big(DS),
    MAIR: drawMair(draw),
    ...(draw.oneIn(2) ? drawIndirection(draw) : {}),
  };
}

/** Attribute bits of a stage-1 leaf: AP, SH, AF, nG, nT, DBM, Contiguous, PXN, UXN and those above. */
export function stage1LeafBits(draw: Draw, wide: boolean, contiguous: boolean): bigint {
  let bits = BigInt(draw.nat(7)) << 2n;
  bits |= BigInt(draw.one([1, 0, 3, 2])) << 6n;
  if (!wide) bits |= BigInt(draw.nat(3)) << 8n;
  bits |= big(!draw.oneIn(10)) << 10n;
  bits |= BigInt(draw.nat(1)) << 11n;
  bits |= BigInt(draw.nat(1)) << 51n;
  bits |= big(contiguous && draw.oneIn(4)) << 52n;
  bits |= big(draw.oneIn(4)) << 53n;
  bits |= big(draw.oneIn(4)) << 54n;
  return bits | (BigInt(draw.nat(31)) << 55n);
}

/** @param plain for memory that holds tables: readable write-back */
export function stage2LeafBits(draw: Draw, wide: boolean, contiguous: boolean, plain: boolean): bigint {
  const usual = plain && !draw.oneIn(16);
  let bits = BigInt(usual ? 15 : draw.nat(15)) << 2n;
  bits |= BigInt(usual ? 3 : draw.one([3, 3, 1, 2, 0])) << 6n;
  if (!wide) bits |= BigInt(draw.nat(3)) << 8n;
  bits |= big(usual || !draw.oneIn(10)) << 10n;
  bits |= BigInt(draw.nat(1)) << 11n;
  bits |= BigInt(draw.nat(1)) << 51n;
  bits |= big(contiguous && draw.oneIn(4)) << 52n;
  bits |= BigInt(draw.oneIn(3) ? draw.nat(3) : 0) << 53n;
  return bits | (BigInt(draw.nat(15)) << 55n);
}

/** @param table bits of hierarchical permissions too */
export function tableBits(draw: Draw, hierarchical: boolean): bigint {
  const limits = hierarchical && draw.oneIn(4) ? BigInt(draw.nat(15)) << 59n : 0n;
  return limits | (BigInt(draw.nat(1)) << 10n);
}
