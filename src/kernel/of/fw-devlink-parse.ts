// SPDX-License-Identifier: GPL-2.0-only
/**
 * From a node's properties to who supplies it, after Linux 7.1 drivers/of/property.c: of_fwnode_add_links, of_link_property,
 * of_link_to_phandle. An interrupt's supplier is the `interrupt-parent` of the node or of the next ancestor that has one.
 * Left out: interrupts that go through an `interrupt-map` of an ancestor, bindings of subsystems' own.
 */
import { type DtNode, type DtReference, type DtValue, dt_references, of_device_is_available } from "./dt.ts";
import { SUPPLIER_BINDINGS, type SupplierBinding } from "./fw-devlink-bindings.ts";

/** What is asked of the tree that the nodes belong to. */
export interface NodeLookup {
  byLabel(label: string): DtNode | null;
  parentOf(node: DtNode): DtNode | null;
  /** Whether a device was made of the node. */
  hasDevice(node: DtNode): boolean;
}

/** A reference that makes one node the consumer of another. */
export interface SupplierReference {
  readonly consumer: DtNode;
  readonly supplier: DtNode;
  readonly ignore: boolean;
}

type Property = readonly [name: string, references: readonly { readonly label: string }[]];

/** The references of every property, by the name of the binding. */
function properties(node: DtNode): Property[] {
  const structured: readonly (readonly [string, readonly { readonly label: string }[] | undefined])[] = [
    ["clocks", node.clocks],
    ["power-domains", node.powerDomains],
    ["iommus", node.iommus],
    ["iommu-map", node.iommuMap],
    ["dmas", node.dmas],
    ["msi-parent", node.msiParent && [node.msiParent]],
  ];
  const found: Property[] = [];
  for (const [name, references] of structured) if (references && references.length > 0) found.push([name, references]);
  for (const [name, value] of Object.entries(node.properties)) found.push([name, dt_references(value)]);
  if (node.interrupts && node.interrupts.length > 0) found.push(["interrupts", []]);
  return found;
}

function takes(binding: SupplierBinding, name: string, node: DtNode): boolean {
  if (binding.except !== undefined && name.endsWith(binding.except)) return false;
  if (binding.exceptNodesWith !== undefined && node.properties[binding.exceptNodesWith] !== undefined) return false;
  if (binding.match === "suffix") return name.endsWith(binding.property) && name.length > binding.property.length;
  if (binding.match === "prefix-digit") return name.startsWith(binding.property) && /[0-9]/.test(name[binding.property.length] ?? "");
  return name === binding.property;
}

/** Linux's `of_graph_get_port_parent`: the device whose endpoint this is. */
function portParent(endpoint: DtNode, tree: NodeLookup): DtNode | null {
  const port = tree.parentOf(endpoint);
  const above = port && tree.parentOf(port);
  return above?.name.split("@")[0] === "ports" ? tree.parentOf(above) : above;
}

/** The interrupt controller of a node (`of_irq_find_parent`). */
function interruptParent(node: DtNode, tree: NodeLookup): DtNode | null {
  for (let at: DtNode | null = node; at; at = tree.parentOf(at)) {
    const value: DtValue | undefined = at.properties["interrupt-parent"];
    const reference: DtReference | undefined = dt_references(value)[0];
    if (reference) return tree.byLabel(reference.label);
  }
  return null;
}

/** A supplier that is disabled, or sits below something disabled, never comes: no link. */
function isAvailable(node: DtNode, tree: NodeLookup): boolean {
  for (let at: DtNode | null = node; at && !tree.hasDevice(at); at = tree.parentOf(at)) if (!of_device_is_available(at)) return false;
  return true;
}

/** Who supplies `node`, by the properties in their order. */
export function supplierReferences(node: DtNode, tree: NodeLookup, strict: boolean): SupplierReference[] {
  const found: SupplierReference[] = [];
  for (const [name, references] of properties(node)) {
    const binding = SUPPLIER_BINDINGS.find((row) => takes(row, name, node));
    if (!binding || (binding.optional && !strict)) continue;
    const suppliers = name === "interrupts" ? [interruptParent(node, tree)] : references.map(({ label }) => tree.byLabel(label));
    for (const named of suppliers) {
      const supplier = named && binding.graph ? portParent(named, tree) : named;
      const consumer = binding.graph ? portParent(node, tree) : node;
      if (supplier && consumer && isAvailable(supplier, tree)) found.push({ consumer, supplier, ignore: binding.ignore ?? false });
    }
  }
  return found;
}
