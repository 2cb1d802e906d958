// SPDX-License-Identifier: MIT
/** A scenario's machine on the board of a device tree: what is taken from the tree, and what cannot be built. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { DmaStatus } from "../../../src/hw/index.ts";
import {
  devm_platform_ioremap_resource,
  dma_alloc_coherent,
  dtNode,
  type DtNode,
  fdt_read,
  IRQ_HANDLED,
  of_walk,
  platform_driver_register,
  readl,
  request_irq,
  unflatten_device_tree,
  writel,
} from "../../../src/kernel/index.ts";
import {
  BASE_SCENARIO,
  BoardError,
  type CustomClient,
  boardDevice,
  type DeviceSpec,
  machineOnBoard,
  type MachineSpec,
  runScenario,
} from "../../../src/lab/index.ts";

const fixture = (name: string): DtNode =>
  unflatten_device_tree(fdt_read(readFileSync(join(import.meta.dirname, "../../fixtures/dtb", name))));
const board = fixture("board.dtb");
const virt = fixture("qemu-virt-smmuv3.dtb");

const machine = (...devices: readonly DeviceSpec[]): MachineSpec => ({
  ...BASE_SCENARIO.machine,
  devices,
  smmuNode: 0,
  ...(devices.some(({ bus }) => bus === "pci") ? { pci: { busMasterOff: "drop" } } : {}),
});
const display = boardDevice("hdlcd", {});
const etr = boardDevice("tmc-etr", {});
const nic = boardDevice("e1000e", {});

describe("the tree says", () => {
  test("where the SMMU, its interrupts and its clients are, and under which StreamIDs", () => {
    const built = machineOnBoard(board, machine(display, etr));
    expect(built.smmu.base).toBe(0x2b40_0000);
    expect(built.board!.smmuLines).toEqual({ eventq: 64, gerror: 67, priq: 65 });
    expect(built.devices.map(({ streamId }) => streamId)).toEqual([0x20, 0x21]);
    expect([...built.board!.places.values()].map(({ deviceName, interrupt }) => [deviceName, interrupt])).toEqual([
      ["7ff60000.display", 70],
      ["20070000.etr", undefined],
    ]);
  });

  test("which of several SMMUs is built: that of the clients; the others' nodes are disabled", () => {
    const built = machineOnBoard(board, machine(nic));
    expect(built.smmu.base).toBe(0x2b50_0000);
    const status = [...of_walk(built.board!.tree)]
      .filter(({ compatible }) => compatible?.includes("arm,smmu-v3"))
      .map((node) => node.status ?? "okay");
    expect(status).toEqual(["disabled", "okay"]);
  });

  test("where PCI's configuration space and memory window are, and what a requester id becomes", () => {
    const built = machineOnBoard(virt, machine(nic));
    expect(built.board!.pci).toMatchObject({
      ecam: { base: 0x40_1000_0000 },
      window: { base: 0x1000_0000 },
      deviceName: "4010000000.pcie",
    });
    expect(built.devices[0]!.streamId).toBe(0x100);
  });

  test("where RAM is, less what is reserved", () => {
    const built = machineOnBoard(board, machine(etr), [{ base: 0x8000_0000, size: 0x10_0000 }]);
    expect(built.board!.memory.map(({ base }) => base)).toEqual([0x8000_0000, 0x8_8000_0000]);
    expect(built.board!.usable).toEqual([
      { base: 0x8010_0000, size: 0x1df0_0000 },
      { base: 0x9e80_0000, size: 0x6080_0000 },
      { base: 0x8_8000_0000, size: 0x8000_0000 },
    ]);
    expect(built.memory).toEqual({ base: 0x9e80_0000, size: 0x6080_0000 });
  });

  test("that an ITS stands where the message frame is built, with interrupts behind all others", () => {
    const { msiFrame, tree } = machineOnBoard(virt, machine(nic)).board!;
    expect(msiFrame).toMatchObject({ base: 0x808_0000, first: 128 });
    expect([...of_walk(tree)].some(({ compatible }) => compatible?.includes("arm,gic-v3-its"))).toBe(false);
  });
});

test("a scenario runs on QEMU's virt machine: its NIC is shut down before its SMMU", () => {
  const scenario = { ...BASE_SCENARIO, title: "virt", machine: machineOnBoard(virt, machine(nic)), wayDown: "power-off" as const };
  const result = runScenario(scenario, { seed: 1, replay: "" });
  expect(result.smmuDevice).toBe("9050000.smmuv3");
  const order = result.shutdownOrder.map(({ device }) => device);
  expect(order.indexOf("0000:01:00.0")).toBeLessThan(order.indexOf("9050000.smmuv3"));
  expect(result.oops).toBeNull();
});

describe("a device of a program's own on the board of a tree", () => {
  /** In the place of the display: a register, and a DMA write for each write of it. */
  function ownDisplay(): { readonly client: CustomClient; readonly seen: string[] } {
    const seen: string[] = [];
    const client: CustomClient = {
      build: (context) => {
        const port = context.port();
        let value = 0;
        return {
          registers: {
            // A read ends the interrupt.
            read: () => {
              context.line(false);
              return value;
            },
            write: (_offset, _width, written) => {
              value = written;
              seen.push(`DMA ${port.write(written, Uint8Array.of(1)) === DmaStatus.ok ? "passes" : "is refused"}`);
              context.line(true);
            },
          },
          reset: () => {},
        };
      },
      driver: (hook, initcall) => ({
        name: "own",
        initcall,
        linkOrder: 1,
        *init(kernel) {
          yield* platform_driver_register(kernel, {
            name: "own",
            of_match_table: ["arm,hdlcd"],
            *probe(pdev) {
              const base = devm_platform_ioremap_resource(pdev, 0);
              const buffer = dma_alloc_coherent(pdev, 4096)!;
              seen.push(`${kernel.name} ${hook} ${pdev.name} irq ${pdev.irqs[0]}`);
              request_irq(pdev, pdev.irqs[0]!, () => {
                seen.push(`interrupt ${readl(base, 0) === buffer.dma}`);
                return IRQ_HANDLED;
              });
              writel(base, 0, buffer.dma);
              return 0;
            },
          });
        },
      }),
    };
    return { client, seen };
  }

  const scenario = { ...BASE_SCENARIO, title: "own", machine: machineOnBoard(board, machine(display)), wayDown: "kexec" as const };

  test("its driver finds the tree's node, address, interrupt and StreamID, in each kernel", () => {
    const { client, seen } = ownDisplay();
    const result = runScenario(scenario, { seed: 1, replay: "", clients: { hdlcd: client } });
    expect(seen).toEqual([
      "first mainline 7ff60000.display irq 70",
      "DMA passes",
      "interrupt true",
      "second mainline 7ff60000.display irq 70",
      "DMA passes",
      "interrupt true",
    ]);
    expect(result.clientDevices).toEqual(["7ff60000.display"]);
    expect(result.secondKernel).toBe("up");
  });
});

