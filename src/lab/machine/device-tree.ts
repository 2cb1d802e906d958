// SPDX-License-Identifier: MIT
/** The board's device tree, and the names that Linux gives to the devices made from it. */
import { type DtNode, dtNode } from "../../kernel/index.ts";
import type { MachineSpec } from "../scenario/types.ts";
import { type Board, BOARD, LINES, type Place } from "./board.ts";
import { clientInterrupt, clientNode, type CustomClients, deviceWindow } from "./clients.ts";

const MIB = 0x10_0000;

/** Where the NICs sit: each behind a root port of its own, in the order of the description. */
export function pciPlaces(
  machine: MachineSpec,
): readonly { readonly name: string; readonly busNo: number; readonly device: string; readonly port: string }[] {
  return machine.devices
    .filter(({ bus }) => bus === "pci")
    .map(({ name }, index) => ({
      name,
      busNo: index + 1,
      device: `0000:${(index + 1).toString(16).padStart(2, "0")}:00.0`,
      port: `0000:00:${index.toString(16).padStart(2, "0")}.0`,
    }));
}

function smmuNode(machine: MachineSpec): DtNode {
  return dtNode({
    name: `iommu@${machine.smmu.base.toString(16)}`,
    label: "smmu",
    compatible: ["arm,smmu-v3"],
    reg: [{ base: machine.smmu.base, size: 0x2_0000 }],
    interrupts: [LINES.smmuEventq, LINES.smmuGerror, LINES.smmuPriq, LINES.smmuSync],
    interruptNames: ["eventq", "gerror", "priq", "cmdq-sync"],
    dmaCoherent: true,
    properties: { "#iommu-cells": 1 },
  });
}

function hostBridgeNode(machine: MachineSpec): DtNode {
  const buses = pciPlaces(machine).length;
  const streams = machine.devices.filter(({ bus }) => bus === "pci");
  return dtNode({
    name: `pcie@${BOARD.ecamBase.toString(16)}`,
    label: "pcie",
    compatible: ["pci-host-ecam-generic"],
    reg: [{ base: BOARD.ecamBase, size: (buses + 1) * MIB }],
    busRange: [0, buses],
    ranges: [{ base: BOARD.pciWindowBase, size: BOARD.pciWindowSize }],
    iommuMap: streams.map(({ streamId }, index) => ({ ridBase: (index + 1) << 8, label: "smmu", outBase: streamId, length: 1 })),
    msiParent: { label: "v2m", args: [] },
    dmaCoherent: true,
    ...(streams.some(({ ats }) => ats === true) ? { properties: { "ats-supported": true } } : {}),
  });
}

/** Its registers are not modelled: the kernel reaches it by a port of its own. */
function gicNode(): DtNode {
  return dtNode({
    name: `interrupt-controller@${BOARD.gicBase.toString(16)}`,
    label: "gic",
    compatible: ["arm,gic-v3"],
    reg: [{ base: BOARD.gicBase, size: 0x1_0000 }],
    properties: { "interrupt-controller": true, "#interrupt-cells": 3 },
  });
}

function memoryNode({ base, size }: MachineSpec["memory"]): DtNode {
  return dtNode({ name: `memory@${base.toString(16)}`, reg: [{ base, size }], properties: { device_type: "memory" } });
}

function msiFrameNode(): DtNode {
  return dtNode({
    name: `v2m@${BOARD.msiFrameBase.toString(16)}`,
    label: "v2m",
    compatible: ["arm,gic-v2m-frame"],
    reg: [{ base: BOARD.msiFrameBase, size: 0x1000 }],
    properties: { "base-spi": LINES.msiFirst, "num-spis": LINES.msiCount },
  });
}

/** The tree: the SMMU's node stands among those of its clients where the description puts it. */
function deviceTree(machine: MachineSpec, custom: CustomClients): DtNode {
  const nodes: DtNode[] = [];
  let host = false;
  for (const device of machine.devices) {
    const node = clientNode(device, custom[device.name]);
    if (node) nodes.push(node);
    else if (!host) {
      nodes.push(hostBridgeNode(machine));
      host = true;
    }
  }
  nodes.splice(Math.min(machine.smmuNode, nodes.length), 0, smmuNode(machine));
  return dtNode({ name: "", children: [memoryNode(machine.memory), gicNode(), msiFrameNode(), ...nodes] });
}

/** Linux's name of a device made from a node `name@address`. */
export function platformName(name: string, base: number): string {
  return `${base.toString(16)}.${name.split("@")[0]!}`;
}

/** The lab's own board, with the devices that the description names. */
export function usualBoard(machine: MachineSpec, custom: CustomClients = {}): Board {
  const buses = pciPlaces(machine).length + 1;
  const places = machine.devices.flatMap((device): [string, Place][] => {
    const window = deviceWindow(device);
    if (!window) return [];
    const interrupt = clientInterrupt(device, custom[device.name]);
    const line = interrupt === undefined ? {} : { interrupt };
    return [[device.name, { window, deviceName: platformName(device.name, window.base), ...line }]];
  });
  return {
    tree: deviceTree(machine, custom),
    memory: [machine.memory],
    usable: [machine.memory],
    lines: LINES.total,
    smmuLines: { eventq: LINES.smmuEventq, priq: LINES.smmuPriq, "cmdq-sync": LINES.smmuSync, gerror: LINES.smmuGerror },
    smmuName: platformName("iommu", machine.smmu.base),
    msiFrame: { base: BOARD.msiFrameBase, first: LINES.msiFirst, count: LINES.msiCount },
    ...(machine.pci
      ? {
          pci: {
            ecam: { base: BOARD.ecamBase, size: BOARD.ecamSize * buses },
            busCount: buses,
            window: { base: BOARD.pciWindowBase, size: BOARD.pciWindowSize },
            deviceName: platformName("pcie", BOARD.ecamBase),
          },
        }
      : {}),
    places: new Map(places),
  };
}

/** The kernel's names of what the description names. */
export interface DeviceNames {
  readonly smmu: string;
  /** By the name in the description. */
  readonly clients: ReadonlyMap<string, string>;
  /** Consumers and their suppliers: everything behind the SMMU. */
  readonly suppliers: ReadonlyMap<string, readonly string[]>;
}

export function deviceNames(machine: MachineSpec, board: Board): DeviceNames {
  const clients = new Map<string, string>();
  for (const [name, { deviceName }] of board.places) clients.set(name, deviceName);
  for (const { name, device } of pciPlaces(machine)) clients.set(name, device);
  return {
    smmu: board.smmuName,
    clients,
    suppliers: new Map([...clients.values()].map((client) => [client, [board.smmuName]])),
  };
}
