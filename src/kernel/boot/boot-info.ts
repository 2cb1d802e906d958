// SPDX-License-Identifier: GPL-2.0-only
/** What a kernel is told by whoever started it: where its image, its initrd and its device tree blob lie in memory. */

/** Bytes that were put somewhere for the next kernel. `contents` is what should be there. */
export interface LoadedBlob {
  readonly name: string;
  /** Physical address, a multiple of the page size. */
  readonly base: number;
  /** Bytes. */
  readonly size: number;
  readonly contents: Uint8Array;
}

/** A kernel image in memory: a header page, then text pages. */
export interface LoadedImage extends LoadedBlob {
  readonly textPages: number;
}

export interface BootInfo {
  /** cold: firmware after a reset. kexec: another kernel, on purpose. crash: another kernel's panic. */
  readonly kind: "cold" | "kexec" | "crash";
  readonly image: LoadedImage;
  readonly initrd: LoadedBlob | null;
  readonly dtb: LoadedBlob | null;
}
