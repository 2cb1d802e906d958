// SPDX-License-Identifier: GPL-2.0-only
/** What a blob's properties mean to the kernel: addresses, interrupts, references, memory. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  type DtNode,
  early_init_dt_scan_chosen,
  early_init_dt_scan_memory,
  dtNode,
  fdt_read,
  fdt_scan_reserved_mem,
  fdt_write,
  FdtError,
  type FdtNode,
  flatten_device_tree,
  of_walk,
  unflatten_device_tree,
} from "../../../src/kernel/index.ts";

const fixture = (name: string): DtNode =>
  unflatten_device_tree(fdt_read(readFileSync(join(import.meta.dirname, "../../fixtures/dtb", name))));

type Value = readonly number[] | string | true;

function bytesOf(value: Value): Uint8Array {
  if (value === true) return new Uint8Array();
  if (typeof value === "string") return new TextEncoder().encode(`${value}\0`);
  const bytes = new Uint8Array(value.length * 4);
  for (const [index, cell] of value.entries()) new DataView(bytes.buffer).setUint32(index * 4, cell);
  return bytes;
}

/** A node of a flattened tree; numbers are cells. */
function flat(name: string, properties: Readonly<Record<string, Value>>, ...children: readonly FdtNode[]): FdtNode {
  return { name, properties: Object.entries(properties).map(([key, value]) => ({ name: key, value: bytesOf(value) })), children };
}

const unflattened = (...nodes: readonly FdtNode[]): DtNode =>
  unflatten_device_tree({ reservations: [], bootCpu: 0, root: flat("", { "#address-cells": [2], "#size-cells": [2] }, ...nodes) });

function find(root: DtNode, name: string): DtNode {
  for (const node of of_walk(root)) if (node.name === name) return node;
  throw new Error(`no node ${name}`);
}

const gic = flat("gic", { phandle: [1], compatible: "arm,gic-v3", "interrupt-controller": true, "#interrupt-cells": [3] });

describe("addresses", () => {
  const bus = (ranges: Value | undefined, child: FdtNode): FdtNode =>
    flat("bus", { "#address-cells": [1], "#size-cells": [1], ...(ranges === undefined ? {} : { ranges }) }, child);

  test("cells are counted by the parent, the most significant first", () => {
    const { reg } = find(unflattened(flat("dev", { reg: [0x10, 0x2000, 0, 0x1000, 0, 0x3000, 1, 0] })), "dev");
    expect(reg).toEqual([
      { base: 0x10_0000_2000, size: 0x1000 },
      { base: 0x3000, size: 0x1_0000_0000 },
    ]);
  });

  test("ranges translate a bus's addresses to the CPU's, through several buses", () => {
    const inner = flat(
      "inner",
      { "#address-cells": [1], "#size-cells": [1], ranges: [0x0, 0x100, 0x1000] },
      flat("dev", { reg: [0x20, 4] }),
    );
    expect(find(unflattened(bus([0x0, 0x8, 0x4000_0000, 0x10000], inner)), "dev").reg).toEqual([{ base: 0x8_4000_0120, size: 4 }]);
  });

  test("a bus that does not say how many cells its children's addresses have has those of the next node up (of_bus_n_addr_cells)", () => {
    const dev = flat("dev", { reg: [0x20, 4] });
    const outer = flat("outer", { "#address-cells": [1], "#size-cells": [1], ranges: true }, flat("inner", { ranges: true }, dev));
    expect(find(unflattened(outer), "dev").reg).toEqual([{ base: 0x20, size: 4 }]);
  });

  test("where no node says it they have one (OF_ROOT_NODE_ADDR_CELLS_DEFAULT)", () => {
    const root = flat("", {}, flat("dev", { reg: [0x20, 4] }));
    expect(find(unflatten_device_tree({ reservations: [], bootCpu: 0, root }), "dev").reg).toEqual([{ base: 0x20, size: 4 }]);
  });

  test("empty ranges: both sides have the same addresses", () => {
    expect(find(unflattened(bus(true, flat("dev", { reg: [0x20, 4] }))), "dev").reg).toEqual([{ base: 0x20, size: 4 }]);
  });

  test.each<[string, Value | undefined]>([
    ["without ranges", undefined],
    ["outside of its ranges", [0x1000, 0, 0, 0x1000]],
  ])("a device on a bus %s has no address for the CPU", (_what, ranges) => {
    const dev = find(unflattened(bus(ranges, flat("dev", { reg: [0x20, 4] }))), "dev");
    expect(dev.reg).toBeUndefined();
    expect(dev.properties["reg"]).toEqual([0x20, 4]);
  });

  test("a PCI host bridge's windows are those of memory, in the CPU's addresses; its functions have none", () => {
    const pcie = find(fixture("qemu-virt-smmuv3.dtb"), "pcie@10000000");
    expect(pcie.reg).toEqual([{ base: 0x40_1000_0000, size: 0x1000_0000 }]);
    expect(pcie.ranges).toEqual([
      { base: 0x1000_0000, size: 0x2eff_0000 },
      { base: 0x80_0000_0000, size: 0x80_0000_0000 },
    ]);
    expect(find(fixture("board.dtb"), "ethernet@0,0").reg).toBeUndefined();
  });

  test("a reg that does not fill its rows is refused at its place in the blob", () => {
    const blob = fdt_write({
      reservations: [],
      bootCpu: 0,
      root: flat("", { "#address-cells": [2], "#size-cells": [2] }, flat("dev", { reg: [1, 2, 3] })),
    });
    const read = fdt_read(blob);
    const { offset } = read.root.children[0]!.properties[0]!;
    expect(() => unflatten_device_tree(read)).toThrow(new FdtError(offset!, 'property "reg" has 3 cells, which are no rows of 4'));
  });
});

