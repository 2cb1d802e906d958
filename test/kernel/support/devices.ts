// SPDX-License-Identifier: GPL-2.0-only
/** Small buses, drivers and nodes for tests of the device core. */
import {
  type BusType,
  type Device,
  type DeviceDriver,
  Device as DeviceObject,
  type DriverModule,
  type DtNode,
  dtNode,
  type InitcallLevel,
  type Kernel,
  type PlatformDriver,
  platform_driver_register,
} from "../../../src/kernel/index.ts";
import type { Coroutine } from "../../../src/sim/index.ts";

/** A bus that matches a driver to devices whose names start with the driver's name. */
export function testBus(extra: Partial<BusType> = {}): BusType {
  return { name: "test", match: (dev, drv) => dev.name.startsWith(drv.name), ...extra };
}

export function testDevice(kernel: Kernel, name: string, bus: BusType | null = null, parent: Device | null = null): Device {
  const dev = new DeviceObject(kernel, name, parent);
  dev.bus = bus;
  return dev;
}

/** A driver that writes down what is called: `probe NAME`, `remove NAME`, `shutdown NAME`. */
export function loggingDriver(
  name: string,
  bus: BusType,
  log: string[],
  answers: { probe?: (dev: Device) => number; hook?: boolean } = {},
): DeviceDriver {
  return {
    name,
    bus,
    *probe(dev: Device): Coroutine<number> {
      log.push(`probe ${dev.name}`);
      return answers.probe?.(dev) ?? 0;
    },
    *remove(dev: Device): Coroutine<void> {
      log.push(`remove ${dev.name}`);
    },
    ...((answers.hook ?? true) && {
      *shutdown(dev: Device): Coroutine<void> {
        log.push(`shutdown ${dev.name}`);
      },
    }),
  };
}

/** A node with one register page. */
export function node(name: string, base: number, extra: Partial<DtNode> = {}): DtNode {
  return dtNode({
    name: `${name}@${base.toString(16)}`,
    label: name,
    compatible: [`test,${name}`],
    reg: [{ base, size: 0x1000 }],
    ...extra,
  });
}

/** A built-in (or module) platform driver for nodes made by {@link node}. */
export function platformModule(
  name: string,
  options: Partial<Omit<PlatformDriver, "name">> & { readonly initcall?: InitcallLevel | "module"; readonly linkOrder?: number } = {},
): DriverModule {
  const { initcall, linkOrder, ...driver } = options;
  return {
    name,
    initcall: initcall ?? "device",
    linkOrder: linkOrder ?? 100,
    *init(kernel: Kernel): Coroutine<void> {
      yield* platform_driver_register(kernel, {
        name: `${name}-driver`,
        of_match_table: [`test,${name}`],
        *probe() {
          return 0;
        },
        ...driver,
      });
    },
  };
}
