// SPDX-License-Identifier: MIT
/** Who may do what with a page: DDI 0487 D8.4 in its own terms, IHI 0070 §13.4.1 for what the SMMU does otherwise. */
import { bit, bits, field } from "./bits.ts";
import type { Features } from "./features.ts";
import type { Cd } from "./structures.ts";

/** An access as the permission checks see it, STE overrides applied. */
export interface Access {
  readonly write: boolean;
  readonly instruction: boolean;
  readonly privileged: boolean;
}

interface Rights {
  read: boolean;
  write: boolean;
  execute: boolean;
}

/** What table descriptors on the way forbid. */
export interface Hierarchy {
  readonly noUnprivileged: boolean;
  readonly noWrite: boolean;
  readonly noUnprivilegedExecute: boolean;
  readonly noPrivilegedExecute: boolean;
}

export const FREE: Hierarchy = { noUnprivileged: false, noWrite: false, noUnprivilegedExecute: false, noPrivilegedExecute: false };

/** Adds APTable [62:61], UXNTable/XNTable [60] and PXNTable [59] of a table descriptor. */
export function under(above: Hierarchy, descriptor: bigint): Hierarchy {
  return {
    noUnprivileged: above.noUnprivileged || bit(descriptor, 61),
    noWrite: above.noWrite || bit(descriptor, 62),
    noUnprivilegedExecute: above.noUnprivilegedExecute || bit(descriptor, 60),
    noPrivilegedExecute: above.noPrivilegedExecute || bit(descriptor, 59),
  };
}

function allows(rights: Rights, { write, instruction }: Access): boolean {
  return write ? rights.write : instruction ? rights.execute : rights.read;
}

/**
 * Whether a page may be accessed (D8.5.2): "makes dirty": by a write to a writable-clean page, whose state hardware manages;
 * "clean": not so, but for nothing but the state that software manages.
 */
export type Answer = "yes" | "no" | "makes dirty" | "clean";

/** Stage 2, indirect: "overlaid" is no, and it is the overlay that says so. */
export type Stage2Answer = Answer | "overlaid";

const DBM = 51;

/**
 * Stage 1, direct permissions (D8.4.1.2; tables D8-62 … D8-66). Where hardware manages the dirty state, AP[2] of a leaf with DBM counts
 * as 0, also for execution.
 */
export function stage1Direct(
  leaf: bigint,
  hierarchy: Hierarchy,
  cd: Cd,
  twoPrivileges: boolean,
  f: Features,
  access: Access,
  hardwareDirty: boolean,
): Answer {
  const clean = hardwareDirty && bit(leaf, DBM) && bit(leaf, 7) && !hierarchy.noWrite;
  const descriptor = clean ? leaf & ~0x80n : leaf;
  if (!direct(descriptor, hierarchy, cd, twoPrivileges, f, access)) return "no";
  return clean && access.write ? "makes dirty" : "yes";
}

function direct(descriptor: bigint, hierarchy: Hierarchy, cd: Cd, twoPrivileges: boolean, f: Features, access: Access): boolean {
  const readOnly = bit(descriptor, 7) || hierarchy.noWrite;
  const wxn = cd.WXN === 1n;
  if (!twoPrivileges) {
    const write = !readOnly;
    const xn = bit(descriptor, 54) || hierarchy.noUnprivilegedExecute;
    return allows({ read: true, write, execute: !xn && !(wxn && write) }, access);
  }
  const unprivileged: Rights = { read: false, write: false, execute: false };
  const privileged: Rights = { read: true, write: !readOnly, execute: false };
  if (bit(descriptor, 6) && !hierarchy.noUnprivileged) {
    unprivileged.read = true;
    unprivileged.write = !readOnly;
  }
  unprivileged.execute = !(bit(descriptor, 54) || hierarchy.noUnprivilegedExecute);
  privileged.execute = !(bit(descriptor, 53) || hierarchy.noPrivilegedExecute || unprivileged.write);
  // PAN (IHI 0070 §5.4): data accesses; EPAN counts unprivileged execution as well.
  const reachable = unprivileged.read || unprivileged.write || (f.EPAN && cd.EPAN === 1n && unprivileged.execute);
  if (cd.PAN === 1n && access.privileged && !access.instruction && reachable) return false;
  for (const rights of [unprivileged, privileged]) if (wxn && rights.write) rights.execute = false;
  return allows(access.privileged ? privileged : unprivileged, access);
}

