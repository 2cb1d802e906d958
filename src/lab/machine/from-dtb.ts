// SPDX-License-Identifier: MIT
/**
 * A scenario's machine on the board of a device tree: the tree says where RAM, the SMMU, the PCI window and the known clients
 * are, and under which ids; the scenario what they do. What the lab has no silicon for stays in the tree, inert.
 */
import type { SmmuLine } from "../../hw/index.ts";
import {
  type DtIdMap,
  type DtNode,
  type DtRange,
  early_init_dt_scan_memory,
  fdt_scan_reserved_mem,
  of_device_is_available,
  of_device_is_compatible,
  of_walk,
} from "../../kernel/index.ts";
import type { DeviceSpec, MachineSpec } from "../scenario/types.ts";
import { type Board, LINES, type Place } from "./board.ts";
import { pciPlaces, platformName } from "./device-tree.ts";

/** No such machine can be built from the tree. Each line of the message is one thing that is in the way. */
export class BoardError extends Error {
  readonly code = "BAD_BOARD";
}

/** Node of a client of each kind. */
const CLIENT_COMPATIBLE = { hdlcd: "arm,hdlcd", "tmc-etr": "arm,coresight-tmc" } as const;
const HOST_BRIDGE = "pci-host-ecam-generic";
const SMMU = "arm,smmu-v3";
const ITS = "arm,gic-v3-its";
const V2M = "arm,gic-v2m-frame";

const FIRST_SPI = 32;
/** SPIs of a GIC. */
const MOST_LINES = 988;
const MIB = 0x10_0000;
const FOUR_GIB = 0x1_0000_0000;
/** What a kernel of the lab needs. */
const LEAST_RAM = 64 * MIB;

function named(node: DtNode, name: string): boolean {
  return node.label === name || node.name === name || node.name.split("@")[0] === name;
}

/** RAM without what lies in the holes, in pieces of whole pages. */
function without(ranges: readonly DtRange[], holes: readonly DtRange[]): DtRange[] {
  let left = [...ranges];
  for (const hole of holes) {
    left = left.flatMap(({ base, size }) => {
      const end = base + size;
      const holeEnd = hole.base + hole.size;
      if (holeEnd <= base || hole.base >= end) return [{ base, size }];
      const pieces: DtRange[] = [];
      if (hole.base > base) pieces.push({ base, size: hole.base - base });
      if (holeEnd < end) pieces.push({ base: holeEnd, size: end - holeEnd });
      return pieces;
    });
  }
  return left;
}

class BoardBuilder {
  readonly #root: DtNode;
  readonly #machine: MachineSpec;
  readonly #nodes: readonly DtNode[];
  readonly #problems: string[] = [];
  /** Nodes that the machine has silicon for. */
  readonly #built = new Set<DtNode>();
  /** What the kernel sees instead of a node. */
  readonly #instead = new Map<DtNode, DtNode>();

  constructor(root: DtNode, machine: MachineSpec) {
    this.#root = root;
    this.#machine = machine;
    this.#nodes = [...of_walk(root)].filter(of_device_is_available);
  }

