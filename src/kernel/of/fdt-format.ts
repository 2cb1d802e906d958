// SPDX-License-Identifier: GPL-2.0-only
/**
 * The flattened device tree as plain data: Devicetree Specification v0.4, chapter 5, version 17 of the format. What a
 * property's bytes mean is not known here; unflatten.ts knows.
 */

export const FDT_MAGIC = 0xd00d_feed;
/** The version that is written. Readers of version 16 can read it. */
export const FDT_VERSION = 17;
export const FDT_LAST_COMPATIBLE = 16;
export const FDT_HEADER_BYTES = 40;
/** Bytes of one entry of the memory reservation block. */
export const FDT_RESERVE_BYTES = 16;
/** Linux unflattens no deeper tree (FDT_MAX_DEPTH). */
export const FDT_MAX_DEPTH = 64;

/** Offsets of the header's fields, each a big-endian word. */
export const FDT_HEADER = {
  magic: 0,
  totalsize: 4,
  off_dt_struct: 8,
  off_dt_strings: 12,
  off_mem_rsvmap: 16,
  version: 20,
  last_comp_version: 24,
  boot_cpuid_phys: 28,
  size_dt_strings: 32,
  /** From version 17. */
  size_dt_struct: 36,
} as const;

export const FDT_TOKEN = { beginNode: 1, endNode: 2, prop: 3, nop: 4, end: 9 } as const;

export interface FdtProperty {
  readonly name: string;
  readonly value: Uint8Array;
  /** Where the value stood in the blob that was read. */
  readonly offset?: number;
}

export interface FdtNode {
  /** With unit address; empty for the root. */
  readonly name: string;
  readonly properties: readonly FdtProperty[];
  readonly children: readonly FdtNode[];
  /** Where the node began in the blob that was read. */
  readonly offset?: number;
}

/** An entry of the memory reservation block. */
export interface FdtReservation {
  readonly address: bigint;
  readonly size: bigint;
}

export interface Fdt {
  readonly reservations: readonly FdtReservation[];
  /** `boot_cpuid_phys`. */
  readonly bootCpu: number;
  readonly root: FdtNode;
}

/** A blob that is no device tree, or none that makes sense. */
export class FdtError extends Error {
  readonly code = "BAD_FDT";
  /** Byte in the blob. */
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(`at byte 0x${offset.toString(16)}: ${message}`);
    this.offset = offset;
  }
}
