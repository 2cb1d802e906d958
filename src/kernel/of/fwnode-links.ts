// SPDX-License-Identifier: GPL-2.0-only
/**
 * Links between nodes of the firmware's description, which become device links when both ends have devices. After Linux 7.1
 * drivers/base/core.c: fwnode_link_add, fwnode_links_purge, __fwnode_links_move_consumers, and FWNODE_FLAG_*.
 * Left out: nodes of ACPI and of software.
 */
import type { DtNode } from "./dt.ts";

export interface FwNodeLink {
  readonly consumer: FwNode;
  readonly supplier: FwNode;
  /** FWLINK_FLAG_CYCLE: part of a cycle, nobody waits for it. */
  cycle: boolean;
  /** FWLINK_FLAG_IGNORE: never waited for, never a device link. */
  ignore: boolean;
}

/** A node, as links see it. Both lists have the newest link first. */
export class FwNode {
  readonly node: DtNode;
  readonly suppliers: FwNodeLink[] = [];
  readonly consumers: FwNodeLink[] = [];
  /** FWNODE_FLAG_LINKS_ADDED: the properties were parsed. */
  linksAdded: boolean = false;
  /** FWNODE_FLAG_NOT_DEVICE: what the node describes belongs to the driver of a node above. */
  notDevice: boolean = false;
  /** FWNODE_FLAG_INITIALIZED: set up early, without a device. */
  initialized: boolean = false;
  /** FWNODE_FLAG_VISITED. */
  visited: boolean = false;

  constructor(node: DtNode) {
    this.node = node;
  }
}

/** Linux's `fwnode_link_add`. A link that is there takes the flags along. */
export function fwnode_link_add(consumer: FwNode, supplier: FwNode, flags: { readonly cycle?: boolean; readonly ignore?: boolean }): void {
  const existing = supplier.consumers.find((link) => link.consumer === consumer);
  if (existing) {
    existing.cycle ||= flags.cycle ?? false;
    existing.ignore ||= flags.ignore ?? false;
    return;
  }
  const link: FwNodeLink = { consumer, supplier, cycle: flags.cycle ?? false, ignore: flags.ignore ?? false };
  supplier.consumers.unshift(link);
  consumer.suppliers.unshift(link);
}

export function fwnode_link_del(link: FwNodeLink): void {
  link.supplier.consumers.splice(link.supplier.consumers.indexOf(link), 1);
  link.consumer.suppliers.splice(link.consumer.suppliers.indexOf(link), 1);
}

/** The node's device is bound: whatever it still waited for, it did without. */
export function fwnode_links_purge_suppliers(fwnode: FwNode): void {
  for (const link of fwnode.suppliers.slice()) fwnode_link_del(link);
}

/** What waits for `from` waits for `to` from now on. */
export function fwnode_links_move_consumers(from: FwNode, to: FwNode): void {
  for (const link of from.consumers.slice()) {
    fwnode_link_add(link.consumer, to, link);
    fwnode_link_del(link);
  }
}
