// SPDX-License-Identifier: MIT
/**
 * PCI functions that a device tree names, without a configuration space to read: they join the device list as Linux's scan
 * would find them, all of a bus before those behind its bridges. Where the tree names none, one function stands for any.
 */
import {
  type BusType,
  Device,
  type DeviceDriver,
  device_add,
  device_attach,
  dma_cleanup,
  dma_configure,
  type DtIdMap,
  type DtNode,
  dtNode,
  iommu_fwspec_add_ids,
  iommu_fwspec_init,
  type Kernel,
  of_device_is_available,
  type PlatformDevice,
} from "../../kernel/index.ts";
import type { Coroutine } from "../../sim/index.ts";

/** A function as the order needs it. */
export interface NamedFunction {
  readonly dev: Device;
  readonly node: DtNode;
  readonly requesterId: number;
  /** The host bridge's node. */
  readonly host: DtNode;
  readonly assumed: boolean;
}

const hex2 = (value: number): string => value.toString(16).padStart(2, "0");

/** The row of an iommu-map for a requester id. */
export function mapped(host: DtNode, requesterId: number): { readonly label: string; readonly streamId: number } | undefined {
  const rid = requesterId & (host.iommuMapMask ?? 0xffff);
  const row = (host.iommuMap ?? []).find(({ ridBase, length }: DtIdMap) => rid >= ridBase && rid < ridBase + length);
  return row && { label: row.label, streamId: row.outBase + rid - row.ridBase };
}

/** Device and function number in the first cell of a PCI node's `reg`; undefined for a node that is no function. */
function devfnOf(node: DtNode): number | undefined {
  const reg = node.properties["reg"];
  const first = typeof reg === "number" ? reg : Array.isArray(reg) ? (reg as readonly unknown[])[0] : undefined;
  return typeof first === "number" ? (first >>> 8) & 0xff : undefined;
}

function isBridge(node: DtNode): boolean {
  return node.properties["device_type"] === "pci";
}

/** What drivers match by. A bridge needs no compatible string to be one. */
function namesOf(node: DtNode | null): readonly string[] {
  return [...(node?.compatible ?? []), ...(node && isBridge(node) ? ["pciclass,0604"] : [])];
}

/** The PCI buses of one kernel. */
export class NamedPci {
  readonly functions: NamedFunction[] = [];
  readonly bus: BusType;
  readonly #kernel: Kernel;
  /** Functions that drivers may have: none before its whole bus was scanned (`match_driver`). */
  readonly #found = new WeakSet<Device>();
  #domain = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.bus = {
      name: "pci",
      match: (dev: Device, drv: DeviceDriver) =>
        this.#found.has(dev) && namesOf(dev.of_node).some((name) => drv.of_match_table?.includes(name)),
      dma_configure: (dev) => this.#dmaConfigure(dev),
      dma_cleanup,
      // The bus's own part clears bus mastering before a kexec; which devices it passes, and when, is the list's affair.
      *shutdown(dev: Device): Coroutine<void> {
        if (dev.driver?.shutdown) yield* dev.driver.shutdown(dev);
      },
    };
  }

  *#dmaConfigure(dev: Device): Coroutine<number> {
    const found = this.functions.find((candidate) => candidate.dev === dev);
    const target = found && mapped(found.host, found.requesterId);
    const node = target && this.#kernel.of.byLabel(target.label);
    if (node && of_device_is_available(node) && dev.iommu === null) {
      const error = iommu_fwspec_init(dev, node);
      if (error !== 0) return error;
      iommu_fwspec_add_ids(dev, [target.streamId]);
    }
    return yield* dma_configure(dev);
  }

  /** What a host bridge's driver does when it probes. */
  *scan(host: PlatformDevice): Coroutine<void> {
    const node = host.of_node;
    if (!node) return;
    const domainProperty = node.properties["linux,pci-domain"];
    const domain = typeof domainProperty === "number" ? domainProperty : this.#domain;
    this.#domain = Math.max(this.#domain, domain) + 1;
    const prefix = domain.toString(16).padStart(4, "0");
    const first = node.busRange?.[0] ?? 0;
    const root = new Device(this.#kernel, `pci${prefix}:${hex2(first)}`, host);
    yield* device_add(root);
    const found: NamedFunction[] = [];
    yield* this.#scanBus(node, node, root, prefix, first, found);
    if (found.length === 0) {
      const any = dtNode({ name: "function" });
      found.push(yield* this.#add(any, node, root, `${prefix}:${hex2(first)}:01.0`, (first << 8) | 8, true));
    }
    for (const { dev } of found) {
      this.#found.add(dev);
      yield* device_attach(dev);
    }
  }

  /** @returns the last bus number used */
  *#scanBus(at: DtNode, host: DtNode, parent: Device, domain: string, number: number, found: NamedFunction[]): Coroutine<number> {
    const here: { node: DtNode; dev: Device }[] = [];
    const children = at.children.flatMap((node) => {
      const devfn = of_device_is_available(node) ? devfnOf(node) : undefined;
      return devfn === undefined ? [] : [{ node, devfn }];
    });
    for (const { node, devfn } of children.toSorted((a, b) => a.devfn - b.devfn)) {
      const name = `${domain}:${hex2(number)}:${hex2(devfn >> 3)}.${devfn & 7}`;
      const added = yield* this.#add(node, host, parent, name, (number << 8) | devfn, false);
      found.push(added);
      here.push({ node, dev: added.dev });
    }
    let last = number;
    for (const { node, dev } of here) if (isBridge(node)) last = yield* this.#scanBus(node, host, dev, domain, last + 1, found);
    return last;
  }

  *#add(node: DtNode, host: DtNode, parent: Device, name: string, requesterId: number, assumed: boolean): Coroutine<NamedFunction> {
    const dev = new Device(this.#kernel, name, parent);
    dev.bus = this.bus;
    dev.of_node = node;
    const made: NamedFunction = { dev, node, requesterId, host, assumed };
    this.functions.push(made);
    yield* device_add(dev);
    return made;
  }
}
