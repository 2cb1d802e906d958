// SPDX-License-Identifier: GPL-2.0-only
/** Address spaces of processes, and what notifiers hear of them. */
import { describe, expect, test } from "vitest";
import {
  copy_from_user,
  copy_to_user,
  EFAULT,
  EINVAL,
  mm_alloc,
  mmdrop,
  mmget_not_zero,
  mmgrab,
  mmput,
  type MmStruct,
  mmu_notifier_put,
  mmu_notifier_register,
  type MmuNotifier,
  VM_READ,
  VM_WRITE,
  vm_mmap,
  vm_munmap,
  vma_lookup,
} from "../../../src/kernel/index.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

const RW = VM_READ | VM_WRITE;
const PAGE = 0x1000;

function setup(): TestKernel & { readonly mm: MmStruct; readonly free: number } {
  const machine = makeTestKernel({});
  const free = machine.kernel.mm.freeBytes;
  const mm = mm_alloc(machine.kernel, "app");
  if (mm === null) throw new Error("no memory");
  return { ...machine, mm, free };
}

describe("memory", () => {
  test("reads as zeros at first, and as what was written after, across pages", () => {
    const { mm, run } = setup();
    const at = run(vm_mmap(mm, 3 * PAGE, RW));
    const out = new Uint8Array(4).fill(9);
    expect(run(copy_from_user(mm, at, out))).toBe(0);
    expect([...out]).toEqual([0, 0, 0, 0]);
    expect(run(copy_to_user(mm, at + PAGE - 2, Uint8Array.of(1, 2, 3, 4)))).toBe(0);
    run(copy_from_user(mm, at + PAGE - 2, out));
    expect([...out]).toEqual([1, 2, 3, 4]);
  });

  test("areas do not overlap, and a hole is used again", () => {
    const { mm, run } = setup();
    const areas = [1, 2, 3].map(() => run(vm_mmap(mm, PAGE, RW)));
    expect(new Set(areas).size).toBe(3);
    run(vm_munmap(mm, areas[1]!, PAGE));
    expect(run(vm_mmap(mm, PAGE, RW))).toBe(areas[1]);
  });

  test("an access that the area does not allow, and one outside: -EFAULT", () => {
    const { mm, run } = setup();
    const at = run(vm_mmap(mm, PAGE, VM_READ));
    expect(run(copy_to_user(mm, at, Uint8Array.of(1)))).toBe(-EFAULT);
    expect(run(copy_from_user(mm, at + PAGE, new Uint8Array(1)))).toBe(-EFAULT);
  });

  test("munmap of the middle of an area leaves both ends", () => {
    const { mm, run } = setup();
    const at = run(vm_mmap(mm, 3 * PAGE, RW));
    run(copy_to_user(mm, at, new Uint8Array(3 * PAGE).fill(5)));
    expect(run(vm_munmap(mm, at + PAGE, PAGE))).toBe(0);
    expect([0, 1, 2].map((i) => vma_lookup(mm, at + i * PAGE) !== null)).toEqual([true, false, true]);
    const out = new Uint8Array(1);
    expect(run(copy_from_user(mm, at + 2 * PAGE, out))).toBe(0);
    expect(out[0]).toBe(5);
    expect(run(copy_from_user(mm, at + PAGE, out))).toBe(-EFAULT);
  });

  test("munmap at an address that is no page: -EINVAL", () => {
    const { mm, run } = setup();
    expect(run(vm_munmap(mm, 0x1_0000_0001, PAGE))).toBe(-EINVAL);
  });
});

