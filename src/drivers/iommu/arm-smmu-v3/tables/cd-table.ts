// SPDX-License-Identifier: GPL-2.0-only
/**
 * The table of context descriptors of one master: linear, or two levels with 64 KiB leaves. Descriptor 0 is for plain DMA,
 * the others for SubstreamIDs (PASIDs).
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_alloc_cd_tables, arm_smmu_alloc_cd_ptr,
 * arm_smmu_get_cd_ptr, arm_smmu_write_cd_entry, arm_smmu_clear_cd, arm_smmu_free_cd_tables. Left out: nothing.
 */
import { type CoherentMemory, dma_alloc_coherent, dma_free_coherent } from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import { arm_smmu_get_cd_used, new_cd } from "./cd.ts";
import { type ArmSmmuCmdqBatch, arm_smmu_cmdq_batch_add, arm_smmu_cmdq_batch_submit } from "../queues/cmdq.ts";
import { arm_smmu_write_entry } from "./entry-writer.ts";
import { ARM_SMMU_FEAT_2_LVL_CDTAB } from "../features.ts";
import type { ArmSmmuMaster } from "../masters/master.ts";
import type { ArmSmmuEntry } from "./ste.ts";

/** The SubstreamID of plain DMA. */
export const IOMMU_NO_PASID = 0;

/** Memory of a table, with the size that was asked for. */
interface CdMemory extends CoherentMemory {
  readonly size: number;
}

/** `struct arm_smmu_ctx_desc_cfg`. */
export interface ArmSmmuCdTable {
  readonly s1fmt: number;
  /** log2 of the descriptors. */
  readonly s1cdmax: number;
  readonly cdtab_dma: number;
  /** The linear table or the level-1 table. */
  readonly table: CdMemory;
  /** Leaves by level-1 index; null for a linear table. */
  readonly l2: Map<number, CdMemory> | null;
  /** Valid descriptors but for the first. */
  used_ssids: number;
  /** The STE leads here. */
  in_ste: boolean;
}

/** Where a descriptor lies. */
export interface CdPlace {
  readonly memory: CdMemory;
  readonly offset: number;
}

function alloc(master: ArmSmmuMaster, size: number): CdMemory | null {
  const memory = dma_alloc_coherent(master.smmu.dev, size, { kind: "smmu-table" });
  return memory === null ? null : { ...memory, size };
}

function arm_smmu_alloc_cd_tables(master: ArmSmmuMaster): ArmSmmuCdTable | null {
  const max_contexts = 2 ** master.ssid_bits;
  const linear = !master.smmu.has(ARM_SMMU_FEAT_2_LVL_CDTAB) || max_contexts <= R.CTXDESC_L2_ENTRIES;
  const table = alloc(master, linear ? max_contexts * R.ARM_SMMU_ENTRY_SIZE : Math.ceil(max_contexts / R.CTXDESC_L2_ENTRIES) * 8);
  if (table === null) return null;
  return {
    s1fmt: linear ? R.STRTAB_STE_0_S1FMT_LINEAR : R.STRTAB_STE_0_S1FMT_64K_L2,
    s1cdmax: master.ssid_bits,
    cdtab_dma: table.dma,
    table,
    l2: linear ? null : new Map(),
    used_ssids: 0,
    in_ste: false,
  };
}

/** Makes the SMMU read a descriptor of this master again; without `leaf` the level-1 descriptor too. */
function* arm_smmu_sync_cd(master: ArmSmmuMaster, ssid: number, leaf: boolean): Coroutine<void> {
  const batch: ArmSmmuCmdqBatch = [];
  for (const sid of master.streams) yield* arm_smmu_cmdq_batch_add(master.smmu, batch, { opcode: R.CMDQ_OP_CFGI_CD, sid, ssid, leaf });
  yield* arm_smmu_cmdq_batch_submit(master.smmu, batch);
}

