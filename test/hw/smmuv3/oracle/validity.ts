// SPDX-License-Identifier: MIT
/** SteIllegal() and CdIllegal() of IHI 0070 §5.2.2 and §5.4.2 for Non-secure streams. */
import { pow2 } from "./bits.ts";
import { effectiveSize, type Features, type Granule } from "./features.ts";
import type { Cd, Ste, World } from "./structures.ts";

export const stage1On = (ste: Ste): boolean => ste.Config === 5n || ste.Config === 7n;
export const stage2On = (ste: Ste): boolean => ste.Config === 6n || ste.Config === 7n;

/** IgnoreSTESTRW() */
function strwIgnored(ste: Ste, f: Features): boolean {
  return !f.S1P || !f.Hyp || stage2On(ste) || ste.Config === 4n;
}

function vmidIgnored(ste: Ste, f: Features): boolean {
  if (ste.Config < 4n || !f.S2P || ste.Config === 4n) return true;
  return ste.STRW !== 0n && !strwIgnored(ste, f);
}

export function worldOf(ste: Ste, f: Features, e2h: boolean): World {
  if (strwIgnored(ste, f) || ste.STRW === 0n) return "EL1";
  return e2h ? "EL2-E2H" : "EL2";
}

export function granuleOfS2tg(code: bigint): Granule | undefined {
  return ([12, 16, 14, undefined] as const)[Number(code)];
}

export function granuleOfTg0(code: bigint): Granule | undefined {
  return granuleOfS2tg(code);
}

export function granuleOfTg1(code: bigint): Granule | undefined {
  return ([undefined, 14, 12, 16] as const)[Number(code)];
}

/** Largest TxSZ: small tables lower the least input size (§5.2 S2T0SZ, §5.4 T0SZ). */
function largestTxsz(granule: Granule | undefined, f: Features): number {
  if (!f.STT) return 39;
  return granule === 12 || granule === 14 ? 48 : 47;
}

/** 52-bit addresses with small granules. DS has no meaning with 64KB. */
export function ds(field: bigint, granule: Granule | undefined, f: Features): boolean {
  return f.DS && field === 1n && granule !== 16;
}

/** An address that a table base may not reach (§3.4.3): beyond the effective size, or beyond 48 bits with small granules. */
function baseTooLarge(base: bigint, bitsOfOutput: number, granule: Granule | undefined, wide: boolean): boolean {
  if (base >= pow2(bitsOfOutput)) return true;
  return !wide && granule !== 16 && base >= pow2(48);
}

/** The level at which stage-2 walks begin; undefined: reserved or not possible here (DDI 0487 D8.2, table of initial levels). */
export function stage2StartLevel(ste: Ste, f: Features): number | undefined {
  const granule = granuleOfS2tg(ste.S2TG);
  const wide = ds(ste.S2DS, granule, f);
  const sl0 = Number(ste.S2SL0);
  if (granule === 12) {
    if (wide && ste.S2SL0_2 === 1n) return sl0 === 0 && f.OAS >= 52 ? -1 : undefined;
    if (sl0 === 3) return f.STT ? 3 : undefined;
    if (sl0 === 2) return f.OAS >= 44 ? 0 : undefined;
    return 2 - sl0;
  }
  if (granule === 14) {
    if (sl0 === 3) return wide && f.OAS >= 52 ? 0 : undefined;
    if (sl0 === 2) return f.OAS >= 42 ? 1 : undefined;
    return 3 - sl0;
  }
  if (granule === 16) {
    if (sl0 === 3) return undefined;
    if (sl0 === 2) return f.OAS >= 44 ? 1 : undefined;
    return 3 - sl0;
  }
  return undefined;
}

function walkConfigInconsistent(ste: Ste, f: Features): boolean {
  const granule = granuleOfS2tg(ste.S2TG)!;
  const start = stage2StartLevel(ste, f);
  if (start === undefined) return true;
  const stride = granule - 3;
  const iasize = 64 - Number(ste.S2T0SZ);
  const least = (3 - start) * stride + granule + 1;
  // A full table more, and up to 16 of them concatenated.
  return iasize < least || iasize > least + stride - 1 + 4;
}

export function steIllegal(ste: Ste, f: Features): boolean {
  if (ste.V === 0n) return true;
  if (ste.Config < 4n) return false;
  if (stage1On(ste) && !f.S1P) return true;
  if (stage2On(ste) && !f.S2P) return true;
  if (f.ATS && (ste.Config & 3n) !== 0n) {
    if (ste.EATS === 2n && (ste.Config !== 7n || ste.S2S === 1n || f.NS1ATS)) return true;
    if (ste.EATS === 1n && ste.S2S === 1n && stage2On(ste)) return true;
  }
  if (!strwIgnored(ste, f) && (ste.STRW & 1n) === 1n) return true;
  if (stage1On(ste)) {
    if (ste.S1STALLD === 1n && f.STALL_MODEL !== 0) return true;
    if (f.SSIDSIZE !== 0 && Number(ste.S1CDMax) > f.SSIDSIZE) return true;
    if (f.SSIDSIZE !== 0 && ste.S1CDMax !== 0n && !f.CD2L && (ste.S1Fmt === 1n || ste.S1Fmt === 2n)) return true;
    // With stage 2 the text also allows a stage-2 fault; the model takes C_BAD_STE (choice "s1contextptr-beyond-ias").
    if (ste.S1ContextPtr << 6n >= pow2(stage2On(ste) ? f.IAS : f.OAS)) return true;
  }
  if (stage2On(ste) && stage2Illegal(ste, f)) return true;
  return !vmidIgnored(ste, f) && !f.VMID16 && ste.S2VMID > 0xffn;
}

