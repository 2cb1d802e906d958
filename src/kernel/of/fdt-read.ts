// SPDX-License-Identifier: GPL-2.0-only
/**
 * Reads a flattened device tree, versions 16 and 17, as Linux's scripts/dtc/libfdt does in its full checks: blocks inside
 * the blob, names that end, properties before subnodes, one END at the end. Left out: versions before 16, whose nodes
 * carry full paths.
 */
import {
  type Fdt,
  FDT_HEADER,
  FDT_LAST_COMPATIBLE,
  FDT_MAGIC,
  FDT_MAX_DEPTH,
  FDT_RESERVE_BYTES,
  FDT_TOKEN,
  FDT_VERSION,
  FdtError,
  type FdtNode,
  type FdtProperty,
  type FdtReservation,
} from "./fdt-format.ts";

/** A node while its end has not come yet. */
interface OpenNode {
  readonly name: string;
  readonly offset: number;
  readonly properties: FdtProperty[];
  readonly children: FdtNode[];
  /** Names seen so far: a property's as it is, a child's behind a slash. */
  readonly seen: Set<string>;
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #end: number;
  #at = 0;
  #stringsAt = 0;
  #stringsEnd = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = bytes.length;
  }

  read(): Fdt {
    const version = this.#checkHeader();
    const structure = this.#field("off_dt_struct");
    const strings = this.#field("off_dt_strings");
    if (structure % 4 !== 0)
      throw new FdtError(FDT_HEADER.off_dt_struct, `the structure block at 0x${structure.toString(16)} is not aligned to 4`);
    this.#stringsAt = strings;
    this.#stringsEnd = this.#block("off_dt_strings", strings, this.#field("size_dt_strings"));
    const reservations = this.#reservations();
    const structureEnd =
      version >= 17
        ? this.#block("off_dt_struct", structure, this.#field("size_dt_struct"))
        : this.#block("off_dt_struct", structure, 0, this.#end);
    return { reservations, bootCpu: this.#field("boot_cpuid_phys"), root: this.#tree(structure, structureEnd) };
  }

  #checkHeader(): number {
    if (this.#end < FDT_HEADER.size_dt_struct)
      throw new FdtError(this.#end, `the blob ends inside its header, which is ${FDT_HEADER.size_dt_struct + 4} bytes`);
    const magic = this.#field("magic");
    if (magic !== FDT_MAGIC) throw new FdtError(0, `no device tree blob: it begins with 0x${magic.toString(16)}, not with 0xd00dfeed`);
    const version = this.#field("version");
    const compatible = this.#field("last_comp_version");
    if (version < FDT_LAST_COMPATIBLE || compatible > FDT_VERSION)
      throw new FdtError(FDT_HEADER.version, `version ${version} (readable as ${compatible}) is not read, only 16 and 17`);
    const total = this.#field("totalsize");
    if (total > this.#end) throw new FdtError(FDT_HEADER.totalsize, `the header says ${total} bytes, the blob has ${this.#end}`);
    const least = version >= 17 ? FDT_HEADER.size_dt_struct + 4 : FDT_HEADER.size_dt_struct;
    if (total < least) throw new FdtError(FDT_HEADER.totalsize, `a total size of ${total} bytes holds no header`);
    this.#end = total;
    return version;
  }

  #field(name: keyof typeof FDT_HEADER): number {
    return this.#view.getUint32(FDT_HEADER[name]);
  }

  /** @returns the end of a block, which lies inside the blob */
  #block(field: keyof typeof FDT_HEADER, start: number, size: number, end: number = start + size): number {
    if (start > end || end > this.#end)
      throw new FdtError(
        FDT_HEADER[field],
        `the block at 0x${start.toString(16)} ends beyond the blob's 0x${this.#end.toString(16)} bytes`,
      );
    return end;
  }

  #reservations(): FdtReservation[] {
    const start = this.#field("off_mem_rsvmap");
    if (start % 8 !== 0)
      throw new FdtError(FDT_HEADER.off_mem_rsvmap, `the reservation block at 0x${start.toString(16)} is not aligned to 8`);
    const found: FdtReservation[] = [];
    for (let at = start; ; at += FDT_RESERVE_BYTES) {
      if (at + FDT_RESERVE_BYTES > this.#end) throw new FdtError(at, "the memory reservation block has no end");
      const address = this.#view.getBigUint64(at);
      const size = this.#view.getBigUint64(at + 8);
      if (address === 0n && size === 0n) return found;
      found.push({ address, size });
    }
  }

  #tree(start: number, end: number): FdtNode {
    this.#at = start;
    const stack: OpenNode[] = [];
    for (;;) {
      const at = this.#at;
      if (at + 4 > end) throw new FdtError(at, "the structure block ends inside the tree");
      const token = this.#view.getUint32(at);
      this.#at += 4;
      const open = stack.at(-1);
      if (token === FDT_TOKEN.nop) continue;
      if (token === FDT_TOKEN.beginNode) {
        stack.push(this.#begin(at, end, stack));
      } else if (!open) {
        throw new FdtError(at, `token 0x${token.toString(16)} stands before the root node`);
      } else if (token === FDT_TOKEN.prop) {
        this.#property(at, end, open);
      } else if (token === FDT_TOKEN.endNode) {
        stack.pop();
        const node: FdtNode = { name: open.name, properties: open.properties, children: open.children, offset: open.offset };
        const parent = stack.at(-1);
        if (parent) parent.children.push(node);
        else {
          this.#finish(end);
          return node;
        }
      } else {
        throw new FdtError(
          at,
          token === FDT_TOKEN.end ? `the tree ends inside node "${open.name}"` : `unknown token 0x${token.toString(16)}`,
        );
      }
    }
  }

  #begin(at: number, end: number, stack: readonly OpenNode[]): OpenNode {
    const name = this.#text(this.#at, end, "a node's name");
    const parent = stack.at(-1);
    if (parent === undefined && name !== "") throw new FdtError(at, `the root node has the name "${name}"`);
    if (parent !== undefined && (name === "" || name.includes("/"))) throw new FdtError(at, `a node's name is "${name}"`);
    if (stack.length >= FDT_MAX_DEPTH) throw new FdtError(at, `nodes are nested deeper than ${FDT_MAX_DEPTH}`);
    if (parent) once(parent, `/${name}`, at, `node "${name}"`);
    this.#at += (name.length + 4) & ~3;
    return { name, offset: at, properties: [], children: [], seen: new Set() };
  }

  #property(at: number, end: number, node: OpenNode): void {
    if (this.#at + 8 > end) throw new FdtError(at, "the structure block ends inside a property");
    const length = this.#view.getUint32(this.#at);
    const nameAt = this.#stringsAt + this.#view.getUint32(this.#at + 4);
    const offset = this.#at + 8;
    if (nameAt >= this.#stringsEnd) throw new FdtError(at + 8, "a property's name lies outside the strings block");
    const name = this.#text(nameAt, this.#stringsEnd, "a property's name");
    if (name === "") throw new FdtError(at + 8, "a property has no name");
    if (length > end - offset) throw new FdtError(at + 4, `property "${name}" of ${length} bytes ends beyond the structure block`);
    if (node.children.length > 0) throw new FdtError(at, `property "${name}" stands behind a subnode`);
    once(node, name, at, `property "${name}"`);
    node.properties.push({ name, value: new Uint8Array(this.#bytes.subarray(offset, offset + length)), offset });
    this.#at = offset + ((length + 3) & ~3);
  }

  #finish(end: number): void {
    for (;;) {
      if (this.#at + 4 > end) throw new FdtError(this.#at, "the structure block has no end token");
      const token = this.#view.getUint32(this.#at);
      if (token === FDT_TOKEN.end) return;
      if (token !== FDT_TOKEN.nop) throw new FdtError(this.#at, `token 0x${token.toString(16)} stands behind the root node`);
      this.#at += 4;
    }
  }

  /** Printable ASCII up to a zero byte. */
  #text(start: number, end: number, what: string): string {
    let text = "";
    for (let at = start; at < end; at++) {
      const byte = this.#bytes[at]!;
      if (byte === 0) return text;
      if (byte < 0x20 || byte > 0x7e) throw new FdtError(at, `${what} holds the byte 0x${byte.toString(16)}`);
      text += String.fromCharCode(byte);
    }
    throw new FdtError(start, `${what} has no end`);
  }
}

function once(node: OpenNode, key: string, at: number, what: string): void {
  if (node.seen.has(key)) throw new FdtError(at, `${what} stands twice in node "${node.name === "" ? "/" : node.name}"`);
  node.seen.add(key);
}

/** Reads a blob; bytes behind its total size are not looked at. @throws FdtError naming the byte that is wrong */
export function fdt_read(bytes: Uint8Array): Fdt {
  return new Reader(bytes).read();
}
