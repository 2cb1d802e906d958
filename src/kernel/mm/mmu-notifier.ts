// SPDX-License-Identifier: GPL-2.0-only
/**
 * MMU notifiers: who else has translations of a process in a TLB and has to hear when they change or when the process ends.
 *
 * After Linux 7.1 mm/mmu_notifier.c: mmu_notifier_register, mmu_notifier_put, __mmu_notifier_release,
 * __mmu_notifier_arch_invalidate_secondary_tlbs, and include/linux/mmu_notifier.h. Left out: invalidate_range_start and _end
 * and the interval notifiers, which are for devices with tables of their own; mmu_notifier_get; SRCU is a count of callers.
 */
import type { Coroutine } from "../../sim/index.ts";
import { type MmStruct, type MmuNotifier, mmdrop, mmgrab } from "./mm-types.ts";

/** Subscribes to a process; it stays in memory, though not alive. */
export function mmu_notifier_register(mn: MmuNotifier, mm: MmStruct): void {
  if (mm.mm_users <= 0) mm.kernel.bug(`mmu notifier for ${mm.name}, which has exited`);
  mmgrab(mm);
  mm.notifiers.list.add(mn);
}

/** Gives a subscription back. */
export function mmu_notifier_put(mn: MmuNotifier, mm: MmStruct): void {
  mm.notifiers.list.delete(mn);
  mm.notifiers.dying.push(mn);
  reap(mm);
}

function reap(mm: MmStruct): void {
  const { notifiers } = mm;
  if (notifiers.readers > 0) return;
  for (const mn of notifiers.dying.splice(0)) {
    mn.free_notifier?.();
    mmdrop(mm);
  }
}

function* each(mm: MmStruct, call: (mn: MmuNotifier) => Coroutine<void> | undefined): Coroutine<void> {
  const { notifiers } = mm;
  notifiers.readers++;
  try {
    for (const mn of notifiers.list) {
      const calling = call(mn);
      if (calling) yield* calling;
    }
  } finally {
    notifiers.readers--;
    reap(mm);
  }
}

/** The descriptors of a range changed. */
export function mmu_notifier_arch_invalidate_secondary_tlbs(mm: MmStruct, start: number, end: number): Coroutine<void> {
  return each(mm, (mn) => mn.arch_invalidate_secondary_tlbs?.(mm, start, end));
}

/** The process ends: everybody lets go of its memory, and hears nothing more. */
export function* mmu_notifier_release(mm: MmStruct): Coroutine<void> {
  yield* each(mm, (mn) => mn.release?.(mm));
  mm.notifiers.list.clear();
}