describe("interrupts", () => {
  test.each([
    ["shared peripheral: 32 and up", [0, 5, 4], 37],
    ["private peripheral: 16 and up", [1, 13, 8], 29],
    ["extended shared: 4096 and up", [2, 3, 4], 4099],
    ["extended private: 1056 and up", [3, 3, 4], 1059],
  ])("a GIC's, %s", (_what, cells, intid) => {
    expect(find(unflattened(gic, flat("dev", { "interrupt-parent": [1], interrupts: cells })), "dev").interrupts).toEqual([intid]);
  });

  test("the parent is inherited, and may be named for each by interrupts-extended", () => {
    const root = unflattened(
      gic,
      flat("bus", { "interrupt-parent": [1] }, flat("dev", { interrupts: [0, 1, 4, 0, 2, 4] })),
      flat("other", { "interrupts-extended": [1, 0, 9, 1] }),
    );
    expect(find(root, "dev").interrupts).toEqual([33, 34]);
    expect(find(root, "other").interrupts).toEqual([41]);
  });

  test("through an interrupt-map under its mask, by the unit address and the interrupt", () => {
    const nexus = flat(
      "nexus",
      {
        phandle: [2],
        "#address-cells": [1],
        "#size-cells": [0],
        "#interrupt-cells": [1],
        "interrupt-map-mask": [0xf0, 7],
        "interrupt-map": [0x10, 1, 1, 0, 40, 4, 0x20, 1, 1, 0, 41, 4],
      },
      flat("dev@21", { reg: [0x21], "interrupt-parent": [2], interrupts: [1] }),
    );
    expect(find(unflattened(gic, nexus), "dev@21").interrupts).toEqual([32 + 41]);
  });

  describe("a nexus without #address-cells (of_irq_parse_raw)", () => {
    /** Two rows for two unit addresses, `address` cells wide. */
    const nexus = (address: readonly number[][], ...children: readonly FdtNode[]): FdtNode => {
      const rows = address.flatMap((cells, index) => [...cells, 1, 1, 0, 40 + index, 4]);
      return flat("nexus", { phandle: [2], "#interrupt-cells": [1], "interrupt-map": rows }, ...children);
    };
    const dev = (reg: readonly number[]): FdtNode => flat("dev", { reg, "interrupt-parent": [2], interrupts: [1] });

    test("has those of the next node up that says it", () => {
      const bus = flat("bus", { "#address-cells": [1], "#size-cells": [0] }, nexus([[0x10], [0x20]], dev([0x20])));
      expect(find(unflattened(gic, bus), "dev").interrupts).toEqual([32 + 41]);
    });

    test("has two where no node says it", () => {
      const children = [
        gic,
        nexus(
          [
            [0x10, 0x20],
            [0x30, 0x40],
          ],
          dev([0x30, 0x40]),
        ),
      ];
      const root = unflatten_device_tree({ reservations: [], bootCpu: 0, root: flat("", {}, ...children) });
      expect(find(root, "dev").interrupts).toEqual([32 + 41]);
    });

    test("has none if a map led to it, and a row to it has none either", () => {
      const second = flat("second", { phandle: [3], "#interrupt-cells": [1], "interrupt-map": [7, 1, 0, 50, 4, 8, 1, 0, 51, 4] });
      const first = flat("first", {
        phandle: [2],
        "#address-cells": [0],
        "#interrupt-cells": [1],
        "interrupt-map": [1, 3, 8],
      });
      expect(find(unflattened(gic, first, second, dev([0, 0x10, 0, 4])), "dev").interrupts).toEqual([32 + 51]);
    });
  });

  test("the unit address is compared for interrupts-extended too, and what `reg` has not is 0", () => {
    const map = { "#address-cells": [3], "#interrupt-cells": [1], "interrupt-map": [5, 0, 0, 1, 1, 0, 40, 4] };
    const bus = { "#address-cells": [1], "#size-cells": [0] };
    const dev = flat("bus", bus, flat("dev", { reg: [5], "interrupts-extended": [2, 1] }));
    expect(find(unflattened(gic, flat("nexus", { phandle: [2], ...map }), dev), "dev").interrupts).toEqual([32 + 40]);
  });

  test("a row whose parent is disabled is passed over", () => {
    const off = flat("off", { phandle: [4], "interrupt-controller": true, "#interrupt-cells": [1], status: "disabled" });
    const nexus = flat("nexus", {
      phandle: [2],
      "#address-cells": [0],
      "#interrupt-cells": [1],
      "interrupt-map": [1, 4, 9, 1, 1, 0, 40, 4],
    });
    const dev = flat("dev", { "interrupt-parent": [2], interrupts: [1] });
    expect(find(unflattened(gic, off, nexus, dev), "dev").interrupts).toEqual([32 + 40]);
  });

  test("a parent without #interrupt-cells is passed by, to its own parent (of_irq_find_parent)", () => {
    const soc = flat("soc", { phandle: [2], "interrupt-parent": [1] });
    const dev = flat("dev", { "interrupt-parent": [2], interrupts: [0, 1, 4] });
    expect(find(unflattened(gic, soc, dev), "dev").interrupts).toEqual([33]);
  });

  test("a controller's map is not taken where its driver reads it itself (of_irq_imap_abusers)", () => {
    const extirq = flat("extirq", {
      phandle: [2],
      compatible: "fsl,ls1088a-extirq",
      "interrupt-controller": true,
      "#address-cells": [0],
      "#interrupt-cells": [2],
      "interrupt-map": [0, 0, 1, 0, 40, 4],
    });
    const dev = find(unflattened(gic, extirq, flat("dev", { "interrupt-parent": [2], interrupts: [0, 0] })), "dev");
    expect(dev.properties["interrupts-extended"]).toEqual([{ label: "phandle-0x2", args: [0, 0] }]);
  });

  test("another controller's are references to it, not numbers", () => {
    const gpio = flat("gpio", { phandle: [3], "interrupt-controller": true, "#interrupt-cells": [2] });
    const dev = find(unflattened(gpio, flat("dev", { "interrupt-parent": [3], interrupts: [7, 1] })), "dev");
    expect(dev.interrupts).toBeUndefined();
    expect(dev.properties["interrupts-extended"]).toEqual([{ label: "phandle-0x3", args: [7, 1] }]);
  });
});

