// SPDX-License-Identifier: MIT
/**
 * Indirect permissions: a leaf names an entry of a table of permissions instead of having them itself (IHI 0070 §3.26).
 *
 * Stage 1 has its tables in the CD, CD.PIIP and CD.PIIU. Stage 2 has its base permissions in a register, SMMU_S2PII, and may
 * take away from them by an overlay in the STE, STE.S2POI. The tables' codes become masks once per fetch, so that a check is
 * the same as with direct permissions.
 */
import { Perm1, Perm2 } from "./permissions.ts";

/** One privilege of a stage-1 code: bit 0 read, bit 1 execute, bit 2 write. */
function unprivileged(code: number): number {
  return (code & 1 ? Perm1.userRead : 0) | (code & 2 ? Perm1.userExecute : 0) | (code & 4 ? Perm1.userWrite : 0);
}

/** A stage-1 code that is reserved: write without read. */
export function reservedStage1(code: number): boolean {
  return (code & 5) === 4;
}

/** Codes that make a region writable without privilege and executable with it. */
export function unsafeStage1(privilegedCode: number, unprivilegedCode: number): boolean {
  return (privilegedCode & 2) !== 0 && (unprivilegedCode & 4) !== 0;
}

/**
 * Stage-1 permissions by PIIndex, after PAN, which acts on any unprivileged access whatever EPAN says (§3.26.1).
 * @param piiu undefined: one privilege
 */
export function stage1Table(piip: readonly number[], piiu: readonly number[] | undefined, pan: boolean): Uint8Array {
  return Uint8Array.from(piip, (code, index) => {
    const priv = unprivileged(code) << 3;
    if (piiu === undefined) return priv | (priv >> 3);
    const user = unprivileged(piiu[index]!);
    return user | (pan && user !== 0 ? priv & Perm1.privExecute : priv);
  });
}

const READ = Perm2.read;
const RW = Perm2.read | Perm2.write | Perm2.walkWrite;
/** Mostly read-only: stage-1 walks may update what nobody else may write (DDI 0487 D8.4.2.2). */
const MRO = Perm2.read | Perm2.walkWrite;
const { userExecute: UX, privExecute: PX } = Perm2;

const { topLevel0: TL0, topLevel1: TL1 } = Perm2;

/** Stage-2 permissions by code, of SMMU_S2PII and of STE.S2POI. Codes 1 and 5 are reserved. */
export const STAGE2_CODES: Uint8Array = Uint8Array.from(
  [
    [0, 0, MRO, MRO | TL1, Perm2.write, 0, MRO | TL0, MRO | TL0 | TL1],
    [0, UX, PX, UX | PX].map((x) => READ | x),
    [0, UX, PX, UX | PX].map((x) => RW | x),
  ].flat(),
);

/** A code that makes an STE ILLEGAL where it stands in S2POI. */
export function reservedStage2(code: number): boolean {
  return code === 1 || code === 5;
}

/** Permissions that the overlay leaves, by POIndex. Combining is a bitwise AND of what codes permit (DDI 0487 D8.4.2.2.4). */
export function overlayTable(s2poi: readonly number[]): Uint8Array {
  return Uint8Array.from(s2poi, (code) => STAGE2_CODES[code]!);
}
