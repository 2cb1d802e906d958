// SPDX-License-Identifier: GPL-2.0-only
/**
 * TLB maintenance of a domain. A domain has one tag, an ASID or a VMID, and one SMMU; the arrays of Linux 7.1 that merge
 * the maintenance of domains over several SMMUs, nested parents and ATS endpoints are not modelled.
 */
import type { Coroutine } from "../../../sim/index.ts";
import { __ffs, ilog2 } from "../bitfield.ts";
import * as R from "./arm-smmu-v3-regs.ts";
import type { ArmSmmuCmdqEnt } from "./cmdq-build.ts";
import { type ArmSmmuCmdqBatch, arm_smmu_cmdq_batch_add, arm_smmu_cmdq_batch_submit, arm_smmu_cmdq_issue_cmd_with_sync } from "./cmdq.ts";
import type { ArmSmmuDevice } from "./device.ts";
import { ARM_SMMU_FEAT_E2H, ARM_SMMU_FEAT_RANGE_INV } from "./features.ts";

/** The tag of a domain's TLB entries and the geometry of its table. */
export interface ArmSmmuTlbTag {
  readonly smmu: ArmSmmuDevice;
  readonly stage: "S1" | "S2";
  /** The ASID of a stage-1 domain, the VMID of a stage-2 domain. */
  readonly id: number;
  /** Smallest page size. */
  readonly granule: number;
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

function by_address(tag: ArmSmmuTlbTag, span: Span): ArmSmmuCmdqEnt {
  if (tag.stage === "S2") return { opcode: R.CMDQ_OP_TLBI_S2_IPA, vmid: tag.id, ...span };
  if (tag.smmu.has(ARM_SMMU_FEAT_E2H)) return { opcode: R.CMDQ_OP_TLBI_EL2_VA, asid: tag.id, ...span };
  return { opcode: R.CMDQ_OP_TLBI_NH_VA, vmid: 0, asid: tag.id, ...span };
}

/** Everything of the tag: Linux's "nsize" opcode. */
function by_tag(tag: ArmSmmuTlbTag): ArmSmmuCmdqEnt {
  if (tag.stage === "S2") return { opcode: R.CMDQ_OP_TLBI_S12_VMALL, vmid: tag.id };
  if (tag.smmu.has(ARM_SMMU_FEAT_E2H)) return { opcode: R.CMDQ_OP_TLBI_EL2_ASID, asid: tag.id };
  return { opcode: R.CMDQ_OP_TLBI_NH_ASID, vmid: 0, asid: tag.id };
}

/** Without range commands, more commands than a table has entries cost more than they spare. */
function arm_smmu_inv_size_too_big(smmu: ArmSmmuDevice, size: number, granule: number): boolean {
  if (smmu.has(ARM_SMMU_FEAT_RANGE_INV)) return false;
  const max_tlbi_ops = granule / 8;
  return size >= max_tlbi_ops * granule;
}

/** One command for each granule. */
function* add_pages(
  tag: ArmSmmuTlbTag,
  batch: ArmSmmuCmdqBatch,
  iova: number,
  size: number,
  granule: number,
  leaf: boolean,
): Coroutine<void> {
  for (let addr = iova; addr < iova + size; addr += granule)
    yield* arm_smmu_cmdq_batch_add(tag.smmu, batch, by_address(tag, { addr, leaf }));
}

/**
 * Range commands: each covers NUM + 1 (1 … 31) pages times 2^SCALE, taken from the low end of the number of pages.
 * TG tells the page size, TTL the level of the entries if it is known.
 */
function* add_ranges(
  tag: ArmSmmuTlbTag,
  batch: ArmSmmuCmdqBatch,
  iova: number,
  size: number,
  granule: number,
  leaf: boolean,
): Coroutine<void> {
  const pg_shift = __ffs(tag.granule);
  const tg = (pg_shift - 10) / 2;
  const ttl = leaf ? 4 - Math.floor((ilog2(granule) - 3) / (pg_shift - 3)) : 0;
  let num_pages = Math.ceil(size / tag.granule);
  // NUM 0, SCALE 0 and TTL 0 together are illegal.
  if (!leaf && num_pages % 32 === 1) num_pages++;
  for (let addr = iova; num_pages > 0;) {
    const scale = __ffs(num_pages);
    const num = Math.floor(num_pages / 2 ** scale) % (R.CMDQ_TLBI_RANGE_NUM_MAX + 1);
    yield* arm_smmu_cmdq_batch_add(tag.smmu, batch, by_address(tag, { addr, leaf, num: num - 1, scale, ttl, tg }));
    addr += num * 2 ** scale * tag.granule;
    num_pages -= num * 2 ** scale;
  }
}

/** Drops everything of the tag and waits for it. */
export function* arm_smmu_tlb_inv_context(tag: ArmSmmuTlbTag): Coroutine<void> {
  yield* arm_smmu_cmdq_issue_cmd_with_sync(tag.smmu, by_tag(tag));
}

/**
 * `arm_smmu_domain_inv_range`: drops what is cached for a range and waits for it.
 * @param granule size of the entries that were there
 * @param leaf only last-level entries changed; false: tables went away too
 */
export function* arm_smmu_domain_inv_range(
  tag: ArmSmmuTlbTag,
  iova: number,
  size: number,
  granule: number,
  leaf: boolean,
): Coroutine<void> {
  if (size === 0 || arm_smmu_inv_size_too_big(tag.smmu, size, granule)) return yield* arm_smmu_tlb_inv_context(tag);
  const batch: ArmSmmuCmdqBatch = [];
  const add = tag.smmu.has(ARM_SMMU_FEAT_RANGE_INV) ? add_ranges : add_pages;
  yield* add(tag, batch, iova, size, granule, leaf);
  yield* arm_smmu_cmdq_batch_submit(tag.smmu, batch);
}
