// SPDX-License-Identifier: GPL-2.0-only
/**
 * fw_devlink: references in the device tree become device links, so that probing and shutdown follow them. Mandatory
 * suppliers (clocks, power domains, regulators …) always count; optional ones (`iommus`, `iommu-map`, `dmas`) only with
 * fw_devlink.strict=1. So by default no link leads from a client to its IOMMU. With "permissive" links only serve
 * sync_state(): nobody waits and nothing moves.
 *
 * After Linux 7.1 drivers/base/core.c: fw_devlink_*, __fw_devlink_*. A consumer waits for a node that never becomes a device
 * as long as the driver of the node above is missing, for ever if need be. Left out: FWNODE_FLAG_BEST_EFFORT and
 * wait_for_init_devices_probe, FWNODE_FLAG_NEEDS_CHILD_BOUND_ON_ADD, overlays.
 */
import type { Device } from "../base/device.ts";
import { DL_FLAG } from "../base/link-flags.ts";
import { device_link_add, fw_devlink_relax_link } from "../base/links.ts";
import type { Kernel } from "../kernel.ts";
import { type DtNode, of_device_is_available, of_device_is_compatible } from "./dt.ts";
import { supplierReferences } from "./fw-devlink-parse.ts";
import { relaxCycles } from "./fw-devlink-cycles.ts";
import {
  FwNode,
  type FwNodeLink,
  fwnode_link_add,
  fwnode_link_del,
  fwnode_links_move_consumers,
  fwnode_links_purge_suppliers,
} from "./fwnode-links.ts";

/** Set up before there are devices (CLK_OF_DECLARE, IRQCHIP_DECLARE): never devices, never waited for. */
const OF_DECLARED = [
  "fixed-clock",
  "fixed-factor-clock",
  "arm,cortex-a9-gic",
  "arm,cortex-a15-gic",
  "arm,gic-400",
  "arm,gic-v2m-frame",
  "arm,gic-v3",
  "arm,gic-v3-its",
];

const PERMISSIVE = DL_FLAG.INFERRED | DL_FLAG.SYNC_STATE_ONLY;
const ON = DL_FLAG.INFERRED | DL_FLAG.AUTOPROBE_CONSUMER;
const MODES = { off: 0, permissive: PERMISSIVE, on: ON, rpm: ON | DL_FLAG.PM_RUNTIME } as const;

/** True for nodes that become devices: they have a compatible string and nothing else took them early. */
export function of_node_is_populatable(node: DtNode): boolean {
  return node.compatible !== undefined && of_device_is_available(node) && !of_device_is_compatible(node, ...OF_DECLARED);
}

