// SPDX-License-Identifier: GPL-2.0-only
/**
 * Addresses of a flattened tree as the CPU sees them. After Linux 7.1 drivers/of/base.c: of_bus_n_addr_cells,
 * of_bus_n_size_cells, and address.c: the default and the PCI bus of of_busses, of_translate_one, __of_translate_address,
 * of_pci_range_parser. Left out: ISA, `dma-ranges`, buses with flags in a cell of their own, translation quirks of PowerPC.
 */
import type { DtRange } from "./dt.ts";
import type { FdtNode, FdtProperty } from "./fdt-format.ts";
import { type FdtTree, fdt_cells, fdt_error, fdt_number, fdt_property, fdt_strings, joinCells } from "./fdt-tree.ts";

/** What a tree has that says it nowhere (OF_ROOT_NODE_ADDR_CELLS_DEFAULT, OF_ROOT_NODE_SIZE_CELLS_DEFAULT). */
const ROOT_ADDRESS_CELLS = 1;
const ROOT_SIZE_CELLS = 1;
const MOST_CELLS = 4;
/** The space code in the first cell of a PCI address: 1 I/O, 2 and 3 memory below and beyond 4 GiB; bit 30 prefetchable. */
const PCI_SPACE = 0x0300_0000;
const PCI_SPACE_MEMORY = 0x0200_0000;

/** The number of the next node up that has it: old trees rely on that. @throws FdtError if it is more than {@link MOST_CELLS} */
function inherited(tree: FdtTree, bus: FdtNode, name: string): number | undefined {
  for (let at: FdtNode | undefined = bus; at; at = tree.parentOf(at)) {
    const count = fdt_number(at, name);
    if (count === undefined) continue;
    if (count > MOST_CELLS) throw fdt_error(fdt_property(at, name)!, `property "${name}" is ${count}, more than ${MOST_CELLS} cells`);
    return count;
  }
  return undefined;
}

/** `#address-cells` of a node or of the next above that has it; undefined: none has. */
export function inheritedAddressCells(tree: FdtTree, bus: FdtNode): number | undefined {
  return inherited(tree, bus, "#address-cells");
}

/** `of_bus_n_addr_cells`: cells of an address of this node's children. */
export function addressCells(tree: FdtTree, bus: FdtNode): number {
  return inheritedAddressCells(tree, bus) ?? ROOT_ADDRESS_CELLS;
}

/** `of_bus_n_size_cells`: cells of a size of this node's children. */
export function sizeCells(tree: FdtTree, bus: FdtNode): number {
  return inherited(tree, bus, "#size-cells") ?? ROOT_SIZE_CELLS;
}

/** True for a PCI host bridge or bridge, whose children have PCI addresses. */
export function isPciBus(node: FdtNode): boolean {
  const type = fdt_property(node, "device_type");
  return type !== undefined && fdt_strings(type)[0] === "pci";
}

/** The rows of a property, each of so many cells. @throws FdtError if they do not fill it */
export function rowsOf(property: FdtProperty, rowCells: number): number[][] {
  const cells = fdt_cells(property);
  if (rowCells === 0 || cells.length % rowCells !== 0)
    throw fdt_error(property, `property "${property.name}" has ${cells.length} cells, which are no rows of ${rowCells}`);
  return Array.from({ length: cells.length / rowCells }, (_row, index) => cells.slice(index * rowCells, (index + 1) * rowCells));
}

/** One step up through `ranges`. @returns undefined where no row holds the address */
function translateOne(
  tree: FdtTree,
  bus: FdtNode,
  ranges: FdtProperty,
  address: readonly number[],
  parentCells: number,
): number[] | undefined {
  const childCells = address.length;
  const pci = isPciBus(bus);
  for (const row of ranges.value.length === 0 ? [] : rowsOf(ranges, childCells + parentCells + sizeCells(tree, bus))) {
    const base = row.slice(0, childCells);
    // A PCI address carries its space in the first cell; spaces do not mix.
    if (pci && ((base[0]! ^ address[0]!) & PCI_SPACE) !== 0) continue;
    const plain = (cells: readonly number[]): bigint => joinCells(pci ? cells.slice(1) : cells);
    const offset = plain(address) - plain(base);
    if (offset < 0n || offset >= joinCells(row.slice(childCells + parentCells))) continue;
    return splitCells(joinCells(row.slice(childCells, childCells + parentCells)) + offset, parentCells);
  }
  return undefined;
}