/** Stage 1, indirect permissions (IHI 0070 §3.26.1): PIIndex is bits 54, 53, 51 and 6; bit 7 is nDirty. */
export function stage1Indirect(descriptor: bigint, cd: Cd, twoPrivileges: boolean, access: Access, hardwareDirty: boolean): Answer {
  if (!indirect(descriptor, cd, twoPrivileges, access)) return "no";
  if (!access.write || !bit(descriptor, 7)) return "yes";
  return hardwareDirty ? "makes dirty" : "clean";
}

function indirect(descriptor: bigint, cd: Cd, twoPrivileges: boolean, access: Access): boolean {
  const index = (field(descriptor, 54, 53) << 2) | (field(descriptor, 51, 51) << 1) | field(descriptor, 6, 6);
  const rights = (all: bigint): Rights => {
    const code = field(all, 3 * index + 2, 3 * index);
    return { read: (code & 1) !== 0, write: (code & 4) !== 0, execute: (code & 2) !== 0 };
  };
  const privileged = rights(cd.PIIP);
  const unprivileged = rights(cd.PIIU);
  if (!twoPrivileges) return allows(privileged, access);
  if (cd.PAN === 1n && (unprivileged.read || unprivileged.write || unprivileged.execute)) {
    privileged.read = false;
    privileged.write = false;
  }
  return allows(access.privileged ? privileged : unprivileged, access);
}

/** Stage 2, direct permissions (D8.4.2): S2AP [7:6] and XN [54:53], whose lower bit needs IDR3.XNX. */
export function stage2Direct(descriptor: bigint, f: Features, access: Access, hardwareDirty: boolean): Answer {
  if (access.write) return bit(descriptor, 7) ? "yes" : hardwareDirty && bit(descriptor, DBM) ? "makes dirty" : "no";
  if (!access.instruction) return bit(descriptor, 6) ? "yes" : "no";
  const xn = f.XNX ? field(descriptor, 54, 53) : field(descriptor, 54, 54) << 1;
  // 0 all, 1 unprivileged only, 2 none, 3 privileged only.
  return [true, !access.privileged, false, access.privileged][xn] ? "yes" : "no";
}

/** What a code of S2PII or S2POI permits: tables D8-79, D8-80 and D8-82. Mostly read-only memory takes the walk's own updates. */
function stage2Code(code: number): { read: boolean; write: boolean; walkWrite: boolean; unprivileged: boolean; privileged: boolean } {
  if (code >= 8) {
    const write = (code & 4) !== 0;
    return { read: true, write, walkWrite: write, unprivileged: (code & 1) !== 0, privileged: (code & 2) !== 0 };
  }
  const mostlyReadOnly = [2, 3, 6, 7].includes(code);
  return { read: mostlyReadOnly, write: code === 4, walkWrite: mostlyReadOnly, unprivileged: false, privileged: false };
}

/**
 * Stage 2, indirect permissions (D8.4.2.2): base by PIIndex, bits 54, 53, 51, 6; overlay by POIndex, bits 62 to 59; both have to permit
 * the access (tables D8-83, D8-84 come to that). Bit 7 is Dirty.
 */
export function stage2Indirect(
  leaf: bigint,
  s2pii: bigint,
  s2poi: bigint | undefined,
  access: Access,
  walk: boolean,
  hardwareDirty: boolean,
): Stage2Answer {
  const permits = (code: number): boolean => {
    const rights = stage2Code(code);
    if (access.write) return walk ? rights.walkWrite : rights.write;
    if (!access.instruction) return rights.read;
    return access.privileged ? rights.privileged : rights.unprivileged;
  };
  const piIndex = (field(leaf, 54, 53) << 2) | (field(leaf, 51, 51) << 1) | field(leaf, 6, 6);
  const poIndex = field(leaf, 62, 59);
  if (s2poi !== undefined && !permits(field(s2poi, 4 * poIndex + 3, 4 * poIndex))) return "overlaid";
  if (!permits(field(s2pii, 4 * piIndex + 3, 4 * piIndex))) return "no";
  if (!access.write || bit(leaf, 7)) return "yes";
  return hardwareDirty ? "makes dirty" : "clean";
}

/** AttrIndx; bit 59 is its fourth bit where CD.AIE extends it (§5.4, CD.MAIR). */
export function mairByte(descriptor: bigint, cd: Cd, f: Features): number {
  const index = field(descriptor, 4, 2);
  const extended = f.AIE && cd.AIE === 1n && bit(descriptor, 59);
  return Number(bits(cd.MAIR, 8 * (extended ? 7 : index) + 7, 8 * (extended ? 7 : index)));
}