function stage2Illegal(ste: Ste, f: Features): boolean {
  if (ste.S2S === 1n && f.STALL_MODEL === 1) return true;
  if (ste.S2S === 0n && f.STALL_MODEL === 2) return true;
  if (ste.S2AA64 === 0n) return true;
  if ((ste.S2HA === 1n || ste.S2HD === 1n) && f.HTTU === 0) return true;
  if (ste.S2HD === 1n && f.HTTU === 1) return true;
  if (ste.S2HAFT === 1n && ste.S2HA === 0n && f.HTTU === 3) return true;
  const granule = granuleOfS2tg(ste.S2TG);
  if (granule === undefined || !f.granule(granule)) return true;
  const wide = ds(ste.S2DS, granule, f);
  if (baseTooLarge(ste.S2TTB << 4n, effectiveSize(Number(ste.S2PS), f), granule, wide)) return true;
  const least = f.minor === 0 ? 64 - f.IAS : Math.max(granule === 16 || wide ? 12 : 16, 64 - f.IAS);
  const t0sz = Number(ste.S2T0SZ);
  if (t0sz < least || t0sz > largestTxsz(granule, f)) return true;
  if (walkConfigInconsistent(ste, f)) return true;
  if (f.S2PO && ste.S2POE === 1n) {
    if (ste.S2PIE === 0n) return true;
    for (let i = 0n; i < 16n; i++) if ([1n, 5n].includes((ste.S2POI >> (4n * i)) & 15n)) return true;
  }
  return (f.TTENDIAN === 2 && ste.S2ENDI === 1n) || (f.TTENDIAN === 3 && ste.S2ENDI === 0n);
}

/** Permission indirection at stage 2, and the overlay over it (§3.26.2). */
export const stage2Indirect = (ste: Ste, f: Features): boolean => f.S2PI && ste.S2PIE === 1n;
export const stage2Overlay = (ste: Ste, f: Features): boolean => f.S2PO && ste.S2POE === 1n;

/** EL1 and EL2-E2H: two tables, two privileges, ASIDs. */
export const twoRanges = (world: World): boolean => world !== "EL2";

/** True if walks through TTB0 or TTB1 take place: not EPDx, as far as the StreamWorld has it. */
export function tableUsed(cd: Cd, world: World, half: 0 | 1): boolean {
  if (half === 0) return !twoRanges(world) || cd.EPD0 === 0n;
  return twoRanges(world) && cd.EPD1 === 0n;
}

/** Permission indirection at stage 1 (§3.26.1). */
export const stage1Indirect = (ste: Ste, cd: Cd, f: Features): boolean => f.S1PI && ste.S1PIE === 1n && cd.PIE === 1n;

export function cdIllegal(cd: Cd, ste: Ste, world: World, f: Features): boolean {
  if (cd.V === 0n) return true;
  if (ste.S1STALLD === 1n && cd.S === 1n) return true;
  if (f.TERM_MODEL && cd.A === 0n) return true;
  if (f.STALL_MODEL === 1 && cd.S === 1n) return true;
  if (f.STALL_MODEL === 2 && cd.S === 0n) return true;
  const used = [tableUsed(cd, world, 0), tableUsed(cd, world, 1)];
  if ((used[0] || used[1]) && ((f.TTENDIAN === 2 && cd.ENDI === 1n) || (f.TTENDIAN === 3 && cd.ENDI === 0n))) return true;
  if (cd.AA64 === 0n) return true;
  if ((cd.HA === 1n || cd.HD === 1n) && f.HTTU === 0) return true;
  if (cd.HD === 1n && f.HTTU === 1) return true;
  if (cd.HAFT === 1n && cd.HA === 0n && f.HTTU === 3) return true;
  if (twoRanges(world) && !f.ASID16 && cd.ASID > 0xffn) return true;
  if (used[0] && tableIllegal(cd, granuleOfTg0(cd.TG0), Number(cd.T0SZ), cd.TTB0 << 4n, f)) return true;
  if (used[1] && tableIllegal(cd, granuleOfTg1(cd.TG1), Number(cd.T1SZ), cd.TTB1 << 4n, f)) return true;
  return stage1Indirect(ste, cd, f) && indirectIllegal(cd, world);
}

function tableIllegal(cd: Cd, granule: Granule | undefined, txsz: number, base: bigint, f: Features): boolean {
  const wide = ds(cd.DS, granule, f);
  const least = f.VAX !== 0 && (granule === 16 || wide) ? 12 : 16;
  if (txsz < least || txsz > largestTxsz(granule, f)) return true;
  if (granule === undefined || !f.granule(granule)) return true;
  return baseTooLarge(base, effectiveSize(Number(cd.IPS), f), granule, wide);
}

function indirectIllegal(cd: Cd, world: World): boolean {
  for (let i = 0n; i < 16n; i++) {
    const privileged = Number((cd.PIIP >> (3n * i)) & 7n);
    const unprivileged = Number((cd.PIIU >> (3n * i)) & 7n);
    if (privileged === 4 || privileged === 6) return true;
    if (!twoRanges(world)) continue;
    if (unprivileged === 4 || unprivileged === 6) return true;
    if ((privileged & 2) !== 0 && (unprivileged & 4) !== 0) return true;
  }
  return false;
}
