// SPDX-License-Identifier: GPL-2.0-only
/**
 * Shared virtual addressing: a device works in the address space of a process, under the process's PASID, and its page faults
 * are handled as the process's own are.
 *
 * After Linux 7.1 drivers/iommu/iommu-sva.c: iommu_sva_bind_device, iommu_sva_unbind_device, iommu_sva_get_pasid,
 * iommu_alloc_mm_data, iommu_sva_handle_mm, iommu_sva_handle_iopf, iommu_sva_iopf_handler, iommu_sva_domain_alloc. Left out:
 * tagged addresses, iommu_sva_invalidate_kva_range (no kernel table is below a process's). mm_pasid_drop is in mm-struct.ts.
 */
import type { Coroutine } from "../../sim/index.ts";
import type { Device } from "../base/device.ts";
import { EBUSY, ENODEV, ENOSPC, EOPNOTSUPP, EOVERFLOW } from "../errno.ts";
import { handle_mm_fault, mmget_not_zero, mmput, vma_lookup } from "../mm/mm-struct.ts";
import { type MmStruct, VM_EXEC, VM_READ, VM_WRITE, mmdrop, mmgrab } from "../mm/mm-types.ts";
import { INIT_WORK, queue_work } from "../time/workqueue.ts";
import { dev_iommu_ops } from "./default-domain.ts";
import { type IopfGroup, iopf_group_response } from "./io-pgfault.ts";
import { IOMMU_PASID_INVALID, iommu_alloc_global_pasid, iommu_attach_device_pasid, iommu_detach_device_pasid } from "./pasid.ts";
import type { IommuDomain, IommuFault, IommuMmData, IommuPageResponseCode } from "./types.ts";

/** `struct iommu_sva`: that a device is bound to a process, as often as `users` says. */
export interface IommuSva {
  readonly dev: Device;
  readonly mm: MmStruct;
  readonly domain: IommuDomain;
  users: number;
}

/** The process's PASID, allocated at the first bond. @returns -EOVERFLOW: the device does not know PASIDs that large; -ENOSPC */
function iommu_alloc_mm_data(mm: MmStruct, dev: Device): IommuMmData | number {
  if (mm.iommu_mm !== null) return mm.iommu_mm.pasid >= (dev.iommu?.max_pasids ?? 0) ? -EOVERFLOW : mm.iommu_mm;
  const pasid = iommu_alloc_global_pasid(dev);
  if (pasid === IOMMU_PASID_INVALID) return -ENOSPC;
  mm.iommu_mm = { pasid, sva_domains: [], handles: [] };
  return mm.iommu_mm;
}

/**
 * Lets a device use the memory of a process. The caller has a user's reference to it.
 * @returns the bond; -ENODEV: no IOMMU; -EOPNOTSUPP: its driver cannot; -EBUSY: the PASID has another domain; other -errno
 */
export function* iommu_sva_bind_device(dev: Device, mm: MmStruct): Coroutine<IommuSva | number> {
  const group = dev.iommu_group;
  if (group === null) return -ENODEV;
  return yield* dev.kernel.iommu.sva_lock.with(dev.name, function* (): Coroutine<IommuSva | number> {
    const iommu_mm = iommu_alloc_mm_data(mm, dev);
    if (typeof iommu_mm === "number") return iommu_mm;
    const attached = group.pasid_array.get(iommu_mm.pasid);
    if (attached !== undefined) {
      const bond = iommu_mm.handles.find((handle) => handle.dev.iommu_group === group);
      if (bond === undefined || attached !== bond.domain) return -EBUSY;
      bond.users++;
      return bond;
    }
    const domain = yield* attach_some_domain(dev, mm, iommu_mm);
    if (typeof domain === "number") return domain;
    const handle: IommuSva = { dev, mm, domain, users: 1 };
    iommu_mm.handles.push(handle);
    return handle;
  });
}

