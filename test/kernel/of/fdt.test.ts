// SPDX-License-Identifier: GPL-2.0-only
/** The flattened device tree as the Devicetree Specification, chapter 5, lays it out: read, written, refused. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Fdt, fdt_read, fdt_write, FdtError, type FdtNode } from "../../../src/kernel/index.ts";

const fixture = (name: string): Uint8Array => new Uint8Array(readFileSync(join(import.meta.dirname, "../../fixtures/dtb", name)));

/** A blob of words; text stands for its bytes with a zero and padding. */
function blob(...parts: readonly (number | string)[]): Uint8Array {
  const bytes: number[] = [];
  for (const part of parts) {
    if (typeof part === "number") bytes.push(part >>> 24, (part >>> 16) & 0xff, (part >>> 8) & 0xff, part & 0xff);
    else bytes.push(...Buffer.from(part.padEnd((part.length + 4) & ~3, "\0"), "latin1"));
  }
  return Uint8Array.from(bytes);
}

const BEGIN = 1;
const END_NODE = 2;
const PROP = 3;
const NOP = 4;
const END = 9;

/** A blob around a structure block; strings: "reg" at 0. */
function around(structure: Uint8Array, header: Readonly<Record<number, number>> = {}): Uint8Array {
  const strings = blob("reg");
  const at = 0x38;
  const total = at + structure.length + strings.length;
  const words = [0xd00dfeed, total, at, at + structure.length, 0x28, 17, 16, 0, strings.length, structure.length, 0, 0, 0, 0];
  for (const [index, word] of Object.entries(header)) words[Number(index)] = word;
  return Uint8Array.from([...blob(...words), ...structure, ...strings]);
}

function plain(node: FdtNode): unknown {
  return { name: node.name, properties: node.properties.map(({ name, value }) => [name, ...value]), children: node.children.map(plain) };
}

const minimal = around(blob(BEGIN, "", END_NODE, END));

describe("reading", () => {
  test("nodes, properties in their order, values padded to words, NOPs anywhere between", () => {
    const fdt = fdt_read(
      around(
        blob(
          NOP,
          BEGIN,
          "",
          NOP,
          PROP,
          5,
          0,
          0x01020304,
          0x05000000,
          BEGIN,
          "a@1",
          END_NODE,
          NOP,
          BEGIN,
          "b",
          END_NODE,
          END_NODE,
          NOP,
          END,
        ),
      ),
    );
    expect(plain(fdt.root)).toEqual({
      name: "",
      properties: [["reg", 1, 2, 3, 4, 5]],
      children: [
        { name: "a@1", properties: [], children: [] },
        { name: "b", properties: [], children: [] },
      ],
    });
  });

  test("the memory reservation block up to its entry of zeros, and the boot processor", () => {
    const structure = blob(BEGIN, "", END_NODE, END);
    const at = 0x48;
    const bytes = blob(
      0xd00dfeed,
      at + structure.length + 4,
      at,
      at + structure.length,
      0x28,
      17,
      16,
      3,
      4,
      structure.length,
      1,
      2,
      3,
      4,
      0,
      0,
      0,
      0,
    );
    const fdt = fdt_read(Uint8Array.from([...bytes, ...structure, 0, 0, 0, 0]));
    expect(fdt.reservations).toEqual([{ address: 0x1_0000_0002n, size: 0x3_0000_0004n }]);
    expect(fdt.bootCpu).toBe(3);
  });

  test("version 16, whose header does not say how long the structure is", () => {
    expect(fdt_read(around(blob(BEGIN, "", END_NODE, END), { 5: 16, 9: 0xffff_ffff })).root.name).toBe("");
  });

  test("a later version that says it is readable as 17", () => {
    expect(fdt_read(around(blob(BEGIN, "", END_NODE, END), { 5: 18, 6: 17 })).root.name).toBe("");
  });

  test("free space behind the blob's total size is not looked at", () => {
    expect(fdt_read(Uint8Array.from([...minimal, 1, 2, 3])).root.children).toEqual([]);
  });
});

