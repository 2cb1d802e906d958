// SPDX-License-Identifier: GPL-2.0-only
/**
 * Isolation groups: devices that an IOMMU cannot tell apart share one group, and with it one address space. A group knows
 * its default domain, the one in force, and who owns it: the drivers through the DMA API, or someone who claimed it.
 */
import type { Device } from "../base/device.ts";
import type { Kernel } from "../kernel.ts";
import { Mutex } from "../locking/mutex.ts";
import type { IommuDomain } from "./types.ts";

export class IommuGroup {
  readonly kernel: Kernel;
  /** Number of the group, from 0. */
  readonly id: number;
  readonly name: string;
  readonly devices: Device[] = [];
  readonly mutex: Mutex;
  default_domain: IommuDomain | null = null;
  /** The domain in force. */
  domain: IommuDomain | null = null;
  blocking_domain: IommuDomain | null = null;
  /** Domains of PASIDs other than 0. */
  readonly pasid_array: Map<number, IommuDomain> = new Map();
  /** Drivers bound through the DMA API, or claims of `owner`. */
  owner_cnt = 0;
  /** Who claimed the group away from the DMA API; null: nobody. */
  owner: string | null = null;

  constructor(kernel: Kernel, id: number) {
    this.kernel = kernel;
    this.id = id;
    this.name = `iommu group ${id}`;
    this.mutex = new Mutex(kernel, this.name, { key: "&group->mutex" });
  }
}

/** A new, empty group: what `device_group` of an IOMMU driver returns for a device that stands alone. */
export function generic_device_group(dev: Device): IommuGroup {
  return dev.kernel.iommu.iommu_group_alloc();
}

/** `pci_device_group`: a PCI Express function below ports alone has no aliases, so it gets a group of its own. */
export function pci_device_group(dev: Device): IommuGroup {
  return generic_device_group(dev);
}
