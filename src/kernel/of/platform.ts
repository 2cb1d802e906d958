// SPDX-License-Identifier: GPL-2.0-only
/** Platform devices from the device tree, in the order of the tree. */
import type { Coroutine } from "../../sim/index.ts";
import { device_add } from "../base/core.ts";
import type { Device } from "../base/device.ts";
import { PlatformDevice, platform_device_add } from "../base/platform.ts";
import type { Kernel } from "../kernel.ts";
import { type DtNode, of_device_is_available, of_device_is_compatible } from "./dt.ts";
import { of_node_is_populatable } from "./fw-devlink.ts";

/** Nodes whose children are devices too (`of_default_bus_match_table`). */
const BUSES = ["simple-bus", "simple-mfd", "isa", "arm,amba-bus"];

/** Linux's `of_device_make_bus_id`: `2b400000.smmu`, or the path of names for a node without address. */
export function of_device_make_bus_id(kernel: Kernel, node: DtNode): string {
  const plain = (named: DtNode): string => named.name.split("@")[0]!;
  let name = "";
  for (let at: DtNode | null = node; at && at !== kernel.of.root; at = kernel.of.parentOf(at)) {
    const suffix = name === "" ? "" : `:${name}`;
    const base = at.reg?.[0]?.base;
    if (base !== undefined) return `${base.toString(16)}.${plain(at)}${suffix}`;
    name = plain(at) + suffix;
  }
  return name;
}

/** The device of a node, not yet added. */
export function of_device_alloc(kernel: Kernel, node: DtNode, parent: Device | null): PlatformDevice {
  const pdev = new PlatformDevice(kernel, of_device_make_bus_id(kernel, node), parent);
  pdev.of_node = node;
  pdev.dma_coherent = node.dmaCoherent ?? false;
  pdev.resources = node.reg ?? [];
  pdev.irqs = node.interrupts ?? [];
  pdev.irqNames = node.interruptNames ?? [];
  return pdev;
}

function* createBus(kernel: Kernel, node: DtNode, parent: Device | null): Coroutine<void> {
  if (node.compatible === undefined || !of_device_is_available(node)) return;
  let self = parent;
  if (of_node_is_populatable(node)) {
    const pdev = of_device_alloc(kernel, node, parent);
    yield* platform_device_add(pdev);
    self = pdev;
  }
  if (!of_device_is_compatible(node, ...BUSES)) return;
  for (const child of node.children) yield* createBus(kernel, child, self);
}

/** Linux's `of_platform_default_populate`: devices for the children of the root, and below simple buses. */
export function* of_platform_default_populate(kernel: Kernel): Coroutine<void> {
  const { platformRoot } = kernel.of;
  if (!platformRoot.registered) yield* device_add(platformRoot);
  for (const node of kernel.of.root.children) yield* createBus(kernel, node, null);
}
