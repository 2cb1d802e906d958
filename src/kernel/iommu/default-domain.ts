// SPDX-License-Identifier: GPL-2.0-only
/**
 * Domains of a group: which one is the default, which one is in force, and who may change that. Drivers that use the DMA
 * API hold the default domain while they are bound; somebody else may claim the group only while none does.
 */
import type { Coroutine } from "../../sim/index.ts";
import type { Device } from "../base/device.ts";
import { EBUSY, ENODEV } from "../errno.ts";
import { iommu_dma_init_domain } from "../dma/iommu-dma.ts";
import type { IommuGroup } from "./group.ts";
import { iommu_map } from "./map.ts";
import type { IommuDomain, IommuOps } from "./types.ts";

/** The driver of the IOMMU that `dev` sits behind. */
export function dev_iommu_ops(dev: Device): IommuOps | null {
  const node = dev.iommu?.fwspec.iommu_fwnode;
  return node === undefined ? null : (dev.kernel.iommu.iommu_from_fwnode(node)?.ops ?? null);
}

/** `iommu_get_domain_for_dev`: the domain in force. */
export function iommu_get_domain_for_dev(dev: Device): IommuDomain | null {
  return dev.iommu_group?.domain ?? null;
}

/** What the driver insists on for any device of the group, else the default of the command line. */
function iommu_get_default_domain_type(group: IommuGroup): "dma" | "identity" {
  for (const dev of group.devices) {
    const wanted = dev_iommu_ops(dev)?.def_domain_type?.(dev);
    if (wanted !== undefined) return wanted;
  }
  return group.kernel.iommu.iommu_def_domain_type;
}

/** A new domain for the DMA API, or the driver's identity domain. */
function iommu_group_alloc_default_domain(dev: Device, ops: IommuOps, type: "dma" | "identity"): IommuDomain {
  if (type === "identity") return ops.identity_domain;
  const domain = ops.domain_alloc_paging(dev);
  domain.type = "dma";
  return domain;
}

/** Direct regions of the firmware stay reachable at all times, so they are mapped before the domain comes into force. */
function iommu_create_device_direct_mappings(domain: IommuDomain, dev: Device): void {
  if (domain.type !== "dma") return;
  for (const region of dev_iommu_ops(dev)?.get_resv_regions?.(dev) ?? []) {
    if (region.type !== "direct") continue;
    const error = iommu_map(dev.kernel.sim, domain, region.start, region.start, region.length, region.prot);
    if (error !== 0) dev.kernel.printk.dev_err(dev, `direct mapping of 0x${region.start.toString(16)} failed: ${error}`);
  }
}

/** `__iommu_attach_device`. */
function* attach(domain: IommuDomain, dev: Device, old: IommuDomain | null): Coroutine<number> {
  return domain.attach_dev ? yield* domain.attach_dev(dev, old) : -ENODEV;
}

/** `__iommu_group_set_domain`: attaches every device; after a failure those that were done go back. */
export function* iommu_group_set_domain(group: IommuGroup, domain: IommuDomain): Coroutine<number> {
  if (group.domain === domain) return 0;
  const old = group.domain;
  const done: Device[] = [];
  for (const dev of group.devices) {
    const error = yield* attach(domain, dev, old);
    if (error !== 0) {
      if (old !== null) for (const other of done) yield* attach(old, other, domain);
      return error;
    }
    done.push(dev);
  }
  group.domain = domain;
  group.kernel.debug.unsynced.follow(domain);
  return 0;
}

/**
 * Gives the group its default domain and puts `dev`, which has just joined it, under the domain in force.
 * @returns 0 or -errno
 */
export function* iommu_setup_default_domain(group: IommuGroup, dev: Device): Coroutine<number> {
  const ops = dev_iommu_ops(dev);
  if (ops === null) return -ENODEV;
  if (group.default_domain !== null && group.domain !== null) {
    iommu_create_device_direct_mappings(group.domain, dev);
    return yield* attach(group.domain, dev, null);
  }
  const domain = iommu_group_alloc_default_domain(dev, ops, iommu_get_default_domain_type(group));
  group.default_domain = domain;
  group.blocking_domain = ops.blocked_domain;
  iommu_create_device_direct_mappings(domain, dev);
  return yield* iommu_group_set_domain(group, domain);
}

/** `iommu_setup_dma_ops`: from now on the DMA API of this device goes through its default domain. */
export function iommu_setup_dma_ops(dev: Device): void {
  const domain = dev.iommu_group?.default_domain ?? null;
  if (domain?.type === "dma") iommu_dma_init_domain(domain, dev);
}

/** A driver that uses the DMA API is about to be bound. @returns 0, or -EBUSY if somebody claimed the group */
export function iommu_device_use_default_domain(dev: Device): number {
  const group = dev.iommu_group;
  if (group === null) return 0;
  const taken = group.domain !== group.default_domain || group.owner !== null || group.pasid_array.size > 0;
  if (group.owner_cnt > 0 && taken) return -EBUSY;
  group.owner_cnt++;
  return 0;
}

/** The driver let go of the device. */
export function iommu_device_unuse_default_domain(dev: Device): void {
  const group = dev.iommu_group;
  if (group !== null && group.pasid_array.size > 0) dev.kernel.warn("driver gone with PASIDs in use", dev);
  else if (group !== null && group.owner_cnt > 0) group.owner_cnt--;
}

/** Takes the group away from the DMA API, blocking all its DMA. @returns 0, or -EBUSY while a driver uses it */
export function* iommu_group_claim_dma_owner(group: IommuGroup, owner: string): Coroutine<number> {
  return yield* group.mutex.with(owner, function* () {
    if (group.owner_cnt > 0 || group.pasid_array.size > 0) return -EBUSY;
    const error = group.blocking_domain === null ? -ENODEV : yield* iommu_group_set_domain(group, group.blocking_domain);
    if (error === 0) {
      group.owner = owner;
      group.owner_cnt++;
    }
    return error;
  });
}

/** Gives the group back to the DMA API. */
export function* iommu_group_release_dma_owner(group: IommuGroup): Coroutine<void> {
  yield* group.mutex.with("release_dma_owner", function* () {
    group.owner = null;
    group.owner_cnt = 0;
    if (group.default_domain !== null) yield* iommu_group_set_domain(group, group.default_domain);
  });
}

/** `iommu_attach_device`: an owner's own domain for the (single) device of a group. @returns 0 or -errno */
export function* iommu_attach_device(domain: IommuDomain, dev: Device): Coroutine<number> {
  const group = dev.iommu_group;
  if (group === null) return -ENODEV;
  return yield* group.mutex.with(dev.name, function* () {
    const free = group.domain === group.default_domain || group.domain === group.blocking_domain;
    return free ? yield* iommu_group_set_domain(group, domain) : -EBUSY;
  });
}

/** `iommu_detach_device`: back to the default domain, or to blocking while the group is claimed. */
export function* iommu_detach_device(dev: Device): Coroutine<void> {
  const group = dev.iommu_group;
  if (group === null) return;
  yield* group.mutex.with(dev.name, function* () {
    const next = group.owner === null ? group.default_domain : group.blocking_domain;
    if (next !== null) yield* iommu_group_set_domain(group, next);
  });
}
