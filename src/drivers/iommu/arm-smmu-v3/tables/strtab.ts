// SPDX-License-Identifier: GPL-2.0-only
/**
 * The stream table, linear or with two levels, and writing its entries.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_init_strtab, arm_smmu_init_l2_strtab,
 * arm_smmu_write_strtab, arm_smmu_get_step_for_sid, arm_smmu_write_ste. Left out: tables of more than 2^17 level-1 descriptors.
 *
 * Every StreamID that nobody owns is an abort: by its STE, or by an invalid level-1 descriptor.
 */
import { ENOMEM, ERANGE, type KernelBuffer, dev_err, dev_warn, dmam_alloc_coherent, writel, writeq } from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import { FIELD_PREP, FIELD_PREP_ULL, ilog2 } from "../../bitfield.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import { arm_smmu_cmdq_issue_cmd, arm_smmu_cmdq_issue_cmd_with_sync } from "../queues/cmdq.ts";
import type { ArmSmmuDevice, ArmSmmuStrtab } from "../device.ts";
import { arm_smmu_write_entry } from "./entry-writer.ts";
import { ARM_SMMU_FEAT_2_LVL_STRTAB, ARM_SMMU_OPT_SKIP_PREFETCH } from "../features.ts";
import { hex } from "../hex.ts";
import { arm_smmu_kdump_adopt_deferred_l2_strtab } from "./kdump-strtab.ts";
import { type ArmSmmuEntry, arm_smmu_get_ste_update_safe, arm_smmu_get_ste_used, arm_smmu_make_abort_ste } from "./ste.ts";

export function arm_smmu_strtab_l1_idx(sid: number): number {
  return Math.floor(sid / R.STRTAB_NUM_L2_STES);
}
export function arm_smmu_strtab_l2_idx(sid: number): number {
  return sid % R.STRTAB_NUM_L2_STES;
}

function arm_smmu_init_initial_stes(table: KernelBuffer, count: number): void {
  const abort = arm_smmu_make_abort_ste();
  for (let i = 0; i < count; i++) table.set64(i * R.ARM_SMMU_ENTRY_SIZE, abort[0]!);
}

function arm_smmu_init_strtab_2lvl(smmu: ArmSmmuDevice): ArmSmmuStrtab | null {
  const last_sid_idx = arm_smmu_strtab_l1_idx(2 ** smmu.sid_bits - 1);
  const num_ents = Math.min(last_sid_idx + 1, R.STRTAB_MAX_L1_ENTRIES);
  if (last_sid_idx >= R.STRTAB_MAX_L1_ENTRIES) {
    dev_warn(smmu.dev, `the two-level stream table covers only ${ilog2(num_ents) + R.STRTAB_SPLIT} of ${smmu.sid_bits} StreamID bits`);
  }
  const memory = dmam_alloc_coherent(smmu.dev, num_ents * 8, { kind: "smmu-table" });
  if (memory === null) {
    dev_err(smmu.dev, `failed to allocate the level-1 stream table (${num_ents * 8} bytes)`);
    return null;
  }
  return { table: memory.cpu, base_dma: memory.dma, l2: new Map(), num_ents };
}

function arm_smmu_init_strtab_linear(smmu: ArmSmmuDevice): ArmSmmuStrtab | null {
  const num_ents = 2 ** smmu.sid_bits;
  const size = num_ents * R.ARM_SMMU_ENTRY_SIZE;
  const memory = dmam_alloc_coherent(smmu.dev, size, { kind: "smmu-table" });
  if (memory === null) {
    dev_err(smmu.dev, `failed to allocate the linear stream table (${size} bytes)`);
    return null;
  }
  arm_smmu_init_initial_stes(memory.cpu, num_ents);
  return { table: memory.cpu, base_dma: memory.dma, l2: null, num_ents };
}

/** @returns 0 or -ENOMEM */
export function arm_smmu_init_strtab(smmu: ArmSmmuDevice): number {
  const strtab = smmu.has(ARM_SMMU_FEAT_2_LVL_STRTAB) ? arm_smmu_init_strtab_2lvl(smmu) : arm_smmu_init_strtab_linear(smmu);
  if (strtab === null) return -ENOMEM;
  smmu.strtab = strtab;
  return 0;
}

/** `arm_smmu_write_strtab`: tells the SMMU where the table is and how it is built. */
export function arm_smmu_write_strtab(smmu: ArmSmmuDevice): void {
  const { l2, num_ents, base_dma } = smmu.strtab;
  const reg =
    l2 !== null
      ? FIELD_PREP(R.STRTAB_BASE_CFG_FMT, R.STRTAB_BASE_CFG_FMT_2LVL) |
        FIELD_PREP(R.STRTAB_BASE_CFG_LOG2SIZE, ilog2(num_ents) + R.STRTAB_SPLIT) |
        FIELD_PREP(R.STRTAB_BASE_CFG_SPLIT, R.STRTAB_SPLIT)
      : FIELD_PREP(R.STRTAB_BASE_CFG_FMT, R.STRTAB_BASE_CFG_FMT_LINEAR) | FIELD_PREP(R.STRTAB_BASE_CFG_LOG2SIZE, smmu.sid_bits);
  writeq(smmu.base, R.ARM_SMMU_STRTAB_BASE, (BigInt(base_dma) & R.STRTAB_BASE_ADDR_MASK) | R.STRTAB_BASE_RA);
  writel(smmu.base, R.ARM_SMMU_STRTAB_BASE_CFG, reg);
}

