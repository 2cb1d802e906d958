// SPDX-License-Identifier: GPL-2.0-only
/**
 * Managed device resources: what a driver acquired with `devm_*` is released when it lets go of the device, newest first.
 * Groups mark a part of them, so that a driver can give back what one step acquired. After Linux 7.1 drivers/base/devres.c:
 * devres_add, devres_{open,close,remove,release}_group, devres_release_all, devm_add_action. Left out: finding resources by
 * type, memory.
 */
import type { Coroutine } from "../../sim/index.ts";
import type { Device } from "./device.ts";

export interface DevresNode {
  readonly name: string;
  release(): void | Coroutine<void>;
  /** A mark of a group, not a resource. */
  readonly mark?: { readonly group: DevresGroup; readonly end: "open" | "close" };
}

/** Linux's `struct devres_group`. */
export interface DevresGroup {
  readonly name: string;
}

/**
 * Has `action` called when the driver lets go of `dev`, whether by a failed probe or by unbinding.
 * @returns the node, for {@link devm_remove_action}
 */
export function devm_add_action(dev: Device, name: string, action: () => void | Coroutine<void>): DevresNode {
  const node: DevresNode = { name, release: action };
  dev.devres.push(node);
  return node;
}

/** Forgets an action without calling it. */
export function devm_remove_action(dev: Device, node: DevresNode): void {
  const index = dev.devres.indexOf(node);
  if (index >= 0) dev.devres.splice(index, 1);
}

/** Forgets an action and calls it now. */
export function* devm_release_action(dev: Device, node: DevresNode): Coroutine<void> {
  devm_remove_action(dev, node);
  const waiting = node.release();
  if (waiting) yield* waiting;
}

function addMark(dev: Device, group: DevresGroup, end: "open" | "close"): void {
  dev.devres.push({ name: `${end} ${group.name}`, release: () => {}, mark: { group, end } });
}

function findMark(dev: Device, group: DevresGroup, end: "open" | "close"): number {
  return dev.devres.findIndex(({ mark }) => mark?.group === group && mark.end === end);
}

/** Resources from now on belong to a group, until it is closed. */
export function devres_open_group(dev: Device, name: string): DevresGroup {
  const group: DevresGroup = { name };
  addMark(dev, group, "open");
  return group;
}

/** Ends a group. A group that is not open is a warning. */
export function devres_close_group(dev: Device, group: DevresGroup): void {
  if (findMark(dev, group, "open") < 0 || findMark(dev, group, "close") >= 0) {
    dev.kernel.warn(`devres group ${group.name} is not open`, dev);
    return;
  }
  addMark(dev, group, "close");
}

/** Forgets a group; its resources stay, until the driver lets go of the device. */
export function devres_remove_group(dev: Device, group: DevresGroup): void {
  for (const node of dev.devres.filter(({ mark }) => mark?.group === group)) devm_remove_action(dev, node);
}

function* release(nodes: readonly DevresNode[]): Coroutine<number> {
  let count = 0;
  for (const node of nodes.toReversed()) {
    const waiting = node.release();
    if (waiting) yield* waiting;
    if (!node.mark) count++;
  }
  return count;
}

/** Releases what a group holds, newest first; a group that was not closed reaches to the newest. @returns how many */
export function* devres_release_group(dev: Device, group: DevresGroup): Coroutine<number> {
  const first = findMark(dev, group, "open");
  if (first < 0) {
    dev.kernel.warn(`devres group ${group.name} is gone`, dev);
    return 0;
  }
  const close = findMark(dev, group, "close");
  const last = close < 0 ? dev.devres.length - 1 : close;
  // A group that began inside and ends outside, or the other way round, keeps its outer mark.
  const inside = dev.devres.slice(first, last + 1);
  const isWhole = ({ group: other }: NonNullable<DevresNode["mark"]>): boolean =>
    inside.filter(({ mark }) => mark?.group === other).length === dev.devres.filter(({ mark }) => mark?.group === other).length;
  const taken = inside.filter(({ mark }) => !mark || isWhole(mark));
  for (const node of taken) devm_remove_action(dev, node);
  return yield* release(taken);
}

/**
 * Releases everything in reverse order of acquisition. What is acquired meanwhile is not released: it leaks, and the next
 * probe finds it present.
 * @returns how many were released
 */
export function* devres_release_all(dev: Device): Coroutine<number> {
  const count = yield* release(dev.devres.splice(0));
  const leaked = dev.devres.filter(({ mark }) => !mark).map(({ name }) => name);
  if (leaked.length > 0) dev.kernel.warn(`managed resources were acquired while they were being released: ${leaked.join(", ")}`, dev);
  return count;
}
