// SPDX-License-Identifier: GPL-2.0-only
/**
 * The PCI bus of the device core, after Linux 7.1 drivers/pci/pci-driver.c: match, probe, DMA set-up, remove, shutdown. Left
 * out: dynamic ids, SR-IOV, system sleep.
 */
import { answered, answeredNumber } from "../debug/missing-yield.ts";
import type { Coroutine } from "../../sim/index.ts";
import type { BusType, DeviceDriver } from "../base/bus.ts";
import { driver_register, driver_unregister } from "../base/core.ts";
import type { Device } from "../base/device.ts";
import { dma_cleanup, dma_configure } from "../base/dma-configure.ts";
import { pm_runtime_barrier } from "../base/power/enable.ts";
import { pm_runtime_get_sync, pm_runtime_put_noidle, pm_runtime_put_sync, pm_runtime_resume } from "../base/power/pm-runtime.ts";
import { ENODEV } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { pci_clear_master } from "./enable.ts";
import { PciDev, type PciDeviceDriver, type PciDeviceId, type PciDriver, PciPower } from "./pci-dev.ts";
import { pci_dev_pm_ops } from "./power.ts";

/** The device as a PCI device. @throws KernelBug if it is none */
export function to_pci_dev(dev: Device): PciDev {
  if (!(dev instanceof PciDev)) dev.kernel.bug(`${dev.name} is no PCI device`, dev);
  return dev;
}

function isPciDriver(drv: DeviceDriver): drv is PciDeviceDriver {
  return "pci" in drv;
}

function pci_match_one_device(id: PciDeviceId, pdev: PciDev): boolean {
  const mask = id.classMask ?? 0xff_ffff;
  return (
    (id.vendor === undefined || id.vendor === pdev.vendor) &&
    (id.device === undefined || id.device === pdev.device) &&
    (id.class === undefined || ((id.class ^ pdev.class) & mask) === 0)
  );
}

/** The first row of the driver's table that fits, or undefined. */
export function pci_match_id(drv: PciDriver, pdev: PciDev): PciDeviceId | undefined {
  return drv.id_table.find((id) => pci_match_one_device(id, pdev));
}

function* pci_device_probe(dev: Device): Coroutine<number> {
  const pdev = to_pci_dev(dev);
  const drv = dev.driver;
  if (drv === null || !isPciDriver(drv)) return -ENODEV;
  const id = pci_match_id(drv.pci, pdev);
  if (id === undefined) return -ENODEV;
  // The driver finds the device active; one that wants it to be suspended gives this reference back.
  yield* pm_runtime_get_sync(pdev);
  pdev.pci_driver = drv.pci;
  const ret = answeredNumber(dev.kernel, `probe of driver ${drv.name}`, yield* drv.pci.probe(pdev, id), dev);
  if (ret < 0) {
    pdev.pci_driver = null;
    yield* pm_runtime_put_sync(pdev);
  }
  return Math.min(ret, 0);
}

function* pci_device_remove(dev: Device): Coroutine<void> {
  const pdev = to_pci_dev(dev);
  if (pdev.pci_driver?.remove) {
    yield* pm_runtime_get_sync(pdev);
    yield* pm_runtime_barrier(pdev);
    answered(dev.kernel, `remove of driver ${pdev.pci_driver.name}`, yield* pdev.pci_driver.remove(pdev), dev);
    pm_runtime_put_noidle(pdev);
  }
  pdev.pci_driver = null;
  yield* pm_runtime_put_sync(pdev);
  // The state may change while nobody drives the device.
  if (pdev.current_state === PciPower.D0) pdev.current_state = PciPower.unknown;
}

/**
 * Linux's `pci_device_shutdown`. Before a kexec, and only then, bus mastering is turned off after the driver's hook, for
 * bridges and functions without a driver too; a reboot, halt or power-off leaves it as the driver left it. Functions in
 * D3cold or an unknown state are left alone.
 */
function* pci_device_shutdown(dev: Device): Coroutine<void> {
  const pdev = to_pci_dev(dev);
  yield* pm_runtime_resume(pdev);
  const { pci_driver } = pdev;
  if (pci_driver?.shutdown) answered(dev.kernel, `shutdown of driver ${pci_driver.name}`, yield* pci_driver.shutdown(pdev), dev);
  if (dev.kernel.kexec.kexec_in_progress && pdev.current_state <= PciPower.D3hot) pci_clear_master(pdev);
}

/** Linux's `pci_bus_type`. */
export const pci_bus_type: BusType = {
  name: "pci",
  match: (dev, drv) => dev instanceof PciDev && dev.match_driver && isPciDriver(drv) && pci_match_id(drv.pci, dev) !== undefined,
  probe: pci_device_probe,
  remove: pci_device_remove,
  shutdown: pci_device_shutdown,
  pm: pci_dev_pm_ops,
  dma_configure,
  dma_cleanup,
};

const registered = new WeakMap<PciDriver, PciDeviceDriver>();

/** Registers a driver with a kernel and tries it on the devices that wait for one. @returns 0 or -errno */
export function* pci_register_driver(kernel: Kernel, driver: PciDriver): Coroutine<number> {
  const drv: PciDeviceDriver = {
    name: driver.name,
    bus: pci_bus_type,
    id_table: driver.id_table,
    driver_managed_dma: driver.driver_managed_dma ?? false,
    pci: driver,
  };
  registered.set(driver, drv);
  return yield* driver_register(kernel, drv);
}

/** Takes a driver away from its devices and forgets it. */
export function* pci_unregister_driver(kernel: Kernel, driver: PciDriver): Coroutine<void> {
  const drv = registered.get(driver);
  if (drv) yield* driver_unregister(kernel, drv);
}
