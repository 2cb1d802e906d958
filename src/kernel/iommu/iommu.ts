// SPDX-License-Identifier: GPL-2.0-only
/**
 * The IOMMU core: registered IOMMUs, and how devices come to sit behind them and leave again. A device is probed when it
 * is added, if its IOMMU is there already; when its IOMMU registers, if it was there first; or just before its driver.
 *
 * After Linux 7.1 drivers/iommu/iommu.c: iommu_subsys_init, iommu_device_register, iommu_device_unregister,
 * iommu_probe_device, iommu_init_device, iommu_deinit_device, iommu_release_device, iommu_bus_notifier, and of_iommu.c:
 * of_iommu_configure. Left out: sysfs, bus_iommu_probe bus by bus (here in the order of devices_kset), group notifiers,
 * PASIDs.
 */
import { type Coroutine, Mutex } from "../../sim/index.ts";
import type { BusEvent } from "../base/bus.ts";
import type { Device } from "../base/device.ts";
import { ENODEV, EPROBE_DEFER, errname } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import type { DtNode } from "../of/dt.ts";
import { dev_iommu_ops, iommu_free_default_domain, iommu_setup_default_domain, iommu_setup_dma_ops } from "./default-domain.ts";
import { dev_iommu_fwspec_get, iommu_fwspec_free, of_iommu_configure_device } from "./fwspec.ts";
import { IommuGroup } from "./group.ts";
import { dev_iommu_get_max_pasids } from "./pasid.ts";
import type { IommuOps } from "./types.ts";

export * from "./types.ts";
export * from "./group.ts";
export * from "./map.ts";
export * from "./fwspec.ts";
export * from "./default-domain.ts";
export * from "./deferred-attach.ts";
export * from "./pasid.ts";
export * from "./change-domain.ts";
export * from "./pci-alias.ts";

/** A registered IOMMU: Linux's `struct iommu_device`. */
export interface IommuInstance {
  readonly ops: IommuOps;
  /** The IOMMU itself as a device. */
  readonly dev: Device;
  /** Set once it may take devices. */
  ready: boolean;
  /** PASIDs that it knows; 0: none. */
  readonly max_pasids: number;
}

export class IommuCore {
  readonly instances: IommuInstance[] = [];
  readonly groups: IommuGroup[] = [];
  /** Devices that a kernel of the 6.1 kind released under their drivers, whose DMA operations still expect a group. */
  readonly released_while_bound: Set<Device> = new Set();
  /** `iommu_global_pasid_ida`: PASIDs that are the same for every device. */
  readonly global_pasids: Set<number> = new Set();
  /** `iommu_probe_device_lock`. */
  readonly probe_lock: Mutex = new Mutex("iommu_probe_device_lock");
  /** `iommu_def_domain_type`: what a group gets unless its driver insists. */
  readonly iommu_def_domain_type: "dma" | "dma-fq" | "identity";
  readonly #kernel: Kernel;
  #nextGroup = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    const { iommuPassthrough, iommuStrict } = kernel.params;
    this.iommu_def_domain_type = iommuPassthrough ? "identity" : iommuStrict ? "dma" : "dma-fq";
  }

  /** `iommu_subsys_init`: says what devices will get. */
  announce(): void {
    const passthrough = this.iommu_def_domain_type === "identity";
    this.#kernel.printk.pr_info(`iommu: Default domain type: ${passthrough ? "Passthrough" : "Translated"}`);
    const mode = this.iommu_def_domain_type === "dma-fq" ? "lazy" : "strict";
    if (!passthrough) this.#kernel.printk.pr_info(`iommu: DMA domain TLB invalidation policy: ${mode} mode`);
  }

  /** The IOMMU registered for a node of the device tree. */
  iommu_from_fwnode(node: DtNode): IommuInstance | null {
    return this.instances.find((instance) => instance.dev.of_node === node) ?? null;
  }

  iommu_group_alloc(): IommuGroup {
    const group = new IommuGroup(this.#kernel, this.#nextGroup++);
    this.groups.push(group);
    return group;
  }

  /**
   * What buses notify of: devices are probed when they are added and released when they are gone; a driver that let go of
   * its device must have unmapped everything.
   */
  *iommu_bus_notifier(event: BusEvent, dev: Device): Coroutine<void> {
    if (event === "add-device") yield* iommu_probe_device(dev);
    else if (event === "removed-device") yield* iommu_release_device(dev);
    else this.#kernel.dma.dma_debug_device_change(event, dev);
  }
}

/**
 * An IOMMU is there: devices may sit behind it from now on, and those that were waiting are probed.
 * @param dev the IOMMU itself; its node of the device tree is what clients refer to
 * @param max_pasids PASIDs that it knows
 * @returns 0 or -errno
 */
export function* iommu_device_register(kernel: Kernel, ops: IommuOps, dev: Device, max_pasids = 0): Coroutine<number> {
  const instance: IommuInstance = { ops, dev, ready: true, max_pasids };
  kernel.iommu.instances.push(instance);
  for (const client of kernel.base.devices_kset.toArray())
    if (client !== dev && client.iommu_group === null) yield* iommu_probe_device(client);
  return 0;
}

