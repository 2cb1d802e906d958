// SPDX-License-Identifier: MIT
/**
 * The memory of the kernels that were started by another: whether it still holds what was put there. Looked at when such a
 * kernel is left, and when the run is over.
 */
import { bytesToHexString, unsafeCompareUint8Arrays } from "typed-array-utils";
import { hex } from "../../hw/index.ts";
import { boot_regions, type Kernel } from "../../kernel/index.ts";
import type { Machine } from "../machine/machine.ts";
import type { ImageDamage } from "../monitors/next-kernel.ts";

/** Bytes of overwritten memory that are shown. */
const SHOWN_BYTES = 8;

export class Images {
  readonly #machine: Machine;
  /** By kernel, in the order in which they were looked at last. */
  readonly #left = new Map<string, ImageDamage>();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** The kernel is being left: what its memory holds now is what counts. A second call for one kernel does nothing. */
  leaving(kernel: Kernel): void {
    if (!this.#left.has(kernel.name)) this.#left.set(kernel.name, this.#compare(kernel));
  }

  /** A kernel that was left goes on: what counts is yet to come. */
  back(kernel: Kernel): void {
    this.#left.delete(kernel.name);
  }

  /** What of a kernel's image and standing early memory is not, or was not when it was left, what was put there. */
  damageOf(kernel: Kernel): ImageDamage {
    return this.#left.get(kernel.name) ?? this.#compare(kernel);
  }

  #compare(kernel: Kernel): ImageDamage {
    let bytes = 0;
    let first = "";
    for (const { name, base, size, contents } of boot_regions(kernel)) {
      const found = new Uint8Array(size);
      this.#machine.bus.memory.readBytes(base, found);
      if (unsafeCompareUint8Arrays(found, contents)) continue;
      const differs = (byte: number, index: number): boolean => byte !== contents[index];
      const at = found.findIndex(differs);
      if (first === "")
        first = `${name} at ${hex(base + at)} hold ${bytesToHexString(found.subarray(at, at + SHOWN_BYTES))}, ${bytesToHexString(contents.subarray(at, at + SHOWN_BYTES))} belongs there`;
      bytes += found.filter(differs).length;
    }
    return { kernel: kernel.name, bytes, first };
  }
}
