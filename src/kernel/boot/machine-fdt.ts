// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a booting kernel takes from its device tree blob before anything else: which memory there is, which of it is kept, where
 * its initrd lies.
 *
 * After Linux 7.1 arch/arm64/kernel/setup.c: setup_machine_fdt; drivers/of/fdt.c: early_init_dt_scan, early_init_dt_scan_nodes,
 * early_init_fdt_scan_reserved_mem. Left out: bootargs (parameters are no text here), the machine's name in the log, places for
 * reserved memory that has only a size. Devices come from the platform's tree, which the blob was written from.
 */
import type { Kernel } from "../kernel.ts";
import { common_ranges, type MemoryRange } from "../mm/ranges.ts";
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

/** What is common to both; a crash kernel's first range caps what the nodes say, and others are added. */
function cap(memory: readonly MemoryRange[], [first, ...others]: readonly MemoryRange[]): MemoryRange[] {
  return first === undefined ? [...memory] : [...common_ranges(memory, first), ...others];
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
    const memory = cap(early_init_dt_scan_memory(root), early_init_dt_check_for_usable_mem_range(fdt));
    if (memory.length === 0) return "it names no memory";
    const named = fdt_scan_reserved_mem(root).flatMap(({ name, ranges }) => (ranges ?? []).map((range) => ({ name, ...range })));
    const entries = fdt.reservations.map(({ address, size }) => ({ name: "memreserve", base: Number(address), size: Number(size) }));
    return { memory, reserved: [...named, ...entries], initrd: early_init_dt_scan_chosen(root).initrd };
  } catch (error) {
    if (error instanceof FdtError) return error.message;
    throw error;
  }
}
