// SPDX-License-Identifier: GPL-2.0-only
/**
 * The crashed kernel's stream table, as a crash kernel that adopts it sees it: where it lies, whether it can be believed, and
 * which ASIDs and VMIDs are in use in it.
 *
 * After Nicolin Chen's series "iommu/arm-smmu-v3: Adopt the crashed kernel's stream table for kdump" (v10, 30 August 2026;
 * proposed for drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c, not in Linux 7.1). Left out: one ASID space for each SMMU (here the
 * driver has one for all), giving reserved ids back when a device leaves its old table.
 *
 * The memory may be anything by now: a pointer is believed if it leads to RAM that is not this kernel's own, a size if this
 * driver could have chosen it. More cannot be known.
 */
import { EINVAL, ENXIO, KernelBuffer, dev_err, readl, readq } from "../../../../kernel/index.ts";
import { FIELD_GET, FIELD_GET_ULL, ilog2 } from "../../bitfield.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import type { ArmSmmuDevice, ArmSmmuStrtab } from "../device.ts";
import { ARM_SMMU_FEAT_2_LVL_STRTAB } from "../features.ts";

/** log2 of the largest table that this driver would make. */
const MAX_SIZE = ilog2(R.STRTAB_MAX_L1_ENTRIES) + R.STRTAB_SPLIT;
const L2_SIZE = R.STRTAB_NUM_L2_STES * R.ARM_SMMU_ENTRY_SIZE;

/** Why a table is not adopted. */
export class NotAdoptable extends Error {
  readonly code = "NOT_ADOPTABLE";
  /** As a positive number. */
  readonly errno: number;

  constructor(message: string, errno: number = EINVAL) {
    super(message);
    this.errno = errno;
  }
}

/** `memremap`: memory of the crashed kernel. @throws NotAdoptable where it cannot be that */
function memremap(smmu: ArmSmmuDevice, address: bigint, size: number, what: string): KernelBuffer {
  const { kernel, dev } = smmu;
  const pa = Number(address);
  const inside = ({ base, size: length }: { readonly base: number; readonly size: number }): boolean =>
    pa >= base && pa + size <= base + length;
  const own = kernel.mm.memory.some(({ base, size: length }) => pa < base + length && base < pa + size);
  if (own || !kernel.platform.memory.some(inside))
    throw new NotAdoptable(`${what} at 0x${pa.toString(16)} is no memory of the crashed kernel`, ENXIO);
  return new KernelBuffer(kernel, pa, size, dev.name);
}

/** The level-2 table behind a level-1 descriptor; null: the descriptor is invalid. @throws NotAdoptable */
function kdump_l2(smmu: ArmSmmuDevice, l1: KernelBuffer, index: number): KernelBuffer | null {
  const descriptor = l1.get64(index * 8);
  const span = FIELD_GET_ULL(R.STRTAB_L1_DESC_SPAN, descriptor);
  if (span === 0) return null;
  if (span !== R.STRTAB_SPLIT + 1) throw new NotAdoptable(`L1[${index}] has span ${span} (vs ${R.STRTAB_SPLIT + 1})`);
  const base = descriptor & R.STRTAB_L1_DESC_L2PTR_MASK;
  if (base === 0n || !aligned(base, L2_SIZE)) throw new NotAdoptable(`L1[${index}] bad l2 table base 0x${base.toString(16)}`);
  return memremap(smmu, base, L2_SIZE, "a level-2 stream table");
}

/**
 * The same later, for a master with `sid`. Memory of a kernel that crashed may change at any time: a descriptor that was right
 * at adoption is looked at again, and one that is wrong by now costs the masters behind it and nobody else.
 * @returns the table; null: there is none; -EINVAL, or -ENXIO for one that lies nowhere
 */
export function arm_smmu_kdump_adopt_deferred_l2_strtab(smmu: ArmSmmuDevice, sid: number): KernelBuffer | null | number {
  try {
    return kdump_l2(smmu, smmu.strtab.table, Math.floor(sid / R.STRTAB_NUM_L2_STES));
  } catch (error) {
    if (!(error instanceof NotAdoptable)) throw error;
    dev_err(smmu.dev, `failed to adopt l2 stream table for SID ${sid}: ${error.message}`);
    return -error.errno;
  }
}

/** The SMMU ignores the bits of a base below its table's size (IHI 0070 §5.1, §6.3.24): with them it reads another table. */
function aligned(base: bigint, size: number): boolean {
  return base % BigInt(size) === 0n;
}

