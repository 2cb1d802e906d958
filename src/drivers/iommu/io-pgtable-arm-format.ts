// SPDX-License-Identifier: GPL-2.0-only
/** VMSAv8-64 tables on paper: levels and page sizes of a configuration, and the bits of a descriptor, for both stages. */
import { IOMMU_CACHE, IOMMU_MMIO, IOMMU_NOEXEC, IOMMU_PRIV, IOMMU_READ, IOMMU_WRITE } from "../../kernel/index.ts";
import { BIT_ULL, GENMASK_ULL, __ffs } from "./bitfield.ts";
import { type ArmLpaeS1Cfg, type ArmLpaeS2Cfg, type IoPgtableCfg, type IoPgtableFmt, has_pgsize } from "./io-pgtable.ts";

const ARM_LPAE_MAX_LEVELS = 4;
export const LAST_LEVEL: number = ARM_LPAE_MAX_LEVELS - 1;
const ARM_LPAE_S2_MAX_CONCAT_PAGES = 16;

const PTE_TYPE_MASK = 3n;
const PTE_TYPE_BLOCK = 1n;
export const PTE_TYPE_TABLE = 3n;
const PTE_TYPE_PAGE = 3n;
const PTE_AF: bigint = BIT_ULL(10);
const PTE_SH_OS = 2n << 8n;
const PTE_SH_IS = 3n << 8n;
const PTE_XN = 3n << 53n;
const PTE_ADDR_MASK: bigint = GENMASK_ULL(47, 12);
const PTE_ADDR_MASK_64K: bigint = GENMASK_ULL(51, 16);
// Stage 1.
const PTE_AP_UNPRIV: bigint = BIT_ULL(6);
const PTE_AP_RDONLY: bigint = BIT_ULL(7);
const PTE_nG: bigint = BIT_ULL(11);
const MAIR_ATTR_IDX_CACHE = 1n;
const MAIR_ATTR_IDX_DEV = 2n;
/**
 * Indices 0 … 3: non-cacheable, write-back, Device-nGnRE, inner non-cacheable outer write-back. Linux puts them together as
 * a signed word, whose sign fills the indices that nobody uses.
 */
const MAIR = 0xffff_ffff_f404_ff44n;
// Stage 2.
const PTE_HAP_READ: bigint = BIT_ULL(6);
const PTE_HAP_WRITE: bigint = BIT_ULL(7);
const PTE_MEMATTR_OIWB = 0xfn << 2n;
const PTE_MEMATTR_NC = 0x5n << 2n;
const PTE_MEMATTR_DEV = 0x1n << 2n;

const TCR_SH_OS = 2;
const TCR_SH_IS = 3;
const TCR_RGN_NC = 0;
const TCR_RGN_WBWA = 1;
/** TG0 and TG by granule. */
const TCR_TG: Readonly<Record<number, number>> = { 0x1000: 0, 0x10000: 1, 0x4000: 2 };
const TCR_PS: Readonly<Record<number, number>> = { 32: 0, 36: 1, 40: 2, 42: 3, 44: 4, 48: 5, 52: 6 };

const SZ_4K = 0x1000;
const SZ_16K = 0x4000;
const SZ_64K = 0x1_0000;
/** Page and block sizes by granule; 64 KiB tables with more than 48 output bits add 4 TiB. */
const PAGE_SIZES: Readonly<Record<number, number>> = { [SZ_4K]: 0x4020_1000, [SZ_16K]: 0x200_4000, [SZ_64K]: 0x2001_0000 };
const SZ_4T = 2 ** 42;

/** The kernel's page size (4 KiB) if allowed, else the smallest above. */
function choose_granule(pgsize_bitmap: number): number | null {
  return [SZ_4K, SZ_16K, SZ_64K].find((granule) => has_pgsize(pgsize_bitmap, granule)) ?? null;
}

/** Whether the architecture demands that a stage-2 start level be concatenated away (DDI 0487, D8.2.7). */
function arm_lpae_concat_mandatory(granule: number, start_level: number, ias: number, oas: number): boolean {
  if (granule === SZ_16K && start_level === 0) return oas === 48 || ias === 48;
  if (granule === SZ_4K && start_level === 0) return oas === 40 || oas === 42;
  return granule === SZ_16K && start_level === 1 && oas === 40;
}

/** The shape of a table. */
export interface Geometry {
  readonly granule: number;
  /** Sum of the page sizes in force: those of the granule. */
  readonly pgsize_bitmap: number;
  readonly ias: number;
  readonly oas: number;
  /** log2 of the granule. */
  readonly pg_shift: number;
  readonly bits_per_level: number;
  readonly start_level: number;
  /** log2 of the entries of the first table, concatenated ones included. */
  readonly pgd_bits: number;
}

/** The shape that a configuration gives, or null if it is impossible. */
export function arm_lpae_geometry(fmt: IoPgtableFmt, cfg: IoPgtableCfg): Geometry | null {
  const granule = choose_granule(cfg.pgsize_bitmap);
  if (granule === null) return null;
  const max_addr_bits = granule === SZ_64K ? 52 : 48;
  const ias = Math.min(cfg.ias, max_addr_bits);
  const oas = Math.min(cfg.oas, max_addr_bits);
  const allowed = PAGE_SIZES[granule]! + (granule === SZ_64K && oas > 48 ? SZ_4T : 0);
  let pgsize_bitmap = 0;
  for (const size of page_sizes(allowed)) if (has_pgsize(cfg.pgsize_bitmap, size)) pgsize_bitmap += size;

  const pg_shift = __ffs(granule);
  const bits_per_level = pg_shift - 3;
  const va_bits = ias - pg_shift;
  const levels = Math.ceil(va_bits / bits_per_level);
  let start_level = ARM_LPAE_MAX_LEVELS - levels;
  let pgd_bits = va_bits - bits_per_level * (levels - 1);
  if (fmt === "ARM_64_LPAE_S2" && arm_lpae_concat_mandatory(granule, start_level, ias, oas)) {
    if (2 ** pgd_bits > ARM_LPAE_S2_MAX_CONCAT_PAGES) return null;
    pgd_bits += bits_per_level;
    start_level++;
  }
  return { granule, pgsize_bitmap, ias, oas, pg_shift, bits_per_level, start_level, pgd_bits };
}

