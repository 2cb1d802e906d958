// SPDX-License-Identifier: GPL-2.0-only
/**
 * A flattened tree from the kernel's: the reverse of unflatten.ts, which reads it back the same. Addresses are written as
 * two cells, buses as mapping their children one to one (so that an address which a bus had left out becomes one), interrupts
 * in the three cells of a GIC (level, high). This has no counterpart in Linux, where the tree comes from outside.
 */
import { type DtIdMap, type DtNode, type DtReference, type DtValue, of_walk } from "./dt.ts";
import type { Fdt, FdtNode, FdtProperty, FdtReservation } from "./fdt-format.ts";
import { GIC_COMPATIBLE } from "./of-irq.ts";

const LEVEL_HIGH = 4;
const GIC_CELLS = 3;
/** The space code of PCI memory below 4 GiB, and beyond. */
const PCI_MEMORY32 = 0x0200_0000;
const PCI_MEMORY64 = 0x0300_0000;
const FOUR_GIB = 0x1_0000_0000;

function cellBytes(cells: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(cells.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [index, cell] of cells.entries()) view.setUint32(index * 4, cell);
  return bytes;
}

function textBytes(texts: readonly string[]): Uint8Array {
  return Uint8Array.from(texts.map((text) => `${text}\0`).join(""), (character) => character.charCodeAt(0));
}

/** A number as two cells. */
function wide(value: number): number[] {
  return [Math.floor(value / FOUR_GIB), value % FOUR_GIB];
}

/** The three cells of an interrupt number. @throws RangeError for one that is no peripheral's */
function gicCells(intid: number): number[] {
  if (intid >= 4096) return [2, intid - 4096, LEVEL_HIGH];
  if (intid >= 1056) return [3, intid - 1056, LEVEL_HIGH];
  if (intid >= 32) return [0, intid - 32, LEVEL_HIGH];
  if (intid >= 16) return [1, intid - 16, LEVEL_HIGH];
  throw new RangeError(`interrupt ${intid} is no peripheral's`);
}

function isPci(node: DtNode): boolean {
  return node.properties["device_type"] === "pci" || node.ranges !== undefined || node.iommuMap !== undefined;
}

class Flattener {
  readonly #root: DtNode;
  readonly #phandles = new Map<string, number>();
  readonly #byLabel = new Map<string, DtNode>();
  readonly #symbols: [label: string, path: string][] = [];
  readonly #gic: DtNode | undefined;

