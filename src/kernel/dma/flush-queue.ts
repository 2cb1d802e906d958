// SPDX-License-Identifier: GPL-2.0-only
/**
 * The flush queue: lazy invalidation of unmapped addresses. An unmap clears the entry and puts the address into a ring;
 * one invalidation of everything then serves all that gathered, after at most 10 ms or when the ring is full. Until then
 * the address is not handed out again, but a device may go on using what the TLB still has, while the memory behind it
 * already belongs to somebody else.
 *
 * After Linux 7.1 drivers/iommu/dma-iommu.c: iommu_dma_init_fq, iommu_dma_free_fq, queue_iova, fq_ring_add, fq_ring_free,
 * fq_flush_iotlb, fq_flush_timeout. Left out: the ring of each further CPU, the single queue of `shadow_on_flush`
 * (32768 entries, 1 s), lists of page-table pages to free (the ARM tables free theirs at once).
 */
import type { Coroutine } from "../../sim/index.ts";
import type { IommuDomain } from "../iommu/types.ts";
import { SpinLock } from "../irq/spinlock.ts";
import type { Kernel } from "../kernel.ts";
import { mod_timer, type Timer, timer_delete_sync, timer_setup } from "../time/time.ts";
import type { IovaDomain } from "./iova.ts";

/** One entry stays empty, so that a full ring differs from an empty one. */
export const IOVA_DEFAULT_FQ_SIZE = 256;
export const IOVA_DEFAULT_FQ_TIMEOUT = 10;

/** An unmapped range of page frames that the TLB may still know. */
interface IovaFqEntry {
  readonly iova_pfn: number;
  readonly pages: number;
  /** Flushes begun when it was queued: it is clean once one that began later has finished. */
  readonly counter: number;
}

export class FlushQueue {
  readonly #domain: IommuDomain;
  readonly #iovad: IovaDomain;
  readonly #lock: SpinLock;
  readonly #timer: Timer;
  readonly #entries: IovaFqEntry[] = [];
  #fq_flush_start_cnt = 0;
  #fq_flush_finish_cnt = 0;
  #fq_timer_on = false;

  /** `iommu_dma_init_fq` */
  constructor(kernel: Kernel, domain: IommuDomain, iovad: IovaDomain) {
    this.#domain = domain;
    this.#iovad = iovad;
    this.#lock = new SpinLock(kernel, "fq->lock");
    this.#timer = timer_setup(kernel, "fq_flush_timeout", () => this.#fq_flush_timeout());
  }

  /** Ranges that wait for a flush, oldest first. */
  get pending(): readonly { readonly iova_pfn: number; readonly pages: number }[] {
    return this.#entries;
  }

  /** `queue_iova`: keeps a range back until a flush that has yet to begin is over. */
  *queue_iova(iova_pfn: number, pages: number): Coroutine<void> {
    const flags = this.#lock.lockIrqsave();
    // What other flushes have cleaned goes first: that may save one here.
    this.#fq_ring_free();
    if (this.#entries.length >= IOVA_DEFAULT_FQ_SIZE - 1) {
      yield* this.#fq_flush_iotlb();
      this.#fq_ring_free();
    }
    this.#entries.push({ iova_pfn, pages, counter: this.#fq_flush_start_cnt });
    this.#lock.unlockIrqrestore(flags);
    if (this.#fq_timer_on) return;
    this.#fq_timer_on = true;
    mod_timer(this.#timer, IOVA_DEFAULT_FQ_TIMEOUT);
  }

  /** `iommu_dma_free_fq`: the domain goes away, and whoever frees it flushes its tag. */
  free(): void {
    timer_delete_sync(this.#timer);
    this.#entries.length = 0;
  }

  #fq_ring_free(): void {
    let clean = 0;
    while (clean < this.#entries.length && this.#entries[clean]!.counter < this.#fq_flush_finish_cnt) clean++;
    for (const { iova_pfn, pages } of this.#entries.splice(0, clean)) this.#iovad.free_iova_fast(iova_pfn, pages);
  }

  *#fq_flush_iotlb(): Coroutine<void> {
    this.#fq_flush_start_cnt++;
    if (this.#domain.flush_iotlb_all) yield* this.#domain.flush_iotlb_all();
    this.#fq_flush_finish_cnt++;
  }

  *#fq_flush_timeout(): Coroutine<void> {
    this.#fq_timer_on = false;
    yield* this.#fq_flush_iotlb();
    const flags = this.#lock.lockIrqsave();
    this.#fq_ring_free();
    this.#lock.unlockIrqrestore(flags);
  }
}
