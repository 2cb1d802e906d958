// SPDX-License-Identifier: GPL-2.0-only
/**
 * Invalidation of what SMMUs and endpoints have cached of a domain: the commands that follow from its array.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_domain_inv_range, arm_smmu_invs_end_batch,
 * arm_smmu_inv_to_cmdq_batch, arm_smmu_cmdq_batch_add_range, arm_smmu_inv_size_too_big, arm_smmu_inv_flush_iotlb_tag. Left
 * out: RCU, since one CPU sees either array.
 */
import { local_irq_restore, local_irq_save } from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import { __ffs, ilog2 } from "../../bitfield.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import { arm_smmu_atc_inv_to_cmd } from "../masters/ats.ts";
import { IOMMU_NO_PASID } from "../tables/cd-table.ts";
import type { ArmSmmuCmdqEnt } from "../queues/cmdq-build.ts";
import {
  type ArmSmmuCmdqBatch,
  arm_smmu_cmdq_batch_add,
  arm_smmu_cmdq_batch_submit,
  arm_smmu_cmdq_issue_cmd_with_sync,
} from "../queues/cmdq.ts";
import type { ArmSmmuDevice } from "../device.ts";
import { ARM_SMMU_FEAT_E2H, ARM_SMMU_FEAT_RANGE_INV } from "../features.ts";
import {
  type ArmSmmuInv,
  type ArmSmmuInvs,
  INV_TYPE_ATS,
  INV_TYPE_ATS_FULL,
  INV_TYPE_S1_ASID,
  INV_TYPE_S2_VMID,
  INV_TYPE_S2_VMID_S1_CLEAR,
  arm_smmu_inv_is_ats,
  arm_smmu_invs_iter_next,
} from "./invs.ts";

/** What changed: `size` bytes from `iova` on; 0: everything. */
interface Change {
  readonly iova: number;
  readonly size: number;
  /** Size of the entries that were there. */
  readonly granule: number;
  /** Only last-level entries changed; false: tables went away too. */
  readonly leaf: boolean;
}

/** The operands of a command by address. */
interface Span {
  readonly addr: number;
  readonly leaf: boolean;
  readonly num?: number;
  readonly scale?: number;
  readonly ttl?: number;
  readonly tg?: number;
}

/** Linux's "size" opcode. Stage 1 of this driver always has VMID 0. */
function by_address({ smmu, type, id }: ArmSmmuInv, span: Span): ArmSmmuCmdqEnt {
  if (type === INV_TYPE_S2_VMID) return { opcode: R.CMDQ_OP_TLBI_S2_IPA, vmid: id, ...span };
  if (smmu.has(ARM_SMMU_FEAT_E2H)) return { opcode: R.CMDQ_OP_TLBI_EL2_VA, asid: id, ...span };
  return { opcode: R.CMDQ_OP_TLBI_NH_VA, vmid: 0, asid: id, ...span };
}

/** Everything of a tag: Linux's "nsize" opcode. */
function by_tag({ smmu, type, id }: ArmSmmuInv): ArmSmmuCmdqEnt {
  if (type === INV_TYPE_S2_VMID) return { opcode: R.CMDQ_OP_TLBI_S12_VMALL, vmid: id };
  if (smmu.has(ARM_SMMU_FEAT_E2H)) return { opcode: R.CMDQ_OP_TLBI_EL2_ASID, asid: id };
  return { opcode: R.CMDQ_OP_TLBI_NH_ASID, vmid: 0, asid: id };
}

/** Without range commands, more commands than a table has entries cost more than they spare. */
function arm_smmu_inv_size_too_big(smmu: ArmSmmuDevice, { size, granule }: Change): boolean {
  if (size === 0) return true;
  if (smmu.has(ARM_SMMU_FEAT_RANGE_INV)) return false;
  const max_tlbi_ops = granule / 8;
  return size >= max_tlbi_ops * granule;
}

/** One command for each granule. */
function* add_pages(inv: ArmSmmuInv, batch: ArmSmmuCmdqBatch, { iova, size, granule, leaf }: Change): Coroutine<void> {
  for (let addr = iova; addr < iova + size; addr += granule)
    yield* arm_smmu_cmdq_batch_add(inv.smmu, batch, by_address(inv, { addr, leaf }));
}

/**
 * Range commands: each covers NUM + 1 (1 … 31) pages times 2^SCALE, taken from the low end of the number of pages.
 * TG tells the page size, TTL the level of the entries if it is known.
 */
function* add_ranges(inv: ArmSmmuInv, batch: ArmSmmuCmdqBatch, { iova, size, granule, leaf }: Change): Coroutine<void> {
  const pg_shift = inv.pgsize;
  const tg = (pg_shift - 10) / 2;
  const ttl = leaf ? 4 - Math.floor((ilog2(granule) - 3) / (pg_shift - 3)) : 0;
  let num_pages = Math.ceil(size / 2 ** pg_shift);
  // NUM 0, SCALE 0 and TTL 0 together are illegal.
  if (!leaf && num_pages % 32 === 1) num_pages++;
  for (let addr = iova; num_pages > 0;) {
    const scale = __ffs(num_pages);
    const num = Math.floor(num_pages / 2 ** scale) % (R.CMDQ_TLBI_RANGE_NUM_MAX + 1);
    yield* arm_smmu_cmdq_batch_add(inv.smmu, batch, by_address(inv, { addr, leaf, num: num - 1, scale, ttl, tg }));
    addr += num * 2 ** (scale + pg_shift);
    num_pages -= num * 2 ** scale;
  }
}