export function arm_smmu_sid_in_range(smmu: ArmSmmuDevice, sid: number): boolean {
  return smmu.strtab.l2 !== null ? arm_smmu_strtab_l1_idx(sid) < smmu.strtab.num_ents : sid < smmu.strtab.num_ents;
}

/** Takes a level-2 table of the crashed kernel as this driver's, if there is one. @returns 0 or -errno */
export function arm_smmu_adopt_l2(smmu: ArmSmmuDevice, sid: number, l2: Map<number, KernelBuffer>): number {
  const index = arm_smmu_strtab_l1_idx(sid);
  if (l2.has(index)) return 0;
  const old = arm_smmu_kdump_adopt_deferred_l2_strtab(smmu, sid);
  if (typeof old === "number") return old;
  if (old !== null) l2.set(index, old);
  return 0;
}

/** Allocates the level-2 table of a StreamID, full of aborts, then links it by one store. @returns 0, -ENOMEM, -errno of adoption */
function arm_smmu_init_l2_strtab(smmu: ArmSmmuDevice, sid: number, l2: Map<number, KernelBuffer>): number {
  const index = arm_smmu_strtab_l1_idx(sid);
  const error = smmu.adopted ? arm_smmu_adopt_l2(smmu, sid, l2) : 0;
  if (error !== 0 || l2.has(index)) return error;
  const memory = dmam_alloc_coherent(smmu.dev, R.STRTAB_NUM_L2_STES * R.ARM_SMMU_ENTRY_SIZE, { kind: "smmu-table" });
  if (memory === null) {
    dev_err(smmu.dev, `failed to allocate the level-2 stream table of StreamID ${hex(sid)}`);
    return -ENOMEM;
  }
  arm_smmu_init_initial_stes(memory.cpu, R.STRTAB_NUM_L2_STES);
  l2.set(index, memory.cpu);
  const descriptor = FIELD_PREP_ULL(R.STRTAB_L1_DESC_SPAN, R.STRTAB_SPLIT + 1) | (BigInt(memory.dma) & R.STRTAB_L1_DESC_L2PTR_MASK);
  smmu.strtab.table.set64(index * 8, descriptor);
  return 0;
}

/** Makes the STE of `sid` exist. @returns 0, -ERANGE, -ENOMEM, or -errno: the crashed kernel's table cannot be adopted any more */
export function arm_smmu_init_sid_strtab(smmu: ArmSmmuDevice, sid: number): number {
  if (!arm_smmu_sid_in_range(smmu, sid)) return -ERANGE;
  return smmu.strtab.l2 === null ? 0 : arm_smmu_init_l2_strtab(smmu, sid, smmu.strtab.l2);
}

/** Where the STE of `sid` lies; {@link arm_smmu_init_sid_strtab} has made it. */
export function arm_smmu_get_step_for_sid(smmu: ArmSmmuDevice, sid: number): { readonly table: KernelBuffer; readonly offset: number } {
  const { l2, table } = smmu.strtab;
  if (l2 === null) return { table, offset: sid * R.ARM_SMMU_ENTRY_SIZE };
  const l2_table = l2.get(arm_smmu_strtab_l1_idx(sid));
  if (l2_table === undefined) return smmu.kernel.bug(`no level-2 stream table for StreamID ${hex(sid)}`, smmu.dev);
  return { table: l2_table, offset: arm_smmu_strtab_l2_idx(sid) * R.ARM_SMMU_ENTRY_SIZE };
}

/** Brings the STE of `sid` to `target`, each step made known by CFGI_STE and CMD_SYNC. */
export function* arm_smmu_write_ste(smmu: ArmSmmuDevice, sid: number, target: ArmSmmuEntry): Coroutine<void> {
  const { table, offset } = arm_smmu_get_step_for_sid(smmu, sid);
  yield* arm_smmu_write_entry(
    {
      load: (i) => table.get64(offset + 8 * i),
      store: (i, value) => table.set64(offset + 8 * i, value),
      get_used: arm_smmu_get_ste_used,
      get_update_safe: arm_smmu_get_ste_update_safe,
      *sync() {
        yield* arm_smmu_cmdq_issue_cmd_with_sync(smmu, { opcode: R.CMDQ_OP_CFGI_STE, sid, leaf: true });
      },
    },
    target,
  );
  // A hint: transactions are likely to follow.
  if ((smmu.options & ARM_SMMU_OPT_SKIP_PREFETCH) === 0) yield* arm_smmu_cmdq_issue_cmd(smmu, { opcode: R.CMDQ_OP_PREFETCH_CFG, sid });
}
