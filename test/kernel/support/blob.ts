// SPDX-License-Identifier: GPL-2.0-only
/** Device tree blobs for tests of booting: memory, and what a test adds. */
import { type DtRange, dtNode, type DtNode, type FdtReservation, fdt_write, flatten_device_tree } from "../../../src/kernel/index.ts";

export interface BlobOptions {
  /** More children of the root. */
  readonly nodes?: readonly DtNode[];
  readonly reservations?: readonly FdtReservation[];
  /** Bytes of the file; what the tree leaves is free space. Default: 1024. */
  readonly size?: number;
}

/** A blob that names this memory. */
export function memoryBlob(memory: readonly DtRange[], { nodes = [], reservations = [], size = 1024 }: BlobOptions = {}): Uint8Array {
  const banks = memory.map((range) =>
    dtNode({ name: `memory@${range.base.toString(16)}`, reg: [range], properties: { device_type: "memory" } }),
  );
  const blob = fdt_write(flatten_device_tree(dtNode({ name: "", children: [...banks, ...nodes] }), reservations));
  const file = new Uint8Array(Math.max(size, blob.length));
  file.set(blob);
  return file;
}
