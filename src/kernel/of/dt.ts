// SPDX-License-Identifier: GPL-2.0-only
/**
 * The description of a machine: a device tree as plain data. References between nodes are labels instead of phandles,
 * and interrupts are the numbers the interrupt controller reports (32 and up for shared peripheral interrupts).
 *
 * What Linux 7.1 keeps as `struct device_node` (include/linux/of.h), with the properties that this kernel reads as fields;
 * unflatten.ts makes it from a blob. Left out: overlays, changes at run time.
 */

/** A reference to the node with that label, with its argument cells. */
export interface DtReference {
  readonly label: string;
  readonly args: readonly number[];
}

/** One row of `iommu-map` or `msi-map`: requester ids `ridBase … ridBase + length - 1` become `outBase …` at `label`. */
export interface DtIdMap {
  readonly ridBase: number;
  readonly label: string;
  readonly outBase: number;
  readonly length: number;
}

/** Any further property: true stands for one without value, a number for one cell, bytes for what is neither cells nor text. */
export type DtValue = string | number | boolean | readonly number[] | readonly string[] | readonly DtReference[] | Uint8Array;

/** An address range. */
export interface DtRange {
  readonly base: number;
  readonly size: number;
}

export interface DtNode {
  /** With unit address, as in `smmu@2b400000`. */
  readonly name: string;
  readonly label?: string;
  /** The number that a blob refers to the node by. */
  readonly phandle?: number;
  readonly compatible?: readonly string[];
  /** Default: `okay`. */
  readonly status?: "okay" | "disabled";
  readonly reg?: readonly DtRange[];
  readonly regNames?: readonly string[];
  readonly interrupts?: readonly number[];
  readonly interruptNames?: readonly string[];
  readonly iommus?: readonly DtReference[];
  readonly iommuMap?: readonly DtIdMap[];
  /** Bits of a requester id that `iommuMap` looks at. Absent: all. */
  readonly iommuMapMask?: number;
  readonly msiMap?: readonly DtIdMap[];
  readonly msiParent?: DtReference;
  readonly clocks?: readonly DtReference[];
  readonly powerDomains?: readonly DtReference[];
  readonly dmas?: readonly DtReference[];
  readonly dmaCoherent?: boolean;
  /** PCI host bridges: first and last bus number, and the memory windows, of which the first takes non-prefetchable BARs. */
  readonly busRange?: readonly [number, number];
  readonly ranges?: readonly DtRange[];
  /** Everything else, by its name in the binding: `base-spi`, `foo-supply`, … */
  readonly properties: Readonly<Record<string, DtValue>>;
  readonly children: readonly DtNode[];
}

/** Makes a node; what is left out is empty. */
export function dtNode(node: Omit<DtNode, "properties" | "children"> & Partial<Pick<DtNode, "properties" | "children">>): DtNode {
  return { properties: {}, children: [], ...node };
}

/** A property that is a list of references, or nothing. */
export function dt_references(value: DtValue | undefined): readonly DtReference[] {
  if (!Array.isArray(value)) return [];
  const found: DtReference[] = [];
  for (const item of value as readonly (number | string | DtReference)[]) if (typeof item === "object") found.push(item);
  return found;
}

/** A property that is one number, or undefined. */
export function dt_number(node: DtNode, property: string): number | undefined {
  const value = node.properties[property];
  return typeof value === "number" ? value : undefined;
}

/** Linux's `of_device_is_available`: not disabled. */
export function of_device_is_available(node: DtNode): boolean {
  return (node.status ?? "okay") === "okay";
}

/** Linux's `of_device_is_compatible`, with any of several strings. */
export function of_device_is_compatible(node: DtNode, ...compatible: readonly string[]): boolean {
  return node.compatible?.some((name) => compatible.includes(name)) ?? false;
}

/** The node and everything below it, depth first in the order of the tree. */
export function* of_walk(root: DtNode): Generator<DtNode, void, undefined> {
  yield root;
  for (const child of root.children) yield* of_walk(child);
}
