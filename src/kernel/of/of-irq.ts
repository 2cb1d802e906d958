// SPDX-License-Identifier: GPL-2.0-only
/**
 * Interrupts of a flattened tree. After Linux 7.1 drivers/of/irq.c: of_irq_find_parent, of_irq_parse_one,
 * of_irq_parse_raw, of_irq_parse_imap_parent, of_imap_parser_init, and the translation of drivers/irqchip/irq-gic{,-v3}.c.
 * Left out: interrupts with several parents of which only one exists, `interrupts` behind more than one kind of GIC,
 * workarounds of PowerPC.
 */
import type { FdtNode, FdtProperty } from "./fdt-format.ts";
import { addressCells, inheritedAddressCells } from "./of-address.ts";
import { type FdtTree, fdt_cells, fdt_error, fdt_number, fdt_property, fdt_strings } from "./fdt-tree.ts";

/** Interrupt controllers whose three cells are type, number and trigger. */
export const GIC_COMPATIBLE: readonly string[] = ["arm,gic-v3", "arm,gic-400", "arm,cortex-a15-gic", "arm,cortex-a9-gic"];

/** First interrupt number of each type: SPI, PPI, extended SPI, extended PPI. */
const GIC_TYPES: readonly number[] = [32, 16, 4096, 1056];
/** No chain of nexus nodes is longer. */
const MOST_STEPS = 16;
const MAX_PHANDLE_ARGS = 16;
/** of_irq_parse_one looks at no more of `reg`. */
const MOST_UNIT_CELLS = 3;
/** Of a parent where neither it nor anything above it has `#address-cells`. */
const UNSAID_ADDRESS_CELLS = 2;
/** `of_irq_imap_abusers`: controllers whose `interrupt-map` is their driver's own. */
const IMAP_ABUSERS: readonly string[] = [
  "CBEA,platform-spider-pic",
  "sti,platform-spider-pic",
  "realtek,rtl-intc",
  "fsl,ls1021a-extirq",
  "fsl,ls1043a-extirq",
  "fsl,ls1088a-extirq",
  "renesas,rza1-irqc",
  "pasemi,rootbus",
];

/** An interrupt at its controller. */
export interface OfInterrupt {
  readonly controller: FdtNode;
  readonly cells: readonly number[];
}

function isController(node: FdtNode): boolean {
  return fdt_property(node, "interrupt-controller") !== undefined;
}

function compatibleWith(node: FdtNode, name: string): boolean {
  const compatible = fdt_property(node, "compatible");
  return compatible !== undefined && fdt_strings(compatible).includes(name);
}

export function isGic(node: FdtNode): boolean {
  return GIC_COMPATIBLE.some((name) => compatibleWith(node, name));
}