function splitCells(value: bigint, count: number): number[] {
  return Array.from({ length: count }, (_cell, index) => Number(BigInt.asUintN(32, value >> BigInt(32 * (count - 1 - index)))));
}

/**
 * Linux's `of_translate_address`: an address of the children of `bus` as the CPU's.
 * @returns undefined where a bus on the way has no `ranges` or none that holds the address
 */
export function of_translate_address(tree: FdtTree, bus: FdtNode, address: readonly number[]): bigint | undefined {
  let at: readonly number[] = address;
  let node = bus;
  for (let parent = tree.parentOf(node); parent; parent = tree.parentOf(node)) {
    const ranges = fdt_property(node, "ranges");
    if (ranges === undefined) return undefined;
    const parentCells = addressCells(tree, parent);
    // Empty: both sides are the same.
    const next = ranges.value.length === 0 ? splitCells(joinCells(at), parentCells) : translateOne(tree, node, ranges, at, parentCells);
    if (next === undefined) return undefined;
    at = next;
    node = parent;
  }
  return joinCells(at);
}

/** A range as numbers, undefined if it does not fit into them. */
function rangeOf(base: bigint | undefined, size: bigint): DtRange | undefined {
  if (base === undefined || base + size > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  return { base: Number(base), size: Number(size) };
}

/**
 * `reg` in the CPU's addresses.
 * @returns undefined if there is none, or one of its rows has no such address, as for processors and PCI functions
 * @throws FdtError if its cells are no rows
 */
export function translatedReg(tree: FdtTree, node: FdtNode): DtRange[] | undefined {
  const reg = fdt_property(node, "reg");
  const bus = tree.parentOf(node);
  if (reg === undefined || bus === undefined || isPciBus(bus)) return undefined;
  const address = addressCells(tree, bus);
  const size = sizeCells(tree, bus);
  const found: DtRange[] = [];
  for (const row of rowsOf(reg, address + size)) {
    const range = size === 0 ? undefined : rangeOf(of_translate_address(tree, bus, row.slice(0, address)), joinCells(row.slice(address)));
    if (range === undefined) return undefined;
    found.push(range);
  }
  return found;
}

/** A window of a PCI host bridge. */
export interface PciWindow extends DtRange {
  /** The address on the PCI bus. */
  readonly pciBase: number;
  readonly prefetchable: boolean;
}

/** The memory windows of a PCI host bridge, in the order of its `ranges`; I/O windows are left out. */
export function pciMemoryWindows(tree: FdtTree, bridge: FdtNode): PciWindow[] {
  const ranges = fdt_property(bridge, "ranges");
  const parent = tree.parentOf(bridge);
  if (ranges === undefined || parent === undefined || ranges.value.length === 0) return [];
  const childCells = addressCells(tree, bridge);
  const parentCells = addressCells(tree, parent);
  const windows: PciWindow[] = [];
  for (const row of rowsOf(ranges, childCells + parentCells + sizeCells(tree, bridge))) {
    if ((row[0]! & PCI_SPACE_MEMORY) === 0) continue;
    const cpu = of_translate_address(tree, parent, row.slice(childCells, childCells + parentCells));
    const range = rangeOf(cpu, joinCells(row.slice(childCells + parentCells)));
    const pciBase = joinCells(row.slice(1, childCells));
    if (range !== undefined && pciBase <= BigInt(Number.MAX_SAFE_INTEGER))
      windows.push({ ...range, pciBase: Number(pciBase), prefetchable: (row[0]! & 0x4000_0000) !== 0 });
  }
  return windows;
}
