// SPDX-License-Identifier: GPL-2.0-only
/**
 * Interrupts of a flattened tree. After Linux 7.1 drivers/of/irq.c: of_irq_find_parent, of_irq_parse_one,
 * of_irq_parse_raw, and the translation of drivers/irqchip/irq-gic{,-v3}.c. Left out: interrupts with several parents of
 * which only one exists, `interrupts` behind more than one kind of GIC.
 */
import type { FdtNode } from "./fdt-format.ts";
import { addressCells } from "./of-address.ts";
import { type FdtTree, fdt_cells, fdt_error, fdt_number, fdt_property, fdt_strings } from "./fdt-tree.ts";

/** Interrupt controllers whose three cells are type, number and trigger. */
export const GIC_COMPATIBLE: readonly string[] = ["arm,gic-v3", "arm,gic-400", "arm,cortex-a15-gic", "arm,cortex-a9-gic"];

/** First interrupt number of each type: SPI, PPI, extended SPI, extended PPI. */
const GIC_TYPES: readonly number[] = [32, 16, 4096, 1056];
/** No chain of nexus nodes is longer. */
const MOST_STEPS = 16;

/** An interrupt at its controller. */
export interface OfInterrupt {
  readonly controller: FdtNode;
  readonly cells: readonly number[];
}

function isController(node: FdtNode): boolean {
  return fdt_property(node, "interrupt-controller") !== undefined;
}

export function isGic(node: FdtNode): boolean {
  const compatible = fdt_property(node, "compatible");
  return compatible !== undefined && fdt_strings(compatible).some((name) => GIC_COMPATIBLE.includes(name));
}

/** Linux's `of_irq_find_parent`: whom a node's `interrupts` go to. */
export function of_irq_find_parent(tree: FdtTree, node: FdtNode): FdtNode | undefined {
  for (let at: FdtNode | undefined = node; at; at = tree.parentOf(at)) {
    const phandle = fdt_number(at, "interrupt-parent");
    if (phandle !== undefined) {
      const found = tree.byPhandle(phandle);
      return found === node ? undefined : found;
    }
    const parent: FdtNode | undefined = tree.parentOf(at);
    if (parent && (isController(parent) || fdt_property(parent, "interrupt-map"))) return parent;
  }
  return undefined;
}

/** One row of `interrupt-map`. */
export interface InterruptMapRow {
  readonly child: readonly number[];
  readonly parent: FdtNode;
  /** Unit address and specifier at the parent. */
  readonly out: readonly number[];
  readonly specifierAt: number;
}

/** The rows of a nexus node up to one whose parent does not exist. @throws FdtError if a row is cut short */
export function interruptMap(tree: FdtTree, nexus: FdtNode): InterruptMapRow[] {
  const map = fdt_property(nexus, "interrupt-map");
  if (map === undefined) return [];
  const cells = fdt_cells(map);
  const childCells = addressCells(nexus) + (fdt_number(nexus, "#interrupt-cells") ?? 1);
  const rows: InterruptMapRow[] = [];
  for (let at = 0; at < cells.length;) {
    const parent = tree.byPhandle(cells[at + childCells] ?? 0);
    if (parent === undefined) break;
    // A controller that says nothing about addresses has none here, other than a bus.
    const specifierAt = fdt_number(parent, "#address-cells") ?? 0;
    const end = at + childCells + 1 + specifierAt + (fdt_number(parent, "#interrupt-cells") ?? 1);
    if (end > cells.length) throw fdt_error(map, `property "interrupt-map" ends inside a row`);
    rows.push({ child: cells.slice(at, at + childCells), parent, out: cells.slice(at + childCells + 1, end), specifierAt });
    at = end;
  }
  return rows;
}

/** Linux's `of_irq_parse_raw`: through nexus nodes to the controller. @param address the unit address at `controller` */
function parseRaw(tree: FdtTree, controller: FdtNode, address: readonly number[], specifier: readonly number[]): OfInterrupt | undefined {
  let at = controller;
  let cells = specifier;
  let unit = address;
  for (let step = 0; step < MOST_STEPS; step++) {
    const rows = interruptMap(tree, at);
    if (rows.length === 0) return isController(at) ? { controller: at, cells } : undefined;
    const maskProperty = fdt_property(at, "interrupt-map-mask");
    const mask = maskProperty ? fdt_cells(maskProperty) : [];
    const wanted = [...unit, ...cells];
    const row = rows.find(({ child }) => child.every((cell, index) => ((cell ^ (wanted[index] ?? 0)) & (mask[index] ?? ~0)) === 0));
    if (row === undefined) return undefined;
    at = row.parent;
    unit = row.out.slice(0, row.specifierAt);
    cells = row.out.slice(row.specifierAt);
  }
  return undefined;
}

/** The interrupts of a node, at their controllers; undefined in the place of one that leads nowhere. */
export function of_irq_parse(tree: FdtTree, node: FdtNode): (OfInterrupt | undefined)[] {
  const extended = fdt_property(node, "interrupts-extended");
  if (extended) return parseExtended(tree, fdt_cells(extended));
  const interrupts = fdt_property(node, "interrupts");
  const parent = interrupts && of_irq_find_parent(tree, node);
  if (interrupts === undefined || parent === undefined) return [];
  const size = fdt_number(parent, "#interrupt-cells") ?? 1;
  const cells = fdt_cells(interrupts);
  if (size === 0 || cells.length % size !== 0)
    throw fdt_error(interrupts, `property "interrupts" has ${cells.length} cells, "${parent.name}" takes ${size} for each`);
  const reg = fdt_property(node, "reg");
  const unit = fdt_property(parent, "interrupt-map") && reg ? fdt_cells(reg).slice(0, addressCells(parent)) : [];
  return Array.from({ length: cells.length / size }, (_interrupt, index) =>
    parseRaw(tree, parent, unit, cells.slice(index * size, (index + 1) * size)),
  );
}

function parseExtended(tree: FdtTree, cells: readonly number[]): (OfInterrupt | undefined)[] {
  const found: (OfInterrupt | undefined)[] = [];
  for (let at = 0; at < cells.length;) {
    const controller = tree.byPhandle(cells[at]!);
    if (controller === undefined) break;
    const end = at + 1 + (fdt_number(controller, "#interrupt-cells") ?? 1);
    found.push(parseRaw(tree, controller, [], cells.slice(at + 1, end)));
    at = end;
  }
  return found;
}

/** The number that a GIC reports. @returns undefined for an interrupt of another controller, or of an unknown type */
export function gicInterrupt({ controller, cells }: OfInterrupt): number | undefined {
  const base = GIC_TYPES[cells[0] ?? -1];
  return isGic(controller) && base !== undefined && cells[1] !== undefined ? base + cells[1] : undefined;
}
