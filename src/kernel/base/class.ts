// SPDX-License-Identifier: GPL-2.0-only
/**
 * Class devices: what a driver or a subsystem puts on top of a device (a network interface, a bus of PCI, an IOMMU). They
 * have no bus and no driver, but stand in the device list like every device, so shutdown passes them and takes their
 * parent's lock. After Linux 7.1 drivers/base/core.c: device_create, device_destroy. Left out: /dev and sysfs.
 */
import type { Coroutine } from "../../sim/index.ts";
import { device_register, device_unregister } from "./core.ts";
import { Device, type DeviceClass } from "./device.ts";

/** Classes of devices that this kernel makes. */
export const net_class: DeviceClass = { name: "net" };
export const pcibus_class: DeviceClass = { name: "pci_bus" };
export const iommu_class: DeviceClass = { name: "iommu" };

/** Makes and registers a device of a class. */
export function* device_create(cls: DeviceClass, parent: Device, name: string): Coroutine<Device> {
  const dev = new Device(parent.kernel, name, parent);
  dev.dev_class = cls;
  yield* device_register(dev);
  return dev;
}

/** Linux's `device_destroy`: takes the parent's devices of a class away again. */
export function* device_destroy(cls: DeviceClass, parent: Device): Coroutine<void> {
  for (const child of parent.children) if (child.dev_class === cls) yield* device_unregister(child);
}

/** The device of a network interface (Linux's `netdev_register_kobject`). */
export function* register_netdev(parent: Device, name: string): Coroutine<void> {
  yield* device_create(net_class, parent, name);
}
export function* unregister_netdev(parent: Device): Coroutine<void> {
  yield* device_destroy(net_class, parent);
}

/** The device of an IOMMU (drivers/iommu/iommu-sysfs.c). */
export function* iommu_device_sysfs_add(parent: Device, name: string): Coroutine<void> {
  yield* device_create(iommu_class, parent, name);
}
export function* iommu_device_sysfs_remove(parent: Device): Coroutine<void> {
  yield* device_destroy(iommu_class, parent);
}
