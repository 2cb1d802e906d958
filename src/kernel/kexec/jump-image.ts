// SPDX-License-Identifier: GPL-2.0-only
/**
 * Images of a kexec jump. One is a kernel with the memory that it may use: all of it is exchanged at the jump, so that whatever
 * stood there is put by. The other has nothing to bring and only goes back to a kernel that waits.
 *
 * After Linux 7.1 kernel/kexec_core.c: sanity_check_segment_list, kimage_load_normal_segment; and kexec-tools kexec/kexec.c:
 * add_backup_segments (`--load-preserve-context --mem-min= --mem-max=`), load_jump_back_helper_image (`--load-jump-back-helper
 * --entry=`). The memory that the other kernel believes in is its command line's business (`mem=`, `memmap=`): outside of what was
 * exchanged it overwrites the first kernel. Left out: the control page, purgatory, memory in more pieces than one.
 */
import type { BootInfo } from "../boot/boot-info.ts";
import type { BootFiles } from "../boot/image-format.ts";
import { EADDRNOTAVAIL, EINVAL, ENOMEM } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { NO_PAGES, PAGE_ALIGN, PAGE_SIZE } from "../mm/page-allocator.ts";
import { alignDown, alignUp, type MemoryRange, RangeSet } from "../mm/ranges.ts";
import { bootInfoOf, type PlacedSegment, placeSegments } from "./placement.ts";

/** Pages that change places at the jump. Addresses and size in bytes, whole pages. */
export interface JumpSegment {
  /** backup: nothing is brought there, only what stands there is put by. */
  readonly name: PlacedSegment["name"] | "backup";
  readonly source: number;
  readonly destination: number;
  readonly size: number;
}

/** `kexec_image` with `preserve_context`. */
export class JumpImage {
  readonly segments: readonly JumpSegment[];
  /** What the other kernel may use, all of it exchanged at the jump; null: the image only goes back. */
  readonly region: MemoryRange | null;
  /** What the other kernel is told at its boot; null: it only goes back. */
  readonly boot: BootInfo | null;
  /** Linux's `image->start`: the kernel that waits at its return address; null: one that has yet to boot. */
  start: Kernel | null;

  constructor(segments: readonly JumpSegment[], region: MemoryRange | null, boot: BootInfo | null, start: Kernel | null) {
    this.segments = segments;
    this.region = region;
    this.boot = boot;
    this.start = start;
  }
}

/** `--mem-min` and `--mem-max`, physical addresses, the last one included. Default: all there are. */
export interface JumpRegion {
  readonly mem_min?: number;
  readonly mem_max?: number;
}

/** Bytes that are allocated at once; where so many do not fit, a page at a time. */
const PIECE = 64 * 1024;

/** @returns the image; -EADDRNOTAVAIL if the region has no hole for it; -EINVAL for more than half of RAM; -ENOMEM */
export function load_jump_image(kernel: Kernel, files: BootFiles, { mem_min = 0, mem_max = Infinity }: JumpRegion): JumpImage | number {
  const { mm } = kernel;
  const region = regionOf(mm.memory, mem_min, mem_max);
  if (region === null) return -EADDRNOTAVAIL;
  const taken = [...mm.blocks()].filter((block) => block.reserved || block.kind === "early");
  const placed = placeSegments(files, [region], taken);
  if (placed === null) return -EADDRNOTAVAIL;
  const ram = mm.memory.reduce((sum, { size }) => sum + size, 0);
  if (region.size > ram / 2) return -EINVAL;
  const segments: JumpSegment[] = [];
  const brought = placed.map((segment): Wanted => ({ ...segment, size: PAGE_ALIGN(segment.contents.length) }));
  for (const wanted of [...brought, ...backup_segments(region, brought)]) {
    const { size } = wanted;
    for (let offset = 0; offset < size;) {
      const piece = alloc_piece(kernel, size - offset, region, wanted.name);
      if (piece === null) {
        free_segments(kernel, segments);
        return -ENOMEM;
      }
      if (wanted.contents) kernel.platform.bus.writeBytes(piece.base, wanted.contents.subarray(offset, offset + piece.size));
      segments.push({ name: wanted.name, source: piece.base, destination: wanted.destination + offset, size: piece.size });
      offset += piece.size;
    }
  }
  return new JumpImage(segments, region, bootInfoOf("kexec", files, placed), null);
}

/** The image that goes back to a kernel: one segment of no size. */
export function jump_back_image(entry: Kernel): JumpImage {
  return new JumpImage([], null, null, entry);
}

/** Frees the pages where an image waits, or what it left behind. */
export function free_segments(kernel: Kernel, segments: readonly JumpSegment[]): void {
  for (const { source, size } of segments) kernel.mm.free_pages(source, size, "kimage_free");
}

/** The part of RAM between two addresses, the lowest piece of it. */
function regionOf(memory: readonly MemoryRange[], first: number, last: number): MemoryRange | null {
  for (const { base, size } of memory) {
    const start = alignUp(Math.max(base, first), PAGE_SIZE);
    const end = alignDown(Math.min(base + size, last + 1), PAGE_SIZE);
    if (start < end) return { base: start, size: end - start };
  }
  return null;
}

interface Wanted {
  readonly name: JumpSegment["name"];
  readonly destination: number;
  readonly size: number;
  readonly contents?: Uint8Array;
}

/** `add_backup_segments`: what of the region no other segment covers. */
function backup_segments(region: MemoryRange, brought: readonly Wanted[]): Wanted[] {
  const left = new RangeSet();
  left.add(region.base, region.size);
  for (const { destination, size } of brought) left.remove(destination, size);
  return left.ranges.map(({ base, size }) => ({ name: "backup", destination: base, size }));
}

/** Cleared pages outside of the region, so that no source is a destination. */
function alloc_piece({ mm }: Kernel, wanted: number, region: MemoryRange, name: string): MemoryRange | null {
  for (const size of new Set([Math.min(wanted, PIECE), PAGE_SIZE])) {
    const base = mm.alloc_pages(size, `kexec ${name}`, "kexec-segment", { avoid: [region] });
    if (base !== NO_PAGES) return { base, size };
  }
  return null;
}
