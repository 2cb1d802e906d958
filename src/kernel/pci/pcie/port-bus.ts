// SPDX-License-Identifier: GPL-2.0-only
/**
 * The bus of a port's services: each service that a port offers is a device of its own below the port, "0000:00:01.0:pcie002".
 * After Linux 7.1 drivers/pci/pcie/portdrv.c: pcie_port_bus_type, pcie_device_init, pcie_port_service_register;
 * drivers/pci/pcie/portdrv.h. Left out: suspend and resume of services, their runtime PM, slot_reset.
 */
import type { Coroutine } from "../../../sim/index.ts";
import type { BusType, DeviceDriver } from "../../base/bus.ts";
import { device_register, driver_register } from "../../base/core.ts";
import { Device } from "../../base/device.ts";
import { ENODEV } from "../../errno.ts";
import type { Kernel } from "../../kernel.ts";
import type { PciDev } from "../pci-dev.ts";

/** Services are bits. */
export const PCIE_PORT_SERVICE_AER = 0x02;

/** Linux's `struct pcie_device`. */
export class PcieDevice extends Device {
  readonly port: PciDev;
  readonly service: number;
  /** -1: the port has no interrupt for it. */
  readonly irq: number;

  constructor(port: PciDev, service: number, irq: number) {
    super(port.kernel, `${port.name}:pcie${(((port.pcie_type - 4) << 8) | service).toString(16).padStart(3, "0")}`, port);
    this.port = port;
    this.service = service;
    this.irq = irq;
    this.bus = pcie_port_bus_type;
  }
}

/** Linux's `struct pcie_port_service_driver`, for any type of port. */
export interface PciePortServiceDriver {
  readonly name: string;
  readonly service: number;
  /** @returns 0 or -errno */
  probe(dev: PcieDevice): Coroutine<number>;
  remove(dev: PcieDevice): Coroutine<void>;
}

interface ServiceDriver extends DeviceDriver {
  readonly serves: PciePortServiceDriver;
}

function serviceOf(dev: Device): PciePortServiceDriver | null {
  const { driver } = dev;
  return driver !== null && "serves" in driver ? (driver as ServiceDriver).serves : null;
}

export const pcie_port_bus_type: BusType = {
  name: "pci_express",
  match: (dev, drv) => dev instanceof PcieDevice && "serves" in drv && (drv as ServiceDriver).serves.service === dev.service,
  *probe(dev) {
    const driver = serviceOf(dev);
    return driver !== null && dev instanceof PcieDevice ? yield* driver.probe(dev) : -ENODEV;
  },
  *remove(dev) {
    if (dev instanceof PcieDevice) yield* serviceOf(dev)?.remove(dev) ?? nothing();
  },
};

function* nothing(): Coroutine<void> {}

/** Makes a service known as a device. @returns 0 or -errno */
export function* pcie_device_init(port: PciDev, service: number, irq: number): Coroutine<number> {
  return yield* device_register(new PcieDevice(port, service, irq));
}

/** @returns 0 or -errno */
export function* pcie_port_service_register(kernel: Kernel, serves: PciePortServiceDriver): Coroutine<number> {
  const drv: ServiceDriver = { name: serves.name, bus: pcie_port_bus_type, serves };
  return yield* driver_register(kernel, drv);
}
