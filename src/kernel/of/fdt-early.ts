// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a kernel takes from its tree before it has devices. After Linux 7.1 drivers/of/fdt.c: early_init_dt_scan_memory,
 * early_init_dt_scan_chosen, early_init_dt_check_for_usable_mem_range, and drivers/of/of_reserved_mem.c: fdt_scan_reserved_mem.
 * Left out: elfcorehdr, hotpluggable memory, `linux,usable-memory` of memory nodes, the placing of dynamic reservations.
 */
import { type DtNode, type DtRange, dt_number, of_device_is_available } from "./dt.ts";
import type { Fdt } from "./fdt-format.ts";
import { FdtTree, fdt_property, joinCells } from "./fdt-tree.ts";
import { addressCells, rowsOf, sizeCells } from "./of-address.ts";

/** RAM: the `reg` of the nodes with device_type "memory", in the order of the tree. */
export function early_init_dt_scan_memory(root: DtNode): DtRange[] {
  return root.children
    .filter((node) => node.properties["device_type"] === "memory" && of_device_is_available(node))
    .flatMap(({ reg }) => reg ?? [])
    .filter(({ size }) => size > 0);
}

/** What the boot loader says in `/chosen`. */
export interface Chosen {
  readonly bootargs?: string;
  readonly stdoutPath?: string;
  readonly initrd?: DtRange;
}

function address(node: DtNode, property: string): number | undefined {
  const value = node.properties[property];
  if (Array.isArray(value) && value.length === 2 && typeof value[0] === "number" && typeof value[1] === "number")
    return value[0] * 0x1_0000_0000 + value[1];
  return dt_number(node, property);
}

export function early_init_dt_scan_chosen(root: DtNode): Chosen {
  const chosen = root.children.find(({ name }) => name === "chosen");
  if (!chosen) return {};
  const { bootargs, "stdout-path": stdoutPath } = chosen.properties;
  const start = address(chosen, "linux,initrd-start");
  const end = address(chosen, "linux,initrd-end");
  return {
    ...(typeof bootargs === "string" ? { bootargs } : {}),
    ...(typeof stdoutPath === "string" ? { stdoutPath } : {}),
    ...(start !== undefined && end !== undefined && end > start ? { initrd: { base: start, size: end - start } } : {}),
  };
}

/** Ranges that Linux looks at. */
const MAX_USABLE_RANGES = 2;

/** `linux,usable-memory-range`: the memory of a crash kernel, in the cells of the root. Empty: all there is. @throws FdtError */
export function early_init_dt_check_for_usable_mem_range(fdt: Fdt): DtRange[] {
  const chosen = fdt.root.children.find(({ name }) => name === "chosen" || name === "chosen@0");
  const property = chosen && fdt_property(chosen, "linux,usable-memory-range");
  if (property === undefined) return [];
  const tree = new FdtTree(fdt);
  const base = addressCells(tree, fdt.root);
  return rowsOf(property, base + sizeCells(tree, fdt.root))
    .slice(0, MAX_USABLE_RANGES)
    .map((row) => ({ base: Number(joinCells(row.slice(0, base))), size: Number(joinCells(row.slice(base))) }));
}

/** A child of `/reserved-memory`. */
export interface ReservedMemory {
  readonly name: string;
  /** Absent: the kernel may choose the place. */
  readonly ranges?: readonly DtRange[];
  /** Bytes, where the kernel chooses. */
  readonly size?: number;
  /** Not mapped by the kernel at all. */
  readonly noMap: boolean;
  /** The kernel may use it until its owner wants it. */
  readonly reusable: boolean;
}

export function fdt_scan_reserved_mem(root: DtNode): ReservedMemory[] {
  const parent = root.children.find(({ name }) => name === "reserved-memory");
  return (parent?.children ?? []).filter(of_device_is_available).map((node) => {
    const size = address(node, "size");
    return {
      name: node.name,
      ...(node.reg ? { ranges: node.reg } : size === undefined ? {} : { size }),
      noMap: node.properties["no-map"] === true,
      reusable: node.properties["reusable"] === true,
    };
  });
}
