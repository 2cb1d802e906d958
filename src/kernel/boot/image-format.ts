// SPDX-License-Identifier: GPL-2.0-only
/**
 * Kernel images as real bytes. An image is built from its name alone, so it is the same in every run: a header page in the
 * manner of arm64's `Image` with a check word for each text page, then the text pages. Running a kernel means reading its
 * text back from memory: a page that something overwrote ends in an undefined instruction of that kernel.
 */
import { PAGE_ALIGN, PAGE_SIZE } from "../mm/page-allocator.ts";
import { alignUp, type MemoryRange } from "../mm/ranges.ts";
import { of_kexec_setup_fdt } from "../of/kexec-fdt.ts";
import type { CpuBus } from "../ports.ts";
import type { BootInfo, LoadedBlob, LoadedImage } from "./boot-info.ts";

/** Images start at a multiple of this (arm64's boot protocol). */
export const MIN_KIMG_ALIGN = 0x20_0000;
/** "ARM\x64" at offset 56, as in arm64's header. */
const ARM64_IMAGE_MAGIC = 0x644d_5241;

/** Offsets in the header page; the first three and the magic are arm64's. */
const HEADER = { code0: 0x00, text_offset: 0x08, image_size: 0x10, magic: 0x38, textPages: 0x40, nameHash: 0x44, checks: 0x100 } as const;
const MAX_TEXT_PAGES = (PAGE_SIZE - HEADER.checks) / 4;
const DEFAULT_TEXT_PAGES = 128;

/** An image as a file. */
export interface KernelImage {
  readonly name: string;
  readonly textPages: number;
  readonly bytes: Uint8Array;
}

/** What a boot loader is given. */
export interface BootFiles {
  readonly kernel: KernelImage;
  readonly initrd?: Uint8Array;
  readonly dtb?: Uint8Array;
}

/** FNV-1a of a string's code units. */
export function hashName(name: string): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x0100_0193);
  return hash >>> 0;
}

/** Fills `words` with a pattern that depends on the seed and on each word's place. */
export function fillPattern(words: Uint32Array, seed: number): void {
  let state = seed >>> 0;
  for (let i = 0; i < words.length; i++) {
    state = (state + 0x9e37_79b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85eb_ca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
    words[i] = mixed ^ (mixed >>> 16);
  }
}

/** Pattern bytes for an initrd or the like. @param size a multiple of 4 */
export function patternBytes(name: string, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  fillPattern(new Uint32Array(bytes.buffer), hashName(name));
  return bytes;
}

/** The check word of a page: every word and its place count. */
export function pageCheck(words: Uint32Array): number {
  let check = 0;
  for (let i = 0; i < words.length; i++) check = Math.imul(((check << 5) | (check >>> 27)) ^ words[i]!, 0x9e37_79b1);
  return check >>> 0;
}

/** The words of one page of an image. Page 0 is the header. */
export function pageWords(contents: Uint8Array, page: number): Uint32Array {
  return new Uint32Array(contents.buffer, contents.byteOffset + page * PAGE_SIZE, PAGE_SIZE / 4);
}

/**
 * Builds an image from its name and version.
 * @param textPages 1 … 960
 * @throws RangeError for another number of pages
 */
export function build_kernel_image(name: string, textPages: number = DEFAULT_TEXT_PAGES): KernelImage {
  if (!(textPages >= 1 && textPages <= MAX_TEXT_PAGES))
    throw new RangeError(`${textPages} text pages; 1 … ${MAX_TEXT_PAGES} fit the header`);
  const bytes = new Uint8Array((1 + textPages) * PAGE_SIZE);
  const header = pageWords(bytes, 0);
  const seed = hashName(name);
  const put = (offset: number, value: number): void => {
    header[offset / 4] = value;
  };
  put(HEADER.code0, 0x1400_0000 | (PAGE_SIZE / 4));
  put(HEADER.text_offset, 0);
  put(HEADER.image_size, bytes.length);
  put(HEADER.magic, ARM64_IMAGE_MAGIC);
  put(HEADER.textPages, textPages);
  put(HEADER.nameHash, seed);
  for (let page = 0; page < textPages; page++) {
    const words = pageWords(bytes, 1 + page);
    fillPattern(words, seed ^ Math.imul(page + 1, 0x27d4_eb2f));
    put(HEADER.checks + 4 * page, pageCheck(words));
  }
  return { name, textPages, bytes };
}

/** The check word that a header page in memory holds for a text page. */
export function headerCheck(header: Uint32Array, page: number): number {
  return header[HEADER.checks / 4 + page]!;
}

/** Names what is wrong with a header page, or gives null. */
export function headerFault(header: Uint32Array, image: LoadedImage): string | null {
  if (header[HEADER.magic / 4] !== ARM64_IMAGE_MAGIC) return "bad magic";
  if (header[HEADER.image_size / 4] !== image.size) return "wrong image size";
  if (header[HEADER.textPages / 4] !== image.textPages) return "wrong number of text pages";
  if (header[HEADER.nameHash / 4] !== hashName(image.name)) return "another kernel's header";
  return null;
}

/** Describes an image that lies at `base`. */
export function loaded_image(kernel: KernelImage, base: number): LoadedImage {
  return { name: kernel.name, base, size: kernel.bytes.length, contents: kernel.bytes, textPages: kernel.textPages };
}

/** Describes other bytes that lie at `base`. */
export function loaded_blob(name: string, contents: Uint8Array, base: number): LoadedBlob {
  return { name, base, size: contents.length, contents };
}

/**
 * What firmware does after a reset: puts a fresh image at the start of the first RAM, initrd and device tree behind it, and says
 * in the tree where the initrd is.
 * @throws RangeError if the RAM is too small
 * @throws FdtError if the device tree is none
 */
export function firmware_load(bus: CpuBus, memory: readonly MemoryRange[], files: BootFiles): BootInfo {
  const ram = memory[0];
  if (ram === undefined) throw new RangeError("no RAM to load a kernel to");
  let next = alignUp(Math.max(ram.base, PAGE_SIZE), MIN_KIMG_ALIGN);
  const place = (bytes: Uint8Array): number => {
    const base = next;
    next += PAGE_ALIGN(bytes.length);
    if (next > ram.base + ram.size) throw new RangeError("the first RAM is too small for kernel, initrd and device tree");
    bus.writeBytes(base, bytes);
    return base;
  };
  const image = loaded_image(files.kernel, place(files.kernel.bytes));
  const initrd = files.initrd ? loaded_blob("initrd", files.initrd, place(files.initrd)) : null;
  const blob = files.dtb && of_kexec_setup_fdt(files.dtb, { initrd: initrd ?? undefined, kexec: false });
  const dtb = blob ? loaded_blob("dtb", blob, place(blob)) : null;
  return { kind: "cold", image, initrd, dtb };
}
