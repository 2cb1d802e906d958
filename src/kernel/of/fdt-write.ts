// SPDX-License-Identifier: GPL-2.0-only
/**
 * Writes a flattened device tree of version 17 in the layout of Linux's scripts/dtc: header, reservations, structure,
 * strings, nothing between and behind them. A name that another one ends with shares its bytes, as there, so a blob that
 * dtc made is written back byte for byte.
 */
import {
  type Fdt,
  FDT_HEADER,
  FDT_HEADER_BYTES,
  FDT_LAST_COMPATIBLE,
  FDT_MAGIC,
  FDT_MAX_DEPTH,
  FDT_RESERVE_BYTES,
  FDT_TOKEN,
  FDT_VERSION,
  type FdtNode,
} from "./fdt-format.ts";

const align4 = (length: number): number => (length + 3) & ~3;

/** The strings block: each name once, at the first place where it can be read. */
class Strings {
  #text = "";
  readonly #places = new Map<string, number>();

  place(name: string): number {
    const known = this.#places.get(name);
    if (known !== undefined) return known;
    let at = this.#text.indexOf(`${name}\0`);
    if (at < 0) {
      at = this.#text.length;
      this.#text += `${name}\0`;
    }
    this.#places.set(name, at);
    return at;
  }

  get text(): string {
    return this.#text;
  }
}

/** Bytes of a node in the structure block. @throws RangeError for a tree deeper than the format's readers take */
function sizeOf(node: FdtNode, depth: number): number {
  if (depth >= FDT_MAX_DEPTH) throw new RangeError(`nodes are nested deeper than ${FDT_MAX_DEPTH}`);
  let size = 8 + align4(node.name.length + 1);
  for (const { value } of node.properties) size += 12 + align4(value.length);
  for (const child of node.children) size += sizeOf(child, depth + 1);
  return size;
}

class Writer {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
    this.#view = new DataView(this.bytes.buffer);
  }

  word(value: number): void {
    this.#view.setUint32(this.#at, value);
    this.#at += 4;
  }

  long(value: bigint): void {
    this.#view.setBigUint64(this.#at, value);
    this.#at += 8;
  }

  /** Followed by zeros up to the next word. */
  padded(value: Uint8Array): void {
    this.bytes.set(value, this.#at);
    this.#at += align4(value.length);
  }

  node(node: FdtNode, strings: Strings): void {
    this.word(FDT_TOKEN.beginNode);
    this.padded(ascii(`${node.name}\0`));
    for (const { name, value } of node.properties) {
      this.word(FDT_TOKEN.prop);
      this.word(value.length);
      this.word(strings.place(name));
      this.padded(value);
    }
    for (const child of node.children) this.node(child, strings);
    this.word(FDT_TOKEN.endNode);
  }
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function collectNames(node: FdtNode, strings: Strings): void {
  for (const { name } of node.properties) strings.place(name);
  for (const child of node.children) collectNames(child, strings);
}

/** The blob of a tree. @throws RangeError if it is nested deeper than 64 nodes */
export function fdt_write(fdt: Fdt): Uint8Array {
  const strings = new Strings();
  collectNames(fdt.root, strings);
  const structureAt = FDT_HEADER_BYTES + (fdt.reservations.length + 1) * FDT_RESERVE_BYTES;
  const structureSize = sizeOf(fdt.root, 0) + 4;
  const stringsAt = structureAt + structureSize;
  const total = stringsAt + strings.text.length;
  const header: Record<keyof typeof FDT_HEADER, number> = {
    magic: FDT_MAGIC,
    totalsize: total,
    off_dt_struct: structureAt,
    off_dt_strings: stringsAt,
    off_mem_rsvmap: FDT_HEADER_BYTES,
    version: FDT_VERSION,
    last_comp_version: FDT_LAST_COMPATIBLE,
    boot_cpuid_phys: fdt.bootCpu,
    size_dt_strings: strings.text.length,
    size_dt_struct: structureSize,
  };
  const writer = new Writer(total);
  for (const name of Object.keys(FDT_HEADER) as (keyof typeof FDT_HEADER)[]) writer.word(header[name]);
  for (const { address, size } of [...fdt.reservations, { address: 0n, size: 0n }]) {
    writer.long(address);
    writer.long(size);
  }
  writer.node(fdt.root, strings);
  writer.word(FDT_TOKEN.end);
  writer.bytes.set(ascii(strings.text), stringsAt);
  return writer.bytes;
}