/** The page sizes in a bitmap, smallest first. */
function page_sizes(pgsize_bitmap: number): number[] {
  const sizes: number[] = [];
  for (let rest = pgsize_bitmap; rest > 0;) {
    const size = 2 ** __ffs(rest);
    sizes.push(size);
    rest -= size;
  }
  return sizes;
}

/** Bytes that one descriptor of `level` maps. */
export function block_size(shape: Geometry, level: number): number {
  return 2 ** (shape.pg_shift + (LAST_LEVEL - level) * shape.bits_per_level);
}

/** Which entry of a table of `level` an address selects. */
export function entry_index(shape: Geometry, iova: number, level: number): number {
  const bits = level === shape.start_level ? shape.pgd_bits : shape.bits_per_level;
  return Math.floor(iova / block_size(shape, level)) % 2 ** bits;
}

export function leaf_type(level: number): bigint {
  return level === LAST_LEVEL ? PTE_TYPE_PAGE : PTE_TYPE_BLOCK;
}

/** `iopte_leaf` */
export function is_leaf(pte: bigint, level: number): boolean {
  return (pte & PTE_TYPE_MASK) === leaf_type(level);
}

/** With 64 KiB granules, bits 51:48 of an address are in bits 15:12 of the descriptor. */
export function paddr_to_iopte(paddr: number): bigint {
  const pa = BigInt(paddr);
  return (pa | (pa >> 36n)) & PTE_ADDR_MASK;
}

export function iopte_to_paddr(shape: Geometry, pte: bigint): number {
  const pa = pte & PTE_ADDR_MASK;
  return Number(shape.granule === SZ_64K ? (pa | (pa << 36n)) & PTE_ADDR_MASK_64K : pa);
}

/** Rights and attributes of a leaf. @param prot IOMMU_READ and the other bits */
export function arm_lpae_prot_to_pte(fmt: IoPgtableFmt, prot: number): bigint {
  let pte = PTE_AF | ((prot & IOMMU_CACHE) !== 0 ? PTE_SH_IS : PTE_SH_OS);
  if ((prot & IOMMU_NOEXEC) !== 0) pte |= PTE_XN;
  if (fmt === "ARM_64_LPAE_S1") {
    pte |= PTE_nG;
    // Stage 1 knows no write-only: a writable page is readable.
    if ((prot & IOMMU_WRITE) === 0) pte |= PTE_AP_RDONLY;
    if ((prot & IOMMU_PRIV) === 0) pte |= PTE_AP_UNPRIV;
    if ((prot & IOMMU_MMIO) !== 0) pte |= MAIR_ATTR_IDX_DEV << 2n;
    else if ((prot & IOMMU_CACHE) !== 0) pte |= MAIR_ATTR_IDX_CACHE << 2n;
    return pte;
  }
  if ((prot & IOMMU_READ) !== 0) pte |= PTE_HAP_READ;
  if ((prot & IOMMU_WRITE) !== 0) pte |= PTE_HAP_WRITE;
  if ((prot & IOMMU_MMIO) !== 0) return pte | PTE_MEMATTR_DEV;
  return pte | ((prot & IOMMU_CACHE) !== 0 ? PTE_MEMATTR_OIWB : PTE_MEMATTR_NC);
}

/** How walks access tables: cacheable and shared with the CPUs where they snoop. */
function walk_attributes(
  shape: Geometry,
  coherent: boolean,
): { readonly tg: number; readonly sh: number; readonly irgn: number; readonly orgn: number } {
  const rgn = coherent ? TCR_RGN_WBWA : TCR_RGN_NC;
  return { tg: TCR_TG[shape.granule]!, sh: coherent ? TCR_SH_IS : TCR_SH_OS, irgn: rgn, orgn: rgn };
}

/** What a context descriptor says of a stage-1 table at `pgd`. */
export function arm_lpae_s1_cfg(shape: Geometry, pgd: number, coherent: boolean): ArmLpaeS1Cfg {
  return { ttbr: BigInt(pgd), tcr: { ips: TCR_PS[shape.oas]!, tsz: 64 - shape.ias, ...walk_attributes(shape, coherent) }, mair: MAIR };
}

/** What an STE says of a stage-2 table at `pgd`. */
export function arm_lpae_s2_cfg(shape: Geometry, pgd: number, coherent: boolean): ArmLpaeS2Cfg {
  // SL0 counts down from the deepest start; its codes are shifted by one level for the 4 KiB granule.
  const sl = ~(shape.granule === SZ_4K ? shape.start_level + 1 : shape.start_level) & 3;
  return { vttbr: BigInt(pgd), vtcr: { ps: TCR_PS[shape.oas]!, sl, tsz: 64 - shape.ias, ...walk_attributes(shape, coherent) } };
}
