// SPDX-License-Identifier: GPL-2.0-only
/**
 * Cycles among suppliers: nobody in one may wait for another, so their links serve sync_state() only. After Linux 7.1
 * drivers/base/core.c: __fw_devlink_relax_cycles. A path goes from a node to what supplies it, to what stands above it, and
 * along device links; links that may be ignored are no part of one. Left out: what is printed of a cycle.
 */
import type { Device } from "../base/device.ts";
import { DL_FLAG, isSyncStateOnly } from "../base/link-flags.ts";
import { fw_devlink_relax_link } from "../base/links.ts";
import type { DtNode } from "./dt.ts";
import type { FwNode } from "./fwnode-links.ts";

/** What is asked of the kernel that the nodes belong to. */
export interface FwNodeDevices {
  fwnode(node: DtNode): FwNode;
  deviceOf(fwnode: FwNode): Device | null;
  deviceAbove(fwnode: FwNode): Device | null;
}

/** Finds every path from `supplier` back to `consumer` and relaxes what it goes along. @returns whether there is one */
export function relaxCycles(consumer: FwNode, supplier: FwNode | null, devices: FwNodeDevices): boolean {
  if (!supplier || supplier.visited) return false;
  if (supplier === consumer) return true;
  supplier.visited = true;
  const found = search(consumer, supplier, devices);
  supplier.visited = false;
  return found;
}

function search(consumer: FwNode, supplier: FwNode, devices: FwNodeDevices): boolean {
  const dev = devices.deviceOf(supplier);
  // A supplier that works already depends on nobody who does not.
  if (dev?.links.status === "bound" && devices.deviceOf(consumer)?.links.status === "no-driver") return false;
  const nodeOf = (of: Device): FwNode | null => (of.of_node ? devices.fwnode(of.of_node) : null);
  let found = false;
  for (const link of supplier.suppliers) {
    if (link.ignore || !relaxCycles(consumer, link.supplier, devices)) continue;
    link.cycle = true;
    found = true;
  }
  const above = dev ? dev.parent : devices.deviceAbove(supplier);
  if (above && relaxCycles(consumer, nodeOf(above), devices)) found = true;
  for (const link of dev?.links.suppliers ?? []) {
    if (isSyncStateOnly(link.flags) && (link.flags & DL_FLAG.CYCLE) === 0) continue;
    if (!relaxCycles(consumer, nodeOf(link.supplier), devices)) continue;
    fw_devlink_relax_link(link);
    link.flags |= DL_FLAG.CYCLE;
    found = true;
  }
  return found;
}
