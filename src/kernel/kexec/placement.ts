// SPDX-License-Identifier: GPL-2.0-only
/**
 * Where the segments of the next kernel go, in the way of kexec-tools on arm64: the kernel to the lowest hole of RAM that
 * the running kernel does not declare as its own, initrd and device tree to the next holes above it. What the running
 * kernel merely allocated counts as a hole: it is overwritten at the jump.
 */
import type { BootInfo, LoadedBlob } from "../boot/boot-info.ts";
import { type BootFiles, loaded_blob, loaded_image, MIN_KIMG_ALIGN } from "../boot/image-format.ts";
import { PAGE_ALIGN, PAGE_SIZE } from "../mm/page-allocator.ts";
import { type MemoryRange, RangeSet } from "../mm/ranges.ts";

export interface PlacedSegment {
  readonly name: "kernel" | "initrd" | "dtb";
  /** Physical address. */
  readonly destination: number;
  readonly contents: Uint8Array;
}

/** Finds a place for each segment. @param taken memory that must stay @returns null if there is no hole for one of them */
export function placeSegments(files: BootFiles, memory: readonly MemoryRange[], taken: readonly MemoryRange[]): PlacedSegment[] | null {
  const holes = new RangeSet();
  for (const { base, size } of memory) holes.add(base, size);
  for (const { base, size } of taken) holes.remove(base, size);
  holes.remove(0, PAGE_SIZE);
  const placed: PlacedSegment[] = [];
  const place = (name: PlacedSegment["name"], contents: Uint8Array | undefined, align: number): boolean => {
    if (contents === undefined) return true;
    const length = PAGE_ALIGN(contents.length);
    const destination = holes.lowestFit(length, align, Infinity);
    if (destination === undefined) return false;
    holes.remove(destination, length);
    if (name === "kernel") holes.remove(0, destination);
    placed.push({ name, destination, contents });
    return true;
  };
  const all =
    place("kernel", files.kernel.bytes, MIN_KIMG_ALIGN) && place("initrd", files.initrd, PAGE_SIZE) && place("dtb", files.dtb, PAGE_SIZE);
  return all ? placed : null;
}

/** What the next kernel is told about its segments. */
export function bootInfoOf(kind: "kexec" | "crash", files: BootFiles, placed: readonly PlacedSegment[]): BootInfo {
  const blob = (name: PlacedSegment["name"]): LoadedBlob | null => {
    const segment = placed.find((other) => other.name === name);
    return segment === undefined ? null : loaded_blob(name, segment.contents, segment.destination);
  };
  const kernel = placed.find((segment) => segment.name === "kernel")!;
  return { kind, image: loaded_image(files.kernel, kernel.destination), initrd: blob("initrd"), dtb: blob("dtb") };
}
