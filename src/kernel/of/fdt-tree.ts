// SPDX-License-Identifier: GPL-2.0-only
/** A flattened tree with what its walkers need: parents, paths, phandles, and properties as cells and strings. */
import { type Fdt, FdtError, type FdtNode, type FdtProperty } from "./fdt-format.ts";

export class FdtTree {
  readonly root: FdtNode;
  readonly #parents = new Map<FdtNode, FdtNode>();
  readonly #phandles = new Map<number, FdtNode>();
  readonly #paths = new Map<string, FdtNode>();

  /** @throws FdtError if two nodes have the same phandle */
  constructor(fdt: Fdt) {
    this.root = fdt.root;
    this.#enter(fdt.root, "");
  }

  #enter(node: FdtNode, path: string): void {
    this.#paths.set(path === "" ? "/" : path, node);
    const phandle = phandleOf(node);
    if (phandle !== undefined) {
      const other = this.#phandles.get(phandle);
      if (other) throw fdt_error(node, `"${node.name}" and "${other.name}" have the same phandle 0x${phandle.toString(16)}`);
      this.#phandles.set(phandle, node);
    }
    for (const child of node.children) {
      this.#parents.set(child, node);
      this.#enter(child, `${path}/${child.name}`);
    }
  }

  parentOf(node: FdtNode): FdtNode | undefined {
    return this.#parents.get(node);
  }

  byPhandle(phandle: number): FdtNode | undefined {
    return this.#phandles.get(phandle);
  }

  /** By its full path, as in `/soc/serial@1000`. */
  byPath(path: string): FdtNode | undefined {
    return this.#paths.get(path);
  }
}

/** What is wrong with a node or a property, at its place in the blob. */
export function fdt_error(at: FdtNode | FdtProperty, message: string): FdtError {
  return new FdtError(at.offset ?? 0, message);
}

export function fdt_property(node: FdtNode, name: string): FdtProperty | undefined {
  return node.properties.find((property) => property.name === name);
}

/** `phandle`, or `linux,phandle` of old compilers. */
export function phandleOf(node: FdtNode): number | undefined {
  return fdt_number(node, "phandle") ?? fdt_number(node, "linux,phandle");
}

/** The words of a value. @throws FdtError if it is not made of words */
export function fdt_cells(property: FdtProperty): number[] {
  const { name, value } = property;
  if (value.length % 4 !== 0) throw fdt_error(property, `property "${name}" has ${value.length} bytes, which are no 32-bit cells`);
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  return Array.from({ length: value.length / 4 }, (_cell, index) => view.getUint32(index * 4));
}

/** A property of one word. @throws FdtError if it has another size */
export function fdt_number(node: FdtNode, name: string): number | undefined {
  const property = fdt_property(node, name);
  if (property === undefined) return undefined;
  if (property.value.length !== 4) throw fdt_error(property, `property "${name}" has ${property.value.length} bytes, not one 32-bit cell`);
  return fdt_cells(property)[0]!;
}

/** The strings of a list. @throws FdtError if it is no list of strings */
export function fdt_strings(property: FdtProperty): string[] {
  const strings = textsOf(property.value);
  if (strings === undefined) throw fdt_error(property, `property "${property.name}" is no list of strings`);
  return strings;
}

/** Bytes as a list of strings: printable, none empty but an only one, each with its end. Undefined if they are none. */
export function textsOf(value: Uint8Array): string[] | undefined {
  if (value.length === 0 || value.at(-1) !== 0) return undefined;
  const strings = [""];
  for (const byte of value.subarray(0, -1)) {
    if (byte === 0) strings.push("");
    else if (byte >= 0x20 && byte <= 0x7e) strings[strings.length - 1] += String.fromCharCode(byte);
    else return undefined;
  }
  return strings.length > 1 && strings.includes("") ? undefined : strings;
}

/** A number of several cells, the most significant first. */
export function joinCells(cells: readonly number[]): bigint {
  return cells.reduce((value, cell) => (value << 32n) | BigInt(cell), 0n);
}
