// SPDX-License-Identifier: GPL-2.0-only
/**
 * The kernel's tree from a flattened one. After Linux 7.1 drivers/of/fdt.c (unflatten_device_tree) and, for what Linux
 * works out when it is asked and this kernel once: drivers/of/base.c (of_parse_phandle_with_args, of_map_id),
 * drivers/of/address.c (of_dma_is_coherent), of-address.ts and of-irq.ts. Left out: `linux,phandle` beside `phandle`
 * with another value, `#iommu-cells` other than 1 in an iommu-map.
 *
 * References become labels: those of `__symbols__` where the compiler kept them, else `phandle-0x1c`. What a reference
 * leads to and is not there ends its list, as in Linux.
 */
import type { DtIdMap, DtNode, DtReference, DtValue } from "./dt.ts";
import { OPTIONAL_CELLS, referenceCells } from "./fdt-bindings.ts";
import type { Fdt, FdtNode, FdtProperty } from "./fdt-format.ts";
import { FdtTree, fdt_cells, fdt_error, fdt_number, fdt_property, fdt_strings, phandleOf, textsOf } from "./fdt-tree.ts";
import { isPciBus, pciMemoryWindows, rowsOf, translatedReg } from "./of-address.ts";
import { gicInterrupt, interruptMap, of_irq_parse, type OfInterrupt } from "./of-irq.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Cells of a row of `iommu-map` and `msi-map`: id, phandle, id there, count. */
const MAP_CELLS = 4;

/** Read as fields, or as part of them. `interrupt-parent` ends in each node's interrupts. */
const CONSUMED: ReadonlySet<string> = new Set([
  "phandle",
  "linux,phandle",
  "compatible",
  "status",
  "reg-names",
  "interrupts",
  "interrupts-extended",
  "interrupt-names",
  "interrupt-map",
  "interrupt-parent",
  "iommus",
  "iommu-map",
  "iommu-map-mask",
  "msi-map",
  "clocks",
  "power-domains",
  "dmas",
  "dma-coherent",
  "bus-range",
]);

/** The label of a phandle that no symbol names. */
export function phandleLabel(phandle: number): string {
  return `phandle-0x${phandle.toString(16)}`;
}

class Unflattener {
  readonly #tree: FdtTree;
  readonly #symbols = new Map<FdtNode, string>();

  constructor(fdt: Fdt) {
    this.#tree = new FdtTree(fdt);
    const symbols = fdt.root.children.find(({ name }) => name === "__symbols__");
    for (const property of symbols?.properties ?? []) {
      const node = this.#tree.byPath(fdt_strings(property)[0]!);
      if (node && !this.#symbols.has(node)) this.#symbols.set(node, property.name);
    }
  }

  root(): DtNode {
    return this.#node(this.#tree.root, false);
  }

  #label(node: FdtNode): string | undefined {
    const phandle = phandleOf(node);
    return this.#symbols.get(node) ?? (phandle === undefined ? undefined : phandleLabel(phandle));
  }

  #node(node: FdtNode, coherentAbove: boolean): DtNode {
    const tree = this.#tree;
    const made: Mutable<DtNode> & { properties: Record<string, DtValue> } = { name: node.name, properties: {}, children: [] };
    const label = this.#label(node);
    const phandle = phandleOf(node);
    if (label !== undefined) made.label = label;
    if (phandle !== undefined) made.phandle = phandle;
    const reg = translatedReg(tree, node);
    if (reg !== undefined) made.reg = reg;
    const coherent =
      fdt_property(node, "dma-noncoherent") === undefined && (coherentAbove || fdt_property(node, "dma-coherent") !== undefined);
    if (coherent) made.dmaCoherent = true;
    this.#fields(node, made);
    this.#interrupts(node, made);
    if (isPciBus(node)) this.#pci(node, made);
    const skipped = this.#busProperties(node);
    for (const property of node.properties) {
      if (CONSUMED.has(property.name) || skipped.includes(property.name) || (property.name === "reg" && reg !== undefined)) continue;
      if (property.name === "msi-parent" && made.msiParent !== undefined) continue;
      made.properties[property.name] = this.#value(node, property);
    }
    made.children = node.children
      .filter(({ name }) => !(node === tree.root && name === "__symbols__"))
      .map((child) => this.#node(child, coherent));
    return made;
  }