describe("references", () => {
  const clock = flat("clock", { phandle: [0x1c], "#clock-cells": [1] });

  test("are labels: a symbol where the compiler kept one, else the phandle", () => {
    const named = unflattened(clock, flat("dev", { clocks: [0x1c, 5] }), flat("__symbols__", { pll: "/clock" }));
    expect(find(named, "dev").clocks).toEqual([{ label: "pll", args: [5] }]);
    expect(find(unflattened(clock, flat("dev", { clocks: [0x1c, 5] })), "dev").clocks).toEqual([{ label: "phandle-0x1c", args: [5] }]);
  });

  test("end where one leads nowhere, as in Linux; a zero is a gap", () => {
    expect(find(unflattened(clock, flat("dev", { clocks: [0, 0x1c, 5, 0x99, 1, 0x1c, 6] })), "dev").clocks).toEqual([
      { label: "phandle-0x1c", args: [5] },
    ]);
  });

  test("iommu-map and msi-map are rows of requester id, target, id there and count", () => {
    const pcie = find(fixture("qemu-virt-smmuv3.dtb"), "pcie@10000000");
    expect(pcie.iommuMap).toEqual([{ ridBase: 0, label: "phandle-0x8004", outBase: 0, length: 0x1_0000 }]);
    expect(find(fixture("board.dtb"), "pcie@40000000").msiMap).toEqual([{ ridBase: 0, label: "its", outBase: 0, length: 0x1_0000 }]);
  });

  test("a hog's GPIOs are no references", () => {
    const hog = flat("hog", { "gpio-hog": true, gpios: [3, 0], "output-high": true });
    expect(find(unflattened(flat("gpio", { "#gpio-cells": [2] }, hog)), "hog").properties["gpios"]).toEqual([3, 0]);
  });
});