  constructor(root: DtNode) {
    this.#root = root;
    const nodes = [...of_walk(root)];
    this.#gic = nodes.find((node) => node.compatible?.some((name) => GIC_COMPATIBLE.includes(name)));
    for (const node of nodes) {
      if (node.label === undefined) continue;
      this.#byLabel.set(node.label, node);
      if (node.phandle !== undefined) this.#phandles.set(node.label, node.phandle);
    }
    let next = Math.max(0, ...this.#phandles.values());
    for (const { label } of nodes) if (label !== undefined && !this.#phandles.has(label)) this.#phandles.set(label, ++next);
  }

  root(): FdtNode {
    const root = this.#node(this.#root, "");
    if (this.#symbols.length === 0) return root;
    const properties = this.#symbols.map(([name, path]): FdtProperty => ({ name, value: textBytes([path]) }));
    return { ...root, children: [...root.children, { name: "__symbols__", properties, children: [] }] };
  }

  #reference({ label, args }: DtReference): number[] {
    const phandle = this.#phandles.get(label);
    if (phandle === undefined) throw new RangeError(`no node has the label ${label}`);
    return [phandle, ...args];
  }

  #node(node: DtNode, path: string): FdtNode {
    if (node.label !== undefined && !node.label.startsWith("phandle-0x")) this.#symbols.push([node.label, path]);
    const properties: FdtProperty[] = [];
    const add = (name: string, value: Uint8Array | undefined): void => {
      if (value) properties.push({ name, value });
    };
    const texts = (name: string, value: readonly string[] | undefined): void => add(name, value && textBytes(value));
    const references = (name: string, value: readonly DtReference[] | undefined): void =>
      add(name, value && cellBytes(value.flatMap((reference) => this.#reference(reference))));
    texts("compatible", node.compatible);
    if (node.status === "disabled") texts("status", ["disabled"]);
    add("reg", node.reg && cellBytes(node.reg.flatMap(({ base, size }) => [...wide(base), ...wide(size)])));
    texts("reg-names", node.regNames);
    this.#interrupts(node, add);
    texts("interrupt-names", node.interruptNames);
    references("iommus", node.iommus);
    references("clocks", node.clocks);
    references("power-domains", node.powerDomains);
    references("dmas", node.dmas);
    if (node.dmaCoherent) add("dma-coherent", new Uint8Array());
    if (node.msiParent) references("msi-parent", [node.msiParent]);
    this.#bus(node, add);
    for (const [name, value] of Object.entries(node.properties)) add(name, this.#value(node, name, value));
    const phandle = node.label === undefined ? node.phandle : this.#phandles.get(node.label);
    if (phandle !== undefined) add("phandle", cellBytes([phandle]));
    return { name: node.name, properties, children: node.children.map((child) => this.#node(child, `${path}/${child.name}`)) };
  }

  #interrupts(node: DtNode, add: (name: string, value: Uint8Array) => void): void {
    if (!node.interrupts) return;
    const gic = this.#gic?.label && this.#phandles.get(this.#gic.label);
    if (!gic) throw new RangeError(`${node.name} has interrupts, and the tree no GIC with a label`);
    // A fourth cell names a partition of processors, or none.
    const cells = this.#gic?.properties["#interrupt-cells"];
    const further = Array<number>(typeof cells === "number" ? Math.max(0, cells - GIC_CELLS) : 0).fill(0);
    add("interrupts-extended", cellBytes(node.interrupts.flatMap((intid) => [gic, ...gicCells(intid), ...further])));
  }

  /** How the children's addresses are written; a PCI host bridge's windows and maps. */
  #bus(node: DtNode, add: (name: string, value: Uint8Array | undefined) => void): void {
    if (isPci(node)) {
      add("bus-range", node.busRange && cellBytes(node.busRange));
      if (node.properties["device_type"] === undefined) add("device_type", textBytes(["pci"]));
      const window = ({ base, size }: { base: number; size: number }): number[] => {
        const space = base + size > FOUR_GIB ? PCI_MEMORY64 : PCI_MEMORY32;
        return [space, ...wide(base), ...wide(base), ...wide(size)];
      };
      add("ranges", cellBytes((node.ranges ?? []).flatMap(window)));
      const map = (rows: readonly DtIdMap[] | undefined): Uint8Array | undefined =>
        rows &&
        cellBytes(
          rows.flatMap(({ ridBase, label, outBase, length }) => [ridBase, ...this.#reference({ label, args: [] }), outBase, length]),
        );
      add("iommu-map", map(node.iommuMap));
      if (node.iommuMapMask !== undefined) add("iommu-map-mask", cellBytes([node.iommuMapMask]));
      add("msi-map", map(node.msiMap));
      if (node.properties["#address-cells"] === undefined) add("#address-cells", cellBytes([3]));
      if (node.properties["#size-cells"] === undefined) add("#size-cells", cellBytes([2]));
    } else if (this.#mapsChildren(node)) {
      add("#address-cells", cellBytes([2]));
      add("#size-cells", cellBytes([2]));
      if (node !== this.#root) add("ranges", new Uint8Array());
    }
  }

  /** Its children's addresses are the CPU's. */
  #mapsChildren(node: DtNode): boolean {
    return node.properties["#address-cells"] === undefined && (node === this.#root || node.children.some(({ reg }) => reg));
  }

  /** Cells in front of the parent in a row of an interrupt-map: a child's unit address and interrupt. */
  #childInterruptCells(node: DtNode): number {
    const { "#address-cells": address, "#interrupt-cells": interrupt } = node.properties;
    return (typeof address === "number" ? address : isPci(node) ? 3 : 2) + (typeof interrupt === "number" ? interrupt : 1);
  }

  /** The unit address of an interrupt controller in an interrupt-map: nothing, in as many cells as its node says. */
  #noAddress(label: string): number[] {
    const node = this.#byLabel.get(label);
    const cells = node?.properties["#address-cells"];
    return Array<number>(typeof cells === "number" ? cells : node && this.#mapsChildren(node) ? 2 : 0).fill(0);
  }

  #value(node: DtNode, name: string, value: DtValue): Uint8Array | undefined {
    if (value instanceof Uint8Array) return value;
    if (value === true) return new Uint8Array();
    if (value === false) return undefined;
    if (typeof value === "number") return cellBytes([value]);
    if (typeof value === "string") return textBytes([value]);
    // Rows of an interrupt-map have the parent in their middle, behind the child's address and interrupt.
    const before = name === "interrupt-map" ? this.#childInterruptCells(node) : undefined;
    const items: readonly (number | string | DtReference)[] = value;
    if (items.every((item) => typeof item === "string")) return textBytes(items);
    return cellBytes(
      items.flatMap((item) => {
        if (typeof item === "number") return [item];
        if (typeof item === "string") throw new RangeError(`property "${name}" mixes text and numbers`);
        const [phandle] = this.#reference({ label: item.label, args: [] });
        if (before === undefined) return [phandle!, ...item.args];
        return [...item.args.slice(0, before), phandle!, ...this.#noAddress(item.label), ...item.args.slice(before)];
      }),
    );
  }
}

/**
 * The flattened tree of the kernel's one.
 * @throws RangeError for references to labels that no node has, and interrupts without a GIC to report them
 */
export function flatten_device_tree(root: DtNode, reservations: readonly FdtReservation[] = []): Fdt {
  return { reservations, bootCpu: 0, root: new Flattener(root).root() };
}
