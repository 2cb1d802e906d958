// SPDX-License-Identifier: GPL-2.0-only
/**
 * The address space of a process: areas, pages that appear when they are touched, and the end of it all.
 *
 * After Linux 7.1 kernel/fork.c (mm_alloc, mmput), mm/mmap.c (exit_mmap), mm/vma.c (do_vmi_munmap), mm/memory.c
 * (handle_mm_fault, for anonymous memory) and arch/arm64/mm/fault.c (ptep_set_access_flags). Left out: files, the zero page,
 * copy on write, mprotect, swap, the CPU's own TLB (the CPU model reads and writes through the table at once); the notifiers
 * hear of each range as it is, where Linux may say "everything" for a large one. User tables are not in the ownership shadow.
 */
import type { Coroutine } from "../../sim/index.ts";
import { EFAULT, EINVAL, ENOMEM } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { MmStruct, VM_EXEC, VM_READ, VM_WRITE, type VmArea, mmdrop } from "./mm-types.ts";
import { mmu_notifier_arch_invalidate_secondary_tlbs, mmu_notifier_release } from "./mmu-notifier.ts";
import { NO_PAGES, PAGE_ALIGN, PAGE_SIZE } from "./page-allocator.ts";
import { PTE_RDONLY, PTE_WRITE, TASK_SIZE, UserPgtable, mk_pte, pte_to_phys } from "./pgtable.ts";

/** Lowest address that is given out. */
const MMAP_BASE = 0x1_0000_0000;

/** A new, empty address space with one user. @returns null without memory */
export function mm_alloc(kernel: Kernel, name: string): MmStruct | null {
  const table = UserPgtable.alloc(kernel, name);
  return table === null ? null : new MmStruct(kernel, name, table);
}

/** One more user, unless the memory has gone. */
export function mmget_not_zero(mm: MmStruct): boolean {
  if (mm.mm_users === 0) return false;
  mm.mm_users++;
  return true;
}

/** One user less; with the last one the memory goes. */
export function* mmput(mm: MmStruct): Coroutine<void> {
  if (--mm.mm_users > 0) return;
  yield* exit_mmap(mm);
  mmdrop(mm);
}

/** Devices first, then pages and tables. The first table stays: a device may still have its address. */
function* exit_mmap(mm: MmStruct): Coroutine<void> {
  yield* mmu_notifier_release(mm);
  yield* mm.mmap_lock.with(mm.name, function* () {
    const pages = mm.vmas.flatMap(({ start, end }) => mm.table.clear_range(start, end));
    mm.vmas = [];
    yield* tlb_finish(mm, 0, Infinity, pages);
  });
}

/** `tlb_finish_mmu`: what was unmapped is freed only after nobody can reach it by an old translation. */
function* tlb_finish(mm: MmStruct, start: number, end: number, pages: readonly number[]): Coroutine<void> {
  const tables = mm.table.unlink_empty_tables();
  if (pages.length > 0 || tables.length > 0) yield* mmu_notifier_arch_invalidate_secondary_tlbs(mm, start, end);
  for (const pa of [...pages, ...tables]) mm.kernel.mm.free_pages(pa, PAGE_SIZE, mm.name);
}

/** The area that holds an address. */
export function vma_lookup(mm: MmStruct, address: number): VmArea | null {
  return mm.vmas.find(({ start, end }) => start <= address && address < end) ?? null;
}

/** Anonymous memory, which gets its pages when it is touched. @returns its address or -ENOMEM */
export function* vm_mmap(mm: MmStruct, length: number, flags: number): Coroutine<number> {
  const size = PAGE_ALIGN(length);
  return yield* mm.mmap_lock.with(mm.name, function* () {
    let start = MMAP_BASE;
    for (const vma of mm.vmas) if (start + size > vma.start) start = Math.max(start, vma.end);
    if (start + size > TASK_SIZE) return -ENOMEM;
    mm.vmas = [...mm.vmas, { start, end: start + size, flags }].sort((a, b) => a.start - b.start);
    return start;
  });
}

/** Unmaps whole pages; devices no longer reach them when it returns. @returns 0 or -EINVAL */
export function* vm_munmap(mm: MmStruct, start: number, length: number): Coroutine<number> {
  const end = start + PAGE_ALIGN(length);
  if (start % PAGE_SIZE !== 0 || length === 0 || end > TASK_SIZE) return -EINVAL;
  return yield* mm.mmap_lock.with(mm.name, function* () {
    mm.vmas = mm.vmas.flatMap((vma) => [
      ...(vma.start < start ? [{ ...vma, end: Math.min(vma.end, start) }] : []),
      ...(vma.end > end ? [{ ...vma, start: Math.max(vma.start, end) }] : []),
    ]);
    yield* tlb_finish(mm, start, end, mm.table.clear_range(start, end));
    return 0;
  });
}

/**
 * Makes an address accessible, the lock being held. A page that was only read is clean: the first write makes it dirty, and
 * whoever cached it as read-only has to forget it.
 * @returns 0 or -ENOMEM
 */
export function* handle_mm_fault(mm: MmStruct, vma: VmArea, address: number, write: boolean): Coroutine<number> {
  const { table, kernel } = mm;
  const va = address - (address % PAGE_SIZE);
  const pte = table.get_pte(va);
  if (pte === 0n) {
    const pa = kernel.mm.alloc_pages(PAGE_SIZE, mm.name, "user");
    if (pa === NO_PAGES) return -ENOMEM;
    const access = { write: (vma.flags & VM_WRITE) !== 0, exec: (vma.flags & VM_EXEC) !== 0, dirty: write };
    if (table.set_pte(va, mk_pte(pa, access))) return 0;
    kernel.mm.free_pages(pa, PAGE_SIZE, mm.name);
    return -ENOMEM;
  }
  if (write && (pte & PTE_WRITE) !== 0n && (pte & PTE_RDONLY) !== 0n) {
    table.set_pte(va, pte & ~PTE_RDONLY);
    yield* mmu_notifier_arch_invalidate_secondary_tlbs(mm, va, va + PAGE_SIZE);
  }
  return 0;
}

/** An access of the process itself, page by page. @returns 0 or -EFAULT */
function* access_user(mm: MmStruct, address: number, length: number, write: boolean, page: (pa: number, from: number, to: number) => void) {
  return yield* mm.mmap_lock.with(mm.name, function* (): Coroutine<number> {
    for (let from = 0; from < length;) {
      const va = address + from;
      const to = Math.min(length, from + PAGE_SIZE - (va % PAGE_SIZE));
      const vma = vma_lookup(mm, va);
      if (vma === null || (vma.flags & (write ? VM_WRITE : VM_READ)) === 0) return -EFAULT;
      if ((yield* handle_mm_fault(mm, vma, va, write)) !== 0) return -EFAULT;
      page(pte_to_phys(mm.table.get_pte(va)) + (va % PAGE_SIZE), from, to);
      from = to;
    }
    return 0;
  });
}

/** Writes memory of a process. @returns 0 or -EFAULT */
export function copy_to_user(mm: MmStruct, address: number, bytes: Uint8Array): Coroutine<number> {
  const { bus } = mm.kernel.platform;
  return access_user(mm, address, bytes.length, true, (pa, from, to) => bus.writeBytes(pa, bytes.subarray(from, to)));
}

/** Reads memory of a process. @returns 0 or -EFAULT */
export function copy_from_user(mm: MmStruct, address: number, out: Uint8Array): Coroutine<number> {
  const { bus } = mm.kernel.platform;
  return access_user(mm, address, out.length, false, (pa, from, to) => bus.readBytes(pa, out.subarray(from, to)));
}