export class FwDevlink {
  readonly #kernel: Kernel;
  readonly #fwnodes = new Map<DtNode, FwNode>();
  readonly #flags: number;
  readonly #permissive: boolean;
  /** `fw_devlink_drv_reg_done`: no more drivers will come. */
  #driversDone = false;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#flags = MODES[kernel.params.fwDevlink];
    this.#permissive = kernel.params.fwDevlink === "permissive";
  }

  #fwnode(node: DtNode): FwNode {
    let fwnode = this.#fwnodes.get(node);
    if (fwnode) return fwnode;
    this.#fwnodes.set(node, (fwnode = new FwNode(node)));
    fwnode.initialized = of_device_is_compatible(node, ...OF_DECLARED);
    return fwnode;
  }

  #deviceOf(fwnode: FwNode): Device | null {
    return this.#kernel.of.deviceOf(fwnode.node);
  }

  /** The nodes above, nearest first. */
  *#above(fwnode: FwNode): Generator<FwNode, void, undefined> {
    const { of } = this.#kernel;
    for (let node = of.parentOf(fwnode.node); node; node = of.parentOf(node)) yield this.#fwnode(node);
  }

  /** Linux's `fwnode_get_next_parent_dev`. */
  #deviceAbove(fwnode: FwNode): Device | null {
    for (const above of this.#above(fwnode)) {
      const dev = this.#deviceOf(above);
      if (dev) return dev;
    }
    return null;
  }

  #children(fwnode: FwNode): FwNode[] {
    return fwnode.node.children.filter(of_device_is_available).map((child) => this.#fwnode(child));
  }

  /** Linux's `fw_devlink_parse_fwtree`: links between nodes, from the properties of this one and all below. */
  #parse(fwnode: FwNode): void {
    if (!fwnode.linksAdded) {
      fwnode.linksAdded = true;
      const { of, params } = this.#kernel;
      const tree = {
        byLabel: (label: string) => of.byLabel(label),
        parentOf: (node: DtNode) => of.parentOf(node),
        hasDevice: (node: DtNode) => of.deviceOf(node) !== null,
      };
      const strict = params.fwDevlinkStrict && !this.#permissive;
      for (const { consumer, supplier, ignore } of supplierReferences(fwnode.node, tree, strict)) {
        fwnode_link_add(this.#fwnode(consumer), this.#fwnode(supplier), { ignore });
      }
    }
    for (const child of this.#children(fwnode)) this.#parse(child);
  }

  /** Linux's `fw_devlink_link_device`: links that wait for this device, then the links it needs itself. */
  linkDevice(dev: Device): void {
    if (!dev.of_node || this.#flags === 0) return;
    const fwnode = this.#fwnode(dev.of_node);
    this.#parse(fwnode);
    this.#linkToConsumers(fwnode);
    this.#linkToSuppliers(dev, fwnode);
  }

  #linkToConsumers(fwnode: FwNode): void {
    for (const link of fwnode.consumers.slice()) {
      let consumer = this.#deviceOf(link.consumer);
      const own = consumer !== null;
      if (!consumer) {
        consumer = this.#deviceAbove(link.consumer);
        // Whoever stands above both cannot be kept waiting for what is below it.
        if (consumer?.of_node && [fwnode, ...this.#above(fwnode)].includes(this.#fwnode(consumer.of_node))) consumer = null;
      }
      if (!consumer) continue;
      if (this.#createDevlink(consumer, fwnode, link) !== "later" && own) fwnode_link_del(link);
    }
  }

  /** The suppliers of the device's node, and by proxy those of the nodes below, which may become devices later. */
  #linkToSuppliers(dev: Device, fwnode: FwNode): void {
    const own = dev.of_node === fwnode.node;
    for (const link of fwnode.suppliers.slice()) {
      if (this.#createDevlink(dev, link.supplier, link) !== "later" && own) fwnode_link_del(link);
    }
    for (const child of this.#children(fwnode)) this.#linkToSuppliers(dev, child);
  }

  /** @returns "later" while the supplier has no device and may still get one */
  #createDevlink(consumer: Device, supplier: FwNode, link: FwNodeLink): "done" | "later" {
    if (link.ignore) return "done";
    const lookup = { deviceOf: (at: FwNode) => this.#deviceOf(at), deviceAbove: (at: FwNode) => this.#deviceAbove(at) };
    if (relaxCycles(link.consumer, supplier, { ...lookup, fwnode: (node: DtNode) => this.#fwnode(node) })) {
      link.cycle = true;
      this.#kernel.printk.pr_info(`${link.consumer.node.name}: Fixed dependency cycle(s) with ${supplier.node.name}`);
    }
    let flags: number = consumer.of_node === link.consumer.node ? this.#flags : PERMISSIVE;
    if (link.cycle && flags !== PERMISSIVE) flags = PERMISSIVE | DL_FLAG.CYCLE;
    const device = supplier.notDevice ? this.#deviceAbove(supplier) : this.#deviceOf(supplier);
    if (!device) {
      const withoutDriver = (at: FwNode): boolean => at.initialized && (this.#deviceOf(at)?.links.status ?? "no-driver") === "no-driver";
      return [supplier, ...this.#above(supplier)].some(withoutDriver) ? "done" : "later";
    }
    if (device.links.status === "no-driver" && supplier.initialized) return "done";
    if (consumer === device || device_link_add(consumer, device, flags)) return "done";
    const where = `supplier ${device.name} for ${link.consumer.node.name}`;
    this.#kernel.printk.dev_err(consumer, `Failed to create device link (0x${flags.toString(16)}) with ${where}`);
    return "done";
  }

  /** A supplier that the device's node waits for and that has no device yet, or null. */
  missingSupplier(dev: Device): string | null {
    if (!dev.of_node || this.#permissive) return null;
    const waiting = this.#fwnode(dev.of_node).suppliers.find((link) => !link.cycle && !link.ignore);
    return waiting ? waiting.supplier.node.name : null;
  }

  /**
   * A driver was bound: what the node still waited for was not needed. Nodes below that did not become devices of a bus are
   * the driver's own, so whoever waits for them waits for this device (`fw_devlink_pickup_dangling_consumers`).
   */
  driverBound(dev: Device): void {
    if (!dev.of_node || this.#flags === 0 || this.#kernel.of.deviceOf(dev.of_node) !== dev) return;
    const fwnode = this.#fwnode(dev.of_node);
    fwnode_links_purge_suppliers(fwnode);
    const pickUp = (at: FwNode): void => {
      if (this.#deviceOf(at)?.bus) return;
      at.notDevice = true;
      fwnode_links_move_consumers(at, fwnode);
      for (const child of this.#children(at)) pickUp(child);
    };
    for (const child of this.#children(fwnode)) pickUp(child);
    this.#linkToConsumers(fwnode);
  }

  /** Linux's `fw_devlink_drivers_done`: suppliers that no driver matches block nobody any more. */
  driversDone(): void {
    this.#driversDone = true;
    for (const link of this.#kernel.base.links) if (!link.supplier.can_match) fw_devlink_relax_link(link);
  }

  /** The end of device_add: a device that came too late for any driver blocks nobody (`fw_devlink_unblock_consumers`). */
  deviceAdded(dev: Device): void {
    if (!dev.of_node || !this.#driversDone || dev.can_match || this.#permissive) return;
    for (const link of dev.links.consumers) fw_devlink_relax_link(link);
  }
}
