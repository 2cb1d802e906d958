// SPDX-License-Identifier: GPL-2.0-only
/**
 * How a kernel starts: core, initcalls, modules, and the end of probing. After Linux 7.1 init/main.c: do_initcalls,
 * kernel_init; kernel/module/main.c: do_init_module. Left out: everything that is not about devices.
 */
import { answered } from "./debug/missing-yield.ts";
import type { Coroutine } from "../sim/index.ts";
import { bus_register_notifier, device_add } from "./base/core.ts";
import { async_synchronize_full } from "./base/async.ts";
import { deferred_probe_initcall, deferred_probe_timeout_work_func, wait_for_device_probe } from "./base/deferred.ts";
import { platform_bus_type } from "./base/platform.ts";
import { device_links_supplier_sync_state_pause, device_links_supplier_sync_state_resume } from "./base/sync-state.ts";
import { setup_arch } from "./boot/early-memory.ts";
import { execute_kernel_text } from "./boot/image.ts";
import { type DriverModule, INITCALL_LEVELS, type InitcallLevel, initcallsOfLevel } from "./initcall.ts";
import type { Kernel } from "./kernel.ts";
import { of_platform_default_populate } from "./of/platform.ts";
import { pci_bus_type } from "./pci/pci-driver.ts";

/** Line of `base/` in Linux's drivers/Makefile: when among late initcalls the deferred probes get their first retry. */
const BASE_LINK_ORDER = 76;

/** What the kernel brings along itself. */
const builtin: readonly DriverModule[] = [
  { name: "sync_state_resume", initcall: "late", linkOrder: BASE_LINK_ORDER, init: device_links_supplier_sync_state_resume },
  { name: "deferred_probe", initcall: "late", linkOrder: BASE_LINK_ORDER, init: deferred_probe_initcall },
];

function* runInitcall(kernel: Kernel, module: DriverModule): Coroutine<void> {
  const { initcallDebug } = kernel.params;
  const start = kernel.sim.now;
  if (initcallDebug) kernel.printk.pr_debug(`calling  ${module.name}_init @ 1`);
  const waiting = module.init(kernel);
  if (waiting) answered(kernel, `init of ${module.name}`, yield* waiting);
  if (initcallDebug) {
    kernel.printk.pr_debug(`initcall ${module.name}_init returned 0 after ${Math.round((kernel.sim.now - start) / 1000)} usecs`);
  }
}

function* runLevel(kernel: Kernel, level: InitcallLevel): Coroutine<void> {
  yield* execute_kernel_text(kernel, level);
  for (const module of initcallsOfLevel([...builtin, ...kernel.drivers], level)) yield* runInitcall(kernel, module);
  if (level === "arch") {
    device_links_supplier_sync_state_pause(kernel);
    yield* of_platform_default_populate(kernel);
  }
  // of_platform_sync_state_init, a late_initcall_sync.
  if (level === "late") yield* device_links_supplier_sync_state_resume(kernel);
}

/** Boots a kernel: see `Kernel.boot`. */
export function* boot(kernel: Kernel): Coroutine<void> {
  kernel.trace.emit("kernel.state", { kernel: kernel.name, state: "booting" });
  kernel.printk.pr_info(`Booting Quiesce kernel "${kernel.name}"${kernel.bootInfo ? ` (${kernel.bootInfo.kind} boot)` : ""}`);
  kernel.irq.init();
  if (kernel.bootInfo) yield* execute_kernel_text(kernel, "start");
  else setup_arch(kernel);
  kernel.smp.smp_init();

  yield* device_add(kernel.of.platformRoot);
  for (const bus of [platform_bus_type, pci_bus_type]) {
    bus_register_notifier(kernel, bus, (event, dev) => kernel.iommu.iommu_bus_notifier(event, dev));
  }
  kernel.iommu.announce();

  for (const level of INITCALL_LEVELS) yield* runLevel(kernel, level);
  yield* async_synchronize_full(kernel);
  for (const module of kernel.drivers) {
    if (module.initcall !== "module") continue;
    yield* runInitcall(kernel, module);
    // A module is loaded when all that it started is done.
    yield* async_synchronize_full(kernel);
  }
  yield* wait_for_device_probe(kernel);
  if (kernel.params.deferredProbeTimeoutSec === null) {
    yield* deferred_probe_timeout_work_func(kernel);
    yield* wait_for_device_probe(kernel);
  }
  yield* execute_kernel_text(kernel, "running");
  if (kernel.state === "booting") kernel.setState("running");
  kernel.printk.pr_info("Run /sbin/init as init process");
}
