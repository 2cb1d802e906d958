// SPDX-License-Identifier: GPL-2.0-only
/**
 * The page allocator: which page of RAM belongs to whom.
 *
 * It serves from the lowest free address, so that a page just freed is the next one handed out: whoever still writes to
 * it meets its new owner at once. Early allocations of a booting kernel come from the other end, top-down from the
 * highest RAM below 4 GiB, as memblock serves them. Every block keeps its owner, kind and size; frees are checked.
 *
 * After Linux 7.1 mm/page_alloc.c: alloc_pages, free_pages, bad_page; mm/memblock.c: memblock_alloc_low; reports as mm/kasan/report.c:
 * kasan_report_invalid_free. Left out: zones, orders and buddies, per-CPU lists, reclaim, slabs.
 */
import { might_sleep } from "../debug/might-sleep.ts";
import type { Kernel } from "../kernel.ts";
import type { MemoryKind } from "../ports.ts";
import { type MemoryRange, RangeSet, alignDown, alignUp, overlaps } from "./ranges.ts";

/** Bytes in a page. */
export const PAGE_SIZE = 4096;
/** What {@link PageAllocator.alloc_pages} returns when there is no memory. */
export const NO_PAGES = -1;
/** Early allocations stay below this address, as with `memblock_alloc_low`. */
const LOW_LIMIT = 0x1_0000_0000;

/** A block in use. Addresses and sizes in bytes, multiples of {@link PAGE_SIZE}. */
export interface PageBlock extends MemoryRange {
  readonly owner: string;
  readonly kind: MemoryKind;
  /** Set aside by {@link PageAllocator.reserve}, not allocated. */
  readonly reserved: boolean;
}

export interface AllocOptions {
  /** The block must end at or below this physical address. */
  readonly below?: number;
  /** Power of two; the block starts at a multiple of it. {@link PAGE_SIZE} if absent. */
  readonly align?: number;
  /** GFP_ATOMIC: the caller must not sleep, so the allocation does not. Absent: GFP_KERNEL, which may. */
  readonly atomic?: boolean;
  /** The block must not touch any of these. */
  readonly avoid?: readonly MemoryRange[];
}

/** Rounds up to whole pages. */
export function PAGE_ALIGN(size: number): number {
  return alignUp(size, PAGE_SIZE);
}

