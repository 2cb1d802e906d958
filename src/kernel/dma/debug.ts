// SPDX-License-Identifier: GPL-2.0-only
/**
 * Bookkeeping of every mapping: wrong, double and forgotten unmaps do not stay unheard, nor does memory that is freed or read by
 * the CPU while a device owns it.
 *
 * After Linux 7.1 kernel/dma/debug.c: add_dma_entry, check_unmap, check_sync, dma_debug_device_change. That pages are freed while
 * mapped and that the CPU reads what a device owns is found by looking at each free and at each read through a KernelBuffer; Linux
 * cannot. Left out: debugfs, the driver filter, the limit of reports, overlapping cache lines.
 */
import { type Device, dev_driver_string } from "../base/device.ts";
import type { Kernel } from "../kernel.ts";
import { DMA_TO_DEVICE, type DmaDataDirection } from "./types.ts";

/** A mapping in force. */
export interface DmaMapping {
  readonly dev: Device;
  readonly how: "single" | "sg" | "coherent";
  /** DMA address of its first byte. */
  readonly dma: number;
  readonly size: number;
  readonly dir: DmaDataDirection;
  /** As whom the ownership shadow knows it. */
  readonly grant: "streaming" | "coherent" | "table";
  /** What it lets the device touch. */
  readonly memory: readonly { readonly pa: number; readonly size: number }[];
}

/** Bytes that are looked up together. */
const PAGE = 4096;
/** Pieces above this size are looked through one by one. */
const LARGE = 0x1_0000;

type MemoryRangeOf = DmaMapping["memory"][number];

