// SPDX-License-Identifier: MIT
/** The lab's own board as a boot loader hands it to a kernel. */
import { expect, test } from "vitest";
import {
  type DtNode,
  early_init_dt_scan_memory,
  fdt_read,
  fdt_write,
  flatten_device_tree,
  unflatten_device_tree,
} from "../../../src/kernel/index.ts";

import { BASE_SCENARIO, boardDevice, type MachineSpec } from "../../../src/lab/index.ts";
import { usualBoard } from "../../../src/lab/machine/device-tree.ts";

const machine: MachineSpec = {
  ...BASE_SCENARIO.machine,
  pci: { busMasterOff: "drop" },
  devices: [boardDevice("hdlcd", {}), boardDevice("tmc-etr", {}), boardDevice("e1000e", {})],
  smmuNode: 1,
};

/** Without what a blob adds: numbers of nodes, and how PCI addresses are marked. */
function plain({ phandle: _phandle, properties, children, ...node }: DtNode): unknown {
  const { device_type: _type, ...rest } = properties;
  return { ...node, properties: rest, children: children.map(plain) };
}

test("its blob says what the kernel's tree says", () => {
  const { tree } = usualBoard(machine);
  expect(plain(unflatten_device_tree(fdt_read(fdt_write(flatten_device_tree(tree)))))).toEqual(plain(tree));
});

test("its blob says where RAM is", () => {
  const blob = fdt_write(flatten_device_tree(usualBoard(machine).tree));
  expect(early_init_dt_scan_memory(unflatten_device_tree(fdt_read(blob)))).toEqual([machine.memory]);
});

test("the host bridge says that ATS gets through where a function has it, and only there", () => {
  const bridge = (devices: MachineSpec["devices"]): DtNode =>
    usualBoard({ ...machine, devices }).tree.children.find(({ label }) => label === "pcie")!;
  expect(bridge([boardDevice("e1000e", {})]).properties).not.toHaveProperty("ats-supported");
  expect(bridge([boardDevice("e1000e", { ats: true })]).properties).toHaveProperty("ats-supported", true);
});
