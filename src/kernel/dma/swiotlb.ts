// SPDX-License-Identifier: GPL-2.0-only
/**
 * Bounce buffers: memory that a device uses in place of a buffer which it cannot reach, or in which it might see more than
 * it should. The CPU copies: to the bounce buffer when it is mapped and synced for the device, back from it when it is
 * synced for the CPU and unmapped. What a device writes after that is never copied back.
 *
 * After Linux 7.1 kernel/dma/swiotlb.c: swiotlb_tbl_map_single, swiotlb_tbl_unmap_single, swiotlb_sync_single_for_cpu,
 * swiotlb_sync_single_for_device, swiotlb_search_pool_area, swiotlb_release_slots, swiotlb_bounce. Left out: an area for each
 * further CPU, dma_set_min_align_mask and with it padding slots, dynamic and restricted pools, memory encryption. The pool is the
 * idle one of the early memory, of 1 MiB at most in place of 64.
 */
import type { Device } from "../base/device.ts";
import { take_early_region } from "../boot/early-memory.ts";
import type { Kernel } from "../kernel.ts";
import { NO_PAGES, PAGE_SIZE } from "../mm/page-allocator.ts";
import { DMA_BIDIRECTIONAL, DMA_FROM_DEVICE, DMA_MAPPING_ERROR, DMA_TO_DEVICE, type DmaDataDirection } from "./types.ts";

export const IO_TLB_SIZE = 2048;
/** Slots that one mapping may have, and that no mapping reaches beyond. */
export const IO_TLB_SEGSIZE = 128;
/** Of a kernel without early memory. */
const POOL_BYTES = 1024 * 1024;
const FREE = -1;

interface Pool {
  readonly start: number;
  /** Free slots from this one on up to the end of its segment; 0: taken. */
  readonly list: Uint8Array;
  /** The address that a slot stands for. */
  readonly orig_addr: Float64Array;
  /** Bytes of the mapping from this slot on. */
  readonly alloc_size: Int32Array;
  /** Where the next search begins. */
  index: number;
  used: number;
}

export class Swiotlb {
  readonly #kernel: Kernel;
  #pool: Pool | null = null;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Slots in use. */
  get used(): number {
    return this.#pool?.used ?? 0;
  }

  /** `swiotlb_find_pool`: whether a physical address lies in a bounce buffer. */
  contains(pa: number): boolean {
    const pool = this.#pool;
    return pool !== null && pa >= pool.start && pa < pool.start + pool.list.length * IO_TLB_SIZE;
  }

