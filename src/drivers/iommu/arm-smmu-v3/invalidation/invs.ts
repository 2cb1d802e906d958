// SPDX-License-Identifier: GPL-2.0-only
/**
 * The invalidation array of a domain: what has to be invalidated, and where, when the domain's tables change. One entry for
 * each tag (ASID or VMID) and for each StreamID whose endpoint caches translations (ATS), sorted in the order in which the
 * commands have to go out. Each entry counts its users, since several masters may share a tag; one without users is trash.
 *
 * A reader walks the array it found; a writer puts a new array in its place, and only unref changes one that is in use.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_invs_merge, arm_smmu_invs_unref,
 * arm_smmu_invs_purge and their iterators. Left out: failure of their allocation; size_opcode
 * and nsize_opcode, which follow from the type. Kernels up to 7.0 walk the list of masters.
 */
import type { ArmSmmuDevice } from "../device.ts";

/** In this order the commands are sent. */
export const INV_TYPE_S1_ASID = 0;
export const INV_TYPE_S2_VMID = 1;
/** All of stage 1 under a stage 2 that changed. */
export const INV_TYPE_S2_VMID_S1_CLEAR = 2;
export const INV_TYPE_ATS = 3;
/** Everything the endpoint cached: addresses of stage 2 are not its own. */
export const INV_TYPE_ATS_FULL = 4;
export type ArmSmmuInvType =
  | typeof INV_TYPE_S1_ASID
  | typeof INV_TYPE_S2_VMID
  | typeof INV_TYPE_S2_VMID_S1_CLEAR
  | typeof INV_TYPE_ATS
  | typeof INV_TYPE_ATS_FULL;

/** `struct arm_smmu_inv`. */
export interface ArmSmmuInv {
  readonly smmu: ArmSmmuDevice;
  readonly type: ArmSmmuInvType;
  /** ASID, VMID or StreamID. */
  readonly id: number;
  /** SubstreamID of an ATS entry, else 0. */
  readonly ssid: number;
  /** log2 of the smallest page, for range commands; 0 without them. */
  readonly pgsize: number;
  /** 0: trash. */
  users: number;
}

export function arm_smmu_inv_is_ats({ type }: Pick<ArmSmmuInv, "type">): boolean {
  return type === INV_TYPE_ATS || type === INV_TYPE_ATS_FULL;
}

/** `struct arm_smmu_invs`. Entries from `num_invs` on have been trimmed. */
export class ArmSmmuInvs {
  readonly inv: readonly ArmSmmuInv[];
  num_invs: number;
  /** Entries without users among the first `num_invs`. */
  num_trashes = 0;
  readonly has_ats: boolean;

  constructor(inv: readonly ArmSmmuInv[] = []) {
    this.inv = inv;
    this.num_invs = inv.length;
    this.has_ats = inv.some(arm_smmu_inv_is_ats);
  }
}

/** `arm_smmu_invs_iter_next`: the index of the first entry from `next` on that has users; `num_invs` if there is none. */
export function arm_smmu_invs_iter_next(invs: ArmSmmuInvs, next: number): number {
  while (next < invs.num_invs && invs.inv[next]!.users === 0) next++;
  return Math.min(next, invs.num_invs);
}

/** The entries in use. */
export function* arm_smmu_invs_for_each_entry(invs: ArmSmmuInvs): Generator<ArmSmmuInv, void, undefined> {
  for (let i = arm_smmu_invs_iter_next(invs, 0); i < invs.num_invs; i = arm_smmu_invs_iter_next(invs, i + 1)) yield invs.inv[i]!;
}

/** The order of the array: SMMU, type, id, and for ATS the SubstreamID. */
export function arm_smmu_inv_cmp(left: ArmSmmuInv, right: ArmSmmuInv): number {
  if (left.smmu !== right.smmu) return left.smmu.instance - right.smmu.instance;
  if (left.type !== right.type) return left.type - right.type;
  if (left.id !== right.id) return left.id - right.id;
  return arm_smmu_inv_is_ats(left) ? left.ssid - right.ssid : 0;
}

/**
 * `arm_smmu_invs_for_each_cmp`: goes through two sorted arrays side by side. `cmp` is negative for an entry of the left
 * array alone, positive for one of the right alone, 0 for one of both. Users count on the left only.
 */
function* arm_smmu_invs_for_each_cmp(
  left: ArmSmmuInvs,
  right: ArmSmmuInvs,
): Generator<{ readonly i: number; readonly j: number; readonly cmp: number }, void, undefined> {
  let i = arm_smmu_invs_iter_next(left, 0);
  let j = 0;
  while (i < left.num_invs || j < right.num_invs) {
    const cmp = i >= left.num_invs ? 1 : j >= right.num_invs ? -1 : arm_smmu_inv_cmp(left.inv[i]!, right.inv[j]!);
    yield { i, j, cmp };
    if (cmp <= 0) i = arm_smmu_invs_iter_next(left, i + 1);
    if (cmp >= 0) j++;
  }
}

/** A new array with the entries of both; trash of `invs` is dropped. Both have to be sorted. */
export function arm_smmu_invs_merge(invs: ArmSmmuInvs, to_merge: ArmSmmuInvs): ArmSmmuInvs {
  const merged: ArmSmmuInv[] = [];
  for (const { i, j, cmp } of arm_smmu_invs_for_each_cmp(invs, to_merge)) {
    const entry = cmp <= 0 ? { ...invs.inv[i]! } : { ...to_merge.inv[j]!, users: 0 };
    if (cmp >= 0) entry.users++;
    const before = merged.at(-1);
    if (before !== undefined && arm_smmu_inv_cmp(before, entry) > 0)
      entry.smmu.kernel.warn("invalidation array out of order", entry.smmu.dev);
    merged.push(entry);
  }
  return new ArmSmmuInvs(merged);
}

/**
 * Takes one user from every entry of `invs` that is in `to_unref`, in place, and cannot fail. What becomes trash at the end
 * is trimmed, elsewhere it stays until the next merge or purge. `users` in `to_unref` tells the caller which became trash: 0.
 */
export function arm_smmu_invs_unref(invs: ArmSmmuInvs, to_unref: ArmSmmuInvs): void {
  let num_invs = 0;
  for (const { i, j, cmp } of arm_smmu_invs_for_each_cmp(invs, to_unref)) {
    if (cmp > 0) {
      const { smmu, type, id } = to_unref.inv[j]!;
      smmu.kernel.warn(`invalidation of type ${type} for ${id} dropped, which the domain does not have`, smmu.dev);
      continue;
    }
    const entry = invs.inv[i]!;
    if (cmp === 0) {
      entry.users--;
      to_unref.inv[j]!.users = entry.users === 0 ? 0 : 1;
    }
    if (entry.users === 0) invs.num_trashes++;
    else num_invs = i + 1;
  }
  invs.num_trashes -= invs.num_invs - num_invs;
  invs.num_invs = num_invs;
}

/** A new array without trash; null if there is none. */
export function arm_smmu_invs_purge(invs: ArmSmmuInvs): ArmSmmuInvs | null {
  if (invs.num_invs === 0 || invs.num_trashes === 0) return null;
  return new ArmSmmuInvs([...arm_smmu_invs_for_each_entry(invs)].map((entry) => ({ ...entry })));
}