/** Where the descriptor `ssid` lies, or null as long as nothing was allocated for it. */
export function arm_smmu_get_cd_ptr(master: ArmSmmuMaster, ssid: number): CdPlace | null {
  const { cd_table } = master;
  if (cd_table === null) return null;
  if (cd_table.l2 === null) return { memory: cd_table.table, offset: ssid * R.ARM_SMMU_ENTRY_SIZE };
  const leaf = cd_table.l2.get(Math.floor(ssid / R.CTXDESC_L2_ENTRIES));
  return leaf === undefined ? null : { memory: leaf, offset: (ssid % R.CTXDESC_L2_ENTRIES) * R.ARM_SMMU_ENTRY_SIZE };
}

/** Makes the descriptor `ssid` exist. @returns null without memory */
export function* arm_smmu_alloc_cd_ptr(master: ArmSmmuMaster, ssid: number): Coroutine<CdPlace | null> {
  master.cd_table ??= arm_smmu_alloc_cd_tables(master);
  const { cd_table } = master;
  if (cd_table === null) return null;
  const index = Math.floor(ssid / R.CTXDESC_L2_ENTRIES);
  if (cd_table.l2 !== null && !cd_table.l2.has(index)) {
    const leaf = alloc(master, R.CTXDESC_L2_ENTRIES * R.ARM_SMMU_ENTRY_SIZE);
    if (leaf === null) return null;
    cd_table.l2.set(index, leaf);
    cd_table.table.cpu.set64(index * 8, (BigInt(leaf.dma) & R.CTXDESC_L1_DESC_L2PTR_MASK) | R.CTXDESC_L1_DESC_V);
    // An invalid level-1 descriptor may be cached.
    yield* arm_smmu_sync_cd(master, ssid, false);
  }
  return arm_smmu_get_cd_ptr(master, ssid);
}

/** Whether SubstreamIDs hold the table, so that no STE may do without it. */
export function arm_smmu_ssids_in_use({ cd_table }: ArmSmmuMaster): boolean {
  return cd_table !== null && cd_table.used_ssids > 0;
}

/** Brings a descriptor to `target`, each step made known to the SMMU. */
export function* arm_smmu_write_cd_entry(master: ArmSmmuMaster, ssid: number, place: CdPlace, target: ArmSmmuEntry): Coroutine<void> {
  const { cpu } = place.memory;
  const valid = (word: bigint): boolean => (word & R.CTXDESC_CD_0_V) !== 0n;
  const was_valid = valid(cpu.get64(place.offset));
  if (ssid !== IOMMU_NO_PASID && master.cd_table !== null && was_valid !== valid(target[0]!))
    master.cd_table.used_ssids += was_valid ? -1 : 1;
  yield* arm_smmu_write_entry(
    {
      load: (i) => cpu.get64(place.offset + 8 * i),
      store: (i, value) => cpu.set64(place.offset + 8 * i, value),
      get_used: arm_smmu_get_cd_used,
      sync: () => arm_smmu_sync_cd(master, ssid, true),
    },
    target,
  );
}

/** Makes the descriptor invalid. A table without the leaf for it is a warning, as in Linux. */
export function* arm_smmu_clear_cd(master: ArmSmmuMaster, ssid: number): Coroutine<void> {
  if (master.cd_table === null) return;
  const place = arm_smmu_get_cd_ptr(master, ssid);
  if (place === null) return master.smmu.kernel.warn(`no context descriptor ${ssid} to clear`, master.dev);
  yield* arm_smmu_write_cd_entry(master, ssid, place, new_cd());
}

/** Frees the table; no STE points to it any more. */
export function* arm_smmu_free_cd_tables(master: ArmSmmuMaster): Coroutine<void> {
  const { cd_table } = master;
  if (cd_table === null) return;
  master.cd_table = null;
  for (const { size, cpu, dma } of [...(cd_table.l2?.values() ?? []), cd_table.table]) {
    yield* dma_free_coherent(master.smmu.dev, size, cpu, dma);
  }
}
