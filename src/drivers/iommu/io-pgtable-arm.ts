// SPDX-License-Identifier: GPL-2.0-only
/**
 * VMSAv8-64 page tables in memory (Linux's io-pgtable-arm.c): mapping, unmapping, looking up.
 *
 * Tables are built while the SMMU may walk them: a sub-table is complete before it is linked, every descriptor is one
 * 64-bit store, and a table is freed only after cached walks through it are gone. Not modelled: walks that do not snoop
 * (cache maintenance of tables), 32-bit and Mali formats.
 *
 * After Linux 7.1 drivers/iommu/io-pgtable-arm.c. Left out, besides: the quirks for other IOMMUs.
 */
import { EEXIST, EINVAL, ENOMEM, ERANGE, IOMMU_READ, IOMMU_WRITE } from "../../kernel/index.ts";
import {
  LAST_LEVEL,
  PTE_TYPE_TABLE,
  type Geometry,
  arm_lpae_geometry,
  arm_lpae_quirks_supported,
  arm_lpae_prot_to_pte,
  arm_lpae_s1_cfg,
  arm_lpae_s2_cfg,
  block_size,
  entry_index,
  iopte_set_writeable_clean,
  iopte_to_paddr,
  iopte_writeable_dirty,
  is_leaf,
  leaf_type,
  paddr_to_iopte,
} from "./io-pgtable-arm-format.ts";
import { type ArmLpaeS1Cfg, type ArmLpaeS2Cfg, type IoPgtableCfg, type IoPgtableFmt, has_pgsize } from "./io-pgtable.ts";

/** Bytes of a descriptor. */
const IOPTE_SIZE = 8;

/** Where a descriptor sits, and what it says. */
interface Place {
  readonly level: number;
  /** Index in its table. */
  readonly index: number;
  readonly pa: number;
  readonly pte: bigint;
}

/** What `map_pages` did: 0 or -errno, and the bytes mapped. */
export interface MapPagesResult {
  readonly ret: number;
  readonly mapped: number;
}

/** A page table for one domain. */
export class ArmLpaeIoPgtable {
  readonly fmt: IoPgtableFmt;
  readonly cfg: IoPgtableCfg;
  readonly geometry: Geometry;
  /** Physical address and bytes of the first table, concatenated ones included. */
  readonly pgd: number;
  readonly pgd_size: number;

  private constructor(fmt: IoPgtableFmt, cfg: IoPgtableCfg, geometry: Geometry, pgd: number, pgd_size: number) {
    this.fmt = fmt;
    this.cfg = cfg;
    this.geometry = geometry;
    this.pgd = pgd;
    this.pgd_size = pgd_size;
  }

  /** `alloc_io_pgtable_ops`. @returns null when the configuration is impossible or memory is short */
  static alloc(fmt: IoPgtableFmt, cfg: IoPgtableCfg): ArmLpaeIoPgtable | null {
    const geometry = arm_lpae_geometry(fmt, cfg);
    if (geometry === null || !arm_lpae_quirks_supported(fmt, cfg.quirks ?? 0)) return null;
    const pgd_size = 2 ** geometry.pgd_bits * IOPTE_SIZE;
    const pgd = cfg.memory.alloc(pgd_size);
    return pgd === null ? null : new ArmLpaeIoPgtable(fmt, cfg, geometry, pgd, pgd_size);
  }

  arm_lpae_s1_cfg(): ArmLpaeS1Cfg {
    return arm_lpae_s1_cfg(this.geometry, this.pgd, this.cfg.coherent_walk);
  }

  arm_lpae_s2_cfg(): ArmLpaeS2Cfg {
    return arm_lpae_s2_cfg(this.geometry, this.pgd, this.cfg.coherent_walk);
  }

