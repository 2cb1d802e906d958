// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a booting kernel takes from its device tree blob before anything else: which memory there is, which of it is kept, where
 * its initrd lies.
 *
 * After Linux 7.1 arch/arm64/kernel/setup.c: setup_machine_fdt; drivers/of/fdt.c: early_init_dt_scan, early_init_dt_scan_nodes,
 * early_init_fdt_scan_reserved_mem. Left out: bootargs (parameters are no text here), the machine's name in the log, places for
 * reserved memory that has only a size, an initrd behind the RAM that is said, properties whose length or cells are wrong, for
 * which Linux leaves out one node and this refuses the blob. Devices come from the platform's tree, which the blob was written from.
 */
import type { Kernel } from "../kernel.ts";
import { PAGE_SIZE } from "../mm/page-allocator.ts";
import { alignDown, alignUp, common_ranges, type MemoryRange, RangeSet } from "../mm/ranges.ts";
import {
  early_init_dt_check_for_usable_mem_range,
  early_init_dt_scan_chosen,
  early_init_dt_scan_memory,
  fdt_scan_reserved_mem,
} from "../of/fdt-early.ts";
import { FdtError } from "../of/fdt-format.ts";
import { fdt_read } from "../of/fdt-read.ts";
import { unflatten_device_tree } from "../of/unflatten.ts";
import type { LoadedBlob } from "./boot-info.ts";
import { firstBadWord } from "./bad-word.ts";

export interface MachineFdt {
  readonly memory: readonly MemoryRange[];
  readonly reserved: readonly (MemoryRange & { readonly name: string })[];
  readonly initrd: MemoryRange | undefined;
}

/** `early_init_dt_add_memory_arch`, `memblock_add`: whole pages, in order, each byte once. */
function blocks(memory: readonly MemoryRange[]): readonly MemoryRange[] {
  const all = new RangeSet();
  for (const { base, size } of memory) {
    const start = alignUp(base, PAGE_SIZE);
    all.add(start, alignDown(base + size, PAGE_SIZE) - start);
  }
  return all.ranges;
}

/** A crash kernel's first range caps what the nodes say, unless it is empty; others are added. */
function cap(memory: readonly MemoryRange[], [first, ...others]: readonly MemoryRange[]): readonly MemoryRange[] {
  if (first === undefined) return memory;
  return [...(first.size === 0 ? memory : common_ranges(memory, first)), ...others.filter(({ size }) => size > 0)];
}

/** @returns what the blob in memory says, or why it cannot be used */
export function early_init_dt_scan(kernel: Kernel, dtb: LoadedBlob): MachineFdt | string {
  const hex = (value: number): string => `0x${value.toString(16).padStart(8, "0")}`;
  const bad = firstBadWord(kernel, dtb);
  if (bad !== null) return `${hex(bad.found)} at ${hex(bad.pa)}`;
  const bytes = new Uint8Array(dtb.size);
  kernel.platform.bus.readBytes(dtb.base, bytes);
  try {
    const fdt = fdt_read(bytes);
    const root = unflatten_device_tree(fdt);
    const memory = cap(blocks(early_init_dt_scan_memory(root)), early_init_dt_check_for_usable_mem_range(fdt));
    if (memory.length === 0) return "it names no memory";
    const named = fdt_scan_reserved_mem(root).flatMap(({ name, ranges }) => (ranges ?? []).map((range) => ({ name, ...range })));
    // The list of the kernel ends at the first that is empty.
    const empty = fdt.reservations.findIndex(({ size }) => size === 0n);
    const entries = fdt.reservations
      .slice(0, empty < 0 ? undefined : empty)
      .map(({ address, size }) => ({ name: "memreserve", base: Number(address), size: Number(size) }));
    return { memory, reserved: [...named, ...entries], initrd: early_init_dt_scan_chosen(root).initrd };
  } catch (error) {
    if (error instanceof FdtError) return error.message;
    throw error;
  }
}
