// SPDX-License-Identifier: MIT
/**
 * Access permissions of translation descriptors (IHI 0070 §13; DDI 0487 D8.4).
 *
 * Permissions are bit masks. Stage 1 has one set for each privilege; stage 2 has one set, with execution by privilege.
 */
import type { Cd } from "../config/cd.ts";
import type { Fault } from "../queues/faults.ts";
import { EventNumber } from "../spec/events.ts";
import { Clean, type TlbEntry } from "../caches/tlb.ts";

/** Stage-1 permission bits. */
export const Perm1 = {
  userRead: 1,
  userWrite: 2,
  userExecute: 4,
  privRead: 8,
  privWrite: 16,
  privExecute: 32,
} as const;

/** The stage-1 bits of accesses that make memory dirty. */
export const WRITES1: number = Perm1.userWrite | Perm1.privWrite;

/**
 * Stage-2 permission bits. `walkWrite`: a stage-1 walk may update its descriptors. The last three permit nothing by themselves:
 * which halves may have their first table there, and that nothing but an assured translation may lead there (§3.27.2).
 */
export const Perm2 = {
  read: 1,
  write: 2,
  userExecute: 4,
  privExecute: 8,
  walkWrite: 16,
  topLevel0: 32,
  topLevel1: 64,
  assuredOnly: 128,
} as const;

/** The stage-2 bits of accesses that make memory dirty. */
export const WRITES2: number = Perm2.write | Perm2.walkWrite;

/** Hierarchical restrictions gathered from table descriptors. */
export const TableLimit = { noUser: 1, noWrite: 2, noUserExecute: 4, noPrivExecute: 8, notAssured: 16 } as const;

/** What decides stage-1 permissions besides the leaf. */
export interface Stage1Regime {
  /** NS-EL1 and EL2-E2H: unprivileged accesses exist. Without them AP[1] counts as 1 and bit 54 is the only XN. */
  readonly twoPrivileges: boolean;
  readonly WXN: boolean;
  readonly PAN: boolean;
  /** PAN acts on memory that unprivileged software may execute, too. */
  readonly EPAN: boolean;
}

/**
 * Permissions of a stage-1 leaf.
 * @param ap AP[2:1] of the leaf; a writable-clean leaf counts as writable, also for execution (DDI 0487 D8.5.2.2)
 * @param pxn PXN (bit 53) of the leaf
 * @param uxn UXN or XN (bit 54) of the leaf
 * @param limits {@link TableLimit} bits of the tables above, 0 where CD.HADx disables them
 */
export function stage1Permissions(ap: number, pxn: boolean, uxn: boolean, limits: number, regime: Stage1Regime): number {
  const readOnly = (ap & 2) !== 0 || (limits & TableLimit.noWrite) !== 0;
  const noExecute = uxn || (limits & TableLimit.noUserExecute) !== 0;
  if (!regime.twoPrivileges) {
    const execute = !noExecute && !(regime.WXN && !readOnly);
    return both(true, !readOnly, execute);
  }
  const user = (ap & 1) !== 0 && (limits & TableLimit.noUser) === 0;
  const userWrite = user && !readOnly;
  const userExecute = !noExecute && !(regime.WXN && userWrite);
  // What unprivileged software can write, privileged software must not execute.
  const privExecute = !pxn && (limits & TableLimit.noPrivExecute) === 0 && !userWrite && !(regime.WXN && !readOnly);
  const privData = !(regime.PAN && (user || (regime.EPAN && userExecute)));
  return (
    (user ? Perm1.userRead : 0) |
    (userWrite ? Perm1.userWrite : 0) |
    (userExecute ? Perm1.userExecute : 0) |
    (privData ? Perm1.privRead : 0) |
    (privData && !readOnly ? Perm1.privWrite : 0) |
    (privExecute ? Perm1.privExecute : 0)
  );
}

function both(read: boolean, write: boolean, execute: boolean): number {
  const one = (read ? Perm1.userRead : 0) | (write ? Perm1.userWrite : 0) | (execute ? Perm1.userExecute : 0);
  return one | (one << 3);
}

/** The stage-1 bit that an access needs. */
export function needOfStage1(write: boolean, instruction: boolean, privileged: boolean): number {
  const user = write ? Perm1.userWrite : instruction ? Perm1.userExecute : Perm1.userRead;
  return privileged ? user << 3 : user;
}

/**
 * 6.6: whether stage 1 grants an access.
 * @param need the Perm1 bit of the access
 * @returns false with F_PERMISSION in `fault`
 */
export function allowedByStage1(cd: Cd, entry: TlbEntry, need: number, fault: Fault): boolean {
  if ((entry.stage1 & need) !== need) return !fault.raise(EventNumber.F_PERMISSION);
  // The dirty state of indirect permissions is software's where HD is 0 (§3.13.3.2).
  if ((need & WRITES1) === 0 || (entry.clean & Clean.stage1) === 0 || cd.hardwareDirty) return true;
  fault.raise(EventNumber.F_PERMISSION);
  fault.dirtyBit = true;
  return false;
}

/**
 * Permissions of a stage-2 leaf.
 * @param s2ap S2AP: bit 0 read, bit 1 write
 * @param xn XN[1:0], bits [54:53]
 * @param xnx IDR3.XNX; without it XN[0] is ignored
 */
export function stage2Permissions(s2ap: number, xn: number, xnx: boolean): number {
  const never = (xn & 2) !== 0;
  const split = xnx && (xn & 1) !== 0;
  // 0 both, 1 unprivileged only, 2 none, 3 privileged only.
  const user = !never;
  const priv = split ? never : !never;
  const data = (s2ap & 3) | (s2ap & 2 ? Perm2.walkWrite : 0);
  return data | (user ? Perm2.userExecute : 0) | (priv ? Perm2.privExecute : 0);
}

/** The stage-2 bit that an access needs. Execution does not need read permission. */
export function needOfStage2(write: boolean, instruction: boolean, privileged: boolean): number {
  if (write) return Perm2.write;
  if (!instruction) return Perm2.read;
  return privileged ? Perm2.privExecute : Perm2.userExecute;
}
