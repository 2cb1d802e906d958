// SPDX-License-Identifier: GPL-2.0-only
/**
 * Platform devices from the device tree, in the order of the tree. After Linux 7.1 drivers/of/platform.c:
 * of_device_make_bus_id, of_device_alloc, of_platform_bus_create, of_platform_default_populate_init. Left out: AMBA as a
 * bus of its own (its devices are platform devices here, matched by compatible string), the few reserved-memory nodes that
 * become devices, framebuffers in /chosen, auxdata.
 */
import type { Coroutine } from "../../sim/index.ts";
import { device_add } from "../base/core.ts";
import type { Device } from "../base/device.ts";
import { PlatformDevice, platform_device_add } from "../base/platform.ts";
import type { Kernel } from "../kernel.ts";
import { type DtNode, of_device_is_available, of_device_is_compatible } from "./dt.ts";
import { of_node_is_populatable } from "./fw-devlink.ts";

/** Nodes whose children are devices too (`of_default_bus_match_table`). */
export const OF_BUSES: readonly string[] = ["simple-bus", "simple-mfd", "isa", "arm,amba-bus"];

/** Nodes that have a compatible string and are no devices (`of_skipped_node_table`). */
const SKIPPED = ["operating-points-v2"];

/** Linux's `of_device_make_bus_id`: `2b400000.smmu`, or the path of names for a node whose address the CPU does not see. */
export function of_device_make_bus_id(kernel: Kernel, node: DtNode): string {
  let name = "";
  for (let at: DtNode | null = node; at && at !== kernel.of.root; at = kernel.of.parentOf(at)) {
    const suffix = name === "" ? "" : `:${name}`;
    const base = at.reg?.[0]?.base;
    if (base !== undefined) return `${base.toString(16)}.${at.name.split("@")[0]!}${suffix}`;
    name = at.name + suffix;
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
  if (node.compatible === undefined || !of_device_is_available(node) || of_device_is_compatible(node, ...SKIPPED)) return;
  let self = parent;
  if (of_node_is_populatable(node)) {
    const pdev = of_device_alloc(kernel, node, parent);
    yield* platform_device_add(pdev);
    self = pdev;
  }
  if (of_device_is_compatible(node, "arm,primecell") || !of_device_is_compatible(node, ...OF_BUSES)) return;
  for (const child of node.children) yield* createBus(kernel, child, self);
}

/** Linux's `of_platform_populate`: what a driver calls for the children of its node. Nodes that have a device are left alone. */
export function* of_platform_populate(kernel: Kernel, node: DtNode, parent: Device | null): Coroutine<void> {
  for (const child of node.children) if (!kernel.of.deviceOf(child)) yield* createBus(kernel, child, parent);
}

/** Linux's `of_platform_default_populate_init`: devices for `/firmware`, then for the children of the root and below simple buses. */
export function* of_platform_default_populate(kernel: Kernel): Coroutine<void> {
  const { platformRoot } = kernel.of;
  if (!platformRoot.registered) yield* device_add(platformRoot);
  const firmware = kernel.of.root.children.find(({ name }) => name === "firmware");
  if (firmware && firmware.compatible === undefined) yield* of_platform_populate(kernel, firmware, null);
  for (const node of kernel.of.root.children) yield* createBus(kernel, node, null);
}
