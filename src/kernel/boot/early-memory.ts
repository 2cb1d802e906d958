// SPDX-License-Identifier: GPL-2.0-only
/**
 * The memory a kernel takes before anything else runs: what the boot loader left, the crash kernel's reserve, and the early
 * allocations at the top of low memory (page tables, page structs, per-CPU areas, the initrd's copy, the bounce pool).
 * They hold known bytes, and the kernel finds out that they were overwritten when it uses them.
 *
 * After Linux 7.1 arch/arm64/kernel/setup.c: setup_arch; arch/arm64/mm/init.c: arm64_memblock_init; init/initramfs.c:
 * reserve_initrd_mem, free_initrd_mem. Left out: memblock itself, KASLR, page tables that translate: the allocations stand for them in size and place.
 */
import type { Kernel } from "../kernel.ts";
import { NO_PAGES, PAGE_ALIGN, PAGE_SIZE } from "../mm/page-allocator.ts";
import { common_ranges, type MemoryRange } from "../mm/ranges.ts";
import type { BootInfo, LoadedBlob } from "./boot-info.ts";
import { early_init_dt_scan } from "./machine-fdt.ts";
import { patternBytes } from "./image-format.ts";

/** Part of the memory that must not change under a kernel, with the bytes that belong there. */
export interface BootRegion extends LoadedBlob {
  /** used: the kernel reads it all the time. idle: it lies there. text: the image. */
  readonly use: "text" | "used" | "idle";
}