export class PageAllocator {
  #memory: readonly MemoryRange[] = [];
  readonly #kernel: Kernel;
  readonly #free = new RangeSet();
  readonly #blocks = new Map<number, PageBlock>();
  /** First pages of the blocks in use, ascending. */
  #starts: number[] = [];

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.memblock_add(kernel.memoryLimits === null ? kernel.platform.memory : [kernel.memoryLimits]);
  }

  /** The RAM this kernel may use: what its blob says; without a blob all of the platform's, or the limits it was given. */
  get memory(): readonly MemoryRange[] {
    return this.#memory;
  }

  /** This is the RAM, whatever was said before. Nothing of it is in use yet. */
  memblock_add(memory: readonly MemoryRange[]): void {
    if (this.#blocks.size > 0) this.#kernel.bug("memory described anew while some of it is in use");
    for (const { base, size } of this.#free.ranges) this.#free.remove(base, size);
    this.#memory = memory;
    for (const range of memory) {
      const base = alignUp(range.base, PAGE_SIZE);
      this.#free.add(base, alignDown(range.base + range.size, PAGE_SIZE) - base);
    }
    // Physical page 0 is never handed out: 0 is no address to programmers.
    this.#free.remove(0, PAGE_SIZE);
  }

  /** Takes what is free of a range out of service for good; the rest is none of this kernel's or reserved already. */
  memblock_reserve(base: number, size: number, owner: string): void {
    const start = alignDown(base, PAGE_SIZE);
    const end = alignUp(base + size, PAGE_SIZE);
    for (const range of this.#free.ranges) {
      const from = Math.max(start, range.base);
      const length = Math.min(end, range.base + range.size) - from;
      if (length > 0) this.reserve(from, length, owner, "early");
    }
  }

  get freeBytes(): number {
    return this.#free.total;
  }

  /** The blocks in use, by ascending address. */
  *blocks(): IterableIterator<PageBlock> {
    for (const base of this.#starts) yield this.#blocks.get(base)!;
  }

  /** Shows the blocks in use in the order in which they were taken, at less cost than {@link blocks}. */
  forEachBlock(look: (block: PageBlock) => void): void {
    for (const block of this.#blocks.values()) look(block);
  }

  /** The block in use that holds physical address `pa`, or null. */
  ownerOf(pa: number): PageBlock | null {
    const index = this.#indexAfter(pa) - 1;
    if (index < 0) return null;
    const block = this.#blocks.get(this.#starts[index]!)!;
    return pa < block.base + block.size ? block : null;
  }

  /**
   * Allocates zeroed, physically contiguous pages from the lowest free address that fits.
   * @param size bytes, rounded up to whole pages
   * @returns the physical address, or {@link NO_PAGES}
   */
  alloc_pages(size: number, owner: string, kind: MemoryKind, options: AllocOptions = {}): number {
    const length = PAGE_ALIGN(size);
    if (!options.atomic) might_sleep(this.#kernel, "alloc_pages GFP_KERNEL", owner);
    const pa = this.#free.lowestFit(length, options.align ?? PAGE_SIZE, options.below ?? Infinity, options.avoid ?? []);
    if (pa === undefined) return this.#failure(size, owner);
    return this.#take(pa, length, owner, kind);
  }

  /**
   * Allocates for a booting kernel, top-down from the highest RAM below 4 GiB (`memblock_alloc_low`).
   * @param size bytes, rounded up to whole pages
   * @returns the physical address, or {@link NO_PAGES}
   */
  early_alloc(size: number, owner: string): number {
    const length = PAGE_ALIGN(size);
    const pa = this.#free.highestFit(length, PAGE_SIZE, LOW_LIMIT);
    if (pa === undefined) return this.#failure(size, owner);
    return this.#take(pa, length, owner, "early");
  }

  /** Gives a block back. `size` must be the size it was allocated with; a wrong free is reported and frees nothing. */
  free_pages(pa: number, size: number, by: string): void {
    const block = this.#blocks.get(pa);
    const length = PAGE_ALIGN(size);
    if (block === undefined) return this.#badFree(pa, by, this.#whyNotAllocated(pa));
    if (block.size !== length) return this.#badFree(pa, by, `it has 0x${block.size.toString(16)} bytes, not 0x${length.toString(16)}`);
    if (this.#kernel.debug.enabled) {
      this.#kernel.dma.debug.freed(pa, length, by);
      this.#kernel.debug.unsynced.freed(pa, length, by);
    }
    this.#blocks.delete(pa);
    this.#starts.splice(this.#indexAfter(pa) - 1, 1);
    this.#free.add(pa, length);
    this.#kernel.platform.pages.freed(pa, length, by);
  }

  /**
   * Takes a given range out of service under its owner's name, its contents untouched.
   * @returns false, after an oops, if some of it is no free RAM of this kernel
   */
  reserve(base: number, size: number, owner: string, kind: MemoryKind): boolean {
    const start = alignDown(base, PAGE_SIZE);
    const length = alignUp(base + size, PAGE_SIZE) - start;
    if (!this.#free.contains(start, length)) {
      this.#kernel.oops(`mm: cannot reserve ${describe(start, length)} for ${owner}: not free`);
      return false;
    }
    this.#free.remove(start, length);
    this.#enter({ base: start, size: length, owner, kind, reserved: true });
    return true;
  }

  /** True if all of the range is RAM of this kernel, whoever uses it. */
  isRam(base: number, size: number): boolean {
    return this.memory.some((range) => base >= range.base && base + size <= range.base + range.size);
  }

  /** Blocks in use that touch the range. */
  blocksIn(base: number, size: number): PageBlock[] {
    return [...this.blocks()].filter((block) => overlaps(block, { base, size }));
  }

  #take(pa: number, length: number, owner: string, kind: MemoryKind): number {
    this.#free.remove(pa, length);
    this.#kernel.platform.bus.fill(pa, length, 0);
    this.#enter({ base: pa, size: length, owner, kind, reserved: false });
    return pa;
  }

  #enter(block: PageBlock): void {
    this.#starts.splice(this.#indexAfter(block.base), 0, block.base);
    this.#blocks.set(block.base, block);
    this.#kernel.platform.pages.allocated(block.base, block.size, block.owner, block.kind);
  }

  /** Index of the first start above `pa`. */
  #indexAfter(pa: number): number {
    let low = 0;
    let high = this.#starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#starts[middle]! <= pa) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #failure(size: number, owner: string): number {
    this.#kernel.printk.pr_warn(`${owner}: page allocation failure: ${size} bytes asked for, ${this.freeBytes} free`);
    return NO_PAGES;
  }

  #whyNotAllocated(pa: number): string {
    const inside = this.ownerOf(pa);
    if (inside !== null) return `it lies inside a block of ${inside.owner}`;
    return this.#free.contains(alignDown(pa, PAGE_SIZE), PAGE_SIZE) ? "it is free already (double free)" : "it is no RAM of this kernel";
  }

  #badFree(pa: number, by: string, why: string): void {
    const bug = why.endsWith("(double free)") ? "double-free" : "invalid-free";
    this.#kernel.warn(`KASAN: ${bug}: ${by} frees page 0x${pa.toString(16)}, but ${why}`, undefined, { check: "kasan" });
  }
}

function describe(base: number, size: number): string {
  return `[0x${base.toString(16)}-0x${(base + size - 1).toString(16)}]`;
}