/** What STRTAB_BASE and STRTAB_BASE_CFG say, if a driver like this one could have said it. @throws NotAdoptable */
function found_strtab(smmu: ArmSmmuDevice): ArmSmmuStrtab {
  const base = readq(smmu.base, R.ARM_SMMU_STRTAB_BASE) & R.STRTAB_BASE_ADDR_MASK;
  const cfg = readl(smmu.base, R.ARM_SMMU_STRTAB_BASE_CFG);
  const log2size = FIELD_GET(R.STRTAB_BASE_CFG_LOG2SIZE, cfg);
  const fmt = FIELD_GET(R.STRTAB_BASE_CFG_FMT, cfg);
  const two_level = fmt === R.STRTAB_BASE_CFG_FMT_2LVL;
  if (!two_level && fmt !== R.STRTAB_BASE_CFG_FMT_LINEAR) throw new NotAdoptable(`it has format ${fmt}`);
  if (two_level && !smmu.has(ARM_SMMU_FEAT_2_LVL_STRTAB)) throw new NotAdoptable("it has two levels");
  if (log2size > Math.min(smmu.sid_bits, MAX_SIZE)) throw new NotAdoptable(`it is for ${log2size} StreamID bits`);
  if (two_level) {
    const split = FIELD_GET(R.STRTAB_BASE_CFG_SPLIT, cfg);
    if (split !== R.STRTAB_SPLIT || log2size < split) throw new NotAdoptable(`it is split at ${split} of ${log2size} bits`);
  }
  const num_ents = 2 ** (two_level ? log2size - R.STRTAB_SPLIT : log2size);
  const size = num_ents * (two_level ? 8 : R.ARM_SMMU_ENTRY_SIZE);
  if (!aligned(base, size)) throw new NotAdoptable(`it lies at 0x${base.toString(16)}, which is not aligned to its size`);
  const table = memremap(smmu, base, size, "the stream table");
  return { table, base_dma: Number(base), l2: two_level ? new Map() : null, num_ents };
}

/** The CDs of a master of the crashed kernel, whole tables of them. @throws NotAdoptable */
function* cd_tables(smmu: ArmSmmuDevice, ste0: bigint): Generator<KernelBuffer> {
  const pointer = ste0 & R.STRTAB_STE_0_S1CTXPTR_MASK;
  const s1cdmax = FIELD_GET_ULL(R.STRTAB_STE_0_S1CDMAX, ste0);
  if (s1cdmax > smmu.ssid_bits) throw new NotAdoptable(`a context descriptor table has ${s1cdmax} SubstreamID bits`);
  const count = 2 ** s1cdmax;
  const format = FIELD_GET_ULL(R.STRTAB_STE_0_S1FMT, ste0);
  if (s1cdmax === 0 || format === R.STRTAB_STE_0_S1FMT_LINEAR) {
    yield memremap(smmu, pointer, count * R.ARM_SMMU_ENTRY_SIZE, "a context descriptor table");
    return;
  }
  if (format !== R.STRTAB_STE_0_S1FMT_64K_L2) throw new NotAdoptable(`a context descriptor table has format ${format}`);
  const leaves = Math.ceil(count / R.CTXDESC_L2_ENTRIES);
  const l1 = memremap(smmu, pointer, leaves * 8, "a level-1 context descriptor table");
  for (let i = 0; i < leaves; i++) {
    const descriptor = l1.get64(i * 8);
    if ((descriptor & R.CTXDESC_L1_DESC_V) === 0n) continue;
    const size = R.CTXDESC_L2_ENTRIES * R.ARM_SMMU_ENTRY_SIZE;
    yield memremap(smmu, descriptor & R.CTXDESC_L1_DESC_L2PTR_MASK, size, "a context descriptor table");
  }
}

/** ASIDs and VMIDs of one table of STEs. @throws NotAdoptable */
function scan(smmu: ArmSmmuDevice, stes: KernelBuffer, asids: Set<number>, vmids: Set<number>): void {
  for (let at = 0; at < stes.size; at += R.ARM_SMMU_ENTRY_SIZE) {
    const ste0 = stes.get64(at);
    const cfg = FIELD_GET_ULL(R.STRTAB_STE_0_CFG, ste0);
    if ((ste0 & R.STRTAB_STE_0_V) === 0n || (cfg & 4) === 0) continue;
    if ((cfg & 2) !== 0) vmids.add(FIELD_GET_ULL(R.STRTAB_STE_2_S2VMID, stes.get64(at + 16)));
    if ((cfg & 1) === 0) continue;
    for (const cds of cd_tables(smmu, ste0)) {
      for (let cd = 0; cd < cds.size; cd += R.ARM_SMMU_ENTRY_SIZE) {
        const cd0 = cds.get64(cd);
        if ((cd0 & R.CTXDESC_CD_0_V) !== 0n) asids.add(FIELD_GET_ULL(R.CTXDESC_CD_0_ASID, cd0));
      }
    }
  }
}

/** The old table, with what its entries use kept from this kernel's own domains. @throws NotAdoptable, with nothing kept */
export function arm_smmu_kdump_adopt_strtab(smmu: ArmSmmuDevice): ArmSmmuStrtab {
  const strtab = found_strtab(smmu);
  const asids = new Set<number>();
  const vmids = new Set<number>();
  if (strtab.l2 === null) scan(smmu, strtab.table, asids, vmids);
  else {
    for (let index = 0; index < strtab.num_ents; index++) {
      const stes = kdump_l2(smmu, strtab.table, index);
      if (stes !== null) scan(smmu, stes, asids, vmids);
    }
  }
  // Translations tagged with them stay in the TLB: another address space under the same tag would hit them.
  for (const asid of asids) smmu.driver.asids.reserve(asid);
  for (const vmid of vmids) smmu.vmids.reserve(vmid);
  // The crashed kernel may be one that made linear tables only.
  if (strtab.l2 === null) smmu.features &= ~ARM_SMMU_FEAT_2_LVL_STRTAB;
  return strtab;
}