describe("status, coherence, memory", () => {
  test.each([
    ["okay", undefined],
    ["ok", undefined],
    ["disabled", "disabled"],
    ["reserved", "disabled"],
    ["fail-lvl", "disabled"],
  ])("status %s", (status, expected) => {
    expect(find(unflattened(flat("dev", { status })), "dev").status).toBe(expected);
  });

  test("dma-coherent is inherited, dma-noncoherent ends it", () => {
    const root = unflattened(flat("bus", { "dma-coherent": true }, flat("in", {}), flat("out", { "dma-noncoherent": true })));
    expect([find(root, "in").dmaCoherent, find(root, "out").dmaCoherent]).toEqual([true, undefined]);
  });

  test("RAM is the reg of nodes of type memory; reservations and chosen as they are written", () => {
    const root = fixture("board.dtb");
    expect(early_init_dt_scan_memory(root)).toEqual([
      { base: 0x8000_0000, size: 0x7f00_0000 },
      { base: 0x8_8000_0000, size: 0x8000_0000 },
    ]);
    expect(early_init_dt_scan_chosen(root)).toEqual({ bootargs: "earlycon", stdoutPath: "/soc@0/serial@1c090000" });
    expect(fdt_scan_reserved_mem(root)).toEqual([
      { name: "framebuffer@9e000000", ranges: [{ base: 0x9e00_0000, size: 0x80_0000 }], noMap: true, reusable: false },
      { name: "pool", size: 0x400_0000, noMap: false, reusable: true },
    ]);
  });
});

describe("back to a blob", () => {
  test.each(["board.dtb", "qemu-virt-smmuv3.dtb"])("%s: the kernel reads its own writing as it read the first", (name) => {
    const tree = fixture(name);
    expect(unflatten_device_tree(fdt_read(fdt_write(flatten_device_tree(tree))))).toEqual(tree);
  });

  test("a reference to a label that no node has cannot be written", () => {
    const root = dtNode({ name: "", children: [dtNode({ name: "dev", clocks: [{ label: "gone", args: [] }] })] });
    expect(() => flatten_device_tree(root)).toThrow("no node has the label gone");
  });
});
