// SPDX-License-Identifier: GPL-2.0-only
/**
 * Domains of a group: which one is the default, which one is in force, and who may change that. Drivers that use the DMA
 * API hold the default domain while they are bound; somebody else may claim the group only while none does.
 *
 * After Linux 7.1 drivers/iommu/iommu.c: iommu_get_default_domain_type, iommu_group_alloc_default_domain,
 * iommu_create_device_direct_mappings, __iommu_device_set_domain, __iommu_group_set_domain, iommu_setup_default_domain,
 * iommu_device_use_default_domain, iommu_group_claim_dma_owner, iommu_attach_device. Left out: IOMMU_SET_DOMAIN_MUST_SUCCEED,
 * a second try with another type, handles and PASIDs.
 */
import type { Coroutine } from "../../sim/index.ts";
import type { Device } from "../base/device.ts";
import { iommu_dma_init_domain, iommu_put_dma_cookie } from "../dma/iommu-dma.ts";
import { EBUSY, EINVAL, ENODEV } from "../errno.ts";
import { dev_is_untrusted } from "../pci/pci-dev.ts";
import { iommu_attach_one } from "./deferred-attach.ts";
import type { IommuGroup } from "./group.ts";
import { iommu_iova_to_phys, iommu_map, iommu_min_pgsize } from "./map.ts";
import type { IommuDomain, IommuOps, ResvRegion } from "./types.ts";

/** What a default domain can be. */
export type DefaultDomainType = "dma" | "dma-fq" | "identity";

/** The driver of the IOMMU that `dev` sits behind. */
export function dev_iommu_ops(dev: Device): IommuOps | null {
  const node = dev.iommu?.fwspec.iommu_fwnode;
  return node === undefined ? null : (dev.kernel.iommu.iommu_from_fwnode(node)?.ops ?? null);
}

/** `iommu_get_domain_for_dev`: the domain in force. */
export function iommu_get_domain_for_dev(dev: Device): IommuDomain | null {
  return dev.iommu_group?.domain ?? null;
}

/** `iommu_is_dma_domain`: the DMA API maps in it, strictly or lazily. */
export function iommu_is_dma_domain(domain: IommuDomain): boolean {
  return domain.type === "dma" || domain.type === "dma-fq";
}

/** What the driver insists on for a device; nothing that is not trusted may pass untranslated. */
export function iommu_get_def_domain_type(dev: Device): "dma" | "identity" | undefined {
  return dev_is_untrusted(dev) ? "dma" : dev_iommu_ops(dev)?.def_domain_type?.(dev);
}

/** What any device of the group must have, else the default of the command line. */
function iommu_get_default_domain_type(group: IommuGroup): DefaultDomainType {
  for (const dev of group.devices) {
    const wanted = iommu_get_def_domain_type(dev);
    if (wanted !== undefined) return wanted;
  }
  return group.kernel.iommu.iommu_def_domain_type;
}

/** A new domain for the DMA API, or the driver's identity domain. */
export function iommu_group_alloc_default_domain(dev: Device, ops: IommuOps, type: DefaultDomainType): IommuDomain {
  if (type === "identity") return ops.identity_domain;
  const domain = ops.domain_alloc_paging(dev);
  domain.type = type;
  return domain;
}

/** Nothing is attached to it any more. The driver's identity domain is no group's own. */
export function iommu_free_default_domain(domain: IommuDomain): void {
  if (domain.type === "identity") return;
  iommu_put_dma_cookie(domain);
  domain.free?.();
}

/** Devices of a group may have regions that overlap: only what is not mapped yet is mapped. */
function map_one_to_one(domain: IommuDomain, dev: Device, { start, length, prot }: ResvRegion): number {
  const page = iommu_min_pgsize(domain);
  let from = start;
  for (let at = start; at <= start + length; at += page) {
    if (at < start + length && iommu_iova_to_phys(domain, at) === 0) continue;
    const error = at > from ? iommu_map(dev.kernel.sim, domain, from, from, at - from, prot) : 0;
    if (error !== 0) return error;
    from = at + page;
  }
  return 0;
}

/** Direct regions of the firmware stay reachable at all times, so they are mapped before the domain comes into force. */
export function iommu_create_device_direct_mappings(domain: IommuDomain, dev: Device): void {
  for (const region of dev_iommu_ops(dev)?.get_resv_regions?.(dev) ?? []) {
    if (region.type !== "direct") continue;
    if (dev.iommu !== null) dev.iommu.require_direct = true;
    if (!iommu_is_dma_domain(domain)) continue;
    const error = map_one_to_one(domain, dev, region);
    if (error !== 0) dev.kernel.printk.dev_err(dev, `direct mapping of 0x${region.start.toString(16)} failed: ${error}`);
  }
}

/**
 * `__iommu_device_set_domain`. Where attaching is deferred, the default domain waits for the first mapping; any other
 * domain is somebody's decision and comes into force now. As in Linux the driver hears of `old`, the group's, in that case
 * too, though the device was never attached to it; only iommu_deferred_attach says that there was none.
 */
function* set_domain(group: IommuGroup, dev: Device, domain: IommuDomain, old: IommuDomain | null): Coroutine<number> {
  const { iommu } = dev;
  if (iommu?.require_direct && (domain.type === "blocked" || domain === group.blocking_domain)) {
    dev.kernel.printk.dev_warn(
      dev,
      "Firmware has requested this device have a 1:1 IOMMU mapping, rejecting configuring the device without one",
    );
    return -EINVAL;
  }
  if (iommu?.attach_deferred) {
    if (domain === group.default_domain) return 0;
    iommu.attach_deferred = false;
  }
  return yield* iommu_attach_one(domain, dev, old);
}

/** `__iommu_group_set_domain`: attaches every device; after a failure those that were done go back. */
export function* iommu_group_set_domain(group: IommuGroup, domain: IommuDomain): Coroutine<number> {
  if (group.domain === domain) return 0;
  const old = group.domain;
  const done: Device[] = [];
  for (const dev of group.devices) {
    const error = yield* set_domain(group, dev, domain, old);
    if (error !== 0) {
      if (old !== null) for (const other of done) yield* set_domain(group, other, old, domain);
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
    return yield* set_domain(group, dev, group.domain, null);
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
  if (domain !== null && iommu_is_dma_domain(domain)) iommu_dma_init_domain(domain, dev);
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