export class DmaDebug {
  readonly #kernel: Kernel;
  readonly #mappings = new Map<Device, Map<number, DmaMapping>>();
  /** Mappings by the pages they let a device touch, and those that have more pages than are worth it. Empty with the checks off. */
  readonly #pages = new Map<number, DmaMapping | Set<DmaMapping>>();
  readonly #large = new Set<DmaMapping>();
  /** Parts of mappings that were handed back to the CPU, as physical ranges. */
  readonly #forCpu = new Map<DmaMapping, { readonly base: number; readonly size: number }[]>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Mappings in force of a device, oldest first. */
  mappings(dev: Device): DmaMapping[] {
    return [...(this.#mappings.get(dev)?.values() ?? [])];
  }

  /** How many mappings of a device are in force. */
  count(dev: Device): number {
    return this.#mappings.get(dev)?.size ?? 0;
  }

  add(mapping: DmaMapping): void {
    const { dev, dma, memory } = mapping;
    if (dev.deleted) this.#kernel.debug.objects.usedDeleted(dev, "DMA mapping");
    const known = this.#mappings.get(dev);
    if (known === undefined) this.#mappings.set(dev, new Map([[dma, mapping]]));
    else known.set(dma, mapping);
    for (const { pa, size } of memory) this.#kernel.platform.pages.granted(dev.name, pa, size, mapping.grant);
    if (this.#kernel.debug.enabled) for (const piece of memory) this.#index(mapping, piece);
  }

  #index(mapping: DmaMapping, { pa, size }: MemoryRangeOf): void {
    if (size > LARGE) {
      this.#large.add(mapping);
      return;
    }
    for (let page = Math.floor(pa / PAGE); page * PAGE < pa + size; page++) {
      const known = this.#pages.get(page);
      if (known === undefined) this.#pages.set(page, mapping);
      else if (known instanceof Set) known.add(mapping);
      else if (known !== mapping) this.#pages.set(page, new Set([known, mapping]));
    }
  }

  #unindex(mapping: DmaMapping, { pa, size }: MemoryRangeOf): void {
    if (size > LARGE) {
      this.#large.delete(mapping);
      return;
    }
    for (let page = Math.floor(pa / PAGE); page * PAGE < pa + size; page++) {
      const known = this.#pages.get(page);
      if (known === mapping) this.#pages.delete(page);
      else if (known instanceof Set && known.delete(mapping) && known.size === 0) this.#pages.delete(page);
    }
  }

  /** Shows mappings that may let a device touch some of the range, until one is taken. */
  #over(pa: number, length: number, take: (mapping: DmaMapping) => boolean): void {
    for (let page = Math.floor(pa / PAGE); page * PAGE < pa + length; page++) {
      const known = this.#pages.get(page);
      if (known === undefined) continue;
      if (!(known instanceof Set)) {
        if (take(known)) return;
      } else for (const mapping of known) if (take(mapping)) return;
    }
    for (const mapping of this.#large) if (take(mapping)) return;
  }

  /**
   * Finds the mapping that is about to go.
   * @returns null, after a report, if the device has no such mapping or it is none of that kind
   */
  find(dev: Device, how: DmaMapping["how"], dma: number, size: number, dir: DmaDataDirection): DmaMapping | null {
    const mapping = this.#mappings.get(dev)?.get(dma);
    const what = `device address=0x${dma.toString(16)} size=${size} bytes`;
    if (mapping === undefined) {
      this.complain(dev, `driver frees DMA memory that it does not have mapped [${what}]`);
      return null;
    }
    if (mapping.how !== how) {
      this.complain(dev, `driver frees DMA memory with the wrong function [${what}] [mapped as ${mapping.how}] [unmapped as ${how}]`);
      return null;
    }
    if (mapping.size !== size)
      this.complain(dev, `driver frees DMA memory with another size [${what}] [mapped size=${mapping.size} bytes]`);
    if (mapping.dir !== dir) this.complain(dev, `driver frees DMA memory with another direction [${what}]`);
    return mapping;
  }

  /** The mapping is gone: the device may not touch the memory any more. */
  remove(mapping: DmaMapping): void {
    this.#mappings.get(mapping.dev)?.delete(mapping.dma);
    this.#forCpu.delete(mapping);
    for (const piece of mapping.memory) {
      this.#unindex(mapping, piece);
      this.#kernel.platform.pages.revoked(mapping.dev.name, piece.pa, piece.size);
    }
  }

  /** `dma_debug_device_change`: a driver that let go of its device must have unmapped everything. */
  device_change(dev: Device): void {
    const left = this.mappings(dev);
    const first = left[0];
    if (first === undefined) return;
    const one = `[device address=0x${first.dma.toString(16)}] [size=${first.size} bytes] [mapped as ${first.how}]`;
    this.complain(dev, `driver let go of the device with DMA memory still mapped [count=${left.length}], one of them ${one}`);
  }

  /** `debug_dma_sync_single_for_cpu` and `_for_device`: the memory must be mapped, and changes hands. */
  sync(dev: Device, dma: number, size: number, to: "cpu" | "device"): void {
    if (!this.#kernel.debug.enabled) return;
    const mapping = this.#around(dev, dma, size);
    if (mapping === null) {
      this.complain(dev, `driver syncs DMA memory that it does not have mapped [device address=0x${dma.toString(16)}]`);
    } else if (to === "device") {
      this.#forCpu.delete(mapping);
    } else {
      // The pieces of a list lie behind each other for the device only: all of it is taken as synced.
      const parts =
        mapping.how === "sg"
          ? mapping.memory.map((piece) => ({ base: piece.pa, size: piece.size }))
          : [{ base: mapping.memory[0]!.pa + dma - mapping.dma, size }];
      this.#forCpu.set(mapping, [...(this.#forCpu.get(mapping) ?? []), ...parts]);
    }
  }

  #around(dev: Device, dma: number, size: number): DmaMapping | null {
    const known = this.#mappings.get(dev);
    const exact = known?.get(dma);
    if (exact && size <= exact.size) return exact;
    for (const mapping of known?.values() ?? []) if (dma >= mapping.dma && dma + size <= mapping.dma + mapping.size) return mapping;
    return null;
  }

  /** Pages are freed: no device may have them mapped. */
  freed(pa: number, size: number, by: string): void {
    this.#over(pa, size, (mapping) => {
      const piece = mapping.memory.find((other) => touch(other, pa, size));
      if (piece === undefined) return false;
      const page = Math.max(pa, piece.pa - (piece.pa % PAGE));
      const where = `[device address=0x${mapping.dma.toString(16)}] [size=${mapping.size} bytes] [mapped as ${mapping.how}]`;
      this.complain(mapping.dev, `device driver frees memory still mapped: page 0x${page.toString(16)}, by ${by} ${where}`);
      return true;
    });
  }

  /** The CPU reads memory: what a device may be writing at this moment must have been handed back before. */
  cpuReads(pa: number, length: number): void {
    this.#over(pa, length, (mapping) => this.#readsEarly(mapping, pa, length));
  }

  #readsEarly(mapping: DmaMapping, pa: number, length: number): boolean {
    if (mapping.grant !== "streaming" || mapping.dir === DMA_TO_DEVICE) return false;
    if (!mapping.memory.some((piece) => touch(piece, pa, length))) return false;
    const parts = this.#forCpu.get(mapping) ?? [];
    if (parts.some(({ base, size }) => pa >= base && pa + length <= base + size)) return false;
    const { dev, dma } = mapping;
    this.complain(
      dev,
      `CPU reads a streaming buffer that the device owns, without sync for the CPU [device address=0x${dma.toString(16)}]`,
      `cpu read ${dev.name}`,
    );
    return true;
  }

  /** @param once a key under which there is one report only */
  complain(dev: Device, message: string, once?: string): void {
    const text = `DMA-API: ${dev_driver_string(dev)} ${dev.name}: ${message}`;
    this.#kernel.debug.report("dma-api", text, { device: dev, ...(once === undefined ? {} : { once }) });
  }
}

function touch(piece: MemoryRangeOf, pa: number, size: number): boolean {
  return piece.pa < pa + size && pa < piece.pa + piece.size;
}