describe("the end", () => {
  test("the last user's mmput frees pages and tables, the last mmdrop the first table", () => {
    const { kernel, mm, run, free } = setup();
    const at = run(vm_mmap(mm, 8 * PAGE, RW));
    run(copy_to_user(mm, at, new Uint8Array(8 * PAGE)));
    mmgrab(mm);
    run(mmput(mm));
    expect(kernel.mm.freeBytes).toBe(free - PAGE);
    mmdrop(mm);
    expect(kernel.mm.freeBytes).toBe(free);
    expect(kernel.oopses).toEqual([]);
  });

  test("mmget_not_zero keeps the memory, and fails when it has gone", () => {
    const { mm, run } = setup();
    const at = run(vm_mmap(mm, PAGE, RW));
    mmgrab(mm);
    expect(mmget_not_zero(mm)).toBe(true);
    run(mmput(mm));
    expect(run(copy_to_user(mm, at, Uint8Array.of(1)))).toBe(0);
    run(mmput(mm));
    expect(mmget_not_zero(mm)).toBe(false);
  });
});

describe("notifiers", () => {
  /** Writes down what it hears, and how many bytes were free then. */
  function recorder(kernel: TestKernel["kernel"], log: string[], base: () => number): MmuNotifier {
    const freed = (): string => `freed ${(kernel.mm.freeBytes - base()) / PAGE}`;
    return {
      *arch_invalidate_secondary_tlbs(_mm, start, end) {
        log.push(`invalidate ${start.toString(16)}-${end.toString(16)} ${freed()}`);
      },
      *release() {
        log.push(`release ${freed()}`);
      },
      free_notifier: () => log.push("free"),
    };
  }

  test("hear of an unmapped range after its pages are unmapped and before they are free", () => {
    const { kernel, mm, run } = setup();
    const at = run(vm_mmap(mm, 2 * PAGE, RW));
    run(copy_to_user(mm, at, new Uint8Array(2 * PAGE)));
    const before = kernel.mm.freeBytes;
    const log: string[] = [];
    mmu_notifier_register(
      recorder(kernel, log, () => before),
      mm,
    );
    run(vm_munmap(mm, at, PAGE));
    expect(log).toEqual([`invalidate ${at.toString(16)}-${(at + PAGE).toString(16)} freed 0`]);
    expect(kernel.mm.freeBytes).toBe(before + PAGE);
  });

  test("hear of the first write to a page that was only read", () => {
    const { kernel, mm, run } = setup();
    const at = run(vm_mmap(mm, PAGE, RW));
    const log: string[] = [];
    mmu_notifier_register(
      recorder(kernel, log, () => kernel.mm.freeBytes),
      mm,
    );
    run(copy_from_user(mm, at, new Uint8Array(1)));
    expect(log).toEqual([]);
    run(copy_to_user(mm, at, Uint8Array.of(1)));
    run(copy_to_user(mm, at, Uint8Array.of(2)));
    expect(log).toEqual([`invalidate ${at.toString(16)}-${(at + PAGE).toString(16)} freed 0`]);
  });

  test("are released before anything is freed, once, and hear nothing more", () => {
    const { kernel, mm, run } = setup();
    const at = run(vm_mmap(mm, PAGE, RW));
    run(copy_to_user(mm, at, Uint8Array.of(1)));
    const before = kernel.mm.freeBytes;
    const log: string[] = [];
    const mn = recorder(kernel, log, () => before);
    mmu_notifier_register(mn, mm);
    run(mmput(mm));
    expect(log).toEqual(["release freed 0"]);
    mmu_notifier_put(mn, mm);
    expect(log.at(-1)).toBe("free");
    expect(mm.mm_count).toBe(0);
  });

  test("that are given back while they are called are freed after", () => {
    const { mm, run } = setup();
    const at = run(vm_mmap(mm, PAGE, RW));
    run(copy_to_user(mm, at, Uint8Array.of(1)));
    const log: string[] = [];
    const mn: MmuNotifier = {
      *arch_invalidate_secondary_tlbs() {
        mmu_notifier_put(mn, mm);
        log.push("returns");
      },
      free_notifier: () => log.push("free"),
    };
    mmu_notifier_register(mn, mm);
    run(vm_munmap(mm, at, PAGE));
    expect(log).toEqual(["returns", "free"]);
    expect(mm.mm_count).toBe(1);
  });
});
