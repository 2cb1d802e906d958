// SPDX-License-Identifier: GPL-2.0-only
/**
 * Memory as the CPU sees it: a block of pages with accessors, little-endian. Every access checks that the block is still
 * allocated and that the offset lies inside; a wrong access is reported as KASAN would and carried out as hardware would.
 *
 * After Linux 7.1 mm/kasan/generic.c: check_region_inline. Left out: shadow memory, quarantine, stacks of allocation and free.
 */
import type { Kernel } from "../kernel.ts";
import type { MemoryKind } from "../ports.ts";
import { type AllocOptions, NO_PAGES } from "./page-allocator.ts";

export class KernelBuffer {
  readonly kernel: Kernel;
  /** Physical address. */
  readonly pa: number;
  /** Bytes. */
  readonly size: number;
  readonly owner: string;
  /** It may be mapped for streaming DMA: reads are checked for whose turn it is. */
  readonly #streamable: boolean;
  #freed = false;
  #complained = false;

  /** Wraps pages that `owner` has. Use {@link KernelBuffer.alloc} for new ones. */
  constructor(kernel: Kernel, pa: number, size: number, owner: string, kind: MemoryKind = "kernel") {
    this.#streamable = kind === "kernel" && kernel.debug.enabled;
    this.kernel = kernel;
    this.pa = pa;
    this.size = size;
    this.owner = owner;
  }

  /** Allocates zeroed pages. @returns null without memory */
  static alloc(kernel: Kernel, size: number, owner: string, kind: MemoryKind = "kernel", options: AllocOptions = {}): KernelBuffer | null {
    const pa = kernel.mm.alloc_pages(size, owner, kind, options);
    return pa === NO_PAGES ? null : new KernelBuffer(kernel, pa, size, owner, kind);
  }

  get freed(): boolean {
    return this.#freed;
  }

  /** Gives the pages back; later accesses through this buffer are use after free. */
  free(by: string = this.owner): void {
    this.#freed = true;
    this.kernel.mm.free_pages(this.pa, this.size, by);
  }

  get8(offset: number): number {
    return this.kernel.platform.bus.read8(this.#at(offset, 1, "read"));
  }
  get16(offset: number): number {
    return this.kernel.platform.bus.read16(this.#at(offset, 2, "read"));
  }
  /** Unsigned. */
  get32(offset: number): number {
    return this.kernel.platform.bus.read32(this.#at(offset, 4, "read"));
  }
  get64(offset: number): bigint {
    return this.kernel.platform.bus.read64(this.#at(offset, 8, "read"));
  }
  set8(offset: number, value: number): void {
    this.kernel.platform.bus.write8(this.#at(offset, 1, "write"), value);
  }
  set16(offset: number, value: number): void {
    this.kernel.platform.bus.write16(this.#at(offset, 2, "write"), value);
  }
  set32(offset: number, value: number): void {
    this.kernel.platform.bus.write32(this.#at(offset, 4, "write"), value >>> 0);
  }
  set64(offset: number, value: bigint): void {
    this.kernel.platform.bus.write64(this.#at(offset, 8, "write"), value);
  }

  /** A copy of `length` bytes from `offset` on. */
  bytes(offset: number = 0, length: number = this.size - offset): Uint8Array {
    const out = new Uint8Array(length);
    this.kernel.platform.bus.readBytes(this.#at(offset, length, "read"), out);
    return out;
  }

  write(offset: number, bytes: Uint8Array): void {
    this.kernel.platform.bus.writeBytes(this.#at(offset, bytes.length, "write"), bytes);
  }

  fill(value: number, offset: number = 0, length: number = this.size - offset): void {
    this.kernel.platform.bus.fill(this.#at(offset, length, "write"), length, value);
  }

  #at(offset: number, length: number, what: "read" | "write"): number {
    if (this.#freed) this.#complain("use-after-free", offset, length, what);
    else if (offset < 0 || offset + length > this.size) this.#complain("out-of-bounds", offset, length, what);
    else if (what === "read" && this.#streamable) this.kernel.dma.debug.cpuReads(this.pa + offset, length);
    return this.pa + offset;
  }

  /** One report per buffer, as KASAN gives. */
  #complain(bug: "use-after-free" | "out-of-bounds", offset: number, length: number, what: "read" | "write"): void {
    if (this.#complained) return;
    this.#complained = true;
    const place = `offset 0x${offset.toString(16)} of ${this.owner}'s buffer at 0x${this.pa.toString(16)}`;
    this.kernel.debug.report("kasan", `KASAN: ${bug}: ${what} of ${length} bytes at ${place}`);
  }
}