/** The commands of one entry. */
function* add_inv(inv: ArmSmmuInv, batch: ArmSmmuCmdqBatch, change: Change): Coroutine<void> {
  const { smmu, id } = inv;
  const too_big = arm_smmu_inv_size_too_big(smmu, change);
  switch (inv.type) {
    case INV_TYPE_S1_ASID:
    case INV_TYPE_S2_VMID:
      if (too_big) yield* arm_smmu_cmdq_batch_add(smmu, batch, by_tag(inv));
      else yield* (smmu.has(ARM_SMMU_FEAT_RANGE_INV) ? add_ranges : add_pages)(inv, batch, change);
      break;
    case INV_TYPE_S2_VMID_S1_CLEAR:
      // TLBI_S12_VMALL, which went before, takes stage 1 along.
      if (!too_big) yield* arm_smmu_cmdq_batch_add(smmu, batch, { opcode: R.CMDQ_OP_TLBI_NH_ALL, vmid: id });
      break;
    case INV_TYPE_ATS: {
      const span = arm_smmu_atc_inv_to_cmd(inv.ssid, change.iova, change.size);
      yield* arm_smmu_cmdq_batch_add(smmu, batch, { opcode: R.CMDQ_OP_ATC_INV, sid: id, ...span });
      break;
    }
    case INV_TYPE_ATS_FULL:
      yield* arm_smmu_cmdq_batch_add(smmu, batch, { opcode: R.CMDQ_OP_ATC_INV, sid: id, ...arm_smmu_atc_inv_to_cmd(IOMMU_NO_PASID, 0, 0) });
      break;
  }
}

/** Whether what was collected has to be complete before `next`. */
function arm_smmu_invs_end_batch(cur: ArmSmmuInv, next: ArmSmmuInv): boolean {
  // Another command queue.
  if (cur.smmu !== next.smmu) return true;
  // Stage 1 caches what stage 2 gave it.
  if (cur.type !== INV_TYPE_S2_VMID_S1_CLEAR && next.type === INV_TYPE_S2_VMID_S1_CLEAR) return true;
  // An endpoint that asks again must not be answered out of a stale TLB.
  return !arm_smmu_inv_is_ats(cur) && arm_smmu_inv_is_ats(next);
}

function* inv_range(invs: ArmSmmuInvs, change: Change): Coroutine<void> {
  const batch: ArmSmmuCmdqBatch = [];
  let i = arm_smmu_invs_iter_next(invs, 0);
  while (i < invs.num_invs) {
    const cur = invs.inv[i]!;
    yield* add_inv(cur, batch, change);
    i = arm_smmu_invs_iter_next(invs, i + 1);
    const ends = i >= invs.num_invs || arm_smmu_invs_end_batch(cur, invs.inv[i]!);
    if (batch.length > 0 && ends) yield* arm_smmu_cmdq_batch_submit(cur.smmu, batch);
  }
}

/**
 * Drops what is cached for a range and waits for it.
 * @param size 0: everything
 * @param granule size of the entries that were there
 * @param leaf only last-level entries changed; false: tables went away too
 */
export function* arm_smmu_domain_inv_range(
  domain: { readonly invs: ArmSmmuInvs },
  iova: number,
  size: number,
  granule: number,
  leaf: boolean,
): Coroutine<void> {
  const { invs } = domain;
  const change: Change = { iova, size, granule, leaf };
  const first = invs.inv[0];
  if (first === undefined) return;
  if (!invs.has_ats) return yield* inv_range(invs, change);
  // read_lock_irqsave(): no ATC invalidation goes on after the endpoint was detached.
  const { kernel } = first.smmu;
  const flags = local_irq_save(kernel);
  try {
    yield* inv_range(invs, change);
  } finally {
    local_irq_restore(kernel, flags);
  }
}

/** `arm_smmu_domain_inv`: drops everything of the domain and waits for it. */
export function arm_smmu_domain_inv(domain: { readonly invs: ArmSmmuInvs }): Coroutine<void> {
  return arm_smmu_domain_inv_range(domain, 0, 0, 0, false);
}

/** Empties the TLB of a tag that no array has any more; it may be given to another domain. */
export function* arm_smmu_inv_flush_iotlb_tag(inv: ArmSmmuInv): Coroutine<void> {
  if (inv.type === INV_TYPE_S1_ASID || inv.type === INV_TYPE_S2_VMID) yield* arm_smmu_cmdq_issue_cmd_with_sync(inv.smmu, by_tag(inv));
}
