// SPDX-License-Identifier: GPL-2.0-only
/** Blobs as the reference compiler reads and writes them, where it is installed. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { dtNode, fdt_read, fdt_write, flatten_device_tree } from "../../../src/kernel/index.ts";

const folder = join(import.meta.dirname, "../../fixtures/dtb");
const missing = spawnSync("dtc", ["--version"]).status !== 0;

function dtc(input: Uint8Array, ...words: readonly string[]): Buffer {
  const { status, stdout, stderr } = spawnSync("dtc", ["-q", ...words, "-"], { input });
  expect(stderr.toString()).toBe("");
  expect(status).toBe(0);
  return stdout;
}

const source = (blob: Uint8Array): string => dtc(blob, "-I", "dtb", "-O", "dts").toString();

test.skipIf(missing)("board.dtb is what dtc makes of board.dts", () => {
  const made = dtc(readFileSync(join(folder, "board.dts")), "-@", "-I", "dts", "-O", "dtb");
  expect(Buffer.compare(made, readFileSync(join(folder, "board.dtb")))).toBe(0);
});

test.skipIf(missing).each(["board.dtb", "qemu-virt-smmuv3.dtb"])("%s written anew says the same to dtc", (name) => {
  const blob = readFileSync(join(folder, name));
  expect(source(fdt_write(fdt_read(blob)))).toBe(source(blob));
});

test.skipIf(missing)("dtc writes what it reads of a tree of the kernel as the writer wrote it", () => {
  const tree = dtNode({
    name: "",
    children: [
      dtNode({
        name: "gic@1000",
        label: "gic",
        compatible: ["arm,gic-v3"],
        reg: [{ base: 0x1000, size: 0x1000 }],
        properties: { "interrupt-controller": true, "#interrupt-cells": 3 },
      }),
      dtNode({
        name: "smmu@12345000",
        label: "smmu",
        compatible: ["arm,smmu-v3"],
        reg: [{ base: 0x1234_5000, size: 0x2_0000 }],
        interrupts: [64, 65],
        properties: { "#iommu-cells": 1 },
      }),
      dtNode({
        name: "dma@80000000",
        reg: [{ base: 0x8_0000_0000, size: 0x1000 }],
        iommus: [{ label: "smmu", args: [7] }],
        dmaCoherent: true,
      }),
    ],
  });
  const blob = fdt_write(flatten_device_tree(tree));
  expect(dtc(blob, "-I", "dtb", "-O", "dtb")).toEqual(Buffer.from(blob));
  expect(source(blob)).toContain("iommus = <0x02 0x07>;");
});
