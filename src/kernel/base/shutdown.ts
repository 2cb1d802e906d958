// SPDX-License-Identifier: GPL-2.0-only
/**
 * Linux's `device_shutdown`: every device is told, from the tail of the device list to its head. After Linux 7.1
 * drivers/base/core.c: device_shutdown. Left out: cpufreq_suspend.
 */
import { answered } from "../debug/missing-yield.ts";
import type { Coroutine } from "../../sim/index.ts";
import type { Kernel } from "../kernel.ts";
import { device_block_probing, wait_for_device_probe } from "./deferred.ts";
import { shutDownAsync } from "./async-shutdown.ts";
import type { Device } from "./device.ts";
import { pm_runtime_barrier } from "./power/enable.ts";
import { pm_runtime_get_noresume } from "./power/usage.ts";

/** Which hook device_shutdown runs: the bus's *instead of* the driver's, if the bus has one. */
function hookOf(dev: Device): { readonly name: string; run(): Coroutine<void> } | null {
  const { bus, driver } = dev;
  if (bus?.shutdown) return { name: bus.shutdown_hook?.(dev) ?? `bus ${bus.name}`, run: () => bus.shutdown!(dev) };
  if (driver?.shutdown) return { name: `driver ${driver.name}`, run: () => driver.shutdown!(dev) };
  return null;
}

/** What happens to one device; the caller holds the locks. */
export function* shutdownOne(dev: Device): Coroutine<void> {
  const { kernel } = dev;
  const trace = (hook: string, phase: "begin" | "end"): void =>
    kernel.trace.emit("kernel.shutdown", { kernel: kernel.name, device: dev.name, hook, driver: dev.driver?.name ?? null, phase });

  // No new suspend starts, and nothing is resumed either.
  pm_runtime_get_noresume(dev);
  yield* pm_runtime_barrier(dev);

  const pre = dev.dev_class?.shutdown_pre;
  if (pre) {
    const name = `class ${dev.dev_class!.name} shutdown_pre`;
    if (kernel.params.initcallDebug) kernel.printk.dev_info(dev, "shutdown_pre");
    trace(name, "begin");
    yield* pre(dev);
    trace(name, "end");
  }
  const hook = hookOf(dev);
  trace(hook?.name ?? "none", "begin");
  if (hook) {
    if (kernel.params.initcallDebug) kernel.printk.dev_info(dev, "shutdown");
    answered(kernel, hook.name, yield* hook.run(), dev);
  }
  trace(hook?.name ?? "none", "end");
}

/**
 * Probing ends, then each device is taken off the list's tail and its hook runs with its parent's lock and its own held.
 * Nothing is freed or unbound, no error is looked at, and links are not consulted: the list's order is all the order
 * there is. A hook that does not return stops the machine here.
 */
export function* device_shutdown(kernel: Kernel): Coroutine<void> {
  yield* wait_for_device_probe(kernel);
  yield* device_block_probing(kernel);
  if (kernel.params.asyncShutdown !== "off") return yield* shutDownAsync(kernel, shutdownOne);
  const { devices_kset } = kernel.base;
  for (let dev = devices_kset.last; dev; dev = devices_kset.last) {
    devices_kset.remove(dev.kset_node);
    const { parent } = dev;
    if (parent) yield* parent.mutex.lock("device_shutdown");
    yield* dev.mutex.lock("device_shutdown");
    yield* shutdownOne(dev);
    dev.mutex.unlock();
    parent?.mutex.unlock();
  }
}