  #place(table: number, iova: number, level: number): Place {
    const index = entry_index(this.geometry, iova, level);
    const pa = table + index * IOPTE_SIZE;
    return { level, index, pa, pte: this.cfg.memory.read(pa) };
  }

  /** The table behind a table descriptor. */
  #next(pte: bigint): number {
    return iopte_to_paddr(this.geometry, pte);
  }

  /** How many of `count` descriptors from a place on lie in its table. */
  #max_entries({ level, index }: Place, count: number): number {
    const size = level === this.geometry.start_level ? this.pgd_size : this.geometry.granule;
    return Math.min(count, size / IOPTE_SIZE - index);
  }

  /** Whether some level has pages of this size. */
  #has_level_for(pgsize: number): boolean {
    return has_pgsize(this.geometry.pgsize_bitmap, pgsize) && pgsize <= block_size(this.geometry, this.geometry.start_level);
  }

  #warn(message: string): void {
    this.cfg.warn(`io-pgtable-arm: ${message}`);
  }

  /**
   * Maps pages of one size; stops at the end of a table, so the caller goes on with what is left.
   * @param prot IOMMU_READ and the other bits, at least one right
   * @returns `ret` 0 or -EINVAL, -ERANGE, -EEXIST, -ENOMEM; `mapped` bytes
   */
  map_pages(iova: number, paddr: number, pgsize: number, pgcount: number, prot: number): MapPagesResult {
    if (!this.#has_level_for(pgsize)) {
      this.#warn(`map with page size 0x${pgsize.toString(16)}`);
      return { ret: -EINVAL, mapped: 0 };
    }
    if (iova >= 2 ** this.geometry.ias || paddr >= 2 ** this.geometry.oas) {
      this.#warn(`map of 0x${iova.toString(16)} to 0x${paddr.toString(16)} is out of range`);
      return { ret: -ERANGE, mapped: 0 };
    }
    if ((prot & (IOMMU_READ | IOMMU_WRITE)) === 0) return { ret: -EINVAL, mapped: 0 };

    let table = this.pgd;
    for (let level = this.geometry.start_level; ; level++) {
      const place = this.#place(table, iova, level);
      if (block_size(this.geometry, level) === pgsize)
        return this.#init_ptes(place, iova, paddr, pgsize, pgcount, arm_lpae_prot_to_pte(this.fmt, prot, this.cfg.quirks ?? 0));
      if (place.pte !== 0n && is_leaf(place.pte, level)) {
        this.#warn(`map over the block at 0x${iova.toString(16)}`);
        return { ret: -EEXIST, mapped: 0 };
      }
      const next = place.pte === 0n ? this.#install_table(place) : this.#next(place.pte);
      if (next === null) return { ret: -ENOMEM, mapped: 0 };
      table = next;
    }
  }

  /** Allocates a table and links it: it is complete (all invalid) before the SMMU can find it. */
  #install_table(place: Place): number | null {
    const table = this.cfg.memory.alloc(this.geometry.granule);
    if (table !== null) this.cfg.memory.write(place.pa, paddr_to_iopte(table) | PTE_TYPE_TABLE);
    return table;
  }

  #init_ptes(place: Place, iova: number, paddr: number, size: number, pgcount: number, prot: bigint): MapPagesResult {
    const { memory } = this.cfg;
    const count = this.#max_entries(place, pgcount);
    for (let i = 0; i < count; i++) {
      const pte = memory.read(place.pa + i * IOPTE_SIZE);
      if (pte === 0n) continue;
      if (is_leaf(pte, place.level)) {
        this.#warn(`map over the page at 0x${(iova + i * size).toString(16)}`);
        return { ret: -EEXIST, mapped: 0 };
      }
      this.#remove_table(place.pa + i * IOPTE_SIZE, pte, place.level, iova + i * size);
    }
    const type = leaf_type(place.level);
    for (let i = 0; i < count; i++) {
      memory.write(place.pa + i * IOPTE_SIZE, prot | type | paddr_to_iopte(paddr + i * size));
    }
    return { ret: 0, mapped: count * size };
  }

  /** Unlinks the table behind a descriptor, waits until no walk uses it, and frees it with all below. */
  #remove_table(pa: number, pte: bigint, level: number, iova: number): void {
    this.cfg.memory.write(pa, 0n);
    this.cfg.tlb.tlb_flush_walk(iova, block_size(this.geometry, level), this.geometry.granule);
    this.#free_table(this.#next(pte), level + 1);
  }

  /**
   * Unmaps pages of one size; stops at the end of a table. The caller invalidates the TLBs.
   * @returns bytes unmapped, 0 after a warning
   */
  unmap_pages(iova: number, pgsize: number, pgcount: number): number {
    if (!this.#has_level_for(pgsize) || pgcount === 0 || iova >= 2 ** this.geometry.ias) {
      this.#warn(`unmap of ${pgcount} * 0x${pgsize.toString(16)} at 0x${iova.toString(16)}`);
      return 0;
    }
    let place = this.#place(this.pgd, iova, this.geometry.start_level);
    while (block_size(this.geometry, place.level) !== pgsize) {
      if (place.pte === 0n || is_leaf(place.pte, place.level)) {
        this.#warn(`unmap of ${place.pte === 0n ? "nothing" : "a part of a large page"} at 0x${iova.toString(16)}`);
        return 0;
      }
      place = this.#place(this.#next(place.pte), iova, place.level + 1);
    }
    return this.#clear_ptes(place, iova, pgsize, this.#max_entries(place, pgcount));
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
      if (is_leaf(pte, place.level)) memory.write(pa, 0n);
      else this.#remove_table(pa, pte, place.level, iova + i * size);
    }
    return pgcount * size;
  }

  /** The physical address behind `iova`, 0 if there is none. */
  iova_to_phys(iova: number): number {
    const leaf = this.#leaf(iova);
    return leaf === null ? 0 : this.#next(leaf.pte) + (iova % block_size(this.geometry, leaf.level));
  }

  /**
   * Finds the dirty pages of a range, in which everything has to be mapped, and makes them clean. The caller invalidates the
   * TLBs, which let a page that they have as dirty be written unseen.
   * @param record is told of each, with its size
   * @returns 0; -EINVAL: a hole, after the pages before it; no range; a table that cannot tell
   */
  read_and_clear_dirty(iova: number, size: number, clear: boolean, record: (iova: number, size: number) => void): number {
    if (size <= 0 || iova + size > 2 ** this.geometry.ias) {
      this.#warn(`dirty pages of 0x${size.toString(16)} bytes at 0x${iova.toString(16)}`);
      return -EINVAL;
    }
    if (this.fmt !== "ARM_64_LPAE_S1") return -EINVAL;
    for (let at = iova; at < iova + size;) {
      const leaf = this.#leaf(at);
      if (leaf === null) return -EINVAL;
      const bytes = block_size(this.geometry, leaf.level);
      if (iopte_writeable_dirty(leaf.pte)) {
        record(at, bytes);
        if (clear) this.cfg.memory.write(leaf.pa, iopte_set_writeable_clean(leaf.pte));
      }
      at += bytes;
    }
    return 0;
  }

  /** The leaf that maps an address. */
  #leaf(iova: number): Place | null {
    let table = this.pgd;
    for (let level = this.geometry.start_level; level <= LAST_LEVEL; level++) {
      const place = this.#place(table, iova, level);
      if (place.pte === 0n) return null;
      if (is_leaf(place.pte, level)) return place;
      table = this.#next(place.pte);
    }
    return null;
  }

  /** `free_io_pgtable_ops`: frees every table. The SMMU must have forgotten them. */
  free(): void {
    this.#free_table(this.pgd, this.geometry.start_level);
  }

  #free_table(table: number, level: number): void {
    const size = level === this.geometry.start_level ? this.pgd_size : this.geometry.granule;
    // The last level has leaves only.
    const end = level === LAST_LEVEL ? table : table + size;
    for (let pa = table; pa < end; pa += IOPTE_SIZE) {
      const pte = this.cfg.memory.read(pa);
      if (pte !== 0n && !is_leaf(pte, level)) this.#free_table(this.#next(pte), level + 1);
    }
    this.cfg.memory.free(table, size);
  }
}