describe("a broken blob is refused with the byte that is wrong", () => {
  const structure = 0x38;
  test.each<[string, Uint8Array, number, string]>([
    ["nothing", new Uint8Array(), 0, "the blob ends inside its header"],
    ["another file", new TextEncoder().encode("title: this is a scenario, and no device tree at all"), 0, "no device tree blob"],
    ["a file cut short", minimal.slice(0, -1), 4, "bytes, the blob has"],
    ["version 3", around(blob(BEGIN, "", END_NODE, END), { 5: 3, 6: 1 }), 20, "version 3"],
    ["a structure block at an odd place", around(blob(BEGIN, "", END_NODE, END), { 2: 0x3a }), 8, "not aligned to 4"],
    ["a structure block beyond the end", around(blob(BEGIN, "", END_NODE, END), { 9: 0x1000 }), 8, "ends beyond the blob"],
    ["a strings block beyond the end", around(blob(BEGIN, "", END_NODE, END), { 8: 0x1000 }), 12, "ends beyond the blob"],
    ["reservations at an odd place", around(blob(BEGIN, "", END_NODE, END), { 4: 0x2c }), 16, "not aligned to 8"],
    ["reservations without end", around(blob(BEGIN, "", END_NODE, END), { 4: 0x38 }), structure + 16, "has no end"],
    ["a root with a name", around(blob(BEGIN, "soc", END_NODE, END)), structure, 'the root node has the name "soc"'],
    ["a node without a name", around(blob(BEGIN, "", BEGIN, "", END_NODE, END_NODE, END)), structure + 8, "a node's name"],
    ["a name that does not end", around(blob(BEGIN, "", BEGIN, 0x61616161)), structure + 12, "has no end"],
    ["a name that is no text", around(blob(BEGIN, "", BEGIN, 0x61ff0000, END_NODE, END_NODE, END)), structure + 13, "holds the byte 0xff"],
    ["no end of a node", around(blob(BEGIN, "", END)), structure + 8, "the tree ends inside node"],
    ["no end at all", around(blob(BEGIN, "", END_NODE)), structure + 12, "no end token"],
    ["something behind the root", around(blob(BEGIN, "", END_NODE, BEGIN, "x", END_NODE, END)), structure + 12, "behind the root node"],
    ["something before the root", around(blob(PROP, 0, 0, BEGIN, "", END_NODE, END)), structure, "before the root node"],
    ["an unknown token", around(blob(BEGIN, "", 7, END_NODE, END)), structure + 8, "unknown token 0x7"],
    ["a property too long", around(blob(BEGIN, "", PROP, 400, 0, END_NODE, END)), structure + 12, '"reg" of 400 bytes ends beyond'],
    ["a property's name outside the strings", around(blob(BEGIN, "", PROP, 0, 99, END_NODE, END)), structure + 16, "outside the strings"],
    [
      "a property behind a subnode",
      around(blob(BEGIN, "", BEGIN, "x", END_NODE, PROP, 0, 0, END_NODE, END)),
      structure + 20,
      "behind a subnode",
    ],
    ["a property twice", around(blob(BEGIN, "", PROP, 0, 0, PROP, 0, 0, END_NODE, END)), structure + 20, "stands twice"],
    ["a node twice", around(blob(BEGIN, "", BEGIN, "x", END_NODE, BEGIN, "x", END_NODE, END_NODE, END)), structure + 20, "stands twice"],
  ])("%s", (_what, bytes, offset, says) => {
    let caught: unknown;
    try {
      fdt_read(bytes);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(FdtError);
    expect((caught as FdtError).message).toContain(says);
    expect((caught as FdtError).offset).toBe(offset);
  });

  test("nodes nested deeper than Linux unflattens", () => {
    const deep = (depth: number): FdtNode => ({
      name: depth === 0 ? "" : "x",
      properties: [],
      children: depth < 64 ? [deep(depth + 1)] : [],
    });
    expect(() => fdt_write({ reservations: [], bootCpu: 0, root: deep(0) })).toThrow("deeper than 64");
    const words = [...Array<(number | string)[]>(65).keys()].flatMap((depth) => [BEGIN, depth === 0 ? "" : "x"]);
    expect(() => fdt_read(around(blob(...words)))).toThrow("deeper than 64");
  });

  test("whatever is done to a blob, it is read or refused, and what is read can be written and read again", () => {
    const blobs = [fixture("board.dtb"), fixture("qemu-virt-smmuv3.dtb")];
    const damage = fc.array(fc.record({ at: fc.nat(0xffff), byte: fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 9, 0xff), fc.nat(0xff)) }), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(fc.constantFrom(...blobs), damage, fc.option(fc.nat(0xffff), { nil: undefined }), (original, changes, length) => {
        const bytes = original.slice(0, length === undefined ? original.length : length % original.length);
        for (const { at, byte } of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
        let fdt: Fdt;
        try {
          fdt = fdt_read(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(FdtError);
          return;
        }
        expect(plain(fdt_read(fdt_write(fdt)).root)).toEqual(plain(fdt.root));
      }),
      { numRuns: 1000 },
    );
  });
});

describe("writing", () => {
  test("what dtc wrote comes back byte for byte", () => {
    const bytes = fixture("board.dtb");
    expect(fdt_write(fdt_read(bytes))).toEqual(bytes);
  });

  test("another writer's blob keeps its tree, and its second writing its bytes", () => {
    const fdt = fdt_read(fixture("qemu-virt-smmuv3.dtb"));
    const written = fdt_write(fdt);
    expect(plain(fdt_read(written).root)).toEqual(plain(fdt.root));
    expect(fdt_write(fdt_read(written))).toEqual(written);
  });

  test("a name that another ends with shares its bytes", () => {
    const property = (name: string): { name: string; value: Uint8Array } => ({ name, value: new Uint8Array() });
    const bytes = fdt_write({
      reservations: [],
      bootCpu: 0,
      root: { name: "", properties: [property("#size-cells"), property("cells")], children: [] },
    });
    expect(new DataView(bytes.buffer).getUint32(32)).toBe("#size-cells\0".length);
    expect(fdt_read(bytes).root.properties.map(({ name }) => name)).toEqual(["#size-cells", "cells"]);
  });
});