  #fields(node: FdtNode, made: Mutable<DtNode>): void {
    const strings = (name: string): string[] | undefined => {
      const property = fdt_property(node, name);
      return property && fdt_strings(property);
    };
    const [compatible, status, regNames, interruptNames] = ["compatible", "status", "reg-names", "interrupt-names"].map(strings);
    if (compatible) made.compatible = compatible;
    // Whatever is not okay is not there: disabled, reserved, fail, fail-….
    if (status && status[0] !== "okay" && status[0] !== "ok") made.status = "disabled";
    if (regNames) made.regNames = regNames;
    if (interruptNames) made.interruptNames = interruptNames;
    const references = (name: string): DtReference[] | undefined => {
      const property = fdt_property(node, name);
      return property && this.#references(property, referenceCells(name) ?? null);
    };
    const [iommus, clocks, powerDomains, dmas, msiParent] = ["iommus", "clocks", "power-domains", "dmas", "msi-parent"].map(references);
    if (iommus) made.iommus = iommus;
    if (clocks) made.clocks = clocks;
    if (powerDomains) made.powerDomains = powerDomains;
    if (dmas) made.dmas = dmas;
    if (msiParent?.length === 1) made.msiParent = msiParent[0]!;
  }

  /** INTIDs where all of a node's interrupts go to a GIC; else references to whom they go to. */
  #interrupts(node: FdtNode, made: Mutable<DtNode> & { properties: Record<string, DtValue> }): void {
    const found = of_irq_parse(this.#tree, node);
    const numbers = found.map((interrupt) => interrupt && gicInterrupt(interrupt));
    if (found.length > 0 && numbers.every((number) => number !== undefined)) made.interrupts = numbers;
    else if (found.length > 0)
      made.properties["interrupts-extended"] = found
        .filter((interrupt) => interrupt !== undefined)
        .flatMap((interrupt) => this.#controller(interrupt));
    const rows = interruptMap(this.#tree, node);
    if (rows.length > 0)
      made.properties["interrupt-map"] = rows.flatMap(({ child, parent, out, specifierAt }) =>
        this.#reference(parent, [...child, ...out.slice(specifierAt)]),
      );
  }

  #controller({ controller, cells }: OfInterrupt): DtReference[] {
    return this.#reference(controller, cells);
  }

  #reference(node: FdtNode, args: readonly number[]): DtReference[] {
    const label = this.#label(node);
    return label === undefined ? [] : [{ label, args }];
  }

  #pci(node: FdtNode, made: Mutable<DtNode>): void {
    const busRange = fdt_property(node, "bus-range");
    if (busRange) {
      const [first, last] = fdt_cells(busRange);
      if (first === undefined || last === undefined) throw fdt_error(busRange, `property "bus-range" is not two cells`);
      made.busRange = [first, last];
    }
    const windows = pciMemoryWindows(this.#tree, node).filter(({ pciBase, base }) => pciBase === base);
    if (windows.length > 0) made.ranges = windows.map(({ base, size }) => ({ base, size }));
    const iommuMap = this.#idMap(node, "iommu-map");
    const msiMap = this.#idMap(node, "msi-map");
    if (iommuMap) made.iommuMap = iommuMap;
    if (msiMap) made.msiMap = msiMap;
    const mask = fdt_number(node, "iommu-map-mask");
    if (mask !== undefined) made.iommuMapMask = mask;
  }

  #idMap(node: FdtNode, name: string): DtIdMap[] | undefined {
    const property = fdt_property(node, name);
    if (property === undefined) return undefined;
    return rowsOf(property, MAP_CELLS).flatMap(([ridBase, phandle, outBase, length]) => {
      const target = this.#tree.byPhandle(phandle!);
      const label = target && this.#label(target);
      return label === undefined ? [] : [{ ridBase: ridBase!, label, outBase: outBase!, length: length! }];
    });
  }

  /** What says how the children's addresses are written, where they have become the CPU's. */
  #busProperties(node: FdtNode): readonly string[] {
    const mapped = fdt_property(node, "ranges") !== undefined && node.children.some((child) => translatedReg(this.#tree, child));
    return node === this.#tree.root || isPciBus(node) || mapped ? ["#address-cells", "#size-cells", "ranges"] : [];
  }

  #references(property: FdtProperty, cellsProperty: string | null): DtReference[] {
    const cells = fdt_cells(property);
    const found: DtReference[] = [];
    for (let at = 0; at < cells.length;) {
      const phandle = cells[at]!;
      // A gap in a list of which some are optional.
      if (phandle === 0) {
        at++;
        continue;
      }
      const target = this.#tree.byPhandle(phandle);
      if (target === undefined) break;
      const count =
        cellsProperty === null ? 0 : (fdt_number(target, cellsProperty) ?? (OPTIONAL_CELLS.includes(cellsProperty) ? 0 : undefined));
      if (count === undefined) break;
      if (at + 1 + count > cells.length)
        throw fdt_error(property, `property "${property.name}" ends inside a reference to "${target.name}", which takes ${count} cells`);
      found.push(...this.#reference(target, cells.slice(at + 1, at + 1 + count)));
      at += 1 + count;
    }
    return found;
  }

  /** Text where it reads as text, else cells, else bytes. A property's type stands nowhere in the blob. */
  #value(node: FdtNode, property: FdtProperty): DtValue {
    const { name, value } = property;
    if (value.length === 0) return true;
    // A hog's GPIOs are its parent's, and no references.
    const cellsProperty = fdt_property(node, "gpio-hog") ? undefined : referenceCells(name);
    if (cellsProperty !== undefined && value.length % 4 === 0) return this.#references(property, cellsProperty);
    const texts = textsOf(value);
    if (texts) return texts.length === 1 ? texts[0]! : texts;
    if (value.length % 4 !== 0) return value;
    const cells = fdt_cells(property);
    return cells.length === 1 ? cells[0]! : cells;
  }
}

/**
 * The kernel's tree of a flattened one.
 * @throws FdtError naming the byte where a property that must be understood makes no sense
 */
export function unflatten_device_tree(fdt: Fdt): DtNode {
  return new Unflattener(fdt).root();
}