  build(reserved: readonly DtRange[]): MachineSpec {
    const memory = early_init_dt_scan_memory(this.#root);
    const holes = [...reserved, ...fdt_scan_reserved_mem(this.#root).flatMap(({ ranges }) => ranges ?? [])];
    // Boot loaders put a kernel below 4 GiB where they can.
    const low = ({ base }: DtRange): number => (base < FOUR_GIB ? 0 : 1);
    const usable = without(memory, holes)
      .filter(({ size }) => size >= LEAST_RAM)
      .toSorted((a, b) => low(a) - low(b) || b.size - a.size);
    if (usable.length === 0) this.#problems.push("no memory node leaves 64 MiB of RAM in one piece");

    const devices = this.#machine.devices.map((device) => ({ device, node: this.#nodeOf(device) }));
    const smmu = this.#smmu(devices.map(({ device, node }) => ({ name: device.name, labels: this.#smmuLabels(device, node) })));
    const smmuReg = smmu?.reg?.[0];
    if (smmu && !smmuReg) this.#problems.push(`${smmu.name} has no address`);
    const host = devices.find(({ device }) => device.bus === "pci")?.node;
    const pci = host && this.#pci(host);
    const msiFrame = this.#msiFrame();
    if (this.#problems.length > 0 || !smmu || !smmuReg || !msiFrame) throw new BoardError(this.#problems.join("\n"));

    const board: Board = {
      tree: this.#tree(this.#root),
      memory,
      usable: usable.toSorted((a, b) => a.base - b.base),
      reservations: reserved,
      lines: this.#lines(),
      smmuLines: this.#smmuLines(smmu),
      smmuName: platformName(smmu.name, smmuReg.base),
      msiFrame,
      ...(pci ? { pci } : {}),
      places: new Map(devices.flatMap(({ device, node }) => (node && device.bus === "platform" ? [[device.name, this.#place(node)]] : []))),
    };
    return {
      ...this.#machine,
      memory: usable[0]!,
      smmu: { ...this.#machine.smmu, base: smmuReg.base },
      devices: devices.map(({ device, node }) => ({ ...device, streamId: this.#streamId(device, node!) })),
      board,
    };
  }

  #nodeOf(device: DeviceSpec): DtNode | undefined {
    const { kind, name } = device;
    if (device.linkToSmmu) this.#problems.push(`${name}: linkToSmmu is board code of the lab's own board`);
    if (kind === "e1000e") {
      const host = this.#nodes.find((node) => of_device_is_compatible(node, HOST_BRIDGE));
      if (!host) this.#problems.push(`${name} has no bus: the tree has no ${HOST_BRIDGE}, the one host bridge that is modelled`);
      else this.#built.add(host);
      return host;
    }
    const compatible = CLIENT_COMPATIBLE[kind];
    const candidates = this.#nodes.filter((node) => of_device_is_compatible(node, compatible) && !this.#built.has(node));
    const node = candidates.find((candidate) => named(candidate, name)) ?? (candidates.length === 1 ? candidates[0] : undefined);
    if (!node) {
      const others = candidates.map((candidate) => candidate.label ?? candidate.name).join(", ");
      this.#problems.push(`${name}: no ${compatible} of that name${others === "" ? " in the tree" : `; there are ${others}`}`);
    } else if (!node.reg?.[0]) {
      this.#problems.push(`${name}: ${node.name} has no address`);
    }
    if (node) this.#built.add(node);
    return node;
  }

  /** Rows of the host bridge's map, or a client's own references. */
  #smmuLabels(device: DeviceSpec, node: DtNode | undefined): readonly string[] {
    if (!node) return [];
    const rid = this.#requesterId(device);
    return device.bus === "pci" ? this.#rows(node, rid).map(({ label }) => label) : (node.iommus ?? []).map(({ label }) => label);
  }

  #requesterId(device: DeviceSpec): number {
    return (pciPlaces(this.#machine).find(({ name }) => name === device.name)?.busNo ?? 0) << 8;
  }

  #rows(host: DtNode, rid: number): readonly DtIdMap[] {
    if (host.iommuMapMask !== undefined && host.iommuMapMask !== 0xffff) return [];
    return (host.iommuMap ?? []).filter(({ ridBase, length }) => rid >= ridBase && rid < ridBase + length);
  }

  /** One SMMU is built: that of the clients. */
  #smmu(clients: readonly { readonly name: string; readonly labels: readonly string[] }[]): DtNode | undefined {
    const candidates = this.#nodes.filter((node) => of_device_is_compatible(node, SMMU));
    if (candidates.length === 0) this.#problems.push(`the tree has no ${SMMU} that is enabled`);
    const found = new Map<DtNode, string>();
    for (const { name, labels } of clients) {
      const smmu = candidates.find(({ label }) => label !== undefined && labels.includes(label));
      if (smmu) found.set(smmu, name);
      else if (candidates.length > 0 && this.#problems.length === 0) this.#problems.push(`${name} is behind no ${SMMU}`);
    }
    const [first, second] = [...found];
    if (first && second)
      this.#problems.push(`${first[1]} is behind ${first[0].name}, ${second[1]} behind ${second[0].name}: a machine has one SMMU`);
    const smmu = first?.[0] ?? candidates[0];
    if (smmu) this.#built.add(smmu);
    return smmu;
  }

  #smmuLines(smmu: DtNode): Board["smmuLines"] {
    const line = (name: string): number | undefined => smmu.interrupts?.[smmu.interruptNames?.indexOf(name) ?? -1];
    const lines: Partial<Record<SmmuLine, number>> = {};
    for (const name of ["eventq", "priq", "cmdq-sync", "gerror"] as const) {
      const intid = line(name);
      if (intid !== undefined) lines[name] = intid;
    }
    return lines;
  }

  #pci(host: DtNode): Board["pci"] {
    const reg = host.reg?.[0];
    const busCount = pciPlaces(this.#machine).length + 1;
    const [first, last] = host.busRange ?? [0, Math.floor((reg?.size ?? 0) / MIB) - 1];
    const window = host.ranges?.find(({ base, size }) => base + size <= FOUR_GIB);
    if (!reg) this.#problems.push(`${host.name} has no address`);
    if (first !== 0) this.#problems.push(`${host.name} begins at bus ${first}: host bridges begin at bus 0 here`);
    if (last + 1 < busCount) this.#problems.push(`${host.name} has ${last + 1} buses, the scenario's functions need ${busCount}`);
    if (!window) this.#problems.push(`${host.name} has no memory window below 4 GiB that is the same on both sides`);
    if (!reg || !window) return undefined;
    // The kernel places BARs in the first window.
    this.#instead.set(host, { ...host, ranges: [window, ...(host.ranges ?? []).filter((range) => range !== window)] });
    return { ecam: { base: reg.base, size: busCount * MIB }, busCount, window, deviceName: platformName(host.name, reg.base) };
  }

  /** The first GICv2m frame, or one in the place of an ITS, which is not modelled. Its interrupts are behind all others. */
  #msiFrame(): Board["msiFrame"] | undefined {
    const frame =
      this.#nodes.find((node) => of_device_is_compatible(node, V2M)) ?? this.#nodes.find((node) => of_device_is_compatible(node, ITS));
    const reg = frame?.reg?.[0];
    if (!frame || !reg) {
      this.#problems.push(`the tree has neither ${V2M} nor ${ITS}: message-signalled interrupts have nowhere to go`);
      return undefined;
    }
    const first = Math.max(...this.#intids(), LINES.msiFirst - 1) + 1;
    if (first + LINES.msiCount > FIRST_SPI + MOST_LINES) this.#problems.push(`interrupts up to ${first - 1} leave none for messages`);
    this.#instead.set(frame, {
      ...frame,
      compatible: [V2M],
      reg: [{ base: reg.base, size: 0x1000 }],
      properties: { ...frame.properties, "base-spi": first, "num-spis": LINES.msiCount },
    });
    return { base: reg.base, first, count: LINES.msiCount };
  }

  #intids(): number[] {
    return this.#nodes
      .flatMap(({ interrupts }) => interrupts ?? [])
      .filter((intid) => intid >= FIRST_SPI && intid < FIRST_SPI + MOST_LINES);
  }

  #lines(): number {
    return Math.max(...this.#intids(), LINES.msiFirst - 1) + 1 + LINES.msiCount - FIRST_SPI;
  }

  #place(node: DtNode): Place {
    const window = node.reg![0]!;
    const [interrupt] = node.interrupts ?? [];
    return {
      window: { base: window.base, size: 0x1000 },
      deviceName: platformName(node.name, window.base),
      ...(interrupt === undefined ? {} : { interrupt }),
    };
  }

  #streamId(device: DeviceSpec, node: DtNode): number {
    if (device.bus === "platform") return node.iommus?.[0]?.args[0] ?? device.streamId;
    const rid = this.#requesterId(device);
    const [row] = this.#rows(node, rid);
    return row ? row.outBase + rid - row.ridBase : rid;
  }

  /** The tree for the kernel: what its drivers would take and is not built is disabled. */
  #tree(node: DtNode): DtNode {
    const shown = this.#instead.get(node) ?? node;
    const drivers = [SMMU, HOST_BRIDGE, V2M, ...Object.values(CLIENT_COMPATIBLE)];
    const off = of_device_is_compatible(node, ...drivers) && !this.#built.has(node) && !this.#instead.has(node);
    return { ...shown, ...(off ? { status: "disabled" as const } : {}), children: node.children.map((child) => this.#tree(child)) };
  }
}

/**
 * The machine of a scenario on the board of a tree.
 * @param reserved the blob's memory reservations
 * @throws BoardError naming everything that cannot be built
 */
export function machineOnBoard(root: DtNode, machine: MachineSpec, reserved: readonly DtRange[] = []): MachineSpec {
  return new BoardBuilder(root, machine).build(reserved);
}
