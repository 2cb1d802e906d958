// SPDX-License-Identifier: GPL-2.0-only
/**
 * VMSAv8-64 page tables, stage 1 and stage 2, with 4, 16 and 64 KiB granules (Linux's io-pgtable-arm.c).
 *
 * Tables are built while the SMMU may walk them: a sub-table is filled before it is linked, every descriptor is one
 * 64-bit store, and a table is freed only after cached walks through it are gone. Not modelled: walks that do not snoop
 * (cache maintenance of tables), dirty tracking, 32-bit and Mali formats.
 */
import {
  EEXIST,
  EINVAL,
  ENOMEM,
  ERANGE,
  IOMMU_CACHE,
  IOMMU_MMIO,
  IOMMU_NOEXEC,
  IOMMU_PRIV,
  IOMMU_READ,
  IOMMU_WRITE,
} from "../../kernel/index.ts";
import { BIT_ULL, GENMASK_ULL, __ffs } from "./bitfield.ts";
import { type ArmLpaeS1Cfg, type ArmLpaeS2Cfg, type IoPgtableCfg, type IoPgtableFmt, has_pgsize } from "./io-pgtable.ts";

const ARM_LPAE_MAX_LEVELS = 4;
const LAST_LEVEL = ARM_LPAE_MAX_LEVELS - 1;
const ARM_LPAE_S2_MAX_CONCAT_PAGES = 16;
const IOPTE_SIZE = 8;

const PTE_TYPE_MASK = 3n;
const PTE_TYPE_BLOCK = 1n;
const PTE_TYPE_TABLE = 3n;
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
/** Indices 0 … 3: non-cacheable, write-back, Device-nGnRE, inner non-cacheable outer write-back. */
const MAIR = 0xf4_04_ff_44n;
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

/** The shape of a table: granule, page sizes, levels. */
interface Geometry {
  readonly granule: number;
  readonly pgsize_bitmap: number;
  readonly ias: number;
  readonly oas: number;
  readonly pg_shift: number;
  readonly bits_per_level: number;
  readonly start_level: number;
  readonly pgd_bits: number;
}

