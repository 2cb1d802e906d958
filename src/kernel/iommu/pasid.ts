// SPDX-License-Identifier: GPL-2.0-only
/**
 * Domains for PASIDs: a device that tells its requests apart by process address space ids can have a domain for each, beside
 * the one of plain DMA.
 *
 * After Linux 7.1 drivers/iommu/iommu.c: dev_iommu_get_max_pasids, iommu_attach_device_pasid, iommu_replace_device_pasid,
 * iommu_detach_device_pasid, iommu_alloc_global_pasid, iommu_driver_get_domain_for_dev. Left out: attach handles, recovery of
 * a device that was reset.
 */
import type { Coroutine } from "../../sim/index.ts";
import type { Device } from "../base/device.ts";
import { EBUSY, EINVAL, ENODEV, EOPNOTSUPP } from "../errno.ts";
import { dt_number } from "../of/dt.ts";
import { pci_max_pasids } from "../pci/ats.ts";
import { PciDev } from "../pci/pci-dev.ts";
import type { IommuGroup } from "./group.ts";
import type { IommuDomain } from "./types.ts";

/** Not a PASID. */
export const IOMMU_PASID_INVALID = 0xffff_ffff;
/** 0 stands for requests without PASID. */
const IOMMU_FIRST_GLOBAL_PASID = 1;

/** What device and IOMMU both know. */
export function dev_iommu_get_max_pasids(dev: Device): number {
  const { iommu } = dev;
  if (iommu === null) return 0;
  const bits = dev.of_node === null ? undefined : dt_number(dev.of_node, "pasid-num-bits");
  const own = dev instanceof PciDev ? Math.max(0, pci_max_pasids(dev)) : bits === undefined ? 0 : 2 ** bits;
  return Math.min(own, dev.kernel.iommu.iommu_from_fwnode(iommu.fwspec.iommu_fwnode)?.max_pasids ?? 0);
}

/** The domain of plain DMA, for an IOMMU driver that is called with the group locked. */
export function iommu_driver_get_domain_for_dev(dev: Device): IommuDomain | null {
  return dev.iommu_group?.domain ?? null;
}

function max_pasids(dev: Device): number {
  return dev.iommu?.max_pasids ?? 0;
}

/** Where a PASID is given up. */
function blocking_domain(dev: Device): IommuDomain | null {
  const node = dev.iommu?.fwspec.iommu_fwnode;
  const domain = node === undefined ? undefined : dev.kernel.iommu.iommu_from_fwnode(node)?.ops.blocked_domain;
  return domain?.set_dev_pasid ? domain : null;
}

function* iommu_remove_dev_pasid(dev: Device, pasid: number, domain: IommuDomain): Coroutine<void> {
  const blocked = blocking_domain(dev);
  if (blocked?.set_dev_pasid) yield* blocked.set_dev_pasid(dev, pasid, domain);
}

/** Every device of the group that knows PASIDs, or none: after a failure the others go back. */
function* iommu_set_group_pasid(domain: IommuDomain, group: IommuGroup, pasid: number, old: IommuDomain | null): Coroutine<number> {
  const done: Device[] = [];
  for (const dev of group.devices) {
    if (max_pasids(dev) === 0) continue;
    const error = domain.set_dev_pasid ? yield* domain.set_dev_pasid(dev, pasid, old) : -EOPNOTSUPP;
    if (error === 0) {
      done.push(dev);
      continue;
    }
    for (const other of done) {
      const failed = old?.set_dev_pasid ? yield* old.set_dev_pasid(other, pasid, domain) : -EINVAL;
      if (failed !== 0) yield* iommu_remove_dev_pasid(other, pasid, domain);
    }
    return error;
  }
  return 0;
}

/**
 * Gives a PASID of a device a domain.
 * @returns 0; -ENODEV: no IOMMU; -EOPNOTSUPP: it has no PASIDs; -EINVAL: 0, or beyond what a device knows; -EBUSY: it has a domain
 */
export function* iommu_attach_device_pasid(domain: IommuDomain, dev: Device, pasid: number): Coroutine<number> {
  const group = dev.iommu_group;
  if (group === null) return -ENODEV;
  if (!domain.set_dev_pasid || blocking_domain(dev) === null) return -EOPNOTSUPP;
  if (pasid === 0) return -EINVAL;
  return yield* group.mutex.with(dev.name, function* () {
    if (group.devices.some((member) => max_pasids(member) > 0 && pasid >= max_pasids(member))) return -EINVAL;
    if (group.pasid_array.has(pasid)) return -EBUSY;
    const error = yield* iommu_set_group_pasid(domain, group, pasid, null);
    if (error === 0) group.pasid_array.set(pasid, domain);
    return error;
  });
}

/** Gives a PASID that has a domain another one. @returns 0, or -errno and the PASID keeps its domain */
export function* iommu_replace_device_pasid(domain: IommuDomain, dev: Device, pasid: number): Coroutine<number> {
  const group = dev.iommu_group;
  if (group === null) return -ENODEV;
  if (!domain.set_dev_pasid) return -EOPNOTSUPP;
  return yield* group.mutex.with(dev.name, function* () {
    const current = group.pasid_array.get(pasid);
    if (current === undefined) return -EINVAL;
    if (current === domain) return 0;
    const error = yield* iommu_set_group_pasid(domain, group, pasid, current);
    if (error === 0) group.pasid_array.set(pasid, domain);
    return error;
  });
}

/** Takes the domain away: requests with this PASID fail. */
export function* iommu_detach_device_pasid(domain: IommuDomain, dev: Device, pasid: number): Coroutine<void> {
  const group = dev.iommu_group;
  if (group === null) return;
  yield* group.mutex.with(dev.name, function* () {
    for (const member of group.devices) if (max_pasids(member) > 0) yield* iommu_remove_dev_pasid(member, pasid, domain);
    group.pasid_array.delete(pasid);
  });
}

/** A PASID that no device has from this function yet. @returns IOMMU_PASID_INVALID if the device knows none, or they are all in use */
export function iommu_alloc_global_pasid(dev: Device): number {
  const { global_pasids } = dev.kernel.iommu;
  for (let pasid = IOMMU_FIRST_GLOBAL_PASID; pasid < max_pasids(dev); pasid++) {
    if (global_pasids.has(pasid)) continue;
    global_pasids.add(pasid);
    return pasid;
  }
  return IOMMU_PASID_INVALID;
}

export function iommu_free_global_pasid(dev: Device, pasid: number): void {
  if (!dev.kernel.iommu.global_pasids.delete(pasid)) dev.kernel.warn(`PASID ${pasid} freed that nobody had`, dev);
}