  /**
   * `swiotlb_tbl_map_single`. The buffer's contents go to the bounce buffer whatever the direction: a device may write less
   * than it was given, and the rest must not change.
   * @param alloc_align_mask what start and size are aligned to, less 1; 0: slots
   * @returns the physical address of the bounce buffer, or {@link DMA_MAPPING_ERROR}
   */
  map(dev: Device, orig_addr: number, size: number, alloc_align_mask: number): number {
    const pool = (this.#pool ??= this.#init());
    if (pool === null) {
      this.#kernel.printk.dev_warn(dev, "Can not allocate SWIOTLB buffer earlier and can't now provide you with the DMA bounce buffer");
      return DMA_MAPPING_ERROR;
    }
    const alloc = Math.ceil(size / (alloc_align_mask + 1)) * (alloc_align_mask + 1);
    const index = search(pool, alloc, alloc_align_mask);
    if (index < 0) {
      const slots = `total ${pool.list.length} (slots), used ${pool.used} (slots)`;
      this.#kernel.printk.dev_warn(dev, `swiotlb buffer is full (sz: ${alloc} bytes), ${slots}`);
      return DMA_MAPPING_ERROR;
    }
    take(pool, index, alloc, orig_addr);
    const tlb_addr = pool.start + index * IO_TLB_SIZE;
    this.#bounce(dev, tlb_addr, size, DMA_TO_DEVICE);
    return tlb_addr;
  }

  /** `swiotlb_tbl_unmap_single`. @param sync false: nothing is copied back */
  unmap(dev: Device, tlb_addr: number, size: number, dir: DmaDataDirection, sync: boolean = true): void {
    const pool = this.#pool;
    if (pool === null || !this.contains(tlb_addr)) return;
    if (sync) this.sync_for_cpu(dev, tlb_addr, size, dir);
    release(pool, Math.floor((tlb_addr - pool.start) / IO_TLB_SIZE));
  }

  sync_for_cpu(dev: Device, tlb_addr: number, size: number, dir: DmaDataDirection): void {
    if (dir === DMA_FROM_DEVICE || dir === DMA_BIDIRECTIONAL) this.#bounce(dev, tlb_addr, size, DMA_FROM_DEVICE);
  }

  sync_for_device(dev: Device, tlb_addr: number, size: number, dir: DmaDataDirection): void {
    if (dir === DMA_TO_DEVICE || dir === DMA_BIDIRECTIONAL) this.#bounce(dev, tlb_addr, size, DMA_TO_DEVICE);
  }

  /** The pool is taken from the early memory at its first use, so that until then it counts as idle. */
  #init(): Pool | null {
    const early = take_early_region(this.#kernel, "swiotlb");
    const size = early?.size ?? POOL_BYTES;
    const options = { align: PAGE_SIZE, below: 2 ** 32 };
    const start = early?.base ?? this.#kernel.mm.alloc_pages(size, "swiotlb", "kernel", options);
    if (start === NO_PAGES) return null;
    const nslabs = Math.floor(size / IO_TLB_SIZE);
    return {
      start,
      list: Uint8Array.from({ length: nslabs }, (_, slot) => Math.min(IO_TLB_SEGSIZE - (slot % IO_TLB_SEGSIZE), nslabs - slot)),
      orig_addr: new Float64Array(nslabs).fill(FREE),
      alloc_size: new Int32Array(nslabs),
      index: 0,
      used: 0,
    };
  }

  /** Copies; `tlb_addr` may lie inside a mapping. */
  #bounce(dev: Device, tlb_addr: number, size: number, dir: DmaDataDirection): void {
    const pool = this.#pool;
    if (pool === null || !this.contains(tlb_addr)) return;
    const index = Math.floor((tlb_addr - pool.start) / IO_TLB_SIZE);
    const slot_addr = pool.orig_addr[index]!;
    if (slot_addr === FREE) return;
    const offset = (tlb_addr - pool.start) % IO_TLB_SIZE;
    const room = pool.alloc_size[index]! - offset;
    if (size > room) this.#kernel.warn(`Buffer overflow detected. Allocation size: ${room}. Mapping size: ${size}.`, dev);
    const bytes = new Uint8Array(Math.min(size, room));
    const { bus } = this.#kernel.platform;
    const [from, to] = dir === DMA_TO_DEVICE ? [slot_addr + offset, tlb_addr] : [tlb_addr, slot_addr + offset];
    bus.readBytes(from, bytes);
    bus.writeBytes(to, bytes);
  }
}

/** `swiotlb_search_pool_area`: the first free run after the last one given out. @returns -1 if there is none */
function search(pool: Pool, alloc: number, alloc_align_mask: number): number {
  const nslabs = pool.list.length;
  const nslots = Math.ceil(alloc / IO_TLB_SIZE);
  // A page or more is aligned to pages.
  const align = alloc_align_mask === 0 && alloc >= PAGE_SIZE ? PAGE_SIZE : Math.max(IO_TLB_SIZE, alloc_align_mask + 1);
  if (nslots > nslabs - pool.used) return -1;
  for (let checked = 0, index = pool.index; checked < nslabs; checked++, index = (index + 1) % nslabs) {
    if ((pool.start + index * IO_TLB_SIZE) % align === 0 && pool.list[index]! >= nslots) return index;
  }
  return -1;
}

function take(pool: Pool, index: number, alloc: number, orig_addr: number): void {
  const nslots = Math.ceil(alloc / IO_TLB_SIZE);
  for (let i = 0; i < nslots; i++) {
    pool.list[index + i] = 0;
    pool.alloc_size[index + i] = alloc - i * IO_TLB_SIZE;
    pool.orig_addr[index + i] = orig_addr + i * IO_TLB_SIZE;
  }
  countBackwards(pool, index, 0);
  pool.index = (index + nslots) % pool.list.length;
  pool.used += nslots;
}

function release(pool: Pool, index: number): void {
  const nslots = Math.ceil(pool.alloc_size[index]! / IO_TLB_SIZE);
  const next = index + nslots;
  const follows = next % IO_TLB_SEGSIZE === 0 || next >= pool.list.length ? 0 : pool.list[next]!;
  for (let i = 0; i < nslots; i++) {
    pool.list[index + i] = follows + nslots - i;
    pool.alloc_size[index + i] = 0;
    pool.orig_addr[index + i] = FREE;
  }
  countBackwards(pool, index, pool.list[index]!);
  pool.used -= nslots;
}

/** Free slots before `index`, in its segment, learn how many free ones follow them. */
function countBackwards(pool: Pool, index: number, count: number): void {
  for (let i = index - 1; i >= 0 && i % IO_TLB_SEGSIZE !== IO_TLB_SEGSIZE - 1 && pool.list[i] !== 0; i--) pool.list[i] = ++count;
}
