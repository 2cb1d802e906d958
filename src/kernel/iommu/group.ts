// SPDX-License-Identifier: GPL-2.0-only
/**
 * Isolation groups: devices that an IOMMU cannot tell apart share one group, and with it one address space. A group knows
 * its default domain, the one in force, and who owns it: the drivers through the DMA API, or someone who claimed it.
 *
 * After Linux 7.1 drivers/iommu/iommu.c: struct iommu_group, generic_device_group, pci_device_group. Left out: ACS, which ports are
 * taken to have and functions of one device not to have; quirks of aliases.
 */
import { Mutex } from "../../sim/index.ts";
import type { Device } from "../base/device.ts";
import type { Kernel } from "../kernel.ts";
import type { PciDev } from "../pci/pci-dev.ts";
import { is_port, pci_dma_aliases } from "./pci-alias.ts";
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
    this.mutex = new Mutex(this.name);
  }
}

/** A new, empty group: what `device_group` of an IOMMU driver returns for a device that stands alone. */
export function generic_device_group(dev: Device): IommuGroup {
  return dev.kernel.iommu.iommu_group_alloc();
}

/**
 * `pci_device_group`: the group of the bridge whose requester id stands for the function's, which was probed before it; or of
 * another function of the same device, to which this one could send what it likes without passing the IOMMU. A function
 * below ports alone that is the only one of its device stands alone.
 */
export function pci_device_group(pdev: PciDev): IommuGroup {
  const aliases = pci_dma_aliases(pdev);
  for (const { pdev: alias } of aliases) if (alias.iommu_group !== null) return alias.iommu_group;
  const top = aliases.at(-1)!.pdev;
  return (top.multifunction && !is_port(top) ? same_slot(top) : null) ?? generic_device_group(pdev);
}

function same_slot({ pciBus, devfn }: PciDev): IommuGroup | null {
  const others = pciBus.devices.filter((other) => other.devfn >> 3 === devfn >> 3 && other.devfn !== devfn && other.multifunction);
  return others.find(({ iommu_group }) => iommu_group !== null)?.iommu_group ?? null;
}
