// SPDX-License-Identifier: GPL-2.0-only
/**
 * The device tree of one kernel: lookup, devices made from nodes, and the links that follow from references (fw_devlink).
 * After Linux 7.1 drivers/of/base.c: of_find_compatible_node, of_get_parent; labels stand for its phandles. Left out:
 * aliases, changes of the tree at run time.
 */
import { Device } from "../base/device.ts";
import type { Kernel } from "../kernel.ts";
import { type DtNode, of_walk } from "./dt.ts";
import { FwDevlink } from "./fw-devlink.ts";

export class OpenFirmware {
  readonly root: DtNode;
  /** The device `platform`, parent of platform devices that have no other. */
  readonly platformRoot: Device;
  readonly fwDevlink: FwDevlink;
  readonly #byLabel = new Map<string, DtNode>();
  readonly #parents = new Map<DtNode, DtNode>();
  readonly #devices = new Map<DtNode, Device>();

  constructor(kernel: Kernel) {
    this.root = kernel.platform.deviceTree;
    this.platformRoot = new Device(kernel, "platform");
    for (const node of of_walk(this.root)) {
      if (node.label !== undefined) this.#byLabel.set(node.label, node);
      for (const child of node.children) this.#parents.set(child, node);
    }
    this.fwDevlink = new FwDevlink(kernel);
  }

  /** The node with a label, or null. */
  byLabel(label: string): DtNode | null {
    return this.#byLabel.get(label) ?? null;
  }

  parentOf(node: DtNode): DtNode | null {
    return this.#parents.get(node) ?? null;
  }

  /** Linux's `of_find_compatible_node`: the nodes in tree order. */
  compatibleNodes(compatible: string): DtNode[] {
    return [...of_walk(this.root)].filter((node) => node.compatible?.includes(compatible));
  }

  /** The registered device made for a node (`fwnode->dev`), or null. */
  deviceOf(node: DtNode): Device | null {
    return this.#devices.get(node) ?? null;
  }

  /** device_add: the node has a device now; links to and from it are made. */
  linkDevice(dev: Device): void {
    if (!dev.of_node || this.#devices.has(dev.of_node)) return;
    this.#devices.set(dev.of_node, dev);
    this.fwDevlink.linkDevice(dev);
  }

  unlinkDevice(dev: Device): void {
    if (dev.of_node && this.#devices.get(dev.of_node) === dev) this.#devices.delete(dev.of_node);
  }

  /** A supplier named by the device's node that has no device yet, or null. */
  missingSupplier(dev: Device): string | null {
    return this.fwDevlink.missingSupplier(dev);
  }
}
