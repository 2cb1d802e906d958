// SPDX-License-Identifier: GPL-2.0-only
/** Managed device resources: what a driver acquired with `devm_*` is released when it lets go of the device, newest first. */
import type { Coroutine } from "../../sim/index.ts";
import type { Device } from "./device.ts";

export interface DevresNode {
  readonly name: string;
  release(): void | Coroutine<void>;
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

/** Releases everything in reverse order of acquisition. @returns how many were released */
export function* devres_release_all(dev: Device): Coroutine<number> {
  let count = 0;
  for (let node = dev.devres.pop(); node; node = dev.devres.pop()) {
    const waiting = node.release();
    if (waiting) yield* waiting;
    count++;
  }
  return count;
}