/** The IOMMU goes away: its devices are released first. */
export function* iommu_device_unregister(kernel: Kernel, dev: Device): Coroutine<void> {
  const index = kernel.iommu.instances.findIndex((instance) => instance.dev === dev);
  if (index < 0) return;
  // The buses' lists, not devices_kset: device_shutdown has taken from that one what it has passed.
  for (const client of kernel.iommu.groups.flatMap(({ devices }) => devices).toReversed()) {
    if (client.iommu?.fwspec.iommu_fwnode === dev.of_node) yield* iommu_release_device(client);
  }
  kernel.iommu.instances.splice(index, 1);
}

/**
 * Puts a device behind its IOMMU: the driver's probe_device, a group, the default domain.
 * @returns 0, also if that was done before; -ENODEV if there is no IOMMU for it (yet); other -errno of the driver
 */
export function* iommu_probe_device(dev: Device): Coroutine<number> {
  return yield* dev.kernel.iommu.probe_lock.with(dev.name, function* () {
    if (dev.iommu_group !== null) return 0;
    if (dev.bus === null) return -ENODEV;
    const error = iommu_init_device(dev);
    if (error !== 0) return error;
    const group = dev.iommu_group as IommuGroup | null;
    return group === null ? -ENODEV : yield* group.mutex.with(dev.name, () => join(dev, group));
  });
}

/** `iommu_init_device`: from the firmware's description to the driver and a group. */
function iommu_init_device(dev: Device): number {
  if (dev_iommu_fwspec_get(dev) === null) {
    // A bound driver means that the firmware was asked before and there is no IOMMU to wait for.
    if (dev.driver !== null) return -ENODEV;
    const error = of_iommu_configure_device(dev);
    if (error !== 0) {
      iommu_fwspec_free(dev);
      return error;
    }
  }
  const ops = dev_iommu_ops(dev);
  if (ops === null) return -ENODEV;
  const error = ops.probe_device(dev);
  if (error !== 0) {
    iommu_fwspec_free(dev);
    return error;
  }
  dev.iommu_group = ops.device_group(dev);
  if (dev.iommu !== null) {
    dev.iommu.attach_deferred = ops.is_attach_deferred?.(dev) ?? false;
    dev.iommu.max_pasids = dev_iommu_get_max_pasids(dev);
  }
  return 0;
}

function* join(dev: Device, group: IommuGroup): Coroutine<number> {
  group.devices.push(dev);
  dev.kernel.printk.dev_info(dev, `Adding to iommu group ${group.id}`);
  const error = yield* iommu_setup_default_domain(group, dev);
  if (error !== 0) {
    dev.kernel.printk.dev_err(dev, `attaching to the default domain failed: ${errname(error)}`);
    yield* deinit(dev, group);
    return error;
  }
  iommu_setup_dma_ops(dev);
  return 0;
}

/**
 * `of_iommu_configure`, called by the bus before a driver is probed.
 * @returns 0; -EPROBE_DEFER while the device's IOMMU is not there; -ENODEV if it has none; other -errno
 */
export function* of_iommu_configure(dev: Device): Coroutine<number> {
  if (dev.iommu_group !== null) return 0;
  if (dev_iommu_fwspec_get(dev) === null) {
    const error = of_iommu_configure_device(dev);
    if (error !== 0) {
      iommu_fwspec_free(dev);
      return error;
    }
  }
  const error = yield* iommu_probe_device(dev);
  if (error !== 0 && error !== -EPROBE_DEFER) dev.kernel.printk.dev_dbg(dev, `Adding to IOMMU failed: ${errname(error)}`);
  return error;
}

/** The device is gone: block its DMA, have the driver forget it, take it out of its group. */
export function* iommu_release_device(dev: Device): Coroutine<void> {
  const group = dev.iommu_group;
  if (group === null) return iommu_fwspec_free(dev);
  yield* group.mutex.with(dev.name, () => deinit(dev, group));
}

/**
 * `iommu_deinit_device`: the blocked domain comes into force before the driver forgets the device, or the identity domain
 * for one that must not be blocked. A device that was never attached stays as an earlier kernel left it.
 */
function* deinit(dev: Device, group: IommuGroup): Coroutine<void> {
  const ops = dev_iommu_ops(dev);
  if (ops !== null) {
    const parking = dev.iommu?.require_direct ? ops.identity_domain : ops.blocked_domain;
    if (!dev.iommu?.attach_deferred && parking.attach_dev) yield* parking.attach_dev(dev, group.domain);
    const waiting = ops.release_device(dev);
    if (waiting) yield* waiting;
  }
  group.devices.splice(group.devices.indexOf(dev), 1);
  dev.iommu_group = null;
  iommu_fwspec_free(dev);
  if (group.devices.length > 0) return;
  if (group.default_domain !== null) iommu_free_default_domain(group.default_domain);
  group.default_domain = null;
  group.domain = null;
  const groups = group.kernel.iommu.groups;
  groups.splice(groups.indexOf(group), 1);
}