/** Bytes of an early allocation; `ram` is the memory that the kernel may use. */
interface EarlyAllocation {
  readonly name: string;
  readonly use: "used" | "idle";
  bytes(ram: number): number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** In the order in which an arm64 kernel makes them. A page struct takes 64 bytes for each page of 4 KiB. */
const EARLY_ALLOCATIONS: readonly EarlyAllocation[] = [
  { name: "page tables", use: "used", bytes: () => 64 * KIB },
  { name: "page structs", use: "used", bytes: (ram) => Math.min(ram / 64, MIB) },
  { name: "per-CPU areas", use: "used", bytes: () => 256 * KIB },
  { name: "swiotlb", use: "idle", bytes: (ram) => Math.min(ram / 64, MIB) },
];

/** Regions of each kernel that was started by a boot loader. */
const regionsOf = new WeakMap<Kernel, BootRegion[]>();

/** Of kernels whose blob cannot be used. They do not get far: see setup_machine_fdt. */
const fdtFaults = new WeakMap<Kernel, string>();

/** Why the kernel's blob cannot be used; undefined: it can, or there is none. */
export function fdt_fault(kernel: Kernel): string | undefined {
  return fdtFaults.get(kernel);
}

/** The kernel's image and early memory as it should be now, for whoever watches that nothing changes it. */
export function boot_regions(kernel: Kernel): readonly BootRegion[] {
  return regionsOf.get(kernel) ?? [];
}

/**
 * `setup_arch`: the first thing a booting kernel does. A kernel that no boot loader started has no image to keep and
 * allocates nothing early; it makes the crash kernel's reserve all the same. A second call does nothing.
 */
export function setup_arch(kernel: Kernel): void {
  const boot = kernel.bootInfo;
  if (regionsOf.has(kernel)) return;
  if (boot === null) {
    kernel.kexec.reserve_crashkernel();
    return;
  }
  const regions: BootRegion[] = [{ ...boot.image, use: "text" }];
  regionsOf.set(kernel, regions);
  const fdt = boot.dtb && early_init_dt_scan(kernel, boot.dtb);
  if (typeof fdt === "string") {
    fdtFaults.set(kernel, fdt);
    return;
  }
  if (fdt) kernel.mm.memblock_add(limited(fdt.memory, kernel.memoryLimits));
  reserve(kernel, boot.image, "kernel image");
  if (boot.dtb) reserve(kernel, boot.dtb, "dtb");
  const initrd = fdt ? initrdAt(kernel, boot, fdt.initrd) : boot.initrd;
  if (initrd) reserve(kernel, initrd, "initrd");
  for (const { name, base, size } of fdt?.reserved ?? []) kernel.mm.memblock_reserve(base, size, `reserved ${name}`);
  kernel.kexec.reserve_crashkernel();
  const ram = kernel.mm.memory.reduce((sum, range) => sum + range.size, 0);
  for (const allocation of EARLY_ALLOCATIONS) {
    const size = PAGE_ALIGN(allocation.bytes(ram));
    const contents = patternBytes(`${kernel.name} ${allocation.name}`, size);
    earlyRegion(kernel, regions, allocation.name, contents, allocation.use);
  }
  if (initrd) relocate_initrd(kernel, regions, initrd);
}

/** What the blob says, within what the command line says (`mem=`, `memmap=`). */
function limited(memory: readonly MemoryRange[], limits: MemoryRange | null): readonly MemoryRange[] {
  return limits === null ? memory : common_ranges(memory, limits);
}

/** The initrd that the blob names: what was loaded there, or else the bytes that lie there. */
function initrdAt({ platform, mm, printk }: Kernel, { initrd }: BootInfo, place: MemoryRange | undefined): LoadedBlob | null {
  if (place === undefined) return null;
  if (!mm.isRam(place.base, place.size)) {
    printk.pr_err(`INITRD: 0x${place.base.toString(16)}+0x${place.size.toString(16)} is not a memory region - disabling initrd`);
    return null;
  }
  if (initrd?.base === place.base && initrd.size === place.size) return initrd;
  const contents = new Uint8Array(place.size);
  platform.bus.readBytes(place.base, contents);
  return { name: "initrd", ...place, contents };
}

function reserve(kernel: Kernel, blob: LoadedBlob, owner: string): void {
  kernel.mm.reserve(blob.base, blob.size, owner, "image");
}

function earlyRegion(kernel: Kernel, regions: BootRegion[], name: string, contents: Uint8Array, use: "used" | "idle"): void {
  const base = kernel.mm.early_alloc(contents.length, name);
  if (base === NO_PAGES) return;
  kernel.platform.bus.writeBytes(base, contents);
  regions.push({ name, base, size: contents.length, contents, use });
}

/** The initrd moves to the top of low memory, as whatever bytes it has by now; where it was loaded is free again. */
function relocate_initrd(kernel: Kernel, regions: BootRegion[], initrd: LoadedBlob): void {
  const base = kernel.mm.early_alloc(initrd.size, "initrd copy");
  if (base === NO_PAGES) return;
  const bytes = new Uint8Array(initrd.size);
  kernel.platform.bus.readBytes(initrd.base, bytes);
  kernel.platform.bus.writeBytes(base, bytes);
  kernel.mm.free_pages(initrd.base, initrd.size, "relocate_initrd");
  regions.push({ ...initrd, name: "initrd copy", base, use: "idle" });
}

/** Somebody starts to use an idle region: its bytes change from now on. @returns null if there is none */
export function take_early_region(kernel: Kernel, name: string): { readonly base: number; readonly size: number } | null {
  const regions = regionsOf.get(kernel);
  const index = regions?.findIndex((region) => region.name === name && region.use === "idle") ?? -1;
  return regions === undefined || index < 0 ? null : regions.splice(index, 1)[0]!;
}

/** The kernel is done with its initrd: the memory is free. */
export function free_initrd_mem(kernel: Kernel): void {
  const regions = regionsOf.get(kernel);
  const index = regions?.findIndex((region) => region.name === "initrd copy") ?? -1;
  if (!regions || index < 0) return;
  const [initrd] = regions.splice(index, 1);
  kernel.printk.pr_info(`Freeing initrd memory: ${Math.ceil(initrd!.size / PAGE_SIZE) * 4}K`);
  kernel.mm.free_pages(initrd!.base, initrd!.size, "free_initrd_mem");
}
