// SPDX-License-Identifier: GPL-2.0-only
/**
 * The memory a kernel takes before anything else runs: what the boot loader left, the crash kernel's reserve, and the early
 * allocations at the top of low memory (page tables, page structs, per-CPU areas, the initrd's copy, the bounce pool).
 * They hold known bytes, and the kernel finds out that they were overwritten when it uses them.
 *
 * After Linux 7.1 arch/arm64/kernel/setup.c: setup_arch; arch/arm64/mm/init.c: arm64_memblock_init; init/initramfs.c:
 * free_initrd_mem. Left out: memblock itself, KASLR, page tables that translate: the allocations stand for them in size and place.
 */
import type { Kernel } from "../kernel.ts";
import { NO_PAGES, PAGE_ALIGN, PAGE_SIZE } from "../mm/page-allocator.ts";
import type { LoadedBlob } from "./boot-info.ts";
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
  reserve(kernel, boot.image, "kernel image");
  if (boot.dtb) reserve(kernel, boot.dtb, "dtb");
  if (boot.initrd) reserve(kernel, boot.initrd, "initrd");
  kernel.kexec.reserve_crashkernel();
  const ram = kernel.mm.memory.reduce((sum, range) => sum + range.size, 0);
  for (const allocation of EARLY_ALLOCATIONS) {
    const size = PAGE_ALIGN(allocation.bytes(ram));
    const contents = patternBytes(`${kernel.name} ${allocation.name}`, size);
    earlyRegion(kernel, regions, allocation.name, contents, allocation.use);
  }
  if (boot.initrd) relocate_initrd(kernel, regions, boot.initrd);
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

/** Where a region's memory first differs from what belongs there; null if nowhere. */
export interface BadWord {
  readonly pa: number;
  readonly found: number;
  readonly expected: number;
}

/** Compares memory with what belongs there, word by word. @param length a multiple of 4 */
export function firstBadWord(kernel: Kernel, blob: LoadedBlob, offset: number = 0, length: number = blob.size - offset): BadWord | null {
  const bytes = new Uint8Array(PAGE_ALIGN(length));
  kernel.platform.bus.readBytes(blob.base + offset, bytes.subarray(0, length));
  const found = new DataView(bytes.buffer);
  const expected = new DataView(blob.contents.buffer, blob.contents.byteOffset + offset, length);
  for (let at = 0; at + 4 <= length; at += 4) {
    if (found.getUint32(at, true) !== expected.getUint32(at, true)) {
      return { pa: blob.base + offset + at, found: found.getUint32(at, true), expected: expected.getUint32(at, true) };
    }
  }
  return null;
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
