// SPDX-License-Identifier: GPL-2.0-only
/**
 * The page table of a process in memory, as a CPU with 4 KiB pages and 48-bit addresses walks it.
 *
 * After Linux 7.1 arch/arm64/include/asm/pgtable.h and pgtable-prot.h (descriptors of user pages), mm/memory.c
 * (free_pgtables). Left out: huge pages, other page sizes, swap entries, permission indirection. The CPU model itself walks no
 * table; only devices do.
 */
import type { Kernel } from "../kernel.ts";
import { NO_PAGES, PAGE_SIZE } from "./page-allocator.ts";

/** `vabits_actual` */
export const VA_BITS = 48;
/** `TASK_SIZE`: user addresses end here. */
export const TASK_SIZE: number = 2 ** VA_BITS;

const LEVELS = 4;
const BITS_PER_LEVEL = 9;
const PTE_SIZE = 8;

/** Table descriptors and page descriptors have the same type. */
const PTE_TYPE = 3n;
const PTE_USER = 1n << 6n;
export const PTE_RDONLY: bigint = 1n << 7n;
const PTE_SHARED = 3n << 8n;
const PTE_AF = 1n << 10n;
const PTE_NG = 1n << 11n;
/** `PTE_WRITE`: writable, though {@link PTE_RDONLY} may say that it is clean. The architecture's DBM. */
export const PTE_WRITE: bigint = 1n << 51n;
const PTE_PXN = 1n << 53n;
const PTE_UXN = 1n << 54n;
const PTE_ADDR_MASK = 0xffff_ffff_f000n;

/** The descriptor of a user page; AttrIndx 0 is Normal memory. A writable page is clean at first unless `dirty`. */
export function mk_pte(pa: number, access: { readonly write: boolean; readonly exec: boolean; readonly dirty: boolean }): bigint {
  return (
    BigInt(pa) |
    PTE_TYPE |
    PTE_USER |
    PTE_SHARED |
    PTE_AF |
    PTE_NG |
    PTE_PXN |
    (access.exec ? 0n : PTE_UXN) |
    (access.write ? PTE_WRITE : 0n) |
    (access.write && access.dirty ? 0n : PTE_RDONLY)
  );
}

export function pte_to_phys(pte: bigint): number {
  return Number(pte & PTE_ADDR_MASK);
}

/** Where a page descriptor lies. */
interface PtePlace {
  readonly at: number;
  readonly pte: bigint;
}

export class UserPgtable {
  /** Physical address of the first table. */
  readonly pgd: number;
  readonly #kernel: Kernel;
  readonly #owner: string;

  private constructor(kernel: Kernel, owner: string, pgd: number) {
    this.#kernel = kernel;
    this.#owner = owner;
    this.pgd = pgd;
  }

  /** `pgd_alloc`. @returns null without memory */
  static alloc(kernel: Kernel, owner: string): UserPgtable | null {
    const pgd = kernel.mm.alloc_pages(PAGE_SIZE, owner, "page-table");
    return pgd === NO_PAGES ? null : new UserPgtable(kernel, owner, pgd);
  }

  /** Finds the descriptor of a page; with `create`, tables are made on the way. @returns null without a table (or memory) */
  #walk(va: number, create: boolean): PtePlace | null {
    const { bus } = this.#kernel.platform;
    let table = this.pgd;
    for (let level = 0; ; level++) {
      const at = table + PTE_SIZE * index_of(va, level);
      const pte = bus.read64(at);
      if (level === LEVELS - 1) return { at, pte };
      if (pte !== 0n) table = pte_to_phys(pte);
      else {
        if (!create) return null;
        table = this.#kernel.mm.alloc_pages(PAGE_SIZE, this.#owner, "page-table");
        if (table === NO_PAGES) return null;
        // All entries are invalid before the table can be found.
        bus.write64(at, BigInt(table) | PTE_TYPE);
      }
    }
  }

  /** The descriptor of a page; 0 if there is none. */
  get_pte(va: number): bigint {
    return this.#walk(va, false)?.pte ?? 0n;
  }

  /** One 64-bit store. @returns false without memory for tables */
  set_pte(va: number, pte: bigint): boolean {
    const place = this.#walk(va, true);
    if (place !== null) this.#kernel.platform.bus.write64(place.at, pte);
    return place !== null;
  }

  /** Makes the pages of a range invalid. @returns their physical addresses; the caller flushes TLBs before it frees them */
  clear_range(start: number, end: number): number[] {
    const pages: number[] = [];
    for (let va = start; va < end; va += PAGE_SIZE) {
      const place = this.#walk(va, false);
      if (place === null || place.pte === 0n) continue;
      this.#kernel.platform.bus.write64(place.at, 0n);
      pages.push(pte_to_phys(place.pte));
    }
    return pages;
  }

  /** Takes out the tables that map nothing any more, but for the first. @returns them; the caller flushes before it frees them */
  unlink_empty_tables(): number[] {
    const unlinked: number[] = [];
    this.#unlink(this.pgd, 0, unlinked);
    return unlinked;
  }

  /** @returns whether the table is empty */
  #unlink(table: number, level: number, unlinked: number[]): boolean {
    const { bus } = this.#kernel.platform;
    let empty = true;
    for (let at = table; at < table + PAGE_SIZE; at += PTE_SIZE) {
      const pte = bus.read64(at);
      if (pte === 0n) continue;
      if (level < LEVELS - 1 && this.#unlink(pte_to_phys(pte), level + 1, unlinked)) {
        bus.write64(at, 0n);
        unlinked.push(pte_to_phys(pte));
      } else empty = false;
    }
    return empty;
  }

  /** `pgd_free`: everything else has been freed. */
  free(): void {
    this.#kernel.mm.free_pages(this.pgd, PAGE_SIZE, this.#owner);
  }
}

function index_of(va: number, level: number): number {
  return Math.floor(va / 2 ** (12 + BITS_PER_LEVEL * (LEVELS - 1 - level))) % 2 ** BITS_PER_LEVEL;
}