function geometry(fmt: IoPgtableFmt, cfg: IoPgtableCfg): Geometry | null {
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
export function page_sizes(pgsize_bitmap: number): number[] {
  const sizes: number[] = [];
  for (let rest = pgsize_bitmap; rest > 0; ) {
    const size = 2 ** __ffs(rest);
    sizes.push(size);
    rest -= size;
  }
  return sizes;
}

/** Where a descriptor sits. */
interface Place {
  readonly level: number;
  /** Index in its table. */
  readonly index: number;
  readonly pa: number;
  readonly pte: bigint;
}

/** A page table for one domain. */
export class ArmLpaeIoPgtable {
  readonly fmt: IoPgtableFmt;
  readonly cfg: IoPgtableCfg;
  /** The page sizes in force: those of one granule. */
  readonly pgsize_bitmap: number;
  readonly granule: number;
  readonly ias: number;
  readonly oas: number;
  readonly start_level: number;
  /** Physical address and bytes of the first table, concatenated ones included. */
  readonly pgd: number;
  readonly pgd_size: number;
  readonly #geometry: Geometry;

  private constructor(fmt: IoPgtableFmt, cfg: IoPgtableCfg, shape: Geometry, pgd: number, pgd_size: number) {
    this.fmt = fmt;
    this.cfg = cfg;
    this.#geometry = shape;
    this.pgsize_bitmap = shape.pgsize_bitmap;
    this.granule = shape.granule;
    this.ias = shape.ias;
    this.oas = shape.oas;
    this.start_level = shape.start_level;
    this.pgd = pgd;
    this.pgd_size = pgd_size;
  }

  /** `alloc_io_pgtable_ops`. @returns null when the configuration is impossible or memory is short */
  static alloc(fmt: IoPgtableFmt, cfg: IoPgtableCfg): ArmLpaeIoPgtable | null {
    const shape = geometry(fmt, cfg);
    if (shape === null) return null;
    const pgd_size = 2 ** shape.pgd_bits * IOPTE_SIZE;
    const pgd = cfg.memory.alloc(pgd_size);
    return pgd === null ? null : new ArmLpaeIoPgtable(fmt, cfg, shape, pgd, pgd_size);
  }

  /** What a context descriptor says of a stage-1 table. */
  arm_lpae_s1_cfg(): ArmLpaeS1Cfg {
    return { ttbr: BigInt(this.pgd), tcr: { ips: TCR_PS[this.oas]!, tsz: 64 - this.ias, ...this.#walk_attributes() }, mair: MAIR };
  }

  /** What an STE says of a stage-2 table. */
  arm_lpae_s2_cfg(): ArmLpaeS2Cfg {
    // SL0 counts down from the deepest start; its codes are shifted by one level for the 4 KiB granule.
    const level = this.granule === SZ_4K ? this.start_level + 1 : this.start_level;
    return { vttbr: BigInt(this.pgd), vtcr: { ps: TCR_PS[this.oas]!, sl: ~level & 3, tsz: 64 - this.ias, ...this.#walk_attributes() } };
  }

  #walk_attributes(): { readonly tg: number; readonly sh: number; readonly irgn: number; readonly orgn: number } {
    const rgn = this.cfg.coherent_walk ? TCR_RGN_WBWA : TCR_RGN_NC;
    return { tg: TCR_TG[this.granule]!, sh: this.cfg.coherent_walk ? TCR_SH_IS : TCR_SH_OS, irgn: rgn, orgn: rgn };
  }

  /** Bytes that one descriptor of `level` maps. */
  #block_size(level: number): number {
    return 2 ** (this.#geometry.pg_shift + (LAST_LEVEL - level) * this.#geometry.bits_per_level);
  }

  #index(iova: number, level: number): number {
    const bits = level === this.start_level ? this.#geometry.pgd_bits : this.#geometry.bits_per_level;
    return Math.floor(iova / this.#block_size(level)) % 2 ** bits;
  }

  #place(table: number, iova: number, level: number): Place {
    const index = this.#index(iova, level);
    const pa = table + index * IOPTE_SIZE;
    return { level, index, pa, pte: this.cfg.memory.read(pa) };
  }

  #is_leaf(pte: bigint, level: number): boolean {
    return (pte & PTE_TYPE_MASK) === (level === LAST_LEVEL ? PTE_TYPE_PAGE : PTE_TYPE_BLOCK);
  }

  /** PA bits 51:48 of a 64 KiB-granule descriptor are in bits 15:12. */
  #paddr_to_iopte(paddr: number): bigint {
    const pa = BigInt(paddr);
    return (pa | (pa >> 36n)) & PTE_ADDR_MASK;
  }

  #iopte_to_paddr(pte: bigint): number {
    const pa = pte & PTE_ADDR_MASK;
    return Number(this.granule === SZ_64K ? (pa | (pa << 36n)) & PTE_ADDR_MASK_64K : pa);
  }

  /** How many of `count` descriptors from `index` on lie in one table. */
  #max_entries(index: number, count: number): number {
    const per_table = this.granule / IOPTE_SIZE;
    return Math.min(count, per_table - (index % per_table));
  }

  #prot_to_pte(prot: number): bigint {
    let pte = PTE_AF | ((prot & IOMMU_CACHE) !== 0 ? PTE_SH_IS : PTE_SH_OS);
    if ((prot & IOMMU_NOEXEC) !== 0) pte |= PTE_XN;
    if (this.fmt === "ARM_64_LPAE_S1") {
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

  #warn(message: string): void {
    this.cfg.warn(`io-pgtable-arm: ${message}`);
  }

  /**
   * Maps pages of one size; stops at the end of a table, so the caller goes on with what is left.
   * @param prot IOMMU_READ and the other bits, at least one right
   * @returns `ret` 0 or -EINVAL, -ERANGE, -EEXIST, -ENOMEM; `mapped` bytes
   */
  map_pages(iova: number, paddr: number, pgsize: number, pgcount: number, prot: number): { ret: number; mapped: number } {
    if (!has_pgsize(this.pgsize_bitmap, pgsize)) {
      this.#warn(`map with page size 0x${pgsize.toString(16)}`);
      return { ret: -EINVAL, mapped: 0 };
    }
    if (iova >= 2 ** this.ias || paddr >= 2 ** this.oas) {
      this.#warn(`map of 0x${iova.toString(16)} to 0x${paddr.toString(16)} is out of range`);
      return { ret: -ERANGE, mapped: 0 };
    }
    if ((prot & (IOMMU_READ | IOMMU_WRITE)) === 0) return { ret: -EINVAL, mapped: 0 };

    let table = this.pgd;
    for (let level = this.start_level; ; level++) {
      const place = this.#place(table, iova, level);
      if (this.#block_size(level) === pgsize) return this.#init_ptes(place, iova, paddr, pgsize, pgcount, this.#prot_to_pte(prot));
      if (place.pte !== 0n && this.#is_leaf(place.pte, level)) {
        this.#warn(`map over the block at 0x${iova.toString(16)}`);
        return { ret: -EEXIST, mapped: 0 };
      }
      const next = place.pte === 0n ? this.#install_table(place) : this.#iopte_to_paddr(place.pte);
      if (next === null) return { ret: -ENOMEM, mapped: 0 };
      table = next;
    }
  }

  /** Allocates a table and links it: it is complete (all invalid) before the SMMU can find it. */
  #install_table(place: Place): number | null {
    const table = this.cfg.memory.alloc(this.granule);
    if (table !== null) this.cfg.memory.write(place.pa, this.#paddr_to_iopte(table) | PTE_TYPE_TABLE);
    return table;
  }

  #init_ptes(place: Place, iova: number, paddr: number, size: number, pgcount: number, prot: bigint): { ret: number; mapped: number } {
    const { memory } = this.cfg;
    const count = this.#max_entries(place.index, pgcount);
    for (let i = 0; i < count; i++) {
      const pte = memory.read(place.pa + i * IOPTE_SIZE);
      if (pte === 0n) continue;
      if (this.#is_leaf(pte, place.level)) {
        this.#warn(`map over the page at 0x${(iova + i * size).toString(16)}`);
        return { ret: -EEXIST, mapped: 0 };
      }
      this.#remove_table(place.pa + i * IOPTE_SIZE, pte, place.level, iova + i * size);
    }
    const type = place.level === LAST_LEVEL ? PTE_TYPE_PAGE : PTE_TYPE_BLOCK;
    for (let i = 0; i < count; i++) {
      memory.write(place.pa + i * IOPTE_SIZE, prot | type | this.#paddr_to_iopte(paddr + i * size));
    }
    return { ret: 0, mapped: count * size };
  }

  /** Unlinks the table behind a descriptor, waits until no walk uses it, and frees it with all below. */
  #remove_table(pa: number, pte: bigint, level: number, iova: number): void {
    this.cfg.memory.write(pa, 0n);
    this.cfg.tlb.tlb_flush_walk(iova, this.#block_size(level), this.granule);
    this.#free_table(this.#iopte_to_paddr(pte), level + 1);
  }

  /**
   * Unmaps pages of one size; stops at the end of a table. The caller invalidates the TLBs.
   * @returns bytes unmapped, 0 after a warning
   */
  unmap_pages(iova: number, pgsize: number, pgcount: number): number {
    if (!has_pgsize(this.pgsize_bitmap, pgsize) || pgcount === 0 || iova >= 2 ** this.ias) {
      this.#warn(`unmap of ${pgcount} * 0x${pgsize.toString(16)} at 0x${iova.toString(16)}`);
      return 0;
    }
    let place = this.#place(this.pgd, iova, this.start_level);
    while (this.#block_size(place.level) !== pgsize) {
      if (place.pte === 0n || this.#is_leaf(place.pte, place.level)) {
        this.#warn(`unmap of ${place.pte === 0n ? "nothing" : "a part of a large page"} at 0x${iova.toString(16)}`);
        return 0;
      }
      place = this.#place(this.#iopte_to_paddr(place.pte), iova, place.level + 1);
    }
    return this.#clear_ptes(place, iova, pgsize, this.#max_entries(place.index, pgcount));
  }

  #clear_ptes(place: Place, iova: number, size: number, pgcount: number): number {
    const { memory } = this.cfg;
    for (let i = 0; i < pgcount; i++) {
      const pa = place.pa + i * IOPTE_SIZE;
      const pte = memory.read(pa);
      if (pte === 0n) {
        this.#warn(`unmap of nothing at 0x${(iova + i * size).toString(16)}`);
        return i * size;
      }
      if (this.#is_leaf(pte, place.level)) memory.write(pa, 0n);
      else this.#remove_table(pa, pte, place.level, iova + i * size);
    }
    return pgcount * size;
  }

  /** The physical address behind `iova`, 0 if there is none. */
  iova_to_phys(iova: number): number {
    let table = this.pgd;
    for (let level = this.start_level; level < ARM_LPAE_MAX_LEVELS; level++) {
      const { pte } = this.#place(table, iova, level);
      if (pte === 0n) return 0;
      if (this.#is_leaf(pte, level)) return this.#iopte_to_paddr(pte) + (iova % this.#block_size(level));
      table = this.#iopte_to_paddr(pte);
    }
    return 0;
  }

  /** `free_io_pgtable_ops`: frees every table. The SMMU must have forgotten them. */
  free(): void {
    this.#free_table(this.pgd, this.start_level);
  }

  #free_table(table: number, level: number): void {
    const size = level === this.start_level ? this.pgd_size : this.granule;
    for (let pa = table; level < LAST_LEVEL && pa < table + size; pa += IOPTE_SIZE) {
      const pte = this.cfg.memory.read(pa);
      if (pte !== 0n && !this.#is_leaf(pte, level)) this.#free_table(this.#iopte_to_paddr(pte), level + 1);
    }
    this.cfg.memory.free(table, size);
  }
}
