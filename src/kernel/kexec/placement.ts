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
import { type FdtHandover, of_kexec_setup_fdt } from "../of/kexec-fdt.ts";

export interface PlacedSegment {
  readonly name: "kernel" | "initrd" | "dtb";
  /** Physical address. */
  readonly destination: number;
  readonly contents: Uint8Array;
}

/**
 * Finds a place for each segment; the blob is told where the initrd went.
 * @param taken memory that must stay
 * @param handover what else the blob says
 * @returns null if there is no hole for one of them
 * @throws FdtError if the blob is no device tree
 */
export function placeSegments(
  files: BootFiles,
  memory: readonly MemoryRange[],
  taken: readonly MemoryRange[],
  handover: Pick<FdtHandover, "running" | "usable"> = {},
): PlacedSegment[] | null {
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
  if (!place("kernel", files.kernel.bytes, MIN_KIMG_ALIGN) || !place("initrd", files.initrd, PAGE_SIZE)) return null;
  const initrd = files.initrd && { base: placed.at(-1)!.destination, size: files.initrd.length };
  const dtb = files.dtb && of_kexec_setup_fdt(files.dtb, { ...handover, initrd, kexec: true });
  return place("dtb", dtb, PAGE_SIZE) ? placed : null;
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
