// SPDX-License-Identifier: GPL-2.0-only
/**
 * What an address space of a process consists of, and who holds it.
 *
 * `mm_users` counts who uses the memory; with the last of them it goes, after the notifiers have let go. `mm_count` counts who
 * holds the structure and its first table; a device may walk that long after.
 *
 * After Linux 7.1 include/linux/mm_types.h, include/linux/mmu_notifier.h and kernel/fork.c (__mmdrop). Left out: all that the
 * rest of kernel/mm has no use for.
 */
import type { Coroutine } from "../../sim/index.ts";
import { Mutex } from "../locking/mutex.ts";
import type { IommuMmData } from "../iommu/types.ts";
import type { Kernel } from "../kernel.ts";
import type { UserPgtable } from "./pgtable.ts";

export const VM_READ = 1;
export const VM_WRITE = 2;
export const VM_EXEC = 4;

/** `struct mmu_notifier` with its ops. */
export interface MmuNotifier {
  /** After a change of the table, before the memory is free. @param end first byte behind; Infinity: everything */
  arch_invalidate_secondary_tlbs?(mm: MmStruct, start: number, end: number): Coroutine<void>;
  /** The process is gone, its memory about to go. Not called again after. */
  release?(mm: MmStruct): Coroutine<void>;
  /** Nobody is in one of the others any more, and nobody will be. */
  free_notifier?(): void;
}

/** What a process knows of its notifiers. */
export class MmuNotifierSubscriptions {
  readonly list: Set<MmuNotifier> = new Set();
  /** Those who go through the list. */
  readers = 0;
  /** Given back while there were readers. */
  readonly dying: MmuNotifier[] = [];
}

/** `struct vm_area_struct`: addresses in bytes, `end` is the first one behind. */
export interface VmArea {
  readonly start: number;
  readonly end: number;
  /** VM_*, or-ed. */
  readonly flags: number;
}

/** `struct mm_struct`. */
export class MmStruct {
  readonly kernel: Kernel;
  /** Of the process. */
  readonly name: string;
  readonly table: UserPgtable;
  readonly mmap_lock: Mutex;
  readonly notifiers: MmuNotifierSubscriptions = new MmuNotifierSubscriptions();
  /** Sorted by address. */
  vmas: VmArea[] = [];
  mm_users = 1;
  mm_count = 1;
  /** Its PASID and its domains; null: never bound to a device. */
  iommu_mm: IommuMmData | null = null;

  constructor(kernel: Kernel, name: string, table: UserPgtable) {
    this.kernel = kernel;
    this.name = name;
    this.table = table;
    this.mmap_lock = new Mutex(kernel, `mmap_lock of ${name}`, { key: "&mm->mmap_lock" });
  }

  get pgd(): number {
    return this.table.pgd;
  }
}

export function mmgrab(mm: MmStruct): void {
  mm.mm_count++;
}

/** `mmdrop`; with the last one the first table and the PASID go. */
export function mmdrop(mm: MmStruct): void {
  if (--mm.mm_count > 0) return;
  mm.table.free();
  // mm_pasid_drop()
  if (mm.iommu_mm !== null && !mm.kernel.iommu.global_pasids.delete(mm.iommu_mm.pasid))
    mm.kernel.warn(`PASID ${mm.iommu_mm.pasid} of ${mm.name} was freed before`);
}
