// SPDX-License-Identifier: GPL-2.0-only
/**
 * Bookkeeping of every mapping, as Linux's CONFIG_DMA_API_DEBUG: wrong, double and forgotten unmaps do not stay unheard.
 *
 * After Linux 7.1 kernel/dma/debug.c: debug_dma_map_phys, check_unmap, check_sync, dma_debug_device_change. Left out: overlapping
 * cache lines, mappings from the stack or from freed memory, errors that nobody tested for.
 */
import { type Device, dev_driver_string } from "../base/device.ts";
import type { Kernel } from "../kernel.ts";
import type { DmaDataDirection } from "./types.ts";

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

export class DmaDebug {
  readonly #kernel: Kernel;
  readonly #mappings = new Map<Device, Map<number, DmaMapping>>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Mappings in force of a device, oldest first. */
  mappings(dev: Device): DmaMapping[] {
    return [...(this.#mappings.get(dev)?.values() ?? [])];
  }

  add(mapping: DmaMapping): void {
    const known = this.#mappings.get(mapping.dev);
    if (known === undefined) this.#mappings.set(mapping.dev, new Map([[mapping.dma, mapping]]));
    else known.set(mapping.dma, mapping);
    for (const { pa, size } of mapping.memory) this.#kernel.platform.pages.granted(mapping.dev.name, pa, size, mapping.grant);
  }

  /**
   * Finds the mapping that is about to go.
   * @returns null, after an oops, if the device has no such mapping or it is none of that kind
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
    for (const { pa, size } of mapping.memory) this.#kernel.platform.pages.revoked(mapping.dev.name, pa, size);
  }

  /** `dma_debug_device_change`: a driver that let go of its device must have unmapped everything. */
  device_change(dev: Device): void {
    const left = this.mappings(dev);
    const first = left[0];
    if (first === undefined) return;
    const one = `[device address=0x${first.dma.toString(16)}] [size=${first.size} bytes] [mapped as ${first.how}]`;
    this.complain(dev, `driver let go of the device with DMA memory still mapped [count=${left.length}], one of them ${one}`);
  }

  complain(dev: Device, message: string): void {
    this.#kernel.oops(`DMA-API: ${dev_driver_string(dev)} ${dev.name}: ${message}`, { device: dev });
  }
}
