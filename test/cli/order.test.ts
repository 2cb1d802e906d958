// SPDX-License-Identifier: MIT
/** quiesce order: what it prints, how it ends, what it refuses. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { type DtNode, fdt_read, fdt_write, flatten_device_tree, unflatten_device_tree } from "../../src/kernel/index.ts";
import { orderSchema } from "../../src/lab/order/schema.ts";
import { inFolder, quiesce } from "./program.ts";

const BOARD = "test/fixtures/dtb/board.dtb";
const VIRT = "test/fixtures/dtb/qemu-virt-smmuv3.dtb";

interface Document {
  readonly schema: string;
  readonly fwDevlink: string;
  readonly strict: boolean;
  readonly shutdownOrder: readonly { readonly name: string }[];
  readonly clients: readonly { readonly name: string; readonly smmu: string; readonly risks: readonly string[] }[];
  readonly atRisk: readonly string[];
  readonly unknown: readonly string[];
}

async function document(...words: readonly string[]): Promise<{ code: number | null; result: Document }> {
  const { code, stdout, stderr } = await quiesce(["order", ...words, "--json"]);
  expect(stderr).toBe("");
  return { code, result: JSON.parse(stdout) as Document };
}

describe("the board of the fixtures", () => {
  test("a display whose module came after its SMMU goes after it; a DMA engine that was deferred goes first, without a hook", async () => {
    const { code, result } = await document(BOARD);
    expect(code).toBe(1);
    expect(result.schema).toBe("quiesce/order@1");
    expect(result.clients.map(({ name, smmu, risks }) => [name, smmu, ...risks])).toEqual([
      ["7ff00000.dma", "2b400000.iommu", "no-hook"],
      ["0000:01:00.0", "2b500000.iommu"],
      ["20070000.etr", "2b400000.iommu"],
      ["7ff60000.display", "2b400000.iommu", "after-smmu"],
    ]);
    expect(result.atRisk.toSorted()).toEqual(["7ff00000.dma", "7ff60000.display"]);
  });

  test("with --strict the display goes first", async () => {
    const { result } = await document(BOARD, "--strict");
    expect(result.strict).toBe(true);
    expect(result.atRisk).toEqual(["7ff00000.dma"]);
  });

  test("with the SMMU's driver as a module, every client that has a driver goes before it", async () => {
    const { result } = await document(BOARD, "--module", "arm-smmu-v3");
    expect(result.atRisk).toEqual(["7ff00000.dma"]);
  });

  test("a compatible string names a driver, comma and all", async () => {
    const byString = await quiesce(["order", BOARD, "--built-in", "arm,hdlcd"]);
    expect(byString).toEqual(await quiesce(["order", BOARD, "--built-in", "hdlcd"]));
    expect(byString.code).toBeLessThan(2);
  });

  test("--module and --built-in may be repeated, or hold several names", async () => {
    const once = await document(BOARD, "--module", "dma-pl330,e1000e");
    expect((await document(BOARD, "--module", "dma-pl330", "--module", "e1000e")).result).toEqual(once.result);
    expect(once.result.atRisk).toEqual(expect.arrayContaining(["7ff00000.dma"]));
  });

  test("the text names SMMUs, clients and what is wrong, in 80 columns; --all every device", async () => {
    const { code, stdout } = await quiesce(["order", BOARD]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^At risk\n {2}7ff00000\.dma: its driver dma-pl330 has no shutdown hook/m);
    expect(stdout).toContain("7ff60000.display: goes after 2b400000.iommu");
    const all = await quiesce(["order", BOARD, "--all"]);
    expect(all.stdout).toContain("regulator-panel");
    for (const line of (stdout + all.stdout).split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });
});

test("QEMU's virt machine has nobody at risk, and ends 0", async () => {
  const { code, stdout } = await quiesce(["order", VIRT]);
  expect(code).toBe(0);
  expect(stdout).toContain("No client is at risk by its place\n");
  expect(stdout.replace(/\s+/g, " ")).toContain("stands for any. Whether its driver has a shutdown hook is not known.");
});

test("a client whose driver nobody knows ends it with 4, not with 0", async () => {
  await inFolder(async (folder) => {
    const file = join(folder, "strange.dtb");
    const rename = (node: DtNode): DtNode => ({
      ...node,
      ...(node.name.startsWith("dma@") ? { compatible: ["test,strange"] } : {}),
      children: node.children.map(rename),
    });
    const tree = rename(unflatten_device_tree(fdt_read(readFileSync(BOARD))));
    writeFileSync(file, fdt_write(flatten_device_tree(tree)));
    const { code, result } = await document(file, "--strict");
    expect(result.atRisk).toEqual([]);
    expect(result.unknown).toEqual(["7ff00000.dma"]);
    expect(code).toBe(4);
  });
});

test("-: the blob comes from standard input", async () => {
  const { code, stdout, stderr } = await quiesce(["order", "-"], { input: readFileSync(BOARD) });
  expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
  const named = await quiesce(["order", BOARD]);
  expect(stdout).toBe(named.stdout.replace(BOARD, "standard input"));
  const empty = await quiesce(["order", "-"]);
  expect(empty).toMatchObject({ code: 2, stderr: expect.stringContaining("standard input: at byte 0x0: the blob ends inside its header") });
});

test.each([[BOARD], [BOARD, "--strict", "--all"], [VIRT], [VIRT, "--fw-devlink", "off"]])(
  "--json of %s %s is a document of schema/order.schema.json",
  async (...words) => {
    const { result } = await document(...words.filter((word) => word !== undefined));
    expect(v.parse(orderSchema, result)).toEqual(result);
  },
);

describe("bad input ends 2 with one line", () => {
  test.each<[string, readonly string[], string]>([
    ["no blob", ["order"], "order needs a device tree blob"],
    ["a file that is not there", ["order", "nowhere.dtb"], "nowhere.dtb: no such file"],
    ["a file that is no blob", ["order", "package.json"], "package.json: at byte 0x0: no device tree blob"],
    ["an empty file", ["order", "/dev/null"], "/dev/null: at byte 0x0: the blob ends inside its header"],
    ["a file without an end", ["order", "/dev/zero"], "/dev/zero: more than 64 MiB, which is too much"],
    ["an unknown mode", ["order", BOARD, "--fw-devlink", "maybe"], '--fw-devlink is "maybe"; possible: off, permissive, on, rpm'],
    [
      "a driver the board has not",
      ["order", BOARD, "--module", "nouveau"],
      "--module nouveau: no such driver for this board; --all shows the 12 that it has",
    ],
    [
      "a driver in two places",
      ["order", BOARD, "--module", "hdlcd", "--built-in", "hdlcd"],
      "hdlcd is given with --module and with --built-in",
    ],
    [
      "a strictness that means nothing",
      ["order", BOARD, "--fw-devlink", "off", "--strict"],
      "--strict has no meaning with --fw-devlink off: no device waits for a supplier then",
    ],
    ["a strictness without waiting", ["order", BOARD, "--fw-devlink", "permissive", "--strict"], "--strict has no meaning"],
    ["a mode twice", ["order", BOARD, "--fw-devlink", "on", "--fw-devlink", "off"], "--fw-devlink is given 2 times"],
  ])("%s", async (_what, words, says) => {
    const { code, stdout, stderr } = await quiesce(words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^quiesce: [^\n]+\n$/);
    expect(stderr).toContain(says);
  });

  test("a blob cut short, or damaged inside, is told with its byte", async () => {
    await inFolder(async (folder) => {
      const blob = readFileSync(BOARD);
      const short = join(folder, "short.dtb");
      writeFileSync(short, blob.subarray(0, 1000));
      expect((await quiesce(["order", short])).stderr).toBe(
        `quiesce: ${short}: at byte 0x4: the header says ${blob.length} bytes, the blob has 1000\n`,
      );
      const damaged = join(folder, "damaged.dtb");
      const bytes = Uint8Array.from(blob);
      bytes[0x3b] = 7;
      writeFileSync(damaged, bytes);
      expect((await quiesce(["order", damaged])).stderr).toBe(`quiesce: ${damaged}: at byte 0x38: token 0x7 stands before the root node\n`);
    });
  });
});
