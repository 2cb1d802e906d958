// SPDX-License-Identifier: GPL-2.0-only
/**
 * The platform bus: devices that cannot be discovered, matched by compatible string, then by name. After Linux 7.1
 * drivers/base/platform.c. Left out: ids, ACPI, resources by name, system sleep.
 */
import { answered } from "../debug/missing-yield.ts";
import type { Coroutine } from "../../sim/index.ts";
import { EINVAL, ENODEV, ENXIO } from "../errno.ts";
import type { IoMem } from "../io/io.ts";
import type { Kernel } from "../kernel.ts";
import type { BusType, DeviceDriver } from "./bus.ts";
import { device_add, driver_register, driver_unregister } from "./core.ts";
import { Device } from "./device.ts";
import { dma_cleanup, dma_configure } from "./dma-configure.ts";
import type { DevPmOps } from "./power/types.ts";

export class PlatformDevice extends Device {
  /** Interrupt numbers of the controller. */
  irqs: readonly number[] = [];
  irqNames: readonly string[] = [];
}

export interface PlatformDriver {
  readonly name: string;
  readonly of_match_table?: readonly string[];
  readonly driver_managed_dma?: boolean;
  probe(pdev: PlatformDevice): Coroutine<number>;
  remove?(pdev: PlatformDevice): Coroutine<void>;
  shutdown?(pdev: PlatformDevice): Coroutine<void>;
  sync_state?(dev: Device): Coroutine<void> | void;
  readonly pm?: DevPmOps;
  readonly probe_type?: DeviceDriver["probe_type"];
}

export const platform_bus_type: BusType = {
  name: "platform",

  match(dev: Device, drv: DeviceDriver): boolean {
    if (drv.of_match_table && dev.of_node?.compatible?.some((name) => drv.of_match_table!.includes(name))) return true;
    return dev.name === drv.name || dev.name.startsWith(`${drv.name}.`);
  },

  *probe(dev: Device): Coroutine<number> {
    return dev.driver?.probe ? yield* dev.driver.probe(dev) : 0;
  },

  *remove(dev: Device): Coroutine<void> {
    if (dev.driver?.remove) answered(dev.kernel, `remove of driver ${dev.driver.name}`, yield* dev.driver.remove(dev), dev);
  },

  /** No runtime resume, and nothing at all for a device without driver or without hook. */
  *shutdown(dev: Device): Coroutine<void> {
    if (dev.driver?.shutdown) answered(dev.kernel, `shutdown of driver ${dev.driver.name}`, yield* dev.driver.shutdown(dev), dev);
  },

  shutdown_hook: (dev: Device): string => (dev.driver?.shutdown ? `driver ${dev.driver.name}` : "none"),

  dma_configure,
  dma_cleanup,
};

const registered = new WeakMap<PlatformDriver, DeviceDriver>();

/** The device core's view of a platform driver. */
function deviceDriver(drv: PlatformDriver): DeviceDriver {
  const found = registered.get(drv);
  if (found) return found;
  const { of_match_table, driver_managed_dma, pm, probe_type } = drv;
  const driver: DeviceDriver = {
    name: drv.name,
    bus: platform_bus_type,
    ...(of_match_table ? { of_match_table } : {}),
    ...(driver_managed_dma === undefined ? {} : { driver_managed_dma }),
    ...(pm ? { pm } : {}),
    ...(probe_type ? { probe_type } : {}),
    ...(drv.sync_state && { sync_state: (dev: Device) => drv.sync_state!(dev) }),
    *probe(dev) {
      return dev instanceof PlatformDevice ? yield* drv.probe(dev) : -ENODEV;
    },
    ...(drv.remove && {
      *remove(dev: Device): Coroutine<void> {
        if (dev instanceof PlatformDevice) yield* drv.remove!(dev);
      },
    }),
    ...(drv.shutdown && {
      *shutdown(dev: Device): Coroutine<void> {
        if (dev instanceof PlatformDevice) yield* drv.shutdown!(dev);
      },
    }),
  };
  registered.set(drv, driver);
  return driver;
}

/** Linux's `platform_driver_register`. @returns 0 */
export function* platform_driver_register(kernel: Kernel, drv: PlatformDriver): Coroutine<number> {
  return yield* driver_register(kernel, deviceDriver(drv));
}

/** Linux's `platform_driver_unregister`. */
export function* platform_driver_unregister(kernel: Kernel, drv: PlatformDriver): Coroutine<void> {
  yield* driver_unregister(kernel, deviceDriver(drv));
}

/** Linux's `platform_device_add`; a device without parent hangs below the device `platform`. @returns 0 or -errno */
export function* platform_device_add(pdev: PlatformDevice): Coroutine<number> {
  pdev.bus = platform_bus_type;
  pdev.parent ??= pdev.kernel.of.platformRoot;
  return yield* device_add(pdev);
}

/**
 * Linux's `platform_get_irq` and `platform_get_irq_byname`.
 * @returns the interrupt number, or -ENXIO
 */
export function platform_get_irq(pdev: PlatformDevice, indexOrName: number | string): number {
  const index = typeof indexOrName === "string" ? pdev.irqNames.indexOf(indexOrName) : indexOrName;
  return pdev.irqs[index] ?? -ENXIO;
}

/**
 * Linux's `devm_platform_ioremap_resource`.
 * @throws KernelBug if the device has no such resource; drivers that can do without look at `pdev.resources`
 */
export function devm_platform_ioremap_resource(pdev: PlatformDevice, index: number): IoMem {
  const resource = pdev.resources[index];
  if (!resource) return pdev.kernel.bug(`invalid resource ${index} (${-EINVAL})`, pdev);
  return pdev.kernel.io.ioremap(resource.base, resource.size);
}
