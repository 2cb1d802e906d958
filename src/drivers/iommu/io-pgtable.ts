// SPDX-License-Identifier: GPL-2.0-only
/**
 * What an IOMMU driver asks of a page table, and what the page table needs of the driver (linux/io-pgtable.h).
 * IOVAs and physical addresses are numbers below 2^53, sizes are bytes, descriptors are bigints.
 *
 * After Linux 7.1 include/linux/io-pgtable.h: struct io_pgtable_cfg, IO_PGTABLE_QUIRK_*. Left out: formats and quirks of other
 * IOMMUs.
 */
export type IoPgtableFmt = "ARM_64_LPAE_S1" | "ARM_64_LPAE_S2";

/** Where tables live. Table memory is coherent with the SMMU's walks. */
export interface IoPgtableMemory {
  /** @returns the physical address of `size` zeroed bytes at a multiple of `size` (at least 64), or null */
  alloc(size: number): number | null;
  free(pa: number, size: number): void;
  read(pa: number): bigint;
  /** One 64-bit store. */
  write(pa: number, descriptor: bigint): void;
}

/** TLB maintenance on behalf of the page table. Unmapped pages are the caller's affair; tables that go away are not. */
export interface IommuFlushOps {
  /** Drops cached walks of the range, tables included; returns when the SMMU uses them no more. */
  tlb_flush_walk(iova: number, size: number, granule: number): void;
}

/** Stage 1: writable pages are clean at first (DBM), and the SMMU makes them dirty. */
export const IO_PGTABLE_QUIRK_ARM_HD: number = 2 ** 7;
/** Stage 2: cacheable memory is write-back whatever stage 1 says (S2FWB). */
export const IO_PGTABLE_QUIRK_ARM_S2FWB: number = 2 ** 8;

export interface IoPgtableCfg {
  /** IO_PGTABLE_QUIRK_*; undefined: none. */
  readonly quirks?: number;
  /** Sum of the page sizes allowed; the table keeps those of one granule. */
  readonly pgsize_bitmap: number;
  /** Input and output address bits, at most 52. */
  readonly ias: number;
  readonly oas: number;
  /** Whether the SMMU's walks snoop the CPU's caches. */
  readonly coherent_walk: boolean;
  readonly tlb: IommuFlushOps;
  readonly memory: IoPgtableMemory;
  /** WARN_ON: the caller broke a rule. */
  warn(message: string): void;
}

/** TCR and TTBR of a stage-1 table, field by field. */
export interface ArmLpaeS1Cfg {
  readonly ttbr: bigint;
  readonly tcr: {
    readonly ips: number;
    readonly tg: number;
    readonly sh: number;
    readonly orgn: number;
    readonly irgn: number;
    readonly tsz: number;
  };
  readonly mair: bigint;
}

/** VTCR and VTTBR of a stage-2 table. */
export interface ArmLpaeS2Cfg {
  readonly vttbr: bigint;
  readonly vtcr: {
    readonly ps: number;
    readonly tg: number;
    readonly sh: number;
    readonly orgn: number;
    readonly irgn: number;
    readonly sl: number;
    readonly tsz: number;
  };
}

/** True if `bitmap`, a sum of page sizes below 2^53, has the power of two `size`. */
export function has_pgsize(bitmap: number, size: number): boolean {
  return Math.floor(bitmap / size) % 2 === 1;
}