/** A domain that the process has already, if the device's IOMMU can take it; else a new one. */
function* attach_some_domain(dev: Device, mm: MmStruct, { pasid, sva_domains }: IommuMmData): Coroutine<IommuDomain | number> {
  for (const entry of sva_domains) {
    if ((yield* iommu_attach_device_pasid(entry.domain, dev, pasid)) !== 0) continue;
    entry.users++;
    return entry.domain;
  }
  const domain = yield* iommu_sva_domain_alloc(dev, mm);
  if (typeof domain === "number") return domain;
  const error = yield* iommu_attach_device_pasid(domain, dev, pasid);
  if (error === 0) {
    sva_domains.unshift({ domain, users: 1 });
    return domain;
  }
  sva_domain_free(domain, mm);
  return error;
}

function* iommu_sva_domain_alloc(dev: Device, mm: MmStruct): Coroutine<IommuDomain | number> {
  const ops = dev_iommu_ops(dev);
  if (!ops?.domain_alloc_sva) return -EOPNOTSUPP;
  const domain = yield* ops.domain_alloc_sva(dev, mm);
  if (typeof domain === "number") return domain;
  mmgrab(mm);
  domain.iopf_handler = iommu_sva_iopf_handler;
  return domain;
}

function sva_domain_free(domain: IommuDomain, mm: MmStruct): void {
  domain.free?.();
  mmdrop(mm);
}

/** Ends a bond. The device has stopped using the PASID, and its page faults are handled. */
export function* iommu_sva_unbind_device(handle: IommuSva): Coroutine<void> {
  const { dev, mm, domain } = handle;
  const { iommu_mm } = mm;
  yield* dev.kernel.iommu.sva_lock.with(dev.name, function* () {
    if (--handle.users > 0 || iommu_mm === null) return;
    iommu_mm.handles.splice(iommu_mm.handles.indexOf(handle), 1);
    yield* iommu_detach_device_pasid(domain, dev, iommu_mm.pasid);
    const index = iommu_mm.sva_domains.findIndex((entry) => entry.domain === domain);
    if (--iommu_mm.sva_domains[index]!.users > 0) return;
    iommu_mm.sva_domains.splice(index, 1);
    sva_domain_free(domain, mm);
  });
}

export function iommu_sva_get_pasid({ mm }: IommuSva): number {
  return mm.iommu_mm?.pasid ?? IOMMU_PASID_INVALID;
}

/** One fault, as if the process had touched the address. */
function* iommu_sva_handle_mm(fault: IommuFault, mm: MmStruct): Coroutine<IommuPageResponseCode> {
  if (fault.pasid === undefined || !mmget_not_zero(mm)) return "invalid";
  const access = (fault.read ? VM_READ : 0) | (fault.write ? VM_WRITE : 0) | (fault.exec ? VM_EXEC : 0);
  const status = yield* mm.mmap_lock.with(fault_worker(mm), function* (): Coroutine<IommuPageResponseCode> {
    const vma = vma_lookup(mm, fault.addr);
    if (vma === null || (access & ~vma.flags) !== 0) return "invalid";
    return (yield* handle_mm_fault(mm, vma, fault.addr, fault.write)) === 0 ? "success" : "invalid";
  });
  yield* mmput(mm);
  return status;
}

function fault_worker(mm: MmStruct): string {
  return `page fault of a device in ${mm.name}`;
}

/** The faults of a group until one cannot be repaired, then the answer. */
function* iommu_sva_handle_iopf(group: IopfGroup, mm: MmStruct): Coroutine<void> {
  let status: IommuPageResponseCode = "success";
  for (const fault of group.faults) {
    if (status !== "success") break;
    status = yield* iommu_sva_handle_mm(fault, mm);
  }
  yield* iopf_group_response(group, status);
}

/** @returns 0, or -EBUSY: it could not be queued */
function iommu_sva_iopf_handler(group: IopfGroup): number {
  const { mm } = group.domain;
  const { dev, queue } = group.fault_param;
  if (!mm) return -EBUSY;
  group.work = INIT_WORK(dev.kernel, "iommu_sva_handle_iopf", () => iommu_sva_handle_iopf(group, mm));
  return queue_work(queue.wq, group.work) ? 0 : -EBUSY;
}
