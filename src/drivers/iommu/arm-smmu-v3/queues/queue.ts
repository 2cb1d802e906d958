// SPDX-License-Identifier: GPL-2.0-only
/**
 * The circular queues shared with the SMMU (IHI 0070 §3.5): index arithmetic and moving entries.
 *
 * A position holds the index in its low `max_n_shift` bits, the wrap bit above them, and in bit 31 the overflow flag of
 * output queues. Equal index and wrap: empty; equal index, unequal wrap: full.
 *
 * After Linux 7.1 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: queue_has_space … queue_remove_raw, queue_poll. Left out:
 * barriers, since memory keeps program order here.
 */
import { EOVERFLOW, ETIMEDOUT, type IoMem, type Kernel, type KernelBuffer, readl, writel } from "../../../../kernel/index.ts";
import { type Coroutine, pollUntil } from "../../../../sim/index.ts";
import { ARM_SMMU_POLL_SPIN_COUNT, ARM_SMMU_POLL_TIMEOUT_US, Q_OVERFLOW_FLAG } from "../arm-smmu-v3-regs.ts";

/** The driver's copy of both positions. */
export interface ArmSmmuLlQueue {
  prod: number;
  cons: number;
  /** log2 of the entries. */
  readonly max_n_shift: number;
}

/** A register with the mapping it belongs to: the event queue's live on page 1. */
export interface ArmSmmuRegister {
  readonly io: IoMem;
  readonly offset: number;
}

export interface ArmSmmuQueue {
  readonly name: string;
  readonly llq: ArmSmmuLlQueue;
  readonly base: KernelBuffer;
  readonly base_dma: number;
  /** Value of the BASE register. */
  readonly q_base: bigint;
  readonly ent_dwords: number;
  readonly prod_reg: ArmSmmuRegister;
  readonly cons_reg: ArmSmmuRegister;
}

export function Q_IDX(llq: ArmSmmuLlQueue, p: number): number {
  return p & ((1 << llq.max_n_shift) - 1);
}
export function Q_WRP(llq: ArmSmmuLlQueue, p: number): number {
  return p & (1 << llq.max_n_shift);
}
export function Q_OVF(p: number): number {
  return (p & Q_OVERFLOW_FLAG) >>> 0;
}

function position(llq: ArmSmmuLlQueue, flags: number, p: number): number {
  return (Q_OVF(flags) | Q_WRP(llq, p) | Q_IDX(llq, p)) >>> 0;
}

/** Whether `n` entries fit. */
export function queue_has_space(llq: ArmSmmuLlQueue, n: number): boolean {
  const prod = Q_IDX(llq, llq.prod);
  const cons = Q_IDX(llq, llq.cons);
  const same_lap = Q_WRP(llq, llq.prod) === Q_WRP(llq, llq.cons);
  return (same_lap ? (1 << llq.max_n_shift) - (prod - cons) : cons - prod) >= n;
}

export function queue_empty(llq: ArmSmmuLlQueue): boolean {
  return Q_IDX(llq, llq.prod) === Q_IDX(llq, llq.cons) && Q_WRP(llq, llq.prod) === Q_WRP(llq, llq.cons);
}

/** Whether the consumer has passed the entry at `prod`. */
export function queue_consumed(llq: ArmSmmuLlQueue, prod: number): boolean {
  const same_lap = Q_WRP(llq, llq.cons) === Q_WRP(llq, prod);
  return same_lap ? Q_IDX(llq, llq.cons) > Q_IDX(llq, prod) : Q_IDX(llq, llq.cons) <= Q_IDX(llq, prod);
}

export function queue_inc_cons(llq: ArmSmmuLlQueue): void {
  llq.cons = position(llq, llq.cons, (Q_WRP(llq, llq.cons) | Q_IDX(llq, llq.cons)) + 1);
}

/** The producer's position `n` entries on. */
export function queue_inc_prod_n(llq: ArmSmmuLlQueue, n: number): number {
  return position(llq, llq.prod, (Q_WRP(llq, llq.prod) | Q_IDX(llq, llq.prod)) + n);
}

export function queue_sync_cons_out(q: ArmSmmuQueue): void {
  writel(q.cons_reg.io, q.cons_reg.offset, q.llq.cons);
}

/** Acknowledges an overflow: CONS takes over PROD's overflow flag. */
export function queue_sync_cons_ovf(q: ArmSmmuQueue): void {
  const { llq } = q;
  if (Q_OVF(llq.prod) === Q_OVF(llq.cons)) return;
  llq.cons = position(llq, llq.prod, llq.cons);
  queue_sync_cons_out(q);
}

/** Reads PROD. @returns 0, or -EOVERFLOW when the overflow flag changed: entries were lost */
export function queue_sync_prod_in(q: ArmSmmuQueue): number {
  const prod = readl(q.prod_reg.io, q.prod_reg.offset);
  const overflow = Q_OVF(prod) !== Q_OVF(q.llq.prod);
  q.llq.prod = prod;
  return overflow ? -EOVERFLOW : 0;
}

/** Bytes from the queue's base to the entry at `p`. */
export function Q_ENT(q: ArmSmmuQueue, p: number): number {
  return Q_IDX(q.llq, p) * q.ent_dwords * 8;
}

export function queue_write(q: ArmSmmuQueue, p: number, entry: readonly bigint[]): void {
  entry.forEach((dword, i) => q.base.set64(Q_ENT(q, p) + 8 * i, dword));
}

export function queue_read(q: ArmSmmuQueue, p: number): bigint[] {
  return Array.from({ length: q.ent_dwords }, (_, i) => q.base.get64(Q_ENT(q, p) + 8 * i));
}

/** Takes the oldest entry and tells the SMMU. @returns null when the queue is empty */
export function queue_remove_raw(q: ArmSmmuQueue): bigint[] | null {
  if (queue_empty(q.llq)) return null;
  const entry = queue_read(q, q.llq.cons);
  queue_inc_cons(q.llq);
  queue_sync_cons_out(q);
  return entry;
}

const SPIN_NS = 10;

/**
 * Waits as Linux's queue_poll: first spinning, then with delays that double from 1 us; at most ARM_SMMU_POLL_TIMEOUT_US.
 * A CPU that waits for an event (IDR0.SEV) looks at the same pace.
 * @returns 0 or -ETIMEDOUT
 */
export function* queue_poll(kernel: Kernel, condition: () => boolean, reason: string): Coroutine<number> {
  const deadline = kernel.time.ktime_get() + ARM_SMMU_POLL_TIMEOUT_US * 1000;
  if (yield* pollUntil(condition, SPIN_NS, SPIN_NS * ARM_SMMU_POLL_SPIN_COUNT, reason)) return 0;
  for (let delay_ns = 1000; kernel.time.ktime_get() < deadline; delay_ns *= 2) {
    const pause = Math.min(delay_ns, deadline - kernel.time.ktime_get());
    if (yield* pollUntil(condition, pause, pause, reason)) return 0;
  }
  return -ETIMEDOUT;
}