/** Linux's `of_irq_find_parent`: whom a node's `interrupts` go to. A node without `#interrupt-cells` is passed by. */
export function of_irq_find_parent(tree: FdtTree, child: FdtNode): FdtNode | undefined {
  const passed = new Set<FdtNode>();
  for (let at: FdtNode | undefined = child; at && !passed.has(at);) {
    passed.add(at);
    const phandle = fdt_number(at, "interrupt-parent");
    at = phandle === undefined ? tree.parentOf(at) : tree.byPhandle(phandle);
    if (at && fdt_property(at, "#interrupt-cells")) return at;
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

/**
 * The rows of a nexus node, up to one whose parent does not exist or takes no interrupts (`of_irq_parse_imap_parent`).
 * @param childCells cells of a unit address and a specifier of its children @throws FdtError if a row is cut short
 */
function mapRows(tree: FdtTree, map: FdtProperty, childCells: number): InterruptMapRow[] {
  const cells = fdt_cells(map);
  const rows: InterruptMapRow[] = [];
  for (let at = 0; at < cells.length;) {
    const parent = tree.byPhandle(cells[at + childCells] ?? 0);
    const size = parent && fdt_number(parent, "#interrupt-cells");
    if (parent === undefined || size === undefined) break;
    // A parent that says nothing about addresses has none here, whatever stands above it.
    const specifierAt = fdt_number(parent, "#address-cells") ?? 0;
    const end = at + childCells + 1 + specifierAt + size;
    if (end > cells.length) throw fdt_error(map, `property "interrupt-map" ends inside a row`);
    rows.push({ child: cells.slice(at, at + childCells), parent, out: cells.slice(at + childCells + 1, end), specifierAt });
    at = end;
  }
  return rows;
}

/** Linux's `of_imap_parser`: the rows of a nexus node. @throws FdtError if a row is cut short */
export function interruptMap(tree: FdtTree, nexus: FdtNode): InterruptMapRow[] {
  const map = fdt_property(nexus, "interrupt-map");
  const size = fdt_number(nexus, "#interrupt-cells");
  return map === undefined || size === undefined ? [] : mapRows(tree, map, addressCells(tree, nexus) + size);
}

function available(node: FdtNode): boolean {
  const status = fdt_property(node, "status");
  return status === undefined || ["okay", "ok"].includes(fdt_strings(status)[0]!);
}

/** Linux's `of_irq_parse_raw`: through nexus nodes to the controller. @param reg the cells of the device's `reg`: its unit address */
function parseRaw(tree: FdtTree, first: FdtNode, reg: readonly number[], specifier: readonly number[]): OfInterrupt | undefined {
  // Where the first one is silent, those above it count; a row of a map says for itself.
  const addressSize = inheritedAddressCells(tree, first) ?? UNSAID_ADDRESS_CELLS;
  if (addressSize + specifier.length > MAX_PHANDLE_ARGS) return undefined;
  let unit: readonly number[] = Array.from({ length: addressSize }, (_cell, index) => reg[index] ?? 0);
  let cells = specifier;
  let at: FdtNode | undefined = first;
  for (let step = 0; at && step < MOST_STEPS; step++) {
    const map = fdt_property(at, "interrupt-map");
    if (isController(at) && (!map || IMAP_ABUSERS.some((name) => compatibleWith(at!, name)))) return { controller: at, cells };
    if (map === undefined) {
      at = of_irq_find_parent(tree, at);
      continue;
    }
    const maskProperty = fdt_property(at, "interrupt-map-mask");
    const mask = maskProperty ? fdt_cells(maskProperty) : [];
    const wanted = [...unit, ...cells];
    const matches = ({ child, parent }: InterruptMapRow): boolean =>
      child.every((cell, index) => ((cell ^ wanted[index]!) & (mask[index] ?? ~0)) === 0) && available(parent);
    const row = mapRows(tree, map, wanted.length).find(matches);
    if (row === undefined) return undefined;
    unit = row.out.slice(0, row.specifierAt);
    cells = row.out.slice(row.specifierAt);
    // To itself: it is the controller, and takes part in the map for others.
    if (row.parent === at) return { controller: at, cells };
    at = row.parent;
  }
  return undefined;
}

/** The interrupts of a node, at their controllers; undefined in the place of one that leads nowhere. */
export function of_irq_parse(tree: FdtTree, node: FdtNode): (OfInterrupt | undefined)[] {
  const reg = fdt_property(node, "reg");
  const unit = reg ? fdt_cells(reg).slice(0, MOST_UNIT_CELLS) : [];
  const extended = fdt_property(node, "interrupts-extended");
  if (extended) return parseExtended(tree, unit, fdt_cells(extended));
  const interrupts = fdt_property(node, "interrupts");
  const parent = interrupts && of_irq_find_parent(tree, node);
  if (interrupts === undefined || parent === undefined) return [];
  const size = fdt_number(parent, "#interrupt-cells")!;
  const cells = fdt_cells(interrupts);
  if (size === 0 || cells.length % size !== 0)
    throw fdt_error(interrupts, `property "interrupts" has ${cells.length} cells, "${parent.name}" takes ${size} for each`);
  return Array.from({ length: cells.length / size }, (_interrupt, index) =>
    parseRaw(tree, parent, unit, cells.slice(index * size, (index + 1) * size)),
  );
}

function parseExtended(tree: FdtTree, unit: readonly number[], cells: readonly number[]): (OfInterrupt | undefined)[] {
  const found: (OfInterrupt | undefined)[] = [];
  for (let at = 0; at < cells.length;) {
    const controller = tree.byPhandle(cells[at]!);
    const size = controller && fdt_number(controller, "#interrupt-cells");
    if (controller === undefined || size === undefined) break;
    const end = at + 1 + size;
    found.push(parseRaw(tree, controller, unit, cells.slice(at + 1, end)));
    at = end;
  }
  return found;
}

/** The number that a GIC reports. @returns undefined for an interrupt of another controller, or of an unknown type */
export function gicInterrupt({ controller, cells }: OfInterrupt): number | undefined {
  const base = GIC_TYPES[cells[0] ?? -1];
  return isGic(controller) && base !== undefined && cells[1] !== undefined ? base + cells[1] : undefined;
}
