// SPDX-License-Identifier: GPL-2.0-only
/**
 * Running a kernel's text. Booting goes through stages; each executes its share of the text pages, that is, reads them from
 * memory and checks them, and uses the early allocations. What was overwritten meanwhile ends the way it ends on hardware:
 * an undefined instruction, a paging request through a broken table, an initramfs that does not unpack.
 */
import { type Coroutine, sleepNs } from "../../sim/index.ts";
import { INITCALL_LEVELS, type InitcallLevel } from "../initcall.ts";
import type { Kernel } from "../kernel.ts";
import { PAGE_SIZE } from "../mm/page-allocator.ts";
import type { LoadedImage } from "./boot-info.ts";
import { firstBadWord } from "./bad-word.ts";
import { boot_regions, fdt_fault, free_initrd_mem, setup_arch } from "./early-memory.ts";
import { headerCheck, headerFault, pageCheck, pageWords } from "./image-format.ts";

export * from "./boot-info.ts";
export {
  type BootFiles,
  build_kernel_image,
  firmware_load,
  type KernelImage,
  loaded_blob,
  loaded_image,
  MIN_KIMG_ALIGN,
  patternBytes,
} from "./image-format.ts";
export { boot_regions, type BootRegion, setup_arch } from "./early-memory.ts";

/** Stages of a boot in order: up to start_kernel, the initcall levels, the first process. */
export type BootStage = "start" | InitcallLevel | "running";
export const BOOT_STAGES: readonly BootStage[] = ["start", ...INITCALL_LEVELS, "running"];

/** After which stages the early allocations are looked at. */
const EARLY_MEMORY_STAGES: readonly (BootStage | "all")[] = ["core", "fs", "late", "running", "all"];

/** Virtual time that one page of text takes to run. */
const TEXT_PAGE_NS = 20_000;

const hex = (value: number, digits: number = 8): string => `0x${value.toString(16).padStart(digits, "0")}`;

/**
 * Executes a stage's text pages, or all of them; the first stage sets up the kernel's early memory. A kernel without boot
 * information has no text and returns at once; one whose memory was overwritten oopses, panics and does not return.
 */
export function* execute_kernel_text(kernel: Kernel, stage: BootStage | "all"): Coroutine<void> {
  const boot = kernel.bootInfo;
  if (boot === null) return;
  if (stage === "start") {
    setup_arch(kernel);
    yield* checkHeader(kernel, boot.image);
    yield* setup_machine_fdt(kernel);
  }
  const [first, end] = pagesOf(boot.image, stage);
  for (let page = first; page < end; page++) {
    yield* sleepNs(TEXT_PAGE_NS);
    yield* executePage(kernel, boot.image, page);
  }
  if (EARLY_MEMORY_STAGES.includes(stage)) yield* useEarlyMemory(kernel);
  if (stage === "fs") yield* populate_rootfs(kernel);
}

/** First page and end of a stage's share, counted from 0. */
function pagesOf(image: LoadedImage, stage: BootStage | "all"): [number, number] {
  if (stage === "all") return [0, image.textPages];
  const index = BOOT_STAGES.indexOf(stage);
  const share = image.textPages / BOOT_STAGES.length;
  return [Math.floor(index * share), Math.floor((index + 1) * share)];
}

function readWords(kernel: Kernel, pa: number): Uint32Array {
  const bytes = new Uint8Array(PAGE_SIZE);
  kernel.platform.bus.readBytes(pa, bytes);
  return pageWords(bytes, 0);
}

function* checkHeader(kernel: Kernel, image: LoadedImage): Coroutine<void> {
  const fault = headerFault(readWords(kernel, image.base), image);
  if (fault === null) return;
  yield* die(
    kernel,
    `Internal error: Oops - Undefined instruction: header of ${image.name} at ${hex(image.base)}: ${fault}`,
    "Fatal exception",
  );
}

function* setup_machine_fdt(kernel: Kernel): Coroutine<void> {
  const fault = fdt_fault(kernel);
  if (fault !== undefined) yield* die(kernel, `Error: invalid device tree blob: ${fault}`, "No valid device tree");
}

function* executePage(kernel: Kernel, image: LoadedImage, page: number): Coroutine<void> {
  const pa = image.base + (1 + page) * PAGE_SIZE;
  if (pageCheck(readWords(kernel, pa)) === headerCheck(readWords(kernel, image.base), page)) return;
  const bad = firstBadWord(kernel, image, (1 + page) * PAGE_SIZE, PAGE_SIZE) ?? firstBadWord(kernel, image, 0, PAGE_SIZE);
  const word = bad ? `: ${hex(bad.found)} at ${hex(bad.pa)}, ${hex(bad.expected)} belongs there` : "";
  yield* die(
    kernel,
    `Internal error: Oops - Undefined instruction: text page ${page} of ${image.name} at ${hex(pa)}${word}`,
    "Attempted to kill init!",
  );
}

/** Page tables, page structs and per-CPU areas are used by nearly everything. */
function* useEarlyMemory(kernel: Kernel): Coroutine<void> {
  for (const region of boot_regions(kernel)) {
    if (region.use !== "used") continue;
    const bad = firstBadWord(kernel, region);
    if (bad === null) continue;
    const where = `${region.name} at ${hex(bad.pa)} hold ${hex(bad.found)}, ${hex(bad.expected)} belongs there`;
    yield* die(kernel, `Unable to handle kernel paging request: ${where}`, "Attempted to kill init!");
  }
}

/** Unpacks the initrd and frees it. A kernel whose initrd is broken has no root file system. */
function* populate_rootfs(kernel: Kernel): Coroutine<void> {
  const initrd = boot_regions(kernel).find((region) => region.name === "initrd copy");
  if (initrd === undefined) return;
  kernel.printk.pr_info("Trying to unpack rootfs image as initramfs...");
  const bad = firstBadWord(kernel, initrd);
  if (bad !== null) {
    const where = `${hex(bad.found)} at ${hex(bad.pa)}, ${hex(bad.expected)} belongs there`;
    yield* die(kernel, `Initramfs unpacking failed: broken archive: ${where}`, "VFS: Unable to mount root fs");
  }
  free_initrd_mem(kernel);
}

function* die(kernel: Kernel, message: string, panic: string): Coroutine<never> {
  kernel.oops(message);
  return yield* kernel.reboot.panic(panic);
}