describe("what cannot be built", () => {
  const bare = (...nodes: readonly DtNode[]): DtNode => dtNode({ name: "", children: nodes });
  test.each<[string, DtNode, MachineSpec, readonly string[]]>([
    [
      "clients behind two SMMUs",
      board,
      machine(etr, nic),
      ["etr is behind iommu@2b400000, nic behind iommu@2b500000: a machine has one SMMU"],
    ],
    ["a client that the tree has not", virt, machine(display), ["hdlcd: no arm,hdlcd of that name in the tree"]],
    ["links of board code", board, machine({ ...etr, linkToSmmu: true }), ["etr: linkToSmmu is board code of the lab's own board"]],
    [
      "an empty tree",
      bare(),
      machine(nic),
      [
        "no memory node leaves 64 MiB of RAM in one piece",
        "nic has no bus: the tree has no pci-host-ecam-generic, the one host bridge that is modelled",
        "the tree has no arm,smmu-v3 that is enabled",
        "the tree has neither arm,gic-v2m-frame nor arm,gic-v3-its: message-signalled interrupts have nowhere to go",
      ],
    ],
  ])("%s", (_what, tree, spec, says) => {
    let message = "";
    try {
      machineOnBoard(tree, spec);
    } catch (error) {
      expect(error).toBeInstanceOf(BoardError);
      message = (error as BoardError).message;
    }
    expect(message.split("\n")).toEqual(says);
  });
});
